"""A rate towards a provider that a test decides about."""

import time
from dataclasses import dataclass, field


@dataclass
class FakePace:
    """Counts the turns that were asked for, and keeps what was reported of refusals."""

    waits_s: float = 0.0
    error: Exception | None = None
    calls: int = 0
    reported: list[str | None] = field(default_factory=list)

    def before_call(self) -> None:
        """Give a turn, after a while, or none."""
        self.calls += 1
        time.sleep(self.waits_s)
        if self.error:
            raise self.error

    def limited(self, retry_after: str | None = None) -> None:
        """There were too many calls."""
        self.reported.append(retry_after)
