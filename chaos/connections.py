"""The connections under `honnin.http_client.send`: refused, dead, without an answer, given up and thawed later.

Real: `send`, with its second request after a dead connection, and the flag by which *not sent* and *no answer* are
distinguished. Simulated: the session of `requests`, and the thread that a caller waits for.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

import requests
from requests.structures import CaseInsensitiveDict

from chaos.boundary import Boundary, Clock
from chaos.replacing import replaced
from honnin import http_client
from honnin.errors import NotSentError
from honnin.http_client import Answer, Deadline, _Call, _present

# The total deadline of a call.
_GIVEN_UP_AFTER_S = 24

# Not signed by either provider, so it may be added to every request.
NUMBER = "X-Chaos-Number"


class _HangsError(BaseException):
    """Connecting does not end before the caller's deadline."""


@dataclass(frozen=True)
class Taken:
    """A request that arrived at the provider."""

    number: str
    signature: str


class Connections:
    """One provider's connections. `answer` is what the provider does with a request; `fail` answers a failure.

    `taken` are the requests that arrived; `unsent` are the numbers of those that the caller got as not sent.
    """

    def __init__(
        self,
        boundary: Boundary,
        clock: Clock,
        answer: Callable[[requests.PreparedRequest], Answer],
        fail: Callable[[str], Answer],
    ) -> None:
        self.taken: list[Taken] = []
        self.unsent: list[str] = []
        self._boundary = boundary
        self._clock = clock
        self._answer = answer
        self._fail = fail
        self._requests = 0
        self._kept_alive = False
        self._hanging: list[tuple[_Call, requests.PreparedRequest]] = []

    @contextmanager
    def installed(self) -> Iterator[None]:
        """In place of the process's own connections and threads."""
        ours = {
            "send": self._recording(http_client.send),
            "session": lambda *_: _Session(self, kept=True),
            "new_session": lambda: _Session(self),
            "within": _within,
        }
        with replaced(*((http_client, name, each) for name, each in ours.items())):
            yield

    def thaw(self) -> None:
        """What was hanging goes on, long after its caller has given up."""
        hanging, self._hanging = self._hanging, []
        for call, prepared in hanging:
            with suppress(ConnectionAbortedError):
                self._begin(call, reused=False)
                self._take(prepared)

    def _recording(self, send: Callable[..., Answer]) -> Callable[..., Answer]:
        def recording(provider: str, make_request: Callable[[], requests.Request], **options: Any) -> Answer:
            numbers: list[str] = []

            def numbered() -> requests.Request:
                self._requests += 1
                numbers.append(str(self._requests))
                request = make_request()
                request.headers[NUMBER] = numbers[-1]
                return request

            try:
                return send(provider, numbered, **options)
            except NotSentError:
                self.unsent += numbers
                raise

        return recording

    def exchange(self, prepared: requests.PreparedRequest, *, kept: bool) -> Answer:
        """One request on a kept-alive connection or on one of its own."""
        call = cast("_Call", _present.get())
        reused = kept and self._kept_alive

        def effect() -> Answer:
            self._begin(call, reused=reused)
            answer = self._take(prepared)
            self._kept_alive = self._kept_alive or kept
            return answer

        def fail(kind: str) -> Answer:
            match kind:
                case "unsent":
                    raise requests.ConnectionError
                case "hanging":
                    self._hanging.append((call, prepared))
                    self._clock.advance(_GIVEN_UP_AFTER_S)
                    raise _HangsError
            self._begin(call, reused=reused)
            match kind:
                case "dead":
                    self._kept_alive = False
                    raise requests.ConnectionError
                case "lost":
                    raise requests.ReadTimeout
            return self._fail(kind)

        return self._boundary.call("provider", effect, fail)

    def _begin(self, call: _Call, *, reused: bool) -> None:
        call.begin(cast("socket.socket", None), reused=reused)

    def _take(self, prepared: requests.PreparedRequest) -> Answer:
        self.taken.append(Taken(prepared.headers[NUMBER], prepared.headers.get("Authorization", "")))
        return self._answer(prepared)


class _Session:
    """As much of `requests.Session` as `http_client` uses."""

    def __init__(self, connections: Connections, *, kept: bool = False) -> None:
        self._connections = connections
        self._kept = kept

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        return request.prepare()

    def send(self, prepared: requests.PreparedRequest, **_: Any) -> "_Response":
        return _Response(self._connections.exchange(prepared, kept=self._kept))

    def close(self) -> None:
        """Nothing is open."""


class _Response:
    def __init__(self, answer: Answer) -> None:
        self.status_code = answer.status
        self.headers: CaseInsensitiveDict[str] = answer.headers
        self._body = answer.body

    def __enter__(self) -> "_Response":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def iter_content(self, _size: int) -> list[bytes]:
        return [self._body]


def _within[T](_deadline: Deadline, work: Callable[[], T], call: _Call | None = None) -> T:
    """In this thread: what hangs is given up at once."""
    shared = call or _Call()
    token = _present.set(shared)
    try:
        return work()
    except _HangsError:
        shared.give_up()
        raise TimeoutError from None
    finally:
        _present.reset(token)
