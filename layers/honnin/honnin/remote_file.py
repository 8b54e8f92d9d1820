"""Requests to addresses that are no API of a provider's. They must not reach into our own network.

These are the addresses of files that others give us, and the merchant's endpoint for webhooks.

The rules: https; a host on our list, if there is one, which is a name and no IP address; the default port; no
credentials in the URL; no redirect is followed; and the IP address of the connection must be public. The last rule is
checked on the open socket, before a byte is sent. So it does not help an attacker if a name changes its address between
two look-ups.

The request is written here, byte for byte. The usual libraries change a URL before they send it, and a signature over
the URL's text would then be wrong. Each byte of the answer is read under one deadline, including the lines between
chunks and the trailers.
"""

import ipaddress
import re
import socket
import ssl
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cache, partial
from http.client import HTTPException, HTTPMessage, parse_headers
from io import BufferedReader, BytesIO, RawIOBase
from urllib.parse import SplitResult, quote, urlsplit

import certifi

from honnin.content_coding import COMPRESSIONS
from honnin.errors import FileGoneError, FileNotFetchedError, FileTooLargeError, UrlRefusedError
from honnin.http_client import Deadline, within
from honnin.wording import Wording

_CHUNK_BYTES = 64 * 1024
_CONNECT_S = 5.0

# RFC 9110 §15.2: interim answers, which come before the final one.
_MOST_INTERIM = 8
_MOST_HEADERS = 100
_LONGEST_LINE = 64 * 1024

# The least number of bytes in this number of seconds. A slower transfer is given up before its time is over.
_PROGRESS_S = 20.0
_PROGRESS_BYTES = 200

_NO_ANSWER = Wording("there was no response before the deadline", "時間内に応答がなかった")

type _Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# RFC 6052: a gateway translates these to the IPv4 address in their last 32 bits.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def check_url(url: str, *, allowed_hosts: Sequence[str] | None, loopback: bool = False) -> None:
    """Check everything that can be checked before connecting.

    Parameters
    ----------
    allowed_hosts
        Exact host names, or suffixes that begin with a dot (`.example.jp` allows `a.example.jp`). None allows every
        name: for a URL that our own setting gives.
    loopback
        Also allow plain http, any port, on 127.0.0.1: for the local stack only.

    Raises
    ------
    UrlRefusedError
        Says which rule is broken.
    """
    if any(character <= " " or character in "\\\x7f" for character in url):
        raise UrlRefusedError(
            Wording(
                "the URL contains a space, a control character or a backslash",
                "URL に空白、制御文字、バックスラッシュのいずれかが含まれている",
            )
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UrlRefusedError(Wording("the URL cannot be read", "URL を解釈できない")) from None
    if parts.username is not None or parts.password is not None:
        raise UrlRefusedError(Wording("the URL contains credentials", "URL に認証情報が含まれている"))
    if loopback and parts.scheme == "http" and parts.hostname == "127.0.0.1":
        return
    if parts.scheme != "https":
        raise UrlRefusedError(Wording("the URL is not https", "URL が https ではない"))
    if port not in (None, 443):
        raise UrlRefusedError(Wording("the URL has a port other than 443", "URL が 443 以外のポートを指定している"))
    _check_host(parts, allowed_hosts)


def _check_host(parts: SplitResult, allowed_hosts: Sequence[str] | None) -> None:
    host = (parts.hostname or "").lower()
    if not host or not host.isascii():
        raise UrlRefusedError(Wording("the URL has no ordinary host name", "URL に通常のホスト名がない"))
    if _is_address(host):
        raise UrlRefusedError(
            Wording("the host is an IP address, not a name", "ホストがホスト名ではなく IP アドレスである")
        )
    if allowed_hosts is None:
        return
    for allowed in (each.lower() for each in allowed_hosts):
        if host == allowed or (allowed.startswith(".") and host.endswith(allowed) and len(host) > len(allowed)):
            return
    raise UrlRefusedError(Wording("the host is not on the list of allowed hosts", "ホストが許可リストにない"))


def _is_address(host: str) -> bool:
    """Whether a host is an IP address, in any notation that a resolver accepts (decimal, hexadecimal, short forms)."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            socket.inet_aton(host)
        except OSError:
            return False
    return True


def answered(status: int) -> Wording:
    """The text that the answer had an HTTP status which does not help."""
    return Wording(f"the response was HTTP {status}", f"レスポンスが HTTP {status} だった")


def larger_than(most: int) -> Wording:
    """The text that a file has more than this number of bytes."""
    return Wording(f"the file is larger than {most} bytes", f"ファイルが {most} バイトを超えている")


class TransferFailedError(FileNotFetchedError):
    """The connection failed, or the bytes received are no HTTP answer."""


class Answer:
    """The head of an answer, and its body as it arrives. Header names are case-insensitive."""

    def __init__(self, status: int, headers: HTTPMessage, reader: "_Reader") -> None:
        self.status = status
        self.headers = headers
        self._reader = reader
        coded = _listed(headers, "Transfer-Encoding")
        self._is_chunked = coded[-1:] == ["chunked"]
        # RFC 9112 §6.3: with a transfer coding, a length is ignored.
        self._has_length = not coded or coded == ["identity"]

    @property
    def length(self) -> int | None:
        """The length of the body, if the headers say it. Raises `FileNotFetchedError` if it makes no sense."""
        return _length(self.headers) if self._has_length else None

    @property
    def ends_with_connection(self) -> bool:
        """Whether only the end of the connection ends the body. Raises as `length`."""
        return self.length is None and not self._is_chunked

    def pieces(self, size: int = _CHUNK_BYTES) -> Iterator[bytes]:
        """The body as it arrives, never decoded; small chunks are joined until they are `size` bytes.

        Raises `FileNotFetchedError` if it is interrupted, or at the deadline.
        """
        with _failures():
            if self._is_chunked:
                yield from self._reader.chunks(size)
            elif self.length is not None:
                yield from self._reader.exactly(self.length)
            else:
                yield from self._reader.rest()

    def codings(self) -> list[str]:
        """The compressions that the headers name. Names that are no compression are left out."""
        named = [*_listed(self.headers, "Content-Encoding"), *_listed(self.headers, "Transfer-Encoding")]
        return [each for each in named if each in COMPRESSIONS]


@contextmanager
def opened(
    url: str,
    *,
    allowed_hosts: Sequence[str] | None,
    loopback: bool,
    deadline: Deadline,
    read_timeout_s: float,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    accepted: Container[int] = (200,),
) -> Iterator[Answer]:
    """An open, streaming answer with an `accepted` status from a checked URL: to a GET, or to a POST of `body`.

    Raises
    ------
    UrlRefusedError
        The URL, or the address it leads to, breaks a rule.
    FileGoneError
        403, 404 or 410.
    FileNotFetchedError
        No connection, or another status that is not `accepted` (a redirect included).
    """
    check_url(url, allowed_hosts=allowed_hosts, loopback=loopback)
    with _failures(), closing(_connected(url, deadline, public_only=not _is_loopback(url))) as sock:
        sock.settimeout(max(min(read_timeout_s, deadline.remaining_s), 0.01))
        sock.sendall(_request(url, headers or {}, body))
        with closing(_Reader(sock, deadline, read_timeout_s)) as reader:
            answer = _answer(reader)
            if answer.status not in accepted:
                gone = answer.status in (403, 404, 410)
                raise (FileGoneError if gone else FileNotFetchedError)(answered(answer.status))
            yield answer


def read_all(answer: Answer, *, max_bytes: int) -> bytes:
    """The whole body. Raises `FileNotFetchedError` over `max_bytes` or after the deadline; never truncates."""
    body = bytearray()
    for piece in answer.pieces():
        body += piece
        if len(body) > max_bytes:
            raise FileTooLargeError(larger_than(max_bytes))
    return bytes(body)


# --- the connection ---


@contextmanager
def _failures() -> Iterator[None]:
    """Raise the possible errors of a connection as `TransferFailedError`."""
    try:
        yield
    except TimeoutError as error:
        said = error.args[0] if error.args and isinstance(error.args[0], Wording) else _NO_ANSWER
        raise TransferFailedError(said) from None
    except ssl.SSLCertVerificationError as error:
        # The reason is OpenSSL's own text: expired, self-signed, for another name.
        raise TransferFailedError(
            Wording(f"the certificate is not valid ({error.verify_message})", f"証明書が無効（{error.verify_message}）")
        ) from None
    # ValueError: a host label that is not possible is found only when it is encoded.
    except (OSError, HTTPException, ValueError) as error:
        name = type(error).__name__
        raise TransferFailedError(Wording(f"the transfer failed ({name})", f"転送に失敗した（{name}）")) from None


def _is_loopback(url: str) -> bool:
    return urlsplit(url).scheme == "http"  # `check_url` lets no other http through


def _connected(url: str, deadline: Deadline, *, public_only: bool) -> socket.socket:
    """An open connection to the URL's host, to which nothing was sent yet."""
    try:
        return within(deadline, partial(_connect, url, deadline, public_only=public_only))
    except TimeoutError:
        raise TimeoutError(Wording("there was no connection before the deadline", "時間内に接続できなかった")) from None


def _connect(url: str, deadline: Deadline, *, public_only: bool) -> socket.socket:
    parts = urlsplit(url)
    host = parts.hostname or ""
    sock = _first_that_answers(host, parts.port or 443, deadline, public_only=public_only)
    try:
        if parts.scheme == "https":
            # RFC 6066 §3: the name without the dot that may end it; certificates have none either.
            sock = _tls().wrap_socket(sock, server_hostname=host.removesuffix("."))
        # The caller no longer waits for it: nothing is written to a connection that was given up.
        if deadline.remaining_s <= 0:
            raise TimeoutError
    except BaseException:
        sock.close()
        raise
    return sock


def _first_that_answers(host: str, port: int, deadline: Deadline, *, public_only: bool) -> socket.socket:
    last: Exception = OSError("the name leads nowhere")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        try:
            if public_only:
                _refuse_private(str(address[0]))
            sock.settimeout(max(min(_CONNECT_S, deadline.remaining_s), 0.01))
            sock.connect(address)
            if public_only:
                _refuse_private(sock.getpeername()[0])
        except (OSError, UrlRefusedError) as error:
            sock.close()
            last = error
        else:
            return sock
    raise last


@cache
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def _request(url: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
    authority, target = _target(url)
    fields = {"Host": authority, "Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close", **headers}
    if body is not None:
        fields["Content-Length"] = str(len(body))
    lines = [
        f"{'GET' if body is None else 'POST'} {target} HTTP/1.1",
        *(f"{name}: {value}" for name, value in fields.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")


def _target(url: str) -> tuple[str, str]:
    """The host (and port) of a URL, and the rest of it unchanged, because the text of the URL may be signed."""
    behind = url.partition("#")[0].partition("://")[2]
    authority = re.split(r"[/?]", behind, maxsplit=1)[0]
    target = behind.removeprefix(authority)
    if not target.startswith("/"):
        target = f"/{target}"
    # RFC 9112 §3.2: ASCII only. All other parts stay as they are.
    return authority, "".join(each if each.isascii() else quote(each) for each in target)


def _answer(reader: "_Reader") -> Answer:
    for _ in range(_MOST_INTERIM):
        line = reader.line()
        found = re.fullmatch(rb"HTTP/1\.\d (\d{3})(?: [^\r\n]*)?\r?\n", line)
        if not found:
            raise HTTPException("no status line")
        headers = reader.headers()
        if not 100 <= int(found[1]) < 200:
            return Answer(int(found[1]), headers, reader)
    raise TransferFailedError(
        Wording("the server sent only interim responses", "サーバーが 1xx のレスポンスしか返さない")
    )


def _listed(headers: HTTPMessage, name: str) -> list[str]:
    """The members of a header that is a list, however many lines it has, in lower case."""
    given = ",".join(str(each) for each in headers.get_all(name, []))
    return [each.strip().lower() for each in given.split(",") if each.strip()]


def _length(headers: HTTPMessage) -> int | None:
    """RFC 9112 §6.3: if the length is given several times, it must be the same each time."""
    lengths = set(_listed(headers, "Content-Length"))
    if not lengths:
        return None
    [length] = lengths if len(lengths) == 1 else [""]
    if not re.fullmatch(r"[0-9]+", length):
        raise TransferFailedError(
            Wording("the response has no valid Content-Length", "レスポンスの長さが 1 つに定まらない")
        )
    return int(length)


class _Raw(RawIOBase):
    """The bytes of a socket. Each read must come before the deadline and not long after the read before."""

    def __init__(self, sock: socket.socket, deadline: Deadline, read_timeout_s: float) -> None:
        self._sock = sock
        self._deadline = deadline
        self._timeout_s = read_timeout_s
        # The time left when the present period began, and the number of bytes since then.
        self._began_with_s = deadline.remaining_s
        self._brought = 0

    def readable(self) -> bool:
        """Called by BufferedReader."""
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        """Some bytes, or 0 at the end."""
        left_s = self._deadline.remaining_s
        if left_s <= 0:
            raise TimeoutError(
                Wording("the file was not complete before the deadline", "時間内にファイル全体を受信できなかった")
            )
        if self._began_with_s - left_s >= _PROGRESS_S:
            if self._brought < _PROGRESS_BYTES:
                raise TimeoutError(Wording("the transfer made no progress", "転送が進まなかった"))
            self._began_with_s, self._brought = left_s, 0
        self._sock.settimeout(min(self._timeout_s, left_s))
        try:
            got = self._sock.recv_into(buffer)
        except TimeoutError:
            raise TimeoutError(Wording("the server stopped sending", "サーバーからの送信が止まった")) from None
        self._brought += got
        return got


class _Reader:
    """Reads an answer: lines, and bodies in each of the three framings of RFC 9112 §6.3."""

    def __init__(self, sock: socket.socket, deadline: Deadline, read_timeout_s: float) -> None:
        self._raw = _Raw(sock, deadline, read_timeout_s)
        self._file = BufferedReader(self._raw, _CHUNK_BYTES)

    def close(self) -> None:
        """Does nothing: the socket stays open."""
        self._file.close()

    def line(self) -> bytes:
        """One line of the head, or a line between chunks."""
        line = self._file.readline(_LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise HTTPException("a line is incomplete or too long")
        return line

    def headers(self) -> HTTPMessage:
        """The fields of a head or of trailers, up to the empty line after them. At most a hundred are allowed."""
        lines = [self.line()]
        while lines[-1].strip() and len(lines) <= _MOST_HEADERS:
            lines.append(self.line())
        return parse_headers(BytesIO(b"".join(lines)))

    def exactly(self, size: int) -> Iterator[bytes]:
        """Exactly `size` bytes."""
        while size:
            piece = self._file.read1(min(size, _CHUNK_BYTES))
            if not piece:
                raise TransferFailedError(Wording("the transfer was interrupted", "転送が途中で切れた"))
            size -= len(piece)
            yield piece

    def rest(self) -> Iterator[bytes]:
        """Everything until the connection ends."""
        while piece := self._file.read1(_CHUNK_BYTES):
            yield piece

    def chunks(self, least: int) -> Iterator[bytes]:
        """RFC 9112 §7.1. Chunks are joined until they are `least` bytes, and trailers read to their end."""
        joined = bytearray()
        try:
            while size := self._chunk_size():
                for piece in self.exactly(size):
                    joined += piece
                    if len(joined) >= least:
                        yield bytes(joined)
                        joined.clear()
                if self.line().strip():
                    raise HTTPException("a chunk is longer than its size")
            # RFC 9112 §8: after the last chunk the body is complete, even if the connection ends without trailers.
            if self._file.peek(1):
                self.headers()
        except (OSError, HTTPException, FileNotFetchedError):
            yield bytes(joined)
            raise
        yield bytes(joined)

    def _chunk_size(self) -> int:
        found = re.match(rb"[0-9A-Fa-f]{1,15}(?=[;\s])", self.line().lstrip(b" \t"))
        if not found:
            raise HTTPException("a chunk has no size")
        return int(found[0], 16)


def _refuse_private(text: str) -> None:
    """Raise an error unless this address is public."""
    inner = _inner_address(ipaddress.ip_address(text.partition("%")[0]))
    # Python counts some reserved IPv6 blocks as global: IPv4-compatible and -translated addresses, site-local ones.
    if not inner.is_global or inner.is_multicast or inner.is_reserved or getattr(inner, "is_site_local", False):
        raise UrlRefusedError(
            Wording("the IP address of the host is not public", "ホストの IP アドレスが公開アドレスではない")
        )


def _inner_address(address: _Address) -> _Address:
    """The IPv4 address inside an IPv6 address (mapped, 6to4, NAT64), or else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
