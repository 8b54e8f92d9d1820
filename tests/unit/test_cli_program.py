"""honninctl as a program: what it costs to start, what its help teaches, how it finds the stack, how it ends."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError, ProfileNotFound
from typer.main import get_command

from honninctl import access, app, command, failures, masking, people
from honninctl.deployment import Deployment, Where
from honninctl.failures import CommandError, ExitCode, NotAllowedError, NotFoundError, UsageError
from tests.fakes import LoopbackServer, Reply
from tests.fakes.cli import FakeDeployment, Service, client_error, run

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (
    ["status"],
    ["timeline"],
    ["submissions"],
    ["export"],
    ["erase"],
    ["reread"],
    ["doctor"],
    ["recon", "DAY"],
    ["recon", "calendar"],
    ["deadletters", "list"],
    ["deadletters", "show"],
    ["deadletters", "redrive"],
    ["sign", "vexora"],
    ["sign", "paypay"],
)

# In a fresh interpreter: the help of the program, and what it took to print it.
PROBE = """
import json, sys
from honninctl.app import main
sys.argv = ["honninctl", *sys.argv[1:]]
try:
    main()
except SystemExit as ended:
    code = ended.code
print(json.dumps({"code": code, "loaded": sorted(sys.modules)}))
"""


def _fresh(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments],
        env={"PYTHONPATH": f"{ROOT / 'cli'}:{ROOT / 'layers/honnin'}:{ROOT}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


@pytest.mark.parametrize("arguments", [["--help"], ["status", "--help"], ["deadletters", "list", "--help"]])
def test_help_loads_neither_the_aws_sdk_nor_the_layer(arguments: list[str]) -> None:
    said = _fresh(*arguments)
    assert said["code"] == 0
    tops = {name.partition(".")[0] for name in said["loaded"]}
    assert tops & {"boto3", "botocore", "honnin", "operations", "aws_lambda_powertools"} == set()


def test_the_probe_would_see_it() -> None:
    said = _fresh(
        "status", "user-1", "--stack", "x", "--endpoint", "http://127.0.0.1:1", "--profile", "no-such-profile"
    )
    assert said["code"] == ExitCode.NO_ACCESS
    assert "botocore" in said["loaded"]


def test_the_help_names_every_exit_code() -> None:
    shown = " ".join(run("--help").stdout.split())
    for code in ExitCode:
        assert f"{code.value} " in shown.partition("Exit codes:")[2]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_teaches_with_an_example_and_speaks_json(path: list[str]) -> None:
    shown = run(*path, "--help", env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert "Example: honninctl" in shown.stdout
    for option in ("--json", "--stack", "--endpoint", "--region"):
        assert option in shown.stdout
    # The docstring is shown whole: what stands in brackets could be taken for markup.
    assert "JSON" in shown.stdout
    assert "".join(_docstring(path).split()) in "".join(shown.stdout.split())


def test_a_help_text_breaks_between_sentences_only() -> None:
    text = (
        """One line of\n    the summary.\n\n    A sentence, wrapped in\n    the source. Another.\n    JSON: {}.\n    """
    )
    assert (
        command.unwrapped(text) == "One line of the summary.\n\nA sentence, wrapped in the source. Another.\nJSON: {}."
    )


def _docstring(path: list[str]) -> str:
    found: Any = get_command(app.program())
    for name in path:
        found = found.commands[name]
    return str(found.help)


def _seen(monkeypatch: pytest.MonkeyPatch, *arguments: str, env: dict[str, str] | None = None) -> Where:
    """Where a command looked for its stack."""
    seen: list[Where] = []

    def deployment(where: Where) -> FakeDeployment:
        seen.append(where)
        fake = FakeDeployment({})
        fake.api.append({"userId": "a", "providers": {}, "verified": False, "verifiedReason": "NOT_VERIFIED"})
        return fake

    monkeypatch.setattr(command, "Deployment", deployment)
    ended = run(*arguments, env={"HONNIN_STACK": "", "HONNIN_ENDPOINT": "", "AWS_ENDPOINT_URL": "", **(env or {})})
    assert ended.exit_code == 0, ended.stderr
    return seen[0]


def test_the_stack_is_named_before_or_after_the_command_or_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    named = ["--stack", "a", "--endpoint", "http://e", "--region", "r", "--profile", "p"]
    expected = Where("a", "http://e", "r", "p")
    assert _seen(monkeypatch, *named, "status", "u") == expected
    assert _seen(monkeypatch, "status", "u", *named) == expected
    env = {"HONNIN_STACK": "b", "AWS_ENDPOINT_URL": "http://f"}
    assert _seen(monkeypatch, "status", "u", env=env) == Where("b", "http://f")
    assert _seen(monkeypatch, "status", "u", env={**env, "HONNIN_ENDPOINT": "http://g"}).endpoint == "http://g"
    assert _seen(monkeypatch, *named, "status", "u", env=env) == expected
    assert _seen(monkeypatch, "--stack", "a", "status", "u", "--stack", "c", env=env).stack == "c"


def test_without_a_stack_it_says_how_to_name_one() -> None:
    ended = run("status", "u", env={"HONNIN_STACK": ""})
    assert (ended.exit_code, ended.stdout) == (ExitCode.USAGE, "")
    assert "--stack" in ended.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), ExitCode.USAGE),
        (NotFoundError("x"), ExitCode.NOT_FOUND),
        (NotAllowedError("x"), ExitCode.NO_ACCESS),
        (client_error("AccessDeniedException"), ExitCode.NO_ACCESS),
        (client_error("ExpiredToken"), ExitCode.NO_ACCESS),
        (client_error("InvalidClientTokenId"), ExitCode.NO_ACCESS),
        (NoCredentialsError(), ExitCode.NO_ACCESS),
        (ProfileNotFound(profile="x"), ExitCode.NO_ACCESS),
        (EndpointConnectionError(endpoint_url="http://x"), ExitCode.UNREACHABLE),
        (client_error("ThrottlingException"), ExitCode.FINDING),
        (CommandError("x"), ExitCode.FINDING),
        (KeyError("x"), ExitCode.FINDING),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
    ],
    ids=repr,
)
def test_every_error_has_its_exit_code_and_leaves_stdout_alone(
    error: BaseException, code: ExitCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise error

    monkeypatch.setattr(access, "record", lambda *_, **__: None)
    monkeypatch.setattr(people, "status", fails)
    ended = run("status", "user-1", "--json")
    assert (ended.exit_code, ended.stdout) == (code, "")
    assert len(ended.stderr.strip().splitlines()) == 1
    assert "Traceback" not in ended.stderr


def test_an_unexpected_error_shows_no_value_not_even_when_debugging(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise ValueError("テスト ハナコ")

    monkeypatch.setattr(access, "record", lambda *_, **__: None)
    monkeypatch.setattr(people, "status", fails)
    plain = run("status", "user-1")
    debugged = run("status", "user-1", env={"HONNIN_DEBUG": "1"})
    assert "ValueError" in plain.stderr
    assert "in fails" in debugged.stderr
    assert "ハナコ" not in plain.output + debugged.output.replace('raise ValueError("テスト ハナコ")', "")


def test_a_stack_that_is_not_there_is_3() -> None:
    deployment = FakeDeployment({})
    deployment.services["cloudformation"] = Service(describe_stacks=client_error("ValidationError"))
    with pytest.raises(NotFoundError, match="honnin-test"):
        _ = deployment.outputs


def test_an_output_that_is_not_there_is_named() -> None:
    with pytest.raises(NotFoundError, match="DeadLetterQueueUrl"):
        FakeDeployment({}).output("DeadLetterQueueUrl")


# The merchant API, over a real socket


class _ApiAt(Deployment):
    def __init__(self, url: str) -> None:
        super().__init__(Where(stack="s", endpoint=url, region="ap-northeast-1"))
        self.__dict__["outputs"] = {"MerchantApiUrl": f"{url}/v1/"}


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_calls_of_the_merchant_api_are_signed_for_execute_api() -> None:
    with LoopbackServer(Reply(200, b'{"userId": "a"}')) as api:
        assert people.status(_ApiAt(api.url), "a@b:c") == {"userId": "a"}
    [request] = api.received
    assert (request.method, request.path) == ("GET", "/v1/users/a%40b%3Ac")
    assert "/ap-northeast-1/execute-api/aws4_request" in request.headers["authorization"]
    assert request.headers["x-amz-security-token"] == "test-session-token"


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (404, b'{"title": "Not found", "detail": "no user is known under this id"}', NotFoundError, "no user is known"),
        (422, b'{"detail": "userId: must match"}', UsageError, "must match"),
        (403, b'{"Message": "User is not authorized"}', NotAllowedError, "do not allow it"),
        (403, b'{"code": "not-signed-or-no-route"}', CommandError, "up to date"),
        (500, b"<html>", CommandError, "answered 500"),
        (200, b"[]", CommandError, "answered 200"),
        (302, b"{}", CommandError, "answered 302"),
    ],
)
def test_a_problem_of_the_merchant_api_becomes_the_error_of_that_meaning(
    status: int, body: bytes, kind: type[CommandError], said: str
) -> None:
    headers = {"Location": "http://127.0.0.1:1/"} if status == 302 else {}
    with LoopbackServer(Reply(status, body, headers)) as api, pytest.raises(kind, match=said) as raised:
        _ApiAt(api.url).merchant("GET", "/users/a")
    assert type(raised.value) is kind


# Masking


def test_a_short_id_shows_nothing_and_a_long_one_its_ends() -> None:
    assert masking.masked("a85fe9e9-b4c9-45cf-a392-834c57d83af7") == "a85f…3af7"
    assert masking.masked("uaid-1") == "…"
    assert masking.authorization(None, reveal=False) is None
    assert masking.authorization("uaid-1", reveal=True) == "uaid-1"


def test_the_event_of_a_repair_holds_an_id() -> None:
    name = "recon:kyc_passport_sync_recon:2026-11-20:a85fe9e9-b4c9-45cf-a392-834c57d83af7:12"
    assert masking.event_id(name, reveal=False) == "recon:kyc_passport_sync_recon:2026-11-20:a85f…3af7:12"
    assert masking.event_id(name, reveal=True) == name
    assert masking.event_id("paypay:kyc:evt_1", reveal=False) == "paypay:kyc:evt_1"


def test_a_urls_query_is_never_shown() -> None:
    assert masking.url("https://h/a.csv?signature=x\ny") == "https://h/a.csv?…"


def test_debugging_is_off_by_default_and_every_error_can_be_explained() -> None:
    assert failures.explained(KeyError("a")).exit_code is ExitCode.FINDING
    assert app.program().info.name == "honninctl"
