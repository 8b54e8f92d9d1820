"""Schedules drawn by hypothesis, and the search for one that breaks an invariant."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Protocol

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from chaos import checks
from chaos.environment import Injected, ViolationError, prepared
from chaos.schedule import (
    CHANGES,
    EXTRA_FAILURES,
    FAILURES,
    KINDS,
    NOTICES,
    ORDERS,
    REDIRECTS,
    SERVICES,
    Change,
    Echo,
    Fault,
    Link,
    Notify,
    Poll,
    Read,
    Rotate,
    Schedule,
    Step,
    Wait,
    Work,
)

_BEFORE_ONLY = (
    "throttled",
    "conflict",
    "refused",
    "maintenance",
    "unauthorized",
    "garbled",
    "unexpected",
    "unsent",
    "hanging",
)
_AFTER_ONLY = ("repeated",)

# How many calls to each service a schedule usually makes: faults beyond are never met.
_REACH = {"dynamodb": 50, "transaction": 15, "s3": 3, "sqs": 16, "events": 5, "secrets": 4, "provider": 10}

# At once, so that one run of hypothesis does not grow without end.
_CHUNK = 250


@dataclass
class Tally:
    """What has been played so far."""

    schedules: int = 0
    distinct: set[int] = field(default_factory=set)
    calls: Counter[str] = field(default_factory=Counter)
    injected: Injected = field(default_factory=Counter)


class Replayable(Protocol):
    """A schedule of either world."""

    @property
    def steps(self) -> Sequence[Any]:
        """What happens."""

    @property
    def faults(self) -> Sequence[Fault]:
        """What fails."""

    def to_json(self) -> str:
        """What `--replay` takes."""


@dataclass(frozen=True)
class Failure:
    """The smallest schedule found that breaks an invariant."""

    schedule: Replayable
    violation: ViolationError


@dataclass(frozen=True)
class Game:
    """One world, as it is explored. `choices` gives each (kind, when) of a fault that a service knows."""

    name: str
    run: Callable[..., tuple[Counter[str], Injected]]
    schedules: Callable[[], st.SearchStrategy[Any]]
    life: Callable[[Sequence[Fault]], Any]
    services: Sequence[str]
    choices: Callable[[str], list[tuple[str, str]]]


def schedules() -> st.SearchStrategy[Schedule]:
    """Up to 21 steps with two to twelve faults: of one user with much going on, of up to three, or a race."""
    return st.one_of(_races(), _schedules_of(st.just(0)), _schedules_of(st.sampled_from([0, 0, 0, 1, 1, 2])))


def _races() -> st.SearchStrategy[Schedule]:
    """A worker pauses just before a write; meanwhile the user changes and another worker takes the notification."""
    links = st.builds(Link, st.just(0), st.integers(0, 2))
    changes = st.builds(Change, st.just(0), st.sampled_from(CHANGES))
    steps = st.tuples(links, changes, st.just(Work()), changes, st.just(Work()))
    # The first two transactions are those of the link.
    pauses = st.builds(
        Fault, st.just("transaction"), st.integers(2, 4), st.just("before"), st.just("pause"), st.just(2)
    )
    plans = st.builds(lambda pause, rest: (pause, *rest), pauses, st.lists(faults(), max_size=3))
    return st.builds(Schedule, steps, plans)


def _schedules_of(users: st.SearchStrategy[int]) -> st.SearchStrategy[Schedule]:
    links = st.builds(Link, users, st.integers(0, 3), st.sampled_from([*REDIRECTS, "once", "once"]))
    changes = st.builds(Change, users, st.sampled_from(CHANGES), st.sampled_from([*NOTICES, "sent", "sent"]))
    notices = st.builds(Notify, users, st.sampled_from([*KINDS, "kyc", "risk"]), st.integers(1, 2), st.booleans())
    works = st.builds(Work, st.sampled_from([10, 10, 3, 1]), st.sampled_from(ORDERS), st.sampled_from([0, 0, 20, 720]))
    rare: st.SearchStrategy[Step] = st.one_of(
        st.builds(Echo, st.integers(0, 9)),
        st.builds(Read, users),
        st.just(Rotate()),
        st.just(Poll()),
        st.builds(Wait, st.sampled_from([1, 60, 900])),
    )
    steps: st.SearchStrategy[Step] = st.one_of(changes, changes, notices, works, works, works, links, rare)
    many = st.lists(steps, min_size=5, max_size=20)
    started = st.builds(lambda first, rest: (first, *rest), links, many)
    return st.builds(Schedule, started, st.lists(faults(), min_size=2, max_size=12).map(tuple))


def faults() -> st.SearchStrategy[Fault]:
    """One fault at one call: more often at a service that is called more often."""
    return st.sampled_from([*SERVICES, "dynamodb", "transaction", "transaction", "provider"]).flatmap(_faults_of)


def _faults_of(service: str) -> st.SearchStrategy[Fault]:
    return fault_at(service, _REACH[service], _choices(service))


def _choices(service: str) -> list[tuple[str, str]]:
    kinds = [*FAILURES, *EXTRA_FAILURES[service]]
    choices = [(kind, "before") for kind in kinds if kind not in _AFTER_ONLY]
    return choices + [(kind, "after") for kind in kinds if kind not in _BEFORE_ONLY]


def fault_at(service: str, reach: int, choices: Sequence[tuple[str, str]]) -> st.SearchStrategy[Fault]:
    """One fault at one of the first `reach` calls; crashes and pauses more often than others."""
    often = [each for each in choices if each[0] in ("kill", "pause")]
    return st.builds(
        lambda call, choice, calls: Fault(service, call, choice[1], choice[0], calls),
        st.integers(0, reach - 1),
        st.sampled_from([*choices, *often, *(each for each in often if each[0] == "pause")]),
        # The calls that an outage lasts, or the steps that happen during a pause.
        st.sampled_from([1, 1, 2, 2, 3, 12]),
    )


# One user's whole life: linked, flagged, cleared, a lost redirect healed, an account closed and open again.
LIFE = (
    Link(0),
    Change(0, "kyc_undone"),
    Change(0, "flagged", "twice"),
    Work(),
    Link(1, 0, "lost"),
    Notify(1, "unrecognised"),
    Change(1, "kyc_undone"),
    Notify(1, "recon"),
    Work(order="reversed"),
    Change(0, "cleared"),
    Change(0, "kyc_done"),
    Change(1, "inactive"),
    Work(),
    Change(1, "active"),
    Read(0),
    Poll(),
    Work(),
)


PAYPAY = Game("PayPay", checks.run, schedules, lambda faults: Schedule(LIFE, tuple(faults)), SERVICES, _choices)


def sweep(kinds: Sequence[str] = (), game: Game = PAYPAY) -> tuple[Tally, Failure | None]:
    """Every fault (or those `kinds`) at every single call of one whole life, before and after it takes effect."""
    tally = Tally()
    with prepared():
        calls, _ = game.run(game.life(()))
        for fault in _each_fault(game, calls, kinds):
            schedule = game.life((fault,))
            tally.schedules += 1
            tally.distinct.add(hash(schedule))
            try:
                made, injected = game.run(schedule)
            except ViolationError as violation:
                return tally, Failure(schedule, violation)
            tally.calls.update(made)
            tally.injected.update(injected)
    return tally, None


def _each_fault(game: Game, calls: Counter[str], kinds: Sequence[str]) -> Iterator[Fault]:
    for service in game.services:
        for number, (kind, when) in product(range(calls[service]), game.choices(service)):
            if not kinds or kind in kinds:
                yield Fault(service, number, when, kind)


def explore(
    count: int,
    *,
    seed_number: int,
    game: Game = PAYPAY,
    parts: Any = None,
    enough: Callable[[Tally], bool] = lambda _: False,
    shrink: bool = True,
) -> tuple[Tally, Failure | None]:
    """Play `count` schedules, or fewer when one breaks an invariant or `enough` says so after a chunk."""
    tally = Tally()
    with prepared():
        while tally.schedules < count and not enough(tally):
            size = min(_CHUNK, count - tally.schedules)
            found = _chunk(game, size, seed_number + tally.schedules, tally, parts, shrink)
            if found:
                return tally, found
    return tally, None


def _chunk(game: Game, count: int, seed_number: int, tally: Tally, parts: Any, shrink: bool) -> Failure | None:
    last: list[Failure] = []

    def play(schedule: Any) -> None:
        if not last:
            tally.schedules += 1
            tally.distinct.add(hash(schedule))
        try:
            calls, injected = game.run(schedule, parts)
        except ViolationError as violation:
            last.append(Failure(schedule, violation))
            raise
        if not last:
            tally.calls.update(calls)
            tally.injected.update(injected)

    test: Any = settings(
        max_examples=count,
        database=None,
        deadline=None,
        derandomize=False,
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
    )(seed(seed_number)(given(game.schedules())(play)))
    try:
        test()
    except ViolationError:
        # Hypothesis ends by playing the smallest one again.
        return last[-1]
    return None
