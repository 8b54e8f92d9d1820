"""The threaded server, on 127.0.0.1 unless told otherwise: `running()` for tests and for `python -m sandbox`.

Connections on which a provider's API was called are kept alive, as the providers' own are; so a client has pooled
ones, and they can die unseen (`sandbox.unkind`, form `drop`).
"""

import io
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from sandbox.app import Sandbox, SandboxConfig, create_app
from sandbox.faults import reset_connection
from sandbox.paypay.provider import PayPayProvider
from sandbox.unkind import DROP, KEEP_ALIVE
from sandbox.vexora.provider import VexoraProvider

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

HOST = "127.0.0.1"
IDLE_S = 60.0
# Enough for a client on this machine to have read an answer.
_READ_S = 0.1
_MAX_READ_BYTES = 16 * 1024 * 1024


class PortInUseError(Exception):
    """The port cannot be bound; the text is a plain sentence on what to do."""


@dataclass(frozen=True)
class RunningSandbox:
    """A sandbox that listens at `url`."""

    url: str
    sandbox: Sandbox

    @property
    def vexora(self) -> VexoraProvider:
        """The Vexora side, for dials and for looking at users in process."""
        return self.sandbox.vexora

    @property
    def vexora_base_url(self) -> str:
        """What Honnin's `VexoraBaseUrl` must be."""
        return f"{self.url}/japan"

    @property
    def paypay(self) -> PayPayProvider:
        """The PayPay side, for dials and for looking at users in process."""
        return self.sandbox.paypay

    @property
    def paypay_base_url(self) -> str:
        """What Honnin's `PayPayBaseUrl` must be."""
        return self.url


class _Handler(WSGIRequestHandler):
    """Serves the requests of one connection. werkzeug's own handler closes it after each, which hides dead ones."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    open_connections: ClassVar[set[socket.socket]]

    def setup(self) -> None:
        super().setup()
        self.open_connections.add(self.connection)

    def finish(self) -> None:
        self.open_connections.discard(self.connection)
        with suppress(OSError):
            super().finish()

    def run_wsgi(self) -> None:
        """Answer one request; leave the connection open, closed or dead, as the application says."""
        if self.headers.get("Expect", "").strip().lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.environ = environ = self.make_environ()
        try:
            self._read_body(environ)
            self._answer(environ)
        except OSError:  # a dial broke the connection, or the client went away
            self.close_connection = True
        except Exception:
            self.close_connection = True
            traceback.print_exc(file=sys.stderr)
        else:
            self._drop(environ.get(DROP))

    def _read_body(self, environ: "WSGIEnvironment") -> None:
        # All of it, or the rest would be taken for the next request.
        if environ.get("wsgi.input_terminated"):
            body = environ["wsgi.input"].read()
        else:
            length = int(environ.get("CONTENT_LENGTH") or 0)
            body = self.rfile.read(min(length, _MAX_READ_BYTES))
            self.close_connection |= length > _MAX_READ_BYTES
        environ["wsgi.input"] = io.BytesIO(body)
        environ["wsgi.input_terminated"] = True

    def _answer(self, environ: "WSGIEnvironment") -> None:
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], _exc_info: object = None) -> object:
            started[:] = [(status, headers)]
            return self.wfile.write

        blocks = self.server.app(environ, start_response)  # type: ignore[arg-type]
        try:
            status, headers = started[0]
            self._write(environ, status, headers, blocks)
        finally:
            if (close := getattr(blocks, "close", None)) is not None:
                close()

    def _write(
        self, environ: "WSGIEnvironment", status: str, headers: list[tuple[str, str]], blocks: Iterable[bytes]
    ) -> None:
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        has_body = self.command != "HEAD" and int(code) not in (204, 304)
        is_chunked = has_body and all(name.lower() != "content-length" for name, _ in headers)
        if is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        if not environ.get(KEEP_ALIVE) or self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        for block in blocks:
            if block and has_body:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block) if is_chunked else block)
        if is_chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _drop(self, how: object) -> None:
        """Let the connection die without notice: closed, reset while idle, or forgotten as a NAT gateway does."""
        if how is None or self.close_connection:
            return
        self.close_connection = True
        if how == "rst":
            time.sleep(_READ_S)
            reset_connection(self.connection)
        elif how == "unseen":  # no sign until the next request is written
            with suppress(OSError):
                self.connection.recv(1, socket.MSG_PEEK)
            reset_connection(self.connection)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Print no line per request."""

    def log_error(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
        """Print nothing about connections that idled out or broke."""


class _VerboseHandler(_Handler):
    """Prints a line per request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        WSGIRequestHandler.log_request(self, code, size)


@contextmanager
def running(config: SandboxConfig | None = None) -> Iterator[RunningSandbox]:
    """Run a sandbox in threads of this process until the block ends. Raises PortInUseError."""
    config = config or SandboxConfig()
    sandbox = Sandbox(config)
    connections: set[socket.socket] = set()
    server = _listen(sandbox, config, connections)
    # A short poll, because shutdown() waits for it.
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="sandbox-server", daemon=True)
    sandbox.core.start()
    thread.start()
    try:
        yield RunningSandbox(f"http://{HOST}:{server.port}", sandbox)
    finally:
        sandbox.core.stop()
        server.shutdown()
        thread.join(timeout=2)
        for connection in list(connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _listen(sandbox: Sandbox, config: SandboxConfig, connections: set[socket.socket]) -> BaseWSGIServer:
    # We bind ourselves: werkzeug would print its own words and exit when the port is taken.
    base = _VerboseHandler if config.verbose else _Handler
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((config.host, config.port))
            listener.listen(128)
        except OSError as error:
            raise PortInUseError(
                f"The sandbox cannot listen on {config.host}:{config.port} ({error.strerror}): "
                "stop the program that uses the port, or choose another with --port."
            ) from None
        return make_server(
            config.host,
            listener.getsockname()[1],
            create_app(sandbox),
            threaded=True,
            request_handler=type("_Connection", (base,), {"open_connections": connections}),
            fd=listener.fileno(),  # the server takes a duplicate of it
        )
