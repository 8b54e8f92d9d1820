"""What the functions behind the merchant API share: the resolver, and every error as `application/problem+json`.

A problem names the field and the rule that it breaks, never the value: it may be personal.
"""

import binascii
import json
import math
import re
from base64 import b64decode
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.params import Path
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from honnin import aws
from honnin.errors import (
    ConcurrentUpdateError,
    ConfigurationError,
    ConflictError,
    HonninError,
    InvalidFieldError,
    MaintenanceError,
    MissingSettingError,
    PassportNotCompletedError,
    ProviderConfigurationError,
    ProviderError,
    ProviderTimeoutError,
    RateLimitedError,
    RequestError,
    SessionNotFoundError,
)
from honnin.observability import count, logger

MAX_BODY_BYTES = 64 * 1024

_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")

_USER_ID = StringConstraints(pattern=r"\A(?:[A-Za-z0-9._:@-]*[A-Za-z0-9_:@-][A-Za-z0-9._:@-]*|\.{3,})\z", max_length=64)

# A merchant's own id of a user. What is allowed is also what may stand in a URL and in a key of the table.
# A lone dot or two would be steps of a path.
UserId = Annotated[str, _USER_ID]
UserIdInPath = Annotated[
    str,
    _USER_ID,
    Path(description="The merchant's own id of the user", examples=["user-0001"]),
]

DayInPath = Annotated[
    str,
    StringConstraints(pattern=r"\A\d{4}-\d{2}-\d{2}\z"),
    Path(description="A day in Japan, yyyy-mm-dd", examples=["2026-03-31"]),
]

# UTC, ISO 8601 with milliseconds and `Z`, as `store.utc_text` writes it.
UtcTime = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class RequestModel(BaseModel):
    """What a caller sends: camelCase names only, an unknown one is an error."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")


class AnswerModel(BaseModel):
    """What we answer: built by its Python names, camelCase on the wire."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class MerchantApi:
    """The routes of one function. Build it once, on the first request."""

    def __init__(self) -> None:
        self.resolver = APIGatewayRestResolver(enable_validation=True)
        self.resolver.exception_handler(RequestValidationError)(_invalid_request)
        self.resolver.exception_handler(RequestError)(_request_error)
        self.resolver.exception_handler(ProviderError)(_provider_error)
        self.resolver.exception_handler(ConcurrentUpdateError)(_busy)
        self.resolver.exception_handler(ConfigurationError)(_configuration_error)
        self.resolver.exception_handler(Exception)(_unexpected)
        self.resolver.not_found(_no_such_route)

    def resolve(self, event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Answer one API Gateway proxy event."""
        if refusal := _unreadable(event):
            return refusal
        answer = self.resolver.resolve(dict(event), context)
        answer.setdefault("multiValueHeaders", {}).setdefault("Cache-Control", ["no-store"])
        return answer

    def webhook_api_url(self) -> str:
        """Public base URL of the webhook API, for the request at hand: a stage variable of the merchant API.

        No function has it in its environment, because the webhook API refers to functions and, with a canary, through
        alarms to all of them (`tests/template/test_matrix.py`). Raises `MissingSettingError`.
        """
        variables = self.resolver.current_event.raw_event.get("stageVariables") or {}
        if not (url := str(variables.get("webhookApiUrl", ""))):
            raise MissingSettingError("webhookApiUrl (a stage variable of the merchant API)")
        return url.rstrip("/")


def answers(*statuses: int) -> dict[int, OpenAPIResponse]:
    """What one route answers, for `responses=` of the resolver and so for docs/openapi.json: its 2xx, its own problems.

    The problems that every route has (400, 422, 500, …) are added by `operations.openapi`.
    """
    return {status: {"description": HTTPStatus(status).phrase} for status in statuses}


def problem(status: int, title: str, detail: str = "", **members: Any) -> Response[str]:
    """A problem of RFC 9457; `members` with the value None are left out."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **members}
    return Response(
        status_code=status,
        content_type="application/problem+json",
        body=json.dumps({name: value for name, value in body.items() if value not in (None, "")}, ensure_ascii=False),
        headers={"Cache-Control": "no-store"},
    )


def _unreadable(event: Mapping[str, Any]) -> dict[str, Any] | None:
    """The answer to a body that no handler should see: of another type, too large, not JSON, nested without end."""
    text = event.get("body") or ""
    if text and _content_type(event) not in ("", "application/json"):
        return _proxy(415, "The body must be application/json")
    try:
        body = b64decode(text, validate=True) if event.get("isBase64Encoded") else text.encode()
        if len(body) > MAX_BODY_BYTES:
            return _proxy(413, "The body is larger than 64 KiB")
        value = json.loads(body.decode(), parse_constant=_refuse, parse_float=_finite) if body else {}
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is no text that anybody could send on
    except (binascii.Error, ValueError, RecursionError):
        return _proxy(400, "The body is not JSON in UTF-8")
    return None if isinstance(value, dict) else _proxy(400, "The body is not a JSON object")


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number that no double can hold")
    return number


def _content_type(event: Mapping[str, Any]) -> str:
    for name, value in (event.get("headers") or {}).items():
        if name.lower() == "content-type":
            return str(value).partition(";")[0].strip().lower()
    return ""


def _proxy(status: int, title: str) -> dict[str, Any]:
    answer = problem(status, title)
    return {
        "statusCode": answer.status_code,
        "headers": {"Content-Type": "application/problem+json", "Cache-Control": "no-store"},
        "body": answer.body,
    }


def _invalid_request(error: RequestValidationError) -> Response[str]:
    errors = [{"field": _field(each["loc"]), "rule": _rule(each)} for each in error.errors()]
    title = InvalidFieldError.title
    return problem(422, title, f"{errors[0]['field']}: {errors[0]['rule']}", errors=errors)


def _field(loc: tuple[Any, ...]) -> str:
    # ("body", "usernameFurigana") -> usernameFurigana. An unknown field's own name is the caller's text: a key
    # such as {"テスト ハナコ": 1} must not come back either, so only plain names are repeated.
    names = [str(part) for part in loc[1:]] or [str(loc[0])]
    indexes = {str(part) for part in loc if isinstance(part, int)}
    return ".".join(name if _PLAIN_NAME.fullmatch(name) or name in indexes else "?" for name in names)


def _rule(error: Mapping[str, Any]) -> str:
    if error["type"] == "missing":
        return "is required"
    if error["type"] == "extra_forbidden":
        return "is not a field of this request"
    # Pydantic's sentences name limits and patterns, not input.
    return str(error["msg"])


def _request_error(error: RequestError) -> Response[str]:
    members: dict[str, Any] = {}
    if isinstance(error, InvalidFieldError):
        members["errors"] = [{"field": error.field, "rule": error.rule}]
    if isinstance(error, ConflictError):
        members |= {"state": error.state, "submissionId": error.submission_id}
    return problem(error.status, error.title, str(error), **members)


def _provider_error(error: ProviderError) -> Response[str]:
    logger().warning("provider call failed", **error.logged())
    count("ProviderCallFailed", provider=error.provider, error=type(error).__name__)
    if isinstance(error, ProviderConfigurationError):
        count("ConfigurationFault")
    status, retry_after_s = _outward(error)
    answer = problem(
        status,
        "The provider did not take the request",
        error.message,
        provider=error.provider,
        providerCode=error.code,
        providerRequestId=error.request_id,
        state=error.state,
    )
    if retry_after_s:
        answer.headers["Retry-After"] = str(retry_after_s)
    return answer


def _outward(error: ProviderError) -> tuple[int, int]:
    """The HTTP status that a provider's failure has for the merchant, and after how many seconds to try again."""
    match error:
        case SessionNotFoundError():
            return 404, 0
        case PassportNotCompletedError():
            return 409, 0
        case RateLimitedError():
            return 503, 5
        case MaintenanceError():
            return 503, 300
        case ProviderTimeoutError():
            return 504, 0
        case _:
            return 502, 0


def _busy(_error: ConcurrentUpdateError) -> Response[str]:
    answer = problem(503, "The user is being changed by others at this moment", "Try again.")
    answer.headers["Retry-After"] = "1"
    return answer


def _configuration_error(error: ConfigurationError) -> Response[str]:
    logger().error("configuration fault", error=type(error).__name__, reason=str(error))
    count("ConfigurationFault")
    return problem(500, "This deployment is not configured completely", str(error))


def _unexpected(error: Exception) -> Response[str]:
    # The message of an unknown error could hold anything, so only its type and place are logged.
    trace, place = error.__traceback__, ""
    while trace:
        place, trace = f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}", trace.tb_next
    unexpected = not isinstance(error, HonninError | BotoCoreError | ClientError)
    logger().error("unexpected error", error=type(error).__name__, place=place, unexpected=unexpected)
    if aws.is_denied(error):
        count("ConfigurationFault")
    elif unexpected:
        count("UnexpectedError")
    return problem(500, "Something went wrong here", "It has been logged; try again.")


def _no_such_route(_error: Exception) -> Response[str]:
    return problem(404, HTTPStatus.NOT_FOUND.phrase)
