"""The threaded server, on 127.0.0.1 only: `running()` for tests and for `python -m sandbox`."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from sandbox.app import Sandbox, SandboxConfig, create_app
from sandbox.paypay.provider import PayPayProvider
from sandbox.vexora.provider import VexoraProvider

HOST = "127.0.0.1"


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
    """Ends a connection that a dial broke; says nothing about requests."""

    protocol_version = "HTTP/1.1"

    def connection_dropped(self, error: BaseException, environ: object = None) -> None:  # noqa: ARG002
        """Wait for no further request on it."""
        self.close_connection = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Print no line per request."""


class _VerboseHandler(_Handler):
    """Prints a line per request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        WSGIRequestHandler.log_request(self, code, size)


@contextmanager
def running(config: SandboxConfig | None = None) -> Iterator[RunningSandbox]:
    """Run a sandbox in threads of this process until the block ends. Raises PortInUseError."""
    config = config or SandboxConfig()
    sandbox = Sandbox(config)
    server = _listen(sandbox, config)
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


def _listen(sandbox: Sandbox, config: SandboxConfig) -> BaseWSGIServer:
    # We bind ourselves: werkzeug would print its own words and exit when the port is taken.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, config.port))
            listener.listen(128)
        except OSError as error:
            raise PortInUseError(
                f"The sandbox cannot listen on {HOST}:{config.port} ({error.strerror}): "
                "stop the program that uses the port, or choose another with --port."
            ) from None
        return make_server(
            HOST,
            listener.getsockname()[1],
            create_app(sandbox),
            threaded=True,
            request_handler=_VerboseHandler if config.verbose else _Handler,
            fd=listener.fileno(),  # the server takes a duplicate of it
        )
