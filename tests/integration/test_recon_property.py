"""Whatever webhooks are lost, whatever comes twice and wherever it crashes: recon ends in PayPay's truth, once each.

Some of the schedules that `python -m chaos --world recon` plays, and the harness held to account.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest

from chaos import generate
from chaos.environment import ViolationError, prepared
from chaos.recon_generate import LIFE, RECON
from chaos.recon_schedule import SERVICES, Change, ReconSchedule
from chaos.recon_world import Parts
from chaos.schedule import Fault, Work
from honnin.recon.arrival import Arrivals
from honnin.recon.compare import Comparison, Dealt
from honnin.store import Notification, ReconFile, Store
from honnin.store.ledger import Ledger
from honnin.store.notifications import Notifications

_SEED = 4

RECHECKED = ReconSchedule((Change(0, "not_completed"), Work(3), Change(0, "verified", "lost")), recheck_all=True)


@pytest.mark.timeout(400)
def test_any_schedule_ends_in_paypays_truth_and_each_missed_event_counts_once() -> None:
    tally, failure = generate.explore(RECON, 150, seed_number=_SEED)

    assert failure is None, f"{failure.violation}: {failure.schedule.to_json()}"
    assert tally.schedules >= 150
    # Else the schedules have become hollow: no file is fetched, nobody is repaired.
    assert tally.calls["file"] > 100
    assert tally.calls["provider"] > 100
    # The others are called so seldom that chance may miss them; a crash meets each of their calls below.
    often = {"dynamodb", "transaction", "s3", "sqs", "file"}
    assert {service for service, _, _ in tally.injected} >= often


@pytest.mark.parametrize("schedule", [RECON.life(()), RECHECKED], ids=["a night", "everyone read again"])
def test_without_a_fault_it_ends_in_paypays_truth(schedule: ReconSchedule) -> None:
    with prepared():
        RECON.run(schedule)


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("kind", "every"),
    # The moment after a call is the moment before the next.
    [("kill", 1), ("comparison", 3), ("worker", 3)],
    ids=["a crash", "another comparison", "another worker"],
)
def test_whatever_happens_before_any_single_call_of_a_night_does_no_harm(kind: str, every: int) -> None:
    with prepared():
        calls, _ = RECON.run(RECON.life(()))
        assert sum(calls.values()) > 150, "the night has fewer calls than it is made of"
        for service in SERVICES:
            for number in range(0, calls[service], every):
                RECON.run(RECON.life((Fault(service, number, "before", kind),)))


def test_a_printed_schedule_is_the_schedule() -> None:
    schedule = ReconSchedule(LIFE, (Fault("s3", 7, "before", "comparison"),), recheck_all=True)

    assert ReconSchedule.from_json(schedule.to_json()) == schedule


# --- the harness itself: it must find what is broken on purpose ---


class DoneBeforeSentComparison(Comparison):
    """Notes that a shard is done before its repairs are on the queue: a crash between the two loses them."""

    def _shard(self, file: ReconFile, shard: str, dealt: Dealt, left_ms: Callable[[], int]) -> None:
        self._store.recon.shard_done(file, shard)
        super()._shard(file, shard, dealt, left_ms)


class DeafLedger(Ledger):
    """Does not hear what came within the hour after midnight."""

    def received(self, ledger: str, day: str, shard: str) -> Iterator[list[str]]:
        """The lines of the day alone."""
        return iter([]) if shard.startswith("late-") else super().received(ledger, day, shard)


class DeafStore(Store):
    """With a deaf ledger."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.ledger = DeafLedger(self.table)


class ForgetfulArrivals(Arrivals):
    """Takes a file whose comparison has ended for one that has been told of."""

    def _arrived(self, key: str, left_ms: Callable[[], int]) -> None:
        file = self._file(key)
        if file is None or file.state != "COMPARED":
            super()._arrived(key, left_ms)


class StubbornNotifications(Notifications):
    """Keeps the first notification of a file, though its URL has ended and a new one came."""

    known: ClassVar[set[tuple[int, str, str]]] = set()

    def record(self, notification: Notification) -> None:
        """Only the first one counts."""
        file = id(self._table.db), notification.file_type, notification.file_name
        if file not in self.known:
            self.known.add(file)
            super().record(notification)


class StubbornStore(Store):
    """With stubborn notifications."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.notifications = StubbornNotifications(self.table)


_SERIAL = itertools.count()


def id_of_a_run(file: ReconFile, user_authorization_id: str) -> str:
    """A repair's id that is another one each time it is sent."""
    return f"recon:{file.file_type}:{file.day}:{user_authorization_id}:{next(_SERIAL)}"


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("parts", "seed"),
    # The seed of each is chosen so that the search is short.
    [
        (Parts(comparison=DoneBeforeSentComparison), 100),
        (Parts(store=DeafStore), 100),
        (Parts(store=StubbornStore), 4),
        (Parts(event_id=id_of_a_run), 4),
    ],
    ids=["done before sent", "deaf after midnight", "first notice only", "another id each time"],
)
def test_the_harness_finds_what_is_broken_on_purpose(parts: Parts, seed: int) -> None:
    _, failure = generate.explore(RECON, 150, seed_number=seed, parts=parts, shrink=False)

    assert failure is not None, "not one of 150 schedules shows the fault"
    with prepared(), pytest.raises(ViolationError):
        RECON.run(failure.schedule, parts)
    # The same schedule holds with the real parts.
    with prepared():
        RECON.run(failure.schedule)


@pytest.mark.timeout(400)
def test_a_crash_at_some_moment_finds_an_event_that_is_forgotten() -> None:
    # Too few moments for chance: between the end of a comparison and its event.
    with prepared():
        calls, _ = RECON.run(RECON.life(()))
        crashes = (
            RECON.life((Fault(service, number, when, "kill"),))
            for service in ("events", "dynamodb", "s3")
            for number in range(calls[service])
            for when in ("before", "after")
        )
        assert any(_violates(each, Parts(arrivals=ForgetfulArrivals)) for each in crashes)


def _violates(schedule: ReconSchedule, parts: Parts) -> bool:
    try:
        RECON.run(schedule, parts)
    except ViolationError:
        return True
    return False
