"""The clock, and the numbered boundary that every call passes before and after it takes effect."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from chaos.schedule import MEANWHILE, Fault

# Twenty minutes before midnight in Japan: schedules cross the day.
START = datetime(2026, 4, 1, 14, 40, tzinfo=UTC)

# Seconds that a caller loses on a call without an answer.
_LOST_S = {"provider": 15, "sqs": 1}
_LOST_AT_AWS_S = 5


class Crash(BaseException):
    """The execution environment is gone in the middle of something. Nothing of Honnin's may catch it."""


class InjectedBugError(Exception):
    """A bug of ours, for which the code under test has no name."""


class Clock:
    """Aware UTC; every look takes a millisecond, so that no two moments are the same."""

    def __init__(self, start: datetime = START) -> None:
        self.now = start

    def __call__(self) -> datetime:
        """The present moment."""
        self.now += timedelta(milliseconds=1)
        return self.now

    def peek(self) -> datetime:
        """The present moment, without a millisecond's passing."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


class Boundary:
    """Counts the calls to each service and carries the fault plan out."""

    def __init__(self, faults: Sequence[Fault], clock: Clock, meanwhile: Callable[[Fault], None]) -> None:
        self._plan: dict[tuple[str, str, int], Fault] = {}
        for fault in faults:
            span = 1 if fault.kind in MEANWHILE else fault.calls
            for number in range(fault.call, fault.call + span):
                self._plan.setdefault((fault.service, fault.when, number), fault)
        self._clock = clock
        self._meanwhile = meanwhile
        self._deadlines: list[datetime] = []
        self.off = False
        self.calls: Counter[str] = Counter()  # while faults may happen
        self.injected: Counter[tuple[str, str, str]] = Counter()

    @contextmanager
    def invocation(self, seconds: float) -> Iterator[None]:
        """One invocation, which Lambda ends after that time."""
        self._deadlines.append(self._clock.peek() + timedelta(seconds=seconds))
        try:
            yield
        finally:
            self._deadlines.pop()

    def remaining_ms(self) -> int:
        """What is left of the present invocation."""
        return int((self._deadlines[-1] - self._clock.peek()).total_seconds() * 1000)

    def call[T](self, service: str, effect: Callable[[], T], fault: Callable[[str], T]) -> T:
        """Make one call. `fault` gives what the caller gets for a kind of fault, or raises it."""
        number = self.calls[service]
        self.calls[service] += not self.off
        if kind := self._pass(service, "before", number):
            return fault(kind)
        outcome: T | None = None
        failed: Exception | None = None
        try:
            outcome = effect()
        except Exception as error:
            failed = error
        kind = self._pass(service, "after", number)
        if kind == "repeated":
            return effect() if failed is None else fault("error")
        if kind:
            return fault(kind)
        if failed is not None:
            raise failed
        return outcome  # type: ignore[return-value]  # the effect gave it

    def _pass(self, service: str, when: str, number: int) -> str:
        """Kill or pause here, or return the kind of failure that the caller meets (empty: none)."""
        self._check_time()
        fault = None if self.off else self._plan.get((service, when, number))
        if fault is None:
            return ""
        self.injected[service, when, fault.kind] += 1
        match fault.kind:
            case "kill":
                raise Crash
            case "unexpected":
                raise InjectedBugError
            case "lost":
                self._clock.advance(_LOST_S.get(service, _LOST_AT_AWS_S))
            case kind if kind in MEANWHILE:
                self._meanwhile(fault)
                self._check_time()
                return ""
        return fault.kind

    def _check_time(self) -> None:
        if self._deadlines and self._clock.peek() >= self._deadlines[-1]:
            if not self.off:
                self.injected["lambda", "during", "time-out"] += 1
            raise Crash
