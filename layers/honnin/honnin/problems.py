"""Every error as `application/problem+json` (RFC 9457), and the one table from provider failures to problems.

A problem names the field and the rule that it breaks, never the value, because it may be personal. docs/api.md has the
same table; tests/template/test_api_document.py compares them.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError

from honnin import aws, field_rules, provider_text
from honnin.errors import (
    ConcurrentUpdateError,
    ConfigurationError,
    ConflictError,
    HonninError,
    InvalidFieldError,
    MaintenanceError,
    NotSentError,
    NotUnderstoodError,
    PassportNotCompletedError,
    ProviderConfigurationError,
    ProviderError,
    ProviderRefusedError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitedError,
    RequestError,
    SecretUnreadableError,
    SessionNotFoundError,
)
from honnin.event import Provider
from honnin.observability import count, count_for_alarm, is_unexpected, logger
from honnin.problem_codes import ProblemCode

# The first row that matches is used. The provider's HTTP status decides only if the answer has no meaning of its own.
OUTCOMES: tuple[tuple[type[ProviderError], int | None, ProblemCode], ...] = (
    (SessionNotFoundError, None, ProblemCode.PASSPORT_QR_EXPIRED),
    (PassportNotCompletedError, None, ProblemCode.PASSPORT_NOT_COMPLETED),
    (ProviderConfigurationError, None, ProblemCode.PROVIDER_CONFIGURATION),
    (ProviderRefusedError, None, ProblemCode.PROVIDER_REFUSED),
    (NotSentError, None, ProblemCode.PROVIDER_NOT_REACHED),
    (ProviderTimeoutError, None, ProblemCode.PROVIDER_TIMEOUT),
    (RateLimitedError, None, ProblemCode.PROVIDER_RATE_LIMITED),
    (MaintenanceError, None, ProblemCode.PROVIDER_MAINTENANCE),
    (ProviderUnavailableError, 429, ProblemCode.PROVIDER_RATE_LIMITED),
    (ProviderUnavailableError, 503, ProblemCode.PROVIDER_UNAVAILABLE),
    (NotUnderstoodError, None, ProblemCode.PROVIDER_NOT_UNDERSTOOD),
    (ProviderError, None, ProblemCode.PROVIDER_FAILED),
)

_DETAILS = {
    ProblemCode.PROVIDER_CONFIGURATION: "The operator must correct credentials, scopes, source address or contract.",
    ProblemCode.PROVIDER_NOT_REACHED: "You may repeat the same call.",
    ProblemCode.PROVIDER_TIMEOUT: "It is not known whether the call took effect. A read may be repeated.",
    ProblemCode.USER_BUSY: "Try again.",
    ProblemCode.AWS_BUSY: "Try again.",
    ProblemCode.UNEXPECTED: "The error has been logged. Try again.",
}


def problem(code: ProblemCode, detail: str = "", **members: Any) -> Response[str]:
    """The answer for `code`; `members` with the value None are left out."""
    body = {
        "type": code.type,
        "code": code.value,
        "title": code.summary,
        "status": code.status,
        "detail": detail or _DETAILS.get(code),
        **members,
    }
    headers: dict[str, str | list[str]] = {"Cache-Control": "no-store"}
    if code.retry_after_s:
        headers["Retry-After"] = str(code.retry_after_s)
    return Response(
        status_code=code.status,
        content_type="application/problem+json",
        body=json.dumps({name: value for name, value in body.items() if value not in (None, "")}, ensure_ascii=False),
        headers=headers,
    )


def proxy_answer(code: ProblemCode, detail: str) -> dict[str, Any]:
    """The same for an error before Powertools runs: an answer of a Lambda proxy integration."""
    answer = problem(code, detail)
    return {"statusCode": answer.status_code, "headers": dict(answer.headers), "body": answer.body}


def outcome(error: ProviderError) -> ProblemCode:
    """The problem that the merchant gets for a provider's failure."""
    for kind, http_status, code in OUTCOMES:
        if isinstance(error, kind) and http_status in (None, error.http_status):
            return code
    raise AssertionError("the last row takes every ProviderError")


def handlers(values: Callable[[], Iterable[str]]) -> dict[type[Exception], Callable[[Any], Response[str]]]:
    """The handler of each kind of error. `values` gives the values of the present request, which no answer repeats."""
    return {
        RequestValidationError: _invalid_request,
        RequestError: lambda error: _request_error(error, values()),
        ProviderError: lambda error: _provider_error(error, values()),
        ConcurrentUpdateError: lambda _: problem(ProblemCode.USER_BUSY),
        ConfigurationError: _configuration_error,
        Exception: _unexpected,
    }


def _invalid_request(error: RequestValidationError) -> Response[str]:
    errors = field_rules.broken(error)
    return problem(ProblemCode.FIELD_INVALID, f"{errors[0]['field']}: {errors[0]['rule']}", errors=errors)


def _request_error(error: RequestError, values: Iterable[str]) -> Response[str]:
    members: dict[str, Any] = {}
    if isinstance(error, InvalidFieldError):
        members["errors"] = [{"field": error.field, "rule": error.rule}]
    if isinstance(error, ConflictError):
        members |= {
            "state": error.state,
            "submissionId": error.submission_id,
            "providerCode": provider_text.code(error.provider_code, values),
        }
    return problem(error.code, str(error), **members)


def _provider_error(error: ProviderError, values: Iterable[str]) -> Response[str]:
    logger().warning("provider call failed", **error.logged())
    count("ProviderCallFailed", provider=error.provider, error=type(error).__name__)
    if error.provider == Provider.VEXORA and type(error) is ProviderRefusedError:
        count_for_alarm("VexoraRefused")
    if isinstance(error, ProviderConfigurationError):
        count_for_alarm("ConfigurationFault")
    sent = list(values)
    # Without a code it is our own sentence about an answer that had no message.
    message = provider_text.mask(error.message, sent) if error.code else None
    return problem(
        outcome(error),
        provider=error.provider,
        providerCode=provider_text.code(error.code, sent),
        providerMessage=message,
        providerRequestId=provider_text.code(error.request_id, sent),
        state=error.state,
    )


def _configuration_error(error: ConfigurationError) -> Response[str]:
    if isinstance(error, SecretUnreadableError) and error.transient:
        logger().warning("a secret could not be read now", reason=str(error))
        return problem(ProblemCode.AWS_BUSY)
    logger().error("configuration fault", error=type(error).__name__, reason=str(error))
    count_for_alarm("ConfigurationFault")
    return problem(ProblemCode.DEPLOYMENT_INCOMPLETE, str(error))


def _unexpected(error: Exception) -> Response[str]:
    # The message of an unknown error could contain personal data, so only its type and place are logged.
    trace, place = error.__traceback__, ""
    while trace:
        place, trace = f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}", trace.tb_next
    if _is_passing(error):
        logger().warning("AWS is busy", error=type(error).__name__, place=place)
        return problem(ProblemCode.AWS_BUSY)
    unexpected = is_unexpected(error)
    logger().error("unexpected error", error=type(error).__name__, place=place, unexpected=unexpected)
    if aws.is_denied(error):
        count_for_alarm("ConfigurationFault")
    elif unexpected:
        count_for_alarm("UnexpectedError")
    return problem(ProblemCode.UNEXPECTED)


def _is_passing(error: BaseException | None) -> bool:
    """Whether this error is temporary, or the error from which it was raised (as Powertools does)."""
    if error is None:
        return False
    # An error of ours that stands for one of AWS's (`VaultError`, `PublishError`) has this as an attribute.
    known = isinstance(error, HonninError) and error.retryable
    return known or aws.is_transient(error) or _is_passing(error.__cause__)
