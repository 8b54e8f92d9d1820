"""The recon calendar as a picture: one strip of days with a row for each file type, and what became of a day's file."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from honnin.recon import days as recon_days
from honnin.recon.days import CalendarDay, DayState
from honnin.store import ReconFile


class Look(StrEnum):
    """The colour of a cell."""

    GOOD = "good"
    MENDED = "mended"
    WORK = "work"
    LATE = "late"
    MISSING = "missing"
    QUIET = "quiet"


# Each state has a symbol as well: a cell is read without its colour.
LOOKS = {
    DayState.COMPARED: (Look.GOOD, "check"),
    DayState.REPAIRED: (Look.MENDED, "mend"),
    DayState.REPAIRING: (Look.WORK, "glass"),
    DayState.LATE: (Look.LATE, "clock"),
    DayState.MISSING: (Look.MISSING, "cross"),
    DayState.DOUBTFUL: (Look.MISSING, "alert"),
    DayState.EXPIRED: (Look.MISSING, "gone"),
    DayState.STORED: (Look.WORK, "box"),
    DayState.ANNOUNCED: (Look.WORK, "bell"),
    DayState.DUE: (Look.QUIET, "dots"),
    DayState.NONE: (Look.QUIET, "dash"),
}


@dataclass(frozen=True)
class Cell:
    """One file type on one day."""

    day: CalendarDay

    @property
    def look(self) -> Look:
        """Its colour."""
        return LOOKS[self.day.state][0]

    @property
    def symbol(self) -> str:
        """Its symbol's name."""
        return LOOKS[self.day.state][1]

    @property
    def figure(self) -> int | None:
        """The number to show: users whose status changed, or who still wait."""
        if self.day.state is DayState.REPAIRED:
            return self.day.changed
        return self.day.open if self.day.state is DayState.REPAIRING else None


@dataclass(frozen=True)
class StripDay:
    """A day of the strip. `opens_month`: it has to name its month."""

    day: str
    month: int
    number: int
    opens_month: bool
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Strip:
    """The days, the oldest first, and the file types in the order of each day's cells."""

    types: Sequence[str]
    days: Sequence[StripDay]


def strip(days: Sequence[CalendarDay]) -> Strip:
    """One column for each day, with a cell for each file type; `days` in any order."""
    types = list(dict.fromkeys(each.file_type for each in days))
    by_place = {(each.day, each.file_type): Cell(each) for each in days}
    found = []
    for position, day in enumerate(sorted({each.day for each in days})):
        when = date.fromisoformat(day)
        cells = [by_place[day, kind] for kind in types if (day, kind) in by_place]
        found.append(StripDay(day, when.month, when.day, not position or when.day == 1, cells))
    return Strip(types, found)


def states(days: Sequence[CalendarDay]) -> list[DayState]:
    """The states that occur, in the order of the legend."""
    return [state for state in DayState if any(each.state is state for each in days)]


def is_nothing_known(days: Sequence[CalendarDay]) -> bool:
    """Whether there is nothing that is good or bad: no notification of a file has come yet, or none can be shown."""
    return all(each.state in recon_days.NEUTRAL for each in days)


def state_of(file: Mapping[str, Any], now: datetime) -> DayState:
    """What became of one file of a day's report."""
    known = ReconFile(
        file["fileType"],
        file["day"],
        file.get("fileName") or "",
        file["state"],
        deadline=file.get("deadline"),
        doubt=file.get("doubt"),
        compared_at=file.get("comparedAt"),
        repairs_open=file.get("repairsOpen"),
        counts={"changed": len(file.get("changed", ()))},
    )
    return recon_days.of_file(known, now)


def moves(changed: Sequence[Mapping[str, Any]]) -> list[tuple[str | None, str | None, int]]:
    """Each move (from, to) with how many users made it, the most frequent first."""
    counted = Counter((each["from"], each["to"]) for each in changed)
    return [(before, after, number) for (before, after), number in counted.most_common()]


def neighbours(day: str, yesterday: str) -> tuple[str, str | None]:
    """The day before `day`, and the day after it where that is not in the future."""
    when = date.fromisoformat(day)
    after = (when + timedelta(days=1)).isoformat()
    return (when - timedelta(days=1)).isoformat(), after if after <= yesterday else None
