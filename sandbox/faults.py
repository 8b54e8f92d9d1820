"""Broken answers: what a dial can make of a call, for every provider."""

import contextlib
import math
import os
import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from flask import Response

from sandbox.journal import request_notes

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

WIRE_KINDS = frozenset({"http_500", "http_429", "html_503", "timeout", "reset", "malformed", "slow"})
DEFAULT_SECONDS = {"timeout": 60.0, "slow": 5.0}
MAX_SECONDS = 3600.0

Hold = Callable[[float], None]


class FaultError(ValueError):
    """A fault that does not exist or cannot be set so; the text is a clause that follows the dial's name."""


@dataclass(frozen=True)
class Fault:
    """One way to break an answer.

    `seconds` is for timeout and slow, `code`, `message` and `status` (HTTP) for refusals; the first `skip`
    calls pass unharmed.
    """

    kind: str
    when: Literal["before", "after"] = "before"
    times: int | None = None
    seconds: float | None = None
    code: str | None = None
    message: str | None = None
    status: int | None = None
    skip: int | None = None

    def hold_s(self) -> float:
        """Return how long this fault holds the connection, in seconds."""
        return DEFAULT_SECONDS.get(self.kind, 0.0) if self.seconds is None else self.seconds

    def view(self) -> dict[str, object]:
        """Return the fault as it can be set again over the control API."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def parse_fault(value: object, kinds: Iterable[str]) -> Fault | None:
    """Read a fault dial: "none", a kind, or an object with `kind`. Raises FaultError."""
    if value == "none":
        return None
    raw = {"kind": value} if isinstance(value, str) else value
    if not isinstance(raw, dict):
        raise FaultError('must be "none", a fault\'s kind, or an object with "kind"')
    if unknown := set(raw) - set(Fault.__dataclass_fields__):
        raise FaultError(f"has no setting {min(map(str, unknown))!r}")
    known = sorted(kinds)
    if raw.get("kind") not in known:
        raise FaultError(f"needs a kind out of: none, {', '.join(known)}")
    if raw.get("when", "before") not in ("before", "after"):
        raise FaultError('has "when" other than before or after')
    for name, low, high in (("times", 1, 1_000_000), ("skip", 0, 1_000_000), ("status", 400, 599)):
        if not _is_whole(raw.get(name), low, high):
            raise FaultError(f'has "{name}" that is not a whole number from {low} to {high}')
    seconds = raw.get("seconds")
    if seconds is not None and not is_seconds(seconds):
        raise FaultError(f'has "seconds" outside 0 to {MAX_SECONDS:.0f}')
    for name in ("code", "message"):
        if not isinstance(raw.get(name, ""), str):
            raise FaultError(f'has "{name}" that is not a text')
    return Fault(**raw)


def _is_whole(value: object, low: int, high: int) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and low <= value <= high)


def is_seconds(value: object) -> bool:
    """Return whether `value` is a finite number of seconds from 0 to `MAX_SECONDS`."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(float(str(value))) and 0 <= float(str(value)) <= MAX_SECONDS


def reset_connection(connection: socket.socket) -> None:
    """Close the connection's descriptor with linger 0, which makes the kernel send RST."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # detach: the server's own shutdown() would send a FIN first, and close() waits for its files.
        os.close(connection.detach())


class UnansweredResponse(Response):
    """Takes the place of an answer: holds the connection for a while, then closes it without a byte."""

    def __init__(self, hold: Hold, seconds: float) -> None:
        super().__init__(status=500)
        self._hold = hold
        self._seconds = seconds

    def __call__(
        self,
        environ: "WSGIEnvironment",  # noqa: ARG002
        start_response: "StartResponse",  # noqa: ARG002
    ) -> Iterable[bytes]:
        """Hold, then raise the error by which the WSGI server knows that the connection is over."""
        self._hold(self._seconds)
        raise ConnectionAbortedError("the sandbox is set to give no answer")


class ResetResponse(UnansweredResponse):
    """Takes the place of an answer: the client sees a TCP reset."""

    def __init__(self) -> None:
        super().__init__(lambda _seconds: None, 0.0)

    def __call__(
        self,
        environ: "WSGIEnvironment",
        start_response: "StartResponse",  # noqa: ARG002
    ) -> Iterable[bytes]:
        """Reset, then raise the error by which the WSGI server knows that the connection is over."""
        connection = environ.get("werkzeug.socket")
        if isinstance(connection, socket.socket):
            reset_connection(connection)
        raise ConnectionResetError("the sandbox is set to reset the connection")


def play(
    fault: Fault, handle: Callable[[], Response], hold: Hold, own: Mapping[str, Callable[[Fault], Response]]
) -> Response:
    """Answer a call with `fault`; `handle` makes the true answer, `own` the kinds of one provider (they win)."""
    request_notes().fault = f"{fault.kind} {fault.when}"
    if fault.kind == "slow":
        if fault.when == "before":
            hold(fault.hold_s())
            return handle()
        answer = handle()
        hold(fault.hold_s())
        return answer
    if fault.when == "after":
        handle()
    request_notes().code = None  # the code of an answer that nobody sees
    if fault.kind in own:
        return own[fault.kind](fault)
    match fault.kind:
        case "http_500":
            return Response("Internal Server Error\n", 500, mimetype="text/plain")
        case "http_429":
            return Response("Too Many Requests\n", 429, mimetype="text/plain")
        case "html_503":
            page = "<!doctype html><title>503</title><h1>Service Temporarily Unavailable</h1>"
            return Response(page, 503, mimetype="text/html")
        case "timeout":
            return UnansweredResponse(hold, fault.hold_s())
        case "reset":
            return ResetResponse()
        case "malformed":
            return Response('{"code": "0000", "msg": "succ', 200, mimetype="application/json")
        case kind:
            raise AssertionError(f"no provider plays the fault {kind!r}")
