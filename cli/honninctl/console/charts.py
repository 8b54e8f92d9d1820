"""Bars, drawn here as SVG: the console loads no script that could draw them in the browser."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

# Units of the picture: a bar's place and its width, and the height of the tallest bar.
STEP, BAR, HEIGHT = 10, 7, 60
# The least height of a bar that is not zero: one user among thousands is still seen.
_LEAST = 3


@dataclass(frozen=True)
class Bar:
    """One day's bar, in units of the picture."""

    day: str
    value: int
    x: int
    y: int
    height: int


@dataclass(frozen=True)
class Chart:
    """The numbers of one series by day, the oldest first. `name` is its text's name."""

    name: str
    values: Sequence[tuple[str, int]]

    @property
    def width(self) -> int:
        """Of the whole picture."""
        return STEP * len(self.values)

    @property
    def total(self) -> int:
        """Of all days."""
        return sum(value for _, value in self.values)

    @property
    def most(self) -> tuple[str, int]:
        """The day with the most, and its number."""
        return max(self.values, key=lambda each: each[1])

    @cached_property
    def bars(self) -> list[Bar]:
        """One for each day that has any."""
        most = max(1, self.most[1])
        found = []
        for position, (day, value) in enumerate(self.values):
            height = max(_LEAST, round(HEIGHT * value / most)) if value else 0
            found.append(Bar(day, value, position * STEP + (STEP - BAR) // 2, HEIGHT - height, height))
        return found
