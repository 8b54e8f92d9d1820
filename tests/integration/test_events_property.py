"""Whatever comes in whatever order, and wherever it crashes: the end is the provider's truth, told once."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from hypothesis import HealthCheck, Phase, example, find, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from honnin.store import Effect, Store, Submission, UserStatus
from honnin.vexora.submission import Submissions
from tests.integration.simulation import (
    Deliver,
    Forge,
    Parts,
    Poll,
    RecordFirstStore,
    Review,
    Schedule,
    Step,
    Submit,
    UnfencedStore,
    ViolationError,
    Wait,
    run,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

EXAMPLES = settings(
    # No shrinking: at a fifth of a second a schedule it would take minutes, and ten steps can be read as they are.
    phases=(Phase.explicit, Phase.generate),
    database=None,
    max_examples=250,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


query_faults = st.sampled_from(["", "", "", "timeout", "error_500"])
apply_faults = st.sampled_from(["", "", "", "", "lost", "unanswered", "late", "error_before", "error_after", "refused"])
deliveries = st.builds(Deliver, st.integers(0, 3), st.booleans(), query_faults)
waits = st.builds(Wait, st.sampled_from([1, 60, 700, 4000, 90_000]))


def schedules_of(users: st.SearchStrategy[int]) -> st.SearchStrategy[Schedule]:
    """Schedules of up to ten steps with up to four interruptions."""
    submits = st.builds(Submit, users, apply_faults, query_faults)
    outcomes = st.sampled_from(["approve", "reject", "reject", "begin"])
    reviews = st.builds(Review, users, outcomes, st.integers(0, 2), st.sampled_from(["", "", "2", "3", "0"]))
    forgeries = st.builds(Forge, users, st.booleans())
    polls = st.just(Poll())
    # Meanwhile no time passes: a call under way would outlive the function that makes it.
    meanwhile: st.SearchStrategy[Step] = st.one_of(submits, reviews, deliveries, polls)
    steps: st.SearchStrategy[Step] = st.one_of(submits, reviews, deliveries, deliveries, forgeries, polls, waits)
    return st.builds(
        Schedule,
        # Every schedule has a user to speak of from the start.
        st.builds(lambda first, rest: (first, *rest), submits, st.lists(steps, min_size=2, max_size=9)),
        st.dictionaries(st.integers(0, 60), st.one_of(st.none(), meanwhile), max_size=4),
    )


REJECTED_THEN_APPROVED = (
    Submit(0),
    Review(0, "reject"),
    Deliver(),
    Submit(0, "unanswered"),
    Wait(700),
    Poll(),
    Deliver(),
)


@pytest.fixture(scope="module")
def dynamodb() -> Iterator["DynamoDBClient"]:
    """One moto for all schedules; each has its own table. moto is not safe under threads: there is one here."""
    with pytest.MonkeyPatch.context() as environment, mock_aws():
        # The counts and log lines of ten thousand events would only be captured and thrown away.
        environment.setenv("POWERTOOLS_LOG_LEVEL", "CRITICAL")
        for name in ("honnin.events.count", "honnin.vexora.poll.count", "honnin.webhook._emit"):
            environment.setattr(name, lambda *_texts, **_fields: None)
        yield boto3.client(
            "dynamodb", region_name="ap-northeast-1", aws_access_key_id="test", aws_secret_access_key="test"
        )


# Two halves, so that two workers share the 500 schedules: several users, and one user with more going on.
@pytest.mark.timeout(400)
@EXAMPLES
@given(schedule=schedules_of(st.sampled_from([0, 0, 1, 2])))
@example(schedule=Schedule((*REJECTED_THEN_APPROVED, Review(0, "approve", 2), Deliver(again=True), Deliver(1))))
def test_any_schedule_of_several_users_ends_in_the_providers_truth_and_every_event_counts_once(
    dynamodb: "DynamoDBClient", schedule: Schedule
) -> None:
    run(dynamodb, schedule)


@pytest.mark.timeout(400)
@EXAMPLES
@given(schedule=schedules_of(st.just(0)))
def test_any_schedule_of_one_user_ends_in_the_providers_truth_and_every_event_counts_once(
    dynamodb: "DynamoDBClient", schedule: Schedule
) -> None:
    run(dynamodb, schedule)


def test_a_crash_at_any_single_moment_of_a_whole_life_heals(dynamodb: "DynamoDBClient") -> None:
    moments = run(dynamodb, Schedule(REJECTED_THEN_APPROVED))

    assert moments > 40, "the life has fewer calls than it is made of"
    for moment in range(moments):
        run(dynamodb, Schedule(REJECTED_THEN_APPROVED, {moment: None}))


def test_another_worker_at_any_single_moment_of_a_whole_life_does_no_harm(dynamodb: "DynamoDBClient") -> None:
    moments = run(dynamodb, Schedule(REJECTED_THEN_APPROVED))

    # Before each call; the moment after it is the moment before the next.
    for moment in range(0, moments, 2):
        run(dynamodb, Schedule(REJECTED_THEN_APPROVED, {moment: Deliver(), moment + 1: Submit(0)}))


def test_a_query_refused_for_another_reason_leads_to_no_lost_approval(dynamodb: "DynamoDBClient") -> None:
    run(dynamodb, Schedule((Submit(0, "unanswered"), Submit(0, query_fault="refused"))))


def test_an_application_that_arrives_after_the_question_whether_it_did_is_not_lost(dynamodb: "DynamoDBClient") -> None:
    run(dynamodb, Schedule((Submit(0, "late"), Submit(0))))


# --- the harness itself: it must find what is broken on purpose ---


class ForgetfulStore(Store):
    """Marks a change as published before it is."""

    def apply(self, effect: Effect) -> None:
        """A crash before the publishing leaves a change that nobody hears of."""
        super().apply(effect)
        self.mark_published(effect.event_id, effect.at)


class BlindSubmissions(Submissions):
    """Takes an unclear submission for one that never arrived."""

    def _ask(self, before: UserStatus, submission: Submission | None) -> UserStatus | None:
        return None


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "parts",
    [
        Parts(store=RecordFirstStore),
        Parts(store=UnfencedStore),
        Parts(store=ForgetfulStore),
        Parts(submissions=BlindSubmissions),
    ],
    ids=["record before effect", "no version condition", "marked before published", "blind second apply"],
)
def test_the_harness_finds_what_is_broken_on_purpose(dynamodb: "DynamoDBClient", parts: Parts) -> None:
    def violates(schedule: Schedule) -> bool:
        try:
            run(dynamodb, schedule, parts)
        except ViolationError:
            return True
        return False

    # NoSuchExample would be raised if no schedule of 250 showed the fault; the smallest is of no interest.
    find(schedules_of(st.just(0)), violates, settings=EXAMPLES)
