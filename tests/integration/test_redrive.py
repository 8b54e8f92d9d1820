"""Putting dead letters back: everything once, counted by what it failed of, and harmless when it is stopped."""

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from honninctl import command, queue_walk
from honninctl.app import program
from honninctl.failures import NotFoundError
from honninctl.queue_walk import delete
from honninctl.redrive import move, sending
from tests.fakes.cli import FakeDeployment
from tests.moto_state import moto
from tests.tables import TEMPLATE

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

pytestmark = pytest.mark.usefixtures("aws_environment", "fresh_caches")


MAKEFILE = TEMPLATE.parent / "Makefile"


class Queues:
    """The dead-letter queue and the events queue, on moto."""

    def __init__(self) -> None:
        self.sqs: SQSClient = boto3.client("sqs")
        self.dead = self.sqs.create_queue(QueueName="dead")["QueueUrl"]
        self.events = self.sqs.create_queue(QueueName="events")["QueueUrl"]

    def add(self, body: str, error_type: str | None = None) -> None:
        """A dead letter; without an error's type SQS itself moved it there."""
        attributes: Any = {"errorType": {"DataType": "String", "StringValue": error_type}} if error_type else {}
        self.sqs.send_message(QueueUrl=self.dead, MessageBody=body, MessageAttributes=attributes)

    def move(self, client: Any = None) -> Counter[str]:
        """Put everything back on the events queue; how many there were of each error."""
        sqs = client or self.sqs
        return move(sqs, self.dead, sending(sqs, self.dead, lambda _: self.events)).done

    def count(self, url: str) -> int:
        """How many messages a queue holds, in flight or not."""
        names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(map(int, answer.values()))

    def visible(self, url: str) -> int:
        """How many messages of a queue somebody could receive at once."""
        answer = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])

    def bodies(self) -> list[str]:
        """Everything on the events queue, which is empty afterwards."""
        found: list[str] = []
        while messages := self.sqs.receive_message(QueueUrl=self.events, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                found.append(message["Body"])
                self.sqs.delete_message(QueueUrl=self.events, ReceiptHandle=message["ReceiptHandle"])
        return sorted(found)


class DyingClient:
    """An SQS client whose call number `at` of that name kills the program, before it takes effect."""

    def __init__(self, client: "SQSClient", name: str, at: int) -> None:
        self._client = client
        self._name = name
        self._left = at

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        if name != self._name:
            return call

        def dies_in_time(**request: Any) -> Any:
            self._left -= 1
            if not self._left:
                raise KeyboardInterrupt
            return call(**request)

        return dies_in_time


@pytest.fixture
def queues(monkeypatch: pytest.MonkeyPatch) -> Iterator[Queues]:
    monkeypatch.setattr(queue_walk, "_LONG_POLL_S", 0)
    with moto():
        yield Queues()


def test_every_dead_letter_is_put_back_and_counted_by_its_error(queues: Queues) -> None:
    for number in range(25):
        queues.add(f"body-{number:02}", ["MalformedEventError", "KeyError", None][number % 3])
    moved = queues.move()
    assert moved == {"MalformedEventError": 9, "KeyError": 8, "(received too often)": 8}
    assert queues.count(queues.dead) == 0
    assert queues.bodies() == [f"body-{number:02}" for number in range(25)]


def test_the_body_stays_byte_for_byte_what_it_was(queues: Queues) -> None:
    body = json.dumps({"v": 1, "event_id": "paypay:kyc:本人🙂", "detail": {}}, ensure_ascii=False)
    queues.add(body, "KeyError")
    queues.move()
    assert queues.bodies() == [body]


def test_an_empty_queue_is_no_error(queues: Queues) -> None:
    assert queues.move() == Counter()


def test_what_fails_again_meanwhile_does_not_keep_it_going(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    """The events queue's worker moves each message back at once."""
    for number in range(3):
        queues.add(f"body-{number}", "KeyError")

    def sends_and_fails_again(**request: Any) -> Any:
        time.sleep(1.1)  # the queue gives its time in whole seconds
        for each in request["Entries"]:
            queues.add(each["MessageBody"], "KeyError")
        return {"Successful": [{"Id": each["Id"]} for each in request["Entries"]]}

    monkeypatch.setattr(queues.sqs, "send_message_batch", sends_and_fails_again)
    assert queues.move().total() == 3
    assert queues.count(queues.dead) == 3


@pytest.mark.parametrize(
    ("name", "at", "left", "sent"),
    [
        ("receive_message", 2, 15, 10),
        ("send_message_batch", 2, 15, 10),
        ("delete_message_batch", 1, 25, 10),
        ("delete_message_batch", 3, 5, 25),
    ],
)
def test_a_crash_at_any_call_loses_nothing(queues: Queues, name: str, at: int, left: int, sent: int) -> None:
    for number in range(25):
        queues.add(f"body-{number}")
    client: Any = DyingClient(queues.sqs, name, at)
    with pytest.raises(KeyboardInterrupt):
        queues.move(client)
    assert queues.count(queues.dead) == left
    assert queues.count(queues.events) == sent
    assert queues.visible(queues.dead) == left, "and nothing of it stays hidden"


def test_a_crash_between_send_and_delete_repeats_the_message(queues: Queues) -> None:
    queues.add("body-1")
    client: Any = DyingClient(queues.sqs, "delete_message_batch", 1)
    with pytest.raises(KeyboardInterrupt):
        queues.move(client)
    assert queues.move().total() == 1
    assert queues.count(queues.dead) == 0
    assert queues.bodies() == ["body-1", "body-1"]


def test_without_a_target_they_are_deleted_and_what_came_meanwhile_stays(
    queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues.add("body-1", "KeyError")
    queues.add("body-2")
    remove = queues.sqs.delete_message_batch

    def deletes_and_another_comes(**request: Any) -> Any:
        time.sleep(1.1)  # the queue gives its time in whole seconds
        queues.add("body-3")
        return remove(**request)

    monkeypatch.setattr(queues.sqs, "delete_message_batch", deletes_and_another_comes)
    gone = move(queues.sqs, queues.dead, lambda messages: delete(queues.sqs, queues.dead, messages)).done
    assert gone == {"KeyError": 1, "(received too often)": 1}
    assert queues.count(queues.dead) == 1
    assert queues.count(queues.events) == 0


@pytest.mark.parametrize("off_s", [-3600, 3600])
def test_a_messages_age_is_by_the_queues_clock(queues: Queues, monkeypatch: pytest.MonkeyPatch, off_s: int) -> None:
    """This machine's clock is an hour wrong; another dead letter comes while it moves the others."""
    queues.add("body-1")
    queues.add("body-2")
    real, remove = time.time, queues.sqs.delete_message_batch
    monkeypatch.setattr(queue_walk, "time", SimpleNamespace(time=lambda: real() + off_s, monotonic=time.monotonic))
    dead_lettered: list[str] = []

    def deletes_and_another_comes(**request: Any) -> Any:
        if not dead_lettered:
            time.sleep(1.1)  # the queue gives its time in whole seconds
            dead_lettered.append("again")
            queues.add("body-3")
        return remove(**request)

    monkeypatch.setattr(queues.sqs, "delete_message_batch", deletes_and_another_comes)
    assert queues.move().total() == 2
    assert queues.count(queues.dead) == 1


# The command, as `make redrive` calls it


@pytest.fixture
def deployment(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> FakeDeployment:
    made = FakeDeployment({"DeadLetterQueueUrl": queues.dead, "EventQueueUrl": queues.events})
    monkeypatch.setattr(command, "Deployment", lambda _where: made)
    return made


def _make_redrive() -> int | str | None:
    recipe = re.search(r"^redrive:.*\n\t@\$\(BIN\)/honninctl (.*) --stack", MAKEFILE.read_text(), re.MULTILINE)
    assert recipe
    with pytest.raises(SystemExit) as ended:
        program()([*recipe[1].split(), "--stack", "honnin-test"], prog_name="honninctl")
    return ended.value.code


def test_make_redrive_says_what_it_put_back_and_asks_nothing(
    queues: Queues, deployment: FakeDeployment, capsys: pytest.CaptureFixture[str]
) -> None:
    queues.add("body-1", "KeyError")
    queues.add("body-2", "KeyError")
    assert _make_redrive() == 0
    said = capsys.readouterr().out
    assert "2 × KeyError" in said
    assert "2 put back." in said
    assert queues.bodies() == ["body-1", "body-2"]
    assert _make_redrive() == 0
    assert "There were no dead letters" in capsys.readouterr().out


def test_a_stack_that_is_not_there_or_is_no_stack_of_honnin_is_one_sentence_and_3(
    deployment: FakeDeployment, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment.given["Outputs"] = []
    assert _make_redrive() == NotFoundError.exit_code
    said = capsys.readouterr()
    assert "honnin-test has no output DeadLetterQueueUrl" in said.err
    assert "Traceback" not in said.err
