"""Every morning: is there a compared file for each day that PayPay can still send? Where not, a person is told.

Base document: notifications come between 1:30 and 10:00 JST, and files are kept for a week.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError

from honnin import times
from honnin.observability import count, logger
from honnin.recon.file_types import FILE_TYPES, KEPT_DAYS
from honnin.recon.resend import ResendAlarm
from honnin.store import ReconFile, Store
from honnin.times import utc_text

_NEVER_ANNOUNCED = "never announced"
_REASONS = {
    "ANNOUNCED": "announced, but not fetched yet",
    "STORED": "stored, but not compared yet: look at the executions of ReconComparison",
    "COMPARED": "compared, but it does not close the day",
    "EXPIRED": "not fetched in time",
}


@dataclass(frozen=True)
class Hole:
    """A JST day without a compared file, and why."""

    day: str
    reason: str


@dataclass(frozen=True)
class DeadlineCheck:
    """The check. `empty_day_announced`: whether PayPay announces a file for a day on which nothing happened."""

    store: Store
    alarm: ResendAlarm
    file_types: Sequence[str]
    empty_day_announced: bool

    def run(self, now: datetime) -> dict[str, list[str]]:
        """Look at yesterday and the six days before it (JST); one alarm for each file type with a missing day.

        Returns the missing days, by file type. Raises botocore's error when SNS did not take an alarm, at the end.
        """
        holes = {file_type: self.holes(file_type, now) for file_type in self.file_types}
        untold: Exception | None = None
        for file_type, found in holes.items():
            for hole in found:
                self.store.recon.missing(file_type, hole.day, utc_text(now))
            try:
                self._tell(file_type, found)
            except (BotoCoreError, ClientError) as error:
                # The other types are told all the same; the Scheduler repeats the run.
                untold = error
        if untold:
            raise untold
        return {file_type: [hole.day for hole in found] for file_type, found in holes.items()}

    def _tell(self, file_type: str, found: Sequence[Hole]) -> None:
        if found:
            reasons = "; ".join(f"{hole.day}: {hole.reason}" for hole in found)
            logger().error("recon files missing", extra={"file_type": file_type, "reason": reasons})
            count("ReconFileMissing", len(found), fileType=file_type)
            self.alarm.send(file_type, [hole.day for hole in found], reasons)

    def holes(self, file_type: str, now: datetime) -> list[Hole]:
        """The days of a file type for which no file was compared.

        A day before yesterday counts if something is known of it or of a day before it, an earlier alarm included:
        a stack that was deployed yesterday misses nothing older.
        """
        today = date.fromisoformat(times.jst_day(now))
        days = [(today - timedelta(days=back)).isoformat() for back in range(KEPT_DAYS, 0, -1)]
        files = self.store.recon.files(file_type, days[0], days[-1])
        first_known = min((file.day for file in files), default=days[-1])
        found = []
        for day in days:
            reason = self._fault(file_type, day, [each for each in files if each.day == day])
            if reason and day >= first_known:
                found.append(Hole(day, reason))
        return found

    def _fault(self, file_type: str, day: str, files: Sequence[ReconFile]) -> str | None:
        """Why a day has no compared file; None when it has one."""
        if any(each.closes_day for each in files):
            return None
        seen = [each for each in files if each.state in _REASONS]
        if seen:
            # A file that is still under way is the reason, not another name that was refused meanwhile.
            under_way = [each for each in seen if each.state in ("ANNOUNCED", "STORED")]
            last = max(under_way or seen, key=lambda each: each.received_at or each.stored_at or "")
            reason = last.doubt or last.reason
            return f"{_REASONS[last.state]} ({reason})" if reason else _REASONS[last.state]
        if self.empty_day_announced or self._heard_anybody(file_type, day):
            return _NEVER_ANNOUNCED
        return None

    def _heard_anybody(self, file_type: str, day: str) -> bool:
        kind = FILE_TYPES[file_type].kind
        return self.store.received.of(kind, day) is not None
