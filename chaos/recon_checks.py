"""What must hold in the recon world after every schedule: whatever webhooks are lost, it ends in PayPay's truth.

**0 lost.** Every event that was queued took effect. Each night's file is fetched, compared and reported, and
`ReconCompleted` told: the numbers are those of the file. Whoever a file names and no webhook named is missed, and is
repaired; who was heard is not missed.

**0 applied twice.** A repair takes effect once, however often it is sent. Each change of a status raises the version
by one, in the same transaction as its record and entry; each is published, with the same words every time.

**0 diverged.** In the end the status of each user is what PayPay would answer, unless a lost webhook hides behind
another one of the same kind, user and day that was heard; with `recheck_all` there is no such exception.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from chaos.checks import (
    NOT_READ,
    Row,
    check_not_sent,
    check_one_entry,
    check_parked,
    check_published,
    hold,
    moves,
    plain,
    played,
    rows_of,
)
from chaos.environment import Injected
from chaos.paypay import STATUS_OF
from chaos.recon_schedule import ReconSchedule
from chaos.recon_world import PASSPORT, Parts, ReconWorld
from honnin import times
from honnin.event import Event
from honnin.recon.bucket import FileId
from honnin.recon.file_types import FILE_TYPES
from honnin.store import ReconFile, ledger_shard
from sandbox.paypay.register import Change as Happened


def run(schedule: ReconSchedule, parts: Parts | None = None) -> tuple[Counter[str], Injected]:
    """Play a schedule and check it, as `played`."""
    return played(ReconWorld(schedule, parts), _at_rest, _closed)


@dataclass(frozen=True)
class _Heard:
    """The events that were queued, each as often as it was received, and when each of them took effect.

    One that led to no read took none: recon must have that user read.
    """

    events: Mapping[str, Sequence[Event]]
    applied: Mapping[str, datetime]

    @classmethod
    def of(cls, world: ReconWorld) -> "_Heard":
        """What a world heard."""
        applied: dict[str, datetime] = {}
        for commit in world.table.journal:
            for item in commit.puts:
                record = plain(item) if item["sk"]["S"] == "EVENT" else {}
                if record and record.get("what") not in NOT_READ:
                    applied.setdefault(record["event_id"], commit.at)
        events = defaultdict[str, list[Event]](list)
        for body in world.sent:
            event = Event.from_json(body)
            events[event.event_id].append(event)
        return cls(events, applied)

    def moments(self, kind: str, subject: str, day: str, *, surely: bool) -> list[datetime]:
        """When webhooks took effect that count for a day, surely or perhaps.

        One that was received on both sides of midnight counts for the day of the copy that took effect.
        """
        every = all if surely else any
        return [
            self.applied[event_id]
            for event_id, copies in self.events.items()
            if event_id in self.applied and copies[0].cause == "webhook"
            if copies[0].kind == kind and copies[0].subject == subject
            if every(day in _counts_for(each) for each in copies)
        ]


def _at_rest(world: ReconWorld) -> None:
    rows = rows_of(world.table)
    check_parked(world)
    check_not_sent(world.connections)
    check_published(world.bus, rows)


def _closed(world: ReconWorld) -> None:
    _at_rest(world)
    rows = rows_of(world.table)
    entries = check_one_entry(rows)
    for _ in moves(world.table.journal, "paypay"):
        pass
    heard = _Heard.of(world)
    queued = {each for each in heard.events if ":recon_file:" not in each}
    hold(queued <= set(entries), "lost", f"an event took no effect: {sorted(queued - set(entries))}")
    unseen: set[str] = set()
    for file_type in FILE_TYPES:
        for day in sorted({_day(each.happened) for each in world.changes}):
            unseen |= _check_file(world, heard, file_type, day, entries)
    _check_truth(world, rows, unseen)


def _check_truth(world: ReconWorld, rows: Sequence[Row], unseen: Collection[str]) -> None:
    found = {row["user_id"]: row["status"] for row in rows if row["sk"] == "STATUS#paypay"}
    for linked, user_id in world.owners().items():
        if linked not in unseen or world.schedule.recheck_all:
            truth = _truth(world, user_id)
            hold(found.get(user_id) == truth, "diverged", f"{user_id} is {found.get(user_id)}, the truth is {truth}")


def _truth(world: ReconWorld, user_id: str) -> str:
    user = world.sandbox.paypay.register.user(user_id)
    code = {"canceled": "CANCELED_USER", "inactive": "USER_STATE_IS_NOT_ACTIVE"}.get(user.account_status, "")
    if not code and user.authorizations[0].scopes == PASSPORT:
        code = user.risk_flag or ""
    if not code and not user.kyc.completed:
        code = "KYC_NOT_COMPLETED"
    return STATUS_OF[code or "SUCCESS"]


def _check_file(world: ReconWorld, heard: _Heard, file_type: str, day: str, entries: Mapping[str, int]) -> set[str]:
    """Check the comparisons of one file; returns whose lost change hides behind a webhook that was heard."""
    kind = FILE_TYPES[file_type].kind
    files = [each for each in world.store.recon.files(file_type, day, day) if each.state != "MISSING"]
    hold([each.state for each in files] == ["COMPARED"], "lost", f"{file_type} of {day}: {files}")
    file = files[0]
    listed = set(world.bucket.objects[FileId.of(file).key].decode().split("\r\n")[1:-1])
    results = _results(world, file)
    missed = {each for result in results.values() for each in result["missed"]}
    rechecked = {each for result in results.values() for each in result["recheck"]}
    hold(missed <= listed, "broken", "missed, but not in the file")
    for each in missed | rechecked:
        repaired = entries.get(f"recon:{file_type}:{day}:{each}", 0)
        hold(repaired == 1, "twice" if repaired else "lost", f"{each} was repaired {repaired} times")
    begun = {each for each in listed if f"recon:{file_type}:{day}:{each}" in entries}
    hold(begun == missed | rechecked, "broken", "repaired, though neither missed nor to be read again")
    _check_heard(world, heard, file, listed, missed)
    _check_told(world, file, results, len(listed), len(missed))
    lost = [each for each in world.changes if each.happened.kind == kind and _day(each.happened) == day]
    return {each.happened.user_authorization_id for each in lost if not each.event_ids & set(heard.events)} - missed


def _results(world: ReconWorld, file: ReconFile) -> dict[str, Any]:
    found = FileId.of(file)
    kept = {shard: world.bucket.objects.get(found.shard_key(shard)) for shard in world.shards()}
    hold(None not in kept.values(), "lost", f"a shard of {file.name} was never compared")
    return {shard: json.loads(result or b"") for shard, result in kept.items()}


def _check_heard(
    world: ReconWorld, heard: _Heard, file: ReconFile, listed: Collection[str], missed: Collection[str]
) -> None:
    kind = FILE_TYPES[file.file_type].kind
    for each in listed:
        key = FileId.of(file).shard_key(ledger_shard(each.encode()))
        if each in missed:
            before = [at for at in heard.moments(kind, each, file.day, surely=True) if at <= world.found_in_run[key]]
            hold(not before, "broken", f"{each} was heard, and repaired")
        else:
            moments = heard.moments(kind, each, file.day, surely=False)
            hold(bool(moments), "lost", f"{each} is in the file of {file.day}, was never heard, and not missed")


def _check_told(world: ReconWorld, file: ReconFile, results: Mapping[str, Any], listed: int, missed: int) -> None:
    counts = file.counts
    said = (counts["rows"], counts["missed"], counts["matched"] + counts["missed"], counts["duplicates"])
    hold(said == (listed, missed, listed, 0), "broken", f"the summary says {dict(counts)}")
    extra = sum(result["extra"] for result in results.values())
    hold(counts["extra"] == extra, "broken", "the summary's extras are not those found")
    mine = [each for each in world.bus.completed if (each["fileName"], each["day"]) == (file.name, file.day)]
    hold(bool(mine), "lost", f"ReconCompleted of {file.name} was never published")
    found = json.loads(world.bucket.objects.get(FileId.of(file).report_key, b"{}"))
    hold(bool(found), "lost", f"there is no report of {file.name}")
    hold(len(found["missed"]) == missed, "broken", "the report does not list who was missed")
    hold(found["repairs"]["applied"] == missed, "broken", f"the report says {found['repairs']}")


def _day(happened: Happened) -> str:
    return times.jst_day(datetime.fromtimestamp(happened.at, times.JST))


def _counts_for(event: Event) -> set[str]:
    received = datetime.fromisoformat(event.received_at)
    return {times.jst_day(received), times.jst_day(received - timedelta(hours=1))}
