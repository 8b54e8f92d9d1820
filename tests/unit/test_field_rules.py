"""The rules of a 422: sentences for every model of the API, without a pattern and without what was sent."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from honnin import field_rules
from honnin.merchant_api import MerchantApi, UserIdInPath
from honnin.paypay.kyc_api import CodeIdInPath, KycType
from honnin.paypay.link_api import AccountLinkRequest
from honnin.vexora.submission_api import IdempotencyKey, SubmissionRequest
from operations.openapi import document
from tests.fakes import FakeLambdaContext

MARK = "ヒミツ99"
# What only a pattern, a name of pydantic's or a Python type would show.
NOT_PLAIN = re.compile(r"\\|[\^\[\]{}$|<>*]|(?i:pydantic|regex|pattern|\bstring\b|\bdict\b|\bNone\b|\bint\b|input)")


def _api() -> MerchantApi:
    api = MerchantApi()
    api.resolver.post("/links")(_link)
    api.resolver.post("/submissions")(_submit)
    api.resolver.get("/users/<userId>")(_read)
    api.resolver.get("/codes/<codeId>")(_code)
    return api


def _link(body: AccountLinkRequest) -> None:
    """Take it."""


def _submit(body: SubmissionRequest, idempotency_key: IdempotencyKey = None) -> None:
    """Take it."""


def _read(userId: UserIdInPath, requiredKycType: KycType = None) -> None:  # noqa: N803 -- the names on the wire
    """Take it."""


def _code(codeId: CodeIdInPath) -> None:  # noqa: N803 -- the name on the wire
    """Take it."""


API = _api()


def _errors(method: str, route: str, body: object = None, **event: Any) -> list[dict[str, str]]:
    request = {
        "resource": route,
        "path": route,
        "httpMethod": method,
        "headers": {},
        "multiValueHeaders": {},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "requestContext": {"stage": "v1", "path": route, "requestId": "r-1"},
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
        **event,
    }
    answer = API.resolve(request, FakeLambdaContext())
    if answer["statusCode"] != 422:
        return []
    found: list[dict[str, str]] = json.loads(answer["body"])["errors"]
    return found


def _assert_plain(errors: list[dict[str, str]]) -> None:
    for each in errors:
        assert not NOT_PLAIN.search(each["rule"]), each
        assert MARK not in each["rule"] + each["field"]
        assert each["rule"] != field_rules._NOT_VALID, each


def test_every_pattern_of_the_merchant_api_has_a_sentence() -> None:
    document.document()  # imports every function, and so every model
    patterns = set(re.findall(r'"pattern": "((?:[^"\\\\]|\\\\.)+)"', json.dumps(_merchant_schemas())))
    noted = {json.dumps(regex.replace(r"\A", "^").replace(r"\z", "$"))[1:-1] for regex in field_rules._patterns}
    assert patterns
    assert patterns <= noted


def _merchant_schemas() -> dict[str, Any]:
    found = document.document()
    signed = [each for path in found["paths"].values() for name, each in path.items() if name != "servers"]
    models = {name: each for name, each in found["components"]["schemas"].items() if name.endswith("Request")}
    return {"operations": [each for each in signed if each["security"]], "models": models}


@pytest.mark.parametrize(
    ("route", "body", "field", "rule"),
    [
        ("/submissions", {"userId": "x" * 65}, "userId", "must have 64 characters or fewer"),
        (
            "/submissions",
            {"userId": f"{MARK}/"},
            "userId",
            "must be letters, digits and . _ : @ - only, and not one or two dots alone",
        ),
        ("/submissions", {"userId": 7}, "userId", "must be text"),
        ("/submissions", {}, "userId", "is required"),
        ("/links", {"scopes": []}, "scopes", "must not be empty"),
        ("/links", {"scopes": ["a"] * 51}, "scopes", "must have 50 entries or fewer"),
        ("/links", {"scopes": [MARK]}, "scopes.0", "must be lower-case letters and _ only"),
        ("/links", {"scopes": MARK}, "scopes", "must be a list"),
        ("/links", {"redirectType": MARK}, "redirectType", "must be APP_DEEP_LINK or WEB_LINK"),
        ("/links", {"accountLinkFlow": MARK}, "accountLinkFlow", "must be KYC_PASSPORT"),
        ("/links", {"kycData": MARK}, "kycData", "must be an object"),
        ("/links", {"userAgent": ""}, "userAgent", "must not be empty"),
    ],
)
def test_a_rule_is_a_sentence(route: str, body: object, field: str, rule: str) -> None:
    errors = _errors("POST", route, body)
    assert {"field": field, "rule": rule} in errors
    _assert_plain(errors)


def test_the_rules_of_parameters_are_sentences() -> None:
    query = {"queryStringParameters": {"requiredKycType": MARK}}
    [error] = _errors("GET", "/users/a", **query, multiValueQueryStringParameters={"requiredKycType": [MARK]})
    assert error == {"field": "requiredKycType", "rule": "must be EKYC or empty"}
    headers = {"Idempotency-Key": f"{MARK} 1"}
    errors = _errors("POST", "/submissions", {"userId": "a", "usernameFurigana": "テスト"}, headers=headers)
    assert [each["rule"] for each in errors] == ["must be 1 to 255 visible ASCII characters"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.just(MARK),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", MARK]), inner, max_size=3),
    max_leaves=5,
)
NAMES = ["userId", "usernameFurigana", "scopes", "returnUrl", "redirectType", "phoneNumber", "userAgent", "kycData"]


@given(
    route=st.sampled_from(["/links", "/submissions"]),
    body=st.dictionaries(st.sampled_from([*NAMES, "accountLinkFlow", "kycPassport", MARK]), JSON),
)
@settings(max_examples=150, deadline=None)
def test_no_rule_shows_a_pattern_or_what_was_sent(route: str, body: dict[str, Any]) -> None:
    _assert_plain(_errors("POST", route, body))
