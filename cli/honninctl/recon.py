"""PayPay's daily files as Honnin sees them: a day's report, the calendar, and a comparison that changes nothing."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from honninctl import masking
from honninctl.deployment import Deployment
from honninctl.failures import NotFoundError

if TYPE_CHECKING:
    from honnin.recon.bucket import ReconBucket
    from honnin.store import ReconFile

# When honnin.recon.deadline looks whether yesterday's files are there (template.yaml: 10:15 Asia/Tokyo).
_DEADLINE = time(10, 15)
# For so long PayPay can send a file again (base document).
RESEND_DAYS = 7


class DayState(StrEnum):
    """What became of one file type on one day."""

    COMPARED = "compared"
    REPAIRED = "repaired"
    REPAIRING = "repairing"
    LATE = "late"
    MISSING = "missing"
    INVALID = "invalid"
    EXPIRED = "expired"
    REFUSED = "refused"
    TOO_LARGE = "too large"
    STORED = "stored"
    ANNOUNCED = "announced"
    DUE = "due"
    NONE = "none"


# A person has to do something about these.
HOLES = frozenset({DayState.MISSING, DayState.INVALID, DayState.EXPIRED, DayState.REFUSED, DayState.TOO_LARGE})


@dataclass(frozen=True)
class CalendarDay:
    """One file type on one JST day. `late`: compared after the deadline of the next morning; counts are users."""

    day: str
    file_type: str
    state: DayState
    late: bool = False
    missed: int = 0
    repaired: int = 0
    waiting: int = 0
    reason: str | None = None

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "day": self.day,
            "fileType": self.file_type,
            "state": self.state.value,
            "late": self.late,
            "missed": self.missed,
            "repaired": self.repaired,
            "waiting": self.waiting,
            "reason": self.reason,
        }


def file_types(deployment: Deployment) -> list[str]:
    """The file types that the stack takes (parameter ReconFileTypes), or all three."""
    from honnin.recon.file_types import FILE_TYPES

    enabled = [each.strip() for each in deployment.parameters.get("ReconFileTypes", "").split(",")]
    return [name for name in FILE_TYPES if name in enabled] or list(FILE_TYPES)


def report(deployment: Deployment, day: str, *, reveal: bool) -> dict[str, Any]:
    """What is known of a day's files: `{"day", "files": [...]}` (shape: cli/README.md).

    A compared file has its report: counts, all who were missed (the merchant API gives a sample), and what each repair
    has led to by now. A file type of which nothing is known has the state NONE.

    Raises
    ------
    NotFoundError
        Nothing is known of the day at all.
    """
    from honnin.recon.report import telling

    bucket = _bucket(deployment)
    files = []
    for file_type in file_types(deployment):
        told = telling(deployment.store.recon.files(file_type, day, day))
        files += [_reported(deployment, bucket, each, reveal=reveal) for each in told]
        if not told:
            files.append({"fileType": file_type, "day": day, "state": "NONE"})
    if all(each["state"] == "NONE" for each in files):
        raise NotFoundError(f"nothing is known of {day}: no file was announced, none was missed")
    return {"day": day, "files": files}


def dry_run(
    deployment: Deployment, day: str, *, reveal: bool, read: Callable[[int], None] = lambda _: None
) -> dict[str, Any]:
    """Compare a day's stored files with the ledger anew; nothing is written or sent.

    `{"day", "dryRun": true, "files": [...]}` (shape: cli/README.md): `wouldRepair` lists who would be read again and
    has not been by an earlier repair. `read` is called with each number of bytes read.

    Raises
    ------
    NotFoundError
        No file of that day is stored.
    """
    bucket = _bucket(deployment)
    files = []
    for file_type in file_types(deployment):
        stored = [each for each in deployment.store.recon.files(file_type, day, day) if each.is_stored]
        files += [_compared_anew(deployment, bucket, each, read, reveal=reveal) for each in stored]
    if not files:
        raise NotFoundError(f"no recon file of {day} is stored")
    return {"day": day, "dryRun": True, "files": files}


def stored_bytes(deployment: Deployment, day: str) -> int:
    """How many bytes `dry_run` will read."""
    files = (each for file_type in file_types(deployment) for each in deployment.store.recon.files(file_type, day, day))
    return sum(each.size or 0 for each in files if each.is_stored)


def calendar(deployment: Deployment, days: int, now: datetime) -> list[CalendarDay]:
    """The last `days` JST days up to yesterday, newest first, each with every file type that the stack takes."""
    from honnin import times

    yesterday = date.fromisoformat(times.jst_day(now)) - timedelta(days=1)
    shown = [(yesterday - timedelta(days=back)).isoformat() for back in range(days)]
    found: dict[tuple[str, str], list[ReconFile]] = {}
    kinds = file_types(deployment)
    for file_type in kinds:
        for each in deployment.store.recon.files(file_type, shown[-1], shown[0]):
            found.setdefault((each.day, file_type), []).append(each)
    return [calendar_day(day, file_type, found.get((day, file_type), []), now) for day in shown for file_type in kinds]


def calendar_day(day: str, file_type: str, files: Sequence["ReconFile"], now: datetime) -> CalendarDay:
    """What became of one file type on one day, by its files (revisions and what was missing included)."""
    compared = [each for each in files if each.state == "COMPARED"]
    if not compared:
        return _without_comparison(day, file_type, files, now)
    counts: Counter[str] = Counter()
    for each in compared:
        missed = int(each.counts.get("missed", 0))
        # Who was erased meanwhile is neither applied nor waiting. Until the first report, everybody waits.
        repairs = each.repairs or {"waiting": missed}
        counts.update(missed=missed, applied=int(repairs.get("applied", 0)), waiting=int(repairs.get("waiting", 0)))
    late = min(each.compared_at or "" for each in compared) > _utc(deadline(day))
    state = DayState.LATE if late else DayState.COMPARED
    if counts["missed"]:
        state = DayState.REPAIRING if counts["waiting"] else DayState.REPAIRED
    return CalendarDay(
        day,
        file_type,
        state,
        late=late,
        missed=counts["missed"],
        repaired=counts["applied"],
        waiting=counts["waiting"],
    )


def deadline(day: str) -> datetime:
    """When a day's files must have been compared: the next morning, Japan time."""
    from honnin import times

    return datetime.combine(date.fromisoformat(day) + timedelta(days=1), _DEADLINE, times.JST)


def _without_comparison(day: str, file_type: str, files: Sequence["ReconFile"], now: datetime) -> CalendarDay:
    told = [each for each in files if each.state not in ("MISSING", "IGNORED")]
    if told:
        # A file that is still under way decides; another name that was refused meanwhile does not hide it.
        under_way = [each for each in told if each.state in ("ANNOUNCED", "STORED")]
        last = max(under_way or told, key=lambda each: each.received_at or each.stored_at or "")
        return CalendarDay(day, file_type, DayState[last.state], reason=last.reason)
    if any(each.state == "MISSING" for each in files):
        return CalendarDay(day, file_type, DayState.MISSING, reason="never announced")
    # Until the deadline has passed, a file may still come.
    return CalendarDay(day, file_type, DayState.DUE if now < deadline(day) else DayState.NONE)


def _bucket(deployment: Deployment) -> "ReconBucket":
    from honnin.recon.bucket import ReconBucket

    return ReconBucket(deployment.output("ReconBucketName"), deployment.client("s3"))


def _reported(deployment: Deployment, bucket: "ReconBucket", file: "ReconFile", *, reveal: bool) -> dict[str, Any]:
    from honnin.recon import report as reports
    from honnin.recon.bucket import FileId

    facts = reports.facts(file)
    if file.state != "COMPARED":
        return facts
    written = bucket.report(FileId(file.file_type, file.day, file.name)) or {}
    names = [each["userAuthorizationId"] for each in written.get("missed", [])]
    # What the repairs have led to by now, which may be more than the report knew.
    missed = list(reports.outcomes(deployment.store, file, names))
    return {
        **facts,
        "reportedAt": file.reported_at,
        "repairs": dict(reports.tally(missed)),
        "missed": [_masked(each, reveal=reveal) for each in missed],
    }


def _compared_anew(
    deployment: Deployment, bucket: "ReconBucket", file: "ReconFile", read: Callable[[int], None], *, reveal: bool
) -> dict[str, Any]:
    from honnin.recon import report as reports
    from honnin.recon.bucket import FileId
    from honnin.recon.compare import compare_shard, deal
    from honnin.store import SHARDS

    facts = {name: value for name, value in reports.facts(file).items() if name not in ("counts", "badRows")}
    recheck_all = deployment.parameters.get("ReconRecheck") == "all"
    with tempfile.TemporaryDirectory(prefix="honninctl-") as directory:
        pieces = bucket.read(FileId(file.file_type, file.day, file.name))
        dealt = deal(_counted(pieces, read), Path(directory))
        counts: Counter[str] = Counter(badRows=dealt.rows.bad)
        names: list[str] = []
        for shard in SHARDS:
            result = compare_shard(deployment.store, file, shard, dealt, recheck_all=recheck_all)
            counts.update(result.counts())
            names += [*result.missed, *result.recheck]
    outcomes = list(reports.outcomes(deployment.store, file, names))
    waiting = [each for each in outcomes if each["outcome"] == reports.WAITING]
    users = deployment.store.links.users([each["userAuthorizationId"] for each in waiting])
    return {
        **facts,
        "valid": True,
        "counts": dict(counts),
        "alreadyRepaired": len(outcomes) - len(waiting),
        "wouldRepair": [
            _masked({"userAuthorizationId": name, "userId": users.get(name)}, reveal=reveal)
            for name in (each["userAuthorizationId"] for each in waiting)
        ],
    }


def _counted(pieces: Iterator[bytes], read: Callable[[int], None]) -> Iterator[bytes]:
    for piece in pieces:
        read(len(piece))
        yield piece


def _masked(each: dict[str, Any], *, reveal: bool) -> dict[str, Any]:
    return {**each, "userAuthorizationId": masking.authorization(each["userAuthorizationId"], reveal=reveal)}


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
