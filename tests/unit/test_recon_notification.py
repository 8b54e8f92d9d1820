"""`honnin.recon.notification`: what a notice announces, and what the table makes of it (`ReconFiles.announce`)."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honnin.event import Event
from honnin.recon.bucket import FileId
from honnin.recon.file_types import FILE_TYPES
from honnin.recon.notification import ReconFiles, ReconNotifications, file_name
from honnin.store import AlreadyAppliedError, Announcement, ReconFile, Store
from honnin.store.recon import Recon
from tests.fakes import START, FakeClock
from tests.fakes.memory import dynamodb, memory_aws
from tests.fakes.recon_file import became
from tests.tables import create_table

KYC = "kyc_passport_sync_recon"
RISK = "kyc_passport_risk_sync_recon"
HOST = "https://recon.paypay.ne.jp"
NAME = "kyc_passport_9001_20260331_20260331.csv"
URL = f"{HOST}/files/{NAME}?signature=secret"
FILES = ReconFiles(tuple(FILE_TYPES), (".paypay.ne.jp",))


def event(
    notification_id: str = "n-1",
    *,
    path: str = URL,
    requested_at: str = "1775012400",
    file_type: str = KYC,
    received_at: str = "2026-04-01T03:00:01.000Z",
) -> Event:
    detail = {"type": "file.created", "path": path, "requestedAt": requested_at}
    return Event(
        f"paypay:recon_file:{notification_id}", "paypay", "recon_file", "webhook", file_type, received_at, detail
    )


def announced(files: ReconFiles = FILES, **fields: str) -> Announcement:
    return files.announcement(event(**fields), START)


# --- what is read from a notice ---


def test_a_notice_is_read() -> None:
    assert announced() == Announcement(
        event_id="paypay:recon_file:n-1",
        file_type=KYC,
        file_name=NAME,
        day="2026-03-31",
        url=URL,
        requested_at="2026-04-01T03:00:00.000Z",
        deadline="2026-04-01T05:00:00.000Z",
        received_at="2026-04-01T03:00:01.000Z",
        at="2026-04-01T03:00:00.000Z",
        state="ANNOUNCED",
        reason="",
        name_says={"owner_id": "9001", "first_day": "2026-03-31", "last_day": "2026-03-31"},
    )


@pytest.mark.parametrize("requested_at", ["1775012400", "1775012400000"])
def test_seconds_and_milliseconds_are_the_same_moment(requested_at: str) -> None:
    made = announced(requested_at=requested_at)
    assert (made.requested_at, made.deadline) == ("2026-04-01T03:00:00.000Z", "2026-04-01T05:00:00.000Z")


@given(st.integers(10**9, 10**10 - 1), st.booleans(), st.integers(0, 999))
def test_the_deadline_is_two_hours_after_any_request(seconds: int, in_ms: bool, ms: int) -> None:
    made = announced(requested_at=f"{seconds}{ms:03}" if in_ms else str(seconds))
    requested, deadline = datetime.fromisoformat(made.requested_at), datetime.fromisoformat(made.deadline)
    assert (deadline - requested).total_seconds() == 7200
    assert int(requested.timestamp()) == seconds


@pytest.mark.parametrize("requested_at", ["", "soon", "-1775012400", "1.5", "１７７５０１２４００"])
def test_a_time_that_cannot_be_read_counts_as_now(requested_at: str) -> None:
    """The webhook refuses most of these; a full-width number is one for Python, too."""
    assert announced(requested_at=requested_at).requested_at == "2026-04-01T03:00:00.000Z"


def test_the_url_is_not_in_its_representation() -> None:
    assert "secret" not in repr(announced())


@pytest.mark.parametrize(
    ("name", "requested_at", "day"),
    [
        ("kyc_passport_risk_9_20260228_20260228.csv", "1775012400", "2026-02-28"),
        ("kyc_passport_9_20260330_20260331.csv", "1775012400", "2026-03-30"),
        # No day in the name: the day before the request, as Japan counts. 14:59:59Z and 15:00:00Z of 31 March.
        ("other.csv", "1774969199", "2026-03-30"),
        ("other.csv", "1774969200", "2026-03-31"),
        ("kyc_passport_9_20269999_20269999.csv", "1774969200", "2026-03-31"),
    ],
)
def test_the_day_is_that_of_the_name_else_the_day_before_the_notice(name: str, requested_at: str, day: str) -> None:
    assert announced(path=f"{HOST}/{name}", requested_at=requested_at).day == day


# --- the file name ---


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (URL, NAME),
        (f"{HOST}/a/b.csv#c.csv", "b.csv"),
        (f"{HOST}/a.csv?x=/b.csv", "a.csv"),
        (f"{HOST}/kyc%5Fpassport.csv", "kyc_passport.csv"),
        (f"{HOST}/{'a' * 255}", "a" * 255),
        (f"{HOST}/../../a.csv", "a.csv"),
        # None that could be one
        (f"{HOST}/", ""),
        (HOST, ""),
        (f"{HOST}/..", ""),
        (f"{HOST}/.hidden", ""),
        (f"{HOST}/a%2Fb.csv", ""),
        (f"{HOST}/..%2F..%2Freports%2Freport.json", ""),
        (f"{HOST}/%2e%2e%2fa.csv", ""),
        (f"{HOST}/..%5Ca.csv", ""),
        (f"{HOST}/%252e%252e%252fa.csv", ""),
        (f"{HOST}/a%00.csv", ""),
        (f"{HOST}/a%0A.csv", ""),
        (f"{HOST}/a b.csv", ""),
        (f"{HOST}/ファイル.csv", ""),
        (f"{HOST}/a%23b.csv", ""),
        (f"{HOST}/a~b.csv", ""),
        (f"{HOST}/{'a' * 256}", ""),
        ("https://[::1", ""),
    ],
)
def test_the_name_is_the_last_part_of_the_path(url: str, name: str) -> None:
    assert file_name(url) == name


@pytest.mark.parametrize("path", [f"{HOST}/", f"{HOST}/a%2Fb.csv", f"{HOST}/%2e%2e%2fa.csv"])
def test_a_file_without_a_usable_name_is_named_after_its_notice(path: str) -> None:
    first, again, second = (announced(notification_id=each, path=path) for each in ("n-1", "n-1", "n-2"))
    assert (first.state, first.url) == ("ANNOUNCED", path)
    assert first.file_name.startswith("unnamed-")
    assert first.file_name == again.file_name != second.file_name


@pytest.mark.parametrize("notification_id", ["../../reports/x", "a/b", "通知", "~", "a b", "n#1"])
def test_a_name_made_from_a_notification_id_is_a_name(notification_id: str) -> None:
    """What is stored under it must be found again: by its key (the comparison) and by its day (the deadline)."""
    made = announced(notification_id=notification_id, path=f"{HOST}/")
    named = FileId(made.file_type, made.day, made.file_name)
    assert named.key.startswith(f"recon/{named.file_type}/")


@given(st.text(max_size=40))
def test_whatever_the_path_says_the_key_stays_in_its_place(tail: str) -> None:
    made = announced(path=f"{HOST}/{tail}")
    named = FileId(made.file_type, "2026-03-31", made.file_name)
    assert named.key.startswith(f"recon/{named.file_type}/")


# --- what is not fetched ---


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (URL.replace("https", "http"), "not https"),
        (f"ftp://recon.paypay.ne.jp/{NAME}", "not https"),
        (f"file:///etc/{NAME}", "not https"),
        (f"/files/{NAME}", "not https"),
        (f"https://user@recon.paypay.ne.jp/{NAME}", "credentials"),
        (f"https://recon.paypay.ne.jp@evil.example/{NAME}", "credentials"),
        (f"https://recon.paypay.ne.jp:8443/{NAME}", "another port"),
        (f"https://evilpaypay.ne.jp/{NAME}", "not on the list"),
        (f"https://paypay.ne.jp/{NAME}", "not on the list"),
        (f"https://recon.paypay.ne.jp.evil.example/{NAME}", "not on the list"),
        (f"https://evil.example/recon.paypay.ne.jp/{NAME}", "not on the list"),
        (f"https://127.0.0.1/{NAME}", "an address"),
        (f"https://169.254.169.254/latest/meta-data/{NAME}", "an address"),
        (f"https://2130706433/{NAME}", "an address"),
        (f"https://0x7f000001/{NAME}", "an address"),
        (f"https://0177.0.0.1/{NAME}", "an address"),
        (f"https://127.1/{NAME}", "an address"),
        (f"https://[::1]/{NAME}", "an address"),
        (f"https://[::ffff:127.0.0.1]/{NAME}", "an address"),
        (f"http://127.0.0.1:9100/{NAME}", "not https"),
        ("https://[::1", "cannot be read"),
        (f"https://a℀b.paypay.ne.jp/{NAME}", "cannot be read"),
        (f"https://recon。paypay.ne.jp/{NAME}", "no plain host"),
        (f"https://recon.paypay.ne.jp\\@evil.example/{NAME}", "backslash"),
        (f"https://recon.paypay.ne.jp/ {NAME}", "space"),
    ],
)
def test_a_url_that_breaks_a_rule_is_refused_and_not_kept(
    capsys: pytest.CaptureFixture[str], path: str, reason: str
) -> None:
    made = announced(path=f"{path}?signature=secret")
    assert (made.state, made.url) == ("REFUSED", "")
    assert reason in made.reason
    written = capsys.readouterr().out
    assert counted(written) == ["ReconFileRefused"]
    assert "secret" not in written + made.reason
    assert "evil" not in made.reason


@pytest.mark.parametrize("file_type", ["", "another_file_type", "kyc_passport_sync_recon ", KYC.upper()])
def test_a_type_that_is_none_of_ours_is_ignored(capsys: pytest.CaptureFixture[str], file_type: str) -> None:
    made = announced(file_type=file_type)
    assert (made.state, made.url) == ("IGNORED", "")
    assert counted(capsys.readouterr().out) == ["ReconFileIgnored"]


def test_a_type_that_is_not_enabled_is_ignored() -> None:
    only_kyc = ReconFiles((KYC,), (".paypay.ne.jp",))
    assert announced(only_kyc, file_type=RISK).state == "IGNORED"
    assert announced(only_kyc, file_type=KYC).state == "ANNOUNCED"


def test_an_ignored_type_raises_no_alarm_about_its_url(capsys: pytest.CaptureFixture[str]) -> None:
    assert announced(file_type="another", path="http://127.0.0.1/x").state == "IGNORED"
    assert counted(capsys.readouterr().out) == ["ReconFileIgnored"]


def test_only_the_loopback_switch_opens_plain_http_to_this_machine() -> None:
    local = ReconFiles((KYC,), (".paypay.ne.jp",), loopback=True)
    assert announced(local, path=f"http://127.0.0.1:9100/{NAME}").state == "ANNOUNCED"
    for host in ("127.0.0.2", "localhost", "169.254.169.254", "[::1]", "recon.paypay.ne.jp"):
        assert announced(local, path=f"http://{host}/{NAME}").state == "REFUSED"


def counted(output: str) -> list[str]:
    """The names of the metrics that were written."""
    records = [json.loads(line) for line in output.splitlines() if '"_aws"' in line]
    return [each["Name"] for record in records for each in record["_aws"]["CloudWatchMetrics"][0]["Metrics"]]


# --- what the table makes of it ---


class Table:
    """The table, and notices that come one after the other, a minute apart."""

    def __init__(self) -> None:
        self.db = dynamodb()
        self.clock = FakeClock()
        self.store = Store(create_table(self.db, "StateTable"), self.db, now=self.clock)
        self._number = 0

    def announce(self, minute: float = 0, **fields: str) -> None:
        """A notice that came (and was asked for) so many minutes after the first."""
        self._number += 1
        seconds = int(START.timestamp() + 60 * minute)
        came = datetime.fromtimestamp(seconds + 1, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        given = {"notification_id": f"n-{self._number}", "requested_at": str(seconds), "received_at": came, **fields}
        self.store.recon.announce(FILES.announcement(event(**given), self.clock()))

    def file(self, name: str = NAME, day: str = "2026-03-31") -> ReconFile:
        found = self.store.recon.file(KYC, day, name)
        assert found is not None
        return found

    def item(self) -> Mapping[str, Any]:
        """The only recon item as it lies in the table."""
        [item] = [item for item in self.db.scan(TableName="StateTable")["Items"] if "RECON#" in item["pk"]["S"]]
        return item

    def stored(self, sha256: str = "ab") -> None:
        self.store.recon.stored(self.file(), name=NAME, sha256=sha256, size=3, at="2026-04-01T03:05:00.000Z")

    def ended(self, state: str) -> None:
        """The stored file's comparison has ended so; STORED: it has not."""
        if state != "STORED":
            became(self.store.table, self.file(), state, {"counts": {"rows": 3}})


@pytest.fixture
def table() -> Iterator[Table]:
    with memory_aws():
        yield Table()


FRESH = URL.replace("secret", "fresh")


def test_an_announced_file_waits_to_be_fetched(table: Table) -> None:
    table.announce()
    assert [file.url for file in table.store.recon.to_fetch()] == [URL]
    assert table.file().state == "ANNOUNCED"
    assert "secret" not in repr(table.file())


def test_the_oldest_deadline_comes_first(table: Table) -> None:
    for minute, day in ((30, "20260329"), (0, "20260331"), (20, "20260330")):
        table.announce(minute, path=f"{HOST}/kyc_passport_9_{day}_{day}.csv")
    assert [file.day for file in table.store.recon.to_fetch()] == ["2026-03-31", "2026-03-30", "2026-03-29"]


def test_a_notice_is_recorded_once(table: Table) -> None:
    table.announce(notification_id="same")
    with pytest.raises(AlreadyAppliedError):
        table.announce(10, notification_id="same", path=FRESH)
    assert table.file().url == URL


def test_a_renewed_notice_replaces_the_url(table: Table) -> None:
    table.announce()
    table.announce(60, path=FRESH)
    assert (table.file().url, table.file().deadline) == (FRESH, "2026-04-01T06:00:00.000Z")
    assert len(table.store.recon.to_fetch()) == 1


@pytest.mark.parametrize("state", ["EXPIRED", "TOO_LARGE", "REFUSED"])
def test_a_renewed_notice_gives_a_lost_file_another_chance(table: Table, state: str) -> None:
    table.announce()
    table.store.recon.end_fetch(table.file(), state, "for a reason")
    assert "url" not in table.item()
    assert table.store.recon.to_fetch() == []
    table.announce(60, path=FRESH)
    assert (table.file().state, table.file().url, table.file().reason) == ("ANNOUNCED", FRESH, None)


def test_an_older_notice_that_is_processed_later_changes_nothing(table: Table) -> None:
    table.announce(60, path=FRESH)
    table.announce(0, notification_id="older")
    assert (table.file().url, table.file().deadline) == (FRESH, "2026-04-01T06:00:00.000Z")
    assert table.store.events.get("paypay:recon_file:older") is not None


def test_an_older_notice_does_not_bring_a_lost_file_back(table: Table) -> None:
    table.announce(60, path=FRESH)
    table.store.recon.end_fetch(table.file(), "EXPIRED", "the answer was HTTP 403")
    table.announce(0)
    assert (table.file().state, table.file().url) == ("EXPIRED", None)


@pytest.mark.parametrize("state", ["COMPARED", "INVALID"])
def test_a_renewed_notice_about_a_stored_file_only_gives_it_something_to_fetch(table: Table, state: str) -> None:
    table.announce()
    table.stored()
    became(table.store.table, table.file(), state, {"counts": {"rows": 3}})
    table.announce(60, path=FRESH)
    file = table.file()
    assert (file.state, file.sha256, file.counts, file.url) == (state, "ab", {"rows": 3}, FRESH)
    assert [each.name for each in table.store.recon.to_fetch()] == [NAME]


@pytest.mark.parametrize("state", ["STORED", "COMPARED"])
def test_the_same_notice_under_another_id_does_not_fetch_a_stored_file_again(table: Table, state: str) -> None:
    table.announce()
    table.stored()
    table.ended(state)
    table.announce(0, path=FRESH)
    assert table.file().state == state
    assert table.store.recon.to_fetch() == []


@pytest.mark.parametrize("state", ["STORED", "COMPARED"])
@pytest.mark.parametrize("requested_at", ["1775016000", "1775008800"], ids=["later", "earlier"])
def test_a_notice_of_another_request_fetches_a_stored_file_again(table: Table, state: str, requested_at: str) -> None:
    """What it says of its own time decides nothing else: the one that came last counts."""
    table.announce()
    table.stored()
    table.ended(state)
    table.announce(1, requested_at=requested_at, path=FRESH)
    [file] = table.store.recon.to_fetch()
    assert (file.state, file.url) == (state, FRESH)


def test_what_cannot_be_believed_is_fetched_again_by_the_same_notice_too(table: Table) -> None:
    table.announce()
    table.stored()
    table.ended("INVALID")
    table.announce(0, path=FRESH)
    [file] = table.store.recon.to_fetch()
    assert (file.state, file.url) == ("INVALID", FRESH)


def test_what_cannot_be_believed_is_not_fetched_again_by_an_older_notice(table: Table) -> None:
    table.announce(60)
    table.stored()
    table.ended("INVALID")
    table.announce(0, path=FRESH)
    assert table.store.recon.to_fetch() == []


def test_the_same_notice_under_another_id_leaves_a_waiting_file_as_it_is(table: Table) -> None:
    table.announce()
    before = table.file()
    table.announce(0)
    assert table.file() == before


@pytest.mark.parametrize("requested_at", ["9999999999", "9999999999999"])
def test_a_request_of_the_far_future_waits_like_any_other(table: Table, requested_at: str) -> None:
    table.announce(requested_at=requested_at)
    assert [file.name for file in table.store.recon.to_fetch()] == [NAME]
    table.announce(60, path=FRESH)
    assert (table.file().url, table.file().deadline) == (FRESH, "2026-04-01T06:00:00.000Z")


def test_a_request_of_the_far_future_does_not_shut_a_stored_file_for_later_notices(table: Table) -> None:
    table.announce()
    table.stored()
    table.announce(1, requested_at="9999999999")
    table.store.recon.end_fetch(table.file(), "EXPIRED", "the answer was HTTP 403")
    table.announce(60, path=FRESH)
    assert table.file().url == FRESH


@pytest.mark.parametrize("bad", [{"path": URL.replace("https", "http")}, {"path": f"https://evil.example/{NAME}"}])
def test_a_refused_notice_does_not_take_the_place_of_a_good_one(table: Table, bad: dict[str, str]) -> None:
    table.announce()
    before = table.file()
    table.announce(60, **bad)
    assert table.file() == before
    assert [each.url for each in table.store.recon.to_fetch()] == [URL]


def test_a_good_notice_takes_the_place_of_a_refused_one(table: Table) -> None:
    table.announce(path=f"https://evil.example/{NAME}")
    assert (table.file().state, table.file().url) == ("REFUSED", None)
    assert "url" not in table.item()
    assert table.store.recon.to_fetch() == []
    table.announce(60)
    assert (table.file().state, table.file().reason, table.file().url) == ("ANNOUNCED", None, URL)


def test_an_ignored_notice_is_kept_with_its_reason(table: Table) -> None:
    table.announce(file_type="another_file_type")
    item = table.item()
    assert (item["pk"]["S"], item["state"]["S"]) == ("RECON#another_file_type", "IGNORED")
    assert "ReconFileTypes" in item["reason"]["S"]
    assert "secret" not in str(item)
    assert table.store.recon.to_fetch() == []


def test_files_are_found_by_type_and_day(table: Table) -> None:
    for day in ("20260329", "20260330", "20260331", "20260401"):
        table.announce(path=f"{HOST}/kyc_passport_9_{day}_{day}.csv")
    table.announce(path=f"{HOST}/zzz.csv", requested_at="1774969200")
    found = table.store.recon.files(KYC, "2026-03-30", "2026-03-31")
    assert [(file.day, file.name[:3]) for file in found] == [
        ("2026-03-30", "kyc"),
        ("2026-03-31", "kyc"),
        ("2026-03-31", "zzz"),
    ]
    assert table.store.recon.files(RISK, "2026-03-30", "2026-03-31") == []


# --- a file whose name says no day ---


def sent(table: Table, store: Store | None = None, *, days: int = 0, **fields: Any) -> Announcement:
    """What the processor makes of a notice that was asked for so many days after the first; it is recorded too."""
    rule = ReconNotifications(store or table.store, FILES, table.clock)
    seconds = int(START.timestamp()) + days * 86_400
    came = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    notice = event(f"day-{days}", requested_at=str(seconds), received_at=came, **fields)
    effect = rule.decide(notice)
    assert isinstance(effect, Announcement)
    table.store.recon.announce(effect)
    return effect


@pytest.mark.parametrize("days", [1, 7, 8])
def test_a_file_without_a_day_in_its_name_that_is_sent_again_stays_that_of_its_first_day(
    table: Table, days: int
) -> None:
    url = f"{HOST}/other.csv?signature=secret"
    assert sent(table, path=url).day == "2026-03-31"

    assert sent(table, days=days, path=f"{url}-fresh").day == "2026-03-31"

    [file] = table.store.recon.to_fetch()
    assert (file.day, file.name, file.url) == ("2026-03-31", "other.csv", f"{url}-fresh")


def test_after_paypays_week_a_name_without_a_day_is_another_file(table: Table) -> None:
    sent(table, path=f"{HOST}/other.csv")
    assert sent(table, days=9, path=f"{HOST}/other.csv").day == "2026-04-09"


@pytest.mark.parametrize("fields", [{"path": f"{HOST}/another.csv"}, {"path": f"{HOST}/other.csv", "file_type": RISK}])
def test_another_name_or_type_without_a_day_is_another_file(table: Table, fields: dict[str, Any]) -> None:
    sent(table, path=f"{HOST}/other.csv")
    assert sent(table, days=1, **fields).day == "2026-04-01"


class UnreadFiles(Recon):
    """A table that may not be asked for its files."""

    def files(self, file_type: str, first_day: str, last_day: str) -> list[ReconFile]:
        """Whoever comes here has no reason to."""
        raise AssertionError("the table was read")


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"path": "https://evil.example/other.csv"}, "REFUSED"),
        ({"path": f"{HOST}/other.csv", "file_type": "another_file_type"}, "IGNORED"),
        ({"path": URL}, "ANNOUNCED"),
    ],
    ids=["refused", "ignored", "name says its day"],
)
def test_the_first_day_is_looked_for_only_where_it_counts(table: Table, fields: dict[str, Any], state: str) -> None:
    """Anybody may send a notice that is refused: it costs no reading of the table."""
    store = Store("StateTable", table.db)
    store.recon = UnreadFiles(store.table)
    assert sent(table, store, **fields).state == state
