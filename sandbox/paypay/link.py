"""Account linking: the QR, the consent page, and the way back with a response token."""

from collections.abc import Callable
from urllib.parse import urlencode, urlsplit, urlunsplit

import requests
from flask import Blueprint, Response, make_response, render_template, request

from sandbox.core import Core
from sandbox.dials import DialBoard
from sandbox.journal import request_notes
from sandbox.paypay import checks, variants
from sandbox.paypay.account import PayPayAccount
from sandbox.paypay.answers import accepted
from sandbox.paypay.register import LinkSession, Register, User
from sandbox.paypay.response_token import response_token

PATH = "/paypay/link"
DECISIONS = {"allow": "succeeded", "decline": "declined"}
# Redirects are known to come twice within a second.
SECOND_REDIRECT_S = 0.4
VISIT_TIMEOUT_S = 10.0
# Scopes in plain words: Japanese, English.
SCOPES = {
    "get_kyc_info": ("本人確認情報（氏名・生年月日・住所など）", "Your verified identity: name, birthday, address"),
    "kyc_foreign_status": ("在留資格と在留期間", "Your status of residence and period of stay"),
    "mini_app_kyc_passport": ("本人確認情報とその更新", "Your verified identity, and changes to it"),
    "kyc_passport_qr": ("QRコードによる本人確認の結果と顔写真", "The result of this identity check, with your photo"),
}

Visit = Callable[[str], int | None]


def visit(url: str) -> int | None:
    """GET a URL as a browser would, and return the HTTP status, or None without an answer."""
    try:
        with requests.Session() as session:
            session.trust_env = False
            return session.get(url, timeout=VISIT_TIMEOUT_S, allow_redirects=False).status_code
    except requests.RequestException:
        return None


class Linking:
    """Creates account-link sessions, shows the consent page and sends the browser back."""

    def __init__(self, core: Core, account: PayPayAccount, register: Register, dials: DialBoard) -> None:
        self.visit: Visit = visit
        self._core = core
        self._account = account
        self._register = register
        self._dials = dials

    def create(self) -> Response:
        """Answer "create account linking QR code". Raises RefusedError."""
        link = checks.link_request(checks.json_object(request), self._account.pkce_key())
        user = link.reference_id
        checks.check_contract(
            link, self._dials.value("forbidden_scopes", user), self._dials.value("forbidden_domains", user)
        )
        session = self._register.open_session(link, self._dials.number("session_ttl_s", user) or 0.0)
        data = {"linkQRCodeURL": f"{request.host_url.rstrip('/')}{PATH}/{session.page_id}"}
        if session.code_id is not None:
            data["codeId"] = session.code_id
        return accepted(data, 201)

    def blueprint(self) -> Blueprint:
        """Return the consent page: GET shows it, POST with the form field `decision` answers it."""
        pages = Blueprint("paypay_link", "sandbox.paypay", template_folder="templates")

        @pages.get(f"{PATH}/<page_id>")
        def show(page_id: str) -> Response:
            return self._on_page(page_id, self._consent)

        @pages.post(f"{PATH}/<page_id>")
        def decide(page_id: str) -> Response:
            return self._on_page(page_id, self._decide)

        return pages

    def _on_page(self, page_id: str, handle: Callable[[User, LinkSession], Response]) -> Response:
        found = self._register.session_of_page(page_id)
        if found is None:
            return _message(404, "このリンクは見つかりません。", "This link does not exist.")
        user, session = found
        request_notes().user_id = user.key
        if self._dials.text("maintenance", user.key) == "on":
            return _message(503, "ただいまメンテナンス中です。", "Sorry, we are down for scheduled maintenance.")
        if session.result is None and session.expire_at <= self._core.clock.now():
            return _message(410, "このリンクの有効期限が切れました。", "This link has expired.")
        return handle(user, session)

    def _consent(self, user: User, session: LinkSession) -> Response:
        if session.result is not None:
            return _message(200, "このリンクは使用済みです。", "This link has been used.")
        page = render_template(
            "consent.html",
            merchant=self._account.merchant_name,
            profile=user.profile_identifier,
            scopes=[(scope, *SCOPES.get(scope, (scope, scope))) for scope in session.link.scopes],
            target=urlsplit(session.link.redirect_url).netloc or session.link.redirect_url,
        )
        return _page(page, 200)

    def _decide(self, user: User, session: LinkSession) -> Response:
        result = DECISIONS.get(request.form.get("decision", ""))
        if result is None:
            return _message(400, "許可または拒否を選んでください。", "Please choose allow or decline.")
        with self._core.lock:
            if session.location is None:  # a second press leads to the same place
                self._close(user, session, result)
                if self._dials.text("double_redirect", user.key) == "on":
                    self._plan_second_visit(user, str(session.location))
        return Response(status=303, headers={"Location": str(session.location), "Cache-Control": "no-store"})

    def _close(self, user: User, session: LinkSession, decision: str) -> None:
        is_broken = self._dials.text("link_result", user.key) == "bad_request"
        session.result = "bad_request" if is_broken else decision
        claims: dict[str, object] = {"result": session.result, "nonce": session.link.nonce}
        if session.link.reference_id is not None:
            claims["referenceId"] = session.link.reference_id
        if session.result == "succeeded":
            days = self._dials.number("validity_days", user.key) or 0.0
            granted = self._register.grant(user, session.link.scopes, days)
            session.user_authorization_id = granted.id
            claims["userAuthorizationId"] = granted.id
            claims["profileIdentifier"] = user.profile_identifier
        dice = self._core.unkindness.dice("paypay/token", user.key, self._dials.value("unkind", user.key))
        token = response_token(
            self._account,
            variants.claims(claims, dice),
            now=self._core.clock.now(),
            ttl_s=self._dials.number("token_ttl_s", user.key) or 0.0,
            kind=self._dials.text("token", user.key) or "good",
        )
        session.location = with_query(session.link.redirect_url, {"responseToken": token})

    def _plan_second_visit(self, user: User, location: str) -> None:
        def go() -> None:
            status = self.visit(location)
            shown = urlunsplit(urlsplit(location)._replace(query="", fragment=""))
            self._core.journal.sent(
                shown, user_id=user.key, status=status, signature_ok=None, detail="second redirect", method="GET"
            )

        if urlsplit(location).scheme in ("http", "https"):
            self._core.schedule.after(SECOND_REDIRECT_S, lambda: self._core.courier.spawn(go))


def with_query(url: str, fields: dict[str, str]) -> str:
    """Return `url` with `fields` added to its query."""
    parts = urlsplit(url)
    query = "&".join(part for part in (parts.query, urlencode(fields)) if part)
    return urlunsplit(parts._replace(query=query))


def _message(status: int, japanese: str, english: str) -> Response:
    return _page(render_template("message.html", japanese=japanese, english=english), status)


def _page(html: str, status: int) -> Response:
    page = make_response(html, status)
    page.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    page.headers["Cache-Control"] = "no-store"
    page.headers["Referrer-Policy"] = "no-referrer"
    return page
