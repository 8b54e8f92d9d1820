"""What the events of a comparison have led to, by range: who was read, whose status changed, who still waits."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import batched
from typing import Any

from honnin.json_objects import record_of
from honnin.recon import plan
from honnin.recon.bucket import FileId, ReconBucket
from honnin.recon.compare import done_name, result_name
from honnin.recon.plan import Range
from honnin.recon.repair import event_id
from honnin.store import ERASED_ID, Comparison, EventRecord, ReconFile, Store

_AT_ONCE = 1000

# The result of an event that asked for a read which was not made. The user is compared again on the next mornings.
_NOT_READ = frozenset({"reading_refused", "no_read_fits_scopes"})

# The ways in which a user's event can end, as names of the counts.
ENDS = ("read", "notRead", "erased")


@dataclass(frozen=True)
class Outcome:
    """The outcome of a range so far. `open` are the ids that still wait; the other users are described in full."""

    tally: Mapping[str, int]
    open: Sequence[str] = field(default=(), repr=False)
    changed: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    not_read: Sequence[Mapping[str, Any]] = field(default=(), repr=False)


@dataclass(frozen=True)
class Part:
    """A range of one comparison of a file, with its outcome so far."""

    comparison: Comparison
    range: Range
    outcome: Outcome

    def to_json(self) -> dict[str, Any]:
        """The input by which `count` finds this range again."""
        return {"number": self.comparison.number, **asdict(self.range)}


def count(store: Store, bucket: ReconBucket, comparison: Comparison, said: Mapping[str, Any]) -> None:
    """Count a range's outcomes again, only for the users who were open. `said` is from `Part.to_json`.

    Repeating it does no harm.
    """
    part = record_of(Range, said)
    comparison = replace(comparison, number=int(said["number"]))
    before = of(bucket, comparison, part)
    if not before.open:
        return
    tally, waiting = Counter(before.tally), list[str]()
    changed, not_read = list(before.changed), list(before.not_read)
    for some in batched(before.open, _AT_ONCE, strict=False):
        records = store.events.get_many([event_id(comparison, each) for each in some])
        missing = [each for each in some if event_id(comparison, each) not in records]
        # Users who were erased before their event came are not waited for.
        erased = store.erasure.erased(missing)
        tally["erased"] += len(erased)
        waiting += [each for each in missing if each not in erased]
        for each in some:
            if record := records.get(event_id(comparison, each)):
                _add_outcome(each, record, tally, changed, not_read)
    after = {"tally": dict(tally), "open": waiting, "changed": changed, "not_read": not_read}
    bucket.put_part(FileId.compared(comparison), comparison.number, _name(part), after)


def of(bucket: ReconBucket, comparison: Comparison, part: Range) -> Outcome:
    """The outcome of a compared range, as it was last counted. Before the first count, all of its users wait."""
    file, number = FileId.compared(comparison), comparison.number
    known = bucket.part(file, number, _name(part))
    if known is not None:
        return record_of(Outcome, known)
    found = bucket.part(file, number, result_name(part)) or {}
    return Outcome({}, open=[*found.get("repairs", ()), *found.get("rereads", ())])


def parts(bucket: ReconBucket, comparison: Comparison, numbers: Iterable[int]) -> Iterator[Part]:
    """The ranges of the comparisons with these `numbers`, all of the same file, with their outcomes.

    A comparison that was stopped may have no plan, or may have ranges for which nothing was sent.
    """
    for number in numbers:
        numbered = replace(comparison, number=number)
        for part in plan.planned(bucket, numbered):
            yield Part(numbered, part, of(bucket, numbered, part))


def shown(store: Store, file: ReconFile) -> Iterator[dict[str, Any]]:
    """Some of the users whose status was changed by the comparisons of a file, with our own user ids."""
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

    None if it was stopped before all of the range's events were on a queue.
    """
    number = part.comparison.number
    found: Mapping[str, Any] | None = bucket.part(FileId.compared(part.comparison), number, done_name(part.range))
    return found


def _add_outcome(
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
    """The status before and after an event; None if the event did not change it."""
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
