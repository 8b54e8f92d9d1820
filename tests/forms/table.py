"""One item of every kind of the state table, with every attribute that it may have, as the store itself writes it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, cast
from unittest import mock

from chaos.dynamodb import MemoryDynamoDB
from honnin.store import (
    Access,
    Certificate,
    Comparison,
    Contract,
    Effect,
    Link,
    LinkSession,
    Loss,
    Notification,
    ReceivedDay,
    ReconFile,
    Reread,
    SessionUse,
    Store,
    Submission,
    Unattached,
    UserStatus,
)
from honnin.store.pace import Ask, Slowed
from honnin.store.rereads import Phase
from tests.forms.kinds import kind_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NOW = datetime(2026, 11, 28, 3, tzinfo=UTC)
AT, EARLIER, LATER = "2026-11-28T03:00:00.000Z", "2026-11-27T03:00:00.000Z", "2026-12-28T03:00:00.000Z"
EPOCH = int(NOW.timestamp())
DAY, FILE_TYPE, FILE = "2026-11-27", "kyc_passport_sync_recon", "kyc_20261127.csv"
ERASED_AUTHORIZATION = "auth-of-somebody-erased"
_COUNTS = {"rows": 3, "changed": 1, "notRead": 1}


def store_of(*items: dict[str, Any]) -> Store:
    """A store at NOW whose table holds these items, in DynamoDB's format."""
    table = MemoryDynamoDB(lambda: NOW)
    client = cast("DynamoDBClient", table)
    for each in items:
        client.put_item(TableName="state", Item=each)
    return Store("state", client, timeline_days=400, waiting_days=90, now=lambda: NOW)


@cache
def items() -> dict[str, list[dict[str, Any]]]:
    """The items by kind, in DynamoDB's format: one for each set of attributes that an item of the kind had.

    Of several with the same attributes it is the fullest.
    """
    store = store_of()
    for write in (_paypay, _vexora, _contract, _erasure, _waiting, _recon, _rereads, _operators, _providers):
        write(store)
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    table = cast("MemoryDynamoDB", store.table.db)
    for item in (each for commit in table.journal for each in commit.puts):
        form = (kind_of(item), *sorted(_names(item)))
        found[form] = max(item, found.get(form, {}), key=lambda each: len(str(each)))
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for (kind, *_), item in sorted(found.items()):
        by_kind.setdefault(kind, []).append(item)
    return by_kind


def _names(item: dict[str, Any]) -> Iterator[str]:
    """The attributes of an item. Of those that say which of several forms it has, the value counts, too."""
    for name, value in item.items():
        kind = value.get("S", "").partition("#")[0] if name in ("detail_type", "due_kind", "provider") else ""
        yield f"{name} {kind or value.get('BOOL', '')}"


def _paypay(store: Store) -> None:
    session = LinkSession("nonce-1", "user-1", ("get_kyc_info",), "https://shop.example.jp", EPOCH + 3600)
    asked = UserStatus("user-1", "paypay", "LINKED", 1, user_authorization_id="auth-old", read_at=EARLIER)
    start = Effect("session:nonce-1", "link_asked", "api", EARLIER, None, asked, {}, session=session)
    store.events.apply(start)
    store.events.mark_published("session:nonce-1", AT)
    linked = UserStatus(
        *("user-1", "paypay", "VERIFIED", 2, "SUCCESS", AT, None, None, None, "auth-1"),
        scopes=("get_kyc_info",),
        code_id="code-1",
        link_expires_at=LATER,
        facets={"link": "ACTIVE", "kyc": "VERIFIED", "flag": "NONE"},
        answers=({"call": "kyc_info", "at": AT, "http": 200, "code": "SUCCESS", "word": "COMPLETED", "data": True},),
        asked_scopes=("get_kyc_info",),
        asked_code_id="code-2",
        asked_code_verifier="verifier-2",
        kept={"kyc_info": {"snapshot": f"paypay/user-1/kyc_info/{AT}-00.json", "content": "00"}},
        link_end_reported=LATER,
        expired_at=EARLIER,
        is_over=True,
        residence_ends_on="2027-01-31",
        residence_end_reported="2026-12-31",
        received={"kyc": AT},
    )
    store.events.apply(
        Effect(
            *("paypay:kyc:1", "kyc_read", "webhook", AT, replace(asked, version=1), linked, {"notification": "kyc"}),
            session=replace(session, nonce="nonce-2", code_id="code-2", code_verifier="v", code_expires_at=EPOCH + 9),
            uses=SessionUse("nonce-1", "token-hash", "succeeded"),
            links=True,
            link=Link("user-1", ("get_kyc_info",), "code-1", "verifier-1", "EKYC"),
        )
    )
    store.links.attach("auth-1", "user-1", "VERIFIED")
    [residence, link] = sorted(store.expiries.of("user-1"), key=lambda each: each.what, reverse=True)
    store.expiries.look_again(residence, EARLIER)
    store.expiries.look_again(link, None)


def _vexora(store: Store) -> None:
    first = Submission("sub-1", "user-1", "PENDING", EARLIER, 0, None, AT)
    pending = UserStatus("user-1", "vexora", "PENDING", 1, "0", EARLIER, "sub-1", EARLIER, LATER)
    store.events.apply(Effect("api:sub-1", "submitted", "api", EARLIER, None, pending, {}, opens=first))
    store.submissions.advance(first, 1, LATER)
    stale = replace(pending, version=2, stale_reported="sub-1", read_at=AT)
    store.events.apply(
        Effect("poll:sub-1", "still_open", "poll", AT, pending, stale, {}, outcome="unclear", stale=True)
    )
    second = Submission("sub-2", "user-1", "PENDING", AT, 2, "refused", LATER)
    again = replace(stale, version=3, submission_id="sub-2", submitted_at=AT, reason="blurred")
    store.events.apply(Effect("api:sub-2", "submitted", "api", AT, stale, again, {"sign": "valid"}, opens=second))
    back = replace(stale, version=4)
    store.events.apply(Effect("api:sub-2:back", "not_sent", "api", AT, again, back, {}, withdraws="sub-2"))


def _contract(store: Store) -> None:
    [status, *_] = store.users.statuses("user-1")
    known = store.contracts.get("user-1")
    reporter = "arn:aws:iam::111122223333:user/ito"
    ended = Contract("user-1", known.started_at, None, DAY, AT, reporter, "moved away", LATER)
    store.contracts.change(known, ended, status)


def _erasure(store: Store) -> None:
    linked = UserStatus("gone", "paypay", "LINKED", 1, user_authorization_id=ERASED_AUTHORIZATION, read_at=EARLIER)
    store.events.apply(Effect("e-gone", "linked", "api", EARLIER, None, linked, {"a": "b"}, links=True))
    certificate = Certificate("cert-1", "gone", AT, requested_by="arn", reason="asked by letter", ticket="T-1")
    assert store.erasure.claim("gone", AT, LATER)
    store.erasure.begin(certificate, store.contracts.get("gone"))
    store.erasure.unlinked("gone", ERASED_AUTHORIZATION, AT)
    store.erasure.note_objects(certificate, 2)
    store.erasure.note_objects(certificate, 0)
    statuses = store.erasure.forget(store.erasure.footprint("gone"), certificate, lambda _: ["e-gone"], [FILE_TYPE])
    assert store.erasure.settle(certificate, statuses or (), AT)
    store.erasure.end(certificate, AT)


def _waiting(store: Store) -> None:
    store.events.keep(Unattached("e-waits", "paypay", "kyc", "webhook", AT, "auth-unknown", {"type": "kyc"}))
    store.events.count_failure("message-1", "ProviderUnavailableError")
    store.received.note(ReceivedDay("kyc", DAY, EARLIER, AT, 2))


def _recon(store: Store) -> None:
    file = ReconFile(FILE_TYPE, DAY, FILE, "ANNOUNCED", AT, LATER, AT, "HTTP 500")
    store.recon.notified(file)
    store.recon.expired(replace(file, name="late.csv"), "never came")
    store.recon.missing(FILE_TYPE, DAY, AT)
    facts: dict[str, Any] = {"sha256": "0" * 64, "size": 12, "stored_at": AT, "revision_of": "first.csv"}
    store.recon.stored(replace(file, warnings=("x",), own_name=True, webhooks=True, foreign=True, **facts))
    comparison = Comparison(FILE_TYPE, DAY, FILE, 1)
    found: dict[str, Any] = {"compared_at": AT, "reported_at": AT, "completed_at": AT, "counts": _COUNTS}
    found |= {"comparisons": [1], "waited_for": [1], "repairs_open": 2, "done_at": LATER, "repairs_stopped_at": AT}
    found |= {"paced_at": AT, "paced_open": 2, "doubt": "no id in it", "changed_sample": ["auth-1"]}
    found |= {"malformed_sample": [{"line": 3, "reason": "longer than 64 characters"}], "not_read_sample": ["auth-2"]}
    store.recon.compared(comparison, found)
    store.comparisons.another(comparison, LATER)
    store.comparisons.end(replace(comparison, number=2))
    url = "https://files.paypay.ne.jp/x"
    notification = Notification(FILE_TYPE, DAY, FILE, url, AT, AT)
    store.notifications.record(notification)
    assert store.notifications.claim(notification, AT, LATER)
    store.notifications.release(notification, LATER, "HTTP 500")
    store.notifications.gave(notification, FILE, whole=True)
    store.notifications.note_reported(notification, AT)
    store.notifications.end(notification, "stored")
    store.notifications.note_last_reported(AT)
    store.recon.note_own_ids({"merchant_id": "m", "client_id": "c"})


def _rereads(store: Store) -> None:
    reread = Reread("reread-1", "status", AT, "paypay", "VERIFIED", segments=8)
    assert store.rereads.begin(reread)
    running = store.rereads.next_execution(reread)
    assert running
    store.rereads.pause(running)
    store.rereads.mark("reread-1", Phase.LISTED, "0000", {"users": 3}, parts=1)
    store.rereads.mark("reread-1", Phase.SENT, "0000-00001", {"sent": 2, "skipped": 1}, asked={"paypay": [0, 2]})
    ended = {"read": 1, "changed": 1, "not_read": 1, "gone": 1, "left": 1}
    store.rereads.mark("reread-1", Phase.DONE, "0000-00001", ended)


def _operators(store: Store) -> None:
    who = "arn:aws:iam::111122223333:user/ito"
    access = Access(AT, "looked", who, "cli", "status", "user-1", "ticket 1", "--at today")
    store.access.add(access, 2557)
    store.access.forget_reasons("user-1", AT)
    store.access.add(replace(access, action="listed", user_id=None, reason=None), 2557)
    with mock.patch("honnin.store.reindex._PAGE", 1):
        store.reindex.run(store.reindex.begin(AT, 1), lambda _: None)
    counted = store.mass_change.add(20, {Loss("paypay", "VERIFIED", "UNLINKED", "recon"): 2})
    store.mass_change.stop(counted, "a wrong key", reported_at=AT)
    store.mass_change.resume(LATER)


def _providers(store: Store) -> None:
    store.recon.note_request_id("paypay", "request-1", AT)
    store.users.note_word("paypay", "PROCESSING", AT)
    store.users.count_refusal("paypay", DAY, "UNAUTHORIZED")
    store.circuit.fail("HTTP 500", "endpoint-hash")
    store.circuit.open(AT)
    for work in ("live", "api", "repairs", "rereads"):
        store.paces.take("paypay", Ask(EPOCH, work, 1, 50, 0, 49, None, is_behind=False))
    store.paces.slow("paypay", Slowed(40, EPOCH * 1000, EPOCH * 1000 + 500), None)
