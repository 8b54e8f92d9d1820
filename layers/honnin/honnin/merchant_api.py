"""Shared by the functions behind the merchant API: the resolver, the base classes of models, and common parameters."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from re import Match
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.openapi.params import Path
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from honnin import api_request, problems, provider_text
from honnin.api_request import MAX_BODY_BYTES, ApiRequest, UnreadableError
from honnin.errors import MissingSettingError
from honnin.field_rules import known, pattern
from honnin.problem_codes import ProblemCode

__all__ = [
    "MAX_BODY_BYTES",
    "AnswerModel",
    "Day",
    "DayInPath",
    "Line",
    "MerchantApi",
    "RequestModel",
    "ShortLine",
    "UserId",
    "UserIdInPath",
    "UtcTime",
    "answers",
]

_USER_ID = StringConstraints(
    pattern=pattern(
        r"\A(?:[A-Za-z0-9._:@-]*[A-Za-z0-9_:@-][A-Za-z0-9._:@-]*|\.{3,})\z",
        "must be letters, digits and . _ : @ - only, and not one or two dots alone",
    ),
    max_length=64,
)

# A merchant's own id of a user. The allowed characters are those that are safe in a URL and in a key of the table. An
# id of only one or two dots is not allowed, because it would be a step in a path.
UserId = Annotated[str, _USER_ID]
UserIdInPath = Annotated[
    str,
    _USER_ID,
    Path(description="The merchant's own id of the user", examples=["user-0001"]),
]

# Control characters, line separators, and marks that change the direction of text.
_UNPRINTABLE = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
_ONE_LINE = pattern(
    rf"\A[^\s{_UNPRINTABLE}](?:[^{_UNPRINTABLE}]*[^\s{_UNPRINTABLE}])?\z",
    "must be text on one line, not empty, and without control characters or spaces around it",
)

# What people write for people, such as a reason.
Line = Annotated[str, StringConstraints(pattern=_ONE_LINE, max_length=200)]
ShortLine = Annotated[str, StringConstraints(pattern=_ONE_LINE, max_length=64)]

_DAY = StringConstraints(pattern=pattern(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\z", "must be a day as yyyy-mm-dd"))

Day = Annotated[str, _DAY]
DayInPath = Annotated[
    str,
    _DAY,
    Path(description="A day in Japan (yyyy-mm-dd)", examples=["2026-03-31"]),
]

# UTC, ISO 8601 with milliseconds and `Z`, as `store.utc_text` writes it.
UtcTime = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class RequestModel(BaseModel):
    """What a caller sends: camelCase names only, an unknown one is an error."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    @classmethod
    def __pydantic_init_subclass__(cls, **_kwargs: Any) -> None:
        """Store the names of the fields: the answer 422 repeats no other names."""
        known(each.alias or name for name, each in cls.model_fields.items())


class AnswerModel(BaseModel):
    """What we answer: built by its Python names, camelCase on the wire."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class _Resolver(APIGatewayRestResolver):
    """Powertools routes by the path as it was sent.

    Each parameter is decoded after that, so `%2F` does not split it.
    """

    path_values: tuple[str, ...] = ()

    def _convert_matches_into_route_keys(self, match: Match[str]) -> dict[str, str]:
        found = {name: api_request.decoded(value) for name, value in match.groupdict().items()}
        self.path_values = tuple(found.values())
        return found


class MerchantApi:
    """The routes of one function. Build it once, on the first request."""

    def __init__(self) -> None:
        self.resolver = _Resolver(enable_validation=True)
        for kind, handler in problems.handlers(self._values).items():
            self.resolver.exception_handler(kind)(handler)
        self.resolver.not_found(lambda _: problems.problem(ProblemCode.NO_SUCH_ROUTE))
        self._request = ApiRequest({})

    def resolve(self, event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Answer one API Gateway proxy event."""
        try:
            self._request = api_request.read(event)
        except UnreadableError as error:
            return problems.proxy_answer(error.code, error.detail)
        self.resolver.path_values = ()
        answer = self.resolver.resolve(self._request.event, context)
        answer.setdefault("multiValueHeaders", {}).setdefault("Cache-Control", ["no-store"])
        return answer

    def webhook_api_url(self) -> str:
        """Public base URL of the webhook API, for the present request: a stage variable of the merchant API.

        It is in no function's environment. The webhook API refers to functions and, with a canary, through alarms to
        all of them (`tests/template/test_matrix.py`). Raises `MissingSettingError`.
        """
        variables = self.resolver.current_event.raw_event.get("stageVariables") or {}
        if not (url := str(variables.get("webhookApiUrl", ""))):
            raise MissingSettingError("webhookApiUrl (a stage variable of the merchant API)")
        return url.rstrip("/")

    def caller(self) -> str | None:
        """The ARN of whoever signed the present request, as API Gateway has checked it (IAM)."""
        context = self.resolver.current_event.raw_event.get("requestContext") or {}
        return (context.get("identity") or {}).get("userArn") or None

    def _values(self) -> Iterator[str]:
        """Every value of the present request."""
        yield from self.resolver.path_values
        yield from provider_text.leaves(self._request.query)
        yield from provider_text.leaves(self._request.body)


def answers(*statuses: int) -> dict[int, OpenAPIResponse]:
    """The answers of one route: its 2xx and its own problems.

    They are for `responses=` of the resolver, and so for docs/openapi.json.

    The problems that every route has (400, 422, 500, …) are added by `operations.openapi`.
    """
    return {status: {"description": HTTPStatus(status).phrase} for status in statuses}
