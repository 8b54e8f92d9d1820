"""The worker: which messages are done, which come again and when, which are moved to the dead-letter queue."""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from honnin import worker
from honnin.errors import (
    ConcurrentUpdateError,
    EventNotReadyError,
    HonninError,
    MaintenanceError,
    MalformedEventError,
    MissingSettingError,
    ProviderRefusedError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    PublishError,
    RepairsStoppedError,
    SecretIncompleteError,
)
from honnin.event import Event
from tests.fakes import FakeLambdaContext, FakeQueue, FakeQueueClient
from tests.fakes.counts import counted

MARKED = "marked-value-of-a-person"

EVENT = Event("e-1", "vexora", "kyc_result", "webhook", "sub-1", "2026-04-01T03:00:00.000Z")

THROTTLED = ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "TransactWriteItems")


def message(message_id: str, *, receives: int = 1, body: str | None = None) -> dict[str, Any]:
    return {
        "messageId": message_id,
        "receiptHandle": f"receipt-{message_id}",
        "body": EVENT.to_json() if body is None else body,
        "attributes": {"ApproximateReceiveCount": str(receives), "SentTimestamp": "1775012400000"},
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:ap-northeast-1:000000000000:events",
        "awsRegion": "ap-northeast-1",
    }


def run(
    *messages: dict[str, Any],
    process: Callable[[Event], None],
    queue: worker.Queue,
    remaining_ms: Sequence[int] = (60_000,),
    count_failure: worker.CountFailure | None = None,
) -> list[str]:
    """The ids that SQS must keep."""
    answer = worker.run(
        {"Records": list(messages)},
        FakeLambdaContext(*remaining_ms),
        parse=Event.from_json,
        process=process,
        queue=queue,
        count_failure=count_failure,
    )
    return [str(failure["itemIdentifier"]) for failure in answer["batchItemFailures"]]


def failing(error: Exception) -> Callable[[Event], None]:
    def process(event: Event) -> None:
        raise error

    return process


def fine(event: Event) -> None:
    """Succeed."""


def test_a_batch_that_succeeds_keeps_nothing() -> None:
    seen: list[Event] = []
    queue = FakeQueue()
    assert run(message("a"), message("b"), process=seen.append, queue=queue) == []
    assert seen == [EVENT, EVENT]
    assert (queue.delays, queue.dead_lettered) == ({}, {})


# Back-off


@pytest.mark.parametrize(
    ("receives", "shortest", "longest"),
    [(1, 2, 5), (2, 5, 10), (3, 10, 20), (8, 320, 640), (9, 450, 900), (12, 450, 900), (200, 450, 900)],
)
def test_the_delay_doubles_from_5_s_to_15_min_with_half_of_it_jitter(
    receives: int, shortest: int, longest: int
) -> None:
    assert worker.backoff_s(receives, draw=lambda low, high: low) == shortest
    assert worker.backoff_s(receives, draw=lambda low, high: high) == longest


@given(st.integers(1, 10_000))
def test_every_delay_is_one_that_sqs_takes(receives: int) -> None:
    assert 0 < worker.backoff_s(receives) <= 900


def test_delays_are_jittered() -> None:
    assert len({worker.backoff_s(9) for _ in range(50)}) > 10


@pytest.mark.parametrize("receives", [1, 5, 150])
def test_announced_maintenance_starts_at_5_min(receives: int) -> None:
    queue = FakeQueue()
    error = MaintenanceError("paypay", "MAINTENANCE_MODE", http_status=503)
    assert run(message("a", receives=receives), process=failing(error), queue=queue) == ["a"]
    assert (150 if receives == 1 else 450) <= queue.delays["a"] <= (300 if receives == 1 else 900)


# Stopped


@pytest.mark.parametrize("receives", [1, 3, 150])
def test_what_is_stopped_comes_again_as_seldom_as_can_be_and_is_no_failure(
    receives: int, capsys: pytest.CaptureFixture[str]
) -> None:
    queue = FakeQueue()
    assert run(message("a", receives=receives), process=failing(RepairsStoppedError("stopped")), queue=queue) == ["a"]
    assert (queue.delays, queue.dead_lettered) == ({"a": 900}, {})
    assert "EventFailed" not in capsys.readouterr().out


# A schedule of its own


class ScheduledError(HonninError):
    """Has three tries after the first."""

    schedule_s = (10, 100, 1000)


@pytest.mark.parametrize(("failures", "planned_s"), [(0, 10), (1, 100), (2, 1000)])
def test_an_error_with_a_schedule_waits_by_it_whatever_sqs_counts(failures: int, planned_s: int) -> None:
    queue, counted = FakeQueue(), Failures()
    for _ in range(failures):
        counted("a", "ScheduledError")
    run(message("a", receives=90), process=failing(ScheduledError("no")), queue=queue, count_failure=counted)
    assert planned_s <= queue.delays["a"] <= 1.2 * planned_s
    assert queue.dead_lettered == {}


def test_after_the_last_try_of_a_schedule_it_is_moved() -> None:
    queue, counted = FakeQueue(), Failures()
    for _ in range(3):
        counted("a", "ScheduledError")
    kept = run(message("a"), process=failing(ScheduledError("no")), queue=queue, count_failure=counted)
    assert (kept, queue.delays, set(queue.dead_lettered)) == ([], {}, {"a"})


def test_a_failure_that_cannot_be_counted_is_not_the_last() -> None:
    queue = FakeQueue()

    def cannot(*_: str) -> int:
        raise THROTTLED

    process = failing(ScheduledError("no"))
    assert run(message("a", receives=900), process=process, queue=queue, count_failure=cannot) == ["a"]
    assert queue.dead_lettered == {}


# Retryable


RETRYABLE = [
    ProviderUnavailableError("vexora", "503", http_status=503),
    ProviderTimeoutError("vexora", "no answer"),
    ConcurrentUpdateError("changed meanwhile"),
    EventNotReadyError("being sent"),
    PublishError("refused"),
    MissingSettingError("STATE_TABLE"),
    SecretIncompleteError("arn", "vexora_app_secret"),
    THROTTLED,
    EndpointConnectionError(endpoint_url="https://dynamodb"),
]


@pytest.mark.parametrize("error", RETRYABLE, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("receives", [1, 3, 150])
def test_what_time_or_a_person_can_mend_waits_and_is_no_dead_letter(error: Exception, receives: int) -> None:
    queue = FakeQueue()
    assert run(message("a", receives=receives), process=failing(error), queue=queue) == ["a"]
    assert queue.dead_lettered == {}
    ceiling = min(900, 5 * 2 ** (receives - 1))
    assert ceiling // 2 <= queue.delays["a"] <= ceiling


# What no retry can mend


FINAL = [
    MalformedEventError("unknown kind"),
    ProviderRefusedError("vexora", "no"),
    HonninError("unknown"),
    RuntimeError(MARKED),
    KeyError(MARKED),
]


@pytest.mark.parametrize("error", FINAL, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("receives", [1, 2])
def test_it_comes_again_twice(error: Exception, receives: int) -> None:
    queue = FakeQueue()
    assert run(message("a", receives=receives), process=failing(error), queue=queue) == ["a"]
    assert queue.dead_lettered == {}
    assert 2 <= queue.delays["a"] <= 10


@pytest.mark.parametrize("error", FINAL, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("receives", [3, 4, 50])
def test_without_a_count_it_is_dead_lettered_at_the_third_receive_and_then_done(
    error: Exception, receives: int
) -> None:
    queue = FakeQueue()
    assert run(message("a", receives=receives), process=failing(error), queue=queue) == []
    assert queue.dead_lettered == {"a": type(error).__name__}
    assert queue.delays == {}


class Failures:
    """`Events.count_failure` in memory."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    def __call__(self, message_id: str, kind: str) -> int:
        """Count one more."""
        self.counts[message_id, kind] += 1
        return self.counts[message_id, kind]


@pytest.mark.parametrize("final", FINAL, ids=lambda error: type(error).__name__)
def test_an_outage_of_20_receives_does_not_use_up_the_tries_of_a_final_error(final: Exception) -> None:
    queue, failures = FakeQueue(), Failures()
    errors = [*[ProviderUnavailableError("vexora", "503")] * 19, THROTTLED, final, final, final]
    kept = [
        run(message("a", receives=receives), process=failing(error), queue=queue, count_failure=failures)
        for receives, error in enumerate(errors, 1)
    ]
    assert kept == [["a"]] * 22 + [[]]
    assert queue.dead_lettered == {"a": type(final).__name__}
    assert failures.counts.total() == 3, "an outage is not counted"


def test_failures_of_two_kinds_are_two_counts_and_so_are_two_messages() -> None:
    queue, failures = FakeQueue(), Failures()
    for error in (KeyError(), RuntimeError(), KeyError(), RuntimeError()):
        for message_id in ("a", "b"):
            run(message(message_id, receives=9), process=failing(error), queue=queue, count_failure=failures)
    assert queue.dead_lettered == {}
    run(message("b", receives=9), process=failing(KeyError()), queue=queue, count_failure=failures)
    assert queue.dead_lettered == {"b": "KeyError"}


@pytest.mark.parametrize("error", [THROTTLED, EndpointConnectionError(endpoint_url="https://dynamodb")])
def test_a_failure_that_cannot_be_counted_makes_no_dead_letter(error: Exception) -> None:
    def broken(_message_id: str, _kind: str) -> int:
        raise error

    queue = FakeQueue()
    assert run(message("a", receives=50), process=failing(KeyError()), queue=queue, count_failure=broken) == ["a"]
    assert queue.dead_lettered == {}


@pytest.mark.parametrize("body", ["", "{", "[]", '{"v": 2}', "テスト"])
def test_a_body_that_is_no_event_is_malformed_and_not_processed(body: str) -> None:
    seen: list[Event] = []
    queue = FakeQueue()
    assert run(message("a", receives=3, body=body), process=seen.append, queue=queue) == []
    assert queue.dead_lettered == {"a": "MalformedEventError"}
    assert seen == []


def test_a_batch_goes_on_past_a_poison_message() -> None:
    seen: list[str] = []
    queue = FakeQueue()
    poison = message("b", receives=3, body="{")
    fresh_poison = message("c", body="{")
    kept = run(
        message("a"), poison, fresh_poison, message("d"), process=lambda event: seen.append(event.event_id), queue=queue
    )
    assert kept == ["c"]
    assert queue.dead_lettered == {"b": "MalformedEventError"}
    assert len(seen) == 2


def test_a_batch_of_nothing_but_failures_is_reported_not_raised() -> None:
    kept = run(message("a"), message("b"), process=failing(THROTTLED), queue=FakeQueue())
    assert kept == ["a", "b"]


class BrokenQueue(FakeQueue):
    """SQS itself fails."""

    def delay(self, record: Any, seconds: int) -> None:
        """Fail."""
        raise THROTTLED

    def move_to_dead_letters(self, record: Any, error: Exception) -> None:
        """Fail."""
        raise THROTTLED


@pytest.mark.parametrize("receives", [1, 3])
def test_a_message_is_kept_when_it_can_be_neither_delayed_nor_dead_lettered(receives: int) -> None:
    kept = run(
        message("a", receives=receives),
        message("b", receives=receives),
        process=failing(ValueError()),
        queue=BrokenQueue(),
    )
    assert kept == ["a", "b"]


# Time


def test_what_is_left_when_the_time_is_short_comes_again_at_once() -> None:
    seen: list[Event] = []
    queue = FakeQueue()
    kept = run(
        message("a"),
        message("b", receives=3),
        message("c"),
        process=seen.append,
        queue=queue,
        remaining_ms=(50_000, 49_999),
    )
    assert kept == ["b", "c"]
    assert queue.delays == {"b": 0, "c": 0}
    assert queue.dead_lettered == {}
    assert len(seen) == 1


def test_what_was_not_ended_in_time_comes_again_at_once_and_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    queue = FakeQueue()
    error = worker.NotEnoughTimeError("the rest comes in the next run")
    assert run(message("a", receives=3), process=failing(error), queue=queue) == ["a"]
    assert (queue.delays, queue.dead_lettered) == ({"a": 0}, {})
    assert capsys.readouterr().out == ""


# Messages of another kind


def test_a_message_is_what_parse_reads_of_its_body() -> None:
    seen: list[int] = []
    queue = FakeQueue()
    batch = {"Records": [message("a", body="7"), message("b", body="seven", receives=3)]}
    answer = worker.run(batch, FakeLambdaContext(60_000), parse=int, process=seen.append, queue=queue)
    assert (seen, answer["batchItemFailures"]) == ([7], [])
    assert queue.dead_lettered == {"b": "MalformedEventError"}


# Calls to SQS


def test_what_sqs_is_asked() -> None:
    sqs = FakeQueueClient()
    queue = worker.Queue("https://sqs/events", "https://sqs/dead", sqs.client)
    run(message("a", receives=200), process=failing(THROTTLED), queue=queue)
    run(message("b", receives=3, body="{"), process=fine, queue=queue)
    (delay,) = sqs.visibilities
    assert 450 <= delay.pop("VisibilityTimeout") <= 900
    assert delay == {"QueueUrl": "https://sqs/events", "ReceiptHandle": "receipt-a"}
    assert sqs.messages == [
        {
            "QueueUrl": "https://sqs/dead",
            "MessageBody": "{",
            "MessageAttributes": {"errorType": {"DataType": "String", "StringValue": "MalformedEventError"}},
        }
    ]


# What is logged


@pytest.mark.parametrize("receives", [1, 3])
@pytest.mark.parametrize(
    ("error", "body"),
    [
        pytest.param(RuntimeError(MARKED), None, id="an unexpected error's message"),
        pytest.param(None, json.dumps({"v": 1, "name": MARKED}), id="a malformed body"),
        pytest.param(None, MARKED, id="a body that is not JSON"),
    ],
)
def test_no_value_is_logged(
    error: Exception | None, body: str | None, receives: int, capsys: pytest.CaptureFixture[str]
) -> None:
    run(message("a", receives=receives, body=body), process=failing(error) if error else fine, queue=FakeQueue())
    printed = "".join(capsys.readouterr())
    assert MARKED not in printed
    assert "receipt-a" not in printed
    (record,) = [json.loads(line) for line in printed.splitlines() if "message_id" in line]
    assert record["error"] == ("RuntimeError" if error else "MalformedEventError")
    assert record["message_id"] == "a"
    assert record["receives"] == receives


def test_a_providers_failure_is_logged_by_status_code_and_request_id(capsys: pytest.CaptureFixture[str]) -> None:
    error = ProviderUnavailableError("paypay", MARKED, http_status=503, code="SERVICE_ERROR", request_id="OPA1")
    run(message("a"), process=failing(error), queue=FakeQueue())
    printed = "".join(capsys.readouterr())
    (record,) = [json.loads(line) for line in printed.splitlines() if "message_id" in line]

    assert MARKED not in printed
    said = [record[name] for name in ("provider", "error", "http_status", "code", "request_id")]
    assert said == ["paypay", "ProviderUnavailableError", 503, "SERVICE_ERROR", "OPA1"]


@pytest.mark.parametrize(
    ("error", "receives", "metrics"),
    [
        (THROTTLED, 1, {"EventFailed"}),
        (ProviderTimeoutError("paypay", "no answer"), 1, {"EventFailed"}),
        (RuntimeError(), 1, {"EventFailed", "UnexpectedError"}),
        (RuntimeError(), 3, {"EventParked", "UnexpectedError"}),
        (MissingSettingError("STATE_TABLE"), 3, {"EventFailed", "ConfigurationFault"}),
    ],
)
def test_what_is_counted(
    error: Exception, receives: int, metrics: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run(message("a", receives=receives), process=failing(error), queue=FakeQueue())
    assert set(counted(capsys.readouterr().out)) == metrics


@pytest.mark.parametrize(("age_s", "is_overdue"), [(3599, False), (3601, True)])
def test_an_event_that_fails_is_overdue_when_it_was_sent_long_ago(
    age_s: float, is_overdue: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = message("a", receives=5)
    sent["attributes"]["SentTimestamp"] = str(int((time.time() - age_s) * 1000))
    queue = FakeQueue()
    queue.overdue_s = 3600
    run(sent, process=failing(THROTTLED), queue=queue)
    printed = capsys.readouterr().out
    assert ("EventOverdue" in counted(printed)) is is_overdue
    [line] = [each for each in map(json.loads, printed.splitlines()) if "EventOverdue" in each] or [{}]
    assert line.get("error") == ("ClientError" if is_overdue else None)


QUEUES = ("https://sqs.example/1/events", "https://sqs.example/1/notifications")


def _from(*names: str) -> dict[str, Any]:
    return {"Records": [{"eventSourceARN": f"arn:aws:sqs:ap-northeast-1:1:{name}"} for name in names]}


@pytest.mark.parametrize("url", QUEUES)
def test_the_batchs_own_queue_is_found_by_its_name(url: str) -> None:
    assert worker.queue_of(_from(*[url.rpartition("/")[2]] * 2), QUEUES) == url


@pytest.mark.parametrize("names", [("others",), ("events", "notifications"), ("xevents",), ()])
def test_a_batch_of_another_queue_is_not_guessed_at(names: tuple[str, ...]) -> None:
    with pytest.raises(MalformedEventError):
        worker.queue_of(_from(*names), QUEUES)
