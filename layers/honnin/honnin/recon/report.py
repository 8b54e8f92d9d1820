"""The report of a compared file: what was found, who was missed, and what their repair led to."""

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import batched
from typing import IO, Any

from honnin.recon.bucket import FileId, ReconBucket
from honnin.recon.repair import event_id
from honnin.store import ERASED_ID, SHARDS, EventRecord, ReconFile, Store
from honnin.times import utc_text

WAITING = "waiting"
# The user was erased before the repair came; nobody waits for it.
ERASED = "erased"
_AT_ONCE = 1000


def write(store: Store, bucket: ReconBucket, file: ReconFile, now: datetime) -> Counter[str]:
    """Write the report of a compared file anew, with what its repairs have led to by now, and count those.

    Returns how many repairs are `applied`, how many of these `changed` a status, and how many are still `waiting`.
    The report is streamed through a temporary file: all missed users are in it, be they ten or ten million.
    """
    with tempfile.TemporaryFile() as draft:
        # Without our user ids: who was erased must not be found by an old report.
        repairs = _write_missed(draft, facts(file) | {"reportedAt": utc_text(now)}, _outcomes(store, bucket, file))
        draft.seek(0)
        bucket.put_report(FileId.of(file), draft)
    return repairs


def facts(file: ReconFile) -> dict[str, Any]:
    """What is known of a file, in the names of the API. No id of a user is in it."""
    return {
        "fileType": file.file_type,
        "day": file.day,
        "fileName": file.name,
        "revisionOf": file.revision_of,
        "state": file.state,
        "reason": file.reason,
        "warnings": list(file.warnings),
        "doubt": file.doubt,
        "requestedAt": file.requested_at,
        "deadline": file.deadline,
        "storedAt": file.stored_at,
        "comparedAt": file.compared_at,
        "compareMs": file.compare_ms,
        "sha256": file.sha256,
        "bytes": file.size,
        "counts": dict(file.counts) or None,
        "badRows": [{"line": int(each["line"]), "reason": str(each["reason"])} for each in file.bad_sample],
    }


def outcomes(store: Store, file: ReconFile, user_authorization_ids: Iterable[str]) -> Iterator[dict[str, Any]]:
    """What the repair of each missed user led to, by the records of its events."""
    for some in batched(user_authorization_ids, _AT_ONCE, strict=False):
        known = [each for each in some if each != ERASED_ID]
        records = store.events.get_many([event_id(file, each) for each in known])
        erased = {ERASED_ID, *store.erasure.erased([each for each in known if event_id(file, each) not in records])}
        for each in some:
            yield _outcome(each, records.get(event_id(file, each)), ERASED if each in erased else WAITING)


def telling(files: Sequence[ReconFile]) -> list[ReconFile]:
    """The files of one type and day without the mark that none was announced, once one was."""
    named = [each for each in files if each.state != "MISSING"]
    return named or list(files)


def key(file: ReconFile) -> str | None:
    """Where in the recon bucket the whole report is; None until the file was compared."""
    return FileId.of(file).report_key if file.state == "COMPARED" else None


def tally(missed: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """How many repairs are `applied`, how many of these `changed` a status, how many still `waiting`."""
    repairs: Counter[str] = Counter(applied=0, changed=0, waiting=0)
    for each in missed:
        if each["outcome"] == WAITING:
            repairs["waiting"] += 1
        elif each["outcome"] != ERASED:
            repairs["applied"] += 1
            repairs["changed"] += each["from"] != each["to"]
    return repairs


def _outcome(user_authorization_id: str, record: EventRecord | None, otherwise: str) -> dict[str, Any]:
    found = record or EventRecord("", "", published=False, change=None)
    return {
        "userAuthorizationId": user_authorization_id,
        "userId": found.user_id,
        "outcome": (found.what or "applied") if record else otherwise,
        "from": (found.change or {}).get("from") if found.change else found.to_status,
        "to": found.to_status,
        "appliedAt": found.applied_at or None,
    }


def _outcomes(store: Store, bucket: ReconBucket, file: ReconFile) -> Iterator[dict[str, Any]]:
    for shard in SHARDS:
        result = bucket.result(FileId.of(file), shard) or {}
        yield from outcomes(store, file, result.get("missed", []))


def _write_missed(draft: IO[bytes], head: dict[str, Any], missed: Iterable[dict[str, Any]]) -> Counter[str]:
    opening = json.dumps(head, ensure_ascii=False, separators=(",", ":"))
    draft.write(opening.removesuffix("}").encode() + b',"missed":[')
    repairs: Counter[str] = Counter()
    for number, each in enumerate(missed):
        del each["userId"]
        repairs.update(tally([each]))
        draft.write((b",\n" if number else b"\n") + json.dumps(each, separators=(",", ":")).encode())
    repairs.update(tally([]))
    draft.write(b'\n],"repairs":' + json.dumps(repairs, separators=(",", ":")).encode() + b"}\n")
    return repairs
