"""`honnin.store` where its writes meet the transaction of another: the table in memory never lets them.

DynamoDB refuses a single write to such an item with TransactionConflictException, and cancels a transaction with the
reason TransactionConflict, or with those of a throttled partition. botocore repeats none of them.
"""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

import honnin.store
from honnin.errors import ConcurrentUpdateError
from honnin.publish import Publisher
from honnin.store import (
    AlreadyAppliedError,
    Certificate,
    Comparison,
    Effect,
    EventRecord,
    Notification,
    ReceivedDay,
    ReconFile,
    Store,
    Submission,
    Unattached,
    UserStatus,
)
from honnin.store.keys import event_key
from honnin.vexora import poll
from tests.fakes import START, FakeBus, FakeClock
from tests.fakes.memory import dynamodb, memory_aws
from tests.tables import create_table

AT = "2026-04-01T03:00:00.000Z"
NOTIFICATION = Notification("kyc_passport_sync_recon", "2026-03-31", "file.csv", "https://x", AT)
COMPARISON = Comparison("kyc_passport_sync_recon", "2026-03-31", "file.csv", 1)
FILE = ReconFile("kyc_passport_sync_recon", "2026-03-31", "file.csv", "ANNOUNCED", received_at=AT)
SOURCES = sorted(Path(honnin.store.__file__).parent.glob("*.py"))
_WRITING = ("update_item", "put_item", "delete_item", "batch_write_item", "transact_write_items")
CERTIFICATE = Certificate("c-1", "user-1", AT)


def single(db: Any, operation: str) -> ClientError:
    error: ClientError = db.exceptions.TransactionConflictException(
        {"Error": {"Code": "TransactionConflictException", "Message": "x"}}, operation
    )
    return error


def canceled(db: Any, *codes: str) -> ClientError:
    answer = {
        "Error": {"Code": "TransactionCanceledException", "Message": "x"},
        "CancellationReasons": [{"Code": code} for code in codes],
    }
    error: ClientError = db.exceptions.TransactionCanceledException(answer, "TransactWriteItems")
    return error


class Colliding:
    """A client, of which every write collides `times` times before it goes through."""

    def __init__(self, db: Any) -> None:
        self._db = db
        self.times = 0
        self.codes: tuple[str, ...] = ("None", "TransactionConflict")
        self.made: list[str] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._db, name)
        if name not in _WRITING:
            return found

        def write(**request: Any) -> Any:
            self.made.append(name)
            if self.times > 0:
                self.times -= 1
                transaction = name == "transact_write_items"
                raise canceled(self._db, *self.codes) if transaction else single(self._db, name)
            return found(**request)

        return write


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


@pytest.fixture
def db(pauses: list[float]) -> Iterator[Colliding]:
    with memory_aws():
        yield Colliding(dynamodb())


@pytest.fixture
def store(db: Colliding) -> Store:
    store = Store(create_table(cast("Any", db), "StateTable"), cast("Any", db), now=FakeClock())
    store.events.apply(effect("api:1"))
    store.notifications.record(NOTIFICATION)
    db.made.clear()
    return store


def effect(event_id: str, before: UserStatus | None = None) -> Effect:
    version = before.version + 1 if before else 1
    after = UserStatus("user-1", "vexora", "PENDING", version, submission_id="s-1")
    opens = None if before else Submission("s-1", "user-1", "PENDING", AT, due_at=AT)
    return Effect(event_id, "submitted", "api", AT, before, after, {}, opens=opens)


def _noted(store: Store) -> None:
    store.erasure.begin(CERTIFICATE)
    store.erasure.note_objects(CERTIFICATE, 1)


WRITES: dict[str, Callable[[Store], object]] = {
    "apply": lambda store: store.events.apply(effect("api:2", store.users.status("user-1", "vexora"))),
    "keep": lambda store: store.events.keep(Unattached("e-1", "paypay", "x", "webhook", AT, "uaid-1", {})),
    "notification": lambda store: store.notifications.record(replace(NOTIFICATION, url="https://y")),
    "notified_recon_file": lambda store: store.recon.notified(FILE),
    "mark_published": lambda store: store.events.mark_published("api:1", AT),
    "advance_poll": lambda store: store.submissions.advance(cast("Submission", store.submissions.get("s-1")), 1, AT),
    "recon_compared": lambda store: store.recon.compared(COMPARISON, {"counts": {"rows": 1}}),
    "first_comparison": lambda store: store.comparisons.first("t", "2026-03-30", "g.csv", AT),
    "another_comparison": lambda store: store.comparisons.another(COMPARISON, AT),
    "end_of_comparison": lambda store: store.comparisons.end(COMPARISON),
    "received": lambda store: store.received.note(ReceivedDay("kyc", "2026-03-31", AT, AT, 1)),
    "claim_notification": lambda store: store.notifications.claim(NOTIFICATION, AT, AT),
    "release_notification": lambda store: store.notifications.release(NOTIFICATION, AT, ""),
    "notification_gave": lambda store: store.notifications.gave(NOTIFICATION, "x", whole=True),
    "notification_told": lambda store: store.notifications.note_reported(NOTIFICATION, AT),
    "note_last_reported": lambda store: store.notifications.note_last_reported(AT),
    "end_notification": lambda store: store.notifications.end(NOTIFICATION, ""),
    "recon_not_yet": lambda store: store.recon.not_yet(FILE, "x"),
    "recon_expired": lambda store: store.recon.expired(FILE, "x"),
    "recon_stored": lambda store: store.recon.stored(FILE),
    "recon_missing": lambda store: store.recon.missing(FILE.file_type, "2026-03-30", AT),
    "mark_erased": lambda store: store.erasure.mark("uaid-1", AT),
    "claim_erasure": lambda store: store.erasure.claim("user-1", AT, AT),
    "release_erasure": lambda store: store.erasure.release("user-1", AT),
    "begin_erasure": lambda store: store.erasure.begin(CERTIFICATE),
    "note_objects": _noted,
    "unlinked": lambda store: store.erasure.unlinked("user-1", "uaid-1", AT),
    "put": lambda store: store.table.put([event_key("x")]),
    "count_failure": lambda store: store.events.count_failure("m-1", "X"),
    "note_request_id": lambda store: store.recon.note_request_id("paypay", "OPA1", AT),
    "put_back": lambda store: store.restore.put_back(next(iter(store.restore.everything()))),
    "delete": lambda store: store.table.delete([event_key("x")]),
}


def test_every_write_of_the_store_goes_through_one_place() -> None:
    """A new one shows here: the store hands its writes to `settled`, and makes none itself."""
    # But for the items that no transaction has: a call to a provider waits for them.
    for module in [each for each in SOURCES if each.name != "pace.py"]:
        for name in _WRITING:
            assert f"db.{name}(" not in module.read_text(encoding="utf-8"), (module.name, name)


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("times", [1, 4])
def test_a_collision_is_waited_out(store: Store, db: Colliding, pauses: list[float], name: str, times: int) -> None:
    db.times = times
    WRITES[name](store)

    assert (db.times, len(pauses)) == (0, times)
    assert sum(pauses) < 1


@pytest.mark.parametrize("name", [each for each in WRITES if each != "release_erasure"])
def test_an_item_that_stays_taken_is_a_race(store: Store, db: Colliding, pauses: list[float], name: str) -> None:
    db.times = 1000
    with pytest.raises(ConcurrentUpdateError):
        WRITES[name](store)

    assert len(db.made) == 5
    assert sum(pauses) < 1


def test_a_claim_that_cannot_be_given_back_ends_by_itself(store: Store, db: Colliding) -> None:
    db.times = 1000
    store.erasure.release("user-1", AT)


@pytest.mark.parametrize(
    ("codes", "again"),
    [
        (("TransactionConflict", "None"), True),
        (("None", "ThrottlingError"), True),
        (("ProvisionedThroughputExceeded", "None"), True),
        (("None", "ValidationError"), False),
        (("None", "ItemCollectionSizeLimitExceeded"), False),
    ],
)
def test_which_cancelled_transactions_are_made_again(
    store: Store, db: Colliding, codes: tuple[str, ...], *, again: bool
) -> None:
    db.times, db.codes = 1, codes
    if again:
        store.events.apply(effect("api:2", store.users.status("user-1", "vexora")))
        assert len(db.made) == 2
    else:
        with pytest.raises(ClientError):
            store.events.apply(effect("api:2", store.users.status("user-1", "vexora")))
        assert len(db.made) == 1


def test_a_condition_that_fails_decides_whatever_else_collides(store: Store, db: Colliding) -> None:
    db.times, db.codes = 1, ("ConditionalCheckFailed", "TransactionConflict", "ThrottlingError")
    with pytest.raises(AlreadyAppliedError):
        store.events.apply(effect("api:2", store.users.status("user-1", "vexora")))
    assert len(db.made) == 1


def test_a_throttled_transaction_stays_an_aws_error(store: Store, db: Colliding) -> None:
    db.times, db.codes = 1000, ("ThrottlingError",)
    with pytest.raises(ClientError):
        store.events.apply(effect("api:2", store.users.status("user-1", "vexora")))
    assert len(db.made) == 5


def test_the_pauses_are_jittered(store: Store, db: Colliding, pauses: list[float]) -> None:
    for seed in range(4):
        random.seed(seed)
        db.times = 1
        store.recon.note_request_id("paypay", "OPA1", AT)
    assert len(set(pauses)) == 4


# --- no collision ends a run ---


def run_poll(store: Store, bus: FakeBus, sent: list[str]) -> dict[str, int]:
    def send(text: str) -> str:
        sent.append(text)
        return "m"

    publisher = Publisher("bus", store, bus.client)
    now = START.replace(hour=23)
    return poll.poll(store=store, publisher=publisher, send=send, delays_s=(600,), now=now, left_ms=lambda: 60_000)


def test_one_item_that_stays_taken_ends_no_poll_run(
    store: Store, db: Colliding, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (2, 3):
        after = UserStatus(f"user-{number}", "vexora", "PENDING", 1, submission_id=f"s-{number}")
        opens = Submission(f"s-{number}", f"user-{number}", "PENDING", AT, due_at=AT)
        store.events.apply(Effect(f"api:{number}0", "submitted", "api", AT, None, after, {}, opens=opens))
    taken = {"SUBMISSION#s-2", "EVENT#api:1"}
    settled = store.table.settled

    def stays_taken(write: Callable[..., Any], request: dict[str, Any]) -> Any:
        if request.get("Key", {}).get("pk", {}).get("S") in taken:
            raise ConcurrentUpdateError("taken")
        return settled(write, request)

    monkeypatch.setattr(store.table, "settled", stays_taken)
    sent: list[str] = []
    bus = FakeBus()

    assert run_poll(store, bus, sent) == {"polled": 3, "published": 3}
    assert len(bus.entries) == 3
    still_due = [each.submission_id for each in store.submissions.due(AT)]
    assert still_due == ["s-2"]
    assert [each.event_id for each in store.events.unpublished("9999")] == ["api:1"]


def test_a_record_that_was_erased_meanwhile_ends_no_publishing(store: Store) -> None:
    bus = FakeBus()
    change: dict[str, Any] = {"userId": "user-9", "provider": "vexora", "from": None, "to": "PENDING", "cause": "api"}
    change |= {
        "verified": False,
        "verifiedReason": "NOT_VERIFIED",
        "occurredAt": AT,
        "eventId": "api:gone",
        "version": 1,
    }
    Publisher("bus", store, bus.client).publish(EventRecord("api:gone", AT, published=False, change=change))

    assert len(bus.entries) == 1
    assert store.events.get("api:gone") is None
