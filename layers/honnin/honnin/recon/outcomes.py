"""What the events of a comparison have led to: of each range, who was read, whose status changed, who still waits."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import batched
from typing import Any

from honnin.recon import plan
from honnin.recon.bucket import FileId, ReconBucket
from honnin.recon.compare import done_name, result_name
from honnin.recon.plan import Range
from honnin.recon.repair import event_id
from honnin.store import ERASED_ID, Comparison, EventRecord, ReconFile, Store

_AT_ONCE = 1000

# What an event did that asked for a read and got none; the user is compared again on the next mornings.
_NOT_READ = frozenset({"reading_refused", "no_read_fits_scopes"})

# How the event of a user can end, in the tally.
ENDS = ("read", "notRead", "erased")


@dataclass(frozen=True)
class Outcome:
    """The outcome of a range by now. `open` are the ids that still wait; the others are described in full."""

    tally: Mapping[str, int]
    open: Sequence[str] = field(default=(), repr=False)
    changed: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    not_read: Sequence[Mapping[str, Any]] = field(default=(), repr=False)


@dataclass(frozen=True)
class Part:
    """A range of one comparison of a file, with its outcome by now."""

    comparison: Comparison
    range: Range
    outcome: Outcome

    def to_json(self) -> dict[str, Any]:
        """What tells `count` which one it is."""
        return {"number": self.comparison.number, **asdict(self.range)}


def count(store: Store, bucket: ReconBucket, comparison: Comparison, said: Mapping[str, Any]) -> None:
    """Count a range's outcomes once more (`Part.to_json`): only of those who were open. Repeating it does no harm."""
    part = Range(**{name: value for name, value in said.items() if name != "number"})
    comparison = replace(comparison, number=int(said["number"]))
    before = of(bucket, comparison, part)
    if not before.open:
        return
    tally, waiting = Counter(before.tally), list[str]()
    changed, not_read = list(before.changed), list(before.not_read)
    for some in batched(before.open, _AT_ONCE, strict=False):
        records = store.events.get_many([event_id(comparison, each) for each in some])
        missing = [each for each in some if event_id(comparison, each) not in records]
        # Nobody waits for who was erased before the event came.
        erased = store.erasure.erased(missing)
        tally["erased"] += len(erased)
        waiting += [each for each in missing if each not in erased]
        for each in some:
            if record := records.get(event_id(comparison, each)):
                _tell(each, record, tally, changed, not_read)
    after = {"tally": dict(tally), "open": waiting, "changed": changed, "not_read": not_read}
    bucket.put_part(FileId.compared(comparison), comparison.number, _name(part), after)


def of(bucket: ReconBucket, comparison: Comparison, part: Range) -> Outcome:
    """The outcome of a compared range as it was counted last; before that, everybody waits."""
    file, number = FileId.compared(comparison), comparison.number
    known = bucket.part(file, number, _name(part))
    if known is not None:
        return Outcome(**known)
    found = bucket.part(file, number, result_name(part)) or {}
    return Outcome({}, open=[*found.get("repairs", ()), *found.get("rereads", ())])


def parts(bucket: ReconBucket, comparison: Comparison, numbers: Iterable[int]) -> Iterator[Part]:
    """The ranges of those comparisons of the same file that have these numbers, with their outcomes.

    One that was stopped may have no plan, or ranges that have sent nothing.
    """
    for number in numbers:
        numbered = replace(comparison, number=number)
        for part in plan.planned(bucket, numbered):
            yield Part(numbered, part, of(bucket, numbered, part))


def shown(store: Store, file: ReconFile) -> Iterator[dict[str, Any]]:
    """Some of the users whose status the comparisons of a file have changed, with our own ids of them."""
    ids = [each for each in file.changed_sample if each != ERASED_ID]
    found: dict[str, tuple[EventRecord, Mapping[str, Any]]] = {}
    for number in file.comparisons:
        numbered = Comparison(file.file_type, file.day, file.name, number)
        records = store.events.get_many([event_id(numbered, each) for each in ids])
        for each in ids:
            record = records.get(event_id(numbered, each))
            if record and (change := _change(each, record)):
                found[each] = record, change
    for each in file.changed_sample:
        if each in found:
            record, change = found[each]
            yield {**change, "userId": record.user_id}


def counted(bucket: ReconBucket, part: Part) -> Mapping[str, Any] | None:
    """What the comparison of a range has counted: `counts`, and `malformed`, some rows that are no ids.

    None where it was stopped before all of the range's events were on a queue.
    """
    number = part.comparison.number
    found: Mapping[str, Any] | None = bucket.part(FileId.compared(part.comparison), number, done_name(part.range))
    return found


def _tell(
    user_authorization_id: str,
    record: EventRecord,
    tally: Counter[str],
    changed: list[Mapping[str, Any]],
    not_read: list[Mapping[str, Any]],
) -> None:
    if not was_read(record):
        tally["notRead"] += 1
        not_read.append({"userAuthorizationId": user_authorization_id, "why": record.what})
        return
    tally["read"] += 1
    if change := _change(user_authorization_id, record):
        tally["changed"] += 1
        changed.append(change)


def was_read(record: EventRecord) -> bool:
    """Whether the read that an event asked for was made."""
    return record.what not in _NOT_READ


def moved(record: EventRecord) -> tuple[str | None, str | None] | None:
    """From which status to which an event moved its user; None where it did not."""
    before = record.change.get("from") if record.change else record.to_status
    return None if before == record.to_status else (before, record.to_status)


def _change(user_authorization_id: str, record: EventRecord) -> Mapping[str, Any] | None:
    """How an event changed its user's status; None where it did not."""
    change = moved(record)
    if change is None:
        return None
    before, after = change
    return {"userAuthorizationId": user_authorization_id, "from": before, "to": after, "appliedAt": record.applied_at}


def _name(part: Range) -> str:
    return f"{part.name}.outcome.json"
