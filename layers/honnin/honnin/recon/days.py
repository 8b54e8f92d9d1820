"""The state of a recon file type on a JST day, derived from its files. Pure functions, used wherever it is shown.

Base document: notifications come between 1:30 and 10:00 JST of the next morning, and files are kept for a week.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any

from honnin import times
from honnin.recon.file_types import KEPT_DAYS
from honnin.store import ReconFile
from honnin.wording import Wording

# Until this time a file is on time and is not reported as missing.
ON_TIME_UNTIL = time(10, 0)
# When the daily report is made (template.yaml, ReconDeadlineFunction). A file that is compared later is late.
REPORTED_AT = time(10, 15)

NEVER_NOTIFIED = Wording("no notification was received", "通知なし")
NOT_TRIED = Wording("no download was attempted in time", "期限内に取得が一度も行われなかった")
# A URL that was never tried within its time is tried for one hour more (honnin.recon.download).
_TRIED_LONGER = timedelta(hours=1)


class DayState(StrEnum):
    """The state of one file type on one day."""

    COMPARED = "compared"
    REPAIRED = "repaired"
    REPAIRING = "repairing"
    LATE = "late"
    MISSING = "missing"
    DOUBTFUL = "doubtful"
    EXPIRED = "expired"
    STORED = "stored"
    ANNOUNCED = "announced"
    DUE = "due"
    NONE = "none"


# For these, PayPay must be asked to send the file again.
MISSING = frozenset({DayState.MISSING, DayState.DOUBTFUL, DayState.EXPIRED})
UNDER_WAY = frozenset({DayState.STORED, DayState.ANNOUNCED})
# Nothing is known of these days, which is neither good nor bad.
NEUTRAL = frozenset({DayState.DUE, DayState.NONE})


@dataclass(frozen=True)
class CalendarDay:
    """One file type on one JST day. `late`: compared after the report of the next morning.

    Numbers of users: `changed` have another status because of the day's files, `open` still wait to be read, for
    `received` a webhook was received and for `never_received` none, and `re_read` were read again. `reason` says why no
    file closes the day.
    """

    day: str
    file_type: str
    state: DayState
    late: bool = False
    changed: int = 0
    open: int = 0
    never_received: int = 0
    received: int = 0
    re_read: int = 0
    reason: str | None = None

    def as_json(self) -> dict[str, Any]:
        """With the field names of the API."""
        return {
            "day": self.day,
            "state": self.state.value,
            "late": self.late,
            "changed": self.changed,
            "open": self.open,
            "webhookNeverReceived": self.never_received,
            "reason": self.reason,
        }


def yesterday(now: datetime) -> str:
    """The JST day before the day of this moment."""
    return (date.fromisoformat(times.jst_day(now)) - timedelta(days=1)).isoformat()


def of_files(day: str, file_type: str, files: Sequence[ReconFile], now: datetime) -> CalendarDay:
    """The state of one file type on one day, from its files (including revisions and the mark of a missing file)."""
    compared = [each for each in files if each.state == "COMPARED"]
    changed = sum(int(each.counts.get("changed", 0)) for each in compared)
    waiting = sum(int(each.repairs_open or 0) for each in compared)
    # A revision names the same users as the first file, so they are not added up.
    never_received = max((int(each.counts.get("webhookNeverReceived", 0)) for each in compared), default=0)
    received = max((_received(each) for each in compared), default=0)
    re_read = max((int(each.counts.get("reRead", 0)) for each in compared), default=0)
    closing = [each for each in compared if each.closes_day]
    if closing:
        late = min(each.compared_at or "" for each in closing) > times.utc_text(_reported_at(day))
        state = DayState.LATE if late else DayState.COMPARED
        if waiting or changed:
            state = DayState.REPAIRING if waiting else DayState.REPAIRED
        found = CalendarDay(day, file_type, state, late=late)
    else:
        found = _still_open(day, file_type, files, now)
    return replace(
        found, changed=changed, open=waiting, never_received=never_received, received=received, re_read=re_read
    )


def _received(file: ReconFile) -> int:
    """Linked users in a compared file for whom a webhook was received."""
    linked = sum(int(file.counts.get(name, 0)) for name in ("upToDate", "reRead", "notRead", "leftOut"))
    return max(0, linked - int(file.counts.get("webhookNeverReceived", 0)))


def of_file(file: ReconFile, now: datetime) -> DayState:
    """The state of one file, without regard to others."""
    if file.state == "IGNORED":
        return DayState.NONE
    return of_files(file.day, file.file_type, [file], now).state


def is_on_time(day: str, now: datetime) -> bool:
    """Whether the notification of a JST day's file is not late yet."""
    return now - timedelta(days=1) < datetime.combine(date.fromisoformat(day), ON_TIME_UNTIL, times.JST)


def to_ask_for(shown: Sequence[CalendarDay], now: datetime) -> list[CalendarDay]:
    """The days for which PayPay must be asked to send the file again, the oldest first.

    Such a day is no longer on time, and PayPay still has its file.
    """
    kept = (date.fromisoformat(times.jst_day(now)) - timedelta(days=KEPT_DAYS)).isoformat()
    found = [each for each in shown if each.state in MISSING and each.day >= kept and not is_on_time(each.day, now)]
    return sorted(found, key=lambda each: each.day)


def files_to_show(files: Sequence[ReconFile]) -> list[ReconFile]:
    """The files of one type and day. The mark that no notification came is left out if one came later."""
    named = [each for each in files if each.state != "MISSING"]
    return named or list(files)


def _reported_at(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day) + timedelta(days=1), REPORTED_AT, times.JST)


def _still_open(day: str, file_type: str, files: Sequence[ReconFile], now: datetime) -> CalendarDay:
    states = [(each, *_state_of_open(each, now)) for each in files if each.state not in ("MISSING", "IGNORED")]
    if states:
        # A file that is still being processed decides. Another one that proved nothing meanwhile does not hide it.
        under_way = [each for each in states if each[1] in UNDER_WAY]
        _, state, reason = max(under_way or states, key=lambda each: each[0].received_at or each[0].stored_at or "")
        return CalendarDay(day, file_type, state, reason=reason)
    if any(each.state == "MISSING" for each in files):
        ignored = [each for each in files if each.state == "IGNORED"]
        # Its notification came when its type was not in ReconFileTypes yet.
        state, reason = (DayState.EXPIRED, ignored[0].reason) if ignored else (DayState.MISSING, NEVER_NOTIFIED)
        return CalendarDay(day, file_type, state, reason=reason)
    return CalendarDay(day, file_type, DayState.DUE if is_on_time(day, now) else DayState.NONE)


def _state_of_open(file: ReconFile, now: datetime) -> tuple[DayState, str | None]:
    """The state of a file that does not close its day, and why."""
    if file.doubt:
        return DayState.DOUBTFUL, file.doubt
    if file.state == "ANNOUNCED" and file.deadline and now >= datetime.fromisoformat(file.deadline) + _TRIED_LONGER:
        # The download function itself does not run; otherwise it would have set another state.
        return DayState.EXPIRED, file.reason or NOT_TRIED
    return DayState.__members__.get(file.state, DayState.NONE), file.reason
