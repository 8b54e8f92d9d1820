"""Sums up a comparison: while its events are being processed, and finally when none is open or a day has passed."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from typing import Any

from honnin import times
from honnin.domain_events import ReconCompleted
from honnin.observability import count, count_for_alarm, logger
from honnin.publish import Publisher
from honnin.recon import closing, outcomes, report
from honnin.recon.bucket import FileId, ReconBucket
from honnin.recon.file_types import FILE_TYPES, KEPT_DAYS
from honnin.recon.rows import Shape
from honnin.store import ERASED_ID, Comparison, ReconFile, Store
from honnin.times import utc_text

# The next file comes a day later. Users who are still open then are compared again on the next mornings.
_WAITED_FOR = timedelta(days=1)

# The pace is estimated after this time. If no user was read for much longer, an alarm is raised.
_WATCHED = timedelta(minutes=10)
_STALLED = timedelta(hours=6)

# When users who were not read are compared again (Japanese time), on the seven days after the file's notification.
_MORNING = time_of_day(6)

_SAMPLE = 20
_OPEN = "open.json"


class Summaries:
    """Writes the reports of comparisons. `now` gives aware UTC moments; `lock_days` as in `report.write`."""

    def __init__(
        self,
        *,
        store: Store,
        bucket: ReconBucket,
        publisher: Publisher,
        now: Callable[[], datetime],
        lock_days: int = 0,
    ) -> None:
        self._store = store
        self._bucket = bucket
        self._publisher = publisher
        self._now = now
        self._lock_days = lock_days

    def run(self, comparison: Comparison) -> dict[str, Any]:
        """Sum up a comparison whose ranges are all compared, and write the report.

        Returns `settled`, which says whether it is over. If it is not, the result also has the key of the list of
        ranges in which some user waits. If it is over, `ReconCompleted` is published, and if some user was not read,
        another comparison is requested. It may be repeated after any failure.
        """
        before = self._file(comparison)
        is_first = comparison.number not in before.comparisons
        numbers = self._store.comparisons.made(comparison)
        waited_for = _waited_for(before, numbers) if is_first else before.waited_for
        summed = Sum(self._bucket, comparison, numbers, waited_for)
        file = self._record(comparison, before, summed, is_first=is_first)
        report.write(self._store, self._bucket, comparison, file, self._lock_days)
        if is_first:
            _log_and_count(file, self._known_missed(comparison, before))
        if file.completed_at:
            self._publisher.recon_completed(_completed(file))
            self._end(comparison, file)
            return {"settled": True}
        some = [each.to_json() for each in summed.open]
        key = self._bucket.put_part(FileId.compared(comparison), comparison.number, _OPEN, some)
        return {"settled": False, "bucket": self._bucket.name, "key": key}

    def _file(self, comparison: Comparison) -> ReconFile:
        found = self._store.recon.file(comparison.file_type, comparison.day, comparison.file_name)
        return found or ReconFile(comparison.file_type, comparison.day, comparison.file_name, "STORED")

    def _known_missed(self, comparison: Comparison, before: ReconFile) -> int:
        """For how many users it is already known that their webhook never came.

        A revision names the same users again.
        """
        others = self._store.recon.files(comparison.file_type, comparison.day, comparison.day)
        known = [each for each in others if each.name != comparison.file_name] + [before]
        return max(each.counts.get("webhookNeverReceived", 0) for each in known)

    def _record(self, comparison: Comparison, before: ReconFile, summed: "Sum", *, is_first: bool) -> ReconFile:
        """Record what is known so far, without erased users; returns the file as it is now.

        The marks of erased users are read before and after the write. So no erased user stays in it: if an erasure
        found no samples to blank, it has set its marks before this write.
        """
        now = self._now()
        since = now if is_first else datetime.fromisoformat(before.compared_at or "")
        settled = not summed.waiting or now >= since + _WAITED_FOR
        stop = self._store.mass_change.read().stop if summed.waiting else None
        facts: dict[str, Any] = {
            "comparisons": list(summed.numbers),
            "waited_for": list(summed.waited_for),
            "compared_at": utc_text(since),
            "reported_at": utc_text(now),
            "completed_at": utc_text(now) if settled else None,
            "counts": summed.counts(before, settled=settled),
            "repairs_open": 0 if settled else summed.waiting,
            # While repairs are stopped there is no pace. It is measured again after that.
            **({"done_at": None} if settled else _pace(before, summed, now, is_first=is_first or bool(stop))),
            "repairs_stopped_at": stop.at if stop else None,
            "malformed_sample": summed.malformed,
            "doubt": summed.doubt(before),
        }
        erased: set[str] | None = None
        while erased != (marked := self._store.erasure.erased([*summed.changed, *summed.not_read])):
            erased = marked
            for name, shown in (("changed_sample", summed.changed), ("not_read_sample", summed.not_read)):
                facts[name] = [ERASED_ID if each in erased else each for each in shown]
            self._store.recon.compared(comparison, facts)
        return self._file(comparison)

    def _end(self, comparison: Comparison, file: ReconFile) -> None:
        """Request the next comparison if some user was not read, unless the file is too old for that."""
        tomorrow = date.fromisoformat(times.jst_day(self._now())) + timedelta(days=1)
        notified = datetime.fromisoformat(file.received_at or file.compared_at or "")
        last = date.fromisoformat(times.jst_day(notified)) + timedelta(days=KEPT_DAYS)
        if file.counts.get("notRead") and tomorrow <= last:
            morning = datetime.combine(tomorrow, _MORNING, times.JST)
            self._store.comparisons.another(comparison, utc_text(morning))
        else:
            self._store.comparisons.end(comparison)


class Sum:
    """All ranges of a comparison together, and what earlier comparisons of the file have led to (`numbers`).

    `open` are the ranges in which some user waits. `waiting` is the number of users who wait, of `asked` users in all,
    for the events of the comparisons in `waited_for`.
    """

    def __init__(
        self, bucket: ReconBucket, comparison: Comparison, numbers: Sequence[int], waited_for: Sequence[int]
    ) -> None:
        self.numbers, self.waited_for = numbers, waited_for
        self.asked = self.waiting = 0
        self.open: list[outcomes.Part] = []
        self.malformed: list[dict[str, Any]] = []
        self.changed: list[str] = []
        self.not_read: list[str] = []
        self._counts: Counter[str] = Counter()
        self._shapes: list[Mapping[str, int]] = []
        self._not_read = self._left = self._changed = self._erased = 0
        for part in outcomes.parts(bucket, comparison, numbers):
            self._take(part)
            if part.comparison.number not in self.waited_for:
                continue
            counted = outcomes.counted(bucket, part)
            self._wait(part.outcome, all_sent=counted is not None)
            if part.comparison == comparison:
                if counted is None:
                    raise KeyError(part.range.name)
                self._take_newest(part, counted)

    def _wait(self, outcome: outcomes.Outcome, *, all_sent: bool) -> None:
        # For a range that was stopped, some events may never have been sent. So it is counted only once. The newest
        # comparison asks about the users who are still open then.
        waiting = len(outcome.open) if all_sent or not outcome.tally else 0
        self.asked += waiting + sum(outcome.tally.get(each, 0) for each in outcomes.ENDS)
        self.waiting += waiting

    def _take(self, part: outcomes.Part) -> None:
        outcome = part.outcome
        self._changed += outcome.tally.get("changed", 0)
        _show(self.changed, [each["userAuthorizationId"] for each in outcome.changed])
        if outcome.open:
            self.open.append(part)

    def _take_newest(self, part: outcomes.Part, counted: Mapping[str, Any]) -> None:
        outcome = part.outcome
        self._counts.update(counted["counts"])
        self._shapes.append(counted["shape"])
        self._not_read += outcome.tally.get("notRead", 0)
        self._left += len(outcome.open)
        self._erased += outcome.tally.get("erased", 0)
        _show(self.malformed, counted["malformed"])
        _show(self.not_read, [each["userAuthorizationId"] for each in outcome.not_read])

    def counts(self, file: ReconFile, *, settled: bool) -> dict[str, int]:
        """The counts of the report. After the comparison is over, users who still wait count as not read."""
        return {
            **self._counts,
            "changed": self._changed,
            "notRead": self._not_read + (self._left if settled else 0),
            # A user who was erased before the event came is not read again, so the user is counted in one place only.
            "reRead": self._counts["reRead"] - self._erased,
            "erased": self._counts["erased"] + self._erased,
            "warnings": len(file.warnings),
        }

    def doubt(self, file: ReconFile) -> str | None:
        """Why the file does not close its day; None if it does. Users who were erased since count as linked, too."""
        shape = Shape.of_parts(self._shapes)
        linked = shape.good - self._counts["duplicates"] - self._counts["notLinkedHere"]
        found = closing.Found(shape.size, shape.good, linked, shape.looks_like_ids, shape.is_only_the_header)
        return closing.doubt(found, closing.StoredFacts(file.own_name, file.webhooks))


def _waited_for(before: ReconFile, numbers: Sequence[int]) -> tuple[int, ...]:
    """The comparisons whose events a new one waits for: its own, and those of comparisons stopped before it."""
    ended = before.comparisons if before.completed_at else ()
    return tuple(each for each in numbers if each not in ended)


def _pace(before: ReconFile, summed: Sum, now: datetime, *, is_first: bool) -> dict[str, Any]:
    """When the last waiting user will be read at the present pace. If that is after the next file, an alarm is raised.

    The pace is measured in a window. The window ends when it has been long enough and some user was read in it. Until
    then the last estimate is used.
    """
    window = {"paced_at": utc_text(now), "paced_open": summed.waiting}
    if is_first or before.paced_at is None or before.paced_open is None:
        return {**window, "done_at": None}
    watched = now - datetime.fromisoformat(before.paced_at)
    done = before.paced_open - summed.waiting
    if watched < _WATCHED or done <= 0:
        # Other events may come first for a while: repairs before rereads, and another file's events before this one's.
        if watched >= _STALLED:
            count_for_alarm("ReconTooSlow")
        return {"done_at": before.done_at if watched < _WATCHED else None}
    done_at = now + watched / done * summed.waiting
    if done_at > datetime.fromisoformat(before.received_at or before.compared_at or "") + _WAITED_FOR:
        count_for_alarm("ReconTooSlow")
    return {**window, "done_at": utc_text(done_at)}


def _show[T](shown: list[T], more: Sequence[T]) -> None:
    shown += more[: _SAMPLE - len(shown)]


def _log_and_count(file: ReconFile, known_missed: int) -> None:
    named = {"file_type": file.file_type, "day": file.day}
    logger().info("recon file compared", extra={**named, "number": file.comparison, **file.counts})
    kind = FILE_TYPES[file.file_type].kind
    count("ReconCompared", kind=kind)
    if file.doubt:
        count_for_alarm("ReconFileDoubtful")
    missed = file.counts.get("webhookNeverReceived", 0) - known_missed
    if missed > 0:
        count("ReconMissed", missed, kind=kind)


def _completed(file: ReconFile) -> ReconCompleted:
    return {
        "fileType": file.file_type,
        "day": file.day,
        "fileName": file.name,
        "comparison": file.comparison or 0,
        "comparedAt": file.compared_at,
        "sha256": file.sha256,
        "counts": dict(file.counts),
        "reportKey": FileId.of(file).report_key,
    }
