"""The console's door: loopback, a secret in the path, GET to read and POST to act, and nothing else.

The standard library's server does: one reader, a handful of pages, and every rule about who may read stands here in
one file instead of in a framework's settings.

Who else could ask, and what stops them: another machine (127.0.0.1 only); another user of this machine, or a page in
the caller's own browser (the token in the path); a page whose name was made to point to 127.0.0.1 (the Host header);
a script, form or frame of another site that has got the address (Origin, Sec-Fetch-Site, frame-ancestors). A GET
changes nothing but the access record. A POST has to say that it comes from this console's own page, and carries what
only such a page could give it (`confirmations`). A read-only console takes no POST at all.
"""

import hmac
import re
import secrets
import socketserver
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from honninctl.console.page import Asked, Page, plain
from honninctl.console.pages import Pages
from honninctl.failures import UsageError
from honninctl.language import _

LOOPBACK = "127.0.0.1"

_TOKEN_BYTES = 24
# Chromium opens connections ahead and leaves them idle.
_IDLE_S = 30
_MOST_QUERY_FIELDS = 8
# A form: a reason of 500 characters is at most 6,000 bytes.
_MOST_FORM_FIELDS = 12
_LONGEST_FORM = 16 * 1024
_ONLY_READ = "The console can only be read."
_DIGITS = re.compile("[0-9]{1,9}")
_FORM = "application/x-www-form-urlencoded"
_HEADERS = {
    # No script at all; style, icon and forms of the console's own; no frame around it.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With no-referrer, a browser sends "Origin: null" with the console's own forms (Fetch, "append a request Origin
    # header"), as another site's form does. Other sites get neither address nor token this way.
    "Referrer-Policy": "same-origin",
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

    @property
    def is_read_only(self) -> bool:
        """Whether it takes no form."""
        return self._pages.is_read_only

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
        said = _("port {port} of {host} cannot be used ({why}); --port 0 uses a free one")
        raise UsageError(said.format(port=port, host=LOOPBACK, why=error.strerror)) from None


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
        else:
            self._ask(None)

    def do_POST(self) -> None:
        """Take one form of the console's own, or refuse it."""
        # Read before anything else: a connection that is closed on unread bytes loses the answer, too.
        body = self._body()
        refusal = (
            _refusal(self.server, self.headers, self.path)
            or (_Refusal(HTTPStatus.FORBIDDEN, _ONLY_READ) if self.server.is_read_only else None)
            or _refusal_of_form(self.server, self.headers)
        )
        form = None if refusal else _form(body)
        if refusal or form is None:
            refusal = refusal or _Refusal(HTTPStatus.BAD_REQUEST, "That form cannot be read.")
            self._answer(plain(refusal.status, refusal.reason))
        else:
            self._ask(form)

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        return self.rfile.read(min(int(length), _LONGEST_FORM)) if _DIGITS.fullmatch(length) else b""

    def _ask(self, form: Mapping[str, str] | None) -> None:
        target = urlsplit(self.path)
        try:
            fields = dict(parse_qsl(target.query, max_num_fields=_MOST_QUERY_FIELDS))
        except ValueError:
            self._answer(plain(HTTPStatus.BAD_REQUEST, "That query cannot be read."))
            return
        steps = tuple(unquote(each) for each in target.path.split("/")[2:])
        languages = self.headers.get("Accept-Language", "")
        self._answer(self.server.page(Asked(f"/{self.server.token}", steps, fields, languages, form)))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """The base class's refusals, without what was sent. Every method but GET and POST is one."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            told = _ONLY_READ if self.server.is_read_only else "There is no such method."
            self._answer(plain(HTTPStatus.METHOD_NOT_ALLOWED, told))
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
            self.send_header("Allow", "GET" if self.server.is_read_only else "GET, POST")
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


def _refusal_of_form(server: ConsoleServer, headers: Message) -> _Refusal | None:
    """Why a form is not taken, or None. Every browser says where a form comes from; what says nothing is none."""
    if headers.get_all("Origin") != [f"http://{server.host}"]:
        return _Refusal(HTTPStatus.FORBIDDEN, "A form must come from the console's own page.")
    if headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return _Refusal(HTTPStatus.FORBIDDEN, "A form must come from the console's own page.")
    if headers.get_content_type() != _FORM:
        return _Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "That is not a form.")
    lengths = headers.get_all("Content-Length", [])
    if headers.get("Transfer-Encoding") or len(lengths) != 1 or not _DIGITS.fullmatch(lengths[0]):
        return _Refusal(HTTPStatus.LENGTH_REQUIRED, "The length of the form is not known.")
    if int(lengths[0]) > _LONGEST_FORM:
        return _Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "That form is too long.")
    return None


def _form(body: bytes) -> Mapping[str, str] | None:
    """The fields of a form; None for what cannot be read, or names a field twice."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FORM_FIELDS
        )
    except ValueError:
        return None
    form = dict(pairs)
    return form if len(form) == len(pairs) else None


def _is_part_of_another_site(headers: Message) -> bool:
    """Whether another site's page loads this as a part of itself. To be led here by a link is all right: the page that
    opens the browser does it."""
    return (
        headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
        and headers.get("Sec-Fetch-Dest") != "document"
    )
