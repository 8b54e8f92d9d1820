"""The console's door: loopback, a secret in the path, GET and nothing else.

The standard library's server does: one reader, a handful of pages, and every rule about who may read stands here in
one file instead of in a framework's settings.

Who else could ask, and what stops them: another machine (127.0.0.1 only); another user of this machine, or a page in
the caller's own browser (the token in the path); a page whose name was made to point to 127.0.0.1 (the Host header);
a script or frame of another site that has got the address (Origin, Sec-Fetch-Site, frame-ancestors). Nothing that can
be asked changes anything.
"""

import hmac
import secrets
import socketserver
import threading
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from honninctl.console.page import Asked, Page, plain
from honninctl.console.pages import Pages
from honninctl.failures import UsageError

LOOPBACK = "127.0.0.1"

_TOKEN_BYTES = 24
# Chromium opens connections ahead and leaves them idle.
_IDLE_S = 30
_MOST_QUERY_FIELDS = 8
_HEADERS = {
    # No script at all; style, icon and forms of the console's own; no frame around it.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Nothing of a user stays on the disk.
    "Cache-Control": "no-store",
    "Connection": "close",
}


class ConsoleServer(socketserver.ThreadingTCPServer):
    """Serves `pages` on 127.0.0.1; use it as a context. `url` is the address with its token."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, pages: Pages, port: int) -> None:
        self._pages = pages
        # The AWS clients behind the pages are made on first use, which is not safe in two threads at once.
        self._one_at_a_time = threading.Lock()
        super().__init__((LOOPBACK, port), _Handler)
        self.host = f"{LOOPBACK}:{self.server_address[1]}"
        self.token = secrets.token_urlsafe(_TOKEN_BYTES)
        self.url = f"http://{self.host}/{self.token}/"

    def page(self, asked: Asked) -> Page:
        """The page for a request that was let in."""
        with self._one_at_a_time:
            return self._pages.page(asked)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a browser that hangs up is no error, and a traceback could show values."""


def listen(pages: Pages, port: int) -> ConsoleServer:
    """A server that listens, and is still to be served from. Raises `UsageError` for a port that cannot be had."""
    try:
        return ConsoleServer(pages, port)
    except OSError as error:
        raise UsageError(
            f"port {port} of {LOOPBACK} cannot be used ({error.strerror}); --port 0 uses a free one"
        ) from None


@dataclass(frozen=True)
class _Refusal:
    status: HTTPStatus
    reason: str


class _Handler(BaseHTTPRequestHandler):
    server: ConsoleServer
    timeout = _IDLE_S

    def do_GET(self) -> None:
        """Answer one request, or refuse it."""
        refusal = _refusal(self.server, self.headers, self.path)
        if refusal:
            self._answer(plain(refusal.status, refusal.reason))
            return
        target = urlsplit(self.path)
        try:
            fields = dict(parse_qsl(target.query, max_num_fields=_MOST_QUERY_FIELDS))
        except ValueError:
            self._answer(plain(HTTPStatus.BAD_REQUEST, "That query cannot be read."))
            return
        steps = tuple(unquote(each) for each in target.path.split("/")[2:])
        languages = self.headers.get("Accept-Language", "")
        self._answer(self.server.page(Asked(f"/{self.server.token}", steps, fields, languages)))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """The base class's refusals, without what was sent. Every method but GET is one."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            self._answer(plain(HTTPStatus.METHOD_NOT_ALLOWED, "The console can only be read."))
        else:
            self._answer(plain(HTTPStatus(code), "That request cannot be read."))

    def version_string(self) -> str:
        """No version of anything."""
        return "honninctl"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the base class's name
        """Nothing: paths hold the token and ids of users."""

    def _answer(self, page: Page) -> None:
        self.send_response(page.status)
        for name, value in {**_HEADERS, **page.headers}.items():
            self.send_header(name, value)
        if page.status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET")
        if page.location:
            self.send_header("Location", page.location)
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(page.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page.body)


def _refusal(server: ConsoleServer, headers: Message, path: str) -> _Refusal | None:
    """Why a request is not let in, or None."""
    if headers.get_all("Host") != [server.host]:
        return _Refusal(HTTPStatus.MISDIRECTED_REQUEST, "The console has no such name.")
    if any(each != f"http://{server.host}" for each in headers.get_all("Origin", [])):
        return _Refusal(HTTPStatus.FORBIDDEN, "Other sites may not read the console.")
    if _is_part_of_another_site(headers):
        return _Refusal(HTTPStatus.FORBIDDEN, "Other sites may not read the console.")
    # From bytes: compare_digest takes no text beyond ASCII.
    given = path.split("/")[1] if path.startswith("/") else ""
    if not hmac.compare_digest(given.encode(), server.token.encode()) or path == f"/{server.token}":
        return _Refusal(HTTPStatus.NOT_FOUND, "There is nothing here.")
    return None


def _is_part_of_another_site(headers: Message) -> bool:
    """Whether another site's page loads this as a part of itself. To be led here by a link is all right: the page that
    opens the browser does it."""
    return (
        headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
        and headers.get("Sec-Fetch-Dest") != "document"
    )
