"""The report of a compared file: what was found, whose status changed, and who could not be read."""

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import batched
from typing import IO, Any

from honnin.recon import outcomes
from honnin.recon.bucket import FileId, ReconBucket
from honnin.recon.rows import FAULTS
from honnin.store import Comparison, ReconFile, Store

_AT_ONCE = 1000


def write(store: Store, bucket: ReconBucket, comparison: Comparison, file: ReconFile, lock_days: int = 0) -> None:
    """Write the report of a compared file again. A completed one is locked for so many days (0: it is not).

    It is streamed through a temporary file, because it contains all users, whether ten or ten million. It does not
    contain our own ids of users: an erased user must not be found through an old report.
    """
    with tempfile.TemporaryFile() as draft:
        _write(draft, facts(file), store, bucket, comparison, file)
        draft.seek(0)
        ends = datetime.fromisoformat(file.completed_at) + timedelta(lock_days) if file.completed_at else None
        bucket.put_report(FileId.of(file), draft, ends if lock_days else None)


def facts(file: ReconFile) -> dict[str, Any]:
    """What is known of a file, with the field names of the API. It contains no id of a user."""
    return {
        "fileType": file.file_type,
        "day": file.day,
        "fileName": file.name,
        "revisionOf": file.revision_of,
        "state": file.state,
        "reason": None if file.state == "COMPARED" else file.reason,
        "warnings": list(file.warnings),
        "doubt": file.doubt,
        "requestedAt": file.requested_at,
        "deadline": file.deadline,
        "storedAt": file.stored_at,
        "comparedAt": file.compared_at,
        "completedAt": file.completed_at,
        "comparison": file.comparison,
        "sha256": file.sha256,
        "bytes": file.size,
        "counts": dict(file.counts) or None,
        "repairsOpen": file.repairs_open,
        "doneAt": file.done_at,
        "repairsStoppedAt": file.repairs_stopped_at,
        "malformedRows": [
            {"line": int(each["line"]), "reason": FAULTS.get(each["reason"], each["reason"])}
            for each in file.malformed_sample
        ],
    }


def key(file: ReconFile) -> str | None:
    """The key of the whole report in the recon bucket; None until the file was compared."""
    return FileId.of(file).report_key if file.state == "COMPARED" else None


def _write(
    draft: IO[bytes],
    head: Mapping[str, Any],
    store: Store,
    bucket: ReconBucket,
    comparison: Comparison,
    file: ReconFile,
) -> None:
    opening = json.dumps({**head, "reportedAt": file.reported_at}, ensure_ascii=False, separators=(",", ":"))
    draft.write(opening.removesuffix("}").encode())
    every = outcomes.parts(bucket, comparison, file.comparisons)
    _write_list(draft, "changed", _living(store, (each for part in every for each in part.outcome.changed)))
    newest = outcomes.parts(bucket, comparison, [comparison.number])
    _write_list(draft, "notRead", _living(store, (each for part in newest for each in part.outcome.not_read)))
    draft.write(b"}\n")


def _write_list(draft: IO[bytes], name: str, some: Iterable[Mapping[str, Any]]) -> None:
    draft.write(b',"' + name.encode() + b'":[')
    for number, each in enumerate(some):
        draft.write((b",\n" if number else b"\n") + json.dumps(each, separators=(",", ":")).encode())
    draft.write(b"\n]")


def _living(store: Store, described: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The users who were not erased since."""
    for some in batched(described, _AT_ONCE, strict=False):
        erased = store.erasure.erased([each["userAuthorizationId"] for each in some])
        yield from (each for each in some if each["userAuthorizationId"] not in erased)
