"""Schedules of the Vexora world, drawn by hypothesis."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st

from chaos import generate, vexora_checks
from chaos.generate import Game, aws_choices, fault_at, works
from chaos.schedule import FAILURES, Echo, Fault, Poll, Rotate, Wait, Work
from chaos.vexora_schedule import (
    BEFORE_ONLY,
    CALLBACKS,
    FORMS,
    OUTCOMES,
    PROVIDER_FAILURES,
    SERVICES,
    Elsewhere,
    Forge,
    Manners,
    Review,
    Step,
    Submit,
    VexoraSchedule,
)

# How many calls to each service a schedule usually makes: faults beyond are never met.
_REACH = {"dynamodb": 30, "transaction": 9, "s3": 4, "sqs": 8, "events": 6, "secrets": 3, "provider": 5}

_DAY_S = 86_400
_WAITS_S = (1, 30, 60, 300, 700, 4_000, _DAY_S, 9 * _DAY_S, 40 * _DAY_S)


def choices(service: str) -> list[tuple[str, str]]:
    """Each (kind, when) of a fault at a service."""
    if service != "provider":
        return aws_choices(service)
    return generate.choices([*FAILURES, *PROVIDER_FAILURES], BEFORE_ONLY)


def schedules() -> st.SearchStrategy[VexoraSchedule]:
    """Up to 16 steps with up to ten faults: of one user with much going on, or of up to three."""
    return st.one_of(_unclear(), _schedules_of(st.just(0)), _schedules_of(st.sampled_from([0, 0, 0, 1, 2])))


def _manners() -> st.SearchStrategy[Manners]:
    before = st.lists(st.sampled_from(["", "", "", "0", "1", "2", "3"]), min_size=3, max_size=3)
    return st.builds(
        Manners,
        st.sampled_from(["absent", "absent", "same", "other"]),
        st.sampled_from(["same", "other", "absent"]),
        st.sampled_from(["boolean", "text", "absent"]),
        st.booleans(),
        st.sampled_from(["number", "text", "absent"]),
        st.sampled_from(["refused", "accepted"]),
        st.booleans(),
        st.one_of(st.just(()), before.map(tuple)),
    )


def faults() -> st.SearchStrategy[Fault]:
    """One fault at one call: more often at Vexora, and at the writes."""
    often = [*SERVICES, "provider", "provider", "provider", "transaction"]
    return st.sampled_from(often).flatmap(_faults_at)


def _faults_at(service: str) -> st.SearchStrategy[Fault]:
    # Two kinds decide what a submission is afterwards, so they come more often.
    more = _DECIDING if service == "provider" else ()
    return fault_at(service, _REACH[service], [*choices(service), *more])


_DECIDING = (("late", "before"), ("unsent", "before")) * 3


def _schedules_of(users: st.SearchStrategy[int]) -> st.SearchStrategy[VexoraSchedule]:
    submits = st.builds(Submit, users, st.sampled_from([0, 0, 1, 45, 620]))
    return st.builds(
        VexoraSchedule,
        st.builds(lambda first, rest: (first, *rest), submits, st.lists(_steps(users), min_size=5, max_size=16)),
        st.lists(faults(), min_size=2, max_size=10).map(tuple),
        _manners(),
    )


# An application that was rejected (a second callback still waits), and one that never arrived; the next
# `kycApplyFor` is Vexora's third call.
_REJECTED: tuple[Step, ...] = (Submit(0), Review(0, "reject", "twice"), Work(1))
_LOST: tuple[Step, ...] = (Submit(0), Wait(700))


def _unclear() -> st.SearchStrategy[VexoraSchedule]:
    """A new submission over an earlier one fails in any way; other things happen; the merchant repeats."""
    kinds = [each for each in choices("provider") if each[0] not in ("pause", "unexpected")]
    failing = st.sampled_from([*kinds, *_DECIDING])
    submits = st.builds(Submit, st.just(0), st.sampled_from([0, 1, 45, 620]))

    def made(
        lost: bool,
        first: Step,
        rest: Sequence[Step],
        last: Step,
        kind: tuple[str, str],
        more: Sequence[Fault],
        m: Manners,
    ) -> VexoraSchedule:
        plan = (Fault("provider", 2, kind[1], kind[0]), *more)
        manners = replace(m, before_us=(), unknown_listed=lost or m.unknown_listed)
        begun, plan = (_LOST, (Fault("provider", 0, "before", "lost"), *plan)) if lost else (_REJECTED, plan)
        return VexoraSchedule((*begun, first, *rest, last), plan, manners)

    soon = st.just(Work(wait_s=45))
    middle = st.lists(st.one_of(soon, _steps(st.just(0))), min_size=1, max_size=6)
    return st.builds(
        made,
        st.booleans(),
        submits,
        middle,
        st.one_of(submits, st.just(Poll())),
        failing,
        st.lists(faults(), max_size=2),
        _manners(),
    )


def _steps(users: st.SearchStrategy[int]) -> st.SearchStrategy[Step]:
    callbacks = st.sampled_from([*CALLBACKS, "sent", "sent"])
    forms = st.sampled_from([*FORMS, "json", "json"])
    claims = st.sampled_from(["", "", "", "2", "3", "0"])
    outcomes = st.sampled_from([*OUTCOMES, "approve", "reject", "reject"])
    submits = st.builds(Submit, users, st.sampled_from([0, 0, 1, 45, 620]))
    reviews = st.builds(Review, users, outcomes, callbacks, forms, claims)
    work = works()
    polls: st.SearchStrategy[Step] = st.just(Poll())
    waits = st.builds(Wait, st.sampled_from(_WAITS_S))
    rare: st.SearchStrategy[Step] = st.one_of(
        st.builds(Echo, st.integers(0, 9)),
        st.builds(Forge, users, st.booleans(), forms),
        st.builds(Elsewhere, users),
        st.just(Rotate()),
    )
    return st.one_of(submits, reviews, reviews, work, work, polls, waits, rare)


# One user's whole life: rejected, submitted again without a clear answer, found by the poll, approved; another
# whose callback is lost.
LIFE: tuple[Step, ...] = (
    Submit(0),
    Review(0, "begin"),
    Review(0, "reject", "twice", "form"),
    Work(),
    Submit(0, 620),
    Submit(1),
    Forge(0, knows_token=True),
    Work(),
    Wait(700),
    Poll(),
    Work(),
    Review(0, "approve", "sent", "multipart"),
    Review(1, "approve", "lost"),
    Work(order="reversed"),
    Wait(40 * _DAY_S),
    Poll(),
    Work(),
    Submit(2),
)


def _life(plan: Sequence[Fault]) -> VexoraSchedule:
    return VexoraSchedule(LIFE, tuple(plan), Manners(before_us=("", "", "2")))


VEXORA = Game("Vexora", VexoraSchedule, vexora_checks.run, schedules, _life, SERVICES, choices)
