"""What each result code of PayPay means for us: a typed error, grouped as in docs/providers.md §1.2.

The codes are those of the base document, "Response code list" and the tables under it. An unknown code is kept
verbatim in the error and treated by its HTTP class; on an HTTP success it is not understood.
"""

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

_ACCEPTED = 202

_BY_CODE: dict[str, type[ProviderError]] = {
    # Our request was wrong: repeating it is of no use.
    "INVALID_REQUEST_PARAMS": ProviderRefusedError,
    "MISSING_REQUEST_PARAMS": ProviderRefusedError,
    "INVALID_PARAMS": ProviderRefusedError,
    # Our deployment or contract is wrong: a person must act.
    "UNAUTHORIZED": ProviderConfigurationError,
    "OP_OUT_OF_SCOPE": ProviderConfigurationError,
    "EXPECTATION_FAILED": ProviderConfigurationError,
    # Answers about the user: they become a status.
    "CANCELED_USER": UserAnswerError,
    "INVALID_USER_AUTHORIZATION_ID": UserAnswerError,
    "EXPIRED_USER_AUTHORIZATION_ID": UserAnswerError,
    "USER_STATE_IS_NOT_ACTIVE": UserAnswerError,
    "KYC_NOT_COMPLETED": UserAnswerError,
    "NON_EKYC_USER": UserAnswerError,
    "UNACCEPTABLE_OP": UserAnswerError,
    "KYC_UPDATE_REQUIRED": UserAnswerError,
    # Answers about one KYC Passport QR.
    "SESSION_NOT_FOUND": SessionNotFoundError,
    "KYC_PASSPORT_NOT_COMPLETED": PassportNotCompletedError,
    # Try again later. REQUEST_ACCEPTED (202) only says that something will be done.
    "REQUEST_ACCEPTED": ProviderUnavailableError,
    "RATE_LIMIT": RateLimitedError,
    "SERVICE_ERROR": ProviderUnavailableError,
    "INTERNAL_SERVER_ERROR": ProviderUnavailableError,
    "MAINTENANCE_MODE": MaintenanceError,
}


def error(*, http_status: int, code: str | None, message: str, request_id: str | None) -> ProviderError:
    """The typed error of an answer that is not a success."""
    # Too many requests, whatever else it says: what is behind the limit has not looked at the request.
    known = None if http_status == 429 else _BY_CODE.get(code or "")
    kind = known or _by_http_class(http_status, code)
    return kind(Provider.PAYPAY, message or "no message", http_status=http_status, code=code, request_id=request_id)


def is_success(http_status: int, code: str | None) -> bool:
    """Whether an answer says that the call was done: 202 means wait (docs/providers.md §1.2)."""
    return 200 <= http_status < 300 and http_status != _ACCEPTED and code == "SUCCESS"


def _by_http_class(http_status: int, code: str | None) -> type[ProviderError]:
    if http_status == 429:
        return RateLimitedError
    if code == "SUCCESS" and http_status < 500 and http_status != _ACCEPTED:
        return NotUnderstoodError  # a contradiction
    # Without PayPay's envelope it was not the API that answered, but what stands before it (its allow-list of
    # addresses), or a path that does not exist (three of ours are not published).
    if http_status == 401 or (http_status in (403, 404, 405, 407) and code is None):
        return ProviderConfigurationError
    if 400 <= http_status < 500 and http_status != 408:
        return ProviderRefusedError
    if http_status >= 500 or http_status in (408, _ACCEPTED):
        return ProviderUnavailableError
    # A redirect, a success that cannot be read or has a code of no table.
    return NotUnderstoodError
