"""What must hold in the Vexora world after every schedule.

**0 lost.** Every event that was queued has its record and exactly one entry on its user's timeline, and every
record has one. A callback at its own URL is acknowledged, whatever its body holds. Nothing is moved to the
dead-letter queue that time mends.

**0 applied twice.** At no moment does an application go out while an earlier one of the user may have arrived and
was not rejected; none goes out twice. Each change of a status raises the version, in the same transaction as
its record and entry, and begins where the one before ended; each is published, with the same words every time.

**0 diverged.** At rest, when every open submission has been asked for, the status is what a question about the user
answers. Two exceptions: a change that Vexora made without an open submission of ours (a correction, an application
elsewhere) may be unknown until the next hint; and FAILED or SUBMITTING stand for "no application", the second only
where ours may have arrived. Then Vexora decides whatever is open without a callback, and the poll alone finds it out.
Nobody is APPROVED before an answer that says so was read. Who was not submitted is what they were before.

Besides: whatever decided is in the vault as Vexora answered it; a rejection has its reason; the furigana is in no
table, queue, bus or log, the reason in table only.
"""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from chaos.checks import (
    Row,
    check_dead_letters,
    check_evidence,
    check_not_sent,
    check_one_entry,
    check_published,
    hold,
    moves,
    places,
    plain,
    played,
    rows_of,
)
from chaos.environment import Injected
from chaos.vexora import OPEN, REASON
from chaos.vexora_schedule import VexoraSchedule
from chaos.vexora_world import FURIGANA, Parts, VexoraWorld
from honnin.store import POLL

_BY_VALUE = {"0": "PENDING", "1": "UNDER_REVIEW", "2": "APPROVED", "3": "REJECTED"}
_BY_ANSWER = {(status, "result_read") for status in _BY_VALUE.values()} | {("APPROVED", "submission_accepted")}
_OPEN = ("SUBMITTING", "PENDING", "UNDER_REVIEW")


def run(schedule: VexoraSchedule, parts: Parts | None = None) -> tuple[Counter[str], Injected]:
    """Play a schedule and check it, as `played`."""
    return played(VexoraWorld(schedule, parts), _at_rest, _closed)


def _at_rest(world: VexoraWorld) -> None:
    for kind, text in (*world.wrong, *world.vexora.wrong):
        hold(False, kind, text)
    check_not_sent(world.connections)
    check_dead_letters(world)
    _check(world)


def _closed(world: VexoraWorld) -> None:
    _check(world)
    for user_id, user in world.vexora.users.items():
        status = world.status(user_id)
        hold(status not in ("PENDING", "UNDER_REVIEW"), "diverged", f"{user_id} is {status} for ever, is {user.value}")


def _check(world: VexoraWorld) -> None:
    rows = rows_of(world.table)
    _check_nothing_lost(world, rows)
    _check_nothing_twice(world)
    check_published(world.bus, rows)
    _check_polled(rows)
    _check_reasons(world)
    _check_answers(world, rows)
    check_evidence(world, world.bucket, rows)
    _check_privacy(world)
    for user_id in world.vexora.users:
        _check_status(world, rows, user_id)


# --- 0 lost ---


def _check_nothing_lost(world: VexoraWorld, rows: Sequence[Row]) -> None:
    records = {row["event_id"] for row in rows if row["sk"] == "EVENT"}
    entries = check_one_entry(rows)
    queued = {json.loads(body)["event_id"] for body in world.sent}
    hold(queued <= records, "lost", f"queued, but without a record: {sorted(queued - records)}")
    hold(records == set(entries), "lost", f"not both record and entry: {sorted(records ^ set(entries))}")


def _check_polled(rows: Sequence[Row]) -> None:
    polled = {
        row["submission_id"]
        for row in rows
        if row["sk"] == "SUBMISSION" and str(row.get("due_kind")).startswith(f"{POLL}#")
    }
    of_users = [row for row in rows if row["sk"] == "STATUS#vexora"]
    wanted = {row["submission_id"] for row in of_users if row["status"] in _OPEN}
    hold(wanted <= polled, "diverged", f"open and on no poll: {wanted - polled}")
    hold(
        polled <= wanted,
        "broken",
        f"decided, or replaced by another submission, and still asked for: {polled - wanted}",
    )


# --- 0 applied twice ---


def _check_nothing_twice(world: VexoraWorld) -> None:
    for commit, row in moves(world.table.journal, "vexora"):
        read = any(at <= commit.at for at in world.vexora.users[row["user_id"]].approved_at)
        hold(row["status"] != "APPROVED" or read, "diverged", f"{row['user_id']} is APPROVED, and no answer said so")


# --- 0 diverged ---


def _check_status(world: VexoraWorld, rows: Sequence[Row], user_id: str) -> None:
    status = world.status(user_id)
    user = world.vexora.users[user_id]
    if status is None:
        hold(not user.attempts, "lost", f"{user_id} was submitted, and we do not know it")
        return
    # Whoever is open has been asked for by the poll just now; others may have to wait for a hint.
    permitted = _means(world, user_id, user.value) if status in _OPEN else _permitted(world, rows, user_id)
    hold(status in permitted, "diverged", f"{user_id} is {status}, may be {sorted(permitted)}: {user.history}")


def _permitted(world: VexoraWorld, rows: Sequence[Row], user_id: str) -> set[str]:
    user = world.vexora.users[user_id]
    asked = _asked(world, rows, user_id)
    permitted: set[str] = set()
    hidden = False
    for change in reversed(user.history):
        permitted |= _means(world, user_id, change.value)
        # A lagging answer must not undo a decision, so an open application from elsewhere may stay unseen; and it
        # hides what was before it.
        hidden = hidden or change.value in OPEN
        if not change.silent or (asked is not None and asked >= change.at and not hidden):
            break
    return permitted


def _means(world: VexoraWorld, user_id: str, value: str | None) -> set[str]:
    if value in OPEN:
        return {"PENDING", "UNDER_REVIEW"}
    if value == "3":
        # That Vexora refuses a new application after a rejection is ours alone to know.
        refused = any(each.outcome == "refused" for each in world.vexora.users[user_id].attempts)
        return {"REJECTED", "FAILED"} if refused else {"REJECTED"}
    if value == "2":
        return {"APPROVED"}
    return {"FAILED", "SUBMITTING"} if _may_have_arrived(world, user_id) else {"FAILED"}


def _may_have_arrived(world: VexoraWorld, user_id: str) -> bool:
    """Whether we could not know that no application is there: one was unclear, or a call ended before its end."""
    sent = [each for each in world.vexora.users[user_id].attempts if each.number not in world.connections.unsent]
    if any(each.outcome in ("unclear", "answered") for each in sent):
        return True
    mine = [each for each in world.calls if each.user_id == user_id and each.ended != "ConflictError"]
    cut = ("NotSentError", "ProviderRefusedError", "done")
    return len(mine) < 1 or any(each.ended not in cut for each in mine) or world.pauses > 0


def _asked(world: VexoraWorld, rows: Sequence[Row], user_id: str) -> datetime | None:
    """When the last hint came (or the last refusal) after which Vexora had to be asked."""
    mine = {row["submission_id"] for row in rows if row["sk"] == "SUBMISSION" and row["user_id"] == user_id}
    unanswered = {row["event_id"] for row in rows if row.get("what") == "reading_refused"}
    moments = []
    for body in world.sent:
        event = json.loads(body)
        if event["subject"] in mine and event["event_id"] not in unanswered:
            moments.append(datetime.fromisoformat(event["received_at"]))
    user = world.vexora.users[user_id]
    for call in world.calls:
        if call.user_id == user_id and call.ended == "ProviderRefusedError":
            answers = [answer for at, answer in user.asked if at >= call.at]
            # Asked and refused as well: then a refused application is all that we know.
            if answers[:1] != ["denied"]:
                moments.append(call.at)
    return max(moments, default=None)


# --- reasons, and what is in no other place ---


def _check_reasons(world: VexoraWorld) -> None:
    for commit in world.table.journal:
        for item in commit.puts:
            row = plain(item)
            if row["sk"].startswith("AT#") and row.get("to_status") == "REJECTED" != row.get("from_status"):
                known = REASON in json.dumps(row, default=str)
                hold(known or row["what"] in _BACK, "lost", f"a rejection without its reason: {row}")


_BACK = ("submission_not_sent", "submission_refused")  # the user is what they were


def _check_answers(world: VexoraWorld, rows: Sequence[Row]) -> None:
    """What decided is in the vault, byte by byte, and says what was decided."""
    for row in rows:
        decided = row["sk"].startswith("AT#") and row.get("from_status") != row["to_status"]
        if not decided or (row["to_status"], row["what"]) not in _BY_ANSWER:
            continue
        kept = world.bucket.objects.get(row["detail"].get("snapshot", ""))
        hold(kept is not None, "lost", f"{row['event_id']} decided, and the answer is not kept")
        hold(kept in world.vexora.answers, "broken", f"Vexora never answered what {row['event_id']} kept")
        said = str(json.loads(kept or b"")["data"]["authenticationStatus"])
        hold(_BY_VALUE[said] == row["to_status"], "broken", f"the answer that {row['event_id']} kept says {said}")


def _check_privacy(world: VexoraWorld) -> None:
    for where, text in places(world).items():
        hold(FURIGANA not in text, "broken", f"a value of a person is in the {where}")
        hold(where == "table" or REASON not in text, "broken", f"the reason of a rejection is in the {where}")
