"""Who came back keeps everything, who did not is erased, and people learn of what looks wrong."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from unittest import mock

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from honnin.contract_ends import ManyDueError, NotErasedError
from honnin.errors import (
    ConcurrentUpdateError,
    ConflictError,
    HonninError,
    NotFoundError,
    NotSentError,
    ProviderRefusedError,
    ProviderTimeoutError,
)
from honnin.problem_codes import ProblemCode
from tests.fakes.contracts_world import DAYS, Contracts, numbers
from tests.fakes.erasure_world import LINKED, USER, Crash
from tests.fakes.memory import memory_aws


@pytest.fixture
def world() -> Iterator[Contracts]:
    with memory_aws():
        made = Contracts()
        yield made
        made.moments.off()


# --- coming back ---

OUTCOMES: dict[str, Exception | str] = {
    "accepted": "0",
    "not sent": NotSentError("vexora", "no connection"),
    "refused": ProviderRefusedError("vexora", "no", http_status=200, code="4001"),
    "no answer": ProviderTimeoutError("vexora", "late"),
}


def submit(world: Contracts, outcome: str) -> bool:
    """A submission with this outcome; whether it was sent, or may have been."""
    before = world.store.users.status(USER, "vexora")
    if before and before.status in ("SUBMITTING", "PENDING", "UNDER_REVIEW", "APPROVED"):
        world.vexora.statuses[USER] = "3"  # Vexora rejects the earlier one
        world.clock.advance(seconds=7200)
    called = len(world.vexora.applied)
    world.vexora.next_apply.clear()
    world.vexora.next_apply.append(OUTCOMES[outcome])
    with suppress(HonninError):
        world.submit()
    return outcome != "not sent" and len(world.vexora.applied) > called


@given(st.lists(st.sampled_from(["report", "link", "cancel", *OUTCOMES]), min_size=2, max_size=9))
@settings(max_examples=150, deadline=None)
def test_an_end_stands_exactly_if_nobody_came_back_since(steps: list[str]) -> None:
    with memory_aws():
        world = Contracts()
        world.link("auth-first")
        stands: str | None = None
        for number, step in enumerate(steps):
            world.pass_days(1)
            match step:
                case "report":
                    stands = world.report(world.today(), reason=f"r-{number}").reason
                case "link":
                    world.link(f"auth-{number}")
                    stands = None
                case "cancel":
                    world.ends.cancel(USER)
                    stands = None
                case _:
                    known = world.store.contracts.get(USER)
                    came_back = submit(world, step)
                    stands = None if came_back else stands
                    if not came_back:
                        assert replace(world.store.contracts.get(USER), submission_id=None) == replace(
                            known, submission_id=None
                        )
            found = world.ends.get(USER)
            assert (found.reason, bool(found.due_at)) == (stands, bool(stands)), steps[: number + 1]
            if stands is None:
                assert world.naming('"r-') == []
        world.pass_days(DAYS + 1)
        assert world.run() == numbers(erased=1 if stands else 0)
        world.moments.off()


@pytest.mark.parametrize("meanwhile", ["report", "link", "cancel", "erase"])
def test_what_happens_while_a_submission_is_on_its_way_is_not_undone(world: Contracts, meanwhile: str) -> None:
    """The submission then turns out not to have been sent."""
    world.link("auth-first")
    world.pass_days(1)
    world.report(world.today(), reason="first")
    world.pass_days(1)
    happens: dict[str, Callable[[], object]] = {
        "report": lambda: world.report(world.today(), reason="second"),
        "link": partial(world.link, "auth-second"),
        "cancel": lambda: world.ends.cancel(USER),
        "erase": world.erase,
    }
    world.vexora.meanwhile.append(happens[meanwhile])
    world.vexora.next_apply.append(OUTCOMES["not sent"])
    with suppress(NotSentError):
        world.submit()
    assert world.store.contracts.get(USER).reason == ("second" if meanwhile == "report" else None)
    assert world.naming('"first"') == []


def test_a_submission_that_died_on_its_way_may_have_been_sent(world: Contracts) -> None:
    world.link("auth-first")
    world.pass_days(1)
    world.report(world.today(), reason="first")
    world.vexora.meanwhile.append(world.moments.die)
    with pytest.raises(Crash):
        world.submit()
    world.moments.from_now()
    assert world.ends.get(USER).ended_on is None


def test_a_submission_that_was_not_sent_is_no_beginning(world: Contracts) -> None:
    """The contract ended before it, and is reported after it."""
    world.link("auth-first")
    world.pass_days(1)
    ended_on = world.today()
    world.pass_days(2)
    assert not submit(world, "not sent")
    assert world.report(ended_on).ended_on == ended_on


# --- a cancellation ---


def test_a_cancellation_is_either_in_time_or_refused(world: Contracts) -> None:
    """At every moment of a run. In time: nothing was erased, and PayPay was not asked to end anything."""
    answers = dict.fromkeys(("in time", "begun", "busy", "gone"), 0)
    for moment in range(400):
        user_id, linked = f"user-{moment}", f"auth-{moment}"
        world.moments.from_now()
        world.paypay.asked.clear()
        world.clock.advance(seconds=60)
        world.link(linked, user_id)
        world.report(world.today(), user_id)
        world.pass_days(DAYS + 1)
        said: list[str] = []
        world.moments.from_now({moment: partial(_cancel, world, user_id, said)})
        world.run()
        world.moments.from_now()
        if not said:
            break
        answers[said[0]] += 1
        if said[0] == "in time":
            assert world.is_there(user_id)
            assert linked not in world.paypay.unlinked
            assert world.store.erasure.certificates(user_id) == []
        elif said[0] in ("begun", "gone"):
            assert not world.is_there(user_id)
    assert answers["in time"] > 4
    assert answers["busy"] + answers["begun"] > 20


def _interrupted(world: Contracts, user_id: str) -> None:
    """An erasure over the API that begins, and comes to no end."""
    with (
        mock.patch.object(world.vault, "erase", side_effect=ConcurrentUpdateError("no time")),
        pytest.raises(ConcurrentUpdateError),
    ):
        world.erasure().erase(user_id, unlink=False)


def _cancel(world: Contracts, user_id: str, said: list[str]) -> None:
    try:
        world.ends.cancel(user_id)
        said.append("in time")
    except ConflictError as error:
        said.append("begun" if error.code == ProblemCode.ERASURE_BEGUN else str(error.code))
    except ConcurrentUpdateError:
        said.append("busy")
    except NotFoundError:
        said.append("gone")


@pytest.mark.parametrize("call", [lambda w: w.ends.cancel(USER), lambda w: w.report(w.today())])
def test_when_the_erasure_has_begun_no_answer_says_that_the_data_is_kept(
    world: Contracts, call: Callable[[Contracts], object]
) -> None:
    world.submit()
    world.report(world.today())
    _interrupted(world, USER)
    with pytest.raises(ConflictError) as error:
        call(world)
    assert error.value.code == ProblemCode.ERASURE_BEGUN


# --- interrupted erasures ---


def test_nobody_comes_back_into_an_erasure_that_is_not_finished(world: Contracts) -> None:
    """The next run would erase what was submitted meanwhile, and the merchant would wait for the result."""
    world.link("auth-first")
    _interrupted(world, USER)
    with pytest.raises(ConflictError) as error:
        world.submit()
    assert error.value.code == ProblemCode.ERASURE_BEGUN
    assert world.vexora.applied == []
    world.submit("somebody-else")
    assert world.run() == numbers(erased=1)
    world.submit()
    assert world.run() == numbers()
    assert world.is_there()


def test_an_erasure_that_the_api_began_is_completed_by_the_next_run_wherever_it_died(world: Contracts) -> None:
    completed = 0
    for moment in range(200):
        user_id = f"user-{moment}"
        world.moments.from_now()
        world.link(f"auth-{moment}", user_id)
        world.moments.from_now({moment: world.moments.die})
        with suppress(Crash):
            world.erasure().erase(user_id, unlink=False)
            break
        world.moments.from_now()
        world.clock.advance(seconds=31)
        begun = world.store.erasure.certificates(user_id)
        assert world.run() == numbers(erased=sum(not each.completed_at for each in begun))
        for each in world.store.erasure.certificates(user_id):
            assert each.completed_at
            assert not world.is_there(user_id)
            completed += 1
        assert world.naming("erasure_unfinished") == []
    assert completed > 20


# --- people learn of it ---


def report_all(world: Contracts, number: int) -> None:
    """The ends of the contracts of so many users."""
    for each in range(number):
        world.submit(f"user-{each}")
        world.report(world.today(), f"user-{each}")


def test_if_too_many_are_due_on_one_day_nobody_is_erased_until_a_person_has_looked(world: Contracts) -> None:
    world.most_a_day = 3
    report_all(world, 4)
    world.submit("earlier")
    _interrupted(world, "earlier")
    world.pass_days(DAYS + 1)
    with pytest.raises(ManyDueError, match="MaxErasuresPerDay"):
        world.run()
    assert all(world.is_there(f"user-{each}") for each in range(4))
    # What has begun is completed nevertheless.
    assert not world.is_there("earlier")
    # A correction is enough,
    world.ends.cancel("user-0")
    assert world.run() == numbers(erased=3)


def test_the_limit_is_of_one_day_and_can_be_raised_or_switched_off(world: Contracts) -> None:
    for most, first in ((3, 3), (5, 5), (0, 9)):
        world.most_a_day = most
        report_all(world, first)
        world.pass_days(1)
        report_all(world, 0)
        world.submit(f"next-{most}")
        world.report(world.today(), f"next-{most}")
        world.pass_days(DAYS + 2)
        assert world.run() == numbers(erased=first + 1)


def test_a_retention_that_was_too_short_is_mended_by_raising_it_however_many_were_due(world: Contracts) -> None:
    world.most_a_day, world.days = 3, 1
    report_all(world, 4)
    world.pass_days(9)
    with pytest.raises(ManyDueError):
        world.run()
    world.days = DAYS
    assert world.run() == numbers(moved=4)
    # Those who are due by the longer time are counted by it, on the day on which they are.
    world.pass_days(DAYS)
    with pytest.raises(ManyDueError):
        world.run()


def test_who_stays_busy_for_more_than_a_week_is_a_fault(world: Contracts) -> None:
    world.submit()
    world.report(world.today())
    world.pass_days(DAYS + 1)
    with mock.patch.object(world.vault, "erase", side_effect=ConcurrentUpdateError("busy")):
        assert world.run() == numbers(later=1)
        world.pass_days(9)
        with pytest.raises(NotErasedError):
            world.run()
    assert world.run() == numbers(erased=1)


def test_runs_that_never_come_to_the_end_of_the_list_are_a_fault(world: Contracts) -> None:
    report_all(world, 2)
    world.pass_days(DAYS + 1)
    assert world.run(lambda: 0) == numbers()
    world.pass_days(9)
    with pytest.raises(NotErasedError):
        world.run(lambda: 0)


def test_paypay_that_is_silent_makes_nobody_wait_for_more_than_a_week(world: Contracts) -> None:
    world.link(LINKED)
    world.report(world.today())
    world.pass_days(DAYS + 1)
    throttled = ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow"}}, "Any")
    with mock.patch.object(world.paypay, "unlink", side_effect=ProviderTimeoutError("paypay", "late")):
        assert world.run() == numbers(later=1)
        world.pass_days(8)
        with mock.patch.object(world.vault, "erase", side_effect=throttled), pytest.raises(NotErasedError):
            world.run()
        world.clock.advance(seconds=60)
        assert world.run() == numbers(erased=1)
