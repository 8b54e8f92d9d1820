"""Every 4xx and 5xx of the merchant API: problems of RFC 9457, and what API Gateway says by itself.

The example problems are what `honnin.merchant_api` really answers: tests/template/test_openapi.py holds them to it.
"""

from collections.abc import Collection
from http import HTTPStatus
from typing import Any

type Json = dict[str, Any]

_SCHEMA: Json = {
    "type": "object",
    "description": "A problem of RFC 9457. It names fields and rules, never a value: that may be personal.",
    "properties": {
        "type": {"const": "about:blank"},
        "title": {"type": "string", "description": "A constant sentence for each kind of problem"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599, "description": "The HTTP status"},
        "detail": {"type": "string", "description": "What is wrong in this case"},
        "errors": {
            "type": "array",
            "description": "With 422: each field that breaks a rule",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "rule": {"type": "string"}},
                "required": ["field", "rule"],
                "additionalProperties": False,
            },
        },
        "state": {"type": "string", "description": "The user's present status at the provider"},
        "submissionId": {"type": "string", "description": "The submission that is in the way"},
        "provider": {"enum": ["vexora", "paypay"], "description": "Who did not take the request"},
        "providerCode": {"type": "string", "description": "The provider's own code"},
        "providerRequestId": {"type": "string", "description": "X-REQUEST-ID, which PayPay's support asks for"},
    },
    "required": ["type", "title", "status"],
    "additionalProperties": False,
}

_GATEWAY_SCHEMA: Json = {
    "type": "object",
    "description": "An answer of API Gateway itself: the function behind it was not asked, or did not answer.",
    "properties": {"message": {"type": ["string", "null"]}},
    "required": ["message"],
}


def _problem(title: str, status: int, detail: str = "", **members: Any) -> Json:
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **members}
    return {name: value for name, value in body.items() if value}


_FURIGANA = {"field": "usernameFurigana", "rule": "must be katakana, digits, ・, ー and spaces only"}
_REFUSED = "The provider did not take the request"

# What each status means here, and one problem of it.
PROBLEMS: dict[int, tuple[str, Json]] = {
    400: ("The body is not a JSON object in UTF-8.", _problem("The body is not JSON in UTF-8", 400)),
    404: ("Nothing is known under this id.", _problem("Not found", 404, "no user is known under this id")),
    409: (
        "The present state does not allow this; `state` names it.",
        _problem(
            "The present state does not allow this",
            409,
            "the user has a submission already",
            state="PENDING",
            submissionId="5f0c9c1e-6f0b-4d52-9d0e-0c6b7e0c2a11",
        ),
    ),
    413: ("The body is larger than 64 KiB.", _problem("The body is larger than 64 KiB", 413)),
    415: ("The body is of another type.", _problem("The body must be application/json", 415)),
    422: (
        "A field breaks a rule; `errors` names each.",
        _problem("A field is not valid", 422, ": ".join(_FURIGANA.values()), errors=[_FURIGANA]),
    ),
    500: (
        "Something is wrong in this deployment; it has been logged and counted.",
        _problem("Something went wrong here", 500, "It has been logged; try again."),
    ),
    502: (
        "The provider refused the request, or its answer cannot be understood.",
        _problem(
            _REFUSED,
            502,
            "the scope is not contracted",
            provider="paypay",
            providerCode="OP_OUT_OF_SCOPE",
            providerRequestId="5a3c9d1e7b",
        ),
    ),
    503: (
        "Not now: the provider announces maintenance or too many requests, or others are changing the same user.",
        _problem(_REFUSED, 503, "maintenance", provider="paypay", providerCode="MAINTENANCE_MODE"),
    ),
    504: ("The provider did not answer in time.", _problem(_REFUSED, 504, "no answer in time", provider="paypay")),
}

_GATEWAY: dict[int, tuple[str, str]] = {
    403: ("The signature is missing or wrong, the caller may not call this, or there is no such path.", "Forbidden"),
    429: ("Too many requests.", "Too Many Requests"),
    502: ("The function did not answer.", "Internal server error"),
    504: ("The function did not answer in time.", "Endpoint request timed out"),
}

# What a route may answer beside what every route may; one that declares nothing may answer all of it.
OF_SOME_ROUTES = frozenset({404, 409, 502, 503, 504})
_OF_ALL_ROUTES = frozenset({422, 500})
_OF_A_BODY = frozenset({400, 413, 415})


def schemas() -> Json:
    """`Problem` and `GatewayAnswer`."""
    return {"Problem": _SCHEMA, "GatewayAnswer": _GATEWAY_SCHEMA}


def responses() -> Json:
    """One shared response per status and origin: `Problem409`, `Gateway403`, `ProblemOrGateway502`."""
    found = {f"Problem{status}": _response(status, problem=True, gateway=False) for status in PROBLEMS}
    found |= {f"Gateway{status}": _response(status, problem=False, gateway=True) for status in _GATEWAY}
    both = PROBLEMS.keys() & _GATEWAY.keys()
    return found | {f"ProblemOrGateway{each}": _response(each, problem=True, gateway=True) for each in sorted(both)}


def references(declared: Collection[int], takes_body: bool) -> dict[int, Json]:
    """The 4xx and 5xx of one operation of the merchant API, by status.

    `declared` are the problems of this route alone; `takes_body` whether it reads a body.
    """
    own = set(declared) | _OF_ALL_ROUTES | (_OF_A_BODY if takes_body else frozenset())
    return {status: {"$ref": f"#/components/responses/{_name(status, own)}"} for status in own | _GATEWAY.keys()}


def gateway_references() -> dict[int, Json]:
    """What API Gateway may answer by itself before any function of the webhook API."""
    return {status: {"$ref": f"#/components/responses/Gateway{status}"} for status in (429, 502, 504)}


def _name(status: int, own: Collection[int]) -> str:
    if status not in own:
        return f"Gateway{status}"
    return f"ProblemOrGateway{status}" if status in _GATEWAY else f"Problem{status}"


def _response(status: int, *, problem: bool, gateway: bool) -> Json:
    said, content = [], {}
    if problem:
        description, example = PROBLEMS[status]
        said.append(description)
        content["application/problem+json"] = {"schema": _reference("Problem"), "example": example}
    if gateway:
        description, message = _GATEWAY[status]
        said.append(f"{description} (API Gateway)")
        content["application/json"] = {"schema": _reference("GatewayAnswer"), "example": {"message": message}}
    response: Json = {"description": " ".join(said), "content": content}
    if problem and status == HTTPStatus.SERVICE_UNAVAILABLE:
        schema = {"type": "integer", "minimum": 1}
        response["headers"] = {"Retry-After": {"description": "Seconds to wait", "schema": schema, "example": 5}}
    return response


def _reference(schema: str) -> Json:
    return {"$ref": f"#/components/schemas/{schema}"}
