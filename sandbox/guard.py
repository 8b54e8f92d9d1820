"""Who may ask the sandbox: programs of this machine, and its own page in a browser; no other site in that browser."""

import re

from flask import Flask, abort, request

from sandbox.core import CONTROL_PREFIX

# A name that an attacker's DNS lets point to 127.0.0.1 is none of these.
_OWN_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({"same-origin", "none"})


def guard(app: Flask, page_prefix: str) -> None:
    """Refuse other hosts everywhere; and what another site sends, where it would change something.

    The providers' own endpoints are called by programs, and the consent page's address cannot be guessed: there the
    host is looked at only.
    """

    @app.before_request
    def look() -> None:
        host = request.headers.get("Host", "")
        if not _OWN_HOST.fullmatch(host):
            abort(403, "The sandbox answers under 127.0.0.1 and localhost only.")
        if request.method in _SAFE_METHODS or not request.path.startswith((CONTROL_PREFIX, page_prefix)):
            return
        # Every browser says one of the two of a form that is sent; programs say neither.
        if request.headers.get("Origin", f"http://{host}") != f"http://{host}" or (
            request.headers.get("Sec-Fetch-Site", "same-origin") not in _OWN_SITES
        ):
            abort(403, "Another site sent this: nothing was changed.")
