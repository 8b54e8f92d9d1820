"""`honnin.recon.download`: one rule for every URL, on a bucket in memory and servers on the loopback interface."""

import gzip
import hashlib
import json
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from honnin.http_client import Deadline
from honnin.recon import bucket as bucket_module
from honnin.recon import download, transfer
from honnin.recon.bucket import FileId, FileWriter, ReconBucket
from honnin.recon.download import Downloads
from honnin.recon.transfer import Source
from honnin.store import ReconFile
from honnin.times import utc_text
from tests.fakes import FileServer, LoopbackServer, RawServer, Received, Reply
from tests.fakes.counts import counted
from tests.fakes.download_bench import DAY, KYC, NAME, RISK, ROWS, DownloadBench
from tests.fakes.memory import memory_aws
from tests.fakes.recon_file import became

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

FILE = FileId(KYC, DAY, NAME)
OTHER = ROWS.replace(b"0\r\n", b"a\r\n")
STORED_AGAIN = f"{NAME}.rev-20260401T030100000Z"


@pytest.fixture
def bench() -> Iterator[DownloadBench]:
    with memory_aws():
        yield DownloadBench()


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> int:
    """Parts of 200 bytes, and an S3 that takes them: a file of some rows is a multipart upload."""
    monkeypatch.setattr(bucket_module, "_LEAST_PART_BYTES", 200)
    monkeypatch.setattr("chaos.s3._LEAST_PART_BYTES", 1)
    monkeypatch.setattr("honnin.remote_file._CHUNK_BYTES", 100)
    return 200


def metrics(output: str) -> list[str]:
    return list(counted(output).elements())


# --- a file that comes as it should ---


@pytest.mark.parametrize("content", [b"", b"userAuthorizationId\r\n", ROWS], ids=["empty", "header", "rows"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_file_is_stored(bench: DownloadBench, content: bytes, framing: Any) -> None:
    with FileServer(content) as server:
        server.framing = framing
        assert bench.fetch(server) == {"stored": 1}

    assert bench.content() == content
    assert bench.keys() == [f"recon/{KYC}/2026/03/31/{NAME}"]
    file = bench.file()
    assert (file.state, file.size, file.sha256) == ("STORED", len(content), hashlib.sha256(content).hexdigest())
    assert (file.stored_at, file.reason, file.warnings) == ("2026-04-01T03:00:00.000Z", None, ())
    assert bench.topic.mails == []


@pytest.mark.usefixtures("small_parts")
def test_a_large_file_goes_up_in_parts(bench: DownloadBench) -> None:
    with FileServer(ROWS) as server:
        assert bench.fetch(server) == {"stored": 1}

    stored = bench.s3.head_object(Bucket="recon", Key=FILE.key)
    assert stored["ETag"].strip('"').endswith(f"-{len(ROWS) // 200 + 1}")
    assert bench.content() == ROWS
    assert (bench.file().size, bench.file().sha256) == (len(ROWS), hashlib.sha256(ROWS).hexdigest())


def test_what_is_asked_for_is_the_plain_file_and_nothing_else(bench: DownloadBench) -> None:
    with FileServer(ROWS) as server:
        bench.fetch(server)
    [request] = server.received
    assert (request.method, request.path) == ("GET", f"/{NAME}?signature=very-secret")
    assert request.headers["accept-encoding"] == "identity"
    assert not {"authorization", "cookie", "range", "if-range"} & request.headers.keys()


def test_without_a_notification_nothing_happens(bench: DownloadBench) -> None:
    assert bench.run() == {}


def test_the_facts_by_which_a_file_is_judged_are_those_of_the_moment_when_it_was_stored(bench: DownloadBench) -> None:
    with FileServer(ROWS) as server:
        bench.fetch(server)
        bench.own_ids = {"merchant_id": "another", "client_id": ""}
        bench.clock.advance(seconds=60)
        bench.notify(server.url, query="&again")
        bench.compare()
        bench.run()
    file = bench.file()
    assert (file.own_name, file.webhooks, file.received_at) == (True, False, "2026-04-01T03:00:00.000Z")


@pytest.mark.parametrize(
    ("name", "file_type", "warnings"),
    [
        (NAME, KYC, []),
        ("kyc_passport_8_20260331_20260331.csv", KYC, ["the merchant_id in the file name is not ours"]),
        (
            "kyc_passport_9_20260320_20260320.csv",
            KYC,
            ["the day in the file name is 2026-03-20, but the notification was received on"],
        ),
        ("download", KYC, ["no day can be read from the file name"]),
        ("kyc_passport_9_20260331_20260331.csv", KYC, []),
        (
            NAME,
            RISK,
            ["the file name is that of a kyc_passport_sync_recon", "the client_id in the file name is not ours"],
        ),
        ("kyc_passport_risk_c-1_20260331_20260331.csv", RISK, []),
    ],
)
def test_what_does_not_fit_is_a_warning_and_the_file_is_stored(
    bench: DownloadBench, name: str, file_type: str, warnings: list[str]
) -> None:
    with FileServer(ROWS) as server:
        bench.notify(server.url, name, file_type=file_type)
        assert bench.run() == {"stored": 1}
    [file] = bench.store.recon.files(file_type, "2026-03-01", "2026-04-01")
    assert file.state == "STORED"
    assert file.foreign is any("is not ours" in each for each in warnings)
    assert [
        given for given, expected in zip(file.warnings, warnings, strict=True) if given.startswith(expected)
    ] or not warnings


# --- until its file has closed its day ---


def test_a_url_is_kept_until_its_file_has_closed_its_day(bench: DownloadBench) -> None:
    with FileServer(ROWS) as server:
        bench.fetch(server)
        assert bench.run() == {"waits_for_comparison": 1}
        bench.compare()
        assert bench.run() == {"done": 1}
        assert bench.run() == {}
        assert len(server.received) == 1
    assert "very-secret" not in str(bench.items())
    held = [each for each in bench.items() if {"due_at", "claimed_until"} & each.keys()]
    # The comparison ends by itself.
    assert all(each["pk"]["S"].startswith("COMPARISON#") for each in held)


@pytest.mark.parametrize("doubtful", [b"", b"OK", b"<html>maintenance</html>"])
def test_a_url_that_gave_what_proves_nothing_is_tried_until_its_two_hours_end(
    bench: DownloadBench, doubtful: bytes
) -> None:
    with FileServer(*[doubtful] * 3, ROWS) as server:
        assert bench.fetch(server) == {"stored": 1}
        bench.compare("the file is empty")
        bench.clock.advance(seconds=300)
        assert bench.run() == {"unchanged": 1}
        assert bench.run() == {"unchanged": 1}
        bench.clock.advance(seconds=300)
        assert bench.run() == {"revision": 1}
        revision = f"{NAME}.rev-20260401T031000000Z"
        bench.compare(name=revision)
        assert bench.run() == {"done": 1}
    assert (bench.content(), bench.content(revision)) == (doubtful, ROWS)
    assert bench.file(revision).revision_of == NAME


def test_what_proves_nothing_to_the_end_is_left_as_it_is(bench: DownloadBench) -> None:
    with FileServer(b"") as server:
        bench.fetch(server)
        bench.compare("the file is empty")
        bench.clock.advance(seconds=7199)
        assert bench.run() == {"unchanged": 1}
        bench.clock.advance(seconds=1)
        assert bench.run() == {"over": 1}
    assert (bench.file().state, bench.file().doubt) == ("COMPARED", "the file is empty")
    assert bench.to_fetch() == []


def test_half_a_file_that_looked_whole_is_found_out(bench: DownloadBench) -> None:
    """Without a length nothing tells the end of a file from a connection that broke: it is fetched once more."""
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    with RawServer(head + ROWS[:900]) as server:
        assert bench_fetch(bench, server) == {"stored": 1}
        bench.compare()
        server.pieces = (head + ROWS,)
        bench.clock.advance(seconds=60)
        assert bench.run() == {"revision": 1}
        bench.compare(name=STORED_AGAIN)
        assert bench.run() == {"unchanged": 1}
        assert bench.run() == {}
    assert bench.content(STORED_AGAIN) == ROWS


def bench_fetch(bench: DownloadBench, server: RawServer) -> dict[str, int]:
    bench.notify(server.url)
    return bench.run()


# --- the address ---


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("https://recon.example.com", "not on the list"),
        ("https://169.254.169.254", "an IP address, not a name"),
        ("https://u@recon.paypay.ne.jp", "credentials"),
        ("https://recon.paypay.ne.jp:8443", "a port other than 443"),
        ("http://recon.paypay.ne.jp", "not https"),
        ("ftp://recon.paypay.ne.jp", "not https"),
        ("https://[::1", "cannot be read"),
        ("nothing", "not https"),
    ],
)
def test_a_url_that_breaks_a_rule_is_told_to_people_at_once_and_tried_on(
    bench: DownloadBench, capsys: pytest.CaptureFixture[str], host: str, reason: str
) -> None:
    bench.notify(host)
    assert bench.run() == {"failed": 1}
    [found] = bench.to_fetch()
    assert reason in (found.reason or "")
    assert bench.file(found.file_name).state == "ANNOUNCED"
    assert bench.is_clean()
    [mail] = bench.topic.mails
    assert reason in mail["Message"]
    assert "very-secret" not in str(mail)
    assert metrics(capsys.readouterr().out) == ["ReconFetchFailed", "ReconFileRefused"]


def test_the_mail_names_the_host_and_a_mended_list_still_gets_the_file(bench: DownloadBench) -> None:
    bench.notify("https://files.example.net")
    bench.run()
    [mail] = bench.topic.mails
    assert "files.example.net: the host is not on the list of allowed hosts" in mail["Message"]
    assert "(→ 14:00 JST)" in mail["Message"]

    # A person adds the host to the list: here it is the switch for the loopback interface.
    with FileServer(ROWS) as server:
        bench.notify(server.url, "b_20260331.csv")
        bench.source = Source((), 100_000)
        assert bench.run() == {"failed": 2}
        bench.source = Source((), 100_000, loopback=True)
        bench.clock.advance(seconds=7000)
        assert bench.run() == {"failed": 1, "stored": 1}


def test_an_allowed_name_that_leads_to_loopback_gets_no_byte_and_is_not_lost(
    bench: DownloadBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FileServer(ROWS) as server:
        port = int(server.url.rpartition(":")[2])

        def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        bench.notify("https://recon.paypay.ne.jp")
        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        assert bench.run() == {"failed": 1}
        assert server.received == []
    assert bench.file().state == "ANNOUNCED"
    assert bench.file().reason == "the IP address of the host is not public"
    assert bench.is_clean()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(bench: DownloadBench, status: int) -> None:
    with LoopbackServer(Reply()) as elsewhere, LoopbackServer() as server:
        server.replies[0] = Reply(status, b"", {"Location": f"{elsewhere.url}/latest/meta-data/"})
        assert bench.fetch(server) == {"failed": 1}
        assert elsewhere.received == []
        assert {request.path.partition("?")[0] for request in server.received} == {f"/{NAME}"}
    assert bench.is_clean()
    assert bench.file().reason == f"the response was HTTP {status}"


# --- how much ---


def test_the_cap_is_exact(bench: DownloadBench) -> None:
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
        pytest.param(Reply(200, ROWS, framing="close", forever=True), id="no end at all"),
        pytest.param(Reply(200, ROWS, says_length=3 * 2**30, forever=True), id="3 GiB"),
        pytest.param(Reply(200, ROWS, says_length=10**30, forever=True), id="more than there is"),
    ],
)
def test_a_file_over_the_cap_is_given_up_and_nothing_of_it_kept(bench: DownloadBench, reply: Reply) -> None:
    """Not yet: the next answer may be the file, and a person may raise the cap."""
    bench.source = Source((), max_bytes=len(ROWS) - 1, loopback=True)
    with LoopbackServer(reply) as server:
        assert bench.fetch(server) == {"failed": 1}
        assert len(server.received) == 1
    assert bench.is_clean()
    file = bench.file()
    assert (file.state, file.sha256) == ("ANNOUNCED", None)
    assert file.reason == f"the file is larger than {len(ROWS) - 1} bytes"


# --- every failure is "not yet", until two hours after the notification came ---


@pytest.mark.parametrize("reply", [Reply(403), Reply(404), Reply(410), Reply(500), Reply(401), Reply(instead="reset")])
@pytest.mark.parametrize("ago_s", [0, 3600, 7199])
def test_a_failure_is_tried_again(bench: DownloadBench, reply: Reply, ago_s: float) -> None:
    with FileServer(ROWS) as good, LoopbackServer(reply) as server:
        bench.notify(server.url, ago_s=ago_s)
        assert bench.run() == {"failed": 1}
        assert bench.file().state == "ANNOUNCED"
        assert bench.file().reason
        assert not [each for each in bench.items() if "claimed_until" in each]
        server.reply_to = good.reply_to  # type: ignore[method-assign]  # it is up again
        assert bench.run() == {"stored": 1}
    assert (bench.file().state, bench.file().reason) == ("STORED", None)


@pytest.mark.parametrize("asked_ago_s", [-(10**9), 0, 7201, 3 * 86400, 10**9])
def test_nothing_that_the_notification_says_of_itself_ends_a_file(bench: DownloadBench, asked_ago_s: int) -> None:
    asked_at = str(bench.clock().timestamp() - asked_ago_s)
    with LoopbackServer(Reply(503)) as server:
        bench.notify(server.url, asked_at=asked_at)
        [found] = bench.to_fetch()
        assert bench.run() == {"failed": 1}
        for _ in range(22):
            bench.clock.advance(seconds=300)
            asked = len(server.received)
            assert bench.run() == {"failed": 1}
            assert len(server.received) > asked
        bench.clock.advance(seconds=600)
        assert bench.run() == {"expired": 1}
        assert found.until == datetime(2026, 4, 1, 5, tzinfo=UTC)


def test_what_is_over_is_expired_with_its_last_reason(bench: DownloadBench, capsys: pytest.CaptureFixture[str]) -> None:
    with LoopbackServer(Reply(503)) as server:
        bench.fetch(server)
        bench.clock.advance(seconds=7200)
        capsys.readouterr()
        asked = len(server.received)
        assert bench.run() == {"expired": 1}
        assert len(server.received) == asked
    assert (bench.file().state, bench.file().reason) == ("EXPIRED", "the response was HTTP 503")
    assert metrics(capsys.readouterr().out) == ["ReconFileLost"]
    assert bench.to_fetch() == []
    assert "very-secret" not in str(bench.items())


@pytest.mark.parametrize("ago_s", [7200, 3 * 3600 - 1])
def test_one_that_nobody_has_tried_is_tried_once_after_its_time(bench: DownloadBench, ago_s: float) -> None:
    """PayPay may keep it longer than it says."""
    with FileServer(ROWS) as server, LoopbackServer(Reply(403)) as bad:
        bench.notify(server.url, ago_s=ago_s)
        bench.notify(bad.url, "other_20260331.csv", ago_s=ago_s)
        assert bench.run() == {"stored": 1, "expired": 1}
    assert bench.file("other_20260331.csv").reason == "the response was HTTP 403"


def test_three_hours_after_its_notification_it_ends_untried(bench: DownloadBench) -> None:
    with FileServer(ROWS) as server:
        bench.notify(server.url, ago_s=3 * 3600)
        assert bench.run() == {"expired": 1}
        assert server.connections == 0
    assert bench.file().reason == "no download was attempted in time"


def test_a_lost_file_is_fetched_when_its_notification_comes_again(bench: DownloadBench) -> None:
    with FileServer(ROWS) as good, LoopbackServer(Reply(403)) as server:
        bench.fetch(server)
        bench.clock.advance(seconds=7200)
        assert bench.run() == {"expired": 1}
        # The very same notification, days later.
        bench.clock.advance(days=3)
        server.reply_to = good.reply_to  # type: ignore[method-assign]
        assert bench.fetch(server) == {"stored": 1}
    assert (bench.file().state, bench.file().reason) == ("STORED", None)


def test_a_forged_url_neither_hides_nor_ends_the_true_one(bench: DownloadBench) -> None:
    with LoopbackServer(Reply(404)) as forged, FileServer(ROWS) as true:
        bench.notify(forged.url, ago_s=7000)
        bench.notify(true.url, ago_s=60)
        bench.notify(forged.url, query="&2")
        assert bench.run() == {"stored": 1, "failed": 2}
        bench.compare()
        bench.clock.advance(seconds=300)
        assert bench.run() == {"expired": 1, "done": 1, "failed": 1}
    assert bench.file().state == "COMPARED"


def test_a_url_that_was_renewed_while_the_old_one_failed_is_kept(bench: DownloadBench) -> None:
    class Renews(LoopbackServer):
        def reply_to(self, request: Received) -> Reply:
            bench.clock.advance(seconds=7200)
            bench.notify(self.url)
            return Reply(403)

    with Renews() as server:
        bench.notify(server.url)
        assert bench.run() == {"renewed": 1}
    assert bench.file().state == "ANNOUNCED"
    assert [each.received_at for each in bench.to_fetch()] == ["2026-04-01T05:00:00.000Z"]


# --- mails to people, and not too many ---


def test_people_are_told_after_half_an_hour_with_the_reason_and_the_host(bench: DownloadBench) -> None:
    with LoopbackServer(Reply(503)) as server:
        bench.notify(server.url)
        for _ in range(5):
            bench.run()
            bench.clock.advance(seconds=300)
        assert bench.topic.mails == []
        for _ in range(19):
            bench.clock.advance(seconds=300)
            bench.run()
    [mail] = bench.topic.mails
    assert f"{KYC} {DAY} {NAME}\n    127.0.0.1: the response was HTTP 503" in mail["Message"]
    assert "まだ取得できていません" in mail["Message"].split("---")[0]


def test_however_many_fail_there_is_a_mail_an_hour_at_most(bench: DownloadBench) -> None:
    for number in range(60):
        bench.notify(f"https://evil-{number}.example", f"dud-{number}_20260331.csv")
    for _ in range(12):
        bench.run()
        bench.clock.advance(seconds=300)
    assert len(bench.topic.mails) == 1
    assert "+40" in bench.topic.mails[0]["Message"]


def test_what_fails_alike_of_one_host_is_one_line(bench: DownloadBench) -> None:
    for number in range(60):
        bench.notify("https://evil.example", f"dud-{number}_20260331.csv")
    bench.notify("https://other.example", "dud_20260331.csv")
    bench.run()
    [mail] = bench.topic.mails
    assert mail["Message"].count(": the host is not on the list") == 2
    assert mail["Message"].count(": ホストが許可リストにない") == 2
    assert "(+59)\n    evil.example: " in mail["Message"]


def test_nobody_is_told_of_duds_on_a_day_that_is_closed(
    bench: DownloadBench, capsys: pytest.CaptureFixture[str]
) -> None:
    with FileServer(ROWS) as server, LoopbackServer(Reply(404)) as bad:
        bench.fetch(server)
        bench.compare()
        bench.run()
        capsys.readouterr()
        for number in range(5):
            bench.notify(bad.url, f"dud-{number}_20260331.csv")
            bench.notify("https://evil.example", f"evil-{number}_20260331.csv")
        bench.run()
        bench.clock.advance(seconds=3000)
        bench.run()
        bench.clock.advance(seconds=7200)
        assert bench.run() == {"expired": 10}
    assert bench.topic.mails == []
    assert metrics(capsys.readouterr().out) == []


def test_no_mail_says_that_a_file_cannot_be_fetched_which_is_there(
    bench: DownloadBench, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that proves nothing is reported by its comparison, and one that waits for its comparison may be good."""
    with FileServer(b"") as server, LoopbackServer(Reply(404)) as bad:
        bench.fetch(server)
        bench.notify(bad.url, "dud_20260331.csv")
        bench.clock.advance(seconds=1800)
        bench.run()
        assert (bench.topic.mails, metrics(capsys.readouterr().out)) == ([], [])
        bench.compare("the file is empty")
        bench.run()
        bench.clock.advance(seconds=1800)
        bench.run()
    [mail] = bench.topic.mails
    assert "dud_20260331.csv\n    127.0.0.1: the response was HTTP 404" in mail["Message"]
    assert NAME not in mail["Message"]
    assert metrics(capsys.readouterr().out) == ["ReconFetchFailed"] * 2


def test_an_error_of_sns_surfaces_and_the_next_run_tells(bench: DownloadBench) -> None:
    bench.topic.failures.append(RuntimeError("no SNS"))
    bench.notify("https://evil.example")
    with pytest.raises(RuntimeError, match="no SNS"):
        bench.run()
    assert bench.run() == {"failed": 1}
    assert len(bench.topic.mails) == 1


# --- nobody's slow server takes the others' time ---


@pytest.mark.parametrize("tried_before", [False, True], ids=["new", "tried"])
def test_slow_servers_do_not_keep_the_true_file_away(bench: DownloadBench, tried_before: bool) -> None:
    slow = b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n"
    with RawServer(slow, b"x" * 50, pause_s=0.05, forever=True) as bad, FileServer(ROWS) as good:
        for number in range(12):
            bench.notify(bad.url, f"slow-{number}_20260331.csv", ago_s=100)
        if tried_before:
            assert bench.run(seconds=30.5) == {"failed": 12}
        bench.notify(good.url)
        assert bench.run(seconds=31.5) == {"failed": 12, "stored": 1}


def test_urls_that_were_tried_do_not_starve_behind_new_ones(bench: DownloadBench) -> None:
    slow = b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n"
    with RawServer(slow, b"x" * 50, pause_s=0.05, forever=True) as bad, FileServer(ROWS) as good:
        good.breaks.extend([0] * 4)
        good.validator = ""
        assert bench.fetch(good) == {"failed": 1}
        for number in range(12):
            bench.notify(bad.url, f"slow-{number}_20260331.csv")
        assert bench.run(seconds=31.5) == {"failed": 12, "stored": 1}


def test_no_host_takes_all_places_at_once(bench: DownloadBench) -> None:
    most = 0

    class Counting(FileServer):
        active = 0

        def reply_to(self, request: Received) -> Reply:
            nonlocal most
            self.active += 1
            most = max(most, self.active)
            self.stopping.wait(0.05)
            self.active -= 1
            return super().reply_to(request)

    with Counting(ROWS) as server:
        for number in range(9):
            bench.notify(server.url, f"{number}_20260331.csv")
        assert bench.run() == {"stored": 9}
    assert most == download._PER_HOST


def test_no_file_is_begun_without_enough_time(bench: DownloadBench) -> None:
    with FileServer(ROWS) as server:
        assert bench.fetch(server, seconds=30) == {"no_time_left": 1}
        assert server.connections == 0
    assert not [each for each in bench.items() if "claimed_until" in each]


def test_one_file_that_fails_does_not_stop_the_others(bench: DownloadBench) -> None:
    class Mixed(FileServer):
        def reply_to(self, request: Received) -> Reply:
            bad = {"/a": Reply(500), "/b": Reply(403), "/c": Reply(200, b"x" * 10, says_length=10**9)}
            return bad.get(request.path[:2]) or super().reply_to(request)

    with Mixed(ROWS) as server:
        for name in "abcde":
            bench.notify(server.url, f"{name}.csv")
        bench.notify("http://169.254.169.254", "f.csv")
        assert bench.run() == {"failed": 4, "stored": 2}


# --- a transfer that breaks ---


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("validator", ["ETag", "Last-Modified"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("breaks", [[1], [700], [700, 1, 450], [len(ROWS) - 1], [0, 0, 100, 0]], ids=str)
def test_a_broken_transfer_goes_on_where_it_broke(
    bench: DownloadBench, breaks: list[int], framing: Any, validator: str
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
    assert bench.topic.mails == []


@pytest.mark.usefixtures("small_parts")
def test_a_server_that_ignores_range_sends_the_file_anew(bench: DownloadBench) -> None:
    with FileServer(ROWS, breaks=[700, 900]) as server:
        server.takes_ranges = False
        assert bench.fetch(server) == {"stored": 1}
    assert bench.content() == ROWS
    assert bench.file().sha256 == hashlib.sha256(ROWS).hexdigest()
    assert [request.headers.get("range") for request in server.received] == [None, "bytes=700-", "bytes=900-"]
    assert not bench.s3.list_multipart_uploads(Bucket="recon").get("Uploads")


@pytest.mark.usefixtures("small_parts")
def test_a_server_that_always_breaks_is_left_after_some_tries(bench: DownloadBench) -> None:
    with FileServer(ROWS, breaks=[700] * 50) as server:
        server.takes_ranges = False
        assert bench.fetch(server) == {"failed": 1}
        assert 2 <= len(server.received) <= 6
    assert bench.is_clean()
    assert bench.file().state == "ANNOUNCED"


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("validator", ["ETag", "Last-Modified"])
@pytest.mark.parametrize("changed", [OTHER, OTHER[:900], OTHER + OTHER], ids=["same size", "shorter", "longer"])
def test_bytes_that_changed_in_between_are_never_mixed(bench: DownloadBench, validator: str, changed: bytes) -> None:
    with FileServer(ROWS, changed, breaks=[700], validator=validator) as server:
        assert bench.fetch(server) == {"stored": 1}
    assert bench.content() == changed
    assert bench.file().sha256 == hashlib.sha256(changed).hexdigest()


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("changed", [OTHER, OTHER[:900], OTHER + OTHER], ids=["same size", "shorter", "longer"])
def test_without_validators_a_broken_transfer_begins_anew(bench: DownloadBench, changed: bytes) -> None:
    """RFC 9110 §15.3.7.3: parts may be combined only when they share a strong validator."""
    with FileServer(ROWS, changed, breaks=[700], validator="") as server:
        assert bench.fetch(server) == {"stored": 1}
    assert bench.content() == changed
    assert [request.headers.get("range") for request in server.received] == [None, None]


@pytest.mark.usefixtures("small_parts")
def test_a_weak_etag_is_no_reason_to_go_on(bench: DownloadBench) -> None:
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
def test_a_content_range_that_lies_never_spoils_the_file(bench: DownloadBench, lie: Reply) -> None:
    with Liar(lie) as server:
        assert bench.fetch(server) == {"stored": 1}
    assert bench.content() == ROWS
    assert (bench.file().size, bench.file().sha256) == (ALL, hashlib.sha256(ROWS).hexdigest())


@pytest.mark.usefixtures("small_parts")
def test_a_part_that_names_other_bytes_is_not_taken(bench: DownloadBench) -> None:
    """A server that does not know `If-Range` answers with a part of whatever it has now, and says so by its ETag."""
    lie = part(f"bytes 700-{ALL - 1}/{ALL}", OTHER[700:], headers={"ETag": '"other"'})
    with Liar(lie) as server:
        assert bench.fetch(server) == {"stored": 1}
    assert bench.content() == ROWS


@pytest.mark.usefixtures("small_parts")
def test_a_part_of_the_part_does_not_end_a_file_that_came_in_chunks(bench: DownloadBench) -> None:
    with Liar(part(f"bytes 700-799/{ALL}", ROWS[700:800]), framing="chunked") as server:
        assert bench.fetch(server) == {"stored": 1}
    assert bench.content() == ROWS


def test_a_part_that_nobody_asked_for_is_not_the_file(bench: DownloadBench) -> None:
    with LoopbackServer(part(f"bytes 0-99/{ALL}", ROWS[:100])) as server:
        assert bench.fetch(server) == {"failed": 1}
    assert bench.is_clean()


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_url_that_ends_in_the_middle_of_a_transfer_is_not_yet(bench: DownloadBench, status: int) -> None:
    with Liar(Reply(status, b"")) as server:
        assert bench.fetch(server) == {"failed": 1}
        assert len(server.received) == 2
    assert bench.is_clean()


@pytest.mark.usefixtures("small_parts")
def test_the_rest_of_a_file_may_not_go_over_the_cap(bench: DownloadBench) -> None:
    bench.source = Source((), max_bytes=1000, loopback=True)
    with Liar(part(f"bytes 700-1699/{ALL}", ROWS[700:1700]), framing="chunked") as server:
        assert bench.fetch(server) == {"failed": 1}
    assert bench.is_clean()


@pytest.mark.usefixtures("small_parts")
def test_a_transfer_that_stalls_is_resumed(bench: DownloadBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_READ_TIMEOUT_S", 0.2)

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
def test_a_compressed_file_is_resumed_by_the_bytes_that_were_sent(bench: DownloadBench) -> None:
    packed = gzip.compress(ROWS)
    with FileServer(packed, breaks=[20, 60]) as server:
        assert bench.fetch(server) == {"stored": 1}
        assert [each.headers.get("range") for each in server.received] == [None, "bytes=20-", "bytes=80-"]
    assert (bench.content(), bench.file().size) == (ROWS, len(ROWS))


# --- stored once, revisions beside it ---


def renewed(bench: DownloadBench, content: bytes) -> dict[str, int]:
    """The file's notification comes again, a minute later, with these bytes."""
    bench.clock.advance(seconds=60)
    with FileServer(content) as server:
        bench.notify(server.url)
        found = bench.run()
    for each in bench.to_fetch():  # the servers are gone
        bench.store.notifications.end(each, "")
    return found


@pytest.mark.usefixtures("small_parts")
def test_only_bytes_that_were_compared_are_unchanged(bench: DownloadBench) -> None:
    renewed(bench, ROWS)
    # Stored, and not compared yet: it still is to be.
    assert renewed(bench, ROWS) == {"waits_for_comparison": 1}
    assert bench.file().state == "STORED"
    bench.compare()
    assert renewed(bench, ROWS) == {"unchanged": 1}
    assert bench.keys() == [FILE.key]
    assert not bench.s3.list_multipart_uploads(Bucket="recon").get("Uploads")
    # A reason is only why a file is not compared.
    assert (bench.file().state, bench.file().reason) == ("COMPARED", None)
    assert bench.topic.mails == []


@pytest.mark.parametrize("is_compared", [False, True])
def test_other_bytes_are_kept_beside_it_as_a_revision(bench: DownloadBench, is_compared: bool) -> None:
    renewed(bench, ROWS)
    if is_compared:
        bench.compare()
    assert renewed(bench, OTHER) == {"revision": 1}

    name = f"{NAME}.rev-20260401T030200000Z"
    assert bench.keys() == [FILE.key, f"{FILE.key}.rev-20260401T030200000Z"]
    assert (bench.content(), bench.content(name)) == (ROWS, OTHER)
    first, second = bench.file(), bench.file(name)
    assert (first.state, first.revision_of) == ("COMPARED" if is_compared else "STORED", None)
    assert (second.state, second.revision_of) == ("STORED", NAME)
    assert (first.sha256, second.sha256) == tuple(hashlib.sha256(each).hexdigest() for each in (ROWS, OTHER))
    # It has a comparison of its own.
    assert {each.file_name for each in bench.store.comparisons.due("9999")} >= {name}


def test_a_second_revision_and_the_bytes_of_an_earlier_one(bench: DownloadBench) -> None:
    third = ROWS + ROWS
    outcomes: list[str] = []
    for content in (ROWS, OTHER, third, OTHER, ROWS, third):
        outcomes += renewed(bench, content)
        for each in bench.files():
            bench.compare(name=each.name)
    assert outcomes == ["stored", "revision", "revision", *["unchanged"] * 3]
    revisions = [file.name for file in bench.files() if file.revision_of]
    assert [bench.content(name) for name in (NAME, *revisions)] == [ROWS, OTHER, third]


def test_a_renewal_that_fails_leaves_the_stored_file_alone(bench: DownloadBench) -> None:
    renewed(bench, ROWS)
    bench.compare()
    with LoopbackServer(Reply(403)) as server:
        assert bench.fetch(server) == {"failed": 1}
        bench.clock.advance(seconds=7200)
        assert bench.run() == {"expired": 1}
    file = bench.file()
    assert (file.state, file.counts, file.reason) == ("COMPARED", {"rows": 50}, None)
    assert bench.content() == ROWS


def by_hand(bench: DownloadBench, state: str) -> None:
    """A person put the file into the bucket, and its comparison began (STORED) or ended so: no hash is noted."""
    writer = bench.bucket.writer(FILE, len(ROWS))
    writer.write(ROWS)
    writer.finish()
    became(bench.store.table, ReconFile(KYC, DAY, NAME, "STORED"), state, {})


def test_other_bytes_than_those_that_a_person_put_there_are_a_revision(bench: DownloadBench) -> None:
    by_hand(bench, "COMPARED")
    assert bench.file().sha256 is None

    assert renewed(bench, OTHER) == {"revision": 1}

    assert (bench.content(), bench.content(STORED_AGAIN)) == (ROWS, OTHER)
    assert bench.file(STORED_AGAIN).revision_of == NAME


def test_the_bytes_that_a_person_put_there_are_not_stored_again(bench: DownloadBench) -> None:
    by_hand(bench, "COMPARED")

    assert renewed(bench, ROWS) == {"unchanged": 1}

    assert (bench.keys(), bench.file().state) == ([FILE.key], "COMPARED")


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


def test_two_workers_fetch_a_file_once(bench: DownloadBench) -> None:
    with FileServer(ROWS) as server:
        bench.notify(server.url)
        others: list[dict[str, int]] = []
        bucket = MeanwhileBucket(bench.s3, lambda: others.append(bench.run()))
        assert bench.downloads(bucket).run(lambda: 40_000) == {"stored": 1}
        assert others == [{"claimed_elsewhere": 1}]
        assert len(server.received) == 1


def test_a_worker_whose_claim_ran_out_adopts_what_the_faster_one_stored(bench: DownloadBench) -> None:
    """The claim ends with the worker's time; if it lives on all the same, nothing is written twice."""

    def another_run() -> None:
        bench.clock.advance(seconds=3600)
        others.append(bench.run())

    with FileServer(ROWS) as server:
        bench.notify(server.url)
        others: list[dict[str, int]] = []
        bucket = MeanwhileBucket(bench.s3, another_run)
        assert bench.downloads(bucket).run(lambda: 40_000) == {"adopted": 1}
    assert others == [{"stored": 1}]
    assert bench.keys() == [FILE.key]
    assert (bench.file().state, bench.file().size) == ("STORED", len(ROWS))
    assert not bench.s3.list_multipart_uploads(Bucket="recon").get("Uploads")


def test_a_file_whose_run_was_killed_is_not_given_up_when_its_time_is_over(
    bench: DownloadBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lies in the bucket, and no other run came within its two hours."""

    class KilledError(Exception):
        pass

    def killed(*_: object, **__: object) -> None:
        raise KilledError

    with FileServer(ROWS) as server:
        bench.notify(server.url)
        with monkeypatch.context() as patch:
            patch.setattr(Downloads, "_record", killed)
            with pytest.raises(KilledError):
                bench.run()
    bench.clock.advance(seconds=2 * 3600 + 300)
    assert bench.run() == {"adopted": 1}
    assert (bench.file().state, bench.file().reason) == ("STORED", None)
    assert bench.run() == {"over": 1}
    assert bench.file().state == "STORED"


@pytest.mark.parametrize("newer_first", [True, False])
def test_a_file_counts_as_notified_when_the_notification_came_that_its_bytes_may_be_of(
    bench: DownloadBench, *, newer_first: bool
) -> None:
    """Two URLs of one file are fetched at once: whoever was read between the two notifications is read again."""
    with FileServer(ROWS) as older, FileServer(OTHER) as newer:
        bench.notify(older.url)
        bench.clock.advance(seconds=3600)
        at = bench.clock()
        bench.notify(newer.url)
        first, second = bench.to_fetch()
        if not newer_first:
            first, second = second, first
        downloads = bench.downloads(MeanwhileBucket(bench.s3, lambda: bench.downloads()._one(second, Deadline(40))))
        assert downloads._one(first, Deadline(40)).word == "adopted"
        stored_by = OTHER if newer_first else ROWS
        assert bench.content() == stored_by
        assert (bench.file().received_at == utc_text(at)) is newer_first
        # The other bytes are not lost: this URL is fetched once more.
        bench.compare()
        bench.clock.advance(seconds=300)
        assert bench.run()["revision"] == 1
    assert bench.file().sha256 == hashlib.sha256(stored_by).hexdigest()


def test_an_object_that_nobody_has_recorded_counts_for_the_newest_notification(bench: DownloadBench) -> None:
    """The run died that had fetched it by the newer one of two URLs."""
    bench.notify("https://a.paypay.ne.jp", query="&older")
    bench.clock.advance(seconds=3600)
    at = bench.clock()
    bench.notify("https://b.paypay.ne.jp", query="&newer")
    bench.s3.put_object(Bucket="recon", Key=FILE.key, Body=ROWS)
    assert bench.downloads()._one(bench.to_fetch()[0], Deadline(40)).word == "adopted"
    assert bench.file().received_at == utc_text(at)


class Killed(BaseException):
    """The execution environment is gone."""


def test_a_file_of_a_dead_worker_waits_until_its_claim_is_over(
    bench: DownloadBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object, **__: object) -> None:
        raise Killed

    with FileServer(ROWS) as server:
        bench.notify(server.url)
        with monkeypatch.context() as patch:
            patch.setattr(Downloads, "_fetch", dies)
            patch.setattr("honnin.store.notifications.Notifications.release", dies)
            with pytest.raises(Killed):
                bench.run(seconds=90)
        assert bench.run() == {"claimed_elsewhere": 1}
        bench.clock.advance(seconds=58)
        assert bench.run() == {"claimed_elsewhere": 1}
        bench.clock.advance(seconds=3)
        assert bench.run() == {"stored": 1}


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("is_revision", [False, True], ids=["first", "revision"])
@pytest.mark.parametrize("dies_in", ["recon.Recon.stored", "notifications.Notifications.gave"])
def test_a_worker_that_died_between_s3_and_the_table_is_made_good(
    bench: DownloadBench, monkeypatch: pytest.MonkeyPatch, dies_in: str, *, is_revision: bool
) -> None:
    def dies(*_: object, **__: object) -> None:
        raise Killed

    if is_revision:
        renewed(bench, OTHER)
        bench.compare()
        bench.clock.advance(seconds=60)
    with FileServer(ROWS) as server:
        bench.notify(server.url)
        with monkeypatch.context() as patch:
            patch.setattr(f"honnin.store.{dies_in}", dies)
            with pytest.raises(Killed):
                bench.run()
        bench.clock.advance(seconds=300)
        bench.run()
        stored = [file for file in bench.files() if file.sha256 == hashlib.sha256(ROWS).hexdigest()]
        for file in stored:
            bench.compare(name=file.name)
        bench.run()
        bench.run()
        assert bench.to_fetch() == []
    [file] = stored
    assert (file.size, bool(file.revision_of), bench.content(file.name)) == (ALL, is_revision, ROWS)
    assert not bench.s3.list_multipart_uploads(Bucket="recon").get("Uploads")


def test_a_comparison_that_was_faster_than_the_table_keeps_its_state(bench: DownloadBench) -> None:
    with FileServer(ROWS) as server:
        bench.notify(server.url)
        bucket = MeanwhileBucket(bench.s3, bench.compare)
        assert bench.downloads(bucket).run(lambda: 40_000) == {"stored": 1}
    file = bench.file()
    assert (file.state, file.counts) == ("COMPARED", {"rows": 50})
    assert (file.sha256, file.size) == (hashlib.sha256(ROWS).hexdigest(), ALL)


# --- errors of ours and of AWS ---


def aws_error(*_: object, **__: object) -> None:
    answer: Any = {"Error": {"Code": "InternalError", "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": 500}}
    raise ClientError(answer, "a call")


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("call", ["create_multipart_upload", "upload_part"])
def test_an_error_of_s3_surfaces_when_all_others_are_done(
    bench: DownloadBench, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    with FileServer(ROWS) as server, FileServer(b"small") as small:
        bench.notify(server.url)
        bench.notify(small.url, "small_20260331.csv")
        with monkeypatch.context() as patch:
            patch.setattr(bench.s3, call, aws_error)
            with pytest.raises(ClientError):
                bench.run()
        assert bench.file("small_20260331.csv").state == "STORED"
        file = bench.file()
        assert (file.state, file.reason) == ("ANNOUNCED", None)
        assert not [each for each in bench.items() if "claimed_until" in each]
        assert not bench.s3.list_multipart_uploads(Bucket="recon").get("Uploads")
        assert bench.run()["stored"] == 1
    assert bench.content() == ROWS


@pytest.mark.usefixtures("small_parts")
def test_an_upload_that_cannot_be_completed_is_given_up(bench: DownloadBench, monkeypatch: pytest.MonkeyPatch) -> None:
    with FileServer(ROWS) as server:
        with monkeypatch.context() as patch:
            patch.setattr(bench.s3, "complete_multipart_upload", aws_error)
            with pytest.raises(ClientError):
                bench.fetch(server)
        assert bench.is_clean()


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
    bench: DownloadBench,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    reply: Reply,
) -> None:
    caplog.set_level("INFO")
    with LoopbackServer(reply) as server:
        bench.fetch(server)
    out, err = capsys.readouterr()
    written = out + err + caplog.text + str(bench.topic.mails)
    assert "recon download done" in written
    assert "very-secret" not in written
    assert "signature" not in written
    assert "very-secret" not in (bench.file().reason or "")


def test_a_run_tells_how_its_files_ended(bench: DownloadBench, capsys: pytest.CaptureFixture[str]) -> None:
    with FileServer(ROWS) as server:
        bench.fetch(server)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [stored] = [line for line in lines if line.get("message") == "recon file stored"]
    assert (stored["file_type"], stored["day"], stored["file_name"], stored["size"]) == (KYC, DAY, NAME, ALL)
    [done] = [line for line in lines if line.get("message") == "recon download done"]
    assert done["outcomes"] == {"stored": 1}
