"""The poll: who is due is asked for, at the times of the issue, and what a crash left unpublished is published."""

import json
from datetime import datetime

import pytest

from honnin.errors import PublishError
from honnin.sqs_send import SendError
from sandbox.server import RunningSandbox
from tests.fakes.deployment import Deployment, Function, sample

HOUR = 3600
DAY = 24 * HOUR
# The issue: at 10 min, 1 h, 6 h, 24 h, then daily for 30 days, then weekly.
LAST_DAILY_S = 31 * DAY
TIMES_S = [600, HOUR, 6 * HOUR, *(DAY * day for day in range(1, 32)), *(LAST_DAILY_S + 7 * DAY * n for n in (1, 2, 3))]


@pytest.fixture
def poll(stack: Deployment) -> Function:
    return stack.function("vexora_status_poll")


def submit(stack: Deployment, user_id: str = "user-0001") -> str:
    event = sample("vexora_submission")
    event["body"] = json.dumps({"userId": user_id, "usernameFurigana": "テスト ハナコ"})
    submission_id: str = json.loads(stack.function("vexora_submission")(event)["body"])["submissionId"]
    return submission_id


def run(poll: Function, remaining_ms: int = 300_000) -> dict[str, int]:
    answer: dict[str, int] = poll(sample("vexora_status_poll"), remaining_ms)
    return answer


def read(stack: Deployment, user_id: str = "user-0001") -> dict[str, object]:
    event = sample("kyc_status")
    event |= {"path": f"/users/{user_id}", "pathParameters": {"userId": user_id}}
    view: dict[str, object] = json.loads(stack.function("kyc_status")(event)["body"])["providers"]["vexora"]
    return view


def test_nothing_is_polled_before_it_is_due(stack: Deployment, poll: Function) -> None:
    submit(stack)
    stack.pass_time(seconds=590)

    assert run(poll) == {"polled": 0, "published": 0}
    assert stack.receive() == []


def test_a_lost_callback_is_made_good_by_the_poll(stack: Deployment, poll: Function, box: RunningSandbox) -> None:
    submission_id = submit(stack)
    box.vexora.dials.put({"callback": "dropped"})
    box.vexora.review_now("user-0001", "approve")
    stack.pass_time(seconds=601)

    assert run(poll)["polled"] == 1
    [message] = stack.receive()
    event = json.loads(message["Body"])
    assert (event["cause"], event["subject"], event["detail"]) == ("poll", submission_id, {})
    assert stack.process(stack.function("event_processor"), 120_000) == []

    assert read(stack)["status"] == "APPROVED"
    stack.pass_time(days=2)
    assert run(poll)["polled"] == 0, "a decided submission is polled no more"


def test_the_times_of_the_issue_and_no_end(stack: Deployment, poll: Function) -> None:
    submission_id = submit(stack)
    submitted = stack.store.submissions.get(submission_id)
    assert submitted is not None
    found = []
    for _ in TIMES_S:
        current = stack.store.submissions.get(submission_id)
        assert current is not None
        assert current.due_at is not None
        due = datetime.fromisoformat(current.due_at) - datetime.fromisoformat(submitted.submitted_at)
        found.append(due.total_seconds())
        stack.pass_time(seconds=due.total_seconds() + 1)
        assert run(poll)["polled"] == 1
        assert run(poll)["polled"] == 0, "once a time"

    assert found == TIMES_S
    stack.pass_time(seconds=LAST_DAILY_S - 60)
    assert (read(stack)["status"], read(stack)["stale"]) == ("PENDING", False)
    stack.pass_time(seconds=LAST_DAILY_S + 60)
    assert (read(stack)["status"], read(stack)["stale"]) == ("PENDING", True)
    stack.pass_time(days=400)
    assert run(poll)["polled"] == 1


def test_an_approval_after_two_months_is_found(stack: Deployment, poll: Function, box: RunningSandbox) -> None:
    submit(stack)
    stack.pass_time(days=40)
    assert run(poll)["polled"] == 1
    assert stack.process(stack.function("event_processor"), 120_000) == []
    box.vexora.dials.put({"callback": "dropped"})
    box.vexora.review_now("user-0001", "approve")
    stack.pass_time(days=60)

    assert run(poll)["polled"] == 1
    assert stack.process(stack.function("event_processor"), 120_000) == []

    assert (read(stack)["status"], read(stack)["stale"]) == ("APPROVED", False)


def test_missed_runs_are_made_up_for_by_one_poll(stack: Deployment, poll: Function) -> None:
    submit(stack)
    stack.pass_time(days=5, hours=1)

    assert run(poll)["polled"] == 1
    assert run(poll)["polled"] == 0
    stack.pass_time(days=6, hours=1)
    assert run(poll)["polled"] == 1


def test_an_application_whose_answer_was_lost_is_resolved_with_one_apply(
    stack: Deployment, poll: Function, box: RunningSandbox
) -> None:
    box.vexora.dials.put({"apply_fault": {"kind": "reset", "when": "after", "times": 1}})
    submit(stack)
    assert read(stack)["status"] == "SUBMITTING"
    stack.pass_time(seconds=601)

    run(poll)
    assert stack.process(stack.function("event_processor"), 120_000) == []

    assert read(stack)["status"] == "PENDING"
    view = box.vexora.register.view("user-0001")
    assert (view["apply_calls"], view["query_calls"]) == (1, 1)


def test_an_application_that_never_arrived_stays_open_and_may_be_sent_again(
    stack: Deployment, poll: Function, box: RunningSandbox
) -> None:
    stack.parameters["VexoraUnknownUserCodes"] = "2001"
    box.vexora.dials.put({"apply_fault": {"kind": "reset", "when": "before", "times": 1}})
    first = submit(stack)
    stack.pass_time(seconds=601)
    run(poll)
    assert stack.process(stack.function("event_processor"), 120_000) == []
    assert read(stack)["status"] == "SUBMITTING"

    second = submit(stack)

    assert second != first
    assert read(stack)["status"] == "PENDING"
    stack.pass_time(days=3)
    assert run(poll)["polled"] == 1, "only the second is still polled"


def test_a_queue_that_takes_nothing_leaves_the_submission_due(stack: Deployment, poll: Function) -> None:
    submit(stack)
    stack.pass_time(seconds=601)
    stack.stand_in.fail_with = 500
    with pytest.raises(SendError):
        run(poll)

    stack.stand_in.fail_with = 0
    assert run(poll)["polled"] == 1


def test_a_crash_after_the_sending_repeats_the_same_event_id(
    stack: Deployment, poll: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CrashError(BaseException):
        pass

    def crash(*_args: object) -> None:
        raise CrashError

    submit(stack)
    stack.pass_time(seconds=601)
    with monkeypatch.context() as crashing:
        crashing.setattr("honnin.store.submissions.Submissions.advance", crash)
        with pytest.raises(CrashError):
            run(poll)
    assert run(poll)["polled"] == 1

    first, second = (json.loads(message["Body"])["event_id"] for message in stack.receive())
    assert first == second
    assert stack.process(stack.function("event_processor"), 120_000) == []
    assert len(stack.store.users.timeline("user-0001", 10)[0]) == 3


def test_near_the_end_of_its_time_it_stops_and_the_rest_stays_due(stack: Deployment, poll: Function) -> None:
    for number in range(3):
        submit(stack, f"user-{number}")
    stack.pass_time(seconds=601)

    assert poll(sample("vexora_status_poll"), 300_000, 4_000)["polled"] == 1
    assert run(poll)["polled"] == 2


def test_a_change_that_was_never_published_is_published_by_the_poll(
    stack: Deployment, poll: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_args: object) -> None:
        raise PublishError("the bus is down")

    with monkeypatch.context() as failing:
        failing.setattr("honnin.publish.Publisher._put", down)
        submit(stack)
    assert stack.published() == []
    assert run(poll)["published"] == 0, "it may still be under way"
    stack.pass_time(seconds=130)

    assert run(poll)["published"] == 2

    assert [each["detail"]["to"] for each in stack.published()] == ["SUBMITTING", "PENDING"]
    assert run(poll)["published"] == 0
