"""Every 4xx and 5xx of the merchant API: problems of RFC 9457, those that API Gateway answers by itself included.

The example problems are what `honnin.problems` really answers: tests/template/test_openapi.py holds them to it.
"""

from collections.abc import Collection
from http import HTTPStatus
from typing import Any

from honnin.problem_codes import ProblemCode

type Json = dict[str, Any]

_SCHEMA: Json = {
    "type": "object",
    "description": "A problem of RFC 9457. Decide by `code`: it does not change. A problem names fields and rules, but "
    "never repeats a value, because it may be personal.",
    "properties": {
        "type": {
            "type": "string",
            "enum": [each.type for each in ProblemCode],
            "description": "`urn:honnin:problem:` and the code",
        },
        "code": {"$ref": "#/components/schemas/ProblemCode"},
        "title": {"type": "string", "description": "A short sentence, always the same for a code"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599, "description": "The HTTP status"},
        "detail": {"type": "string", "description": "What is wrong in this case"},
        "errors": {
            "type": "array",
            "description": "For 422: each field that breaks a rule. The name of an unknown field is shown as `?`",
            "items": {"$ref": "#/components/schemas/FieldError"},
        },
        "state": {"type": "string", "description": "The user's present status at the provider"},
        "submissionId": {"type": "string", "description": "The id of the submission that prevents the request"},
        "provider": {
            "type": "string",
            "enum": ["vexora", "paypay"],
            "description": "The provider that did not accept the request",
        },
        "providerCode": {"type": "string", "description": "The code in the provider's answer"},
        "providerMessage": {
            "type": "string",
            "description": "The text in the provider's answer. Each value of your request in it is replaced by `***`",
        },
        "providerRequestId": {
            "type": "string",
            "description": "The X-REQUEST-ID of PayPay's answer, for questions to PayPay's support",
        },
    },
    "required": ["type", "code", "title"],
    "additionalProperties": False,
}

_CODE: Json = {
    "type": "string",
    "enum": [each.value for each in ProblemCode],
    "description": "The kind of problem; docs/api.md lists all codes. More may be added.",
}
_FIELD_ERROR: Json = {
    "type": "object",
    "description": "A field of the request that breaks a rule.",
    "properties": {"field": {"type": "string"}, "rule": {"type": "string"}},
    "required": ["field", "rule"],
    "additionalProperties": False,
}


def _problem(code: ProblemCode, detail: str = "", **members: Any) -> Json:
    body = {"type": code.type, "code": code.value, "title": code.summary, "status": code.status, "detail": detail}
    return {name: value for name, value in (body | members).items() if value}


_FURIGANA = {"field": "usernameFurigana", "rule": "must be katakana, digits, ・, ー and spaces only"}

# What each status means here, and one problem of it.
PROBLEMS: dict[int, tuple[str, Json]] = {
    400: ("The body is not a JSON object in UTF-8.", _problem(ProblemCode.BODY_NOT_JSON)),
    404: (
        "Nothing is known under this id, or there is no such route.",
        _problem(ProblemCode.USER_UNKNOWN, "no user is known under this id"),
    ),
    409: (
        "The user's present state does not allow the request; `state` names it.",
        _problem(
            ProblemCode.SUBMISSION_OPEN,
            "the user already has a submission, made at 2026-04-01T03:00:00.000Z",
            state="PENDING",
            submissionId="5f0c9c1e-6f0b-4d52-9d0e-0c6b7e0c2a11",
        ),
    ),
    413: (
        "The body is larger than 64 KiB.",
        _problem(ProblemCode.BODY_TOO_LARGE, "At most 65,536 bytes are read."),
    ),
    415: ("The body has another media type.", _problem(ProblemCode.MEDIA_TYPE, "Send the body as application/json.")),
    422: (
        "A field is not valid; `errors` lists each field and the rule that it breaks.",
        _problem(ProblemCode.FIELD_INVALID, ": ".join(_FURIGANA.values()), errors=[_FURIGANA]),
    ),
    500: (
        "An error in this deployment; it has been logged and counted.",
        _problem(ProblemCode.UNEXPECTED, "The error has been logged. Try again."),
    ),
    502: (
        "The provider refused the request, or its answer cannot be understood.",
        _problem(
            ProblemCode.PROVIDER_CONFIGURATION,
            "The operator must correct credentials, scopes, source address or contract.",
            provider="paypay",
            providerCode="OP_OUT_OF_SCOPE",
            providerMessage="the scope is not contracted",
            providerRequestId="5a3c9d1e7b",
        ),
    ),
    503: (
        "The request cannot be handled now: the provider or an AWS service is not available, or other requests are "
        "changing the same user. docs/api.md says for each code whether to repeat it.",
        _problem(
            ProblemCode.PROVIDER_MAINTENANCE,
            provider="paypay",
            providerCode="MAINTENANCE_MODE",
            providerMessage="maintenance",
        ),
    ),
    504: (
        "The provider did not answer in time.",
        _problem(
            ProblemCode.PROVIDER_TIMEOUT,
            "It is not known whether the call took effect. A read may be repeated.",
            provider="paypay",
        ),
    ),
}

# What API Gateway answers by itself: `GatewayResponses` of template.yaml. It knows no details, and where it decides
# the status itself (DEFAULT_4XX, DEFAULT_5XX) no `status` either.
GATEWAY: dict[int, tuple[str, ProblemCode]] = {
    400: ("The request cannot be read.", ProblemCode.REQUEST_REFUSED),
    403: (
        "The signature is missing or wrong, there is no such route, or the caller is not allowed to call this.",
        ProblemCode.ACCESS_DENIED,
    ),
    404: ("There is no such route.", ProblemCode.NO_SUCH_ROUTE),
    413: ("The request is too large.", ProblemCode.BODY_TOO_LARGE),
    429: ("Too many requests.", ProblemCode.TOO_MANY_REQUESTS),
    500: ("API Gateway failed.", ProblemCode.GATEWAY_FAILED),
    502: ("The function did not answer.", ProblemCode.GATEWAY_FAILED),
    503: ("API Gateway is not available now.", ProblemCode.GATEWAY_FAILED),
    504: ("The function did not answer in time.", ProblemCode.GATEWAY_TIMEOUT),
}

# What a route may answer beside what every route may; one that declares nothing may answer all of it.
OF_SOME_ROUTES = frozenset({404, 409, 502, 503, 504})
_OF_ALL_ROUTES = frozenset({422, 500, 503})
_OF_A_BODY = frozenset({400, 413, 415})


def schemas() -> Json:
    """`Problem` and what it is made of."""
    return {"Problem": _SCHEMA, "ProblemCode": _CODE, "FieldError": _FIELD_ERROR}


def responses() -> Json:
    """One shared response per status and origin: `Problem409`, `Gateway403`, `ProblemOrGateway502`."""
    found = {f"Problem{status}": _response(status, problem=True, gateway=False) for status in PROBLEMS}
    found |= {f"Gateway{status}": _response(status, problem=False, gateway=True) for status in GATEWAY}
    both = PROBLEMS.keys() & GATEWAY.keys()
    return found | {f"ProblemOrGateway{each}": _response(each, problem=True, gateway=True) for each in sorted(both)}


def references(declared: Collection[int], takes_body: bool) -> dict[int, Json]:
    """The 4xx and 5xx of one operation of the merchant API, by status.

    `declared` are the problems of this route alone; `takes_body` whether it reads a body.
    """
    own = set(declared) | _OF_ALL_ROUTES | (_OF_A_BODY if takes_body else frozenset())
    return {status: {"$ref": f"#/components/responses/{_name(status, own)}"} for status in own | GATEWAY.keys()}


def gateway_references() -> dict[int, Json]:
    """What API Gateway may answer by itself before any function of the webhook API."""
    return {status: {"$ref": f"#/components/responses/Gateway{status}"} for status in GATEWAY}


def gateway_content(status: int) -> Json:
    """The content of an answer of API Gateway itself."""
    code = GATEWAY[status][1]
    example = _problem(code) | {"status": status}
    return {"application/problem+json": {"schema": _reference("Problem"), "example": example}}


def _name(status: int, own: Collection[int]) -> str:
    if status not in own:
        return f"Gateway{status}"
    return f"ProblemOrGateway{status}" if status in GATEWAY else f"Problem{status}"


def _response(status: int, *, problem: bool, gateway: bool) -> Json:
    said, codes = [], [each for each in ProblemCode if each.status == status]
    content: Json = gateway_content(status) if gateway else {}
    if problem:
        description, example = PROBLEMS[status]
        said.append(description)
        content = {"application/problem+json": {"schema": _reference("Problem"), "example": example}}
        said.append(f"Codes: {', '.join(f'`{each}`' for each in codes)}.")
    if gateway:
        said.append(f"{GATEWAY[status][0]} (API Gateway)")
    response: Json = {"description": " ".join(said), "content": content}
    if (problem and status == HTTPStatus.SERVICE_UNAVAILABLE) or status == HTTPStatus.TOO_MANY_REQUESTS:
        schema = {"type": "integer", "minimum": 1}
        response["headers"] = {
            "Retry-After": {
                "description": "The number of seconds to wait before you repeat the request",
                "schema": schema,
                "example": 5,
            }
        }
    return response


def _reference(schema: str) -> Json:
    return {"$ref": f"#/components/schemas/{schema}"}
