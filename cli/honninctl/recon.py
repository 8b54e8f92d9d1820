"""PayPay's daily files as Honnin sees them: a day's report, the calendar, and a comparison that changes nothing."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
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
    DOUBTFUL = "doubtful"
    EXPIRED = "expired"
    STORED = "stored"
    ANNOUNCED = "announced"
    DUE = "due"
    NONE = "none"


# A person has to do something about these.
HOLES = frozenset({DayState.MISSING, DayState.DOUBTFUL, DayState.EXPIRED})


@dataclass(frozen=True)
class CalendarDay:
    """One file type on one JST day. `late`: compared after the deadline of the next morning.

    Users: `changed` have another status because of the day's files, `open` still wait to be read, and of
    `never_received` no webhook came.
    """

    day: str
    file_type: str
    state: DayState
    late: bool = False
    changed: int = 0
    open: int = 0
    never_received: int = 0
    reason: str | None = None

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "day": self.day,
            "fileType": self.file_type,
            "state": self.state.value,
            "late": self.late,
            "changed": self.changed,
            "open": self.open,
            "webhookNeverReceived": self.never_received,
            "reason": self.reason,
        }


def file_types(deployment: Deployment) -> list[str]:
    """The file types that the stack takes (parameter ReconFileTypes), or all three."""
    from honnin.recon.file_types import FILE_TYPES

    enabled = [each.strip() for each in deployment.parameters.get("ReconFileTypes", "").split(",")]
    return [name for name in FILE_TYPES if name in enabled] or list(FILE_TYPES)


def report(deployment: Deployment, day: str, *, reveal: bool) -> dict[str, Any]:
    """What is known of a day's files: `{"day", "files": [...]}` (shape: cli/README.md).

    A compared file has its report: counts, all whose status changed (the merchant API gives a sample), and all who
    could not be read. A file type of which nothing is known has the state NONE.

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
    """Compare a day's stored files anew; nothing is written or sent.

    `{"day", "dryRun": true, "files": [...]}` (shape: cli/README.md): `wouldRead` lists who would be read again. `read`
    is called with each number of bytes read.

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
    changed = sum(int(each.counts.get("changed", 0)) for each in compared)
    waiting = sum(int(each.repairs_open or 0) for each in compared)
    # A revision names the same users again.
    never_received = max((int(each.counts.get("webhookNeverReceived", 0)) for each in compared), default=0)
    closing = [each for each in compared if each.closes_day]
    if closing:
        late = min(each.compared_at or "" for each in closing) > _utc(deadline(day))
        state = DayState.LATE if late else DayState.COMPARED
        if waiting or changed:
            state = DayState.REPAIRING if waiting else DayState.REPAIRED
        told = CalendarDay(day, file_type, state, late=late)
    else:
        told = _still_open(day, file_type, files, now)
    return replace(told, changed=changed, open=waiting, never_received=never_received)


def deadline(day: str) -> datetime:
    """When a day's files must have been compared: the next morning, Japan time."""
    from honnin import times

    return datetime.combine(date.fromisoformat(day) + timedelta(days=1), _DEADLINE, times.JST)


def _still_open(day: str, file_type: str, files: Sequence["ReconFile"], now: datetime) -> CalendarDay:
    told = [each for each in files if each.state not in ("MISSING", "IGNORED")]
    if told:
        # A file that is still under way decides; another one that was no good meanwhile does not hide it.
        under_way = [each for each in told if each.state in ("ANNOUNCED", "STORED")]
        last = max(under_way or told, key=lambda each: each.received_at or each.stored_at or "")
        return CalendarDay(day, file_type, state(last.state, last.doubt), reason=last.doubt or last.reason)
    if any(each.state == "MISSING" for each in files):
        return CalendarDay(day, file_type, DayState.MISSING, reason="never announced")
    # Until the deadline has passed, a file may still come.
    return CalendarDay(day, file_type, DayState.DUE if now < deadline(day) else DayState.NONE)


def state(name: str, doubt: str | None) -> DayState:
    """The state of a file that does not close its day, by the name of its state and its doubt."""
    if doubt:
        return DayState.DOUBTFUL
    # Earlier versions had other states for what was not fetched; their items are kept for 400 days.
    return DayState.__members__.get(name, DayState.EXPIRED)


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
    shown = {name: list(_with_users(deployment, written.get(name, []))) for name in ("changed", "notRead")}
    return {
        **facts,
        "reportedAt": file.reported_at,
        **{name: [_masked(each, reveal=reveal) for each in some] for name, some in shown.items()},
    }


def _with_users(deployment: Deployment, some: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The report names authorizations only; whose they are now is in the table."""
    users = deployment.store.links.users([each["userAuthorizationId"] for each in some])
    return ({**each, "userId": users.get(each["userAuthorizationId"])} for each in some)


def _compared_anew(
    deployment: Deployment, bucket: "ReconBucket", file: "ReconFile", read: Callable[[int], None], *, reveal: bool
) -> dict[str, Any]:
    from honnin.recon import report as reports
    from honnin.recon.bucket import FileId
    from honnin.recon.compare import Examination, Question

    facts = {name: value for name, value in reports.facts(file).items() if name not in ("counts", "malformedRows")}
    recheck_all = deployment.parameters.get("ReconRecheck") == "all"
    pieces = bucket.read(FileId(file.file_type, file.day, file.name))
    found = Examination(deployment.store, recheck_all=recheck_all).of(
        Question.of(file), file.warnings, _counted(pieces, read)
    )
    asked = [{"userAuthorizationId": each} for each in (*found.repairs, *found.rereads)]
    return {
        **facts,
        "counts": dict(found.counts),
        "wouldRead": [_masked(each, reveal=reveal) for each in _with_users(deployment, asked)],
    }


def compare(deployment: Deployment, day: str, now: datetime) -> list[dict[str, Any]]:
    """Have a day's stored files compared once more, whatever became of their last comparison.

    Returns, for each, `{"fileType", "fileName", "comparison", "execution"}`: the number of the comparison and the name
    of its execution.

    Raises
    ------
    NotFoundError
        No file of that day is stored.
    """
    from honnin.recon.starting import Starting, execution_name
    from honnin.store import Comparison

    store = deployment.store
    found = []
    starting = Starting(
        store=store,
        machine_arn=deployment.output("ReconComparisonArn"),
        now=lambda: now,
        client=deployment.client("stepfunctions"),
    )
    for file_type in file_types(deployment):
        for file in store.recon.files(file_type, day, day):
            if not file.is_stored:
                continue
            last = store.comparisons.of(Comparison(file_type, day, file.name, 0))
            asked = store.comparisons.another(last or Comparison(file_type, day, file.name, 0), _utc(now))
            started = starting.start(asked, file) or asked
            found.append(
                {
                    "fileType": file_type,
                    "fileName": file.name,
                    "comparison": started.number,
                    "execution": execution_name(started, file),
                }
            )
    if not found:
        raise NotFoundError(f"no recon file of {day} is stored")
    return found


def _counted(pieces: Iterator[bytes], read: Callable[[int], None]) -> Iterator[bytes]:
    for piece in pieces:
        read(len(piece))
        yield piece


def _masked(each: dict[str, Any], *, reveal: bool) -> dict[str, Any]:
    return {**each, "userAuthorizationId": masking.authorization(each["userAuthorizationId"], reveal=reveal)}


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
