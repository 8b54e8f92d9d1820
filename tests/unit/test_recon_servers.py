"""What servers do, byte by byte, and what follows: the file, or "not yet" with its reason. Real sockets."""

import gzip
import threading
import time
import zlib
from collections.abc import Iterator

import pytest

from honnin.recon import transfer
from honnin.recon.transfer import Source
from honnin.store import Notification
from honnin.wording import in_japanese
from tests.fakes import FileServer, RawServer
from tests.fakes.download_bench import NAME, ROWS, DownloadBench
from tests.fakes.memory import memory_aws

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

LENGTH = b"Content-Length: %d\r\n" % len(ROWS)
CHUNKED = b"Transfer-Encoding: chunked\r\n"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[DownloadBench]:
    monkeypatch.setattr(transfer, "_READ_TIMEOUT_S", 0.5)
    with memory_aws():
        yield DownloadBench()


def answer(*headers: bytes, body: bytes = ROWS, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return status + b"\r\n" + b"".join(headers) + b"\r\n" + body


def chunks(body: bytes = ROWS, size: int = 700, extension: bytes = b"", trailers: bytes = b"") -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x%b\r\n%b\r\n" % (len(each), extension, each) for each in parts) + b"0\r\n" + trailers + b"\r\n"


def raw_deflate(body: bytes) -> bytes:
    made = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return made.compress(body) + made.flush()


PACKED = gzip.compress(ROWS)
HALF = len(ROWS) // 2

# What the server sends -> it is the file.
TAKEN = {
    "a length": answer(LENGTH),
    "a length, more behind it": answer(LENGTH, body=ROWS + b"x" * 999),
    "the length twice": answer(LENGTH, LENGTH),
    "the length twice in a line": answer(b"Content-Length: %d, %d\r\n" % (len(ROWS), len(ROWS))),
    "a padded length": answer(b"Content-Length:   %d  \r\n" % len(ROWS)),
    "chunks": answer(CHUNKED, body=chunks()),
    "chunks with a length": answer(LENGTH, CHUNKED, body=chunks()),
    "chunks with a wrong length": answer(b"Content-Length: 3\r\n", CHUNKED, body=chunks()),
    "chunks of two bytes": answer(CHUNKED, body=chunks(size=2)),
    "chunks with extensions": answer(CHUNKED, body=chunks(extension=b';a="b"')),
    "trailers": answer(CHUNKED, body=chunks(trailers=b"X-Checksum: 1\r\nX-More: 2\r\n")),
    "Chunked in capitals": answer(b"Transfer-Encoding: Chunked\r\n", body=chunks()),
    "no length, HTTP/1.1": answer(b"Connection: close\r\n"),
    "no length, HTTP/1.0": answer(status=b"HTTP/1.0 200 OK"),
    "a length, HTTP/1.0": answer(LENGTH, status=b"HTTP/1.0 200 OK"),
    "no reason phrase": answer(LENGTH, status=b"HTTP/1.1 200"),
    "LF only": answer(LENGTH, body=b"").replace(b"\r\n", b"\n") + ROWS,
    "100 Continue first": b"HTTP/1.1 100 Continue\r\n\r\n" + answer(LENGTH),
    "103 Early Hints first": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 3 + answer(LENGTH),
    "coding UTF-8": answer(LENGTH, b"Content-Encoding: UTF-8\r\n"),
    "coding none": answer(LENGTH, b"Content-Encoding: none\r\n"),
    "coding identity": answer(LENGTH, b"Content-Encoding: identity\r\n"),
    "coding aws-chunked": answer(LENGTH, b"Content-Encoding: aws-chunked\r\n"),
    "coding binary": answer(LENGTH, b"Content-Encoding: binary\r\n"),
    "coding 8bit": answer(LENGTH, b"Content-Encoding: 8bit\r\n"),
    "an empty coding": answer(LENGTH, b"Content-Encoding: \r\n"),
    "coding gzip over plain bytes": answer(LENGTH, b"Content-Encoding: gzip\r\n"),
    "a stored gzip": answer(b"Content-Length: %d\r\n" % len(PACKED), body=PACKED),
    "coding gzip": answer(b"Content-Length: %d\r\nContent-Encoding: gzip\r\n" % len(PACKED), body=PACKED),
    "coding x-gzip in chunks": answer(CHUNKED, b"Content-Encoding: x-gzip\r\n", body=chunks(PACKED, 7)),
    "coding aws-chunked, gzip": answer(b"Content-Encoding: aws-chunked,gzip\r\n", CHUNKED, body=chunks(PACKED)),
    "gzip as a transfer coding": answer(b"Transfer-Encoding: gzip, chunked\r\n", body=chunks(PACKED, 50)),
    "gzip in two members": answer(CHUNKED, body=chunks(gzip.compress(ROWS[:HALF]) + gzip.compress(ROWS[HALF:]), 11)),
    "gzip with padding": answer(CHUNKED, body=chunks(PACKED + b"\0" * 40, 11)),
    "coding deflate": answer(CHUNKED, b"Content-Encoding: deflate\r\n", body=chunks(zlib.compress(ROWS), 9)),
    "coding deflate without header": answer(CHUNKED, b"Content-Encoding: deflate\r\n", body=chunks(raw_deflate(ROWS))),
    "coding deflate over plain bytes": answer(LENGTH, b"Content-Encoding: deflate\r\n"),
    "a stored gzip, packed again": answer(
        CHUNKED, b"Content-Encoding: gzip\r\n", body=chunks(gzip.compress(PACKED), 9)
    ),
    "gzip on both ways": answer(
        b"Content-Encoding: gzip\r\nTransfer-Encoding: gzip, chunked\r\n", body=chunks(gzip.compress(PACKED))
    ),
    "a stored gzip, deflated": answer(CHUNKED, b"Content-Encoding: deflate\r\n", body=chunks(zlib.compress(PACKED), 9)),
    "the last chunk, and the end": answer(CHUNKED, body=chunks()[:-2]),
    "203, by a proxy": answer(LENGTH, status=b"HTTP/1.1 203 Non-Authoritative Information"),
    "any content type": answer(LENGTH, b"Content-Type: text/html\r\n"),
    "many headers": answer(LENGTH, b"".join(b"X-%d: y\r\n" % number for number in range(60))),
}

# What the server sends -> nothing yet, and why.
NOT_YET = {
    "404": (answer(b"Content-Length: 0\r\n", status=b"HTTP/1.1 404 Not Found", body=b""), "HTTP 404"),
    "403": (answer(b"Content-Length: 0\r\n", status=b"HTTP/1.1 403 Forbidden", body=b""), "HTTP 403"),
    "410": (answer(b"Content-Length: 0\r\n", status=b"HTTP/1.1 410 Gone", body=b""), "HTTP 410"),
    "401": (answer(b"Content-Length: 0\r\n", status=b"HTTP/1.1 401 No", body=b""), "HTTP 401"),
    "204": (answer(status=b"HTTP/1.1 204 No Content", body=b""), "HTTP 204"),
    "304": (answer(status=b"HTTP/1.1 304 Not Modified", body=b""), "HTTP 304"),
    "429": (answer(status=b"HTTP/1.1 429 Too Many Requests", body=b""), "HTTP 429"),
    "500": (answer(status=b"HTTP/1.1 500 X", body=b""), "HTTP 500"),
    "503": (answer(b"Retry-After: 1\r\n", status=b"HTTP/1.1 503 X", body=b""), "HTTP 503"),
    "a redirect": (answer(b"Location: http://169.254.169.254/\r\n", status=b"HTTP/1.1 302 X", body=b""), "HTTP 302"),
    "two lengths": (answer(LENGTH, b"Content-Length: 9\r\n"), "no valid Content-Length"),
    "two lengths in a line": (answer(b"Content-Length: 1900, 9\r\n"), "no valid Content-Length"),
    "a length that is none": (answer(b"Content-Length: many\r\n"), "no valid Content-Length"),
    "a negative length": (answer(b"Content-Length: -1\r\n"), "no valid Content-Length"),
    "less than the length": (answer(LENGTH, body=ROWS[:-9]), "interrupted"),
    "no last chunk": (answer(CHUNKED, body=chunks()[:-5]), "failed"),
    "a chunk that is too long": (answer(CHUNKED, body=b"3\r\nabcd\r\n0\r\n\r\n"), "failed"),
    "a size that is none": (answer(CHUNKED, body=b"zz\r\nabcd\r\n"), "failed"),
    "a negative size": (answer(CHUNKED, body=b"-4\r\nabcd\r\n"), "failed"),
    "trailers without end": (answer(CHUNKED, body=chunks()[:-2] + b"X: y\r\n" * 500), "failed"),
    "half a gzip": (answer(CHUNKED, body=chunks(PACKED[:-9])), "incomplete"),
    "a broken gzip": (answer(CHUNKED, body=chunks(PACKED[:30] + b"x" * 30 + PACKED[60:])), "cannot be read"),
    "coding br": (answer(LENGTH, b"Content-Encoding: br\r\n"), "compressed with br"),
    "coding zstd": (answer(LENGTH, b"Content-Encoding: zstd\r\n"), "compressed with zstd"),
    "half a gzip in a gzip": (answer(CHUNKED, body=chunks(gzip.compress(PACKED[:-9]))), "incomplete"),
    "a gzip in a gzip that is too large": (
        answer(CHUNKED, body=chunks(gzip.compress(gzip.compress(bytes(200_000))))),
        "larger than 100000",
    ),
    "a gzip that is too large": (answer(CHUNKED, body=chunks(gzip.compress(bytes(200_000)))), "larger than 100000"),
    "too large": (answer(b"Content-Length: 100001\r\n"), "larger than 100000"),
    "another protocol": (b"220 mail.example.jp ESMTP\r\n", "failed"),
    "HTTP/2": (b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0d", "failed"),
    "nothing": (b"", "failed"),
    "half a head": (b"HTTP/1.1 200 OK\r\nContent-Le", "failed"),
    "a long header": (answer(LENGTH, b"X: " + b"y" * 70_000 + b"\r\n"), "failed"),
    "too many headers": (answer(LENGTH, b"X: y\r\n" * 500), "failed"),
    "only 100 Continue": (b"HTTP/1.1 100 Continue\r\n\r\n" * 50, "only interim responses"),
}


def test_there_are_enough_behaviours() -> None:
    assert len(TAKEN) + len(NOT_YET) >= 25


@pytest.mark.parametrize("name", TAKEN)
def test_the_file_is_taken(bench: DownloadBench, name: str) -> None:
    with RawServer(TAKEN[name]) as server:
        bench.notify(server.url)
        assert bench.run() == {"stored": 1}

    assert bench.content() == ROWS
    assert (bench.file().state, bench.file().size, bench.file().reason) == ("STORED", len(ROWS), None)
    # Where nothing says how long the file is, half of it looks like all of it: it is fetched once more.
    assert bench.to_fetch()[0].whole is not name.startswith("no length")
    assert bool(bench.file().warnings) is name.startswith("no length")


@pytest.mark.parametrize("name", TAKEN)
def test_the_pieces_in_which_it_comes_make_no_difference(bench: DownloadBench, name: str) -> None:
    raw = TAKEN[name]
    pieces = [raw[at : at + 331] for at in range(0, len(raw), 331)]
    with RawServer(*pieces, pause_s=0.001) as server:
        bench.notify(server.url)
        assert bench.run() == {"stored": 1}
    assert bench.content() == ROWS


@pytest.mark.parametrize("name", NOT_YET)
def test_a_failure_is_not_yet(bench: DownloadBench, name: str) -> None:
    sent, reason = NOT_YET[name]
    with RawServer(sent) as server:
        bench.notify(server.url)
        assert bench.run() == {"failed": 1}
    [found] = bench.to_fetch()
    assert bench.file().state == "ANNOUNCED"
    assert reason in (found.reason or "")
    assert bench.file().reason == found.reason
    assert "secret" not in (found.reason or "")
    assert bench.is_clean()
    # People read why in their own language.
    for kept in (bench.to_fetch()[0].reason, bench.file().reason):
        assert in_japanese(kept or "") not in ("", kept)

    # And five minutes later it is there.
    bench.clock.advance(seconds=300)
    with FileServer(ROWS) as good:
        bench.notify(good.url)
        assert bench.run()["stored"] == 1
    assert (bench.file().state, bench.file().reason) == ("STORED", None)


# What never ends: each byte is read under one deadline.

ENDLESS = {
    "100 Continue": (b"HTTP/1.1 100 Continue\r\n\r\n",),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "a status line": (b"HTTP/1.1 200 ", b"O"),
    "a body": (answer(b"Content-Length: 1000000000\r\n", body=b""), b"x"),
    "a body without length": (answer(body=b""), b"x"),
    "a line between chunks": (answer(CHUNKED, body=b"4\r\nabcd"), b" "),
    "a size of a chunk": (answer(CHUNKED, body=b""), b"0"),
    "chunks": (answer(CHUNKED, body=b""), b"1\r\nx\r\n"),
    "trailers": (answer(CHUNKED, body=b"0\r\n"), b"X: y\r\n"),
    "a trailer": (answer(CHUNKED, body=b"0\r\n"), b"X"),
}


@pytest.mark.parametrize("pause_s", [0, 0.03], ids=["flood", "drip"])
@pytest.mark.parametrize("name", ENDLESS)
def test_what_never_ends_ends_with_the_time_that_there_is(bench: DownloadBench, name: str, pause_s: float) -> None:
    before = set(threading.enumerate())
    bench.source = Source((), max_bytes=2 * 10**9, loopback=True)
    with RawServer(*ENDLESS[name], pause_s=pause_s, forever=True) as server:
        bench.notify(server.url)
        begun = time.monotonic()
        assert bench.run(seconds=30.4) == {"failed": 1}
        assert time.monotonic() - begun < 15
        ours = [each for each in threading.enumerate() if each.name == "outbound" and each not in before]
        for each in ours:
            each.join(5)
        assert not [each for each in ours if each.is_alive()]
    assert bench.is_clean()
    assert bench.to_fetch()[0].reason


@pytest.mark.parametrize("silent_after", [b"", b"HTTP/1.1 200 OK\r\n", answer(LENGTH, body=ROWS[:9])])
def test_a_server_that_falls_silent_does_not_hold_its_place(
    bench: DownloadBench, monkeypatch: pytest.MonkeyPatch, silent_after: bytes
) -> None:
    monkeypatch.setattr(transfer, "_READ_TIMEOUT_S", 0.1)
    with RawServer(silent_after, pause_s=30) as server:
        bench.notify(server.url)
        begun = time.monotonic()
        assert bench.run(seconds=300) == {"failed": 1}
        assert time.monotonic() - begun < 20
    assert bench.to_fetch()[0].reason == "the server stopped sending"


def test_a_transfer_without_progress_loses_its_place(bench: DownloadBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("honnin.remote_file._PROGRESS_S", 0.15)
    with RawServer(answer(b"Content-Length: 90000\r\n", body=b""), b"x", pause_s=0.02, forever=True) as server:
        bench.notify(server.url)
        begun = time.monotonic()
        assert bench.run(seconds=300) == {"failed": 1}
        assert time.monotonic() - begun < 20
    assert bench.to_fetch()[0].reason == "the transfer made no progress"


# What is sent: the URL as it came.


@pytest.mark.parametrize(
    "target",
    [
        f"/files/{NAME}?signature=a%2fb",
        f"/%7euser/{NAME}?X=%2B%2b",
        f"/{NAME}?",
        f"/./a/../b/{NAME}?x=/../",
        f"//a///{NAME}",
        f"/a%20b/{NAME}?q=a+b&q=&&=",
        f"/{NAME};v=1?a='b'(c)*!~[x]",
        f"/{NAME}?a={{b}}|c^d`e<f>",
        "?only=query",
        "",
        f"/{NAME}?a=%zz&b=%",
        f"/{NAME}?a=b?c=d",
    ],
)
def test_the_request_target_goes_out_as_it_came(bench: DownloadBench, target: str) -> None:
    with RawServer(answer(LENGTH)) as server:
        url = server.url + target
        bench.store.notifications.record(notification(bench, url + "#fragment"))
        assert bench.run() == {"stored": 1}
    sent = server.requests[0].split(b"\r\n")
    expected = target if target.startswith("/") else f"/{target}"
    assert sent[0] == f"GET {expected} HTTP/1.1".encode()
    assert f"Host: {server.url.removeprefix('http://')}".encode() in sent


def test_what_is_not_ascii_is_encoded_and_nothing_else(bench: DownloadBench) -> None:
    with RawServer(answer(LENGTH)) as server:
        bench.store.notifications.record(notification(bench, f"{server.url}/本/%7e?"))
        assert bench.run() == {"stored": 1}
    assert server.requests[0].startswith(b"GET /%E6%9C%AC/%7e? HTTP/1.1\r\n")


def notification(bench: DownloadBench, url: str) -> Notification:
    return Notification("kyc_passport_sync_recon", "2026-03-31", NAME, url, "2026-04-01T03:00:00.000Z")
