"""What must hold in the PayPay world after every schedule.

**0 lost.** Every acknowledged notification has its event record, and exactly one entry: on its user's timeline,
or waiting under its authorization id; a recon notice has its file. Every event record has such an entry. Every
webhook kind of the ledgers has its line unless no read could be made for it, and no line is there without one.
Nothing is parked that time mends.

**0 applied twice.** No event has two records or two entries. Each change of a status raises the version by one,
in the same transaction as its record and entry, and begins where the one before ended. Each change is published,
with the same words every time, and never before it is in the table.

**0 diverged.** Say that a notification is *heard* when we acknowledged it, and that it *asks* when a read is
made for it: kyc events and, with the scope of the KYC Passport, risk events ask for the user's KYC; account
events ask for the authorization; a KYC read of the merchant's that was answered asks too. A user's *state* is
all that decides PayPay's answers, which may lag behind it by up to 14 minutes: what is heard counts all the same,
because it is settled; a read of the merchant's counts for the moment whose state it saw. Let `changed` be the last
change of the state of the authorization by which the user is linked here, and `began` the moment at which that link
was written (or a new QR was asked for).

- Something that asks for the KYC was heard after `changed` and `began`: the status is what the state means.
- Else an account event was heard after both: where access is refused, the status is what that means; where it
  is not, the status is one that the state meant at some time since the last heard question for the KYC.
- Else the status is one that the state meant since then, or what `began` left.
- A user without a link here has none because nothing was heard since the last change of any authorization of
  theirs, or because PayPay did not call it active.
- At last PayPay notifies once more of everything. Then whoever has an authorization that stands is linked by it,
  the status is what the state means, and nothing waits under an authorization that is linked.

Besides: every successful KYC read has its snapshot in the vault, as PayPay gave it; no value of a person is in
table, queue, bus or log, no authorization id in bus or log. What a caller was told was not sent, PayPay never took,
then or later; and no signature reached it twice.
"""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from chaos.checks import (
    NOT_READ,
    Row,
    check_evidence,
    check_not_sent,
    check_one_entry,
    check_parked,
    check_published,
    hold,
    moves,
    places,
    plain,
    played,
    rows_of,
)
from chaos.connections import Connections
from chaos.environment import Injected, ViolationError
from chaos.paypay import PERSONAL, Authorization
from chaos.paypay_schedule import PayPaySchedule
from chaos.paypay_world import Heard, Parts, PayPayWorld
from honnin import times

_LEDGERS = ("kyc", "risk", "account_status")
_PASSPORT = "mini_app_kyc_passport"


def run(schedule: PayPaySchedule, parts: Parts | None = None) -> tuple[Counter[str], Injected]:
    """Play a schedule and check it, as `played`."""
    return played(PayPayWorld(schedule, parts), _at_rest, _closed)


def _at_rest(world: PayPayWorld) -> None:
    rows = rows_of(world.table)
    _check_nothing_lost(world, rows)
    check_parked(world)
    _check_nothing_twice(world, rows)
    check_published(world.bus, rows)
    _check_ledger(world, rows)
    _check_snapshots(world, rows)
    check_evidence(world, world.bucket, rows)
    _check_privacy(world)
    _check_connections(world.connections)
    for user_id in world.paypay.authorizations:
        _check_status(world, user_id, _status(rows, user_id))


def _closed(world: PayPayWorld) -> None:
    rows = rows_of(world.table)
    _check_nothing_lost(world, rows)
    _check_nothing_twice(world, rows)
    check_published(world.bus, rows)
    for user_id, mine in world.paypay.authorizations.items():
        status = _status(rows, user_id)
        linked = _linked(status, mine)
        stands = not mine[-1].state.access()
        hold(not stands or linked is mine[-1], "diverged", f"{user_id} is not linked by {mine[-1].id}, which stands")
        if status and linked:
            told = [_exactly(status, linked)]
            hold(status["status"] in told, "diverged", f"{user_id} ends as {status['status']}, is {told}")
    links = {row["pk"] for row in rows if row["sk"] == "LINK"}
    left = [row["event_id"] for row in rows if row["pk"] in links and row["sk"].startswith("AT#")]
    hold(not left, "lost", f"waits under an authorization that is linked: {left}")


# --- 0 lost ---


def _check_nothing_lost(world: PayPayWorld, rows: Sequence[Row]) -> None:
    records = {row["event_id"] for row in rows if row["sk"] == "EVENT"}
    entries = {row["event_id"] for row in rows if row["sk"].startswith("AT#")}
    # The id of a notification's event ends with a mark of its subject and its day.
    named = records | {each.rpartition(":")[0] for each in records}
    missing = [heard.event_id for heard in world.heard if heard.event_id not in named]
    hold(not missing, "lost", f"acknowledged, but without a record: {missing}")
    without = {each for each in records if not each.startswith("paypay:recon_file:")} - entries
    hold(not without, "lost", f"records without an entry: {sorted(without)}")
    hold(entries <= records, "lost", f"entries without a record: {sorted(entries - records)}")
    announced = any(heard.kind == "recon_file" for heard in world.heard)
    hold(not announced or any(row["pk"].startswith("RECON#") for row in rows), "lost", "an announced file")


def _check_ledger(world: PayPayWorld, rows: Sequence[Row]) -> None:
    # The lines of the day before, for what came within the hour after midnight, are in partitions of their own.
    ledger = [(row["pk"].split("#")[1:], row["sk"]) for row in rows if row["pk"].startswith("LEDGER#")]
    lines = {(kind, day, subject) for (kind, day, shard), subject in ledger if not shard.startswith("late-")}
    possible: dict[str, set[tuple[str, ...]]] = {}
    for body in world.sent:
        event = json.loads(body)
        # No recon file lists customer events, so none of them is in a ledger; nor what settles.
        is_customers = event["detail"].get("type", "").startswith("customer.")
        if event["cause"] == "webhook" and event["kind"] in _LEDGERS and not is_customers:
            day = times.jst_day(datetime.fromisoformat(event["received_at"]))
            possible.setdefault(event["event_id"], set()).add((event["kind"], day, event["subject"]))
    # Whoever was not read must be missed by recon.
    not_read = {row["event_id"] for row in rows if row.get("what") in NOT_READ}
    unheard = [event_id for event_id, days in possible.items() if event_id not in not_read and not days & lines]
    hold(not unheard, "lost", f"webhooks without their line in the ledger: {unheard}")
    invented = lines - set().union(*possible.values())
    hold(not invented, "broken", f"ledger lines of no webhook: {sorted(invented)}")


# --- 0 applied twice ---


def _check_nothing_twice(world: PayPayWorld, rows: Sequence[Row]) -> None:
    check_one_entry(rows)
    for _ in moves(world.table.journal, "paypay"):
        pass


# --- 0 diverged ---


def _check_status(world: PayPayWorld, user_id: str, status: Row | None) -> None:
    mine = world.paypay.authorizations[user_id]
    linked = _linked(status, mine)
    if status is None or linked is None:
        _check_rightly_unlinked(world, user_id, mine)
        return
    began, base = _beginning(world, user_id)
    passport = _PASSPORT in status["scopes"]
    readable = passport or "get_kyc_info" in status["scopes"]
    asked = [each.at for each in world.heard if each.authorization_id == linked.id and _asks_kyc(each, status)]
    # The merchant's reads are not followed by others: what they saw may be older.
    asked += [linked.seen(at) for whose, at in world.reads if whose == user_id and readable]
    kyc = max((at for at in asked if at >= began), default=None)
    account = max((each.at for each in world.heard if _asks_account(each, linked) and each.at >= began), default=None)
    state = linked.state
    since = {each.means(passport=passport) for each in linked.states_since(kyc or began)} if readable else set()
    since |= set() if kyc else {base}
    if kyc and kyc >= linked.changed_at:
        permitted = {state.means(passport=passport)}
    elif account and account >= linked.changed_at:
        refused = state.means_without_access()
        without = {"INACTIVE", "EXPIRED", "UNLINKED", "LINK_PENDING", "LINK_DECLINED"}
        stands = {state.means(passport=passport)} if readable else {"LINKED"}
        # An active answer makes a pending link a link; what the KYC is, it does not say.
        stands |= set() if kyc else {"LINKED"}
        permitted = {refused} if refused else (since - without) | stands
    else:
        states = linked.states_since(account or began)
        permitted = (since | {each.means_without_access() for each in states} | {"LINKED"}) - {""}
    said = (
        f"{user_id} is {status['status']}, may be {sorted(permitted)} (began {base} at {began}, kyc {kyc}, {account=})"
    )
    hold(status["status"] in permitted, "diverged", said)


def _check_rightly_unlinked(world: PayPayWorld, user_id: str, mine: Sequence[Authorization]) -> None:
    for each in mine:
        heard = [
            one
            for one in world.heard
            if one.authorization_id == each.id and one.kind in _LEDGERS and each.seen(one.at) >= each.changed_at
        ]
        hold(not heard or bool(each.state.access()), "diverged", f"{user_id}: heard of {each.id}, but not linked")


def _beginning(world: PayPayWorld, user_id: str) -> tuple[datetime, str]:
    """When the present link, or what came of a new QR, was last written, and the status that it left."""
    found, known = None, None
    for commit in world.table.journal:
        rows = [plain(item) for item in commit.puts if item["pk"]["S"] == f"USER#{user_id}"]
        entry = next((row for row in rows if row["sk"].startswith("AT#")), {})
        status = next((row for row in rows if row["sk"] == "STATUS#paypay"), {})
        asked = entry.get("to_status") in ("LINK_PENDING", "LINK_DECLINED")
        # A repeated link of an authorization in use keeps what was read through it.
        linked = entry.get("what") == "linked"
        if asked or (linked and (entry["to_status"] == "LINKED" or status.get("user_authorization_id") != known)):
            found = commit.at, entry["to_status"]
        known = status.get("user_authorization_id", known)
    if found is None:
        raise ViolationError("broken", f"{user_id} is linked, and nothing says how")
    return found


def _asks_kyc(heard: Heard, status: Row) -> bool:
    if heard.kind == "risk":
        return _PASSPORT in status["scopes"]
    return heard.kind == "kyc" and bool({_PASSPORT, "get_kyc_info"} & set(status["scopes"]))


def _asks_account(heard: Heard, linked: Authorization) -> bool:
    return heard.authorization_id == linked.id and heard.kind == "account_status"


def _exactly(status: Row, linked: Authorization) -> str:
    scopes = status["scopes"]
    if _PASSPORT in scopes or "get_kyc_info" in scopes:
        return linked.state.means(passport=_PASSPORT in scopes)
    return linked.state.means_without_access() or "LINKED"


# --- the vault, and what is in no other place ---


def _check_snapshots(world: PayPayWorld, rows: Sequence[Row]) -> None:
    for row in rows:
        if not row["sk"].startswith("AT#") or row.get("what") != "kyc_read":
            continue
        detail = row["detail"]
        verified = detail.get("providerCode") == "SUCCESS" or (row["cause"] == "api" and row["to_status"] == "VERIFIED")
        if not verified:
            continue
        kept = world.bucket.objects.get(detail.get("snapshot", ""))
        hold(kept is not None, "lost", f"{row['event_id']} is verified without a snapshot")
        given = world.paypay.given[detail["requestId"]]
        hold(json.loads(kept or b"") == given, "broken", f"the snapshot of {row['event_id']} is another answer")


def _check_privacy(world: PayPayWorld) -> None:
    for where, text in places(world).items():
        hold(PERSONAL not in text, "broken", f"a value of a person is in the {where}")
        hold(where in ("table", "queue") or "auth-user" not in text, "broken", "an authorization id is in bus or log")


def _check_connections(connections: Connections) -> None:
    check_not_sent(connections)
    signatures = Counter(each.signature for each in connections.taken)
    hold(len(signatures) == len(connections.taken), "broken", "a signature was sent twice")


# --- rows ---


def _status(rows: Sequence[Row], user_id: str) -> Row | None:
    found = [row for row in rows if row["pk"] == f"USER#{user_id}" and row["sk"] == "STATUS#paypay"]
    return {"scopes": [], **found[0]} if found else None


def _linked(status: Row | None, mine: Sequence[Authorization]) -> Authorization | None:
    """The authorization by which the user is linked here."""
    wanted = status.get("user_authorization_id") if status else None
    return next((each for each in mine if each.id == wanted), None)
