"""Outbound HTTP: every call has a connect and a read time-out and one total deadline.

`requests` times out per socket read only: a name server that hangs, or a peer that drips a byte a second, would
hold a Lambda for minutes. The exchange therefore runs in a thread of its own, and the caller waits for it until
the deadline and no longer.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from queue import Empty, SimpleQueue
from threading import Thread
from typing import cast

import requests

from honnin.errors import ProviderTimeoutError, ProviderUnavailableError

MAX_ANSWER_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """A complete answer: HTTP status, headers (case-insensitive) and body bytes."""

    status: int
    headers: "requests.structures.CaseInsensitiveDict[str]"
    body: bytes


class Deadline:
    """A point in monotonic time by which a call, with all its tries, must be over."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + seconds

    @property
    def remaining_s(self) -> float:
        """Seconds left; negative when it has passed."""
        return self._end - self._clock()


def new_session() -> requests.Session:
    """A session that takes nothing from the environment (a proxy would see, and choose, where we connect)."""
    # urllib3 warns of an answer it cannot read with the whole URL, query included: ids and signatures.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    made = requests.Session()
    made.trust_env = False
    return made


@cache
def session() -> requests.Session:
    """One kept-alive session per execution environment: no proxy, no .netrc, no cookies."""
    made = new_session()
    made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return made


def send(
    provider: str,
    request: requests.Request,
    *,
    deadline: Deadline,
    connect_timeout_s: float = 3.0,
    read_timeout_s: float = 15.0,
    fresh: bool = False,
) -> Answer:
    """Send one request once and read its whole answer.

    A redirect is returned, never followed: a signed request must not go to another host.

    Parameters
    ----------
    fresh
        For a call that must not be repeated: it goes out on a connection of its own, never on a kept-alive one.
        A call without it may be repeated once when a kept-alive connection turns out to be dead.

    Raises
    ------
    NotSentError
        The connection had not begun to write the request.
    ProviderTimeoutError
        No complete answer, though the request may have been written.
    ProviderUnavailableError
        The answer is larger than `MAX_ANSWER_BYTES`.
    """
    if deadline.remaining_s <= 0:
        raise ProviderTimeoutError(provider, "the total deadline passed before the call")
    prepared = session().prepare_request(request)
    timeouts = (min(connect_timeout_s, deadline.remaining_s), min(read_timeout_s, deadline.remaining_s))
    try:
        return within(deadline, lambda: _exchange(provider, prepared, timeouts))
    except TimeoutError:
        raise ProviderTimeoutError(provider, "the answer was not complete before the deadline") from None


def within[T](deadline: Deadline, work: Callable[[], T]) -> T:
    """The result of `work`, or `TimeoutError` at the deadline, whatever it hangs on."""
    outcome: SimpleQueue[tuple[T | None, Exception | None]] = SimpleQueue()

    def run() -> None:
        try:
            outcome.put((work(), None))
        except Exception as error:
            outcome.put((None, error))

    # A daemon: when the caller has given up, nobody waits for it any more.
    Thread(target=run, daemon=True, name="outbound").start()
    try:
        result, error = outcome.get(timeout=max(deadline.remaining_s, 0))
    except Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return cast("T", result)


def _exchange(provider: str, prepared: requests.PreparedRequest, timeouts: tuple[float, float]) -> Answer:
    try:
        with session().send(prepared, timeout=timeouts, allow_redirects=False, stream=True) as response:
            return Answer(response.status_code, response.headers, _read(provider, response))
    # RequestException covers time-outs, resets and broken transfers alike: in each, the effect is unknown.
    except requests.RequestException as error:
        raise ProviderTimeoutError(provider, f"no answer ({type(error).__name__})") from None


def _read(provider: str, response: requests.Response) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(16 * 1024):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise ProviderUnavailableError(
                provider, "the answer is larger than 1 MiB", http_status=response.status_code
            )
    return bytes(body)
