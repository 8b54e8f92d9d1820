"""The PayPay side: its endpoints behind the signature check, with the faults that the dials say."""

import re
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import unquote

from flask import Blueprint, Response, request

from sandbox import faults
from sandbox.core import Core
from sandbox.dials import DialBoard
from sandbox.explained import explain
from sandbox.journal import request_notes
from sandbox.paypay import answers, variants
from sandbox.paypay.account import PayPayAccount, WebhookUrls
from sandbox.paypay.answers import RefusedError
from sandbox.paypay.control import Changes, control_blueprint
from sandbox.paypay.dial_table import DIALS
from sandbox.paypay.link import Linking
from sandbox.paypay.reads import AUTHORIZATION_ID_HEADER, Reads
from sandbox.paypay.recon import ReconFiles, recon_names
from sandbox.paypay.register import Register
from sandbox.paypay.selfie import Selfies
from sandbox.paypay.signature import Gate, SignatureError, SignedRequest
from sandbox.paypay.webhooks import Notifier
from sandbox.unkind import Dice, Document, worsen

QR_SESSIONS_PATH = "/v1/qr/sessions"
AUTHORIZATIONS_PATH = "/v2/user/authorizations"
MERCHANT_HEADER = "X-ASSUME-MERCHANT"

Handle = Callable[[], Response]


class PayPayProvider:
    """The simulated PayPay for one merchant."""

    def __init__(self, core: Core, account: PayPayAccount) -> None:
        self.register = Register(core.clock, core.lock)
        self.dials = DialBoard(DIALS, core.lock, self._dial_names)
        self.urls = WebhookUrls(account.webhook_urls, core.lock)
        self.notifier = Notifier(core, self.register, self.dials, self.urls)
        self.recon = ReconFiles(core, account, self.register, self.dials, self.notifier)
        self.changes = Changes(core, self.register, self.dials, self.notifier)
        self.linking = Linking(core, account, self.register, self.dials)
        self._core = core
        self._account = account
        self._gate = Gate(account.api_key, account.api_secret, core.clock, core.lock)
        self._selfies = Selfies(core, self.dials)
        self._reads = Reads(core, self.register, self.dials, self._selfies)

    def reset(self) -> None:
        """Forget all users, sessions, nonces, recon files and what is held back. The webhook URLs stay."""
        self.register.clear()
        self.notifier.reset()
        self.recon.reset()
        self._selfies.reset()
        self._gate.reset()

    def blueprints(self) -> Sequence[Blueprint]:
        """Return the API, the pages and files for URLs, and the control endpoints under `/_sandbox/paypay`."""
        control = control_blueprint(self.changes, self.register, self.urls, self.recon)
        pages = (self.linking.blueprint(), self._selfies.blueprint(), self.recon.blueprint())
        return (self._wire(), *pages, control)

    def _dial_names(self, name: str) -> Sequence[str]:
        """Return every name of a user or of a recon file under which its dials may have been set."""
        own, *others = recon_names(name)
        return [*self.register.names(own), *others]

    def _wire(self) -> Blueprint:
        wire = Blueprint("paypay", "sandbox")
        paths = self._account.paths

        def by_query() -> str | None:
            return request.args.get("userAuthorizationId")

        @wire.post(QR_SESSIONS_PATH)
        def link() -> Response:
            return self._serve("link", _in_body("referenceId"), self.linking.create)

        @wire.get(AUTHORIZATIONS_PATH)
        def authorization() -> Response:
            return self._serve("authorization", by_query(), self._reads.authorization)

        @wire.delete(f"{AUTHORIZATIONS_PATH}/<authorization_id>")
        def unlink(authorization_id: str) -> Response:
            return self._serve("unlink", authorization_id, lambda: self._reads.unlink(authorization_id))

        @wire.get(paths.kyc_info)
        def kyc_info() -> Response:
            return self._serve("kyc_info", by_query(), self._reads.kyc_info)

        @wire.get(paths.kyc_passport)
        def kyc_passport() -> Response:
            named = request.headers.get(AUTHORIZATION_ID_HEADER)
            return self._serve("kyc_passport", named, self._reads.kyc_passport)

        @wire.post(paths.kyc_passport_qr.replace("{codeId}", "<code_id>"))
        def kyc_passport_qr(code_id: str) -> Response:
            found = self.register.session_of_code(code_id)
            named = found[0].key if found is not None else _in_body("userAuthorizationId")
            return self._serve("kyc_passport_qr", named, lambda: self._reads.kyc_passport_qr(code_id))

        return wire

    def _serve(self, endpoint: str, user: str | None, handle: Handle) -> Response:
        # Counted and looked up for its dials before any check: a refused call was sent, too.
        user = user or None
        if user is not None:
            self.register.count(user, endpoint)
        request_notes().user_id = user

        dice = self._dice(endpoint, user)
        found = self._answer(endpoint, user, handle)
        if isinstance(found, faults.UnansweredResponse):
            return found
        if isinstance(found, Document):
            variants.vary(found.document, endpoint, dice)
            _echo(found.document, user, dice)
        if found.status_code == 201 and dice.takes("created_as_ok"):
            found.status_code = 200
        if not dice.takes("no_request_id"):
            found.headers[answers.REQUEST_ID_HEADER] = answers.new_request_id()
        return worsen(found, dice, promises_json=True)

    def _dice(self, call: str, user: str | None) -> Dice:
        # By the merchant's own id where there is one: authorization ids differ from run to run.
        known = self.register.find(user) if user is not None else None
        key = user if known is None else known.key
        return self._core.unkindness.dice(f"paypay/{call}", key, self.dials.value("unkind", user))

    def _answer(self, endpoint: str, user: str | None, handle: Handle) -> Response:
        def answer() -> Response:
            try:
                return handle()
            except RefusedError as refusal:
                return _refusal(refusal)

        if self.dials.text("maintenance", user) == "on":
            return answers.refused("MAINTENANCE_MODE")
        try:
            self._authenticate(user)
        except RefusedError as refusal:
            return _refusal(refusal)
        fault = self.dials.take_fault(f"{endpoint}_fault", user)
        if fault is None:
            return answer()
        return faults.play(fault, answer, self._core.hold, _OWN_FAULTS)

    def _authenticate(self, user: str | None) -> None:
        """Check the signature and the merchant. Raises RefusedError."""
        notes = request_notes()
        signed = SignedRequest(
            method=request.method,
            path=_wire_path(),
            content_type=request.headers.get("Content-Type", ""),
            body=request.get_data(),
        )
        authorization = request.headers.get("Authorization")
        explain(self._gate.explanation(authorization, signed, _ids_in(signed.path)))
        try:
            self._gate.check(authorization, signed)
        except SignatureError as error:
            notes.signature_ok = False
            raise RefusedError("UNAUTHORIZED", str(error)) from None
        notes.signature_ok = True
        if request.headers.get(MERCHANT_HEADER, self._account.merchant_id) != self._account.merchant_id:
            # Not published. At its least helpful it answers that merchant, whose user this is not.
            is_answered = self.dials.text("wrong_merchant", user) == "answered"
            code = "INVALID_USER_AUTHORIZATION_ID" if is_answered else "UNAUTHORIZED"
            raise RefusedError(code, f"the header {MERCHANT_HEADER} names another merchant")


def _wire_path() -> str:
    # As it came over the wire: Flask's own `path` is decoded, and the signature covers the encoded one.
    raw = str(request.environ.get("RAW_URI") or request.path)
    return re.sub(r"^https?://[^/]*", "", raw).partition("?")[0]


def _ids_in(path: str) -> list[str]:
    """Return the authorization ids and code ids of a path, as they stand in it."""
    ids = (request.view_args or {}).values()
    return [each for each in path.split("/") if unquote(each) in ids]


def _in_body(name: str) -> str | None:
    body = request.get_json(force=True, silent=True)
    value = body.get(name) if isinstance(body, dict) else None
    return value if isinstance(value, str) else None


def _refusal(refusal: RefusedError) -> Response:
    request_notes().detail = refusal.detail or None
    return answers.refused(refusal.code)


def _echo(document: dict[str, object], user: str | None, dice: Dice) -> None:
    """Let the text of a refusal repeat the authorization id of the request."""
    info = document["resultInfo"]
    if isinstance(info, dict) and info["code"] != "SUCCESS" and info.get("message") and user and dice.takes("echo"):
        info["message"] = f"{info['message']} [{user}]"


def _refuse(fault: faults.Fault) -> Response:
    code = (fault.code or "A_NEW_CODE") if fault.kind == "refuse" else fault.kind
    return answers.refused(code, status=fault.status, message=fault.message)


def _malformed(_fault: faults.Fault) -> Response:
    return Response('{"resultInfo": {"code": "SUCC', 200, mimetype="application/json")


_OWN_FAULTS: Mapping[str, Callable[[faults.Fault], Response]] = {
    **dict.fromkeys([*answers.FAILURES, "refuse"], _refuse),
    "malformed": _malformed,
}
