"""`honnin.recon.download`: every rule with its hostile case, on a bucket in memory and a loopback server."""

import hashlib
import json
import socket
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from honnin.errors import ReconUrlRefusedError
from honnin.recon import bucket as bucket_module
from honnin.recon import download
from honnin.recon.bucket import FileId, FileWriter, ReconBucket
from honnin.recon.download import Downloads, Source, check_url
from honnin.recon.resend import Letterhead, ResendAlarm
from honnin.store import Announcement, ReconFile, Store
from honnin.store.recon import Recon
from honnin.times import utc_text
from tests.fakes import FakeClock, FakeTopic, FileServer, LoopbackServer, Received, Reply
from tests.fakes.memory import dynamodb, memory_aws, s3
from tests.fakes.recon_file import became
from tests.tables import create_table

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

KYC, RISK = "kyc_passport_sync_recon", "kyc_passport_risk_sync_recon"
DAY = "2026-03-31"
NAME = "kyc_passport_9_20260331_20260331.csv"
FILE = FileId(KYC, DAY, NAME)
ROWS = b"".join(b"%036d\r\n" % number for number in range(50))
OTHER = ROWS.replace(b"0\r\n", b"a\r\n")
GONE = (403, 404, 410)


class Bench:
    """A download function with its table, bucket and topic; the clock stands where the notice was asked for."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.db = dynamodb()
        self.store = Store(create_table(self.db, "StateTable"), self.db, now=self.clock)
        self.s3 = s3("recon")
        self.bucket = ReconBucket("recon", self.s3)
        self.topic = FakeTopic()
        self.source = Source((".paypay.ne.jp",), max_bytes=100_000, loopback=True)
        self._number = 0

    def announce(self, url: str, name: str = NAME, *, day: str = DAY, file_type: str = KYC, late_s: float = 0) -> None:
        """A notice that came now; it had been asked for `late_s` seconds before."""
        self._number += 1
        requested = self.clock() - timedelta(seconds=late_s)
        self.store.recon.announce(
            Announcement(
                event_id=f"n-{self._number}",
                file_type=file_type,
                file_name=name,
                day=day,
                url=f"{url}/{name}?signature=very-secret",
                requested_at=utc_text(requested),
                deadline=utc_text(requested + timedelta(hours=2)),
                received_at=utc_text(self.clock()),
                at=utc_text(self.clock()),
            )
        )

    def downloads(self, bucket: ReconBucket | None = None) -> Downloads:
        return Downloads(
            store=self.store,
            bucket=bucket or self.bucket,
            source=self.source,
            alarm=ResendAlarm("arn:topic", lambda: Letterhead("m-1", "c-1", "OPA1"), self.topic.client),
            now=self.clock,
        )

    def run(self, seconds: float = 40) -> dict[str, int]:
        """One run of the function that has so many seconds (30 of which it keeps for itself)."""
        return self.downloads().run(lambda: int(seconds * 1000))

    def fetch(self, server: LoopbackServer, seconds: float = 40) -> dict[str, int]:
        """Announce the file at that server and run."""
        self.announce(server.url)
        return self.run(seconds)

    def file(self, name: str = NAME, file_type: str = KYC) -> ReconFile:
        found = self.store.recon.file(file_type, DAY, name)
        assert found is not None
        return found

    def item(self, name: str = NAME) -> dict[str, Any]:
        """The file's item, as it lies in the table."""
        key = {"pk": {"S": f"RECON#{KYC}"}, "sk": {"S": f"{DAY}#{name}"}}
        return dict(self.db.get_item(TableName="StateTable", Key=key)["Item"])

    def content(self, name: str = NAME) -> bytes:
        return b"".join(self.bucket.read(FileId(KYC, DAY, name)))

    def keys(self) -> list[str]:
        return [each["Key"] for each in self.s3.list_objects_v2(Bucket="recon").get("Contents", [])]

    def is_clean(self) -> bool:
        """Whether nothing lies in S3, no half of a file either."""
        return not self.keys() and not self.s3.list_multipart_uploads(Bucket="recon").get("Uploads")


@pytest.fixture
def bench() -> Iterator[Bench]:
    with memory_aws():
        yield Bench()


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> int:
    """Parts of 200 bytes, and an S3 that takes them: a file of some rows is a multipart upload."""
    monkeypatch.setattr(bucket_module, "_LEAST_PART_BYTES", 200)
    monkeypatch.setattr("chaos.s3._LEAST_PART_BYTES", 1)
    monkeypatch.setattr("honnin.remote_file._CHUNK_BYTES", 100)
    return 200


def metrics(output: str) -> list[str]:
    records = [json.loads(line) for line in output.splitlines() if '"_aws"' in line]
    return [each["Name"] for record in records for each in record["_aws"]["CloudWatchMetrics"][0]["Metrics"]]


# --- a file that comes as it should ---


@pytest.mark.parametrize("content", [b"", b"userAuthorizationId\r\n", ROWS], ids=["empty", "header", "rows"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_file_is_stored(bench: Bench, content: bytes, framing: Any) -> None:
    with FileServer(content) as server:
        server.framing = framing
        assert bench.fetch(server) == {"stored": 1}

    assert bench.content() == content
    assert bench.keys() == [f"recon/{KYC}/2026/03/31/{NAME}"]
    file = bench.file()
    assert (file.state, file.size, file.sha256) == ("STORED", len(content), hashlib.sha256(content).hexdigest())
    assert (file.stored_at, file.reason) == ("2026-04-01T03:00:00.000Z", None)
    assert bench.topic.letters == []


@pytest.mark.usefixtures("small_parts")
def test_a_large_file_goes_up_in_parts(bench: Bench) -> None:
    with FileServer(ROWS) as server:
        assert bench.fetch(server) == {"stored": 1}

    stored = bench.s3.head_object(Bucket="recon", Key=FILE.key)
    assert stored["ETag"].strip('"').endswith(f"-{len(ROWS) // 200 + 1}")
    assert bench.content() == ROWS
    assert (bench.file().size, bench.file().sha256) == (len(ROWS), hashlib.sha256(ROWS).hexdigest())


def test_what_is_asked_for_is_the_plain_file_and_nothing_else(bench: Bench) -> None:
    with FileServer(ROWS) as server:
        bench.fetch(server)
    [request] = server.received
    assert (request.method, request.path) == ("GET", f"/{NAME}?signature=very-secret")
    assert request.headers["accept-encoding"] == "identity"
    assert not {"authorization", "cookie", "range", "if-range"} & request.headers.keys()


def test_nothing_is_left_of_the_url_once_the_file_is_stored(bench: Bench) -> None:
    with FileServer(ROWS) as server:
        bench.announce(server.url)
        assert "very-secret" in str(bench.item())
        bench.run()
    assert not {"url", "due_kind", "due_at", "claimed_until"} & bench.item().keys()
    assert "very-secret" not in str(bench.db.scan(TableName="StateTable")["Items"])
    assert bench.store.recon.to_fetch() == []


def test_with_nothing_announced_nothing_happens(bench: Bench) -> None:
    assert bench.run() == {}


# --- the address ---


@pytest.mark.parametrize(
    "url",
    [
        "http://recon.paypay.ne.jp/x",
        "https://user@recon.paypay.ne.jp/x",
        "https://recon.paypay.ne.jp:8443/x",
        "https://evilpaypay.ne.jp/x",
        "https://paypay.ne.jp/x",
        "https://recon.paypay.ne.jp.evil.example/x",
        "https://169.254.169.254/latest/meta-data/x",
        "https://[::ffff:169.254.169.254]/x",
    ],
)
def test_a_url_that_breaks_a_rule_is_refused(url: str) -> None:
    with pytest.raises(ReconUrlRefusedError) as caught:
        check_url(f"{url}?signature=very-secret", allowed_hosts=(".paypay.ne.jp",))
    assert "secret" not in str(caught.value)
    assert "evil" not in str(caught.value)


def test_an_allowed_url_passes() -> None:
    check_url("https://recon.paypay.ne.jp/x?signature=s", allowed_hosts=(".paypay.ne.jp",))
    check_url("http://127.0.0.1:9100/x", allowed_hosts=(), loopback=True)


def test_the_url_is_checked_again_when_it_is_fetched(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """The allow-list may have changed since it was announced."""
    with FileServer(ROWS) as server:
        bench.announce(server.url)
        bench.source = Source((".paypay.ne.jp",), max_bytes=100_000)
        assert bench.run() == {"refused": 1}
        assert server.connections == 0
    assert (bench.file().state, bench.file().url) == ("REFUSED", None)
    assert bench.file().reason == "the URL is not https"
    assert bench.is_clean()
    assert metrics(capsys.readouterr().out) == ["ReconFileRefused"]
    # A person is told by the metric's alarm: asking PayPay to send it again would not help.
    assert bench.topic.letters == []


def test_an_allowed_name_that_leads_to_loopback_is_refused_and_gets_no_byte(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FileServer(ROWS) as server:
        port = int(server.url.rpartition(":")[2])
        looked_up: list[str] = []

        def getaddrinfo(host: Any, *_: Any, **__: Any) -> list[Any]:
            looked_up.append(str(host))
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        bench.announce("https://recon.paypay.ne.jp")
        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        assert bench.run() == {"refused": 1}
        assert looked_up == ["recon.paypay.ne.jp"]
        assert server.received == []
    assert (bench.file().state, bench.file().url) == ("REFUSED", None)
    assert bench.file().reason == "the host leads to an address that is not public"
    assert bench.is_clean()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(bench: Bench, status: int) -> None:
    with LoopbackServer(Reply()) as elsewhere, LoopbackServer() as server:
        server.replies[0] = Reply(status, b"", {"Location": f"{elsewhere.url}/latest/meta-data/"})
        assert bench.fetch(server) == {"failed": 1}
        assert elsewhere.received == []
        assert {request.path.partition("?")[0] for request in server.received} == {f"/{NAME}"}
    assert bench.is_clean()
    assert bench.file().reason == f"the answer was HTTP {status}"


# --- how much ---


def test_the_cap_is_exact(bench: Bench) -> None:
    bench.source = Source((), max_bytes=len(ROWS), loopback=True)
    with FileServer(ROWS) as server:
        assert bench.fetch(server) == {"stored": 1}


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(200, ROWS), id="says so"),
        pytest.param(Reply(200, ROWS, framing="chunked"), id="one byte more"),
        pytest.param(Reply(200, ROWS, framing="chunked", forever=True), id="chunks without end"),
        pytest.param(Reply(200, ROWS, says_length=3 * 2**30, forever=True), id="3 GiB"),
        pytest.param(Reply(200, ROWS, says_length=10**30, forever=True), id="more than there is"),
    ],
)
def test_a_file_over_the_cap_is_given_up_and_nothing_of_it_kept(bench: Bench, reply: Reply) -> None:
    bench.source = Source((), max_bytes=len(ROWS) - 1, loopback=True)
    with LoopbackServer(reply) as server:
        assert bench.fetch(server) == {"too_large": 1}
        assert len(server.received) == 1
    assert bench.is_clean()
    file = bench.file()
    assert (file.state, file.url, file.sha256) == ("TOO_LARGE", None, None)
    assert file.reason == f"the file is larger than {len(ROWS) - 1} bytes"
    [letter] = bench.topic.letters
    assert "larger than" in letter["Message"]


def test_a_small_content_length_ends_the_file_whatever_comes_behind_it(bench: Bench) -> None:
    """What comes after the announced length is no part of the answer, though gigabytes follow."""
    with LoopbackServer(Reply(200, ROWS, says_length=len(ROWS), forever=True)) as server:
        assert bench.fetch(server) == {"stored": 1}
    assert bench.content() == ROWS


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "GZIP", "gzip, identity"])
def test_a_compressed_answer_is_not_taken(bench: Bench, coding: str) -> None:
    """It was not asked for; a few megabytes of it may be gigabytes."""
    with LoopbackServer(Reply(200, b"\x1f\x8b" + b"x" * 100, {"Content-Encoding": coding})) as server:
        assert bench.fetch(server) == {"failed": 1}
    assert bench.file().reason == "the file came compressed, which was not asked for"
    assert bench.is_clean()


@pytest.mark.parametrize("coding", ["identity", ""])
def test_an_answer_that_says_it_is_not_compressed_is_taken(bench: Bench, coding: str) -> None:
    with LoopbackServer(Reply(200, ROWS, {"Content-Encoding": coding})) as server:
        assert bench.fetch(server) == {"stored": 1}
    assert bench.content() == ROWS


# --- a URL that is over, a server that is down ---


@pytest.mark.parametrize("status", GONE)
@pytest.mark.parametrize("late_s", [0, 7199, 7201])
def test_a_url_that_is_over_is_expired_and_asked_for_again(
    bench: Bench, capsys: pytest.CaptureFixture[str], status: int, late_s: float
) -> None:
    with LoopbackServer(Reply(status, b"")) as server:
        bench.announce(server.url, late_s=late_s)
        assert bench.run() == {"expired": 1}
        assert len(server.received) == 1
        assert bench.run() == {}
    file = bench.file()
    assert (file.state, file.url, file.reason) == ("EXPIRED", None, f"the answer was HTTP {status}")
    assert not {"url", "due_kind", "due_at", "claimed_until"} & bench.item().keys()
    [letter] = bench.topic.letters
    assert letter["Subject"] == f"Honnin: recon file missing: {KYC}"
    assert f"HTTP {status}" in letter["Message"]
    assert metrics(capsys.readouterr().out) == ["ReconFileLost"]


@pytest.mark.parametrize(
    "reply", [Reply(500), Reply(502), Reply(503), Reply(401), Reply(204, b""), Reply(instead="reset")]
)
def test_a_server_in_trouble_is_asked_again_by_the_next_run(
    bench: Bench, capsys: pytest.CaptureFixture[str], reply: Reply
) -> None:
    with FileServer(ROWS) as good, LoopbackServer(reply) as server:
        assert bench.fetch(server) == {"failed": 1}
        file = bench.file()
        assert (file.state, file.url is None) == ("ANNOUNCED", False)
        assert file.reason
        assert "claimed_until" not in bench.item()
        assert bench.is_clean()
        assert metrics(capsys.readouterr().out) == ["ReconFetchFailed"]
        assert bench.topic.letters == []
        server.reply_to = good.reply_to  # type: ignore[method-assign]  # it is up again
        assert bench.run() == {"stored": 1}
    assert (bench.file().state, bench.file().reason) == ("STORED", None)


@pytest.mark.parametrize("seconds", [7200, 7200 + 86400])
def test_a_server_in_trouble_after_the_two_hours_means_expired(bench: Bench, seconds: float) -> None:
    with LoopbackServer(Reply(503)) as server:
        bench.announce(server.url)
        bench.clock.advance(seconds=7199)
        assert bench.run() == {"failed": 1}
        bench.clock.advance(seconds=seconds - 7199)
        assert bench.run() == {"expired": 1}
    assert (bench.file().state, bench.file().reason) == ("EXPIRED", "the answer was HTTP 503")
    assert len(bench.topic.letters) == 1


def test_two_hours_after_the_notice_came_it_is_over_whatever_the_notice_says(bench: Bench) -> None:
    with LoopbackServer(Reply(503)) as server:
        bench.announce(server.url, late_s=-10 * 365 * 86400)
        assert bench.run() == {"failed": 1}
        bench.clock.advance(seconds=7200)
        assert bench.run() == {"expired": 1}


def test_a_file_is_tried_after_its_deadline_as_long_as_nobody_has(bench: Bench) -> None:
    """PayPay may keep it longer than it says."""
    with FileServer(ROWS) as server:
        bench.announce(server.url)
        bench.clock.advance(seconds=3 * 3600)
        assert bench.run() == {"stored": 1}


def test_a_lost_file_is_fetched_when_it_is_announced_again(bench: Bench) -> None:
    with FileServer(ROWS) as good, LoopbackServer(Reply(403)) as server:
        bench.fetch(server)
        bench.clock.advance(seconds=60)
        assert bench.fetch(good) == {"stored": 1}
    assert (bench.file().state, bench.file().reason) == ("STORED", None)


def test_a_url_that_was_renewed_while_the_old_one_failed_is_kept(bench: Bench) -> None:
    class Renews(LoopbackServer):
        def reply_to(self, request: Received) -> Reply:
            bench.clock.advance(seconds=1)
            bench.announce(good.url)
            return Reply(403)

    with FileServer(ROWS) as good, Renews() as server:
        bench.announce(server.url)
        bench.run()
        assert (bench.file().state, bench.file().url) == ("ANNOUNCED", f"{good.url}/{NAME}?signature=very-secret")
        assert bench.topic.letters == []
        assert bench.run() == {"stored": 1}


# --- a transfer that breaks ---


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("validator", ["ETag", "Last-Modified"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("breaks", [[1], [700], [700, 1, 450], [len(ROWS) - 1], [0, 0, 100, 0]], ids=str)
def test_a_broken_transfer_goes_on_where_it_broke(
    bench: Bench, breaks: list[int], framing: Any, validator: str
) -> None:
    with FileServer(ROWS, breaks=breaks, validator=validator) as server:
        server.framing = framing
        assert bench.fetch(server) == {"stored": 1}

    assert bench.content() == ROWS
    assert (bench.file().size, bench.file().sha256) == (len(ROWS), hashlib.sha256(ROWS).hexdigest())
    # No byte was sent twice: each request asks for what is still missing, of the very bytes it began with.
    had = 0
    for request, given in zip(server.received, [*breaks, len(ROWS)], strict=True):
        assert request.headers.get("range") == (f"bytes={had}-" if had else None)
        assert ("if-range" in request.headers) == (had > 0)
        had += given
    assert bench.topic.letters == []


@pytest.mark.usefixtures("small_parts")
def test_a_server_that_ignores_range_sends_the_file_anew(bench: Bench) -> None:
    with FileServer(ROWS, breaks=[700, 900]) as server:
        server.takes_ranges = False
        assert bench.fetch(server) == {"stored": 1}
    assert bench.content() == ROWS
    assert bench.file().sha256 == hashlib.sha256(ROWS).hexdigest()
    assert [request.headers.get("range") for request in server.received] == [None, "bytes=700-", "bytes=900-"]
    assert not bench.s3.list_multipart_uploads(Bucket="recon").get("Uploads")


@pytest.mark.usefixtures("small_parts")
def test_a_server_that_always_breaks_is_left_after_some_tries(bench: Bench) -> None:
    with FileServer(ROWS, breaks=[700] * 50) as server:
        server.takes_ranges = False
        assert bench.fetch(server) == {"failed": 1}
        assert 2 <= len(server.received) <= 6
    assert bench.is_clean()
    assert bench.file().state == "ANNOUNCED"


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("validator", ["ETag", "Last-Modified"])
@pytest.mark.parametrize("changed", [OTHER, OTHER[:900], OTHER + OTHER], ids=["same size", "shorter", "longer"])
def test_bytes_that_changed_in_between_are_never_mixed(bench: Bench, validator: str, changed: bytes) -> None:
    with FileServer(ROWS, changed, breaks=[700], validator=validator) as server:
        assert bench.fetch(server) == {"stored": 1}
    assert bench.content() == changed
    assert bench.file().sha256 == hashlib.sha256(changed).hexdigest()


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("changed", [OTHER, OTHER[:900], OTHER + OTHER], ids=["same size", "shorter", "longer"])
def test_without_validators_a_broken_transfer_begins_anew(bench: Bench, changed: bytes) -> None:
    """RFC 9110 §15.3.7.3: parts may be combined only when they share a strong validator."""
    with FileServer(ROWS, changed, breaks=[700], validator="") as server:
        assert bench.fetch(server) == {"stored": 1}
    assert bench.content() == changed
    assert [request.headers.get("range") for request in server.received] == [None, None]


@pytest.mark.usefixtures("small_parts")
def test_a_weak_etag_is_no_reason_to_go_on(bench: Bench) -> None:
    """RFC 9110 §13.1.5: `If-Range` takes a strong one only."""

    class Weak(FileServer):
        def _name(self, content: bytes) -> str:
            return f"W/{super()._name(content)}"

    with Weak(ROWS, breaks=[700]) as server:
        assert bench.fetch(server) == {"stored": 1}
    assert [request.headers.get("if-range") for request in server.received] == [None, None]
    assert bench.content() == ROWS


class Liar(FileServer):
    """Breaks off after 700 bytes, then gives one wrong answer to what is asked for, and the truth from then on."""

    def __init__(self, lie: Reply, framing: Any = "length") -> None:
        super().__init__(ROWS, breaks=[700])
        self._lies = [lie]
        self.framing = framing

    def reply_to(self, request: Received) -> Reply:
        """The file, or the lie."""
        return self._lies.pop() if self._lies and "range" in request.headers else super().reply_to(request)


def part(content_range: str | None, body: bytes, **more: Any) -> Reply:
    headers = {"ETag": f'"{hashlib.sha256(ROWS).hexdigest()[:16]}"'} | more.pop("headers", {})
    return Reply(206, body, headers | ({"Content-Range": content_range} if content_range else {}), **more)


ALL = len(ROWS)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(
    "lie",
    [
        pytest.param(part(None, ROWS[700:]), id="no Content-Range"),
        pytest.param(part("", ROWS[700:]), id="empty"),
        pytest.param(part(f"bytes 0-{ALL - 1}/{ALL}", ROWS), id="from the beginning"),
        pytest.param(part(f"bytes 0-{ALL - 701}/{ALL}", ROWS[: ALL - 700]), id="another part"),
        pytest.param(part(f"bytes 699-{ALL - 1}/{ALL}", ROWS[699:]), id="one byte before"),
        pytest.param(part(f"bytes 701-{ALL - 1}/{ALL}", ROWS[701:]), id="one byte behind"),
        pytest.param(part(f"bytes 7000-{ALL - 1}/{ALL}", ROWS[700:]), id="begins alike"),
        pytest.param(part(f"bytes 700-{ALL}/{ALL + 1}", ROWS[700:] + b"x"), id="another size"),
        pytest.param(part(f"bytes 700-{ALL - 1}/*", ROWS[700:]), id="unknown size"),
        pytest.param(part(f"rows 700-{ALL - 1}/{ALL}", ROWS[700:]), id="another unit"),
        pytest.param(part(f"bytes 700-{ALL - 1}/{ALL}", ROWS[700:] + b"x"), id="more than it says"),
        pytest.param(part(f"bytes 700-{ALL - 1}/{ALL}", ROWS[700:-1]), id="less than it says"),
        pytest.param(part(f"bytes 700-799/{ALL}", ROWS[700:800]), id="a part of the part"),
        pytest.param(Reply(416, b"", {"Content-Range": f"bytes */{ALL}"}), id="416"),
        pytest.param(Reply(200, ROWS), id="200"),
        pytest.param(Reply(500, b""), id="500"),
    ],
)
def test_a_content_range_that_lies_never_spoils_the_file(bench: Bench, lie: Reply) -> None:
    with Liar(lie) as server:
        assert bench.fetch(server) == {"stored": 1}
    assert bench.content() == ROWS
    assert (bench.file().size, bench.file().sha256) == (ALL, hashlib.sha256(ROWS).hexdigest())


@pytest.mark.usefixtures("small_parts")
def test_a_part_that_names_other_bytes_is_not_taken(bench: Bench) -> None:
    """A server that does not know `If-Range` answers with a part of whatever it has now, and says so by its ETag."""
    lie = part(f"bytes 700-{ALL - 1}/{ALL}", OTHER[700:], headers={"ETag": '"other"'})
    with Liar(lie) as server:
        assert bench.fetch(server) == {"stored": 1}
    assert bench.content() == ROWS


@pytest.mark.usefixtures("small_parts")
def test_a_part_of_the_part_does_not_end_a_file_that_came_in_chunks(bench: Bench) -> None:
    with Liar(part(f"bytes 700-799/{ALL}", ROWS[700:800]), framing="chunked") as server:
        assert bench.fetch(server) == {"stored": 1}
    assert bench.content() == ROWS


def test_a_part_that_nobody_asked_for_is_not_the_file(bench: Bench) -> None:
    with LoopbackServer(part(f"bytes 0-99/{ALL}", ROWS[:100])) as server:
        assert bench.fetch(server) == {"failed": 1}
    assert bench.is_clean()


def test_a_body_that_only_the_end_of_the_connection_ends_may_be_half_a_file(bench: Bench) -> None:
    """Neither a length nor chunks: nothing tells the end of the file from a connection that broke."""
    for reply in (Reply(200, ROWS, framing="close", short_by=500), Reply(200, ROWS, framing="close", forever=True)):
        with LoopbackServer(reply) as server:
            assert bench.fetch(server) == {"failed": 1}
        assert bench.is_clean()
        assert bench.file().reason == "the answer does not say where the file ends"


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("status", GONE)
def test_a_url_that_ends_in_the_middle_of_a_transfer_is_expired(bench: Bench, status: int) -> None:
    with Liar(Reply(status, b"")) as server:
        assert bench.fetch(server) == {"expired": 1}
    assert bench.is_clean()
    assert bench.file().state == "EXPIRED"


@pytest.mark.usefixtures("small_parts")
def test_the_rest_of_a_file_may_not_go_over_the_cap(bench: Bench) -> None:
    bench.source = Source((), max_bytes=1000, loopback=True)
    with Liar(part(f"bytes 700-1699/{ALL}", ROWS[700:1700]), framing="chunked") as server:
        assert bench.fetch(server) == {"too_large": 1}
    assert bench.is_clean()


@pytest.mark.usefixtures("small_parts")
def test_a_transfer_that_stalls_is_resumed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_READ_TIMEOUT_S", 0.2)

    class Stalls(FileServer):
        def reply_to(self, request: Received) -> Reply:
            whole = super().reply_to(request)
            # The rest never comes, and the connection stays open.
            first = Reply(200, whole.body[:700], whole.headers, says_length=ALL)
            return whole if "range" in request.headers else first

    with Stalls(ROWS) as server:
        assert bench.fetch(server) == {"stored": 1}
        assert [request.headers.get("range") for request in server.received] == [None, "bytes=700-"]
    assert bench.content() == ROWS


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(
    "reply",
    [Reply(200, ROWS, drip_s=0.02), Reply(wait_s=30), Reply(200, b"", says_length=10)],
    ids=["drip", "", "stall"],
)
def test_a_slow_server_ends_with_the_time_of_the_function(bench: Bench, reply: Reply) -> None:
    with LoopbackServer(reply) as server:
        begun = datetime.now().astimezone()
        assert bench.fetch(server, seconds=30.6) == {"failed": 1}
        assert (datetime.now().astimezone() - begun).total_seconds() < 3
    assert bench.is_clean()
    assert bench.file().state == "ANNOUNCED"
    assert "claimed_until" not in bench.item()


def test_no_file_is_begun_without_enough_time(bench: Bench) -> None:
    with FileServer(ROWS) as server:
        assert bench.fetch(server, seconds=30) == {"no_time_left": 1}
        assert server.connections == 0
    assert "claimed_until" not in bench.item()


# --- stored once, revisions beside it ---


def renewed(bench: Bench, content: bytes) -> dict[str, int]:
    """The file is announced again, a minute later, with these bytes."""
    bench.clock.advance(seconds=60)
    with FileServer(content) as server:
        return bench.fetch(server)


@pytest.mark.parametrize("state", ["STORED", "COMPARED", "INVALID"])
@pytest.mark.usefixtures("small_parts")
def test_the_same_bytes_again_change_nothing(bench: Bench, state: str) -> None:
    renewed(bench, ROWS)
    if state != "STORED":
        became(bench.store.table, bench.file(), state, {})
    assert renewed(bench, ROWS) == {"unchanged": 1}
    assert bench.keys() == [FILE.key]
    assert not bench.s3.list_multipart_uploads(Bucket="recon").get("Uploads")
    assert (bench.file().state, bench.file().url) == (state, None)
    assert bench.file().sha256 == hashlib.sha256(ROWS).hexdigest()
    assert bench.store.recon.to_fetch() == []
    assert bench.topic.letters == []


@pytest.mark.parametrize("state", ["STORED", "COMPARED", "INVALID"])
def test_other_bytes_are_kept_beside_it_as_a_revision(bench: Bench, state: str) -> None:
    renewed(bench, ROWS)
    if state != "STORED":
        became(bench.store.table, bench.file(), state, {})
    assert renewed(bench, OTHER) == {"revision": 1}

    name = f"{NAME}.rev-20260401T030200000Z"
    assert bench.keys() == [FILE.key, f"{FILE.key}.rev-20260401T030200000Z"]
    assert (bench.content(), bench.content(name)) == (ROWS, OTHER)
    first, second = bench.file(), bench.file(name)
    assert (first.state, first.url, first.revision_of) == (state, None, None)
    assert (second.state, second.url, second.revision_of) == ("STORED", None, NAME)
    assert (first.sha256, second.sha256) == tuple(hashlib.sha256(each).hexdigest() for each in (ROWS, OTHER))
    # It has a comparison of its own.
    assert name in {each.file_name for each in bench.store.comparisons.due("9999")}
    assert bench.store.recon.to_fetch() == []


def test_a_second_revision_and_the_bytes_of_an_earlier_one(bench: Bench) -> None:
    third = ROWS + ROWS
    outcomes = [renewed(bench, content) for content in (ROWS, OTHER, third, OTHER, ROWS, third)]
    assert [next(iter(each)) for each in outcomes] == ["stored", "revision", "revision", *["unchanged"] * 3]
    revisions = [file.name for file in bench.store.recon.files(KYC, DAY, DAY) if file.revision_of]
    assert [bench.content(name) for name in (NAME, *revisions)] == [ROWS, OTHER, third]


def test_a_revision_that_does_not_come_leaves_the_stored_file_alone(bench: Bench) -> None:
    renewed(bench, ROWS)
    became(bench.store.table, bench.file(), "COMPARED", {"counts": {"rows": 50}})
    with LoopbackServer(Reply(403)) as server:
        bench.clock.advance(seconds=60)
        assert bench.fetch(server) == {"expired": 1}
    file = bench.file()
    assert (file.state, file.counts, file.url) == ("COMPARED", {"rows": 50}, None)
    assert bench.content() == ROWS


@pytest.mark.parametrize(("state", "letters"), [("STORED", 0), ("COMPARED", 0), ("INVALID", 1)])
def test_only_for_a_file_that_is_not_to_be_believed_a_dead_renewal_is_a_letter(
    bench: Bench, state: str, letters: int
) -> None:
    """Nothing is lacking of a good file that is stored."""
    renewed(bench, ROWS)
    if state != "STORED":
        became(bench.store.table, bench.file(), state, {})
    bench.clock.advance(seconds=60)

    with LoopbackServer(Reply(403)) as server:
        assert bench.fetch(server) == {"expired": 1}

    assert [each["Subject"] for each in bench.topic.letters] == [f"Honnin: recon file missing: {KYC}"] * letters
    assert (bench.file().state, bench.file().url) == (state, None)


def by_hand(bench: Bench, state: str) -> None:
    """A person put the file into the bucket, and its comparison began (STORED) or ended so: no hash is noted."""
    writer = bench.bucket.writer(FILE, len(ROWS))
    writer.write(ROWS)
    writer.finish()
    file = ReconFile(KYC, DAY, NAME, "STORED")
    became(bench.store.table, file, state, {})


@pytest.mark.parametrize("state", ["STORED", "INVALID"])
def test_other_bytes_than_those_that_a_person_put_there_are_a_revision(bench: Bench, state: str) -> None:
    by_hand(bench, state)
    assert bench.file().sha256 is None

    assert renewed(bench, OTHER) == {"revision": 1}

    revision = f"{NAME}.rev-20260401T030100000Z"
    assert (bench.content(), bench.content(revision)) == (ROWS, OTHER)
    assert (bench.file().state, bench.file(revision).state) == (state, "STORED")
    assert bench.file(revision).revision_of == NAME
    assert bench.store.recon.to_fetch() == []


@pytest.mark.parametrize("state", ["STORED", "INVALID"])
def test_the_bytes_that_a_person_put_there_are_not_stored_again(bench: Bench, state: str) -> None:
    by_hand(bench, state)

    assert renewed(bench, ROWS) == {"unchanged": 1}

    assert (bench.keys(), bench.file().state, bench.file().url) == ([FILE.key], state, None)


def test_a_file_that_was_invalid_before_its_worker_could_say_that_it_is_stored_keeps_the_new_bytes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(self: Recon, file: ReconFile, **_: object) -> None:
        # S3 told of the file before.
        became(self._table, file, "INVALID", {})
        raise Killed

    with FileServer(ROWS) as server, monkeypatch.context() as patch:
        patch.setattr("honnin.store.recon.Recon.stored", dies)
        bench.announce(server.url)
        with pytest.raises(Killed):
            bench.run()

    assert renewed(bench, OTHER) == {"revision": 1}

    assert bench.content() == ROWS
    assert bench.content(f"{NAME}.rev-20260401T030100000Z") == OTHER


def test_a_revision_that_is_too_large_leaves_the_stored_file_alone(bench: Bench) -> None:
    renewed(bench, ROWS)
    bench.source = Source((), max_bytes=len(ROWS), loopback=True)
    assert renewed(bench, ROWS + b"x") == {"too_large": 1}
    assert (bench.file().state, bench.keys()) == ("STORED", [FILE.key])


# --- several workers, crashes ---


class MeanwhileBucket(ReconBucket):
    """Lets something happen when a file is about to be written."""

    def __init__(self, s3: "S3Client", meanwhile: Callable[[], object]) -> None:
        super().__init__("recon", s3)
        self._meanwhile = meanwhile

    def writer(self, file: FileId, largest: int) -> FileWriter:
        """The writer, and what happens meanwhile."""
        self._meanwhile()
        return super().writer(file, largest)


def test_two_workers_fetch_a_file_once(bench: Bench) -> None:
    with FileServer(ROWS) as server:
        bench.announce(server.url)
        others: list[dict[str, int]] = []
        bucket = MeanwhileBucket(bench.s3, lambda: others.append(bench.run()))
        assert bench.downloads(bucket).run(lambda: 40_000) == {"stored": 1}
        assert others == [{"claimed_elsewhere": 1}]
        assert len(server.received) == 1


def test_a_worker_whose_claim_ran_out_adopts_what_the_faster_one_stored(bench: Bench) -> None:
    """The claim ends with the worker's time; if it lives on all the same, nothing is written twice."""

    def another_run() -> None:
        bench.clock.advance(seconds=3600)
        others.append(bench.run())

    with FileServer(ROWS) as server:
        bench.announce(server.url)
        others: list[dict[str, int]] = []
        bucket = MeanwhileBucket(bench.s3, another_run)
        assert bench.downloads(bucket).run(lambda: 40_000) == {"adopted": 1}
    assert others == [{"stored": 1}]
    assert bench.keys() == [FILE.key]
    assert (bench.file().state, bench.file().url, bench.file().size) == ("STORED", None, len(ROWS))
    assert not bench.s3.list_multipart_uploads(Bucket="recon").get("Uploads")


class Killed(BaseException):
    """The execution environment is gone."""


def test_a_file_of_a_dead_worker_waits_until_its_claim_is_over(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: object, **__: object) -> None:
        raise Killed

    with FileServer(ROWS) as server:
        bench.announce(server.url)
        with monkeypatch.context() as patch:
            patch.setattr(Downloads, "_fetch", dies)
            patch.setattr("honnin.store.recon.Recon.release", dies)
            with pytest.raises(Killed):
                bench.run(seconds=90)
        assert bench.run() == {"claimed_elsewhere": 1}
        bench.clock.advance(seconds=59)
        assert bench.run() == {"claimed_elsewhere": 1}
        bench.clock.advance(seconds=2)
        assert bench.run() == {"stored": 1}


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("is_revision", [False, True], ids=["first", "revision"])
def test_a_worker_that_died_between_s3_and_the_table_is_made_good(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, is_revision: bool
) -> None:
    def dies(*_: object, **__: object) -> None:
        raise Killed

    if is_revision:
        renewed(bench, OTHER)
        bench.clock.advance(seconds=60)
    with FileServer(ROWS) as server:
        bench.announce(server.url)
        with monkeypatch.context() as patch:
            patch.setattr("honnin.store.recon.Recon.stored", dies)
            with pytest.raises(Killed):
                bench.run()
        assert bench.run() == {"adopted": 1}
        # What lies in the bucket is not fetched again; only a revision is: its hash tells that it is one.
        assert len(server.received) == (2 if is_revision else 1)
    [file] = [each for each in bench.store.recon.files(KYC, DAY, DAY) if bool(each.revision_of) == is_revision]
    assert (file.state, file.size, file.sha256) == ("STORED", ALL, hashlib.sha256(ROWS).hexdigest())
    assert (file.url, bench.content(file.name)) == (None, ROWS)
    assert bench.store.recon.to_fetch() == []
    assert not bench.s3.list_multipart_uploads(Bucket="recon").get("Uploads")


@pytest.mark.parametrize("state", ["COMPARED", "INVALID"])
def test_a_comparison_that_was_faster_than_the_table_keeps_its_state(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """S3 tells of the file before this function does."""
    stored = Recon.stored

    def compared_meanwhile(self: Recon, file: ReconFile, **facts: Any) -> None:
        became(self._table, file, state, {"counts": {"rows": 50}})
        stored(self, file, **facts)

    monkeypatch.setattr("honnin.store.recon.Recon.stored", compared_meanwhile)
    with FileServer(ROWS) as server:
        assert bench.fetch(server) == {"stored": 1}
    file = bench.file()
    assert (file.state, file.counts, file.url) == (state, {"rows": 50}, None)
    assert (file.sha256, file.size) == (hashlib.sha256(ROWS).hexdigest(), ALL)


# --- several files ---


def test_the_oldest_deadline_is_fetched_first(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_FILES_AT_ONCE", 1)
    with FileServer(ROWS) as server:
        for name, late_s in (("b", 600), ("d", 0), ("a", 3600), ("c", 60)):
            bench.announce(server.url, f"{name}.csv", late_s=late_s)
        assert bench.run() == {"stored": 4}
        assert [request.path[1] for request in server.received] == ["a", "b", "c", "d"]


def test_several_files_come_at_once(bench: Bench) -> None:
    """Each of four answers waits for the other three."""

    class Together(FileServer):
        def reply_to(self, request: Received) -> Reply:
            while len(self.received) < 4 and not self.stopping.wait(0.01):
                pass
            return super().reply_to(request)

    with Together(ROWS) as server:
        for name in "abcd":
            bench.announce(server.url, f"{name}.csv")
        assert bench.run() == {"stored": 4}


def test_one_file_that_fails_does_not_stop_the_others(bench: Bench) -> None:
    class Mixed(FileServer):
        def reply_to(self, request: Received) -> Reply:
            bad = {"/a": Reply(500), "/b": Reply(403), "/c": Reply(200, b"x" * 10, says_length=10**9)}
            return bad.get(request.path[:2]) or super().reply_to(request)

    with Mixed(ROWS) as server:
        for name in "abcde":
            bench.announce(server.url, f"{name}.csv")
        bench.announce("http://169.254.169.254", "f.csv")
        assert bench.run() == {"failed": 1, "expired": 1, "too_large": 1, "stored": 2, "refused": 1}
    assert len(bench.topic.letters) == 2


# --- errors of ours and of AWS ---


def aws_error(*_: object, **__: object) -> None:
    answer: Any = {"Error": {"Code": "InternalError", "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": 500}}
    raise ClientError(answer, "a call")


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("call", ["create_multipart_upload", "upload_part"])
def test_an_error_of_s3_surfaces_when_all_others_are_done(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    with FileServer(ROWS) as server, FileServer(b"small") as small:
        bench.announce(server.url)
        bench.announce(small.url, "small.csv", late_s=-1)
        with monkeypatch.context() as patch:
            patch.setattr(bench.s3, call, aws_error)
            with pytest.raises(ClientError):
                bench.run()
        assert bench.file("small.csv").state == "STORED"
        file = bench.file()
        assert (file.state, file.reason) == ("ANNOUNCED", "")
        assert "claimed_until" not in bench.item()
        assert not bench.s3.list_multipart_uploads(Bucket="recon").get("Uploads")
        assert bench.run() == {"stored": 1}
    assert bench.content() == ROWS


@pytest.mark.usefixtures("small_parts")
def test_an_upload_that_cannot_be_completed_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with FileServer(ROWS) as server:
        with monkeypatch.context() as patch:
            patch.setattr(bench.s3, "complete_multipart_upload", aws_error)
            with pytest.raises(ClientError):
                bench.fetch(server)
        assert bench.is_clean()


def test_an_error_of_sns_surfaces_and_the_next_run_tells(bench: Bench) -> None:
    bench.topic.failures.append(RuntimeError("no SNS"))
    with LoopbackServer(Reply(403)) as server:
        bench.announce(server.url)
        with pytest.raises(RuntimeError, match="no SNS"):
            bench.run()
        assert bench.file().state == "ANNOUNCED"
        bench.run()
    assert bench.file().state == "EXPIRED"
    assert len(bench.topic.letters) == 1


# --- what is written down ---


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, ROWS),
        Reply(403),
        Reply(500),
        Reply(302, b"", {"Location": "http://169.254.169.254/?signature=very-secret"}),
        Reply(instead="reset"),
        Reply(200, ROWS, short_by=9),
        Reply(200, ROWS, {"Bad\x00Header very-secret": "x"}, close=True),
        Reply(200, b"x" * 10, says_length=10**9),
    ],
    ids=["stored", "403", "500", "redirect", "reset", "short", "header", "large"],
)
def test_the_query_of_a_url_is_in_no_log_line(
    bench: Bench,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    reply: Reply,
) -> None:
    caplog.set_level("INFO")
    with LoopbackServer(reply) as server:
        bench.fetch(server)
    out, err = capsys.readouterr()
    written = out + err + caplog.text + str(bench.topic.letters)
    assert "recon download done" in written
    assert "very-secret" not in written
    assert "signature" not in written
    assert server.url not in written
    assert "very-secret" not in (bench.file().reason or "")


def test_a_run_tells_how_its_files_ended(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    with FileServer(ROWS) as server:
        bench.fetch(server)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [stored] = [line for line in lines if line.get("message") == "recon file stored"]
    assert (stored["file_type"], stored["day"], stored["file_name"], stored["size"]) == (KYC, DAY, NAME, ALL)
    [done] = [line for line in lines if line.get("message") == "recon download done"]
    assert done["outcomes"] == {"stored": 1}
