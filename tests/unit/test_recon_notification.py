"""A notification of a recon file is recorded, whatever it looks like, and however often it comes."""

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honnin.event import Event
from honnin.processor import EventProcessor
from honnin.recon.file_types import FILE_TYPES
from honnin.recon.notification import ReconNotifications, requested_at
from honnin.store import Notification, ReconFile, Store
from honnin.times import utc_text
from tests.fakes import START, FakeClock
from tests.fakes.memory import dynamodb, memory_aws
from tests.fakes.recon_file import became
from tests.tables import create_table

KYC, RISK, _ = FILE_TYPES
HOST = "https://recon.paypay.ne.jp"
NAME = "kyc_passport_9001_20260331_20260331.csv"
URL = f"{HOST}/files/{NAME}?signature=secret"
RECEIVED = "2026-04-01T03:00:01.000Z"
DAY = "2026-03-31"


def event(
    *,
    path: str = URL,
    asked: str = "1775012400",
    file_type: str = KYC,
    received_at: str = RECEIVED,
    event_id: str = "paypay:recon_file:n-1",
) -> Event:
    detail = {"type": "file.created", "path": path, "requestedAt": asked}
    return Event(event_id, "paypay", "recon_file", "webhook", file_type, received_at, detail)


class Bench:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.db = dynamodb()
        self.store = Store(create_table(self.db, "StateTable"), self.db, now=self.clock)
        self.rule = ReconNotifications(self.store, tuple(FILE_TYPES))

    def record(self, **fields: str) -> None:
        self.rule.record(event(**fields))

    def to_fetch(self) -> list[Notification]:
        return self.store.notifications.to_fetch()

    def file(self, file_type: str = KYC, name: str = NAME, day: str = DAY) -> ReconFile:
        found = self.store.recon.file(file_type, day, name)
        assert found
        return found

    def items(self) -> list[Mapping[str, Any]]:
        return list(self.db.scan(TableName="StateTable")["Items"])


@pytest.fixture
def bench() -> Iterator[Bench]:
    with memory_aws():
        yield Bench()


# --- what is recorded ---


def test_a_notification_is_recorded_with_its_file(bench: Bench) -> None:
    bench.record()

    assert bench.to_fetch() == [Notification(KYC, DAY, NAME, URL, RECEIVED, requested_at="2026-04-01T03:00:00.000Z")]
    file = bench.file()
    assert (file.state, file.requested_at, file.received_at) == ("ANNOUNCED", "2026-04-01T03:00:00.000Z", RECEIVED)
    # From when it came to us, whatever it says of itself.
    assert file.deadline == "2026-04-01T05:00:01.000Z"
    # Nothing that would keep a later one out.
    assert not [each for each in bench.items() if each["pk"]["S"].startswith("EVENT#")]


@pytest.mark.parametrize(
    "path",
    [
        "nothing",
        "",
        "https://[::1",
        f"http://recon.paypay.ne.jp/{NAME}",
        f"https://evil.example/{NAME}",
        f"https://user@recon.paypay.ne.jp/{NAME}",
        f"https://169.254.169.254/{NAME}",
        f"{HOST}/",
        f"{HOST}/a%2Fb.csv",
        f"{HOST}/download?f=1",
        f"{HOST}/" + "a" * 9000,
    ],
)
def test_no_url_is_refused_while_a_notification_is_recorded(bench: Bench, path: str) -> None:
    """A host may be added to the list while there is still time; the download checks every URL before it asks."""
    bench.record(path=path)

    [found] = bench.to_fetch()
    assert found.url == path
    assert bench.file(name=found.file_name).state == "ANNOUNCED"


@pytest.mark.parametrize("file_type", ["another_file_type", "transaction", RISK, "-"])
def test_a_type_that_we_do_not_take_is_kept_and_counted(
    bench: Bench, capsys: pytest.CaptureFixture[str], file_type: str
) -> None:
    ReconNotifications(bench.store, (KYC,)).record(event(file_type=file_type, path=f"{HOST}/x.csv?signature=secret"))

    assert bench.to_fetch() == []
    assert "secret" not in str(bench.items())
    [file] = bench.store.recon.files(file_type, DAY, DAY)
    assert (file.state, file.reason) == ("IGNORED", "the parameter ReconFileTypes does not list this file type")
    assert '"ReconFileIgnored"' in capsys.readouterr().out


@pytest.mark.parametrize("file_type", [KYC.upper(), f" {KYC} ", "-"])
def test_the_type_is_that_of_the_notification_and_only_without_one_that_of_the_name(
    bench: Bench, file_type: str
) -> None:
    bench.record(file_type=file_type)
    assert [each.file_type for each in bench.to_fetch()] == [KYC]


def test_the_type_of_the_notification_decides_against_the_name(bench: Bench) -> None:
    bench.record(file_type=RISK)
    assert [each.file_type for each in bench.to_fetch()] == [RISK]


# --- what it says of itself ---


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1775012400", "2026-04-01T03:00:00.000Z"),
        ("1775012400.5", "2026-04-01T03:00:00.000Z"),
        ("1775012400123", "2026-04-01T03:00:00.123Z"),
        ("1775012400123.0", "2026-04-01T03:00:00.123Z"),
        ("1775012400123456", "2026-04-01T03:00:00.123Z"),
        ("1775012400123456789", "2026-04-01T03:00:00.123Z"),
        ("  1775012400  ", "2026-04-01T03:00:00.000Z"),
        ("2026-04-01T12:00:00+09:00", "2026-04-01T03:00:00.000Z"),
        ("2026-04-01T03:00:00Z", "2026-04-01T03:00:00.000Z"),
        ("2026-04-01T03:00:00.123Z", "2026-04-01T03:00:00.123Z"),
        ("20260401T120000+0900", "2026-04-01T03:00:00.000Z"),
        ("2026-04-01 12:00:00", "2026-04-01T03:00:00.000Z"),
        ("20260401120000", "2026-04-01T03:00:00.000Z"),
        ("2026-04-01", "2026-03-31T15:00:00.000Z"),
        ("1.7750124E9", "2026-04-01T03:00:00.000Z"),
        ("1.7750124E+12", "2026-04-01T03:00:00.000Z"),
        ("2026/04/01 12:00:00", "2026-04-01T03:00:00.000Z"),
        ("20260401120000123", "2026-04-01T03:00:00.000Z"),
        ("Wed, 01 Apr 2026 12:00:00 +0900", "2026-04-01T03:00:00.000Z"),
        ("1e999999999999", None),
        ("-Infinity", None),
        ("", None),
        ("now", None),
        ("null", None),
        ("0", None),
        ("-1775012400", None),
        ("9999999999", None),
        ("9" * 19, None),
        ("9" * 400, None),
        ("1e9", None),
        ("NaN", None),
    ],
)
def test_requested_at_is_read_leniently_and_only_shown(bench: Bench, text: str, shown: str | None) -> None:
    bench.record(asked=text)

    [found] = bench.to_fetch()
    assert found.requested_at == shown
    assert utc_text(found.until) == "2026-04-01T05:00:01.000Z"
    assert (found.day, bench.file().requested_at) == (DAY, shown)


@given(st.text(max_size=60))
def test_no_requested_at_is_an_error(text: str) -> None:
    shown = requested_at(text, START)
    assert shown is None or datetime.fromisoformat(shown)


# --- again ---


def test_the_same_message_again_from_the_queue_changes_nothing(bench: Bench) -> None:
    bench.record()
    before = bench.items()
    bench.clock.advance(seconds=60)
    bench.record()

    assert [each["due_at"] for each in bench.items() if "due_at" in each] == [
        each["due_at"] for each in before if "due_at" in each
    ]
    [found] = bench.to_fetch()
    assert bench.store.notifications.end(found, "")
    bench.record()
    assert bench.to_fetch() == []


@pytest.mark.parametrize("state", ["ANNOUNCED", "STORED", "COMPARED", "EXPIRED"])
def test_the_very_same_notification_a_day_later_is_to_be_fetched_again(bench: Bench, state: str) -> None:
    """What "PayPay will be able to resend the webhook" may well mean."""
    bench.record()
    [found] = bench.to_fetch()
    after(bench, found, state)
    later = "2026-04-02T03:00:01.000Z"
    bench.record(received_at=later)

    [again] = bench.to_fetch()
    assert (again.received_at, again.url, again.tried, again.reason, again.gave) == (later, URL, 0, None, None)
    file = bench.file()
    if state in ("STORED", "COMPARED"):
        # Judged by the notification that led to these bytes.
        assert (file.state, file.received_at) == (state, RECEIVED)
    else:
        assert (file.state, file.received_at, file.reason) == ("ANNOUNCED", later, None)


def after(bench: Bench, found: Notification, state: str) -> None:
    """The way of a notification until its file is in this state."""
    if state == "EXPIRED":
        bench.store.recon.expired(replace(bench.file(), reason=None), "HTTP 403")
    elif state != "ANNOUNCED":
        bench.store.recon.stored(replace(bench.file(), state="STORED", sha256="ab", size=3, stored_at=RECEIVED))
        bench.store.notifications.gave(found, NAME, whole=True)
    if state == "COMPARED":
        became(bench.store.table, bench.file(), "COMPARED", {})
    if state != "ANNOUNCED":
        assert bench.store.notifications.end(found, "HTTP 403")
        assert bench.to_fetch() == []


def test_another_url_of_the_same_file_does_not_take_the_place_of_the_first(bench: Bench) -> None:
    """Whoever can send a forged one must not keep us from the true file."""
    bench.record()
    bench.record(path=URL.replace("secret", "other"), received_at="2026-04-01T03:10:00.000Z")
    bench.record(path=f"https://evil.example/{NAME}", received_at="2026-04-01T03:20:00.000Z")

    assert len(bench.to_fetch()) == 3
    assert len(bench.store.recon.files(KYC, DAY, DAY)) == 1
    assert bench.file().deadline == "2026-04-01T05:20:00.000Z"


ORDERS = [
    event(received_at=RECEIVED),
    event(received_at="2026-04-01T03:30:00.000Z", asked="1775014200"),
    event(received_at="2026-04-01T04:00:00.000Z", path=URL + "&x=1"),
    event(received_at="2026-04-01T02:00:00.000Z", asked=""),
]


@pytest.mark.parametrize(
    "order", list(itertools.permutations(ORDERS)), ids=lambda order: "".join(map(str, map(ORDERS.index, order)))
)
def test_any_order_and_any_repetition_lead_to_the_same(bench: Bench, order: tuple[Event, ...]) -> None:
    for each in (*order, *order[:2]):
        bench.rule.record(each)

    assert [(each.url, each.received_at) for each in bench.to_fetch()] == [
        (URL, "2026-04-01T03:30:00.000Z"),
        (URL + "&x=1", "2026-04-01T04:00:00.000Z"),
    ]
    assert (bench.file().received_at, bench.file().state) == ("2026-04-01T04:00:00.000Z", "ANNOUNCED")


@pytest.mark.parametrize("write", [1, 2])
def test_a_worker_that_died_between_two_writes_is_made_good(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, write: int
) -> None:
    calls = itertools.count(1)
    real = bench.db.update_item

    def dies(**request: Any) -> Any:
        if next(calls) == write:
            raise KeyboardInterrupt
        return real(**request)

    with monkeypatch.context() as patch:
        patch.setattr(bench.db, "update_item", dies)
        with pytest.raises(KeyboardInterrupt):
            bench.record()
    bench.record()

    assert (len(bench.to_fetch()), bench.file().state) == (1, "ANNOUNCED")


def test_an_ignored_one_does_not_take_the_place_of_a_stored_file(bench: Bench) -> None:
    bench.record()
    after(bench, bench.to_fetch()[0], "STORED")
    ReconNotifications(bench.store, ()).record(event(received_at="2026-04-02T03:00:00.000Z"))
    assert bench.file().state == "STORED"


def test_an_old_message_does_not_have_an_expired_file_fetched_again(bench: Bench) -> None:
    bench.record()
    after(bench, bench.to_fetch()[0], "EXPIRED")
    bench.record()
    assert (bench.file().state, bench.to_fetch()) == ("EXPIRED", [])


# --- through the processor ---


def test_the_processor_records_it_each_time_that_it_comes(bench: Bench) -> None:
    """No record of the event stands in the way, also of one that PayPay gives the same id."""
    nobody: Any = None
    processor = EventProcessor(store=bench.store, publisher=nobody, vexora=nobody, now=bench.clock, recon=bench.rule)
    processor.process(event())
    bench.store.notifications.end(bench.to_fetch()[0], "")
    processor.process(event(received_at="2026-04-02T03:00:01.000Z"))

    assert [each.received_at for each in bench.to_fetch()] == ["2026-04-02T03:00:01.000Z"]


# --- what the table keeps ---


def test_nothing_of_the_url_is_left_when_there_is_nothing_to_fetch(bench: Bench) -> None:
    bench.record()
    [found] = bench.to_fetch()
    assert "secret" not in repr(found)
    bench.store.notifications.end(found, "the response was HTTP 403")

    assert "secret" not in json.dumps(bench.items())
    bench.clock.advance(days=41)
    assert bench.to_fetch() == []


def test_an_end_and_a_claim_do_nothing_to_a_newer_notification(bench: Bench) -> None:
    bench.record()
    [old] = bench.to_fetch()
    bench.record(received_at="2026-04-01T03:30:00.000Z")

    assert not bench.store.notifications.end(old, "")
    bench.store.notifications.gave(old, NAME, whole=True)
    bench.store.notifications.note_reported(old, RECEIVED)
    [new] = bench.to_fetch()
    assert (new.gave, new.reported_at, new.tried) == (None, None, 0)


def test_only_one_worker_has_a_claim(bench: Bench) -> None:
    bench.record()
    [found] = bench.to_fetch()
    now, until = (utc_text(START + timedelta(seconds=each)) for each in (0, 60))

    assert bench.store.notifications.claim(found, now, until)
    assert not bench.store.notifications.claim(found, now, until)
    assert bench.to_fetch()[0].tried == 1
    bench.store.notifications.release(found, until, "HTTP 500")
    assert bench.to_fetch()[0].reason == "HTTP 500"
    assert bench.store.notifications.claim(found, now, until)
    assert bench.store.notifications.claim(found, utc_text(datetime(2026, 4, 2, tzinfo=UTC)), until)
