"""PayPay's daily files as Honnin sees them: a day's report, the calendar, and a comparison that changes nothing."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from honninctl import masking
from honninctl.deployment import Deployment
from honninctl.failures import NotFoundError
from honninctl.language import _

if TYPE_CHECKING:
    from honnin.recon.bucket import ReconBucket
    from honnin.recon.days import CalendarDay
    from honnin.store import ReconFile


def file_types(deployment: Deployment) -> list[str]:
    """The file types that the stack takes (parameter ReconFileTypes), or all three."""
    from honnin.recon.file_types import FILE_TYPES

    enabled = [each.strip() for each in deployment.parameters.get("ReconFileTypes", "").split(",")]
    return [name for name in FILE_TYPES if name in enabled] or list(FILE_TYPES)


def report(deployment: Deployment, day: str, now: datetime, *, reveal: bool) -> dict[str, Any]:
    """What is known of a day's files: `{"day", "files": [...], "types": [...]}` (shape: cli/README.md).

    A compared file has its report: counts, all whose status changed (the merchant API gives a sample), and all who
    could not be read. A file type of which nothing is known has the state NONE.

    Raises
    ------
    NotFoundError
        Nothing is known of the day at all.
    """
    from honnin.recon import type_facts

    bucket = _bucket(deployment)
    files = []
    week = type_facts.week(day)
    types = [type_facts.of_type(deployment.store, each, week, now) for each in file_types(deployment)]
    for each in types:
        shown = each.files_of(day)
        files += [_reported(deployment, bucket, file, reveal=reveal) for file in shown]
        if not shown:
            files.append({"fileType": each.file_type.name, "day": day, "state": "NONE"})
    if all(each["state"] == "NONE" for each in files):
        raise NotFoundError(
            _("nothing is known of {day}: no notification was received, and none is missing").format(day=day)
        )
    senders = type_facts.senders(deployment.store)
    return {"day": day, "files": files, "types": [each.as_json(senders) for each in types]}


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
        raise NotFoundError(_("no recon file of {day} is stored").format(day=day))
    return {"day": day, "dryRun": True, "files": files}


def stored_bytes(deployment: Deployment, day: str) -> int:
    """How many bytes `dry_run` will read."""
    files = (each for file_type in file_types(deployment) for each in deployment.store.recon.files(file_type, day, day))
    return sum(each.size or 0 for each in files if each.is_stored)


def calendar(deployment: Deployment, days: int, now: datetime) -> "list[CalendarDay]":
    """The last `days` JST days up to yesterday, newest first, each with every file type that the stack takes.

    Today is there too if a file of today is.
    """
    from honnin import times
    from honnin.recon.days import of_files

    today = date.fromisoformat(times.jst_day(now))
    shown = [(today - timedelta(days=back)).isoformat() for back in range(days + 1)]
    found: dict[tuple[str, str], list[ReconFile]] = {}
    kinds = file_types(deployment)
    for file_type in kinds:
        for each in deployment.store.recon.files(file_type, shown[-1], shown[0]):
            found.setdefault((each.day, file_type), []).append(each)
    if not any(day == shown[0] for day, _ in found):
        del shown[0]
    return [of_files(day, file_type, found.get((day, file_type), []), now) for day in shown for file_type in kinds]


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
    question = Question.of(file, deployment.parameters.get("PayPayRequiredKycType") or None)
    pieces = bucket.read(FileId(file.file_type, file.day, file.name))
    found = Examination(deployment.store, recheck_all=recheck_all).of(question, _counted(pieces, read))
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
    from honnin import times
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
            asked = store.comparisons.another(last or Comparison(file_type, day, file.name, 0), times.utc_text(now))
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
        raise NotFoundError(_("no recon file of {day} is stored").format(day=day))
    return found


def _counted(pieces: Iterator[bytes], read: Callable[[int], None]) -> Iterator[bytes]:
    for piece in pieces:
        read(len(piece))
        yield piece


def _masked(each: dict[str, Any], *, reveal: bool) -> dict[str, Any]:
    return {**each, "userAuthorizationId": masking.authorization(each["userAuthorizationId"], reveal=reveal)}
