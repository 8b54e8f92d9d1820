"""An HTTP peer on 127.0.0.1 that misbehaves as told, and one that serves a file."""

import hashlib
import os
import socket
import socketserver
import struct
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self


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
    before the declared length. `framing` says how the end of the body is marked: by `Content-Length` (`says_length`
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


class RawServer:
    """A peer on 127.0.0.1 that sends the same bytes to each that connects, once a request has come, and closes.

    `url` has no trailing slash. `pieces` are sent one by one, `pause_s` between two; with `forever`
    the last one again and again.
    """

    def __init__(self, *pieces: bytes, pause_s: float = 0, forever: bool = False) -> None:
        self.pieces, self.pause_s, self.forever = pieces, pause_s, forever
        self.requests: list[bytes] = []
        self.stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._threads:
            each.join(5)

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._answer, args=(peer,), daemon=True))
            self._threads[-1].start()

    def _answer(self, peer: socket.socket) -> None:
        with peer:
            request = b""
            while b"\r\n\r\n" not in request and (more := peer.recv(65_536)):
                request += more
            self.requests.append(request)
            try:
                for each in self.pieces:
                    peer.sendall(each)
                    self.stopping.wait(self.pause_s)
                while self.forever and not self.stopping.is_set():
                    peer.sendall(self.pieces[-1])
                    self.stopping.wait(self.pause_s)
            except OSError:
                return  # the client has had enough
