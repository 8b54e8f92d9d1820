"""`honnin.paypay.selfie`: an image of at most 10 MiB, in time, and nothing else."""

import gzip
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import pytest

from honnin.errors import FileNotFetchedError, FileTooLargeError, UrlRefusedError
from honnin.paypay import selfie
from honnin.paypay.selfie import MAX_BYTES, Selfies
from tests.fakes import LoopbackServer, Reply

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(range(256))
LOCAL = Selfies((), loopback=True)


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(Reply(200, PNG, {"Content-Type": "image/png"})) as made:
        yield made


def media(major: bytes, *others: bytes) -> bytes:
    """The beginning of an ISO base media file."""
    box = b"ftyp" + major + bytes(4) + b"".join(others)
    return (len(box) + 4).to_bytes(4) + box + bytes(60)


IMAGES = [
    (JPEG, "image/jpeg"),
    (b"\xff\xd8\xff\xe1" + bytes(60), "image/jpeg"),
    (PNG, "image/png"),
    (b"RIFF\x40\0\0\0WEBPVP8 " + bytes(60), "image/webp"),
    (media(b"heic", b"mif1", b"heic"), "image/heic"),
    (media(b"hevc"), "image/heic"),
    (media(b"mif1", b"mif1", b"heix"), "image/heic"),
    (media(b"mif1", b"mif1"), "image/heif"),
    (media(b"avif", b"mif1"), "image/avif"),
    (media(b"mif1", b"avif"), "image/avif"),
]

NO_IMAGES = [
    b"",
    b"<svg/>",
    b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    b"\xef\xbb\xbf<!doctype html>",
    b"GIF89a" + bytes(60),
    b"BM" + bytes(60),
    b"RIFF\x40\0\0\0WAVEfmt " + bytes(60),
    media(b"isom", b"avif"),
    media(b"qt  ", b"heic"),
    b"\xff\xd8",
    b"%PDF-1.7",
    b'{"message": "expired"}',
]


@pytest.mark.parametrize(("body", "kind"), IMAGES)
def test_the_first_bytes_say_what_it_is(body: bytes, kind: str) -> None:
    assert selfie.image(body) == (body, kind)


@pytest.mark.parametrize("body", NO_IMAGES)
@pytest.mark.parametrize("packed", [bytes, gzip.compress, zlib.compress])
def test_what_is_no_image_is_refused(body: bytes, packed: Callable[[bytes], bytes]) -> None:
    with pytest.raises(FileNotFetchedError, match="not an image"):
        selfie.image(packed(body), "deflate")


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize(
    "header",
    ["", "image/jpeg", "image/jpg", "binary/octet-stream", "application/octet-stream", "text/html", "IMAGE/PNG"],
)
def test_the_servers_word_for_it_does_not_matter(server: LoopbackServer, header: str) -> None:
    server.replies[0] = Reply(200, PNG, {"cOnTenT-tYPe": header} if header else {})

    assert LOCAL.fetch(server.url + "/x.jpg?signature=1") == (PNG, "image/png")


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_an_error_in_the_name_of_an_image_is_not_kept(server: LoopbackServer) -> None:
    server.replies[0] = Reply(200, NO_IMAGES[2], {"Content-Type": "image/jpeg"})
    with pytest.raises(FileNotFetchedError, match="not an image"):
        LOCAL.fetch(server.url)


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


ENCODED = [
    (gzip.compress(JPEG), "gzip"),
    (gzip.compress(JPEG), "GZIP"),
    (gzip.compress(JPEG), "x-gzip"),
    (gzip.compress(JPEG), ""),
    (gzip.compress(JPEG[:20]) + gzip.compress(JPEG[20:]), "gzip"),
    (zlib.compress(JPEG), "deflate"),
    (zlib.compress(JPEG, 0), "Deflate"),
    (raw_deflate(JPEG), "deflate"),
    (JPEG, "gzip"),
    (JPEG, "br"),
]


@pytest.mark.parametrize(("body", "encoding"), ENCODED)
def test_an_encoded_image_is_unpacked(body: bytes, encoding: str) -> None:
    assert selfie.image(body, encoding) == (JPEG, "image/jpeg")


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_an_encoded_image_over_the_wire(server: LoopbackServer) -> None:
    server.replies[0] = Reply(200, gzip.compress(JPEG), {"content-encoding": "gzip", "Content-Type": "image/jpeg"})

    assert LOCAL.fetch(server.url) == (JPEG, "image/jpeg")


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(gzip.compress(JPEG)[:-9], "gzip"), (zlib.compress(JPEG)[:-5], "deflate"), (b"\x1f\x8bnonsense", "gzip")],
)
def test_what_breaks_off_is_no_image(body: bytes, encoding: str) -> None:
    with pytest.raises(FileNotFetchedError):
        selfie.image(body, encoding)


@pytest.mark.parametrize(
    ("pack", "encoding"), [(gzip.compress, "gzip"), (zlib.compress, "deflate"), (raw_deflate, "deflate")]
)
def test_a_bomb_is_not_unpacked_beyond_the_cap(pack: Callable[[bytes], bytes], encoding: str) -> None:
    bomb = pack(PNG + bytes(200 * 1024 * 1024))
    tracemalloc.start()
    with pytest.raises(FileTooLargeError):
        selfie.image(bomb, encoding)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 5 * MAX_BYTES


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_eleven_mebibytes_are_too_large(server: LoopbackServer) -> None:
    server.replies[0] = Reply(200, bytes(11 * 1024 * 1024), {"Content-Type": "image/png"})
    with pytest.raises(FileNotFetchedError, match="larger"):
        LOCAL.fetch(server.url)


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_ten_mebibytes_are_not(server: LoopbackServer) -> None:
    server.replies[0] = Reply(200, PNG.ljust(MAX_BYTES, b"\0"), {"Content-Type": "image/png"})

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
