"""The sandbox's page at its root: both providers' users, what a user or a reviewer would press, the last requests.

Forms and redirects only, no script. A press does what the control API does (`sandbox.paypay.control.Changes`,
`VexoraProvider.review_now`), so `honninctl trigger`, the demo and the tests have the same mechanism.
"""

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from flask import Blueprint, Response, make_response, render_template, request

from sandbox.core import ControlError
from sandbox.dials import DialError
from sandbox.page.presses import LAGS_S, delivery_of, paypay_press, setting, vexora_press
from sandbox.page.view import requests_view, settings_view, users_view
from sandbox.page.wording import LANGUAGES, Texts, language_of
from sandbox.paypay.recon import RECON_TYPES

if TYPE_CHECKING:
    from sandbox.app import Sandbox

PREFIX = "/page"
_CSP = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
_STYLE = Path(__file__).parent / "page.css"


def page_blueprint(sandbox: "Sandbox") -> Blueprint:
    """Return the page, its style sheet, and what its forms are sent to."""
    page = Blueprint("page", "sandbox.page", template_folder="templates")

    @page.after_request
    def protect(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = _CSP
        response.headers["X-Content-Type-Options"] = "nosniff"
        # A form of this page must say where it comes from (sandbox.guard); it is given to nobody else.
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["Cache-Control"] = "no-store"
        return response

    @page.get("/")
    def show() -> Response:
        return _shown(sandbox)

    @page.get(f"{PREFIX}/page.css")
    def style() -> Response:
        return Response(_STYLE.read_bytes(), mimetype="text/css")

    @page.post(f"{PREFIX}/press")
    def press() -> Response:
        found = paypay_press if request.form.get("provider") == "paypay" else vexora_press
        return _after(lambda: found(sandbox, request.form))

    @page.post(f"{PREFIX}/setting")
    def put_setting() -> Response:
        return _after(lambda: setting(sandbox, request.form))

    @page.post(f"{PREFIX}/recon-night")
    def recon_night() -> Response:
        def night() -> str:
            delivery = delivery_of(request.form)
            sandbox.paypay.recon.night(_day(sandbox, request.form), list(RECON_TYPES), request.url_root, delivery)
            return delivery

        return _after(night)

    return page


def _day(sandbox: "Sandbox", form: Mapping[str, str]) -> date | None:
    """Return the Japanese day of the files; None stands for yesterday."""
    if form.get("day") not in ("today", "yesterday"):
        raise ControlError(400, "The day must be today or yesterday.")
    return sandbox.paypay.recon.today() if form["day"] == "today" else None


def _after(press: Callable[[], str]) -> Response:
    """Do what was pressed, and send the browser back to the page, which says what came of it."""
    try:
        done = press()
    except (ControlError, DialError) as error:
        done = "wrong" if getattr(error, "status", 400) == 400 else "refused"
    query = {"lang": language_of(request), "done": "done" if done == "sent" else done}
    if search := request.form.get("q"):
        query["q"] = search
    return Response(status=303, headers={"Location": f"/?{urlencode(query)}#done"})


def _shown(sandbox: "Sandbox") -> Response:
    texts = Texts(language_of(request))
    search = request.args.get("q", "")
    with sandbox.core.lock:
        html = render_template(
            "sandbox.html",
            t=texts,
            languages=LANGUAGES,
            search=search,
            done=texts.done(request.args.get("done", "")),
            lags=LAGS_S,
            **settings_view(sandbox),
            **users_view(sandbox, search),
            requests=requests_view(sandbox, texts),
        )
    return make_response(html)
