"""`honnin.paypay.selfie`: an image of at most 10 MiB, in time, and nothing else."""

import time
from collections.abc import Iterator

import pytest

from honnin.errors import FileNotFetchedError, UrlRefusedError
from honnin.paypay import selfie
from honnin.paypay.selfie import MAX_BYTES, Selfies
from tests.fakes import LoopbackServer, Reply

PNG = b"\x89PNG\r\n\x1a\n"
LOCAL = Selfies((), loopback=True)


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(Reply(200, PNG, {"Content-Type": "image/png"})) as made:
        yield made


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("image/png", "image/png"),
        ("image/jpeg", "image/jpeg"),
        ("image/webp", "image/webp"),
        ("image/heic", "image/heic"),
        ("IMAGE/PNG; charset=binary", "image/png"),
    ],
)
def test_an_image_comes_with_its_type(server: LoopbackServer, header: str, kind: str) -> None:
    server.replies[0] = Reply(200, PNG, {"Content-Type": header})

    assert LOCAL.fetch(server.url + "/x.png?signature=1") == (PNG, kind)


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize(
    "header", ["", "text/html", "image/svg+xml", "application/octet-stream", "image/", "image/pngx"]
)
def test_what_is_no_image_is_refused(server: LoopbackServer, header: str) -> None:
    server.replies[0] = Reply(200, b"<svg/>", {"Content-Type": header} if header else {})
    with pytest.raises(FileNotFetchedError, match="not an image"):
        LOCAL.fetch(server.url)


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_eleven_mebibytes_are_too_large(server: LoopbackServer) -> None:
    server.replies[0] = Reply(200, bytes(11 * 1024 * 1024), {"Content-Type": "image/png"})
    with pytest.raises(FileNotFetchedError, match="larger"):
        LOCAL.fetch(server.url)


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_ten_mebibytes_are_not(server: LoopbackServer) -> None:
    server.replies[0] = Reply(200, bytes(MAX_BYTES), {"Content-Type": "image/png"})

    assert len(LOCAL.fetch(server.url)[0]) == 10 * 1024 * 1024


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_slow_image_is_given_up(server: LoopbackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selfie, "_TOTAL_S", 0.4)
    server.replies[0] = Reply(200, PNG * 50, {"Content-Type": "image/png"}, drip_s=0.05)
    begun = time.monotonic()
    with pytest.raises(FileNotFetchedError):
        LOCAL.fetch(server.url)

    assert time.monotonic() - begun < 1.5


@pytest.mark.parametrize("url", ["https://evil.example/x.png", "http://127.0.0.1:9/x.png", "https://127.0.0.1/x.png"])
def test_an_address_off_the_list_is_not_asked(url: str) -> None:
    with pytest.raises(UrlRefusedError):
        Selfies((".paypay.ne.jp",)).fetch(url)
