"""A server on the loopback address that answers as AWS does, for the benches: each gives it the services it needs.

It runs in a process of its own, so that neither its time nor its memory counts, and answers without delay. `GET /tally`
says what was asked of it, and `DELETE /tally` forgets that and whatever was written.
"""

import json
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from local.ports import LOOPBACK

Json = dict[str, Any]

_NO_SUCH_KEY = b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"
_IS_THERE = b"<Error><Code>PreconditionFailed</Code><Message>A condition does not hold.</Message></Error>"

ETAG = '"bench"'
"""The ETag of every object."""


class RefusedError(Exception):
    """An answer with HTTP 400: the error's fields as the service has them."""

    def __init__(self, body: Json) -> None:
        super().__init__(body.get("__type"))
        self.body = body


class Services:
    """What a stand-in holds. Its calls come one at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """As new: nothing asked, nothing written."""
        self.asked: Counter[str] = Counter()
        self.objects: dict[str, bytes] = {}

    def tally(self) -> Json:
        """What was asked, by the names of the calls."""
        return {"asked": dict(self.asked)}

    def call(self, operation: str, body: Json) -> bytes:  # noqa: ARG002
        """The answer to a call of the JSON protocols. KeyError: it does not know the call."""
        raise KeyError(operation)

    def size(self, key: str) -> int | None:
        """How many bytes an object of S3 has; None where there is none."""
        found = self.objects.get(key)
        return None if found is None else len(found)

    def content(self, key: str, start: int, end: int) -> Iterable[bytes]:
        """The bytes of an object from `start` to before `end`."""
        return (self.objects[key][start:end],)

    def elsewhere(self, path: str) -> bytes | None:  # noqa: ARG002
        """The answer of a server that is not AWS; None where the path is none of its."""
        return None


def serve(port: int, services: Services) -> None:
    """Answer until the process ends."""
    # A thread that has had its turn gives way at once: many short answers, and each of them waited for.
    sys.setswitchinterval(0.001)
    _Server(port, services).serve_forever()


@contextmanager
def serving(services: Services) -> Iterator[str]:
    """Answer in a thread of this process until the block ends; gives the URL. For tests: it takes of our CPU."""
    server = _Server(0, services)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, services: Services) -> None:
        super().__init__((LOOPBACK, port), _Handler)
        self.services = services


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def do_POST(self) -> None:
        """A call of one of the JSON protocols."""
        services = self.server.services
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        if (other := services.elsewhere(self.path)) is not None:
            self._answer(200, other, {"X-REQUEST-ID": "OPA-BENCH"})
            return
        operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        try:
            with services.lock:
                services.asked[operation] += 1
                answer, status = services.call(operation, json.loads(raw)), 200
        except RefusedError as refused:
            answer, status = json.dumps(refused.body).encode(), 400
        except (KeyError, ValueError, NotImplementedError) as error:
            answer = json.dumps({"__type": "ValidationException", "message": repr(error)}).encode()
            status = 400
        # DynamoDB sends this checksum, and boto3 computes it again.
        self._answer(status, answer, {"x-amz-crc32": str(zlib.crc32(answer))})

    def do_GET(self) -> None:
        """An object of S3, or a range of it; the tally; or what is not AWS."""
        services = self.server.services
        if self.path == "/tally":
            with services.lock:
                self._answer(200, json.dumps(services.tally()).encode())
            return
        if (other := services.elsewhere(self.path)) is not None:
            self._answer(200, other, {"X-REQUEST-ID": "OPA-BENCH"})
            return
        self._object("GetObject")

    def do_HEAD(self) -> None:
        """Whether there is an object of S3."""
        self._object("HeadObject")

    def do_PUT(self) -> None:
        """Write an object of S3; with `If-None-Match`, once."""
        services = self.server.services
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with services.lock:
            services.asked["PutObject"] += 1
            if self.headers.get("If-None-Match") == "*" and services.size(self._key()) is not None:
                self._answer(412, _IS_THERE)
                return
            services.objects[self._key()] = body
        self._answer(200, b"", {"ETag": ETAG})

    def do_DELETE(self) -> None:
        """Forget what was asked and written, or an object of S3."""
        services = self.server.services
        with services.lock:
            if self.path == "/tally":
                services.forget()
            else:
                services.asked["DeleteObject"] += 1
                services.objects.pop(self._key(), None)
        self._answer(200, b"{}")

    def handle_expect_100(self) -> bool:
        """Let the body come at once: boto3 waits a second for this before it sends an object without it."""
        answered = super().handle_expect_100()
        self.wfile.flush()
        return answered

    def log_message(self, *_arguments: object) -> None:
        """Keep quiet: a line per call is no use."""

    def _object(self, operation: str) -> None:
        services, key = self.server.services, self._key()
        with services.lock:
            services.asked[operation] += 1
            size = services.size(key)
        if size is None:
            self._answer(404, _NO_SUCH_KEY)
            return
        if self.headers.get("If-Match", ETAG) != ETAG:
            self._answer(412, _IS_THERE)
            return
        span = self.headers.get("Range", "").removeprefix("bytes=")
        first, _, last = span.partition("-")
        start, end = (int(first), min(int(last) + 1, size)) if span else (0, size)
        extent = {"Content-Range": f"bytes {start}-{end - 1}/{size}"} if span else {}
        self._head(206 if span else 200, end - start, {"ETag": ETAG, **extent})
        if operation == "GetObject":
            for block in services.content(key, start, end):
                self.wfile.write(block)
            self.wfile.flush()

    def _key(self) -> str:
        """The path without the bucket."""
        return self.path.partition("?")[0].removeprefix("/").partition("/")[2]

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self._head(status, len(body), headers or {})
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def _head(self, status: int, size: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/x-amz-json-1.0", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(size))
        self.end_headers()
