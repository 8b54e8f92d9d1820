"""Time that a test moves."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 4, 1, 3, 0, tzinfo=UTC)


class FakeClock:
    """Time that stands still until a test moves it. Calling it gives an aware UTC moment."""

    def __init__(self, start: datetime = START) -> None:
        self.now = start
        self._start = start

    def __call__(self) -> datetime:
        """The present moment."""
        return self.now

    def advance(self, *, seconds: float = 0, days: float = 0) -> datetime:
        """Move on and return the new moment."""
        self.now += timedelta(seconds=seconds, days=days)
        return self.now

    def monotonic(self) -> float:
        """Seconds since the clock was made, as `time.monotonic` would count them."""
        return (self.now - self._start).total_seconds()

    def epoch_ms(self) -> int:
        """Milliseconds since 1970."""
        return round(self.now.timestamp() * 1000)
