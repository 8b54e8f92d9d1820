"""What PayPay answers about a user: the three KYC reads, the state of an authorization, and unlinking."""

from collections.abc import Callable

from flask import Response, request

from sandbox.core import Core
from sandbox.dials import DialBoard
from sandbox.paypay import checks
from sandbox.paypay.answers import RefusedError, accepted
from sandbox.paypay.register import Authorization, Register, User
from sandbox.paypay.selfie import Selfies

AUTHORIZATION_ID_HEADER = "X-USER-AUTHORIZATION-ID"
FOREIGN_STATUS_SCOPE = "kyc_foreign_status"
FOREIGN_STATUS_KEYS = frozenset({"residenceType", "expiryDate"})

Find = Callable[[str], tuple[User, Authorization] | None]


class Reads:
    """The handlers of the calls that are about one linked user. Each raises RefusedError."""

    def __init__(self, core: Core, register: Register, dials: DialBoard, selfies: Selfies) -> None:
        self._core = core
        self._register = register
        self._dials = dials
        self._selfies = selfies

    def kyc_info(self) -> Response:
        """Answer "get the user's KYC information"."""
        user, link = self._linked(request.args.get("userAuthorizationId"), "get_kyc_info")
        required = request.args.get("requiredKycType", "")
        if required not in ("", "EKYC"):
            raise RefusedError("INVALID_REQUEST_PARAMS", "requiredKycType is not in the enum")
        return accepted(_kyc_data(user, link, needs_ekyc=required == "EKYC"))

    def kyc_passport(self) -> Response:
        """Answer "get the user's KYC information for KYC Passport clients"."""
        user, link = self._linked(request.headers.get(AUTHORIZATION_ID_HEADER), "mini_app_kyc_passport")
        _check_risk(user)
        return accepted(_kyc_data(user, link))

    def kyc_passport_qr(self, code_id: str) -> Response:
        """Answer "fetch KYC info of completed KYC Passport QR"."""
        body = checks.json_object(request)
        found = self._register.session_of_code(code_id)
        if found is None or found[1].expire_at <= self._core.clock.now():
            raise RefusedError("SESSION_NOT_FOUND")
        _, session = found
        verifier = checks.required_text(body, "codeVerifier", checks.MAX_CODE_VERIFIER)
        if session.link.code_challenge is None or not checks.is_verifier(verifier, session.link.code_challenge):
            raise RefusedError("INVALID_REQUEST_PARAMS", "codeVerifier does not fit the challenge")
        if session.result != "succeeded":
            raise RefusedError("KYC_PASSPORT_NOT_COMPLETED")
        named = body.get("userAuthorizationId")
        if named is not None and not isinstance(named, str):
            raise RefusedError("INVALID_REQUEST_PARAMS", "userAuthorizationId is not a text")
        user, link = self._linked(named, "kyc_passport_qr")
        if link.id != session.user_authorization_id:
            raise RefusedError("INVALID_USER_AUTHORIZATION_ID", "it is not the one of this code id")
        _check_risk(user)
        data = _kyc_data(user, link)
        return accepted({"selfieImageUrl": self._selfies.url(user, request.host_url), **data})

    def authorization(self) -> Response:
        """Answer "get user authorization status"."""
        _, link = found = self._named(request.args.get("userAuthorizationId"))
        user = found[0]
        is_active = self._register.is_active(user, link)
        return accepted(
            {
                "userAuthorizationId": link.id,
                "referenceIds": [] if user.reference_id is None else [user.reference_id],
                "status": "ACTIVE" if is_active else "INACTIVE",
                "scopes": list(link.scopes),
                "expireAt": int(link.expire_at),
                "issuedAt": int(link.issued_at),
            }
        )

    def unlink(self, authorization_id: str) -> Response:
        """Answer "unlink user"."""
        _, link = self._named(authorization_id, self._register.authorization)
        with self._core.lock:
            if link.unlinked:
                raise RefusedError("INVALID_USER_AUTHORIZATION_ID", "it is unlinked")
            link.unlinked = True
        return accepted(None)

    def _named(self, authorization_id: str | None, find: Find | None = None) -> tuple[User, Authorization]:
        if not authorization_id:
            raise RefusedError("MISSING_REQUEST_PARAMS", "the user authorization id is missing")
        if len(authorization_id) > checks.MAX_AUTHORIZATION_ID:
            raise RefusedError("INVALID_REQUEST_PARAMS", "the user authorization id is too long")
        found = (find or self._as_read)(authorization_id)
        if found is None:
            raise RefusedError("INVALID_USER_AUTHORIZATION_ID", "it is unknown")
        return found

    def _as_read(self, authorization_id: str) -> tuple[User, Authorization] | None:
        return self._register.as_read(authorization_id, self._dials.number("read_lag_s", authorization_id) or 0.0)

    def _linked(self, authorization_id: str | None, scope: str) -> tuple[User, Authorization]:
        """Return who a read is about, or refuse for the state of the link or of the account."""
        user, link = self._named(authorization_id)
        if user.account_status == "canceled":
            raise RefusedError("CANCELED_USER")
        if user.account_status == "inactive":
            raise RefusedError("USER_STATE_IS_NOT_ACTIVE")
        if link.unlinked:
            raise RefusedError("INVALID_USER_AUTHORIZATION_ID", "it is unlinked")
        if link.expire_at <= self._core.clock.now():
            raise RefusedError("EXPIRED_USER_AUTHORIZATION_ID")
        if scope not in link.scopes:
            raise RefusedError("OP_OUT_OF_SCOPE", f"the scope {scope} was not granted")
        return user, link


def _check_risk(user: User) -> None:
    if user.risk_flag is not None:
        raise RefusedError(user.risk_flag)


def _kyc_data(user: User, link: Authorization, *, needs_ekyc: bool = False) -> dict[str, object]:
    if not user.kyc.completed:
        raise RefusedError("KYC_NOT_COMPLETED")
    if needs_ekyc and not user.kyc.ekyc:
        raise RefusedError("NON_EKYC_USER")
    hidden = frozenset() if FOREIGN_STATUS_SCOPE in link.scopes else FOREIGN_STATUS_KEYS
    return {name: value for name, value in user.kyc.data.items() if name not in hidden}
