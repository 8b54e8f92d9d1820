"""`honnin.store` and items past their time, which DynamoDB leaves in the table for days, and this one for ever."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honnin.store import (
    AlreadyAppliedError,
    Effect,
    LinkSession,
    Notification,
    ReceivedDay,
    ReconFile,
    SessionUse,
    SessionUsedError,
    Store,
    Unattached,
    UserStatus,
)
from honnin.times import utc_text
from tests.fakes import START, FakeClock
from tests.fakes.memory import dynamodb, memory_aws
from tests.tables import create_table

DAY = "2026-04-01"
UAID = "uaid-1"

_STATUSES = ("LINKED", "VERIFIED")


class Table:
    """A table and its clock; `timeline_days` and `waiting_days` as the parameters have them."""

    def __init__(self, timeline_days: int = 30, waiting_days: int = 20) -> None:
        self.clock = FakeClock()
        self.db = dynamodb()
        self.store = Store(
            create_table(self.db, "StateTable"),
            self.db,
            timeline_days=timeline_days,
            waiting_days=waiting_days,
            now=self.clock,
        )
        self._number = 0

    def happens(self, event_id: str = "", **changes: Any) -> Effect:
        """One event of user-1, applied now."""
        self._number += 1
        before = self.store.users.status("user-1", "paypay")
        after = UserStatus(
            "user-1", "paypay", _STATUSES[self._number % len(_STATUSES)], (before.version if before else 0) + 1
        )
        at = utc_text(self.clock())
        made = Effect(event_id or f"e-{self._number}", "read", "api", at, before, after, {}, **changes)
        self.store.events.apply(made)
        return made

    def session(self, nonce: str = "nonce-1") -> LinkSession:
        """A session of an hour, with a code of seven days."""
        now = self.clock()
        return LinkSession(
            nonce=nonce,
            user_id="user-1",
            scopes=(),
            return_url="https://shop.example.jp",
            expires_at=int((now + timedelta(hours=1)).timestamp()),
            code_id="code-1",
            code_verifier=f"verifier of {nonce}",
            code_expires_at=int((now + timedelta(days=7)).timestamp()),
        )

    def stored(self) -> int:
        """How many items are in the table, whoever sees them."""
        return len(self.db.scan(TableName="StateTable")["Items"])


@pytest.fixture
def table() -> Iterator[Table]:
    with memory_aws():
        yield Table()


def file(table: Table, day: str = "2026-03-31") -> None:
    at = utc_text(table.clock())
    name = f"file-{day}.csv"
    table.store.notifications.record(Notification("kyc_passport_sync_recon", day, name, "https://x", at))
    table.store.recon.notified(ReconFile("kyc_passport_sync_recon", day, name, "ANNOUNCED", received_at=at))


def fill(table: Table) -> None:
    """One item of every kind that has an end."""
    table.happens("e-kept", session=table.session())
    at = utc_text(table.clock())
    table.store.received.note(ReceivedDay("kyc", DAY, at, at, 1))
    table.store.events.keep(Unattached("e-waits", "paypay", "x", "webhook", at, "uaid-2", {}))
    file(table)


READERS: dict[str, tuple[timedelta, Callable[[Store], object]]] = {
    "a session": (timedelta(hours=1), lambda store: store.links.session("nonce-1")),
    "a code": (timedelta(days=7), lambda store: store.links.passport_qr("code-1")),
    "QRs": (timedelta(days=7), lambda store: list(store.restore.qrs_of("user-1"))),
    "the timeline": (timedelta(days=30), lambda store: store.users.timeline("user-1", 10)[0]),
    "the timeline of an export": (
        timedelta(days=30),
        lambda store: store.erasure.footprint("user-1", expired=False).entries,
    ),
    "waiting events": (timedelta(days=20), lambda store: store.links.waiting("uaid-2")),
    "the webhooks of a day": (timedelta(days=40), lambda store: store.received.of("kyc", DAY)),
    "an event": (timedelta(days=400), lambda store: store.events.get("e-kept")),
    "events": (timedelta(days=400), lambda store: store.events.get_many(["e-kept"])),
    "what is to publish": (timedelta(days=400), lambda store: list(store.events.unpublished("9999"))),
    "a recon file": (
        timedelta(days=400),
        lambda store: store.recon.file("kyc_passport_sync_recon", "2026-03-31", "file-2026-03-31.csv"),
    ),
    "recon files": (
        timedelta(days=400),
        lambda store: store.recon.files("kyc_passport_sync_recon", "2026-03-01", "2026-04-30"),
    ),
    "what is to fetch": (timedelta(days=40), lambda store: store.notifications.to_fetch()),
}


@pytest.mark.parametrize("what", READERS)
def test_nothing_is_read_past_its_time(table: Table, what: str) -> None:
    fill(table)
    kept, read = READERS[what]
    there = table.stored()

    # A recon file's time runs from the beginning of its day.
    table.clock.now = START + kept - min(kept / 2, timedelta(days=2))
    assert read(table.store), "it is there until then"
    table.clock.now = START + kept + timedelta(seconds=1)
    assert not read(table.store)
    assert table.stored() == there, "and DynamoDB has deleted nothing yet"


def test_what_has_no_end_is_read_for_ever(table: Table) -> None:
    fill(table)
    table.store.erasure.mark("uaid-9", utc_text(table.clock()))
    table.clock.advance(days=4000)

    assert [each.status for each in table.store.users.statuses("user-1")] == [_STATUSES[1]]
    assert table.store.erasure.is_erased("uaid-9")
    assert table.store.erasure.erased(["uaid-9"]) == {"uaid-9"}


# --- a key may be used again ---


def test_an_expired_event_may_be_applied_again(table: Table) -> None:
    table.happens("e-1")
    with pytest.raises(AlreadyAppliedError):
        table.happens("e-1")
    table.clock.advance(days=401)
    table.happens("e-1")

    record = table.store.events.get("e-1")
    assert record is not None
    assert record.applied_at == utc_text(table.clock())


def test_a_code_may_be_given_again(table: Table) -> None:
    table.happens(session=table.session())
    table.clock.advance(days=8)
    table.happens(session=table.session("nonce-2"))

    code = table.store.links.passport_qr("code-1")
    assert code is not None
    assert code.code_verifier == "verifier of nonce-2"


def test_what_waits_may_wait_again(table: Table) -> None:
    waiting = Unattached("e-1", "paypay", "x", "webhook", utc_text(table.clock()), UAID, {})
    table.store.events.keep(waiting)
    with pytest.raises(AlreadyAppliedError):
        table.store.events.keep(waiting)
    table.clock.advance(days=401)
    table.store.events.keep(replace(waiting, at=utc_text(table.clock())))

    assert len(table.store.links.waiting(UAID)) == 1


def test_a_session_that_ends_while_it_is_answered_is_not_used(table: Table) -> None:
    table.happens(session=table.session())
    table.clock.advance(seconds=3600)
    with pytest.raises(SessionUsedError):
        table.happens(uses=SessionUse("nonce-1", "digest", "succeeded"))


def test_what_has_expired_is_not_attached_to_a_link(table: Table) -> None:
    at = utc_text(table.clock())
    table.store.events.keep(Unattached("e-1", "paypay", "x", "webhook", at, UAID, {}))
    table.clock.advance(days=31)

    assert table.store.links.attach(UAID, "user-1", "LINKED") == 0


def test_what_has_ended_has_ended_for_a_reader_whose_clock_is_behind(table: Table) -> None:
    table.store.events.keep(Unattached("e-1", "paypay", "x", "webhook", utc_text(table.clock()), UAID, {}))
    table.store.erasure.mark("uaid-2", utc_text(table.clock()))
    table.store.links.attach(UAID, "user-1", "LINKED")
    before = UserStatus("user-1", "paypay", "LINKED", 1, user_authorization_id="uaid-2")
    table.store.events.apply(Effect("e-2", "linked", "api", utc_text(table.clock()), None, before, {}, links=True))

    table.clock.advance(seconds=-30)

    assert table.store.links.waiting(UAID) == []
    assert not table.store.erasure.is_erased("uaid-2")


def test_a_file_of_a_day_long_past_is_worked_on_all_the_same(table: Table) -> None:
    """PayPay resends, or the name says something odd: the notification came now."""
    file(table, "2024-01-01")
    [found] = table.store.notifications.to_fetch()

    assert found.day == "2024-01-01"


# --- who must see them ---


def test_erasure_takes_what_has_expired_but_is_there(table: Table) -> None:
    table.happens("e-1")
    table.clock.advance(days=41)

    assert table.store.erasure.footprint("user-1").entries


def test_a_restore_sees_everything(table: Table) -> None:
    fill(table)
    table.clock.advance(days=4000)
    every = list(table.store.restore.everything())

    assert len(every) == table.stored()
    assert table.store.restore.missing(every) == []


# --- pages ---


@given(
    ages=st.lists(st.integers(0, 60), min_size=1, max_size=25, unique=True),
    limit=st.integers(1, 8),
)
def test_pages_are_full_whatever_has_expired(ages: list[int], limit: int) -> None:
    with memory_aws():
        table = Table()
        for age in sorted(ages, reverse=True):
            table.clock.now = START - timedelta(days=age, hours=1)
            table.happens()
        table.clock.now = START
        alive = [age for age in sorted(ages) if age < 30]
        sizes, cursor = [], None
        while True:
            entries, cursor = table.store.users.timeline("user-1", limit, cursor)
            sizes.append(len(entries))
            if cursor is None:
                break
    full, rest = divmod(len(alive), limit)
    assert sizes == ([limit] * full + [rest] * (rest > 0) or [0])


def test_a_waiting_event_that_found_its_user_is_kept_as_long_as_the_timeline() -> None:
    with memory_aws():
        table = Table(timeline_days=0, waiting_days=20)
        table.store.events.keep(Unattached("e-1", "paypay", "x", "webhook", utc_text(table.clock()), UAID, {}))
        table.happens("linked")
        table.store.links.attach(UAID, "user-1", "LINKED")
        table.clock.advance(days=21)
        assert "e-1" in [each.event_id for each in table.store.users.timeline("user-1", 50)[0]]


def test_without_days_a_waiting_event_stays() -> None:
    with memory_aws():
        table = Table(waiting_days=0)
        table.store.events.keep(Unattached("e-1", "paypay", "x", "webhook", utc_text(table.clock()), UAID, {}))
        table.clock.advance(days=4000)
        assert len(table.store.links.waiting(UAID)) == 1
