"""The end of a contract: what is kept of it, what cancels it, and that nobody is erased too early or left out."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from honnin import contract_ends
from honnin.contract_ends import NotErasedError, kept_until
from honnin.erasure import Erasure, ErasureRequest
from honnin.errors import (
    ConcurrentUpdateError,
    ConflictError,
    InvalidFieldError,
    NotFoundError,
    ProviderUnavailableError,
)
from honnin.problem_codes import ProblemCode
from honnin.store import Certificate
from honnin.times import JST, jst_day, utc_text
from tests.fakes.contracts_world import DAYS, Contracts, numbers
from tests.fakes.erasure_world import LINKED, USER, Crash, World
from tests.fakes.memory import memory_aws


@pytest.fixture
def world() -> Any:
    with memory_aws():
        made = Contracts()
        yield made
        made.moments.off()


# --- what is reported ---


def test_data_is_kept_for_so_many_days_after_the_end_and_erased_on_the_next(world: Contracts) -> None:
    world.submit()
    ended_on = world.today()
    reported = world.report(ended_on, reason="cancelled")
    last = date.fromisoformat(ended_on) + timedelta(days=DAYS)
    assert kept_until(reported) == last.isoformat()
    # The last second of the last day, in Japan.
    world.clock.now = datetime.combine(last, datetime.max.time(), JST).astimezone(UTC)
    world.clock.now = world.clock.now.replace(microsecond=0) - timedelta(seconds=1)
    assert world.run() == numbers()
    assert world.is_there()
    world.clock.advance(seconds=2)
    assert world.run() == numbers(erased=1)
    assert not world.is_there()
    [certificate] = world.store.erasure.certificates(USER)
    assert certificate.completed_at
    assert (certificate.requested_by, certificate.ticket) == ("arn:desk", None)
    assert certificate.reason == f"the contract ended on {ended_on}: cancelled"
    assert world.naming("cancelled") == [(f"USER#{USER}", f"ERASURE#{certificate.begun_at}")]
    assert world.run() == numbers()


def test_seven_calendar_years_have_passed_by_then_whatever_the_leap_days() -> None:
    for year in (1999, 2023, 2024, 2026, 2099):
        ended = date(year, 3, 1)
        reported = mock.Mock(ended_on=ended.isoformat(), reported_at=f"{year}-03-01T00:00:00.000Z")
        due = datetime.fromisoformat(contract_ends.due_at(reported, DAYS)).astimezone(JST)
        assert due.date() > date(year + 7, 3, 1)
        assert (due.hour, due.minute) == (0, 0)


def test_nobody_is_erased_sooner_than_a_week_after_it_was_reported(world: Contracts) -> None:
    """A wrong year can be corrected."""
    world.link()
    ended_on = world.today()
    world.pass_days(DAYS + 100)
    reported = world.report(ended_on)
    assert kept_until(reported) == jst_day(world.clock.now + timedelta(days=7))
    world.pass_days(6.9)
    assert world.run() == numbers()
    world.pass_days(1.1)
    assert world.run() == numbers(erased=1)


def test_the_latest_report_counts_and_the_same_once_more_changes_nothing(world: Contracts) -> None:
    world.submit()
    today = world.today()
    first = world.report(today)
    world.pass_days(30)
    before = world.items()
    assert world.report(today) == first
    assert world.items() == before
    later = world.report(world.today())
    assert (kept_until(later) or "") > (kept_until(first) or "9")
    earlier = world.report(today, reason="corrected")
    assert (kept_until(earlier), earlier.reason) == (kept_until(first), "corrected")
    assert earlier.reported_at > first.reported_at
    assert world.store.contracts.get(USER) == earlier


@pytest.mark.parametrize(
    ("ended_on", "rule"),
    [("2026-02-30", "exists"), ("2026-13-01", "exists"), ("0000-01-01", "exists"), ("9999-12-31", "future")],
)
def test_a_day_that_does_not_exist_or_has_not_come_is_refused(world: Contracts, ended_on: str, rule: str) -> None:
    world.submit()
    before = world.items()
    with pytest.raises(InvalidFieldError, match=rule) as error:
        world.report(ended_on)
    assert error.value.field == "endedOn"
    assert ended_on not in str(error.value)
    assert world.items() == before


def test_today_is_todays_in_japan_also_in_the_hour_after_midnight(world: Contracts) -> None:
    world.clock.now = datetime(2026, 11, 28, 14, 59, 59, tzinfo=UTC)
    world.submit()
    with pytest.raises(InvalidFieldError):
        world.report("2026-11-29")
    world.clock.advance(seconds=2)
    assert world.report("2026-11-29").ended_on == "2026-11-29"


def test_who_is_unknown_or_erased_is_not_found(world: Contracts) -> None:
    with pytest.raises(NotFoundError):
        world.report(world.today(), "nobody")
    with pytest.raises(NotFoundError):
        world.ends.cancel("nobody")
    world.submit()
    world.report(world.today())
    world.erase()
    assert world.naming("ended_on") == []
    with pytest.raises(NotFoundError):
        world.report(world.today())
    with pytest.raises(NotFoundError):
        world.ends.cancel(USER)
    assert world.naming("CONTRACT") == []


# --- what cancels it ---


@pytest.mark.parametrize("restart", [World.submit, World.link, lambda world: world.ends.cancel(USER)])
def test_a_contract_that_goes_on_is_never_due(world: Contracts, restart: Callable[[Any], object]) -> None:
    world.vexora.statuses[USER] = "3"
    world.link("auth-before") if restart is World.submit else world.submit()
    world.report(world.today(), reason="cancelled")
    world.pass_days(3)
    restart(world)
    assert world.store.contracts.get(USER).ended_on is None
    assert world.naming("cancelled") == []
    world.pass_days(DAYS + 30)
    assert world.run() == numbers()
    assert world.is_there()
    # It can end again, and be cancelled once more.
    assert world.report(world.today()).due_at
    world.ends.cancel(USER)
    assert world.ends.cancel(USER).ended_on is None


def test_the_end_of_an_earlier_contract_is_refused(world: Contracts) -> None:
    """The back end reports late a contract that ended before the user came back."""
    before = world.today()
    world.pass_days(2)
    world.submit()
    with pytest.raises(ConflictError) as error:
        world.report(before)
    assert error.value.code == ProblemCode.CONTRACT_STARTED_AGAIN
    # Of the day itself nobody knows which came first.
    assert world.report(world.today()).ended_on == world.today()


def test_an_end_meets_a_link_that_is_made_meanwhile(world: Contracts) -> None:
    """Whichever is written first: the link belongs to the later contract."""
    world.submit()
    for moment in range(100):
        world.pass_days(3)
        ended_on = world.today()
        world.pass_days(3)
        world.moments.from_now({moment: partial(world.link, f"auth-{moment}")})
        with suppress(ConflictError):
            world.report(ended_on)
        happened = not world.moments.at
        world.moments.from_now()
        if not happened:
            assert moment > 5
            assert world.store.contracts.get(USER).ended_on == ended_on
            return
        assert world.store.contracts.get(USER).ended_on is None, moment
    pytest.fail("it never came to an end")


def test_an_end_meets_an_erasure_and_leaves_nothing_behind(world: Contracts) -> None:
    world.submit()
    today = world.today()
    world.moments.from_now()
    world.report(today, reason="r-4711")
    moments = world.moments.passed
    for moment in range(moments + 1):
        world.moments.from_now({moment: world.erase})
        with suppress(NotFoundError, ConcurrentUpdateError):
            world.report(today, reason=f"r-4711-{moment}")
        world.moments.from_now()
        if world.is_there():
            world.erase()
        assert world.naming("r-4711") == []
        world.clock.advance(seconds=60)
        world.submit()
        today = world.today()


# --- the run ---


def test_a_retention_that_was_raised_since_counts(world: Contracts) -> None:
    world.submit()
    world.report(world.today())
    world.pass_days(DAYS + 2)
    world.days = DAYS + 365
    assert world.run() == numbers(moved=1)
    assert world.is_there()
    assert world.run() == numbers()
    world.pass_days(365)
    assert world.run() == numbers(erased=1)


def test_authorizations_are_ended_first_and_for_a_week_the_user_waits_for_that(world: Contracts) -> None:
    world.link()
    world.report(world.today())
    world.pass_days(DAYS + 1)
    with mock.patch.object(world.paypay, "unlink", side_effect=ProviderUnavailableError("paypay", "maintenance")):
        assert world.run() == numbers(later=1)
        assert world.store.erasure.certificates(USER) == []
        world.pass_days(8)
        assert world.run() == numbers(erased=1)
    assert "unlinkedAtPayPay" not in world.store.erasure.certificates(USER)[0].counts


@pytest.mark.parametrize(("shorter_by", "late"), [(0, 1), (0, 30), (60, 1)], ids=["in time", "late", "shortened"])
def test_whenever_it_comes_to_it_paypay_is_asked_first(world: Contracts, shorter_by: int, late: int) -> None:
    """No run came for a month, or PersonalDataRetentionDays was made shorter after the end was reported."""
    world.link()
    world.report(world.today())
    world.days = DAYS - shorter_by
    world.pass_days(DAYS + late)
    with mock.patch.object(world.paypay, "unlink", side_effect=ProviderUnavailableError("paypay", "x")) as asked:
        assert world.run() == (numbers(later=1) if late < 7 else numbers(erased=1))
    asked.assert_called_once_with(LINKED)


def test_an_authorization_is_ended_with_the_user(world: Contracts) -> None:
    world.link()
    world.report(world.today())
    world.pass_days(DAYS + 1)
    assert world.run() == numbers(erased=1)
    assert world.paypay.unlinked == [LINKED]
    assert world.store.erasure.certificates(USER)[0].counts["unlinkedAtPayPay"] == 1


def test_one_user_who_cannot_be_erased_keeps_nobody_from_it_and_is_reported(world: Contracts) -> None:
    for each in ("user-3", "user-1", "user-2"):
        world.submit(each)
        world.report(world.today(), each)
    world.pass_days(DAYS + 1)
    erase = world.vault.erase

    def refused(user_id: str, *arguments: Any, **named: Any) -> int:
        if user_id == "user-1":
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "x"}}, "DeleteObjects")
        return erase(user_id, *arguments, **named)

    with mock.patch.object(world.vault, "erase", refused), pytest.raises(NotErasedError):
        world.run()
    assert [each for each in ("user-1", "user-2", "user-3") if world.is_there(each)] == ["user-1"]
    world.clock.advance(seconds=3600)
    assert world.run() == numbers(erased=1)


def test_a_run_without_time_stops_and_the_next_goes_on(world: Contracts) -> None:
    for number in range(5):
        world.submit(f"user-{number}")
        world.report(world.today(), f"user-{number}")
    world.pass_days(DAYS + 1)
    left = iter([900_000, 60_000, 44_999])
    assert world.run(lambda: next(left)) == numbers(erased=2)
    assert world.run(lambda: 44_999) == numbers()
    assert world.run() == numbers(erased=3)


def test_an_earlier_erasure_that_left_an_authorization_is_no_obstacle(world: Contracts) -> None:
    world.link()
    world.erase()
    world.clock.advance(seconds=60)
    world.submit()
    world.report(world.today())
    world.pass_days(DAYS + 1)
    assert world.run() == numbers(erased=1)
    assert not world.is_there()


def test_a_link_just_before_the_erasure_begins_saves_the_user(world: Contracts) -> None:
    """At every moment of a run: either the erasure had begun before the link, or nothing is erased."""
    saved = erased = 0
    for moment in range(300):
        world.moments.from_now()
        world.clock.advance(seconds=60)
        world.submit(user_id := f"user-{moment}")
        world.report(world.today(), user_id)
        world.pass_days(DAYS + 1)
        world.moments.from_now({moment: partial(world.link, f"auth-{moment}", user_id)})
        world.run()
        happened = not world.moments.at
        world.moments.from_now()
        [*certificates] = world.store.erasure.certificates(user_id)
        if not happened:
            break
        linked = next((each["at"] for each in world.timeline(user_id) if each["what"] == "linked"), "")
        assert linked
        if certificates:
            assert certificates[0].begun_at < linked
            erased += 1
        else:
            assert world.is_there(user_id)
            saved += 1
    assert saved > 30
    assert erased > 30


# --- whatever happens ---


USERS = ("user-1", "user-2", "user-10")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["link", "link", "report", "report", "cancel", "run", "run", "die", "throttle", "wait", "erase"]
        ),
        st.sampled_from(USERS),
        st.integers(0, 300),
    ),
    min_size=6,
    max_size=30,
)


class Expected:
    """Who must be there, who is due from when on, and whose erasure was interrupted: that goes on in any case."""

    def __init__(self, world: Contracts) -> None:
        self.world = world
        self.there: set[str] = set()
        self.due: dict[str, str] = {}
        self.begun: set[str] = set()

    def link(self, user_id: str, number: int) -> None:
        """The user begins, or begins again."""
        self.world.link(f"auth-{user_id}-{number}", user_id)
        self.there.add(user_id)
        self.due.pop(user_id, None)

    def report(self, user_id: str, days_ago: int) -> None:
        """The merchant reports an end."""
        ended = jst_day(self.world.clock.now - timedelta(days=days_ago))
        with suppress(NotFoundError, ConflictError):
            self.due[user_id] = self.world.report(ended, user_id).due_at

    def cancel(self, user_id: str) -> None:
        """The contract goes on."""
        with suppress(NotFoundError):
            self.world.ends.cancel(user_id)
            self.due.pop(user_id, None)

    def erase(self, user_id: str) -> None:
        """The merchant erases the user."""
        with suppress(NotFoundError):
            self.world.erase(user_id)
            self.gone(user_id)

    def gone(self, user_id: str) -> None:
        """The user was erased."""
        self.there.discard(user_id)
        self.due.pop(user_id, None)

    def after_a_run(self) -> None:
        """Nobody is erased who was not due."""
        now = utc_text(self.world.clock.now)
        for each in USERS:
            if any(not certificate.completed_at for certificate in self.world.store.erasure.certificates(each)):
                assert each in self.begun or self.due.get(each, "9") <= now, f"the erasure of {each} began too early"
                self.begun.add(each)
                continue
            if each in self.there and not self.world.is_there(each):
                assert each in self.begun or self.due.get(each, "9") <= now, f"{each} was erased too early"
                self.gone(each)
            self.begun.discard(each)
        assert {each for each in USERS if self.world.is_there(each)} >= self.there - self.begun


@given(STEPS)
@settings(max_examples=100, deadline=None)
def test_whoever_is_due_is_erased_and_nobody_else(steps: list[tuple[str, str, int]]) -> None:
    """Random contracts, with runs that are killed or throttled between any two calls of AWS."""
    with memory_aws():
        world = Contracts(days=20)
        expected = Expected(world)
        try:
            for number, (step, user_id, amount) in enumerate(steps):
                world.clock.advance(seconds=60)
                match step:
                    case "link":
                        expected.link(user_id, number)
                    case "report":
                        expected.report(user_id, amount % 30)
                    case "cancel":
                        expected.cancel(user_id)
                    case "erase":
                        expected.erase(user_id)
                    case "wait":
                        world.pass_days(amount / 10)
                    case _:
                        happens = {"die": world.moments.die, "throttle": _throttled}.get(step)
                        world.moments.from_now({amount: happens} if happens else None)
                        with suppress(Crash, NotErasedError, ConcurrentUpdateError, ClientError):
                            world.run()
                        world.moments.from_now()
                        world.clock.advance(seconds=31)
                        expected.after_a_run()
            # In the end everybody who is due is erased, and nobody else.
            world.pass_days(60)
            for _ in range(2):
                world.run()
                world.clock.advance(seconds=60)
                expected.after_a_run()
            assert expected.due == {}
            assert world.naming("ended_on", "erasure_unfinished") == []
            assert {each for each in USERS if world.is_there(each)} == expected.there
        finally:
            world.moments.off()


def _throttled() -> None:
    raise ClientError({"Error": {"Code": "ProvisionedThroughputExceededException", "Message": "slow"}}, "Any")


def test_a_certificate_of_a_run_that_died_is_completed_by_the_next_although_the_user_is_back(world: Contracts) -> None:
    world.submit()
    world.report(world.today())
    world.pass_days(DAYS + 1)
    contract = world.store.contracts.get(USER)
    begun = Certificate("c-1", USER, utc_text(world.clock.now), reason="r")
    world.store.erasure.begin(begun, contract)
    with pytest.raises(ConcurrentUpdateError):
        world.store.erasure.begin(replace(begun, begun_at="2026-01-01"), replace(contract, reported_at="other"))
    world.link()
    assert world.run() == numbers(erased=1)
    [certificate] = world.store.erasure.certificates(USER)
    assert (certificate.certificate_id, certificate.reason, bool(certificate.completed_at)) == ("c-1", "r", True)
    assert world.run() == numbers()


def test_who_came_back_after_an_erasure_that_was_not_completed_stays(world: Contracts) -> None:
    world.submit()
    world.report(world.today())
    world.pass_days(DAYS + 1)
    with mock.patch.object(Erasure, "_complete", side_effect=ConcurrentUpdateError("the run died")):
        assert world.run() == numbers(later=1)
    assert not world.is_there()
    world.submit()
    assert world.run() == numbers(erased=1)
    assert world.is_there()
    [certificate] = world.store.erasure.certificates(USER)
    assert certificate.completed_at
    # A run that had read its list before that.
    world.erasure().finish(replace(certificate, completed_at=None))
    assert world.is_there()
    assert world.run() == numbers()


def test_the_request_of_an_erasure_is_nobodys_if_nobody_said_anything() -> None:
    assert ErasureRequest() == ErasureRequest(None, None, None)
