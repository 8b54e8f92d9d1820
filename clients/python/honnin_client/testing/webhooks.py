"""A receiver of Honnin's webhooks on this machine, for one test."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from honnin_client.testing.sandbox import Sandbox
from honnin_client.testing.stacks import StackError
from honnin_client.testing.waiting import until
from honnin_client.webhooks import InvalidWebhookError, Webhook, verify

_SHOWN = 10


class MerchantWebhooks:
    """Takes and verifies what Honnin sends, of whoever uses the stack meanwhile: ask by user.

    `url` is where it listens, `secret` what it verifies with. `answer` is the status for a webhook that is Honnin's:
    set it to 500, say, and Honnin tries again.
    """

    def __init__(self, sandbox: Sandbox, secret: str | None) -> None:
        if secret is None:
            raise StackError("This stack sends no webhooks: it was started without the sandbox or MerchantWebhookUrl.")
        self.secret = secret
        self.answer = 204
        self._taken: list[Webhook] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhooks"
        self._registered: AbstractContextManager[None] = sandbox.webhooks_to(self.url)

    def __enter__(self) -> MerchantWebhooks:
        self._thread.start()
        self._registered.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._registered.__exit__(kind, error, trace)
        finally:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def received(self, user_id: str | None = None) -> list[Webhook]:
        """What was answered with 2xx by now, in this order and with repeats; about one user if `user_id` is given."""
        return [each for each in list(self._taken) if user_id in (None, each.raw.get("userId"))]

    def wait(self, type: str, *, user_id: str | None = None, to: str | None = None, timeout: float = 60.0) -> Webhook:  # noqa: A002
        """The first one of `type`, such as `kyc.status.changed`, whether it has come already or not.

        `to` is the status that it tells. Raises `TooLateError` after `timeout` seconds, with what has come.
        """

        def look() -> Webhook | None:
            fitting = (
                each for each in self.received(user_id) if each.type == type and to in (None, each.raw.get("to"))
            )
            return next(fitting, None)

        def otherwise() -> str:
            came = "; ".join(f"{each.type} {each.raw.get('to', '')}" for each in self.received(user_id)[-_SHOWN:])
            return f"No webhook {type} came within {timeout:g} s, but: {came or '-'}."

        return until(look, timeout, otherwise)

    def _take(self, body: bytes, headers: dict[str, str]) -> int:
        try:
            webhook = verify(body, headers, self.secret)
        except InvalidWebhookError:
            return 401
        answer = self.answer
        if 200 <= answer < 300:
            self._taken.append(webhook)
        return answer

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                self.send_response(take(body, dict(self.headers.items())))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Write nothing beside the test's own output."""

        return Handler
