"""One client for the calls of the base document: account linking, authorization status, unlink, the KYC reads."""

import json
import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import requests
from pydantic import ValidationError
from requests.auth import AuthBase

from honnin import http_client, provider_text
from honnin.config import Settings
from honnin.errors import (
    MaintenanceError,
    NotSentError,
    NotUnderstoodError,
    PassportNotCompletedError,
    ProviderConfigurationError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitedError,
    SessionNotFoundError,
    UserAnswerError,
)
from honnin.event import Provider
from honnin.http_client import Answer, Deadline
from honnin.observability import logger
from honnin.pace import Pace
from honnin.paypay import outcomes, signing
from honnin.paypay.models import AccountLink, AuthorizationReading, Envelope, KycReading, UserAuthorization
from honnin.secret_store import PayPayCredentials

# docs/providers.md §1.1: use one spelling only; the signed text and the sent text must be the same.
_CONTENT_TYPE = "application/json;charset=UTF-8"

# Base document, "Create Account Linking QR Code": "Timeout: 10s"; docs/providers.md §1.2: 15 s for the others.
_QR_TIMEOUT_S = 10.0
_TIMEOUT_S = 15.0

_PAUSE_S = 0.4
_LONGEST_LINK_URL = 2000

# Answers about the user or a QR are not failures of the call.
_ANSWERS = (UserAnswerError, SessionNotFoundError, PassportNotCompletedError)


# Decides from the HTTP status and the code whether the call can use an answer.
type _Takes = Callable[[int, str | None], bool]

# A function that is called when a request begins: its turn has come (`honnin.pace`), and it is sent now. It is called
# again for each try.
type Begins = Callable[[], object]


def no_action() -> None:
    """The default: nothing is done when a request begins."""


@dataclass(frozen=True)
class _Said:
    """An answer that can be used."""

    http_status: int
    code: str | None
    data: dict[str, Any] = field(repr=False)
    request_id: str | None


class ReadCredentials(Protocol):
    """Returns the credentials; with `refresh` they are read again."""

    def __call__(self, *, refresh: bool = False) -> PayPayCredentials:
        """Read them."""


@dataclass(frozen=True)
class PayPayPaths:
    """The three URL paths that PayPay does not publish; the last one holds `{codeId}`."""

    kyc_info: str
    kyc_passport: str
    kyc_passport_qr: str


class OpaAuth(AuthBase):
    """Signs a prepared request, so the signed path, body and content type are exactly those that are sent."""

    def __init__(self, credentials: PayPayCredentials, nonce: str, epoch: int) -> None:
        self._credentials = credentials
        self._nonce = nonce
        self._epoch = epoch

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Set the Authorization header."""
        body = request.body
        request.headers["Authorization"] = signing.authorization(
            api_key=self._credentials.api_key,
            api_secret=self._credentials.api_secret,
            method=str(request.method),
            path=urlsplit(str(request.url)).path,
            nonce=self._nonce,
            epoch=self._epoch,
            content_type=request.headers.get("Content-Type"),
            body=body if isinstance(body, bytes) else None,
        )
        return request


class PayPayClient:
    """Signs and sends requests; each try gets a new signature.

    Parameters
    ----------
    assume_merchant
        Value of `X-ASSUME-MERCHANT`; if empty, the header is not sent.
    tries
        The number of tries in all, if the failure is retryable. The API's functions use 3. The event processor uses 1,
        because its queue retries.
    total_s
        Seconds for one call with all its tries. API Gateway waits 29 s for the whole answer.
    pace
        Says when a call may be made. The wait is not part of these seconds. Without it, calls are made immediately.
    """

    def __init__(
        self,
        base_url: str,
        credentials: ReadCredentials,
        *,
        paths: PayPayPaths,
        assume_merchant: str = "",
        tries: int = 1,
        total_s: float = 24.0,
        pace: Pace | None = None,
        epoch: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._base_url = base_url
        self._credentials = credentials
        self._paths = paths
        self._assume_merchant = assume_merchant
        self._tries = tries
        self._total_s = total_s
        self._pace = pace
        self._epoch = epoch
        self._sleep = sleep

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        credentials: ReadCredentials,
        *,
        tries: int,
        total_s: float,
        pace: Pace,
    ) -> "PayPayClient":
        """The client that a function's settings describe."""
        return cls(
            settings.paypay_base_url,
            credentials,
            paths=PayPayPaths(
                kyc_info=settings.paypay_kyc_info_path,
                kyc_passport=settings.paypay_kyc_passport_path,
                kyc_passport_qr=settings.paypay_kyc_passport_qr_path,
            ),
            assume_merchant=settings.paypay_assume_merchant,
            tries=tries,
            total_s=total_s,
            pace=pace,
        )

    def create_account_link(self, request: Mapping[str, Any]) -> AccountLink:
        """Create an account-link QR (`POST /v1/qr/sessions`). Raises the errors of `honnin.paypay.outcomes`.

        It may be repeated: a QR that was not shown to anybody expires unused.
        """
        said = self._call("POST", "/v1/qr/sessions", body=request, timeout_s=_QR_TIMEOUT_S)
        data, request_id = said.data, said.request_id
        url = data.get("linkQRCodeURL")
        # A phone could not read a QR with a longer text.
        if not isinstance(url, str) or not 1 <= len(url) <= _LONGEST_LINK_URL:
            raise NotUnderstoodError(
                Provider.PAYPAY,
                "PayPay answered with success, but without a usable linkQRCodeURL",
                request_id=request_id,
            )
        code_id = data.get("codeId")
        return AccountLink(url, str(code_id) if code_id and isinstance(code_id, str | int) else None, request_id)

    def user_authorization(self, user_authorization_id: str, *, begins: Begins = no_action) -> AuthorizationReading:
        """Status, scopes, reference ids and expiry of an authorization (`GET /v2/user/authorizations`)."""
        query = {"userAuthorizationId": user_authorization_id}
        said = self._call("GET", "/v2/user/authorizations", user_authorization_id, query=query, begins=begins)
        try:
            found = UserAuthorization.model_validate(said.data)
        except ValidationError:
            message = "a success without the documented authorization"
            raise NotUnderstoodError(Provider.PAYPAY, message, request_id=said.request_id) from None
        return AuthorizationReading(found, said.request_id, said.http_status)

    def unlink(self, user_authorization_id: str) -> str | None:
        """End an authorization (`DELETE /v2/user/authorizations/{id}`); returns the X-REQUEST-ID.

        It may be repeated: the second answer is that there is no such authorization, a `UserAnswerError`.
        """
        path = f"/v2/user/authorizations/{quote(user_authorization_id, safe='')}"
        return self._call("DELETE", path, user_authorization_id).request_id

    def kyc_info(
        self, user_authorization_id: str, required_kyc_type: str | None = None, *, begins: Begins = no_action
    ) -> KycReading:
        """The user's KYC information (scope get_kyc_info). `required_kyc_type` is EKYC or None.

        Like the other KYC reads, it also returns an answer with an HTTP success and a code that is in no document.
        """
        query = {"userAuthorizationId": user_authorization_id}
        if required_kyc_type:
            query["requiredKycType"] = required_kyc_type
        return self._kyc_call("GET", self._paths.kyc_info, user_authorization_id, query=query, begins=begins)

    def kyc_passport(self, user_authorization_id: str, *, begins: Begins = no_action) -> KycReading:
        """The user's KYC information for KYC Passport clients (scope mini_app_kyc_passport)."""
        headers = {"X-USER-AUTHORIZATION-ID": user_authorization_id}
        path = self._paths.kyc_passport
        return self._kyc_call("GET", path, user_authorization_id, headers=headers, begins=begins)

    def completed_kyc_passport_qr(
        self, code_id: str, code_verifier: str, user_authorization_id: str, *, begins: Begins = no_action
    ) -> KycReading:
        """The KYC information of a completed KYC Passport QR (scope kyc_passport_qr)."""
        path = self._paths.kyc_passport_qr.replace("{codeId}", quote(code_id, safe=""))
        body = {"codeVerifier": code_verifier, "userAuthorizationId": user_authorization_id}
        return self._kyc_call("POST", path, user_authorization_id, code_verifier, body=body, begins=begins)

    def _kyc_call(self, method: str, path: str, *hidden: str, **request: Any) -> KycReading:
        said = self._call(method, path, *hidden, takes=outcomes.is_kyc_answer, **request)
        return KycReading(said.data, said.request_id, said.http_status, said.code or "")

    def _call(
        self,
        method: str,
        path: str,
        *hidden: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        timeout_s: float = _TIMEOUT_S,
        takes: _Takes = outcomes.is_success,
        begins: Begins = no_action,
    ) -> _Said:
        """The first answer that `takes` accepts, after at most `tries` tries within one total deadline.

        `hidden` are values that even the merchant must not see in PayPay's message.
        """
        sent = dict(headers or {})
        if self._assume_merchant:
            sent["X-ASSUME-MERCHANT"] = self._assume_merchant
        if body is not None:
            sent["Content-Type"] = _CONTENT_TYPE
        # Serialised only once: exactly these bytes are signed and sent.
        data = json.dumps(body, ensure_ascii=False).encode() if body is not None else None

        def make_request(credentials: PayPayCredentials) -> requests.Request:
            auth = OpaAuth(credentials, secrets.token_hex(4), int(self._epoch()))
            url = self._base_url + path
            return requests.Request(method, url, params=dict(query or {}), headers=sent, data=data, auth=auth)

        deadline: Deadline | None = None
        unclear: ProviderUnavailableError | None = None
        for tried in range(1, self._tries + 1):
            if self._pace:
                self._pace.before_call()
            begins()
            deadline = deadline or Deadline(self._total_s)
            try:
                return self._try(make_request, timeout_s, deadline, hidden, takes)
            except (MaintenanceError, RateLimitedError):
                raise  # the first lasts longer than any caller waits; another try would make the second worse
            except ProviderUnavailableError as error:
                # If the last try was not sent, an earlier try may still have been.
                unclear = unclear if isinstance(error, NotSentError) else error
                pause = _PAUSE_S * 2 ** (tried - 1) * random.uniform(0.5, 1.5)
                if tried == self._tries or deadline.remaining_s < pause + 1:
                    raise unclear or error from None
                self._sleep(pause)
        raise AssertionError("tries is at least 1")

    def _try(
        self,
        make_request: Callable[[PayPayCredentials], requests.Request],
        timeout_s: float,
        deadline: Deadline,
        hidden: Sequence[str],
        takes: _Takes,
    ) -> _Said:
        def send(credentials: PayPayCredentials) -> _Said:
            request = partial(make_request, credentials)
            try:
                answer = http_client.send(Provider.PAYPAY, request, deadline=deadline, read_timeout_s=timeout_s)
                return _read(answer, hidden, takes)
            except ProviderError as error:
                if self._pace and isinstance(error, RateLimitedError):
                    self._pace.limited(error.retry_after)
                # PayPay's support asks for the X-REQUEST-ID of every failure, and a later try may hide this one.
                if not isinstance(error, _ANSWERS):
                    logger().warning("PayPay call failed", **error.logged())
                raise

        credentials = self._credentials()
        try:
            return send(credentials)
        except ProviderConfigurationError as error:
            # PayPay refused our credentials. They may have been rotated since they were cached.
            fresh = self._credentials(refresh=True) if error.code in (None, "UNAUTHORIZED") else credentials
            if fresh == credentials:
                raise
            return send(fresh)


def _read(answer: Answer, hidden: Sequence[str], takes: _Takes) -> _Said:
    said = Envelope.of(answer.body)
    if takes(answer.status, said.code):
        return _Said(answer.status, said.code, said.data, answer.request_id)
    message = provider_text.mask(said.message, hidden) if said.code else "an answer that is not the documented JSON"
    error = outcomes.error(http_status=answer.status, code=said.code, message=message, request_id=answer.request_id)
    if isinstance(error, RateLimitedError):
        error.retry_after = answer.headers.get("Retry-After")
    raise error
