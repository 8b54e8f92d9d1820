"""What a command says when AWS does not let its caller do it: the policy that allows it."""

import pytest

from honninctl import command
from honninctl.failures import ExitCode
from tests.fakes.cli import FakeDeployment, Service, client_error, run


def _refusing(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    deployment = FakeDeployment({})
    deployment.services["cloudformation"] = Service(describe_stacks=client_error(code))
    monkeypatch.setattr(command, "Deployment", lambda where: deployment)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rereads", "list"], "the stack's OperatorPolicy allows this command (docs/security.md#roles)"),
        (["--json", "submissions"], "the stack's OfficerPolicy allows this command (docs/security.md#roles)"),
        (["reindex"], "the stack's MaintenancePolicy allows this command (docs/security.md#roles)"),
        (["recon", "2026-11-20"], "the stack's OperatorPolicy allows this command (docs/security.md#roles)"),
        (
            ["recon", "calendar"],
            "the stack's OfficerPolicy or OperatorPolicy or MaintenancePolicy allows this command",
        ),
    ],
)
def test_who_is_not_allowed_is_told_the_policy(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    _refusing(monkeypatch, "AccessDeniedException")
    ended = run(*arguments)
    assert (ended.exit_code, ended.stdout) == (ExitCode.NO_ACCESS, "")
    assert ended.stderr.count("\n") == 1
    assert "your credentials do not allow it; " in ended.stderr
    assert said in ended.stderr


def test_who_has_to_sign_in_again_is_not_sent_for_a_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    _refusing(monkeypatch, "ExpiredTokenException")
    ended = run("rereads", "list")
    assert ended.exit_code == ExitCode.NO_ACCESS
    assert "sign in again" in ended.stderr
    assert "Policy" not in ended.stderr
