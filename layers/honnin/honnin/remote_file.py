"""Fetching a file from an address that others gave us, without letting them reach into our network.

The rules: https, a host on our list that is a name and no address, the default port, no credentials in the URL, no
redirect followed, and the address that is really connected to must be public. The last rule is checked on the open
socket, before a byte is sent, so a name that changes its answer between two look-ups gains nothing.
"""

import ipaddress
import socket
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import ClassVar
from urllib.parse import SplitResult, urlsplit

import requests
import urllib3
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from honnin.errors import FileGoneError, FileNotFetchedError, FileTooLargeError, UrlRefusedError
from honnin.http_client import Adapter, Connection, Deadline, SecureConnection, new_session, within

_CHUNK_BYTES = 64 * 1024

type _Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# RFC 6052: a gateway turns these into the IPv4 address in the last 32 bits.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def check_url(url: str, *, allowed_hosts: Sequence[str], loopback: bool = False) -> None:
    """Check all that can be checked before connecting.

    Parameters
    ----------
    allowed_hosts
        Exact host names, or suffixes that begin with a dot (`.example.jp` allows `a.example.jp`).
    loopback
        Also allow plain http, any port, on 127.0.0.1: for the local stack only.

    Raises
    ------
    UrlRefusedError
        Names the rule that is broken.
    """
    if any(character <= " " or character in "\\\x7f" for character in url):
        raise UrlRefusedError("the URL holds a space, a control character or a backslash")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UrlRefusedError("the URL cannot be read") from None
    if parts.username is not None or parts.password is not None:
        raise UrlRefusedError("the URL holds credentials")
    if loopback and parts.scheme == "http" and parts.hostname == "127.0.0.1":
        return
    if parts.scheme != "https":
        raise UrlRefusedError("the URL is not https")
    if port not in (None, 443):
        raise UrlRefusedError("the URL names another port than 443")
    _check_host(parts, allowed_hosts)


def _check_host(parts: SplitResult, allowed_hosts: Sequence[str]) -> None:
    host = (parts.hostname or "").lower()
    if not host or not host.isascii():
        raise UrlRefusedError("the URL names no plain host")
    if _is_address(host):
        raise UrlRefusedError("the host is an address and not a name")
    for allowed in (each.lower() for each in allowed_hosts):
        if host == allowed or (allowed.startswith(".") and host.endswith(allowed) and len(host) > len(allowed)):
            return
    raise UrlRefusedError("the host is not on the list of allowed hosts")


def _is_address(host: str) -> bool:
    """Whether a host is an IP address, in any notation that a resolver takes (decimal, hexadecimal, short forms)."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            socket.inet_aton(host)
        except OSError:
            return False
    return True


@contextmanager
def opened(
    url: str,
    *,
    allowed_hosts: Sequence[str],
    loopback: bool,
    deadline: Deadline,
    read_timeout_s: float,
    headers: Mapping[str, str] | None = None,
    accepted: Container[int] = (200,),
) -> Iterator[requests.Response]:
    """An open, streaming answer with an `accepted` status from a checked URL.

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
    session = new_session()
    session.mount("https://", _PublicOnly())
    if not loopback:
        session.mount("http://", _PublicOnly())
    try:
        with within(
            deadline, partial(_get, session, url, min(read_timeout_s, max(deadline.remaining_s, 0.1)), headers or {})
        ) as response:
            if response.status_code not in accepted:
                gone = response.status_code in (403, 404, 410)
                kind = FileGoneError if gone else FileNotFetchedError
                raise kind(f"the answer was HTTP {response.status_code}")
            yield response
    except TimeoutError:
        raise FileNotFetchedError("there was no answer before the deadline") from None
    # ValueError: a host label that no name can have only shows when it is encoded.
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
        raise FileNotFetchedError(f"the transfer failed ({type(error).__name__})") from None
    finally:
        session.close()


def _get(session: requests.Session, url: str, read_timeout_s: float, headers: Mapping[str, str]) -> requests.Response:
    return session.get(
        url,
        stream=True,
        allow_redirects=False,
        timeout=(3.0, read_timeout_s),
        headers={"Accept-Encoding": "identity", **headers},
    )


def pieces(response: requests.Response, deadline: Deadline) -> Iterator[bytes]:
    """The body as it arrives, never decoded. Raises `FileNotFetchedError` when it breaks off or at the deadline."""
    try:
        # read1 gives what has arrived; a plain read would wait for a full chunk, whatever the deadline.
        while chunk := response.raw.read1(_CHUNK_BYTES):
            yield chunk
            if deadline.remaining_s <= 0:
                raise FileNotFetchedError("the file was not complete before the deadline")
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise FileNotFetchedError(f"the transfer failed ({type(error).__name__})") from None


def read_all(response: requests.Response, *, max_bytes: int, deadline: Deadline) -> bytes:
    """The whole body. Raises `FileNotFetchedError` over `max_bytes` or after the deadline; never truncates."""
    body = bytearray()
    for piece in pieces(response, deadline):
        body += piece
        if len(body) > max_bytes:
            raise FileTooLargeError(f"the file is larger than {max_bytes} bytes")
    return bytes(body)


def _refuse_private(sock: socket.socket) -> None:
    """Close the connection and raise unless it leads to a public address."""
    address = ipaddress.ip_address(sock.getpeername()[0].partition("%")[0])
    inner = _inner_address(address)
    # Python counts some reserved IPv6 blocks as global: IPv4-compatible and -translated addresses, site-local ones.
    if not inner.is_global or inner.is_multicast or inner.is_reserved or getattr(inner, "is_site_local", False):
        sock.close()
        raise UrlRefusedError("the host leads to an address that is not public")


def _inner_address(address: _Address) -> _Address:
    """The IPv4 address that an IPv6 one only wraps (mapped, 6to4, NAT64), else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


class _CheckedHTTPConnection(Connection):
    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        _refuse_private(sock)
        return sock


class _CheckedHTTPSConnection(_CheckedHTTPConnection, SecureConnection):
    """The same over TLS."""


class _CheckedHTTPPool(HTTPConnectionPool):
    ConnectionCls = _CheckedHTTPConnection


class _CheckedHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _CheckedHTTPSConnection


class _PublicOnly(Adapter):
    """Connects to public addresses only."""

    pools: ClassVar[Mapping[str, type[HTTPConnectionPool]]] = {"http": _CheckedHTTPPool, "https": _CheckedHTTPSPool}
