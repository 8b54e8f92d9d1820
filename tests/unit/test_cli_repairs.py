"""`repairs`: what it says, what it changes, and what it leaves alone."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from honnin.store import Loss, Store
from honnin.times import utc_text
from honninctl import command, repairs
from honninctl.failures import ExitCode
from honninctl.screen import Screen
from tests.fakes.cli import FakeDeployment, Service, client_error, run, state_table
from tests.fakes.memory import dynamodb, memory_aws

UNLINKED = Loss("paypay", "VERIFIED", "UNLINKED", "recon")


class Stack:
    """A stack with a table in memory and two mappings; `busy` changes of a mapping are refused first."""

    def __init__(self) -> None:
        self.store = Store(state_table(), dynamodb())
        self.enabled = {"RepairSource": True, "RereadSource": True}
        self.busy = 0
        self.deployment = FakeDeployment(
            {
                "StateTableName": "StateTable",
                "RepairQueueUrl": "https://sqs/repairs",
                "RereadQueueUrl": "https://sqs/re",
            }
        )
        self.deployment.services["cloudformation"].answers["describe_stack_resource"] = lambda **asked: {
            "StackResourceDetail": {"PhysicalResourceId": asked["LogicalResourceId"]}
        }
        self.deployment.services["lambda"] = Service(
            update_event_source_mapping=self._update,
            get_event_source_mapping=lambda UUID: {"State": "Enabled" if self.enabled[UUID] else "Disabled"},  # noqa: N803
        )
        self.deployment.services["sqs"] = Service(
            get_queue_attributes=lambda **asked: {"Attributes": dict.fromkeys(asked["AttributeNames"], "7")}
        )

    def _update(self, *, UUID: str, Enabled: bool) -> dict[str, Any]:  # noqa: N803
        if self.busy:
            self.busy -= 1
            raise client_error("ResourceInUseException", "UpdateEventSourceMapping")
        self.enabled[UUID] = Enabled
        return {}

    def mass_change(self) -> None:
        """Too many users were lost, and the processor has stopped."""
        self.store.mass_change.stop(self.store.mass_change.add(212, {UNLINKED: 20}))
        self.enabled = dict.fromkeys(self.enabled, False)


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    with memory_aws():
        made = Stack()
        monkeypatch.setattr(command, "Deployment", lambda _where: made.deployment)
        monkeypatch.setattr(repairs, "_AGAIN_S", 0)
        yield made


def test_status_of_a_sound_stack(stack: Stack) -> None:
    stack.store.mass_change.add(40, {UNLINKED: 1})
    ended = run("repairs", "status", "--json")
    assert ended.exit_code == ExitCode.OK
    said = json.loads(ended.stdout)
    lost = {"provider": "paypay", "from": "VERIFIED", "to": "UNLINKED", "cause": "recon", "users": 1}
    assert said == {
        "running": True,
        "stop": None,
        "lastHour": {"readings": 40, "losses": [lost]},
        "noLimitUntil": None,
        "mappings": {"repairs": "Enabled", "rereads": "Enabled"},
        "waiting": {"repairs": said["waiting"]["repairs"], "rereads": said["waiting"]["rereads"]},
    }


def test_status_of_a_stopped_one(stack: Stack) -> None:
    stack.mass_change()
    ended = run("repairs", "status")
    assert ended.exit_code == ExitCode.FINDING
    assert "many users lost their verification" in ended.stdout
    assert "20 of 212 readings" in ended.stdout
    assert "20 × paypay: VERIFIED → UNLINKED (recon)" in ended.stdout
    assert "mapping Disabled" in ended.stdout


def test_a_disabled_mapping_without_a_stop_is_a_finding_that_resume_mends(stack: Stack) -> None:
    stack.enabled["RereadSource"] = False
    assert run("repairs", "status").exit_code == ExitCode.FINDING
    assert run("repairs", "resume", "--yes").exit_code == ExitCode.OK
    assert run("repairs", "status").exit_code == ExitCode.OK


@pytest.mark.parametrize("busy", [0, 1, 5])
def test_resume_takes_the_mark_away_counts_anew_and_enables_both(stack: Stack, busy: int) -> None:
    stack.mass_change()
    stack.busy = busy
    ended = run("repairs", "resume", "--yes")
    assert ended.exit_code == ExitCode.OK
    assert "honninctl changes" in ended.output
    assert stack.enabled == {"RepairSource": True, "RereadSource": True}
    counted = stack.store.mass_change.read()
    assert (counted.readings, counted.lost, counted.stop, counted.no_limit_until) == (0, 0, None, None)


@pytest.mark.parametrize("command_line", [["resume"], ["stop", "--reason", "a new key"]])
def test_who_says_no_changes_nothing(stack: Stack, monkeypatch: pytest.MonkeyPatch, command_line: list[str]) -> None:
    stack.mass_change()
    monkeypatch.setattr(Screen, "confirmed", lambda *_: False)
    ended = run("repairs", *command_line)
    assert ended.exit_code == ExitCode.FINDING
    assert "Nothing was changed." in ended.stderr
    assert stack.store.mass_change.read().stop
    assert not any(stack.enabled.values())


def test_changes_that_are_right_may_pass_for_some_hours(stack: Stack) -> None:
    stack.mass_change()
    assert run("repairs", "resume", "--no-limit-for", "3", "--yes", "--json").exit_code == ExitCode.OK
    until = stack.store.mass_change.read().no_limit_until
    assert until
    now = datetime.now(UTC)
    assert utc_text(now + timedelta(hours=2)) < until <= utc_text(now + timedelta(hours=3))


def test_a_person_stops_them_and_no_mail_is_due(stack: Stack) -> None:
    ended = run("repairs", "stop", "--reason", "a new key", "--yes", "--json")
    assert ended.exit_code == ExitCode.OK
    assert json.loads(ended.stdout)["stop"]["reason"] == "a new key"
    assert stack.enabled == {"RepairSource": False, "RereadSource": False}
    stop = stack.store.mass_change.read().stop
    assert stop
    assert stop.reported_at


def test_a_stop_that_is_there_keeps_its_reason(stack: Stack) -> None:
    stack.mass_change()
    ended = run("repairs", "stop", "--reason", "to be sure", "--yes")
    assert "They were already stopped." in ended.stdout
    stop = stack.store.mass_change.read().stop
    assert stop
    assert (stop.reason, stop.readings) == ("", 212)


def test_a_mapping_that_stays_busy_is_said(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.mass_change()
    stack.busy = 1_000_000
    monkeypatch.setattr(repairs, "_PATIENCE_S", 0.01)
    ended = run("repairs", "resume", "--yes")
    assert ended.exit_code == ExitCode.FINDING
    assert "run this again" in ended.stderr
    # The mark is gone, so that nobody disables a mapping again; the next run enables the rest.
    assert stack.store.mass_change.read().stop is None


def test_a_role_without_the_permission_is_told_so(stack: Stack) -> None:
    stack.deployment.services["lambda"].answers["update_event_source_mapping"] = client_error(
        "AccessDeniedException", "UpdateEventSourceMapping"
    )
    assert run("repairs", "resume", "--yes").exit_code == ExitCode.NO_ACCESS


def test_a_stop_needs_a_reason(stack: Stack) -> None:
    assert run("repairs", "stop", "--reason", " ", "--yes").exit_code == ExitCode.USAGE
    assert stack.store.mass_change.read().stop is None
