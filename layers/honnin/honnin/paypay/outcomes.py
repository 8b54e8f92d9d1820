"""The typed error for each answer of PayPay's that is not a success.

`honnin.status.RESULT_CODES` has the meaning of each code. An unknown code is kept unchanged in the error and handled by
its HTTP class; with an HTTP success it is not understood.
"""

from collections.abc import Mapping

from honnin.errors import (
    MaintenanceError,
    NotUnderstoodError,
    PassportNotCompletedError,
    ProviderConfigurationError,
    ProviderError,
    ProviderRefusedError,
    ProviderUnavailableError,
    RateLimitedError,
    SessionNotFoundError,
    UserAnswerError,
)
from honnin.event import Provider
from honnin.status import RESULT_CODES, CallOutcome

_ACCEPTED = 202

# Too many requests: the request was not processed. Accepted: it will be processed later.
_WHATEVER_THE_CODE = {429: CallOutcome.RATE_LIMITED, _ACCEPTED: CallOutcome.LATER}

_BY_OUTCOME: Mapping[CallOutcome, type[ProviderError]] = {
    CallOutcome.REQUEST_WRONG: ProviderRefusedError,
    CallOutcome.DEPLOYMENT_WRONG: ProviderConfigurationError,
    CallOutcome.QR_SESSION_GONE: SessionNotFoundError,
    CallOutcome.QR_NOT_COMPLETED: PassportNotCompletedError,
    CallOutcome.LATER: ProviderUnavailableError,
    CallOutcome.RATE_LIMITED: RateLimitedError,
    CallOutcome.MAINTENANCE: MaintenanceError,
}


def error(*, http_status: int, code: str | None, message: str, request_id: str | None) -> ProviderError:
    """The typed error of an answer that is not a success."""
    meaning = _WHATEVER_THE_CODE.get(http_status) or RESULT_CODES.get(code or "")
    kind: type[ProviderError]
    match meaning:
        case CallOutcome():
            kind = _BY_OUTCOME[meaning]
        case None:
            kind = _by_http_class(http_status, code)
        case _:
            kind = UserAnswerError
    return kind(Provider.PAYPAY, message or "no message", http_status=http_status, code=code, request_id=request_id)


def is_success(http_status: int, code: str | None) -> bool:
    """Whether an answer says that the call was done: 202 means wait (docs/providers.md §1.2)."""
    return _is_done(http_status) and code == "SUCCESS"


def is_kyc_answer(http_status: int, code: str | None) -> bool:
    """Whether an answer to a KYC read says something about the user and is no documented failure.

    That is a success, or a code that is in no table. Such a code verifies no user, but it is PayPay's answer.
    """
    return _is_done(http_status) and code is not None and code not in RESULT_CODES


def _is_done(http_status: int) -> bool:
    return 200 <= http_status < 300 and http_status != _ACCEPTED


def _by_http_class(http_status: int, code: str | None) -> type[ProviderError]:
    if code == "SUCCESS" and http_status < 500:
        return NotUnderstoodError  # a contradiction
    # Without PayPay's envelope the answer is not from the API. It may come from the system before it (its allow-list of
    # addresses), or the path may not exist (three of our paths are not published).
    if http_status == 401 or (http_status in (403, 404, 405, 407) and code is None):
        return ProviderConfigurationError
    if 400 <= http_status < 500 and http_status != 408:
        return ProviderRefusedError
    if http_status >= 500 or http_status == 408:
        return ProviderUnavailableError
    # A redirect, or a success that cannot be read or has a code that is in no table.
    return NotUnderstoodError
