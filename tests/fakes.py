"""Fakes of what lies outside: clock, Lambda context, Vexora, EventBridge, SQS. No test needs a mock beside them."""

import hashlib
import os
import socket
import socketserver
import struct
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import boto3
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.parameters.base import BaseProvider
from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin import worker
from honnin.errors import ProviderRefusedError
from honnin.secret_store import VexoraCredentials
from honnin.vexora.client import VexoraClient
from honnin.vexora.models import Reading

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

START = datetime(2026, 4, 1, 3, 0, tzinfo=UTC)


# Making a client takes longer than most tests, and moto's state is not in it: one for all tests of a process.


@cache
def dynamodb() -> "DynamoDBClient":
    """A client for moto's DynamoDB."""
    return boto3.client("dynamodb")


@cache
def s3() -> "S3Client":
    """A client for moto's S3."""
    return boto3.client("s3")


class FakeClock:
    """Time that stands still until a test moves it. Calling it gives an aware UTC moment."""

    def __init__(self, start: datetime = START) -> None:
        self.now = start
        self._start = start

    def __call__(self) -> datetime:
        """The present moment."""
        return self.now

    def advance(self, *, seconds: float = 0, days: float = 0) -> datetime:
        """Move on and return the new moment."""
        self.now += timedelta(seconds=seconds, days=days)
        return self.now

    def monotonic(self) -> float:
        """Seconds since the clock was made, as `time.monotonic` would count them."""
        return (self.now - self._start).total_seconds()

    def epoch_ms(self) -> int:
        """Milliseconds since 1970."""
        return round(self.now.timestamp() * 1000)


class FakeLambdaContext(LambdaContext):
    """The context of one invocation. `remaining_ms` holds the times left: one per question, the last one stays."""

    def __init__(self, *remaining_ms: int, function_name: str = "honnin-test") -> None:
        self._remaining = deque(remaining_ms or (60_000,))
        self._function_name = function_name
        self._function_version = "$LATEST"
        self._invoked_function_arn = f"arn:aws:lambda:ap-northeast-1:000000000000:function:{function_name}"
        self._memory_limit_in_mb = 512
        self._aws_request_id = "00000000-0000-4000-8000-000000000001"
        self._log_group_name = f"/aws/lambda/{function_name}"
        self._log_stream_name = "2026/04/01/[$LATEST]0"

    def get_remaining_time_in_millis(self) -> int:  # type: ignore[override]  # Powertools types it as a static method
        """The next of the times that the test gave."""
        return self._remaining.popleft() if len(self._remaining) > 1 else self._remaining[0]


@dataclass(frozen=True)
class Applied:
    """One `kycApplyFor` as the fake saw it."""

    user_id: str
    username_furigana: str
    callback_url: str


class FakeVexora(VexoraClient):
    """An in-process Vexora behind the interface of `VexoraClient`.

    `statuses` is what the provider knows (user id to "0".."3"). What is put into `next_apply` or `next_query`
    is taken first: an error is raised, a text is answered. `apply_takes_effect` says whether a failing apply
    has arrived all the same.
    """

    def __init__(self, statuses: Mapping[str, str] | None = None) -> None:
        self.statuses = dict(statuses or {})
        self.next_apply: deque[str | Exception] = deque()
        self.next_query: deque[str | Reading | Exception] = deque()
        self.apply_takes_effect = False
        self.configuration_error: Exception | None = None
        self.applied: list[Applied] = []
        self.queried: list[str] = []

    def check_configuration(self) -> None:
        """Raise `configuration_error`, if the test set one."""
        if self.configuration_error:
            raise self.configuration_error

    def apply(self, *, user_id: str, username_furigana: str, callback_url: str) -> Reading:
        """Take the application, or do what `next_apply` says."""
        self.applied.append(Applied(user_id, username_furigana, callback_url))
        scripted = self.next_apply.popleft() if self.next_apply else "0"
        if isinstance(scripted, Exception):
            if self.apply_takes_effect:
                self.statuses[user_id] = "0"
            raise scripted
        self.statuses[user_id] = scripted
        return Reading(scripted)

    def query_status(self, user_id: str) -> Reading:
        """Answer with the user's status, or do what `next_query` says; a user nobody knows is refused."""
        self.queried.append(user_id)
        if self.next_query:
            scripted = self.next_query.popleft()
            if isinstance(scripted, Exception):
                raise scripted
            return scripted if isinstance(scripted, Reading) else Reading(scripted)
        if user_id not in self.statuses:
            raise ProviderRefusedError("vexora", "user not found", http_status=200, code="4004")
        return Reading(self.statuses[user_id])


class FakeBus:
    """The EventBridge client as far as `Publisher` uses it. `failures` are taken first: raised, or refused."""

    def __init__(self) -> None:
        self.entries: list[Mapping[str, Any]] = []
        self.failures: deque[Exception | str] = deque()

    def put_events(self, *, Entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:  # noqa: N803
        """Keep the entries, or fail as the test said."""
        if self.failures:
            failure = self.failures.popleft()
            if isinstance(failure, Exception):
                raise failure
            return {"FailedEntryCount": len(Entries), "Entries": [{"ErrorCode": failure} for _ in Entries]}
        self.entries.extend(Entries)
        return {"FailedEntryCount": 0, "Entries": [{"EventId": str(len(self.entries))} for _ in Entries]}

    @property
    def client(self) -> "EventBridgeClient":
        """Itself, under the type that `Publisher` takes."""
        return cast("EventBridgeClient", self)


class FakeQueueClient:
    """The SQS client as far as `worker.Queue` uses it: what was asked of it, in order."""

    def __init__(self) -> None:
        self.visibilities: list[dict[str, Any]] = []
        self.messages: list[Mapping[str, Any]] = []

    def change_message_visibility(self, **request: Any) -> None:
        """Keep the request."""
        self.visibilities.append(request)

    def send_message(self, **request: Any) -> Mapping[str, Any]:
        """Keep the request."""
        self.messages.append(request)
        return {"MessageId": str(len(self.messages))}

    @property
    def client(self) -> "SQSClient":
        """Itself, under the type that `worker.Queue` takes."""
        return cast("SQSClient", self)


class FakeQueue(worker.Queue):
    """What the worker did with each message: `delays` by message id, `parked` with the error's type."""

    def __init__(self) -> None:
        self.delays: dict[str, int] = {}
        self.parked: dict[str, str] = {}

    def delay(self, record: SQSRecord, seconds: int) -> None:
        """Remember the visibility time-out."""
        self.delays[record.message_id] = seconds

    def park(self, record: SQSRecord, error: Exception) -> None:
        """Remember that the message was parked, and for what."""
        self.parked[record.message_id] = type(error).__name__


class FakeTopic:
    """The SNS client as far as `ResendAlarm` uses it. `failures` are taken first."""

    def __init__(self) -> None:
        self.letters: list[Mapping[str, str]] = []
        self.failures: deque[Exception] = deque()

    def publish(self, **request: str) -> None:
        """Keep the letter, or fail as the test said."""
        if self.failures:
            raise self.failures.popleft()
        self.letters.append(request)

    @property
    def client(self) -> "SNSClient":
        """Itself, under the type that `ResendAlarm` takes."""
        return cast("SNSClient", self)


@dataclass
class FakeCredentials:
    """Reads Vexora credentials: `cached`, or `stored` once a caller asks to refresh."""

    cached: VexoraCredentials = field(default_factory=lambda: VexoraCredentials("1027749636", "test_app_secret"))
    stored: VexoraCredentials = field(default_factory=lambda: VexoraCredentials("1027749636", "test_app_secret"))
    reads: list[bool] = field(default_factory=list)

    def __call__(self, *, refresh: bool = False) -> VexoraCredentials:
        """The credentials; with `refresh` the stored ones, which are cached from then on."""
        self.reads.append(refresh)
        if refresh:
            self.cached = self.stored
        return self.cached


class FakeSecrets(BaseProvider):
    """Secrets Manager behind Powertools Parameters, whose cache stays the real one. `reads` counts past it."""

    def __init__(self, **values: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Powertools leaves it untyped
        self.values = dict(values)
        self.reads = 0

    def _get(self, name: str, **sdk_options: Any) -> str:
        self.reads += 1
        return self.values[name]

    def _get_multiple(self, path: str, **sdk_options: Any) -> dict[str, str]:
        raise NotImplementedError


@dataclass(frozen=True)
class Received:
    """One HTTP request as it came over the wire; header names in lower case; `connection` counts from 1."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int


@dataclass(frozen=True)
class Reply:
    """What `LoopbackServer` does with one request.

    `wait_s` passes before the answer; `drip_s` between two bytes of what `drips` names (headers or body); with
    `instead` the connection is reset or closed unanswered; `close` ends it after the answer, `short_by` bytes
    before the announced length. `framing` says how the end of the body is told: by `Content-Length` (`says_length`
    where it lies), in chunks, or by closing. With `forever` the body is repeated until the peer has had enough.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    wait_s: float = 0
    drip_s: float = 0
    drips: Literal["headers", "body"] = "body"
    instead: Literal["", "reset", "close"] = ""
    close: bool = False
    short_by: int = 0
    framing: Literal["length", "chunked", "close"] = "length"
    says_length: int | None = None
    forever: bool = False


class LoopbackServer:
    """An HTTP/1.1 peer on 127.0.0.1 that misbehaves as told: one `Reply` a request, the last one stays."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = deque(replies or (Reply(),))
        self.received: list[Received] = []
        self.stopping = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """The base URL, without a trailing slash."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def connections(self) -> int:
        """How many connections were opened."""
        return self._server.connections

    def reply_to(self, request: Received) -> Reply:
        """The reply for a request that has just come."""
        return self.replies.popleft() if len(self.replies) > 1 else self.replies[0]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class FileServer(LoopbackServer):
    """Serves one file under every path, with `Range` and `If-Range` as RFC 9110 has them.

    `versions` are its bytes, one a request, the last one stays; `breaks` are the bytes after which the next answers
    break off. `validator` is the header that names the bytes (ETag or Last-Modified), empty for none.
    """

    def __init__(self, *versions: bytes, breaks: Sequence[int] = (), validator: str = "ETag") -> None:
        super().__init__()
        self.versions = deque(versions)
        self.breaks = deque(breaks)
        self.validator = validator
        self.takes_ranges = True
        self.framing: Literal["length", "chunked"] = "length"

    def reply_to(self, request: Received) -> Reply:
        """The file, or the rest of it that was asked for."""
        content = self.versions.popleft() if len(self.versions) > 1 else self.versions[0]
        name = self._name(content)
        headers = {self.validator: name} if self.validator else {}
        status, start = 200, 0
        asked = request.headers.get("range", "")
        if self.takes_ranges and asked and request.headers.get("if-range", name) == name:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                return Reply(416, b"", headers | {"Content-Range": f"bytes */{len(content)}"})
            status, headers["Content-Range"] = 206, f"bytes {start}-{len(content) - 1}/{len(content)}"
        body = content[start:]
        short_by = len(body) - self.breaks.popleft() if self.breaks else 0
        return Reply(status, body, headers, short_by=short_by, framing=self.framing)

    def _name(self, content: bytes) -> str:
        if self.validator == "Last-Modified":
            return f"Wed, 01 Apr 2026 03:00:{sum(content) % 60:02} GMT"
        return f'"{hashlib.sha256(content).hexdigest()[:16]}"'


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    # Handlers end when the client closes or `stopping` is set; waiting for a kept-alive one would hang.
    block_on_close = False

    def __init__(self, owner: LoopbackServer) -> None:
        self.owner = owner
        self.connections = 0
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients break connections here on purpose."""


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        """Answer the requests of one connection."""
        self.server.connections += 1
        number = self.server.connections
        while (request := self._read(number)) is not None:
            self.server.owner.received.append(request)
            if not self._reply(self.server.owner.reply_to(request)):
                return

    def _read(self, number: int) -> Received | None:
        line = self.rfile.readline().decode("latin-1").split()
        if len(line) < 2:
            return None
        headers: dict[str, str] = {}
        while text := self.rfile.readline().decode("latin-1").strip():
            name, _, value = text.partition(":")
            headers[name.lower()] = value.strip()
        body = self.rfile.read(int(headers.get("content-length", "0")))
        return Received(line[0], line[1], headers, body, number)

    def _reply(self, reply: Reply) -> bool:
        """Whether the connection stays open."""
        self.server.owner.stopping.wait(reply.wait_s)
        if reply.instead:
            if reply.instead == "reset":
                # Lingering for no time makes the kernel send RST.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                # Closed here: socketserver would shut down first, which sends FIN.
                os.close(self.connection.detach())
            return False
        lines = [f"HTTP/1.1 {reply.status} X", *(f"{name}: {value}" for name, value in reply.headers.items())]
        lines.append(self._framing(reply))
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        self._write(head, reply.drip_s if reply.drips == "headers" else 0)
        body = reply.body[: len(reply.body) - reply.short_by]
        while True:
            self._write(self._framed(body, reply), reply.drip_s if reply.drips == "body" else 0)
            if not reply.forever or self.server.owner.stopping.is_set():
                break
        if reply.framing == "chunked" and not reply.short_by:
            self._write(b"0\r\n\r\n", 0)
        return reply.framing != "close" and not reply.close and not reply.short_by

    def _framing(self, reply: Reply) -> str:
        match reply.framing:
            case "chunked":
                return "Transfer-Encoding: chunked"
            case "close":
                return "Connection: close"
        return f"Content-Length: {len(reply.body) if reply.says_length is None else reply.says_length}"

    def _framed(self, body: bytes, reply: Reply) -> bytes:
        return b"%x\r\n%b\r\n" % (len(body), body) if reply.framing == "chunked" and body else body

    def _write(self, data: bytes, pause_s: float) -> None:
        if not pause_s:
            self.wfile.write(data)
            return
        for at in range(len(data)):
            if self.server.owner.stopping.wait(pause_s):
                return
            self.wfile.write(data[at : at + 1])
