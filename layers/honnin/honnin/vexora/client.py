"""The two calls to Vexora: `kycApplyFor` and `kycStatusQuery`."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

import requests

from honnin import http_client
from honnin.errors import (
    NotUnderstoodError,
    ProviderError,
    ProviderRefusedError,
    ProviderUnavailableError,
    RateLimitedError,
)
from honnin.event import Provider
from honnin.http_client import Answer, Deadline
from honnin.observability import count
from honnin.pace import Pace
from honnin.secret_store import VexoraCredentials
from honnin.vexora import models, signing
from honnin.vexora.models import Reading

# docs/providers.md §2: 8000 is the system error; every other code but 0000 is a failure.
_SYSTEM_ERROR = "8000"
_TOO_MANY = 429


class ReadCredentials(Protocol):
    """Returns the credentials; with `refresh` they are read again."""

    def __call__(self, *, refresh: bool = False) -> VexoraCredentials:
        """Read them."""


class VexoraClient:
    """Signs and sends requests. Each call is tried once; the caller decides whether a second call is right.

    Parameters
    ----------
    total_s
        Seconds that one call may take in all, including name resolution and a second try with new credentials.
    pace
        Says when a call may be made. The wait is not part of these seconds. Without it, calls are made immediately.
    """

    def __init__(
        self,
        base_url: str,
        credentials: ReadCredentials,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        total_s: float = 20.0,
        pace: Pace | None = None,
    ) -> None:
        self._base_url = base_url
        self._credentials = credentials
        self._now_ms = now_ms
        self._total_s = total_s
        self._pace = pace

    def check_configuration(self) -> None:
        """If the credentials are not set, raise `SecretIncompleteError` now, before anything is written."""
        self._credentials()

    def apply(self, *, user_id: str, username_furigana: str, callback_url: str) -> Reading:
        """Submit a user (`POST /v1/vexora/kycApplyFor`, multipart) and return Vexora's answer.

        Raises
        ------
        ProviderRefusedError
            The application was refused, so Vexora does not have it.
        NotSentError
            No byte of the application was sent, so the call may be made again.
        ProviderUnavailableError
            Anything else (no answer, 429, an answer that is not understood): it is unknown whether the application has
            arrived. Do not apply again without asking; use `query_status`.
        """
        fields = {
            "userId": user_id,
            "callBackUrl": callback_url,
            "usernameFurigana": username_furigana,
        }
        reading = self._call("/v1/vexora/kycApplyFor", fields, user_id, multipart=True)
        return replace(reading, call=models.APPLY_FOR)

    def query_status(self, user_id: str) -> Reading:
        """Ask for a user (`POST /v1/vexora/kycStatusQuery`, JSON).

        Raises
        ------
        ProviderRefusedError
            Vexora answered with a failing code (an unknown user, a wrong signature).
        ProviderUnavailableError
            Ask again later; the call changes nothing.
        """
        return self._call("/v1/vexora/kycStatusQuery", {"userId": user_id}, user_id, multipart=False)

    def _call(self, path: str, fields: Mapping[str, str], user_id: str, *, multipart: bool) -> Reading:
        if self._pace:
            self._pace.before_call()
        deadline = Deadline(self._total_s)
        credentials = self._credentials()
        try:
            return _reading(self._send(path, fields, credentials, deadline, multipart=multipart), user_id)
        except ProviderRefusedError:
            # A wrong `sign` is a refusal like any other (the codes are not published). The credentials may have been
            # rotated since they were cached. Only then may the call be repeated, because a refused application was not
            # accepted.
            fresh = self._credentials(refresh=True)
            if fresh == credentials:
                raise
        return _reading(self._send(path, fields, fresh, deadline, multipart=multipart), user_id)

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
            # `timestamp` is signed, so every try needs a new signature.
            signed = {**fields, "timestamp": str(self._now_ms())}
            signed["sign"] = signing.sign(signed, credentials.app_secret)
            return requests.Request(
                "POST",
                self._base_url + path,
                headers={"merchantNo": credentials.merchant_no, "Accept": "application/json"},
                files={name: (None, value) for name, value in signed.items()} if multipart else None,
                json=None if multipart else signed,
            )

        # An application must not be made twice, so it is sent on a new connection, never on one that may be dead.
        answer = http_client.send(Provider.VEXORA, make_request, deadline=deadline, fresh=multipart)
        if self._pace and answer.status == _TOO_MANY:
            self._pace.limited(answer.headers.get("Retry-After"))
        return answer


def _reading(answer: Answer, user_id: str) -> Reading:
    """The reading from a complete answer. Raises the error that the answer stands for, if it is no reading."""
    if answer.status == _TOO_MANY:
        raise _failure(RateLimitedError, answer, None, "too many requests")
    try:
        envelope = models.read(answer.body)
        if 200 <= answer.status < 300 and envelope.code == models.SUCCESS:
            envelope.check_success()
        elif envelope.code not in (None, models.SUCCESS):
            envelope.check_failure()
    except models.ContradictionError as contradiction:
        raise _failure(NotUnderstoodError, answer, None, f"the answer contradicts itself: {contradiction}") from None
    except ValueError:
        raise _by_http_status(answer, None, "the answer is not the documented JSON") from None
    if not 200 <= answer.status < 300 or envelope.code != models.SUCCESS:
        raise _by_http_status(answer, envelope.code, envelope.message or "no message")
    if envelope.status is None:
        raise _failure(
            NotUnderstoodError,
            answer,
            envelope.code,
            "the answer says success, but has no documented authenticationStatus",
        )
    if envelope.user_id not in (None, user_id):
        # In the document's own example, the userId of the answer is not the one that was sent.
        count("AnsweredUserDiffers", provider=Provider.VEXORA)
    return Reading(envelope.status, envelope.reason, answer.request_id, answer.body)


def _by_http_status(answer: Answer, code: str | None, message: str) -> ProviderError:
    """The error for an answer without a reading: not understood, unavailable, or refused."""
    if code == models.SUCCESS or (answer.status < 400 and code is None) or 300 <= answer.status < 400:
        return _failure(NotUnderstoodError, answer, code, message)
    if answer.status == 408 or answer.status >= 500 or code == _SYSTEM_ERROR:
        return _failure(ProviderUnavailableError, answer, code, message)
    return _failure(ProviderRefusedError, answer, code, message)


def _failure[E: ProviderError](kind: type[E], answer: Answer, code: str | None, message: str) -> E:
    return kind(Provider.VEXORA, message, http_status=answer.status, code=code, request_id=answer.request_id)
