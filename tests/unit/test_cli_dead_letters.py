"""`deadletters`: the list takes nothing away, ids are masked, redrive is operations.redrive's."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from honninctl import command, dead_letters
from operations import redrive as mover
from tests.unit.cli_fakes import FakeDeployment, run

AUTHORIZATION = "a85fe9e9-b4c9-45cf-a392-834c57d83af7"


class Parked:
    """The two queues."""

    def __init__(self) -> None:
        self.sqs = boto3.client("sqs")
        self.dead = self.sqs.create_queue(QueueName="dead")["QueueUrl"]
        self.events = self.sqs.create_queue(QueueName="events")["QueueUrl"]
        self.deployment = FakeDeployment({"DeadLetterQueueUrl": self.dead, "EventQueueUrl": self.events})

    def park(self, body: str, error_type: str | None = None) -> str:
        """Park a body; returns its message id."""
        attributes: Any = {"errorType": {"DataType": "String", "StringValue": error_type}} if error_type else {}
        return self.sqs.send_message(QueueUrl=self.dead, MessageBody=body, MessageAttributes=attributes)["MessageId"]

    def visible(self) -> int:
        """How many messages somebody else could receive at once."""
        found: set[str] = set()
        while messages := self.sqs.receive_message(QueueUrl=self.dead, MaxNumberOfMessages=10).get("Messages"):
            found |= {each["MessageId"] for each in messages}
        return len(found)


def event(**changes: Any) -> str:
    """An event's body."""
    fields = {
        "event_id": "paypay:kyc:evt_1",
        "provider": "paypay",
        "kind": "kyc",
        "cause": "webhook",
        "subject": AUTHORIZATION,
        "received_at": "2026-04-01T03:00:00.000Z",
        "detail": {},
    }
    return json.dumps({"v": 1, **fields, **changes})


@pytest.fixture
def parked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Parked]:
    monkeypatch.setattr(dead_letters, "_LONG_POLL_S", 0)
    monkeypatch.setattr(mover, "_LONG_POLL_S", 0)
    with mock_aws():
        made = Parked()
        monkeypatch.setattr(command, "Deployment", lambda _where: made.deployment)
        yield made


def test_the_list_is_whole_counted_by_error_and_takes_nothing_away(parked: Parked) -> None:
    for number in range(25):
        parked.park(event(event_id=f"paypay:kyc:{number:02}"), ["KeyError", None][number % 2])
    ended = run("deadletters", "list", "--json")
    found = json.loads(ended.stdout)
    assert ended.exit_code == 1
    assert (found["total"], found["byErrorType"]) == (25, {"KeyError": 13, "(received too often)": 12})
    assert {each["event"]["event_id"] for each in found["deadLetters"]} == {f"paypay:kyc:{n:02}" for n in range(25)}
    assert parked.visible() == 25


def test_no_dead_letters_is_0(parked: Parked) -> None:
    assert run("deadletters", "list").exit_code == 0
    assert json.loads(run("deadletters", "list", "--json").stdout) == {"total": 0, "byErrorType": {}, "deadLetters": []}


@pytest.mark.parametrize(
    ("body", "hidden"),
    [
        (event(), AUTHORIZATION),
        (event(event_id=f"recon:kyc_passport_sync_recon:2026-11-20:{AUTHORIZATION}"), AUTHORIZATION),
        (event(kind="recon_file", subject="t", detail={"path": "https://h/f.csv?signature=topsecret"}), "topsecret"),
        ("テスト ハナコ is no event", "ハナコ"),
    ],
)
def test_nothing_is_shown_that_names_a_person(parked: Parked, body: str, hidden: str) -> None:
    message_id = parked.park(body, "KeyError")
    for arguments in (["list"], ["show", message_id]):
        for option in ([], ["--json"]):
            ended = run("deadletters", *arguments, *option)
            assert ended.exit_code in (0, 1)
            assert message_id in ended.stdout
            assert hidden not in ended.output


def test_reveal_shows_ids_and_strange_bodies_but_no_signed_address(parked: Parked) -> None:
    notice = {"event_id": "paypay:recon_file:1", "kind": "recon_file", "subject": "t"}
    parked.park(event(**notice, detail={"path": "https://h/f.csv?signature=topsecret"}))
    assert "topsecret" not in run("deadletters", "list", "--json", "--reveal").stdout
    strange = parked.park("no event", "MalformedEventError")
    assert json.loads(run("deadletters", "show", strange, "--json", "--reveal").stdout)["body"] == "no event"
    parked.park(event())
    assert AUTHORIZATION in run("deadletters", "show", "paypay:kyc:evt_1", "--reveal").stdout


def test_a_vexora_submission_id_is_not_masked(parked: Parked) -> None:
    parked.park(event(event_id="vexora:s:1", provider="vexora", subject="db1cb34f-0000-4000-8000-000000000001"))
    found = json.loads(run("deadletters", "show", "vexora:s:1", "--json").stdout)
    assert found["event"]["subject"] == "db1cb34f-0000-4000-8000-000000000001"


def test_show_of_something_else_is_3(parked: Parked) -> None:
    parked.park(event())
    ended = run("deadletters", "show", "paypay:kyc:other", "--json")
    assert (ended.exit_code, ended.stdout) == (3, "")
    assert parked.visible() == 1


def test_redrive_asks_first(parked: Parked, monkeypatch: pytest.MonkeyPatch) -> None:
    parked.park(event())
    assert run("deadletters", "redrive").exit_code == 2  # nobody can be asked
    monkeypatch.setattr("honninctl.screen.Screen.ask", lambda *_: "n")
    assert run("deadletters", "redrive").exit_code == 1
    assert parked.visible() == 1


def test_redrive_moves_everything_and_counts_it(parked: Parked) -> None:
    bodies = [event(event_id=f"e{number}") for number in range(3)]
    for body in bodies:
        parked.park(body, "KeyError")
    ended = run("deadletters", "redrive", "--yes", "--json")
    assert (ended.exit_code, json.loads(ended.stdout)) == (0, {"total": 3, "byErrorType": {"KeyError": 3}})
    assert parked.visible() == 0
    received = parked.sqs.receive_message(QueueUrl=parked.events, MaxNumberOfMessages=10)["Messages"]
    assert sorted(each["Body"] for each in received) == bodies
    assert "There were no dead letters." in run("deadletters", "redrive", "--yes").stdout
