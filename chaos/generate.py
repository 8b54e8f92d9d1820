"""Schedules of any world: drawn by hypothesis, and the search for one that breaks an invariant."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, product
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from chaos.environment import Injected, ViolationError, prepared
from chaos.schedule import AWS_FAILURES, FAILURES, ORDERS, Fault, Schedule, Work

# At once, so that one run of hypothesis does not grow without end.
_CHUNK = 250

# Met before the call takes effect, or not at all.
_AWS_BEFORE_ONLY = ("throttled", "conflict", "refused", "unexpected")


@dataclass
class Tally:
    """What has been played so far."""

    schedules: int = 0
    distinct: set[int] = field(default_factory=set)
    calls: Counter[str] = field(default_factory=Counter)
    injected: Injected = field(default_factory=Counter)


@dataclass(frozen=True)
class Failure:
    """The smallest schedule found that breaks an invariant."""

    schedule: Schedule[Any]
    violation: ViolationError


@dataclass(frozen=True)
class Game:
    """One world, as it is explored. `choices` gives each (kind, when) of a fault that a service knows."""

    name: str
    schedule: type[Schedule[Any]]
    run: Callable[..., tuple[Counter[str], Injected]]
    schedules: Callable[[], st.SearchStrategy[Any]]
    life: Callable[[Sequence[Fault]], Any]
    services: Sequence[str]
    choices: Callable[[str], list[tuple[str, str]]]


def choices(kinds: Sequence[str], before_only: Sequence[str]) -> list[tuple[str, str]]:
    """Each (kind, when) of these kinds; what the SDK sends twice has taken effect."""
    before = [(kind, "before") for kind in kinds if kind != "repeated"]
    return before + [(kind, "after") for kind in kinds if kind not in before_only]


def aws_choices(service: str) -> list[tuple[str, str]]:
    """Each (kind, when) of a fault at a service of AWS."""
    return choices([*FAILURES, *AWS_FAILURES.get(service, ())], _AWS_BEFORE_ONLY)


def works() -> st.SearchStrategy[Work]:
    """A worker's batch."""
    return st.builds(Work, st.sampled_from([10, 10, 3, 1]), st.sampled_from(ORDERS), st.sampled_from([0, 0, 20, 720]))


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


def sweep(
    game: Game,
    kinds: Sequence[str] = (),
    *,
    services: Sequence[str] = (),
    every: int = 1,
    progress: Callable[[Tally], None] = lambda _: None,
) -> tuple[Tally, Failure | None]:
    """Every fault (or those `kinds`) at every single call of one whole life, before and after it takes effect.

    `services`: only at the calls to these. `every`: only at every second one with 2, every third with 3, and so on.
    `progress` is called after each chunk.
    """
    tally = Tally()
    with prepared():
        calls, _ = game.run(game.life(()))
        for fault in islice(_each_fault(game, calls, kinds, services), 0, None, every):
            schedule = game.life((fault,))
            tally.schedules += 1
            tally.distinct.add(hash(schedule))
            try:
                made, injected = game.run(schedule)
            except ViolationError as violation:
                return tally, Failure(schedule, violation)
            tally.calls.update(made)
            tally.injected.update(injected)
            if tally.schedules % _CHUNK == 0:
                progress(tally)
    return tally, None


def _each_fault(game: Game, calls: Counter[str], kinds: Sequence[str], services: Sequence[str]) -> Iterator[Fault]:
    for service in services or game.services:
        for number, (kind, when) in product(range(calls[service]), game.choices(service)):
            if not kinds or kind in kinds:
                yield Fault(service, number, when, kind)


def explore(
    game: Game,
    count: int,
    *,
    seed_number: int,
    parts: Any = None,
    enough: Callable[[Tally], bool] = lambda _: False,
    shrink: bool = True,
    at_once: int = _CHUNK,
) -> tuple[Tally, Failure | None]:
    """Play `count` schedules, or fewer when one breaks an invariant or `enough` says so after a chunk.

    `at_once`: how many make a chunk. Which ones a seed gives depends on it.
    """
    tally = Tally()
    with prepared():
        while tally.schedules < count and not enough(tally):
            size = min(at_once, count - tally.schedules)
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
