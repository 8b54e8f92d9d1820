"""Fault schedules for Vexora: 320 of the 10,000 that `make chaos` plays, and a broken copy of each rule.

The rules are those of docs/architecture.md, "Vexora": what was not sent, what got no answer, whom an answer is
about, and who is asked for how long.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from chaos import generate
from chaos.environment import ViolationError, prepared
from chaos.schedule import Fault, Poll, Wait, Work
from chaos.vexora_generate import VEXORA
from chaos.vexora_schedule import PROVIDER_FAILURES, SERVICES, Manners, Review, Submit, VexoraSchedule
from chaos.vexora_world import Parts
from honnin.errors import NotSentError, ProviderRefusedError, ProviderTimeoutError, RateLimitedError
from honnin.store import Effect, Store, Submission, UserStatus
from honnin.store.events import Events
from honnin.store.submissions import Submissions as SubmissionTable
from honnin.vexora import models, result, submission
from honnin.vexora.client import VexoraClient
from honnin.vexora.models import Reading
from honnin.vexora.submission import Submissions
from tests.fakes.stores import ForgetfulStore, RecordFirstStore, UnfencedStore

# Chosen so that each fault is met.
_SEED = 7
_DAY_S = 86_400


@pytest.mark.timeout(300)
def test_fault_schedules_end_in_vexoras_truth_and_apply_nothing_twice() -> None:
    tally, failure = generate.explore(VEXORA, 320, seed_number=_SEED)

    assert failure is None, f"{failure.violation}: {failure.schedule.to_json()}"
    assert tally.schedules >= 320
    # Else the schedules have become hollow: nobody is submitted, nothing is read.
    assert tally.calls["provider"] > 600
    assert tally.calls["transaction"] > 900
    assert {service for service, _, _ in tally.injected} >= set(SERVICES)
    assert {kind for service, _, kind in tally.injected if service == "provider"} >= set(PROVIDER_FAILURES)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("kind", "every"), [("kill", 5), ("lost", 5), ("unsent", 1), ("hanging", 1), ("dead", 1), ("late", 1)]
)
def test_a_fault_at_any_single_call_of_a_whole_life_heals(kind: str, every: int) -> None:
    # `make chaos` has them all. Five has no factor in common with the two moments of each call.
    tally, failure = generate.sweep(VEXORA, [kind], every=every)

    assert failure is None, f"{failure.violation}: {failure.schedule.to_json()}"
    assert sum(tally.injected.values()) == tally.schedules >= 8


def test_a_printed_schedule_is_the_schedule() -> None:
    schedule = VexoraSchedule(
        (Submit(0, 45), Review(0, "approve", "twice", "xml")), (Fault("sqs", 1, "after", "kill"),)
    )

    assert VexoraSchedule.from_json(schedule.to_json()) == schedule


REJECTED = (Submit(0), Review(0, "reject"), Work())


@pytest.mark.parametrize(
    "schedule",
    [
        # The third application of the example: rejected, submitted again without an answer, repeated.
        VexoraSchedule((*REJECTED, Submit(0, 1)), (Fault("provider", 2, "before", "lost"),)),
        VexoraSchedule((*REJECTED, Submit(0, 45)), (Fault("provider", 2, "before", "throttled"),)),
        # The old submission's callback comes once more while the new application is on its way.
        VexoraSchedule(
            (Submit(0), Review(0, "reject", "twice"), Work(1), Submit(0), Work(wait_s=60)),
            (Fault("provider", 2, "before", "late"),),
        ),
        # Known to Vexora before us: approved, rejected (and our application late), under review.
        VexoraSchedule((Submit(0),), (), Manners(before_us=("2",))),
        VexoraSchedule(
            (Submit(0), Wait(60), Submit(0)), (Fault("provider", 0, "before", "late"),), Manners(before_us=("3",))
        ),
        VexoraSchedule((Submit(0), Poll()), (), Manners(before_us=("1",))),
        # Nobody was connected to, for everybody who tried; then the same calls again.
        VexoraSchedule((Submit(0, 1), Submit(1, 1), Submit(2, 1)), (Fault("provider", 0, "before", "unsent", 3),)),
        # Nothing was sent over an unclear submission, which stays open and on the poll.
        VexoraSchedule(
            (Submit(0), Wait(700), Submit(0)),
            (Fault("provider", 0, "before", "lost"), Fault("provider", 2, "before", "unsent")),
        ),
        # Open for longer than a month.
        VexoraSchedule((Submit(0), Wait(40 * _DAY_S), Poll(), Work(), Wait(_DAY_S), Submit(0))),
        # No user id in the answer, the status a number, `success` a text.
        VexoraSchedule((Submit(0), Review(0, "approve")), (), Manners("absent", "other", "text", numbers=True)),
    ],
    ids=[
        "unclear over a rejection",
        "429 over a rejection",
        "late callback of the old one",
        "approved before us",
        "rejected before us, ours late",
        "under review before us",
        "refused connections for everybody",
        "not sent over an unclear one",
        "open for forty days",
        "sparse answers",
    ],
)
def test_what_the_world_does_ends_in_vexoras_truth(schedule: VexoraSchedule) -> None:
    with prepared():
        VEXORA.run(schedule)


# --- the harness itself: it must find a broken copy of each rule ---


class StrandingClient(VexoraClient):
    """Takes what was not sent for what got no answer."""

    def apply(self, **fields: Any) -> Reading:
        """Apply."""
        try:
            return super().apply(**fields)
        except NotSentError as error:
            raise ProviderTimeoutError("vexora", error.message) from None


class RecklessClient(VexoraClient):
    """Takes what got no answer for what was not sent."""

    def apply(self, **fields: Any) -> Reading:
        """Apply."""
        try:
            return super().apply(**fields)
        except ProviderTimeoutError as error:
            raise NotSentError("vexora", error.message) from None


class FinalClient(VexoraClient):
    """Takes a 429 for a refusal."""

    def apply(self, **fields: Any) -> Reading:
        """Apply."""
        try:
            return super().apply(**fields)
        except RateLimitedError as error:
            raise ProviderRefusedError("vexora", error.message) from None


class UnaskedSubmissions(Submissions):
    """Writes FAILED without having asked."""

    def _refused(self, before: UserStatus | None, started: UserStatus, error: Any) -> UserStatus:
        return self._record(started, "submission_refused", lambda now: replace(now, status="FAILED"), error.facts())


class BlindSubmissions(Submissions):
    """Takes an unclear submission for one that never arrived."""

    def _ask(self, before: UserStatus, _: Any) -> UserStatus | None:
        return None


class HintEndsPollEvents(Events):
    """Any hint takes the submission off the poll."""

    def _submission_update(self, effect: Effect) -> dict[str, Any]:
        update = super()._submission_update(effect)
        if effect.cause == "webhook" and "due_kind" not in update["UpdateExpression"]:
            update["UpdateExpression"] = update["UpdateExpression"].replace(" REMOVE ", " REMOVE due_kind, due_at, ")
        return update


class HintEndsPollStore(Store):
    """Any hint takes the submission off the poll."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.events = HintEndsPollEvents(self.table)


class MonthSubmissions(SubmissionTable):
    """Polls for thirty days and then never again."""

    def advance(self, submission: Submission, polls: int, next_due_at: str) -> None:
        """Set the next time."""
        super().advance(submission, polls, next_due_at if polls < 34 else "9999-01-01T00:00:00.000Z")


class MonthStore(Store):
    """Polls for thirty days and then never again."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.submissions = MonthSubmissions(self.table)


class NotReopenedEvents(Events):
    """Whoever is open again is on no poll."""

    def _submission_update(self, effect: Effect) -> dict[str, Any]:
        update = super()._submission_update(effect)
        update["UpdateExpression"] = update["UpdateExpression"].replace(", due_kind = :due_kind, due_at = :due_at", "")
        update["ExpressionAttributeValues"].pop(":due_kind", None)
        update["ExpressionAttributeValues"].pop(":due_at", None)
        return update


class NotReopenedStore(Store):
    """Whoever is open again is on no poll."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.events = NotReopenedEvents(self.table)


def _believe(*_: Any) -> bool:
    return False


def _named_status(envelope: models.Envelope) -> str | None:
    status = models.Envelope.__dict__["_status"].fget(envelope)
    return status if envelope.user_id else None


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("parts", "patches", "kinds", "seed"),
    # The seed of each is chosen so that the search is short.
    [
        (Parts(client=StrandingClient), [], {"diverged"}, 116),
        (Parts(client=RecklessClient), [], {"twice", "diverged"}, 4),
        (Parts(client=FinalClient), [], {"twice", "diverged"}, 4),
        (Parts(), [(submission, "proves_nothing", _believe)], {"twice", "diverged"}, 4),
        (Parts(), [(result, "proves_nothing", _believe)], {"twice", "diverged"}, 4),
        (Parts(submissions=UnaskedSubmissions), [], {"diverged"}, 30),
        (Parts(submissions=BlindSubmissions), [], {"twice"}, 4),
        (Parts(store=HintEndsPollStore), [], {"twice", "diverged"}, 4),
        (Parts(store=MonthStore), [], {"diverged"}, 2),
        (Parts(store=NotReopenedStore), [], {"twice", "diverged"}, 106),
        (Parts(), [(models.Envelope, "check_success", lambda _: None)], {"diverged"}, 101),
        (Parts(), [(models.Envelope, "status", property(_named_status))], {"broken", "diverged", "lost"}, 7),
        (
            Parts(),
            [(submission, "rejection_reason", lambda *_: {}), (result, "rejection_reason", lambda *_: {})],
            {"lost"},
            4,
        ),
        (Parts(store=RecordFirstStore), [], {"lost", "twice"}, 4),
        (Parts(store=UnfencedStore), [], {"twice", "diverged"}, 29),
        (Parts(store=ForgetfulStore), [], {"lost"}, 4),
    ],
    ids=[
        "not sent taken for no answer",
        "no answer taken for not sent",
        "429 taken for a refusal",
        "old decision taken for the new submission",
        "late callback takes the new submission off the poll",
        "refused and FAILED unasked",
        "applied again without having asked",
        "a hint ends the poll",
        "the poll ends after a month",
        "open again and on no poll",
        "success: false not read",
        "userId required",
        "the reason thrown away",
        "recorded before the effect",
        "no version condition",
        "marked before published",
    ],
)
def test_the_harness_finds_a_broken_copy_of_each_rule(
    monkeypatch: pytest.MonkeyPatch, parts: Parts, patches: Sequence[tuple[Any, str, Any]], kinds: set[str], seed: int
) -> None:
    monkeypatch.setattr(models.Envelope, "_status", models.Envelope.__dict__["status"], raising=False)
    for owner, name, broken in patches:
        monkeypatch.setattr(owner, name, broken)

    _, failure = generate.explore(VEXORA, 1500, seed_number=seed, parts=parts, shrink=False, at_once=25)

    assert failure is not None, "not one of 1,500 schedules shows the fault"
    assert failure.violation.kind in kinds, failure.violation
    with prepared(), pytest.raises(ViolationError):
        VEXORA.run(failure.schedule, parts)
    monkeypatch.undo()
    # The same schedule holds with the real parts.
    with prepared():
        VEXORA.run(failure.schedule)
