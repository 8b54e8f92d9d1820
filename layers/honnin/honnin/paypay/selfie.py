"""The selfie of a completed KYC Passport QR: an image at a short-lived address in PayPay's answer.

Its type is known from its first bytes, because storage and proxies send any Content-Type, even `image` for error pages.
"""

import gzip
import io
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from honnin import remote_file
from honnin.errors import FileNotFetchedError, FileTooLargeError
from honnin.http_client import Deadline

MAX_BYTES = 10 * 1024 * 1024

# The caller of the API is waiting.
_TOTAL_S = 4.0

# ISO/IEC 23008-12 and the AVIF specification: the brands of still images in an ISO base media file. A film has others.
_AVIF = frozenset({b"avif", b"avis"})
_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_ANY_CODING = frozenset({b"mif1", b"msf1", b"mif2"})


@dataclass(frozen=True)
class Selfies:
    """Fetches selfies from the allowed hosts; `loopback` is for the local stack only."""

    allowed_hosts: Sequence[str]
    loopback: bool = False

    def fetch(self, url: str) -> tuple[bytes, str]:
        """The image and its content type.

        Raises
        ------
        RemoteFileError
            The address breaks a rule, or what is there is no image of at most 10 MiB.
        """
        deadline = Deadline(_TOTAL_S)
        with remote_file.opened(
            url, allowed_hosts=self.allowed_hosts, loopback=self.loopback, deadline=deadline, read_timeout_s=_TOTAL_S
        ) as answer:
            body = remote_file.read_all(answer, max_bytes=MAX_BYTES)
            return image(body, answer.headers.get("Content-Encoding", ""))


def image(body: bytes, content_encoding: str = "") -> tuple[bytes, str]:
    """The decoded image in a body, and its content type.

    Raises
    ------
    FileNotFetchedError
        It is no type that is known here (JPEG, PNG, WebP, HEIC, HEIF, AVIF), or is larger than 10 MiB.
    """
    kind = _kind(body)
    # Some servers compress a file although this was not asked for, or name an encoding that the body does not have.
    if not kind and (decoded := _decoded(body, content_encoding)):
        body, kind = decoded, _kind(decoded)
    if not kind:
        raise FileNotFetchedError("the file is not an image")
    return body, kind


def _kind(body: bytes) -> str | None:
    """The content type according to the first bytes."""
    if body.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if body.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return "image/webp"
    return _kind_of_media_file(body) if body[4:8] == b"ftyp" else None


def _kind_of_media_file(body: bytes) -> str | None:
    """The type of an ISO base media file, by its major brand.

    If that does not say the coding, the other brands decide.
    """
    major = body[8:12]
    others = {body[at : at + 4] for at in range(16, min(int.from_bytes(body[:4]), 256), 4)}
    brands = {major} | (others if major in _ANY_CODING else set())
    if brands & _AVIF:
        return "image/avif"
    if brands & _HEIC:
        return "image/heic"
    return "image/heif" if major in _ANY_CODING else None


def _decoded(body: bytes, content_encoding: str) -> bytes:
    """The body decompressed from gzip (known from its bytes) or deflate; empty if it is in neither.

    It is decompressed only up to the maximum size of an image.
    """
    try:
        if body.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=io.BytesIO(body)) as packed:
                plain = packed.read(MAX_BYTES + 1)
        elif "deflate" in content_encoding.lower():
            plain = _inflated(body)
        else:
            return b""
    except (OSError, EOFError, zlib.error):
        return b""
    if len(plain) > MAX_BYTES:
        raise FileTooLargeError(f"the file is larger than {MAX_BYTES} bytes")
    return plain


def _inflated(body: bytes) -> bytes:
    # RFC 9110 §8.4.1.2: in the zlib format. Some servers leave its header out.
    for window in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
        stream = zlib.decompressobj(window)
        with suppress(zlib.error):
            plain = stream.decompress(body, MAX_BYTES + 1)
            if stream.eof or len(plain) > MAX_BYTES:
                return plain
    return b""
