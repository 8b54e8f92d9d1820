"""One batch of the events queue, from the SQS event to the table, the bus and the dead letters."""

import json
from datetime import timedelta
from typing import Any

import pytest
from aws_lambda_powertools.utilities import parameters
from botocore.exceptions import ClientError

from honnin.event import Event
from honnin.store import Effect, Submission, UserStatus
from honnin.times import utc_text
from sandbox.server import RunningSandbox
from tests.fakes.deployment import Deployment, Function, callback, sample, sqs_record, utc_now

SAMPLE_ID = "5f0c9c1e-6f0b-4d52-9d0e-0c6b7e0c2a11"


@pytest.fixture
def processor(stack: Deployment) -> Function:
    return stack.function("event_processor")


def submit(stack: Deployment, user_id: str = "user-0001") -> str:
    event = sample("vexora_submission")
    event["body"] = json.dumps({"userId": user_id, "usernameFurigana": "テスト ハナコ"})
    submission_id: str = json.loads(stack.function("vexora_submission")(event)["body"])["submissionId"]
    return submission_id


def decide(box: RunningSandbox, outcome: str = "approve", user_id: str = "user-0001") -> None:
    box.vexora.dials.put({"callback": "dropped"})
    box.vexora.review_now(user_id, outcome)


def call_back(stack: Deployment, submission_id: str, claims: str = "2", serial: int = 0) -> None:
    body = json.dumps({"authenticationStatus": claims, "timestamp": str(serial)})
    assert stack.function("vexora_result_webhook")(callback(submission_id, body))["body"] == "OK"


def status_of(stack: Deployment, user_id: str = "user-0001") -> UserStatus:
    status = stack.store.users.status(user_id, "vexora")
    assert status is not None
    return status


def changes(stack: Deployment) -> list[tuple[str, str]]:
    return [(each["detail"]["from"], each["detail"]["to"]) for each in stack.published()]


def test_the_sample_event_reads_the_truth_back_and_applies_it(
    stack: Deployment, processor: Function, box: RunningSandbox
) -> None:
    now = utc_text(utc_now() - timedelta(minutes=1))
    box.vexora.register.apply("user-0001", "https://hooks.example.com/v1/webhooks/vexora/kyc-result/a/b")
    decide(box)
    after = UserStatus("user-0001", "vexora", "SUBMITTING", 1, submission_id=SAMPLE_ID, submitted_at=now)
    opened = Submission(SAMPLE_ID, "user-0001", "SUBMITTING", now, due_at=now)
    stack.store.events.apply(
        Effect(f"api:{SAMPLE_ID}:started", "submission_started", "api", now, None, after, {}, opens=opened)
    )

    [record] = sample("event_processor")["Records"]
    here = record | {"eventSourceARN": "arn:aws:sqs:ap-northeast-1:123456789012:EventQueue"}
    assert processor({"Records": [here]}, 120_000) == {"batchItemFailures": []}

    status = status_of(stack)
    assert (status.status, status.provider_status) == ("APPROVED", "2")
    assert len(stack.store.users.timeline("user-0001", 10)[0]) == 2  # what is written above, and read once
    assert status.read_at is not None
    assert changes(stack) == [("SUBMITTING", "APPROVED")]
    submission = stack.store.submissions.get(SAMPLE_ID)
    assert submission is not None
    assert (submission.status, submission.due_at is None or submission.polls == 0) == ("APPROVED", True)
    assert list(stack.store.submissions.due("9999")) == []


@pytest.mark.parametrize(("outcome", "status"), [("approve", "APPROVED"), ("reject", "REJECTED")])
def test_a_callback_leads_to_the_providers_decision(
    stack: Deployment, processor: Function, box: RunningSandbox, outcome: str, status: str
) -> None:
    submission_id = submit(stack)
    decide(box, outcome)
    call_back(stack, submission_id)

    assert stack.process(processor, 120_000) == []

    assert status_of(stack).status == status
    assert changes(stack)[-1] == ("PENDING", status)
    assert stack.receive() == []


def test_a_claim_that_the_provider_does_not_confirm_changes_nothing(stack: Deployment, processor: Function) -> None:
    submission_id = submit(stack)
    before = status_of(stack)
    stack.published()
    call_back(stack, submission_id, claims="2")

    assert stack.process(processor, 120_000) == []

    after = status_of(stack)
    assert after.status == "PENDING"
    assert after.version > before.version
    assert stack.published() == []
    newest, *older = stack.store.users.timeline("user-0001", 10)[0]
    assert (newest.what, newest.detail["claimed"]) == ("result_read", "2")
    assert [each.what for each in older] == ["submission_accepted", "submission_started"]


def test_a_duplicate_event_has_no_second_effect(stack: Deployment, processor: Function, box: RunningSandbox) -> None:
    submission_id = submit(stack)
    decide(box)
    call_back(stack, submission_id)
    [message] = stack.receive()
    stack.send(message["Body"])
    stack.send(message["Body"])
    assert stack.process(processor, 120_000) == []
    stack.send(message["Body"])
    queries = box.vexora.register.view("user-0001")["query_calls"]

    assert stack.process(processor, 120_000) == []

    assert len(stack.store.users.timeline("user-0001", 10)[0]) == 3  # started, accepted, read once
    assert changes(stack).count(("PENDING", "APPROVED")) == 1
    assert box.vexora.register.view("user-0001")["query_calls"] == queries == 1


def test_two_callbacks_with_the_same_bytes_are_two_events(
    stack: Deployment, processor: Function, box: RunningSandbox
) -> None:
    submission_id = submit(stack)
    call_back(stack, submission_id, claims="2")
    assert stack.process(processor, 120_000) == []
    assert status_of(stack).status == "PENDING"
    decide(box)

    call_back(stack, submission_id, claims="2")
    assert stack.process(processor, 120_000) == []

    assert status_of(stack).status == "APPROVED"


def test_state_timeline_and_record_appear_together_or_not_at_all(
    stack: Deployment, processor: Function, box: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission_id = submit(stack)
    decide(box)
    call_back(stack, submission_id)
    before = stack.items()
    monkeypatch.setattr("honnin.store.events.Events._submission_update", _impossible)

    assert len(stack.process(processor, 120_000)) == 1

    assert stack.items() == before


def _impossible(store: Any, effect: Effect) -> dict[str, Any]:
    return {
        "TableName": "StateTable",
        "Key": {"pk": {"S": "SUBMISSION#none"}, "sk": {"S": "SUBMISSION"}},
        "UpdateExpression": "REMOVE due_at",
        "ConditionExpression": "attribute_exists(pk)",
    }


@pytest.mark.parametrize("kind", ["http_500", "http_429", "reset", "malformed", "code_8000"])
def test_a_retryable_failure_keeps_the_message_and_makes_it_wait(
    stack: Deployment, processor: Function, box: RunningSandbox, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    submission_id = submit(stack)
    decide(box)
    call_back(stack, submission_id)
    box.vexora.dials.put({"query_fault": {"kind": kind, "times": 1}})
    monkeypatch.setattr("honnin.worker.backoff_s", lambda receives, **_fields: 0)
    version = status_of(stack).version

    assert len(stack.process(processor, 120_000)) == 1
    assert (status_of(stack).status, status_of(stack).version) == ("PENDING", version)

    # The 720 s of the queue were shortened: the message is there again, and succeeds.
    assert stack.process(processor, 120_000) == []
    assert status_of(stack).status == "APPROVED"


def test_the_wait_of_a_failed_message_is_set_on_the_queue(
    stack: Deployment, processor: Function, box: RunningSandbox
) -> None:
    call_back(stack, submit(stack))
    box.vexora.dials.put({"query_fault": "http_500"})

    assert len(stack.process(processor, 120_000)) == 1

    assert stack.receive() == [], "the message is visible at once"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("not json", "MalformedEventError"),
        ("{}", "MalformedEventError"),
        (
            Event("e1", "vexora", "kyc_result", "webhook", "unknown", "2026-04-01T00:00:00Z").to_json(),
            "MalformedEventError",
        ),
        (Event("e2", "vexora", "surprise", "webhook", "s", "2026-04-01T00:00:00Z").to_json(), "MalformedEventError"),
    ],
)
def test_a_poison_message_is_dead_lettered_at_its_third_receive_while_its_batch_goes_on(
    stack: Deployment,
    processor: Function,
    box: RunningSandbox,
    monkeypatch: pytest.MonkeyPatch,
    body: str,
    error: str,
) -> None:
    monkeypatch.setattr("honnin.worker.backoff_s", lambda receives, **_fields: 0)
    stack.send(body)
    submission_id = submit(stack)
    decide(box)
    call_back(stack, submission_id)

    assert len(stack.process(processor, 120_000)) == 1
    assert status_of(stack).status == "APPROVED"
    assert len(stack.process(processor, 120_000)) == 1
    assert stack.receive("DeadLetterQueue") == []
    assert stack.process(processor, 120_000) == []

    [dead_lettered] = stack.receive("DeadLetterQueue")
    assert dead_lettered["Body"] == body
    assert dead_lettered["MessageAttributes"]["errorType"]["StringValue"] == error
    assert stack.receive() == []


def test_an_unexpected_error_is_dead_lettered_with_its_type_and_its_text_is_not_logged(
    stack: Deployment, processor: Function, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_args: object) -> None:
        raise ZeroDivisionError("ヒミツ")

    call_back(stack, submit(stack))
    monkeypatch.setattr("honnin.vexora.client.VexoraClient.query_status", fail)
    [message] = stack.receive(visibility_s=0)
    record = sqs_record(message)
    # After a long outage: the receives of it do not count.
    record["attributes"]["ApproximateReceiveCount"] = "21"

    for _ in range(2):
        assert len(processor({"Records": [record]}, 120_000)["batchItemFailures"]) == 1
    assert stack.receive("DeadLetterQueue") == []
    assert processor({"Records": [record]}, 120_000) == {"batchItemFailures": []}

    [dead_lettered] = stack.receive("DeadLetterQueue")
    assert dead_lettered["MessageAttributes"]["errorType"]["StringValue"] == "ZeroDivisionError"
    text = capsys.readouterr().out
    assert "ZeroDivisionError" in text
    assert "ヒミツ" not in text
    assert json.dumps("ヒミツ")[1:-1] not in text


def test_a_batch_stops_before_the_time_is_up_and_reports_the_rest(
    stack: Deployment, processor: Function, box: RunningSandbox
) -> None:
    for number in range(3):
        submission_id = submit(stack, f"user-{number}")
        decide(box, user_id=f"user-{number}")
        call_back(stack, submission_id)

    # The function asks first for the calls' sake, then before each message.
    failed = stack.process(processor, 51_000, 51_000, 49_000)

    assert len(failed) == 2
    statuses = sorted(status_of(stack, f"user-{number}").status for number in range(3))
    assert statuses == ["APPROVED", "PENDING", "PENDING"]
    assert stack.process(processor, 120_000) == [], "the rest is visible again at once"
    assert {status_of(stack, f"user-{number}").status for number in range(3)} == {"APPROVED"}


def test_a_missing_secret_keeps_events_waiting_however_often_they_come(
    stack: Deployment, processor: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    call_back(stack, submit(stack))
    stack.put_providers_secret({})
    parameters.clear_caches()  # type: ignore[no-untyped-call]
    record = sqs_record(stack.receive()[0])
    record["attributes"]["ApproximateReceiveCount"] = "150"

    assert len(processor({"Records": [record]}, 120_000)["batchItemFailures"]) == 1

    assert stack.receive("DeadLetterQueue") == []
    text = capsys.readouterr().out
    assert "vexora_merchant_no" in text
    assert "put-secret-value" in text
    assert '"ConfigurationFault"' in text


def test_a_crash_between_commit_and_publish_is_made_good_when_the_event_comes_again(
    stack: Deployment, processor: Function, box: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CrashError(BaseException):
        pass

    def crash(*_args: object) -> None:
        raise CrashError

    submission_id = submit(stack)
    decide(box)
    call_back(stack, submission_id)
    stack.published()
    with monkeypatch.context() as crashing:
        crashing.setattr("honnin.publish.Publisher._put", crash)
        with pytest.raises(CrashError):
            processor({"Records": [sqs_record(message) for message in stack.receive()]}, 120_000)
    assert status_of(stack).status == "APPROVED"
    assert stack.published() == []

    assert stack.process(processor, 120_000) == []

    assert changes(stack) == [("PENDING", "APPROVED")]
    assert list(stack.store.events.unpublished("9999")) == []


def test_a_bus_that_fails_brings_the_event_again_and_it_is_told_then(
    stack: Deployment, processor: Function, box: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> None:
        raise ClientError({"Error": {"Code": "ThrottlingException"}}, "PutEvents")

    monkeypatch.setattr("honnin.worker.backoff_s", lambda receives, **_fields: 0)
    submission_id = submit(stack)
    decide(box)
    call_back(stack, submission_id)
    stack.published()
    with monkeypatch.context() as failing:
        failing.setattr("honnin.publish.Publisher._put", fail)
        assert len(stack.process(processor, 120_000)) == 1

    assert stack.process(processor, 120_000) == []
    assert changes(stack) == [("PENDING", "APPROVED")]
    assert len(stack.store.users.timeline("user-0001", 10)[0]) == 3
