"""The compare queue's messages: how long until each comes again, and for how long the report is written anew."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from chaos.dynamodb import MemoryDynamoDB
from chaos.s3 import MemoryS3
from honnin import worker
from honnin.errors import MissingSettingError
from honnin.publish import Publisher
from honnin.recon.arrival import Arrivals, CompareQueue, parse
from honnin.recon.bucket import FileId, ReconBucket
from honnin.recon.compare import Comparison
from honnin.recon.repair import Repairs
from honnin.recon.resend import Letterhead, ResendAlarm
from honnin.store import ReconFile, Store
from honnin.times import utc_text
from tests.fakes import FakeBus, FakeLambdaContext, FakeQueueClient, FakeTopic

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

FILE = FileId("kyc_passport_sync_recon", "2026-03-31", "a.csv")
LINKED = "a85fe9e9-b4c9-45cf-a392-834c57d83af7"
MINUTE = 60
DENIED = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "PutEvents")


class Desk:
    """The arrivals of one bucket, over a table, a bucket and queues in memory."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 31, 18, 5, tzinfo=UTC)
        self.queue, self.events, self.bus, self.topic = FakeQueueClient(), _Events(), FakeBus(), FakeTopic()
        self.objects = MemoryS3()
        self.table = MemoryDynamoDB()
        self.store = Store("table", cast("DynamoDBClient", self.table), now=lambda: self.now)
        bucket = ReconBucket("recon", cast("S3Client", self.objects))
        self.arrivals = Arrivals(
            store=self.store,
            bucket=bucket,
            comparison=Comparison(
                store=self.store,
                bucket=bucket,
                repairs=Repairs("events", cast("SQSClient", self.events)),
                now=lambda: self.now,
            ),
            publisher=Publisher("bus", self.store, self.bus.client),
            alarm=ResendAlarm("topic", lambda: Letterhead("", "", None), self.topic.client),
            queue=CompareQueue("compare", self.queue.client),
            now=lambda: self.now,
        )

    def put(self, content: str = f"{LINKED}\n") -> None:
        """Put the file into the bucket."""
        self.objects.put_object(Key=FILE.key, Body=content.encode())

    def take(self, body: object, receives: int = 1, left_ms: int = 900_000) -> bool:
        """Take one message; whether it is done."""
        record = {
            "messageId": "m",
            "receiptHandle": "receipt",
            "body": body if isinstance(body, str) else json.dumps(body),
            "attributes": {"ApproximateReceiveCount": str(receives), "SentTimestamp": "1775012400000"},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:ap-northeast-1:000000000000:compare",
            "awsRegion": "ap-northeast-1",
        }
        answer = worker.run(
            {"Records": [record]},
            FakeLambdaContext(left_ms),
            parse=parse,
            process=partial(self.arrivals.take, left_ms=lambda: left_ms),
            queue=worker.Queue("compare", "dead", self.queue.client),
        )
        return not answer["batchItemFailures"]

    def arrive(self, key: str = FILE.key, **how: int) -> bool:
        """Take S3's notification of an object."""
        return self.take({"Records": [{"s3": {"object": {"key": key}}}]}, **how)

    def remind(self) -> bool:
        """Take the last reminder that was sent."""
        return self.take(self.queue.messages[-1]["MessageBody"])

    def rounds(self, number: int, *, deliveries: int = 1) -> list[int]:
        """Take every reminder that waits, each so many times, in so many rounds; how many wait after each."""
        left = []
        for _ in range(number):
            self.now += timedelta(minutes=15)
            waiting, self.queue.messages = self.queue.messages, []
            # The newest first: SQS keeps no order.
            for message in reversed(waiting * deliveries):
                assert self.take(message["MessageBody"])
            left.append(len(self.queue.messages))
        return left

    @property
    def delays(self) -> list[int]:
        """The seconds of every reminder so far."""
        return [each["DelaySeconds"] for each in self.queue.messages]

    def file(self) -> ReconFile:
        """The file in the table."""
        found = self.store.recon.file(FILE.file_type, FILE.day, FILE.name)
        assert found is not None
        return found


class _Events:
    """The repairs queue, which takes everything."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        self.sent += [json.loads(each["MessageBody"])["subject"] for each in request["Entries"]]
        return {}


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_file_is_compared_reported_and_told_of(desk: Desk) -> None:
    desk.put()

    assert desk.arrive()

    assert (desk.file().state, desk.events.sent) == ("COMPARED", [LINKED])
    assert FILE.report_key in desk.objects.objects
    assert [each["DetailType"] for each in desk.bus.entries] == ["ReconCompleted"]


def test_a_key_comes_url_encoded_as_s3_sends_it(desk: Desk) -> None:
    desk.put()

    assert desk.arrive(FILE.key.replace("_", "%5F"))

    assert desk.file().state == "COMPARED"


def test_the_report_is_asked_for_again_later_and_later_while_repairs_wait(desk: Desk) -> None:
    desk.put()
    desk.arrive()

    for _ in range(6):
        desk.now += timedelta(minutes=15)
        assert desk.remind()

    assert desk.delays == [15, MINUTE, 5 * MINUTE, 15 * MINUTE, 15 * MINUTE, 15 * MINUTE, 15 * MINUTE]
    assert [json.loads(each["MessageBody"])["reminders"] for each in desk.queue.messages] == [1, 2, 3, 4, 5, 6, 7]
    # SQS takes no longer delay.
    assert max(desk.delays) <= 900
    assert len(desk.bus.entries) == 1
    assert desk.events.sent == [LINKED]


def test_nobody_is_reminded_of_a_file_that_missed_nobody(desk: Desk) -> None:
    desk.put("userAuthorizationId\n")

    desk.arrive()

    assert desk.delays == []


def test_the_reminders_end_with_the_last_repair(desk: Desk) -> None:
    desk.put()
    desk.arrive()
    event_id = f"recon:{FILE.file_type}:{FILE.day}:{LINKED}"
    desk.store.table.db.put_item(
        TableName="table",
        Item={
            name: {"S": value}
            for name, value in {
                "pk": f"EVENT#{event_id}",
                "sk": "EVENT",
                "event_id": event_id,
                "applied_at": utc_text(desk.now),
                "what": "kyc_read",
                "to_status": "VERIFIED",
                "user_id": "user-0001",
            }.items()
        },
    )

    assert desk.remind()

    assert desk.delays == [15]
    assert desk.file().repairs == {"applied": 1, "changed": 0, "waiting": 0}
    report = json.loads(desk.objects.objects[FILE.report_key])
    assert report["missed"][0]["outcome"] == "kyc_read"


@pytest.mark.parametrize(("age", "goes_on"), [(timedelta(days=3, seconds=-1), True), (timedelta(days=3), False)])
def test_the_reminders_end_when_the_events_queue_has_given_up(desk: Desk, age: timedelta, goes_on: bool) -> None:
    desk.put()
    desk.arrive()
    desk.now += age

    assert desk.remind()

    assert len(desk.delays) == 1 + goes_on


def test_a_reminder_that_comes_twice_is_answered_once(desk: Desk) -> None:
    desk.put()
    desk.arrive()

    assert desk.rounds(4, deliveries=2) == [1, 1, 1, 1]


def test_a_file_that_is_told_of_again_after_a_failure_has_one_chain_of_reminders(desk: Desk) -> None:
    desk.bus.failures += ["ThrottlingException", "ThrottlingException"]
    desk.put()
    assert not desk.arrive()
    assert not desk.arrive(receives=2)
    assert desk.arrive(receives=3)
    # Each run has asked for the report, lest none does.
    assert [json.loads(each["MessageBody"])["reminders"] for each in desk.queue.messages] == [1, 1, 1]

    assert desk.rounds(4) == [1, 1, 1, 1]


def test_a_file_that_is_told_of_again_long_after_begins_no_second_chain(desk: Desk) -> None:
    desk.bus.failures.append("ThrottlingException")
    desk.put()
    assert not desk.arrive()
    assert desk.rounds(3) == [1, 1, 1]

    assert desk.arrive(receives=2)

    assert desk.rounds(2) == [1, 1]


def test_a_reminder_whose_answer_was_not_written_down_does_not_multiply(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(**_: object) -> None:
        raise ConnectionResetError("the test cut the connection")

    desk.put()
    desk.arrive()
    [first] = desk.queue.messages
    with monkeypatch.context() as patch:
        patch.setattr(desk.table, "update_item", breaks)
        assert not desk.take(first["MessageBody"])

    # The reminder comes again, and has been answered already: that answer waits beside it.
    assert len(desk.queue.messages) == 2
    assert desk.rounds(4)[-1] == 1


def test_a_reminder_of_a_file_that_nobody_knows_is_done(desk: Desk) -> None:
    assert desk.take({"report": FILE.key, "reminders": 1})
    assert desk.take({"report": "nothing", "reminders": 1})

    assert not desk.objects.objects
    assert desk.delays == []


def test_with_too_little_time_the_message_comes_again_at_once(desk: Desk) -> None:
    desk.put()

    assert not desk.arrive(left_ms=59_999)

    [asked] = desk.queue.visibilities
    assert (asked["QueueUrl"], asked["ReceiptHandle"], asked["VisibilityTimeout"]) == ("compare", "receipt", 0)
    assert desk.events.sent == []
    assert desk.arrive()
    assert desk.events.sent == [LINKED]


@pytest.mark.parametrize(("receives", "least", "most"), [(1, 2, 60), (2, 5, 120), (20, 450, 900)])
def test_after_a_failure_the_message_comes_again_later_and_later(
    desk: Desk, receives: int, least: int, most: int
) -> None:
    # There is no such object.
    assert not desk.arrive(receives=receives)

    [asked] = desk.queue.visibilities
    assert least <= asked["VisibilityTimeout"] <= most


def test_a_failure_is_logged_by_its_type_alone(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.bus.failures.append(RuntimeError(f"https://recon.example.jp/?signature=x {LINKED}"))
    desk.put()

    assert not desk.arrive()

    printed = capsys.readouterr().out
    assert "RuntimeError" in printed
    assert "UnexpectedError" in printed
    assert '"frames":["_one' in printed.replace(" ", "")
    assert LINKED not in printed
    assert "signature" not in printed


def test_what_no_retry_can_mend_is_among_the_dead_letters_at_the_third_failure(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.bus.failures += [RuntimeError(), RuntimeError(), RuntimeError()]
    desk.put("userAuthorizationId\n")
    assert not desk.arrive()
    assert not desk.arrive(receives=2)
    assert list(desk.queue.messages) == []

    assert desk.arrive(receives=3)

    [letter] = desk.queue.messages
    assert letter["QueueUrl"] == "dead"
    assert json.loads(letter["MessageBody"]) == {"Records": [{"s3": {"object": {"key": FILE.key}}}]}
    assert letter["MessageAttributes"]["errorType"]["StringValue"] == "RuntimeError"
    assert "EventParked" in capsys.readouterr().out


@pytest.mark.parametrize("error", [MissingSettingError("RECON_BUCKET"), DENIED])
def test_what_a_person_must_mend_waits_and_rings_the_alarm(
    desk: Desk, error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.bus.failures.append(error)
    desk.put("userAuthorizationId\n")

    assert not desk.arrive(receives=20)

    assert list(desk.queue.messages) == []
    assert "ConfigurationFault" in capsys.readouterr().out


@pytest.mark.parametrize("body", ["{", "[]", '"text"', "null"])
def test_what_is_no_message_of_the_queue_is_parked(desk: Desk, body: str) -> None:
    assert not desk.take(body)
    assert desk.take(body, receives=3)

    assert [each["MessageBody"] for each in desk.queue.messages] == [body]


def test_a_refused_reconcompleted_is_sent_again(desk: Desk) -> None:
    desk.bus.failures.append("ThrottlingException")
    desk.put()
    assert not desk.arrive()

    assert desk.arrive(receives=2)
    assert desk.arrive(receives=3)

    assert [each["DetailType"] for each in desk.bus.entries] == ["ReconCompleted"]


def test_an_invalid_file_is_a_letter_and_no_repair(desk: Desk) -> None:
    desk.put(f"{LINKED},x\n")

    assert desk.arrive()

    file = desk.file()
    assert (file.state, file.reason) == ("INVALID", "1 of 1 rows are no ids")
    [letter] = desk.topic.letters
    assert letter["Subject"] == "Honnin: recon file missing: kyc_passport_sync_recon"
    assert "the file is not valid: 1 of 1 rows are no ids" in letter["Message"]
    assert (desk.events.sent, list(desk.bus.entries), desk.delays) == ([], [], [])


def test_an_invalid_file_keeps_what_its_bad_rows_were_like(desk: Desk) -> None:
    desk.put(f"userAuthorizationId\n{LINKED}\n\n{LINKED},x\n")

    desk.arrive()

    assert desk.file().bad_sample == (
        {"line": 3, "reason": "the row is empty"},
        {"line": 4, "reason": "the row has more than one column"},
    )


def test_a_letter_that_does_not_go_out_leaves_the_file_to_be_told_of(desk: Desk) -> None:
    desk.topic.failures.append(ConnectionResetError("no SNS"))
    desk.put(f"{LINKED},x\n")

    assert not desk.arrive()
    assert desk.store.recon.file(FILE.file_type, FILE.day, FILE.name) is None
    assert desk.arrive(receives=2)
    assert desk.arrive(receives=3)

    assert desk.file().state == "INVALID"
    assert len(desk.topic.letters) == 1


def test_no_day_that_is_none_stops_the_queue_for_long(desk: Desk) -> None:
    # A person put it there; the message ends among the dead letters.
    key = replace(FILE, day="2026-13-45").key
    desk.objects.put_object(Key=key, Body=f"{LINKED}\n".encode())

    assert not desk.arrive(key)

    assert desk.events.sent == []
