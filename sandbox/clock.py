"""The sandbox's clock, and the work that waits for a moment on it."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime


class SandboxClock:
    """The real clock plus an offset, so that tests need not wait."""

    def __init__(self, lock: threading.RLock, time_source: Callable[[], float] = time.time) -> None:
        self._lock = lock
        self._time_source = time_source
        self._offset_s = 0.0

    def now(self) -> float:
        """Return the moment in seconds since 1970."""
        with self._lock:
            return self._time_source() + self._offset_s

    def now_ms(self) -> int:
        """Return the moment in whole milliseconds since 1970."""
        return int(self.now() * 1000)

    def now_iso(self) -> str:
        """Return the moment as UTC ISO 8601 with milliseconds."""
        return datetime.fromtimestamp(self.now(), UTC).isoformat(timespec="milliseconds")

    def offset_s(self) -> float:
        """Return how far this clock is ahead of the real one, in seconds."""
        with self._lock:
            return self._offset_s

    def advance(self, seconds: float) -> None:
        """Move the clock on (or back, when negative) by `seconds`."""
        with self._lock:
            self._offset_s += seconds

    def reset(self) -> None:
        """Return to the real time."""
        with self._lock:
            self._offset_s = 0.0


class Schedule:
    """Work that runs when the sandbox clock reaches its moment.

    With `start()` a thread of its own runs what is due. Without it (unit tests) nothing happens until
    `run_due()` is called, which makes every test deterministic.
    """

    def __init__(self, clock: SandboxClock, lock: threading.RLock) -> None:
        self._clock = clock
        self._changed = threading.Condition(lock)
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._thread: threading.Thread | None = None
        self._stopping = False

    def after(self, delay_s: float, action: Callable[[], None]) -> None:
        """Run `action` in `delay_s` seconds. It must be short: one thread runs all of them."""
        with self._changed:
            heapq.heappush(self._waiting, (self._clock.now() + delay_s, next(self._order), action))
            self._changed.notify_all()

    def pending(self) -> int:
        """Return how many actions wait."""
        with self._changed:
            return len(self._waiting)

    def shift(self, seconds: float) -> None:
        """Move everything that waits by `seconds`."""
        with self._changed:
            self._waiting = [(moment + seconds, order, action) for moment, order, action in self._waiting]
            heapq.heapify(self._waiting)

    def clear(self) -> None:
        """Forget everything that waits."""
        with self._changed:
            self._waiting.clear()

    def wake(self) -> None:
        """Look at the clock again (call this after moving it)."""
        with self._changed:
            self._changed.notify_all()

    def run_due(self) -> int:
        """Run what is due now, and what becomes due by that, in this thread; return how many actions ran."""
        ran = 0
        while (action := self._take_due()) is not None:
            action()
            ran += 1
        return ran

    def start(self) -> None:
        """Run due work in a thread from now on."""
        self._thread = threading.Thread(target=self._loop, name="sandbox-schedule", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; what waits is never run."""
        with self._changed:
            self._stopping = True
            self._waiting.clear()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=2)

    def _take_due(self) -> Callable[[], None] | None:
        with self._changed:
            if self._waiting and self._waiting[0][0] <= self._clock.now():
                return heapq.heappop(self._waiting)[2]
            return None

    def _loop(self) -> None:
        while True:
            self.run_due()
            with self._changed:
                if self._stopping:
                    return
                pause = self._waiting[0][0] - self._clock.now() if self._waiting else None
                if pause is None or pause > 0:
                    self._changed.wait(pause)
