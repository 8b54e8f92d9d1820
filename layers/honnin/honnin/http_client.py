"""Outbound HTTP: each call has time-outs and one total deadline, and the caller learns whether the request was sent.

The time-out of `requests` is only for each read of the socket. A name server that does not answer, or a server that
sends one byte a second, would block a Lambda function for minutes. So the exchange runs in a thread of its own, and the
caller waits for it only until the deadline.

*Not sent* and *no answer* are distinguished by a flag that our own connection sets just before it writes, never by the
type of an exception. The same flag prevents a late write: after the caller has given up, a thread that was still
connecting must not send the request. (Lambda freezes an environment after the answer and may continue it hours later.)
"""

import logging
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, ClassVar, cast

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from honnin.errors import NotSentError, ProviderTimeoutError, ProviderUnavailableError

MAX_ANSWER_BYTES = 1024 * 1024

# A kept-alive connection that was not written to for this time is not used again. NAT gateways drop one after 350 s
# (https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html) and only answer the next packet
# with a reset, so before that nothing shows that it is dead. Servers close theirs after 5 s to 75 s.
IDLE_S = 15.0


@dataclass(frozen=True)
class Answer:
    """A complete answer: HTTP status, headers (case-insensitive) and body bytes."""

    status: int
    headers: "requests.structures.CaseInsensitiveDict[str]"
    body: bytes

    @property
    def request_id(self) -> str | None:
        """X-REQUEST-ID, for which the provider's support asks: at most 64 printable characters of it."""
        given = self.headers.get("X-REQUEST-ID") or ""
        return "".join(each for each in given if " " < each <= "~")[:64] or None


class Deadline:
    """A point in monotonic time by which a call, with all its tries, must be over."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + seconds

    @property
    def remaining_s(self) -> float:
        """Seconds left; negative when it has passed."""
        return self._end - self._clock()


class _Call:
    """One call, shared by the thread that makes it and the caller, who may give it up.

    Because of the lock, only one of *begun to write* and *given up* can happen.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._given_up = False
        self._socket: socket.socket | None = None
        self.begun = False
        self.reused = False

    def begin(self, sock: socket.socket, *, reused: bool) -> None:
        """The connection is about to write. Raises `ConnectionAbortedError` when the call was given up."""
        with self._lock:
            if self._given_up:
                raise ConnectionAbortedError("the call was cancelled")
            self._socket = sock
            # A request is written in pieces; only the first piece shows whether the connection was a reused one.
            self.reused = self.reused if self.begun else reused
            self.begun = True

    def give_up(self) -> None:
        """Prevent all further writes, and close the connection of a request that has begun."""
        with self._lock:
            self._given_up = True
            if self._socket is None:
                return
        with suppress(OSError):  # closed already
            # The TCP connection is shut down directly; SSLSocket's own method would first remove the TLS layer.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


# It is set in the thread that makes the call. A connection that is used outside `within` has none.
_present: ContextVar[_Call | None] = ContextVar("_present", default=None)


class Connection(HTTPConnection):
    """Records in the present call that writing begins. It counts as dropped when it has been idle for too long."""

    _written_at: tuple[float, float] | None = None

    def send(self, data: Any) -> None:
        """Connect, which is not writing yet. Then write, unless the call was given up."""
        if self.sock is None:
            self.connect()
        if call := _present.get():
            call.begin(self.sock, reused=self._written_at is not None)
        self._written_at = _clocks()
        super().send(data)

    @property
    def is_connected(self) -> bool:
        """Whether it may be used again; urllib3 asks this before it takes a kept-alive connection from its pool."""
        return super().is_connected and not self._is_idle()

    def close(self) -> None:
        """Close; urllib3 may connect the same object again."""
        self._written_at = None
        super().close()

    def _is_idle(self) -> bool:
        if self._written_at is None:
            return False
        # The larger value is used: the monotonic clock may stop while the environment is frozen, and the wall clock may
        # be set back.
        return max(abs(now - then) for now, then in zip(_clocks(), self._written_at, strict=True)) >= IDLE_S


def _clocks() -> tuple[float, float]:
    return time.monotonic(), time.time()


class SecureConnection(Connection, HTTPSConnection):
    """The same over TLS; the handshake is part of connecting."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = SecureConnection


class Adapter(HTTPAdapter):
    """Uses our connections."""

    pools: ClassVar[Mapping[str, type[HTTPConnectionPool]]] = {"http": _Pool, "https": _SecurePool}

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """The method in which Requests makes its pools."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = dict(self.pools)


def new_session() -> requests.Session:
    """A session without settings from the environment. (A proxy from there would see and choose where we connect.)"""
    # If urllib3 cannot read an answer, its warning has the whole URL with its query: ids and signatures.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    made = requests.Session()
    made.trust_env = False
    made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    made.mount("https://", Adapter())
    made.mount("http://", Adapter())
    return made


# The number of the session that this thread uses. Two threads must not use one session at the same time.
_number: ContextVar[int] = ContextVar("_number", default=0)


def use_session(number: int) -> None:
    """Set the session of this thread. Two threads that run at the same time must not have the same number.

    Numbers are used again, so that a later batch can use the connections that a thread has kept alive. A thread that
    does not call this, such as the main thread, has the number 0.
    """
    _number.set(number)


@cache
def session(number: int = 0) -> requests.Session:  # noqa: ARG001 -- the cache distinguishes them by it
    """A kept-alive session for the life of the execution environment: no proxy, no .netrc, no cookies."""
    return new_session()


def _own_session() -> requests.Session:
    number = _number.get()
    return session(number) if number else session()


class _DeadConnectionError(ProviderTimeoutError):
    """A kept-alive connection was dead: no answer came, and it did not end by a time-out."""


def send(
    provider: str,
    make_request: Callable[[], requests.Request],
    *,
    deadline: Deadline,
    connect_timeout_s: float = 3.0,
    read_timeout_s: float = 15.0,
    fresh: bool = False,
) -> Answer:
    """Send one request and read its whole answer.

    A redirect is returned, never followed: a signed request must not go to another host.

    Parameters
    ----------
    make_request
        Makes the request, with a new signature each time. It is called each time the request is sent: once, or twice
        if a kept-alive connection was dead.
    fresh
        For a call that must not be repeated: it is sent once, on a new connection, never on a kept-alive one. Without
        it the call may be sent a second time when a kept-alive connection turns out to be dead.

    Raises
    ------
    NotSentError
        The connection had not begun to write the request, and never will: it had no effect.
    ProviderTimeoutError
        There is no complete answer, though the request may have been written.
    ProviderUnavailableError
        The answer is larger than `MAX_ANSWER_BYTES`.
    """

    def once(*, fresh: bool) -> Answer:
        request = make_request()
        if deadline.remaining_s <= 0:
            raise NotSentError(provider, "the total deadline passed before the call")
        timeouts = (min(connect_timeout_s, deadline.remaining_s), min(read_timeout_s, deadline.remaining_s))
        call, own = _Call(), None if fresh else _own_session()
        try:
            return within(deadline, lambda: _exchange(provider, request, timeouts, call, own), call)
        except TimeoutError:
            if not call.begun:
                raise NotSentError(provider, "the call was cancelled before it was sent") from None
            raise ProviderTimeoutError(provider, "the answer was not complete before the deadline") from None

    try:
        return once(fresh=fresh)
    except _DeadConnectionError as dead:
        try:
            return once(fresh=True)
        except NotSentError:
            # The second try was not sent, but the first may have arrived.
            raise ProviderTimeoutError(provider, dead.message) from None


def within[T](deadline: Deadline, work: Callable[[], T], call: _Call | None = None) -> T:
    """The result of `work`; raises `TimeoutError` at the deadline, whatever `work` is waiting for.

    After the deadline no connection of this module writes anything for it.
    """
    outcome: SimpleQueue[tuple[T | None, Exception | None]] = SimpleQueue()
    shared = call or _Call()

    def run() -> None:
        _present.set(shared)
        try:
            outcome.put((work(), None))
        except Exception as error:
            outcome.put((None, error))

    # It is a daemon thread: when the caller has given up, nothing waits for it any more.
    Thread(target=run, daemon=True, name="outbound").start()
    try:
        result, error = outcome.get(timeout=max(deadline.remaining_s, 0))
    except Empty:
        shared.give_up()
        raise TimeoutError from None
    if error is not None:
        raise error
    return cast("T", result)


def _exchange(
    provider: str, request: requests.Request, timeouts: tuple[float, float], call: _Call, own: requests.Session | None
) -> Answer:
    """One exchange on the session of the caller's thread, or on a fresh one."""
    used = own or new_session()
    answered = False
    try:
        prepared = used.prepare_request(request)
        with used.send(prepared, timeout=timeouts, allow_redirects=False, stream=True) as response:
            answered = True
            if response.status_code < 200:
                # Of the interim answers, Python handles only 100. The bytes after another one would count as the next
                # call's answer.
                raise HTTPException("an interim response")
            return Answer(response.status_code, response.headers, _read(provider, response))
    # Whatever the error is (a time-out, a reset, a name that cannot be encoded), the flag says whether it was sent.
    except (requests.RequestException, urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
        text = f"no answer ({type(error).__name__})"
        if not call.begun:
            raise NotSentError(provider, f"the request was not sent ({type(error).__name__})") from None
        if call.reused and not answered and not isinstance(error, requests.Timeout):
            raise _DeadConnectionError(provider, text) from None
        raise ProviderTimeoutError(provider, text) from None
    finally:
        if own is None:
            used.close()


def _read(provider: str, response: requests.Response) -> bytes:
    body = bytearray()
    try:
        for chunk in response.iter_content(16 * 1024):
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise ProviderUnavailableError(
                    provider, "the answer is larger than 1 MiB", http_status=response.status_code
                )
    except requests.RequestException:
        # For these answers the body is not needed.
        if response.status_code != 429 and response.status_code < 500:
            raise
        return b""
    return bytes(body)
