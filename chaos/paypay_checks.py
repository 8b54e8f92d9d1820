"""What must hold in the PayPay world after every schedule.

**0 lost.** Every acknowledged notification has its event record, and exactly one entry: on its user's timeline,
or waiting under its authorization id; that of a recon file has its file instead. Every event record has such an
entry. What is noted as received was sent. Nothing that time mends is moved to the dead-letter queue.

**0 applied twice.** No event has two records or two entries. Each change of a status raises the version,
in the same transaction as its record and entry, and begins where the one before ended. Each change is published,
with the same words every time, and never before it is in the table.

**0 diverged.** Say that a notification is *received* when we acknowledged it, and that it *asks* when a read is
made for it: kyc events and, with the scope of the KYC Passport, risk events ask for the user's KYC; account
events ask for the authorization; a KYC read of the merchant's that was answered asks too. A user's *state* is
all that decides PayPay's answers, which may lag behind it by up to 14 minutes: what is received counts all the same,
because it is settled; a read of the merchant's counts for the moment whose state it saw. Let `changed` be the last
change of the state of the authorization by which the user is linked here, and `began` the moment at which that link
was written (or a new QR was asked for).

What PayPay refused to be asked, or what no read fits, does not count as received.

- Something that asks for the KYC was received after `changed` and `began`: the status is what the state means.
- Else an account event was received after both: where access is refused, the status is what that means; where it
  is not, the status is one that the state meant at some time since the last received question for the KYC.
- Else the status is one that the state meant since then, or what `began` left.
- A user without a link here has none because nothing was received since the last change of any authorization of
  theirs, or because PayPay did not call it active.
- At last PayPay notifies once more of everything. Then whoever has an authorization that stands is linked by it,
  the status is what the state means, and nothing waits under an authorization that is linked.

- Only a read of the KYC moves the flag. Asking for a QR, or declining it, moves no active link. A link that is healed
  has the code of the last QR. Nobody is verified without an active link.

Besides: every successful KYC read has its snapshot in the vault, as PayPay gave it; no value of a person is in
table, queue, bus or log, no authorization id in bus or log. What a caller got as not sent, PayPay never took,
then or later; and no signature reached it twice.
"""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from chaos.checks import (
    NOT_READ,
    Row,
    check_dead_letters,
    check_evidence,
    check_not_sent,
    check_one_entry,
    check_published,
    hold,
    is_record,
    moves,
    places,
    plain,
    played,
    rows_of,
)
from chaos.connections import Connections
from chaos.environment import Injected, ViolationError
from chaos.paypay import PASSPORT_SCOPE, PERSONAL, QR_SCOPE, Authorization
from chaos.paypay_schedule import PayPaySchedule
from chaos.paypay_world import Parts, PayPayWorld, Received, recon_file_name
from honnin.domain_events import AUTHORIZATION_EXPIRED
from honnin.errors import ProviderRefusedError
from honnin.settling import TAKEN
from honnin.times import utc_text

_NEVER = "9999-12-31T00:00:00.000Z"
_KINDS = ("kyc", "risk", "account_status")


def run(schedule: PayPaySchedule, parts: Parts | None = None) -> tuple[Counter[str], Injected]:
    """Play a schedule and check it, as `played`."""
    return played(PayPayWorld(schedule, parts), _at_rest, _closed)


def _at_rest(world: PayPayWorld) -> None:
    rows = rows_of(world.table)
    _check_nothing_lost(world, rows)
    check_dead_letters(world)
    _check_nothing_twice(world, rows)
    check_published(world.bus, rows)
    _check_received(world, rows)
    _check_snapshots(world, rows)
    check_evidence(world, world.bucket, rows)
    _check_privacy(world)
    _check_connections(world.connections)
    _check_ends(world, rows)
    read = _read(world, rows)
    for user_id in world.paypay.authorizations:
        _check_status(world, user_id, _status(rows, user_id), read)


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
            final = _finally(world, status, linked)
            hold(status["status"] in final, "diverged", f"{user_id} ends as {status['status']}, is {sorted(final)}")
    links = {row["pk"] for row in rows if row["sk"] == "LINK"}
    left = [row["event_id"] for row in rows if row["pk"] in links and row["sk"].startswith("AT#")]
    hold(not left, "lost", f"waits under an authorization that is linked: {left}")


# --- 0 lost ---


def _check_nothing_lost(world: PayPayWorld, rows: Sequence[Row]) -> None:
    records = {row["event_id"] for row in rows if is_record(row)}
    entries = {row["event_id"] for row in rows if row["sk"].startswith("AT#")}
    # The id of a notification's event ends with a mark of its subject and its day.
    named = records | {each.rpartition(":")[0] for each in records}
    missing = [each.event_id for each in world.received if each.kind != "recon_file" and each.event_id not in named]
    hold(not missing, "lost", f"acknowledged, but without a record: {missing}")
    hold(records <= entries, "lost", f"records without an entry: {sorted(records - entries)}")
    hold(entries <= records, "lost", f"entries without a record: {sorted(entries - records)}")
    files = {row["file_name"] for row in rows if row["pk"].startswith("RECON#")}
    notified = {recon_file_name(each.event_id) for each in world.received if each.kind == "recon_file"}
    hold(notified <= files, "lost", f"a notification, but no file: {sorted(notified - files)}")


def _check_received(world: PayPayWorld, rows: Sequence[Row]) -> None:
    """What is noted as received of a user is a webhook that came."""
    sent: set[str] = set()
    for body in world.sent:
        event = json.loads(body)
        # No recon file lists customer events, and they are noted apart.
        if event["cause"] == "webhook":
            sent.add(event["received_at"])
    for row in rows:
        if row["sk"] == "STATUS#paypay":
            invented = set((row.get("received") or {}).values()) - sent
            hold(not invented, "broken", f"received at {sorted(invented)}, but nothing came then")


# --- 0 applied twice ---


def _check_nothing_twice(world: PayPayWorld, rows: Sequence[Row]) -> None:
    check_one_entry(rows)
    before: dict[str, Row] = {}
    for commit, row in moves(world.table.journal, "paypay"):
        puts = [plain(item) for item in commit.puts]
        [entry] = [each for each in puts if each["sk"].startswith("AT#") and each["pk"] == row["pk"]]
        _check_facets(row, entry, before.get(row["user_id"]))
        before[row["user_id"]] = row


def _check_facets(row: Row, entry: Row, before: Row | None) -> None:
    """What each kind of answer may move."""
    now, was = row["facets"], before["facets"] if before else {"link": "PENDING", "flag": "NONE"}
    said = f"{row['user_id']}: {entry['what']} made {was} {now}"
    hold(row["status"] != "VERIFIED" or now["link"] == "ACTIVE", "diverged", said)
    hold(now["flag"] == was["flag"] or "kyc_read" in entry["what"] or "account" in entry["what"], "diverged", said)
    attempt = entry["what"] in ("link_requested", "link_declined", "link_failed")
    has_ended = bool(row.get("expired_at"))
    hold(not attempt or was["link"] != "ACTIVE" or now["link"] == "ACTIVE" or has_ended, "diverged", said)
    healed = "healed" in entry["detail"]
    hold(not healed or row.get("code_id") == row.get("asked_code_id"), "diverged", f"{said}, with another QR's code")


# --- 0 diverged ---


def _check_status(world: PayPayWorld, user_id: str, status: Row | None, read: Sequence[Received]) -> None:
    mine = world.paypay.authorizations[user_id]
    linked = _linked(status, mine)
    if status is None or linked is None:
        _check_rightly_unlinked(user_id, mine, read)
        return
    began, base = _beginning(world, user_id)
    passport = _reads_passport(world, status, linked)
    readable = passport or "get_kyc_info" in status["scopes"]
    kinds = {"kyc", "risk"} if passport else {"kyc"}
    # What lagged is settled, unless PayPay refused that. A read of the merchant's is followed by none.
    is_settled = all(kind != "refused" for _, _, kind in world.boundary.injected)
    mine_read = [each for each in read if each.authorization_id == linked.id]
    received = [(each.kind, each.at if is_settled else linked.seen(each.at)) for each in mine_read]
    asked = [at for kind, at in received if kind in kinds and readable]
    asked += [linked.seen(at) for whose, at in world.reads if whose == user_id and readable]
    kyc = max((at for at in asked if at >= began), default=None)
    account = max((at for kind, at in received if kind == "account_status" and at >= began), default=None)
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
    end = datetime.fromisoformat(status.get("link_expires_at") or _NEVER)
    if end <= world.clock.peek():
        # It was looked for at the known end. Where PayPay gave no answer, that end stands until it is asked for again.
        permitted = {ended} if (ended := state.means_without_access()) else permitted | {"EXPIRED"}
        # Another QR was asked for since.
        permitted |= {"LINK_PENDING", "LINK_DECLINED"} if "expired_at" in status else set()
    said = (
        f"{user_id} is {status['status']}, may be {sorted(permitted)} (began {base} at {began}, kyc {kyc}, {account=})"
    )
    hold(status["status"] in permitted, "diverged", said)


def _check_ends(world: PayPayWorld, rows: Sequence[Row]) -> None:
    """Each end of a link is published once, and neither before it has come nor without it."""
    expired: set[tuple[str, str]] = set()
    for commit, row in moves(world.table.journal, "paypay"):
        hold(row["facets"]["link"] != "EXPIRED" or "expired_at" in row, "lost", f"{row['user_id']}: expired at no time")
        if row.get("expired_at"):
            expired.add((row["user_id"], row["expired_at"]))
            early = datetime.fromisoformat(row["expired_at"]) > commit.at + timedelta(seconds=1)
            hold(not early, "broken", f"{row['user_id']} has expired before {row['expired_at']}")
    published: dict[tuple[str, str], set[str]] = {}
    for kind, detail in world.bus.published:
        if kind == AUTHORIZATION_EXPIRED:
            published.setdefault((detail["userId"], detail["expiredAt"]), set()).add(detail["eventId"])
    hold(set(published) == expired, "lost", f"ended: {sorted(expired)}, published: {sorted(published)}")
    hold(all(len(each) == 1 for each in published.values()), "twice", f"an end published twice: {published}")
    due = [row["user_id"] for row in rows if row["sk"].startswith("EXPIRY#") and "due_at" in row]
    now = utc_text(world.clock.peek() - timedelta(minutes=5))
    late = [row["user_id"] for row in rows if row["sk"].startswith("EXPIRY#") and row.get("due_at", "9") < now]
    hold(not late, "lost", f"ends that nobody looked for: {late} of {due}")


def _check_rightly_unlinked(user_id: str, mine: Sequence[Authorization], read: Sequence[Received]) -> None:
    for each in mine:
        received = [
            one
            for one in read
            if one.authorization_id == each.id and one.kind in _KINDS and each.seen(one.at) >= each.changed_at
        ]
        hold(
            not received or bool(each.state.access()),
            "diverged",
            f"{user_id}: a webhook about {each.id} came, but not linked",
        )


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


def _finally(world: PayPayWorld, status: Row, linked: Authorization) -> set[str]:
    passport = _reads_passport(world, status, linked)
    if passport or "get_kyc_info" in status["scopes"]:
        return {linked.state.means(passport=passport)}
    if ended := linked.state.means_without_access():
        return {ended}
    # A flag that was raised through an earlier link stands until a read clears it.
    return {"LINKED"} if status["facets"]["flag"] == "NONE" else {status["facets"]["flag"]}


def _reads_passport(world: PayPayWorld, status: Row, linked: Authorization) -> bool:
    """Whether the user is read through the KYC Passport: by its scope, or by a QR that led to this authorization."""
    through_qr = QR_SCOPE in status["scopes"] and world.paypay.qrs.get(status.get("code_id", "")) == linked.id
    return PASSPORT_SCOPE in status["scopes"] or through_qr


def _read(world: PayPayWorld, rows: Sequence[Row]) -> list[Received]:
    """The notifications for which PayPay could be asked, and did not refuse it."""
    without = {row["event_id"].rpartition(":")[0] for row in rows if _is_not_read(row)}
    return [each for each in world.received if each.event_id not in without]


def _is_not_read(row: Row) -> bool:
    detail = row.get("detail", {})
    refused = "kycRefused" in detail or detail.get("error") == ProviderRefusedError.__name__
    return row["sk"].startswith("AT#") and (row["what"] in NOT_READ or refused)


# --- the vault, and what is in no other place ---


def _check_snapshots(world: PayPayWorld, rows: Sequence[Row]) -> None:
    read = {detail["snapshot"] for row in rows if {"requestId", "snapshot"} <= (detail := row.get("detail", {})).keys()}
    for row in rows:
        if not row["sk"].startswith("AT#") or row.get("what") != "kyc_read":
            continue
        detail = row["detail"]
        verified = detail.get("providerCode") == "SUCCESS" or (row["cause"] == "api" and row["to_status"] == "VERIFIED")
        if not verified:
            continue
        kept = world.bucket.objects.get(detail.get("snapshot", ""))
        hold(kept is not None, "lost", f"{row['event_id']} is verified without a snapshot")
        if TAKEN in detail:
            hold(detail["snapshot"] in read, "broken", f"the snapshot of {row['event_id']} is of no reading")
            continue
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
