"""What must hold in the recon world after every schedule: whatever webhooks are lost, it ends in PayPay's truth.

**0 lost.** Every event that was queued took effect. Each night's file is fetched, compared and reported, and
`ReconCompleted` said: the numbers are those of the file. Whoever a file names was read by a call that began after the
file's notification was received, for the question that the file asks.

**0 applied twice.** An event takes effect once for each comparison, however often it is sent. Each change of a status
raises the version, in the same transaction as its record and entry; each is published, with the same words every
time.

**0 diverged.** In the end the status of each user is what PayPay would answer; with ReconRecheck=missed unless a lost
webhook hides behind another one that was received.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from chaos.checks import (
    Row,
    check_dead_letters,
    check_not_sent,
    check_one_entry,
    check_published,
    hold,
    moves,
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
from honnin.store import ReconFile
from sandbox.paypay.register import Change as Happened

# The calls that answer what each kind of file asks, of a user who agreed to the KYC Passport.
_ANSWERS = {
    "kyc": {"kyc_info", "kyc_passport"},
    "risk": {"kyc_passport"},
    "account_status": {"authorization"},
}


def run(schedule: ReconSchedule, parts: Parts | None = None) -> tuple[Counter[str], Injected]:
    """Play a schedule and check it, as `played`."""
    return played(ReconWorld(schedule, parts), _at_rest, _closed)


def _at_rest(world: ReconWorld) -> None:
    rows = rows_of(world.table)
    check_dead_letters(world)
    check_not_sent(world.connections)
    check_published(world.bus, rows)


def _closed(world: ReconWorld) -> None:
    _at_rest(world)
    rows = rows_of(world.table)
    entries = check_one_entry(rows)
    for _ in moves(world.table.journal, "paypay"):
        pass
    events = [Event.from_json(body) for body in world.queue.sent]
    queued = {each.event_id for each in events if ":recon_file:" not in each.event_id}
    hold(queued <= set(entries), "lost", f"an event took no effect: {sorted(queued - set(entries))}")
    received = {(each.kind, each.subject) for each in events if each.cause == "webhook"}
    users = {row["user_id"]: row for row in rows if row["sk"] == "STATUS#paypay"}
    changed = Counter(
        _without_user(row["event_id"])
        for row in rows
        if row["sk"].startswith("AT#") and row["cause"] == "recon" and row["from_status"] != row["to_status"]
    )
    for file_type in FILE_TYPES:
        for day in sorted({_day(each.happened) for each in world.changes}):
            _check_file(world, file_type, day, users, received, changed)
    _check_truth(world, users, received)


def _check_truth(world: ReconWorld, users: Mapping[str, Row], received: Collection[tuple[str, str]]) -> None:
    for linked, user_id in world.owners().items():
        hidden = any(
            (each.happened.kind, linked) in received
            for each in world.changes
            if each.happened.user_authorization_id == linked
        )
        if world.schedule.recheck_all or not hidden:
            truth, found = _truth(world, user_id), users[user_id]["status"]
            hold(found == truth, "diverged", f"{user_id} is {found}, the truth is {truth}")


def _truth(world: ReconWorld, user_id: str) -> str:
    user = world.sandbox.paypay.register.user(user_id)
    code = {"canceled": "CANCELED_USER", "inactive": "USER_STATE_IS_NOT_ACTIVE"}.get(user.account_status, "")
    if not code and user.authorizations[0].scopes == PASSPORT:
        code = user.risk_flag or ""
    if not code and not user.kyc.completed:
        code = "KYC_NOT_COMPLETED"
    return STATUS_OF[code or "SUCCESS"]


def _check_file(
    world: ReconWorld,
    file_type: str,
    day: str,
    users: Mapping[str, Row],
    received: Collection[tuple[str, str]],
    changed: Mapping[str, int],
) -> None:
    files = [each for each in world.store.recon.files(file_type, day, day) if each.state != "MISSING"]
    hold([each.state for each in files] == ["COMPARED"], "lost", f"{file_type} of {day}: {files}")
    [file] = files
    hold(bool(file.completed_at) and not file.repairs_open, "lost", f"{file.name} is never completed")
    listed = world.bucket.objects[FileId.of(file).key].decode().split("\r\n")[1:-1]
    _check_read(world, file, listed, users, received)
    _check_told(world, file, listed, changed)


def _check_read(
    world: ReconWorld,
    file: ReconFile,
    listed: Sequence[str],
    users: Mapping[str, Row],
    received: Collection[tuple[str, str]],
) -> None:
    """Everybody was read for the file's question, by a call that began after its notification came."""
    kind, owners = FILE_TYPES[file.file_type].kind, world.owners()
    for each in listed:
        user = users[owners[each]]
        if kind == "risk" and PASSPORT[0] not in user["scopes"]:
            continue  # no read shows it
        if not world.schedule.recheck_all and (kind, each) in received:
            continue
        read = [answer["at"] for answer in user["answers"] if answer["call"] in _ANSWERS[kind]]
        # What a status no longer depends on is not kept; its last reading is.
        last = max([*read, *([user["read_at"]] if not read else [])])
        hold(last > (file.received_at or ""), "lost", f"{each} was not read for {file.name}")


def _check_told(world: ReconWorld, file: ReconFile, listed: Sequence[str], changed: Mapping[str, int]) -> None:
    counts = file.counts
    asked = counts["upToDate"] + counts["reRead"] + counts["leftOut"] + counts["notLinkedHere"] + counts["erased"]
    said = (counts["rows"], asked, counts["duplicates"], counts["malformed"])
    hold(said == (len(listed), len(listed), 0, 0), "broken", f"the summary says {dict(counts)}")
    moved = sum(changed.get(f"recon:{file.file_type}:{file.day}::{number}", 0) for number in file.comparisons)
    hold(counts["changed"] == moved, "broken", f"{moved} statuses changed, the summary says {dict(counts)}")
    mine = [each for each in world.bus.completed if (each["fileName"], each["day"]) == (file.name, file.day)]
    hold(bool(mine), "lost", f"ReconCompleted of {file.name} was never published")
    hold(mine[-1]["counts"] == counts, "broken", "ReconCompleted says other numbers than the table")
    found: dict[str, Any] = json.loads(world.bucket.objects.get(FileId.of(file).report_key, b"{}"))
    hold(bool(found), "lost", f"there is no report of {file.name}")
    hold(found["counts"] == counts, "broken", "the report says other numbers than the table")
    hold(len(found["changed"]) == moved, "broken", "the report does not list everybody whose status changed")


def _without_user(event_id: str) -> str:
    """The id of an event of recon without the authorization that it names."""
    recon, file_type, day, *_, number = event_id.split(":")
    return f"{recon}:{file_type}:{day}::{number}"


def _day(happened: Happened) -> str:
    return times.jst_day(datetime.fromtimestamp(happened.at, times.JST))
