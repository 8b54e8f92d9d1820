"""The two calls to Vexora: `kycApplyFor` and `kycStatusQuery`."""

import time
from collections.abc import Callable, Mapping
from typing import Protocol

import requests
from pydantic import ValidationError

from honnin import http_client
from honnin.errors import ProviderError, ProviderRefusedError, ProviderUnavailableError
from honnin.http_client import Answer, Deadline
from honnin.secret_store import VexoraCredentials
from honnin.vexora import signing
from honnin.vexora.models import CodeOnly, Envelope

PROVIDER = "vexora"

# Document, "Response Result": "When the value is 0000, it only indicates that this API request succeeded".
_SUCCESS = "0000"
# providers.md §2: 8000 is the system error; every other code but 0000 is a failure.
_SYSTEM_ERROR = "8000"


class ReadCredentials(Protocol):
    """Gives the credentials; with `refresh` read anew."""

    def __call__(self, *, refresh: bool = False) -> VexoraCredentials:
        """Read them."""


class VexoraClient:
    """Signs and sends. One try a call: whoever calls decides whether asking again is right.

    Parameters
    ----------
    total_s
        Seconds that one call may take in all, name resolution and a second try with fresh credentials included.
    """

    def __init__(
        self,
        base_url: str,
        credentials: ReadCredentials,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        total_s: float = 20.0,
    ) -> None:
        self._base_url = base_url
        self._credentials = credentials
        self._now_ms = now_ms
        self._total_s = total_s

    def check_configuration(self) -> None:
        """Raise `SecretIncompleteError` now, before anything is written, if the credentials are not set."""
        self._credentials()

    def apply(self, *, user_id: str, username_furigana: str, callback_url: str) -> str:
        """Submit a user (`POST /v1/vexora/kycApplyFor`, multipart) and return `authenticationStatus`, "0" to "3".

        Raises
        ------
        ProviderRefusedError
            The application was refused: it is not at the provider.
        ProviderTimeoutError, ProviderUnavailableError
            Whether the application arrived is not known. Never apply again blindly; ask `query_status`.
        """
        fields = {
            "userId": user_id,
            "callBackUrl": callback_url,
            "usernameFurigana": username_furigana,
        }
        return self._call("/v1/vexora/kycApplyFor", fields, user_id, multipart=True)

    def query_status(self, user_id: str) -> str:
        """Ask for a user (`POST /v1/vexora/kycStatusQuery`, JSON); returns `authenticationStatus`, "0" to "3".

        Raises
        ------
        ProviderRefusedError
            Vexora answered with a failing code (an unknown user, a wrong signature).
        ProviderTimeoutError, ProviderUnavailableError
            Ask again later; the call changes nothing.
        """
        return self._call("/v1/vexora/kycStatusQuery", {"userId": user_id}, user_id, multipart=False)

    def _call(self, path: str, fields: Mapping[str, str], user_id: str, *, multipart: bool) -> str:
        deadline = Deadline(self._total_s)
        credentials = self._credentials()
        try:
            return _authentication_status(self._send(path, fields, credentials, deadline, multipart=multipart), user_id)
        except ProviderRefusedError:
            # A wrong `sign` is a refusal like any other (the codes are not published): the credentials may have been
            # rotated since we cached them. Only then is it right to ask again: what was refused was not taken.
            fresh = self._credentials(refresh=True)
            if fresh == credentials:
                raise
        return _authentication_status(self._send(path, fields, fresh, deadline, multipart=multipart), user_id)

    def _send(
        self,
        path: str,
        fields: Mapping[str, str],
        credentials: VexoraCredentials,
        deadline: Deadline,
        *,
        multipart: bool,
    ) -> Answer:
        def make_request() -> requests.Request:
            # `timestamp` is signed, so every try is signed anew.
            signed = {**fields, "timestamp": str(self._now_ms())}
            signed["sign"] = signing.sign(signed, credentials.app_secret)
            return requests.Request(
                "POST",
                self._base_url + path,
                headers={"merchantNo": credentials.merchant_no, "Accept": "application/json"},
                files={name: (None, value) for name, value in signed.items()} if multipart else None,
                json=None if multipart else signed,
            )

        # An application must not be made twice: it never meets a kept-alive connection that may be dead.
        return http_client.send(PROVIDER, make_request, deadline=deadline, fresh=multipart)


def _authentication_status(answer: Answer, user_id: str) -> str:
    request_id = answer.headers.get("X-REQUEST-ID")
    try:
        outcome = CodeOnly.model_validate_json(answer.body)
    except ValidationError:
        raise _by_http_status(answer, None, "an answer that is not the documented JSON", request_id) from None
    if not 200 <= answer.status < 300 or outcome.code != _SUCCESS:
        raise _by_http_status(answer, outcome.code, outcome.msg[:200] or "no message", request_id)
    try:
        data = Envelope.model_validate_json(answer.body).data
    except ValidationError:
        data = None
    if data is None or data.user_id != user_id or data.authentication_status not in ("0", "1", "2", "3"):
        raise ProviderUnavailableError(
            PROVIDER,
            "a success without a documented authenticationStatus for this user",
            http_status=answer.status,
            code=outcome.code,
            request_id=request_id,
        )
    return data.authentication_status


def _by_http_status(answer: Answer, code: str | None, message: str, request_id: str | None) -> ProviderError:
    """An unclear failure (429, 5xx, system error, unreadable 2xx) or a refusal (4xx, a failing code)."""
    unclear = (
        answer.status in (408, 429)
        or answer.status >= 500
        or code == _SYSTEM_ERROR
        or (answer.status < 400 and code in (None, _SUCCESS))
    )
    kind = ProviderUnavailableError if unclear else ProviderRefusedError
    return kind(PROVIDER, message, http_status=answer.status, code=code, request_id=request_id)
