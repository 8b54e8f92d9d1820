"""The mass-change stop: what is too many, how it is counted, who is stopped and who goes on."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.dynamodb import MemoryDynamoDB
from honnin import commit
from honnin.errors import ConcurrentUpdateError, RepairsStoppedError
from honnin.mass_change import LEAST_USERS, BatchWatch, CountedAfterwards, is_mass_change, loss_of
from honnin.repairs_stop import RepairsStop, mail
from honnin.store import Effect, Loss, Stop, Store, UserStatus
from honnin.times import utc_text
from tests.fakes import FakeClock, FakeTopic

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient

UNLINKED = Loss("paypay", "VERIFIED", "UNLINKED", "recon")


@pytest.mark.parametrize(
    ("lost", "readings", "percent", "is_one"),
    [
        (19, 19, "5", False),  # fewer than 20 users, though all of them
        (20, 20, "5", True),
        (20, 399, "5", True),
        (20, 400, "5", False),  # five percent are not more than five
        (21, 400, "5", True),
        (400, 10_000, "5", False),
        (501, 10_000, "5", True),
        (500, 10_000, "5", False),
        (20, 20, "0", False),
        (10_000, 10_000, "100", False),
        (51, 10_000, "0.5", True),
        (50, 10_000, "0.5", False),
    ],
)
def test_what_a_mass_change_is(lost: int, readings: int, percent: str, *, is_one: bool) -> None:
    assert is_mass_change(lost, readings, Decimal(percent)) is is_one


class Desk:
    """A table in memory, and the workers of a deployment."""

    def __init__(self, percent: str = "5") -> None:
        self.clock = FakeClock()
        self.db = MemoryDynamoDB()
        self.store = Store("table", cast("DynamoDBClient", self.db), now=self.clock)
        self.percent = Decimal(percent)
        self.carried_out: list[Stop] = []
        self._serial = 0

    def worker(self, *, may_wait: bool) -> BatchWatch:
        """A worker at the begin of a batch."""
        made = BatchWatch(self.store, self.percent, self.carried_out.append, self.clock)
        made.begin(may_wait=may_wait)
        return made

    def effect(
        self, before: str = "VERIFIED", after: str = "UNLINKED", cause: str = "recon", provider: str = "paypay"
    ) -> Effect:
        """What a reading makes of some user."""
        self._serial += 1
        was = UserStatus(f"user-{self._serial}", provider, before, 1, read_at="2026-04-01T02:00:00.000Z")
        now = replace(was, status=after, read_at=utc_text(self.clock()))
        return commit.effect(f"event-{self._serial}", "kyc_read", was, now, {}, at=self.clock(), cause=cause)

    def apply(self, worker: BatchWatch, times: int, **effect: str) -> int:
        """So many readings; returns how many were applied."""
        applied = 0
        for _ in range(times):
            with suppress(RepairsStoppedError), worker.over(self.effect(**effect)):
                applied += 1
        return applied


@pytest.fixture
def desk() -> Desk:
    return Desk()


# What is counted


@pytest.mark.parametrize(
    ("before", "after", "provider", "counts"),
    [
        ("VERIFIED", "UNLINKED", "paypay", True),
        ("VERIFIED", "RISK_FLAGGED", "paypay", True),
        ("VERIFIED", "LINKED", "paypay", True),
        ("VERIFIED", "UNCONFIRMED", "paypay", True),
        ("APPROVED", "REJECTED", "vexora", True),
        ("VERIFIED", "VERIFIED", "paypay", False),
        ("LINKED", "UNLINKED", "paypay", False),
        ("UNLINKED", "VERIFIED", "paypay", False),
        ("PENDING", "REJECTED", "vexora", False),
    ],
)
@pytest.mark.parametrize("cause", ["recon", "settle", "operator", "webhook", "api", "poll"])
def test_a_reading_counts_that_takes_a_user_out_of_verified_or_approved(
    desk: Desk, before: str, after: str, provider: str, cause: str, *, counts: bool
) -> None:
    found = loss_of(desk.effect(before, after, cause, provider))
    assert found == (Loss(provider, before, after, cause) if counts else None)


@pytest.mark.parametrize(
    ("end", "after", "counts"),
    [
        ("2026-04-01T02:59:59.000Z", "EXPIRED", False),
        ("2026-04-01T02:59:59.000Z", "UNLINKED", True),
        ("2027-04-01T02:59:59.000Z", "EXPIRED", True),
        (None, "EXPIRED", True),
    ],
)
def test_a_link_that_ended_when_it_was_to_end_is_no_loss_though_paypay_was_asked(
    desk: Desk, end: str | None, after: str, *, counts: bool
) -> None:
    """PayPay is asked about each end on time: with 200,000 links of a year these are 23 an hour."""
    desk.clock.now = datetime(2026, 4, 1, 3, 0, tzinfo=UTC)
    effect = desk.effect(after=after, cause="poll")
    assert effect.before
    known = replace(effect, before=replace(effect.before, link_expires_at=end))
    assert (loss_of(known) is not None) == counts


def test_what_no_provider_said_is_no_reading(desk: Desk) -> None:
    effect = desk.effect(after="EXPIRED")
    assert effect.before
    by_the_clock = replace(effect, after=replace(effect.after, read_at=effect.before.read_at))
    assert loss_of(by_the_clock) is None
    worker = desk.worker(may_wait=True)
    with worker.over(by_the_clock):
        pass
    worker.end()
    assert desk.store.mass_change.read().readings == 0


def test_the_window_is_the_last_hour(desk: Desk) -> None:
    desk.store.mass_change.add(100, {UNLINKED: 7})
    desk.clock.advance(seconds=3_599)
    desk.store.mass_change.add(1, {UNLINKED: 1})
    assert (desk.store.mass_change.read().readings, desk.store.mass_change.read().lost) == (101, 8)
    desk.clock.advance(seconds=301)
    assert (desk.store.mass_change.read().readings, desk.store.mass_change.read().lost) == (1, 1)


def test_old_counts_do_not_accumulate(desk: Desk) -> None:
    for _ in range(500):
        desk.clock.advance(seconds=300)
        desk.store.mass_change.add(3, {UNLINKED: 1})
    [item] = desk.db.scan(TableName="table")["Items"]
    assert len(item) < 60


@given(
    st.lists(st.tuples(st.integers(0, 4_000), st.integers(0, 50), st.integers(0, 3)), min_size=1, max_size=30),
)
def test_nothing_of_the_last_hour_is_left_out_and_nothing_older_than_65_minutes_counts(
    steps: list[tuple[int, int, int]],
) -> None:
    desk, made = Desk(), []
    for seconds, readings, lost in steps:
        desk.clock.advance(seconds=seconds)
        counted = desk.store.mass_change.add(readings, {UNLINKED: lost})
        made.append((desk.clock(), readings, lost))
        least, most = (
            [each for each in made if each[0] > desk.clock() - timedelta(minutes=minutes)] for minutes in (60, 65)
        )
        assert sum(n for _, n, _ in least) <= counted.readings <= sum(n for _, n, _ in most)
        assert sum(n for _, _, n in least) <= counted.lost <= sum(n for _, _, n in most)


def test_readings_are_written_once_for_a_batch(desk: Desk) -> None:
    worker = desk.worker(may_wait=False)
    desk.apply(worker, 10, after="VERIFIED")
    worker.read()  # a settle event that found nothing new
    assert desk.store.mass_change.read().readings == 0
    worker.end()
    assert desk.store.mass_change.read().readings == 11
    worker.begin(may_wait=False)
    worker.end()
    assert desk.store.mass_change.read().readings == 11


def test_readings_of_live_batches_are_written_once_a_minute(desk: Desk) -> None:
    live, writes = desk.worker(may_wait=False), list[int]()
    for _ in range(4):
        live.begin(may_wait=False)
        desk.apply(live, 2, after="VERIFIED")
        live.end()
        writes.append(desk.store.mass_change.read().readings)
        desk.clock.advance(seconds=25)
    assert writes == [2, 2, 2, 8], "the fourth batch comes 75 seconds after the first"


def test_an_environment_never_keeps_more_readings_than_a_batch_has(desk: Desk) -> None:
    """Otherwise a burst of thousands within a minute would be missing where a share of them is decided upon."""
    live, left = desk.worker(may_wait=False), list[int]()
    for number in range(1, 31):
        live.begin(may_wait=False)
        desk.apply(live, 3, after="VERIFIED")
        live.end()
        left.append(3 * number - desk.store.mass_change.read().readings)
    assert max(left) < 10


def test_readings_that_an_environment_kept_while_it_was_frozen_count_in_no_later_hour(desk: Desk) -> None:
    live = desk.worker(may_wait=False)
    for _ in range(2):
        live.begin(may_wait=False)
        desk.apply(live, 4, after="VERIFIED")
        live.end()
    desk.clock.advance(seconds=3 * 3600)
    live.begin(may_wait=False)
    desk.apply(live, 1)
    live.end()
    assert (desk.store.mass_change.read().readings, desk.store.mass_change.read().lost) == (1, 1)


@pytest.mark.parametrize("may_wait", [False, True])
def test_a_loss_or_a_batch_that_can_wait_takes_the_readings_before_it_along(desk: Desk, may_wait: bool) -> None:
    """A share of the readings is decided upon, so none that is known here may be missing then."""
    watch = desk.worker(may_wait=False)
    for _ in range(2):
        watch.begin(may_wait=False)
        desk.apply(watch, 3, after="VERIFIED")
        watch.end()
    watch.begin(may_wait=may_wait)
    desk.apply(watch, 1, after="VERIFIED" if may_wait else "UNLINKED")
    watch.end()
    counted = desk.store.mass_change.read()
    assert (counted.readings, counted.lost) == (7, 0 if may_wait else 1)


def test_a_loss_that_was_not_applied_is_not_counted_and_its_reading_is(desk: Desk) -> None:
    worker = desk.worker(may_wait=True)
    for _ in range(50):
        with pytest.raises(ConcurrentUpdateError), worker.over(desk.effect()):
            raise ConcurrentUpdateError("another worker was faster")
    worker.end()
    counted = desk.store.mass_change.read()
    assert (counted.readings, counted.lost, counted.stop) == (50, 0, None)


def test_a_reading_of_the_api_counts_at_once(desk: Desk) -> None:
    watch = CountedAfterwards(desk.store)
    for after in ("VERIFIED", "UNLINKED"):
        with watch.over(desk.effect(after=after, cause="api")):
            pass
    counted = desk.store.mass_change.read()
    assert (counted.readings, counted.losses) == (2, {replace(UNLINKED, cause="api"): 1})


@pytest.mark.parametrize(
    "error", [ClientError({"Error": {"Code": "InternalServerError"}}, "UpdateItem"), ReadTimeoutError(endpoint_url="x")]
)
def test_a_count_that_fails_stands_in_nobodys_way_who_waits(
    desk: Desk, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    live, repairs = desk.worker(may_wait=False), desk.worker(may_wait=True)
    repairs.check()
    monkeypatch.setattr(desk.db, "update_item", fail)
    with CountedAfterwards(desk.store).over(desk.effect()):
        pass
    assert desk.apply(live, 3) == 3
    live.end()
    # What may wait is not applied uncounted: it comes again.
    with pytest.raises(type(error)), repairs.over(desk.effect()):
        pytest.fail("applied uncounted")
    repairs.end()


# Who is stopped


@pytest.mark.parametrize("after", ["UNLINKED", "EXPIRED", "INACTIVE", "RISK_FLAGGED", "NOT_COMPLETED", "LINKED"])
def test_repairs_stop_at_the_twentieth_of_few_readings(desk: Desk, after: str) -> None:
    worker = desk.worker(may_wait=True)
    assert desk.apply(worker, 300, after=after) == LEAST_USERS - 1
    worker.end()
    [stop] = desk.carried_out
    assert (stop.readings, stop.losses) == (20, {replace(UNLINKED, to_status=after): 20})


def test_repairs_stop_at_the_percentage_of_many_readings(desk: Desk) -> None:
    desk.store.mass_change.add(10_000)
    worker = desk.worker(may_wait=True)
    # 527 of 10,527 are more than 5 percent.
    assert desk.apply(worker, 2_000) == 526
    assert desk.store.mass_change.read().stop


@pytest.mark.parametrize("after", ["VERIFIED", "UNLINKED", "RISK_FLAGGED"])
def test_nothing_more_of_them_is_applied(desk: Desk, after: str) -> None:
    desk.apply(desk.worker(may_wait=True), 20)
    other = desk.worker(may_wait=True)
    with pytest.raises(RepairsStoppedError):
        other.check()
    assert desk.apply(other, 5, before="LINKED", after=after) == 0


def test_losses_of_any_cause_stop_them_and_live_events_go_on(desk: Desk) -> None:
    watch = CountedAfterwards(desk.store)
    for _ in range(10):
        with watch.over(desk.effect(cause="api")):
            pass
    live = desk.worker(may_wait=False)
    assert desk.apply(live, 50, cause="webhook") == 50
    live.check()
    live.end()
    assert desk.apply(desk.worker(may_wait=True), 5) == 0
    assert desk.apply(live, 50, cause="webhook") == 50
    [stop] = desk.carried_out
    assert stop.losses == {replace(UNLINKED, cause="api"): 10, replace(UNLINKED, cause="webhook"): 10}


def test_api_losses_alone_stop_them_with_the_next_batch(desk: Desk) -> None:
    watch = CountedAfterwards(desk.store)
    for _ in range(20):
        with watch.over(desk.effect(cause="api")):
            pass
    worker = desk.worker(may_wait=False)
    worker.read()
    worker.end()
    assert desk.carried_out


def test_zero_percent_is_off_and_a_persons_stop_holds_all_the_same() -> None:
    desk = Desk("0")
    worker = desk.worker(may_wait=True)
    assert desk.apply(worker, 100) == 100
    desk.store.mass_change.stop(desk.store.mass_change.read(), "we change the key")
    assert desk.apply(desk.worker(may_wait=True), 3) == 0


def test_after_resume_the_count_begins_anew(desk: Desk) -> None:
    desk.apply(desk.worker(may_wait=True), 30)
    desk.store.mass_change.resume()
    assert desk.apply(desk.worker(may_wait=True), 19) == 19
    assert desk.apply(desk.worker(may_wait=True), 19) == 0


def test_a_person_may_allow_any_number_for_a_while(desk: Desk) -> None:
    desk.store.mass_change.resume(utc_text(desk.clock() + timedelta(hours=2)))
    assert desk.apply(desk.worker(may_wait=True), 200) == 200
    desk.clock.advance(seconds=7_200)
    assert desk.apply(desk.worker(may_wait=True), 200) < 20


@settings(max_examples=100, deadline=None)
@given(
    percent=st.sampled_from(["1", "5", "50"]),
    # Of each environment: whether it may wait, and of each of its readings whether it is a loss.
    workers=st.lists(st.tuples(st.booleans(), st.lists(st.booleans(), max_size=12)), min_size=2, max_size=14),
    order=st.randoms(use_true_random=False),
)
def test_no_interleaving_lets_repairs_lose_more_than_the_limit(
    percent: str, workers: list[tuple[bool, list[bool]]], order: Any
) -> None:
    desk = Desk(percent)
    lost = {"repairs": 0, "live": 0}

    def play(may_wait: bool, losses: list[bool]) -> Iterator[None]:
        """One environment, which pauses at each step: between its count and its write as well."""
        worker = desk.worker(may_wait=may_wait)
        yield
        began_stopped = may_wait and desk.store.mass_change.read().stop is not None
        for is_loss in losses:
            inside: AbstractContextManager[None] = worker.over(desk.effect(after="UNLINKED" if is_loss else "VERIFIED"))
            was_stopped = desk.store.mass_change.read().stop is not None
            try:
                inside.__enter__()
            except RepairsStoppedError:
                assert may_wait
                continue
            # What takes no proof away may go on to the end of a batch that was begun before.
            assert not began_stopped
            assert not (is_loss and may_wait and was_stopped)
            lost["repairs" if may_wait else "live"] += is_loss
            yield
            inside.__exit__(None, None, None)
        worker.end()

    running = [play(*each) for each in workers]
    while running:
        chosen = order.choice(running)
        if next(chosen, "ended") == "ended":
            running.remove(chosen)

    readings = sum(len(losses) for _, losses in workers)
    assert lost["live"] == sum(sum(losses) for may_wait, losses in workers if not may_wait)
    assert lost["repairs"] <= max(LEAST_USERS - 1, int(readings * Decimal(percent) / 100))


# How a stop is carried out


class Aws:
    """Lambda's mappings, the SSM parameter and the alarm topic."""

    def __init__(self, desk: Desk) -> None:
        self.topic = FakeTopic()
        self.mappings = {"m1": True, "m2": True}
        self.denied = self.busy = False
        self.meanwhile: Callable[[], None] = lambda: None
        self.stop = RepairsStop(
            desk.store,
            mappings_parameter="/honnin/stack/repair-mappings",
            topic_arn="topic",
            percent=Decimal(5),
            runbook="docs/runbook.md#repairs-stopped",
            lambdas=cast("LambdaClient", self),
            ssm=self,
            sns=self.topic.client,
        )

    def get_parameter(self, **request: str) -> dict[str, Any]:
        assert request == {"Name": "/honnin/stack/repair-mappings"}
        return {"Parameter": {"Value": "m1,m2"}}

    def update_event_source_mapping(self, **request: Any) -> None:
        for code in [
            name for name, on in (("AccessDeniedException", self.denied), ("ResourceInUseException", self.busy)) if on
        ]:
            raise ClientError({"Error": {"Code": code}}, "UpdateEventSourceMapping")
        self.mappings[request["UUID"]] = request["Enabled"]
        self.meanwhile()


@pytest.fixture
def aws(desk: Desk) -> Aws:
    return Aws(desk)


def stopped(desk: Desk) -> Stop:
    desk.apply(desk.worker(may_wait=True), 30)
    found = desk.store.mass_change.read().stop
    assert found
    return found


def test_both_mappings_are_disabled_and_people_are_told_once(desk: Desk, aws: Aws) -> None:
    stop = stopped(desk)
    for _ in range(3):
        aws.stop.carry_out(stop)
    assert aws.mappings == {"m1": False, "m2": False}
    assert len(aws.topic.mails) == 1
    stored_stop = desk.store.mass_change.read().stop
    assert stored_stop
    assert stored_stop.reported_at


def test_a_mapping_that_somebody_enabled_again_is_disabled_by_the_next_batch(desk: Desk, aws: Aws) -> None:
    desk.store.mass_change.claim_mail(stopped(desk))
    worker = BatchWatch(desk.store, desk.percent, aws.stop.carry_out, desk.clock)
    worker.begin(may_wait=True)
    with suppress(RepairsStoppedError):
        worker.check()
    worker.end()
    assert aws.mappings == {"m1": False, "m2": False}
    assert aws.topic.mails == []


def test_people_are_told_also_when_the_mappings_cannot_be_disabled(
    desk: Desk, aws: Aws, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.denied = True
    aws.stop.carry_out(stopped(desk))
    assert len(aws.topic.mails) == 1
    said = capsys.readouterr().out
    assert "ConfigurationFault" in said
    assert "RepairsStopped" in said


def test_a_mapping_in_the_midst_of_a_change_is_no_fault(
    desk: Desk, aws: Aws, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.busy = True
    aws.stop.carry_out(stopped(desk))
    assert "ConfigurationFault" not in capsys.readouterr().out


def test_who_resumes_at_that_moment_finds_the_mappings_enabled(desk: Desk, aws: Aws) -> None:
    stop = stopped(desk)
    aws.meanwhile = desk.store.mass_change.resume
    aws.stop.carry_out(stop)
    assert aws.mappings == {"m1": True, "m2": True}
    assert aws.topic.mails == []


def test_a_mail_that_failed_is_sent_by_the_next_batch(desk: Desk, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "InternalError"}}, "Publish")

    stop = stopped(desk)
    with monkeypatch.context() as broken:
        broken.setattr(aws.topic, "publish", fail)
        aws.stop.carry_out(stop)
    aws.stop.carry_out(stop)
    assert len(aws.topic.mails) == 1


def test_the_mail_says_what_happened_and_what_to_do() -> None:
    losses = {UNLINKED: 18, Loss("vexora", "APPROVED", "REJECTED", "poll"): 4}
    stop = Stop("2026-04-01T03:00:00.000Z", "", 212, losses, None)
    text = mail(stop, Decimal(5), "docs/runbook.md#repairs-stopped")
    japanese, english = re.split("\n-{20,}\n", text)
    for half in (japanese, english):
        assert "2026-04-01 12:00 JST" in half
        assert "  18 × paypay: VERIFIED -> UNLINKED (recon)\n  4 × vexora: APPROVED -> REJECTED (poll)" in half
        for word in ("212", "22", "X-ASSUME-MERCHANT", "PayPayBaseUrl", "honninctl repairs resume", "repairs-stopped"):
            assert word in half
    assert len(text.encode()) < 256 * 1024


def test_times_are_read_as_they_are_written(desk: Desk) -> None:
    assert datetime.fromisoformat(stopped(desk).at) == desk.clock()
