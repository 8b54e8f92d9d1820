"""Whatever webhooks are lost, whatever comes twice and wherever it crashes: recon ends in PayPay's truth, once each.

Some of the schedules that `python -m chaos --world recon` plays, and the harness held to account.
"""

import itertools
from typing import Any

import pytest

from chaos import generate
from chaos.environment import ViolationError, prepared
from chaos.recon_generate import LIFE, RECON
from chaos.recon_schedule import SERVICES, Change, ReconSchedule
from chaos.recon_world import Parts
from chaos.replacing import replaced
from chaos.schedule import Fault, Work
from honnin.recon import compare
from honnin.recon.bucket import FileId
from honnin.recon.compare import Question, RangeComparison, done_name
from honnin.recon.file_types import FILE_TYPES
from honnin.recon.plan import Range
from honnin.recon.starting import Starting
from honnin.recon.summary import Summaries
from honnin.store import Comparison, Link, Notification, ReconFile, Store, UserStatus
from honnin.store.notifications import Notifications

# Chosen so that each service is met by a fault.
_SEED = 9

RECHECKED = ReconSchedule((Change(0, "not_completed"), Work(3), Change(0, "verified", "lost")), recheck_all=True)
MISSED = ReconSchedule((Change(0, "not_completed"), Work(3), Change(1, "flagged", "lost")), recheck_all=False)


@pytest.mark.timeout(400)
def test_any_schedule_ends_in_paypays_truth_and_each_missed_event_counts_once() -> None:
    tally, failure = generate.explore(RECON, 75, seed_number=_SEED)

    assert failure is None, f"{failure.violation}: {failure.schedule.to_json()}"
    assert tally.schedules >= 75
    # Else the schedules have become hollow: no file is fetched, nobody is repaired.
    assert tally.calls["file"] > 50
    assert tally.calls["provider"] > 50
    # The others are called so seldom that chance may miss them; a crash meets each of their calls below.
    often = {"dynamodb", "transaction", "s3", "sqs", "file"}
    assert {service for service, _, _ in tally.injected} >= often


@pytest.mark.parametrize("schedule", [RECON.life(()), RECHECKED, MISSED], ids=["a night", "everyone", "missed only"])
def test_without_a_fault_it_ends_in_paypays_truth(schedule: ReconSchedule) -> None:
    with prepared():
        RECON.run(schedule)


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("kind", "every"),
    # The moment after a call is the moment before the next. `make chaos` has the faults at all calls.
    [("kill", 3), ("comparison", 7), ("worker", 7)],
    ids=["a crash", "the state machine", "another worker"],
)
def test_whatever_happens_before_any_single_call_of_a_night_does_no_harm(kind: str, every: int) -> None:
    with prepared():
        calls, _ = RECON.run(RECON.life(()))
        assert sum(calls.values()) > 150, "the night has fewer calls than it is made of"
        for service in SERVICES:
            # The bucket is called most of all, and for each row alike.
            for number in range(0, calls[service], 2 * every if service == "s3" else every):
                RECON.run(RECON.life((Fault(service, number, "before", kind),)))


def test_a_printed_schedule_is_the_schedule() -> None:
    schedule = ReconSchedule(LIFE, (Fault("s3", 7, "before", "comparison"),), recheck_all=True)

    assert ReconSchedule.from_json(schedule.to_json()) == schedule


# --- the harness itself: it must find what is broken on purpose ---


class DoneBeforeSentComparison(RangeComparison):
    """Says that a range is done before its events are on a queue: a crash between the two loses them."""

    def run(self, comparison: Comparison, part: Range, etag: str) -> None:
        """Done, and then sent."""
        found = self._found(comparison, part, etag)
        outcome = {"counts": found.counts, "malformed": found.malformed, "shape": found.shape}
        if self._bucket.put_once(FileId.compared(comparison), comparison.number, done_name(part), outcome):
            self._repairs.repair(comparison, found.repairs, self._now())
            self._repairs.reread(comparison, [*found.rereads, *found.unlinked], self._now())


class TrustingQuestion(Question):
    """Takes a webhook that was received for an answer."""

    def is_answered(self, status: UserStatus, link: Link) -> bool:
        """Answered by what was received."""
        return self.is_received(status) or super().is_answered(status, link)


class PatientQuestion(Question):
    """Takes whatever was read after the file's day for an answer, though the notification came later."""

    @classmethod
    def of(cls, file: ReconFile, required_kyc_type: str | None = None) -> Question:
        """The question since midnight."""
        return cls(FILE_TYPES[file.file_type].kind, file.day, f"{file.day}T15:00:00.000Z", required_kyc_type)


def asking(question: type[Question]) -> type[RangeComparison]:
    """A comparison that asks another question."""

    class Asking(RangeComparison):
        def run(self, comparison: Comparison, part: Range, etag: str) -> None:
            with replaced((compare, "Question", question)):
                super().run(comparison, part, etag)

    return Asking


class ForgetfulSummaries(Summaries):
    """Takes a comparison that is recorded as over for one that has been reported."""

    def run(self, comparison: Comparison) -> dict[str, Any]:
        """Nothing where it is over."""
        return {"settled": True} if self._file(comparison).completed_at else super().run(comparison)


class ContentStarting(Starting):
    """Takes an execution that was stopped for one that is fine."""

    def _is_fine(self, name: str) -> bool:
        return True


class StubbornNotifications(Notifications):
    """Keeps the first notification of a file, though its URL has ended and a new one came."""

    def record(self, notification: Notification) -> None:
        """Only the first one counts. What is known is kept on the table, so that no other world knows it."""
        known: set[tuple[str, str]] = vars(self._table.db).setdefault("known_files", set())
        file = notification.file_type, notification.file_name
        if file not in known:
            known.add(file)
            super().record(notification)


class StubbornStore(Store):
    """With stubborn notifications."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.notifications = StubbornNotifications(self.table)


_SERIAL = itertools.count()


def id_of_a_run(comparison: Comparison, user_authorization_id: str) -> str:
    """An event's id that is another one each time it is sent."""
    return f"recon:{comparison.file_type}:{comparison.day}:{user_authorization_id}:{next(_SERIAL)}"


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("parts", "seed"),
    # The seed of each is chosen so that the search is short.
    [
        (Parts(comparison=asking(TrustingQuestion)), 4),
        (Parts(comparison=asking(PatientQuestion)), 4),
        (Parts(starting=ContentStarting), 5),
        (Parts(store=StubbornStore), 4),
        (Parts(event_id=id_of_a_run), 4),
    ],
    ids=[
        "received is read",
        "read before the notification",
        "stopped is fine",
        "first notification only",
        "another id each time",
    ],
)
def test_the_harness_finds_what_is_broken_on_purpose(parts: Parts, seed: int) -> None:
    _, failure = generate.explore(RECON, 150, seed_number=seed, parts=parts, shrink=False, at_once=25)

    assert failure is not None, "not one of 150 schedules shows the fault"
    with prepared(), pytest.raises(ViolationError):
        RECON.run(failure.schedule, parts)
    # The same schedule holds with the real parts.
    with prepared():
        RECON.run(failure.schedule)


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("parts", "services"),
    [
        (Parts(summaries=ForgetfulSummaries), ("events", "dynamodb", "s3")),
        (Parts(comparison=DoneBeforeSentComparison), ("sqs", "s3")),
    ],
    ids=["an event that is forgotten", "done before sent"],
)
def test_a_crash_at_some_moment_finds_what_is_lost(parts: Parts, services: tuple[str, ...]) -> None:
    # Too few moments for chance.
    with prepared():
        calls, _ = RECON.run(RECON.life(()))
        crashes = (
            RECON.life((Fault(service, number, when, "kill"),))
            for service in services
            for number in range(calls[service])
            for when in ("before", "after")
        )
        assert any(_violates(each, parts) for each in crashes)


def _violates(schedule: ReconSchedule, parts: Parts) -> bool:
    try:
        RECON.run(schedule, parts)
    except ViolationError:
        return True
    return False
