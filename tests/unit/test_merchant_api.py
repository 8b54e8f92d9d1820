"""Every error of the merchant API as a problem that names the field and the rule, never the value."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import pytest
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.utilities.idempotency.exceptions import IdempotencyPersistenceLayerError
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError
from pydantic import AfterValidator

from honnin.errors import (
    ConflictError,
    InvalidFieldError,
    MaintenanceError,
    MissingSettingError,
    NotFoundError,
    NotSentError,
    NotUnderstoodError,
    PassportNotCompletedError,
    ProviderConfigurationError,
    ProviderError,
    ProviderRefusedError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitedError,
    SecretIncompleteError,
    SecretUnreadableError,
    SessionNotFoundError,
    UserAnswerError,
)
from honnin.merchant_api import MAX_BODY_BYTES, AnswerModel, MerchantApi, RequestModel, UserId, UserIdInPath
from honnin.problem_codes import ProblemCode
from honnin.vault import VaultError
from honnin.vexora import furigana
from tests.fakes import FakeLambdaContext

OPEN = ProblemCode.SUBMISSION_OPEN
CODES = {each.value: each for each in ProblemCode}
MARKED = "hanako.yamada@example.com"
GOOD = {"userId": "user-1", "usernameFurigana": "ﾃｽﾄ ﾊﾅｺ"}


class Thing(RequestModel):
    """The shape of a submission."""

    user_id: UserId
    username_furigana: Annotated[str, AfterValidator(furigana.normalise)]


class Echo(AnswerModel):
    """What was understood."""

    user_id: str
    username_furigana: str


class Api:
    """A merchant API with two routes. `work` is what the handler does."""

    def __init__(self) -> None:
        self.work: Callable[[], None] = lambda: None
        self._api = MerchantApi()

        @self._api.resolver.post("/things")
        def create(body: Thing) -> tuple[Echo, int]:
            self.work()
            return Echo(user_id=body.user_id, username_furigana=body.username_furigana), 201

        @self._api.resolver.get("/things/<userId>")
        def read(userId: UserIdInPath, limit: Annotated[int, Query(ge=1, le=100)] = 50) -> dict[str, Any]:  # noqa: N803
            self.work()
            return {"userId": userId, "limit": limit}

    def post(self, body: object, **event: Any) -> dict[str, Any]:
        text = body if isinstance(body, str) or body is None else json.dumps(body)
        return self.call("POST", "/things", body=text, **event)

    def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        return self.call(
            "GET",
            path,
            queryStringParameters=query,
            multiValueQueryStringParameters={name: [value] for name, value in (query or {}).items()},
        )

    def call(self, method: str, path: str, **event: Any) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        request = {
            "resource": path,
            "path": path,
            "httpMethod": method,
            "headers": headers,
            "multiValueHeaders": {name: [value] for name, value in event.get("headers", headers).items()},
            "queryStringParameters": None,
            "multiValueQueryStringParameters": None,
            "pathParameters": None,
            "requestContext": {"stage": "v1", "path": path, "httpMethod": method, "requestId": "r-1"},
            "body": None,
            "isBase64Encoded": False,
            **event,
        }
        answer = self._api.resolve(request, FakeLambdaContext())
        return {**answer, "json": json.loads(answer["body"])}


@pytest.fixture
def api() -> Api:
    return Api()


def headers(answer: Mapping[str, Any]) -> dict[str, str]:
    """Single and multi-value headers together, names in lower case."""
    both = {**(answer.get("multiValueHeaders") or {}), **(answer.get("headers") or {})}
    return {name.lower(): value[0] if isinstance(value, list) else str(value) for name, value in both.items()}


def problem(answer: dict[str, Any], status: int) -> dict[str, Any]:
    """The problem in the answer, after checking what is true of every one."""
    body: dict[str, Any] = answer["json"]
    assert answer["statusCode"] == status, body
    assert headers(answer)["content-type"] == "application/problem+json"
    assert headers(answer)["cache-control"] == "no-store"
    code = CODES[body["code"]]
    assert (body["type"], body["status"]) == (f"urn:honnin:problem:{code}", status) == (code.type, code.status)
    assert body["title"] == code.summary
    assert headers(answer).get("retry-after") == (str(code.retry_after_s) if code.retry_after_s else None)
    return body


def fields(answer: dict[str, Any]) -> dict[str, str]:
    """Field to rule of a 422."""
    return {each["field"]: each["rule"] for each in problem(answer, 422)["errors"]}


def test_a_good_request(api: Api) -> None:
    answer = api.post(GOOD)
    assert (answer["statusCode"], answer["json"]) == (201, {"userId": "user-1", "usernameFurigana": "テスト ハナコ"})


def test_a_good_request_in_base64(api: Api) -> None:
    text = base64.b64encode(json.dumps(GOOD, ensure_ascii=False).encode()).decode()
    assert api.post(text, isBase64Encoded=True)["json"]["usernameFurigana"] == "テスト ハナコ"


# 422: fields


@pytest.mark.parametrize("user_id", ["a", "a" * 64, "A-Z.a_z:0@9"])
def test_user_ids_that_are_allowed(api: Api, user_id: str) -> None:
    assert api.post({**GOOD, "userId": user_id})["statusCode"] == 201


@pytest.mark.parametrize(
    "user_id", ["", "a" * 65, "ハナコ", "a b", "a/b", "a#b", "a\n", "a\x00", 7, None, True, [], {"a": MARKED}]
)
def test_another_user_id_is_422(api: Api, user_id: object) -> None:
    answer = api.post({**GOOD, "userId": user_id})
    assert list(fields(answer)) == ["userId"]
    for value in (MARKED, "ハナコ", "a" * 65):
        assert value not in answer["body"]


@pytest.mark.parametrize("field", list(GOOD))
def test_a_missing_field_is_required(api: Api, field: str) -> None:
    body = {name: value for name, value in GOOD.items() if name != field}
    assert fields(api.post(body)) == {field: "is required"}


def test_every_broken_field_is_named(api: Api) -> None:
    assert set(fields(api.post({}))) == set(GOOD)


@pytest.mark.parametrize("name", ["Hanako Yamada", "花子", "", MARKED, 7, None, [MARKED], "ハナコ" * 40])
def test_a_furigana_that_is_refused_is_named_without_its_value(api: Api, name: object) -> None:
    answer = api.post({**GOOD, "usernameFurigana": name})
    assert list(fields(answer)) == ["usernameFurigana"]
    for value in ("Hanako", "花子", "ハナコ", MARKED):
        assert value not in answer["body"]


def test_an_unknown_field_is_said_but_not_repeated(api: Api) -> None:
    assert fields(api.post({**GOOD, "surprise": MARKED})) == {"?": "is not a field of this request"}


@pytest.mark.parametrize("name", ["userid", "user_id", "UserID", "usernameFurigna"])
def test_an_unknown_field_that_is_nearly_one_of_ours_is_explained(api: Api, name: str) -> None:
    rule = fields(api.post({**GOOD, name: 1}))["?"]
    assert rule in {f"is not a field of this request; is {each} meant?" for each in GOOD}
    assert name not in rule


@pytest.mark.parametrize(
    "name",
    [
        "テスト ハナコ",
        "ハナコ",
        MARKED,
        "090-1234-5678",
        "09012345678",
        "Hanako Yamada",
        "Hanako",
        "yamada-hanako",
        "x" * 41,
    ],
)
def test_an_unknown_field_whose_name_may_be_personal_is_not_repeated(api: Api, name: str) -> None:
    answer = api.post({**GOOD, name: 1})
    assert fields(answer) == {"?": "is not a field of this request"}
    assert name not in answer["body"]


@pytest.mark.parametrize("name", ["user_id", "username_furigana"])
def test_only_the_names_on_the_wire_are_fields(api: Api, name: str) -> None:
    wire = {"user_id": "userId", "username_furigana": "usernameFurigana"}[name]
    body: dict[str, object] = {each: value for each, value in GOOD.items() if each != wire}
    assert set(fields(api.post({**body, name: GOOD[wire]}))) == {"?", wire}


@pytest.mark.parametrize("limit", ["0", "101", "-1", "ten", "1.5", MARKED])
def test_a_limit_out_of_range_is_422(api: Api, limit: str) -> None:
    answer = api.get("/things/user-1", {"limit": limit})
    assert list(fields(answer)) == ["limit"]
    assert MARKED not in answer["body"]


@pytest.mark.parametrize("limit", ["1", "100"])
def test_a_limit_in_range(api: Api, limit: str) -> None:
    assert api.get("/things/user-1", {"limit": limit})["json"] == {"userId": "user-1", "limit": int(limit)}


def test_a_path_with_a_user_id_of_another_shape_is_no_200(api: Api) -> None:
    answer = api.get("/things/" + "a" * 65)
    assert answer["statusCode"] in {404, 422}
    assert "a" * 65 not in answer["body"]


# 400, 413, 415, 404


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("{", id="broken"),
        pytest.param("[]", id="a list"),
        pytest.param('"text"', id="a text"),
        pytest.param("null", id="null"),
        pytest.param("7", id="a number"),
        pytest.param("[" * 60_000, id="nested without end"),
        pytest.param('{"a":' * 10_000 + "1" + "}" * 10_000, id="objects nested without end"),
        pytest.param('{"a": ' + "9" * 5_000 + "}", id="a number of 5,000 digits"),
        pytest.param('{"a": "\ud800"}', id="a lone surrogate"),
        pytest.param(f"{MARKED}", id="a marked text"),
    ],
)
def test_what_cannot_be_read_is_400(api: Api, body: str) -> None:
    answer = api.post(body)
    problem(answer, 400)
    assert MARKED not in answer["body"]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"userId": "\xff"}', id="not UTF-8"),
        pytest.param(b"{", id="broken"),
        pytest.param(b"[]", id="a list"),
    ],
)
def test_base64_that_cannot_be_read_is_400(api: Api, body: bytes) -> None:
    problem(api.post(base64.b64encode(body).decode(), isBase64Encoded=True), 400)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(json.dumps(GOOD).encode("utf-16"), id="UTF-16"),
        pytest.param(b'{"userId": "\xed\xa0\x80", "usernameFurigana": "x"}', id="a surrogate in bytes"),
    ],
)
def test_base64_of_another_encoding_is_400(api: Api, body: bytes) -> None:
    problem(api.post(base64.b64encode(body).decode(), isBase64Encoded=True), 400)


@pytest.mark.parametrize("base64_encoded", [False, True])
def test_a_byte_order_mark_before_the_body_is_ignored(api: Api, base64_encoded: bool) -> None:
    text = "\ufeff" + json.dumps(GOOD)
    body = base64.b64encode(text.encode()).decode() if base64_encoded else text
    assert api.post(body, isBase64Encoded=base64_encoded)["statusCode"] == 201


@pytest.mark.parametrize("text", ["\ufeff", "\ufeff\ufeff{}", '{"a":\ufeff 1}'])
def test_a_byte_order_mark_elsewhere_is_400(api: Api, text: str) -> None:
    assert problem(api.post(text), 400)["code"] == "body-not-json"


@pytest.mark.parametrize("encoding", ["cp932", "euc_jp", "utf-16", "latin-1"])
def test_another_encoding_has_one_answer_however_it_arrives(api: Api, encoding: str) -> None:
    written = json.dumps({**GOOD, "usernameFurigana": "é" if encoding == "latin-1" else "テスト"}, ensure_ascii=False)
    as_bytes = written.encode(encoding)
    # API Gateway hands a text over, and puts U+FFFD in the place of what is not UTF-8.
    for answer in (
        api.post(base64.b64encode(as_bytes).decode(), isBase64Encoded=True),
        api.post(as_bytes.decode("utf-8", errors="replace")),
    ):
        assert problem(answer, 400)["code"] == "body-not-json"


@pytest.mark.parametrize(
    "body",
    [
        '{"userId": "a", "userId": "b", "usernameFurigana": "テスト"}',
        '{"userId": "a", "usernameFurigana": "テスト", "user\\u0049d": "b"}',
        '{"userId": "a", "usernameFurigana": "テスト", "more": {"x": [{"y": 1, "y": 1}]}}',
    ],
)
def test_a_field_that_stands_twice_is_400(api: Api, body: str) -> None:
    assert problem(api.post(body), 400)["code"] == "body-field-twice"


def test_a_field_name_that_utf8_cannot_carry_is_not_repeated(api: Api) -> None:
    answer = api.post({**GOOD, "\ud800": 1})
    problem(answer, 400)
    assert "\\ud800" not in answer["body"]


def test_what_is_not_base64_is_400(api: Api) -> None:
    problem(api.post("%%%", isBase64Encoded=True), 400)


@pytest.mark.parametrize("depth", [100, 500, 900])
def test_a_value_nested_deeply_is_a_422_of_its_field(api: Api, depth: int) -> None:
    nested = "[" * depth + "]" * depth
    assert "userId" in fields(api.post(f'{{"userId": {nested}, "usernameFurigana": "テスト"}}'))


def test_no_body_is_a_422(api: Api) -> None:
    problem(api.post(None), 422)


@pytest.mark.parametrize("base64_encoded", [False, True])
@pytest.mark.parametrize(("size", "status"), [(MAX_BODY_BYTES, 422), (MAX_BODY_BYTES + 1, 413)])
def test_64_kib_is_the_limit(api: Api, size: int, status: int, base64_encoded: bool) -> None:
    body = json.dumps({**GOOD, "filler": ""})
    body = body[:-2] + "x" * (size - len(body)) + body[-2:]
    text = base64.b64encode(body.encode()).decode() if base64_encoded else body
    problem(api.post(text, isBase64Encoded=base64_encoded), status)


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/xml",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "application/problem+json",
        "application/jsonp",
        "application/json-patch+json",
        "json",
        "; charset=utf-8",
        "application/json; charset=Shift_JIS",
        'application/json;charset="EUC-JP"',
        "application/json; charset=utf-16",
        "application/json, text/plain",
    ],
)
def test_another_content_type_is_415(api: Api, content_type: str) -> None:
    detail = problem(api.post(GOOD, headers={"Content-Type": content_type}), 415)["detail"]
    assert ("UTF-8" in detail) is ("charset=" in content_type and content_type.startswith("application"))


def test_two_content_types_that_differ_are_415(api: Api) -> None:
    both = {"Content-Type": ["application/json", "text/plain"]}
    problem(api.post(GOOD, headers={"Content-Type": "application/json"}, multiValueHeaders=both), 415)


@pytest.mark.parametrize("path", ["/things", "/things/user-1"])
def test_a_content_type_without_a_body_says_nothing(api: Api, path: str) -> None:
    method, status = ("POST", 422) if path == "/things" else ("GET", 200)
    assert api.call(method, path, headers={"Content-Type": "text/plain"})["statusCode"] == status


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json; charset=utf-8"},
        {"content-type": "application/json"},
        {"CONTENT-TYPE": "Application/Json"},
        {"Content-type": "APPLICATION/JSON"},
        {"Content-Type": " application/json ; charset=utf-8"},
        {"Content-Type": 'application/json;charset="UTF-8"'},
        {"Content-Type": "application/json; Charset=Utf8; profile=x"},
        {"Content-Type": "application/json;"},
        {"Content-Type": "application/json, application/json"},
        {"Content-Type": 'application/json; profile="a,b"'},
        {"Content-Type": 'application/json;q="\\",", application/json'},
        {"Content-Type": ""},
        {},
    ],
)
def test_json_under_its_other_names(api: Api, headers: dict[str, str]) -> None:
    assert api.post(GOOD, headers=headers)["statusCode"] == 201


@pytest.mark.parametrize(("method", "path"), [("GET", "/nowhere"), ("GET", "/things"), ("POST", "/things/user-1")])
def test_an_unknown_route_is_404(api: Api, method: str, path: str) -> None:
    problem(api.call(method, path, body="{}" if method == "POST" else None), 404)


# Errors of the work itself


def failing(api: Api, error: Exception) -> dict[str, Any]:
    def work() -> None:
        raise error

    api.work = work
    return api.post(GOOD)


def test_not_found(api: Api) -> None:
    assert (
        problem(failing(api, NotFoundError("no user is known", code=ProblemCode.USER_UNKNOWN)), 404)["detail"]
        == "no user is known"
    )


def test_a_conflict_names_the_present_state(api: Api) -> None:
    body = problem(failing(api, ConflictError("open", code=OPEN, state="PENDING", submission_id="s-1")), 409)
    assert (body["detail"], body["state"], body["submissionId"]) == ("open", "PENDING", "s-1")


def test_a_conflict_without_a_state_has_no_such_member(api: Api) -> None:
    assert not {"state", "submissionId"} & set(problem(failing(api, ConflictError("key", code=OPEN)), 409))


def test_an_invalid_field_found_late(api: Api) -> None:
    assert fields(failing(api, InvalidFieldError("cursor", "must be the cursor"))) == {"cursor": "must be the cursor"}


def test_a_refusal_is_a_502_with_the_providers_code_and_message(api: Api) -> None:
    error = ProviderRefusedError("vexora", "user not found", http_status=200, code="4004", request_id="r-9")
    body = problem(failing(api, error), 502)
    assert (body["provider"], body["providerCode"], body["providerMessage"], body["providerRequestId"]) == (
        "vexora",
        "4004",
        "user not found",
        "r-9",
    )
    assert "detail" not in body


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (SessionNotFoundError("paypay", "no"), 404, "passport-qr-expired"),
        (PassportNotCompletedError("paypay", "no"), 409, "passport-not-completed"),
        (ProviderConfigurationError("paypay", "no", http_status=503), 502, "provider-configuration"),
        (UserAnswerError("paypay", "no"), 502, "provider-refused"),
        (ProviderRefusedError("vexora", "no", http_status=503), 502, "provider-refused"),
        (NotSentError("vexora", "no"), 503, "provider-not-reached"),
        (RateLimitedError("vexora", "busy", http_status=429), 503, "provider-rate-limited"),
        (RateLimitedError("paypay", "busy"), 503, "provider-rate-limited"),
        (ProviderUnavailableError("vexora", "busy", http_status=429), 503, "provider-rate-limited"),
        (MaintenanceError("paypay", "closed", http_status=503), 503, "provider-maintenance"),
        (ProviderUnavailableError("vexora", "busy", http_status=503), 503, "provider-unavailable"),
        (NotUnderstoodError("paypay", "HTML", http_status=503), 503, "provider-unavailable"),
        (NotUnderstoodError("paypay", "HTML", http_status=200), 502, "provider-not-understood"),
        (ProviderUnavailableError("paypay", "busy", http_status=500), 502, "provider-failed"),
        (ProviderUnavailableError("paypay", "busy", http_status=504), 502, "provider-failed"),
        (ProviderTimeoutError("vexora", "no answer"), 504, "provider-timeout"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_what_a_providers_failure_is_for_the_merchant(api: Api, error: ProviderError, status: int, code: str) -> None:
    body = problem(failing(api, error), status)  # which holds Retry-After to the code's
    assert (body["provider"], body["code"]) == (error.provider, code)


def test_every_503_says_when_to_try_again() -> None:
    assert [each for each in ProblemCode if each.status == 503 and not each.retry_after_s] == []


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (MissingSettingError("STATE_TABLE"), "STATE_TABLE"),
        (SecretIncompleteError("arn", "vexora_app_secret"), "put-secret"),
    ],
)
def test_a_fault_of_the_deployment_is_a_500_that_names_it(api: Api, error: Exception, named: str) -> None:
    assert named in problem(failing(api, error), 500)["detail"]


def test_an_unexpected_error_shows_its_message_to_nobody(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    answer = failing(api, RuntimeError(MARKED))
    problem(answer, 500)
    printed = "".join(capsys.readouterr())
    assert MARKED not in answer["body"]
    assert MARKED not in printed
    (record,) = [json.loads(line) for line in printed.splitlines() if "unexpected error" in line]
    assert record["error"] == "RuntimeError"
    assert record["place"].startswith("work:")


def _refused(code: str, *reasons: str, status: int = 400) -> ClientError:
    response: Any = {
        "Error": {"Code": code},
        "ResponseMetadata": {"HTTPStatusCode": status},
        "CancellationReasons": [{"Code": each} for each in reasons],
    }
    return ClientError(response, "GetItem")


def _raised_from(cause: Exception) -> Exception:
    """As Powertools Idempotency raises: an error of its own, from that of AWS."""
    error = IdempotencyPersistenceLayerError("failed")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "code", "counted"),
    [
        (RuntimeError(), "unexpected", {"UnexpectedError"}),
        (_raised_from(RuntimeError()), "unexpected", {"UnexpectedError"}),
        (_refused("ThrottlingException"), "aws-busy", set()),
        (_refused("ProvisionedThroughputExceededException"), "aws-busy", set()),
        (_refused("TransactionCanceledException", "None", "ThrottlingError"), "aws-busy", set()),
        (_refused("SlowDown", status=503), "aws-busy", set()),
        (_refused("Whatever", status=500), "aws-busy", set()),
        (_raised_from(_refused("RequestLimitExceeded")), "aws-busy", set()),
        (ConnectTimeoutError(endpoint_url="https://dynamodb"), "aws-busy", set()),
        (EndpointConnectionError(endpoint_url="https://dynamodb"), "aws-busy", set()),
        (VaultError("S3 did not delete 1 versions: InternalError"), "aws-busy", set()),
        (SecretUnreadableError("arn", "ThrottlingException", transient=True), "aws-busy", set()),
        (SecretUnreadableError("arn", "AccessDenied"), "deployment-incomplete", {"ConfigurationFault"}),
        (_refused("TransactionCanceledException", "ConditionalCheckFailed"), "unexpected", set()),
        (_refused("AccessDeniedException"), "unexpected", {"ConfigurationFault"}),
    ],
)
def test_what_aws_cannot_do_now_is_a_503_and_only_a_mistake_of_ours_is_unexpected(
    api: Api, capsys: pytest.CaptureFixture[str], error: Exception, code: str, counted: set[str]
) -> None:
    assert problem(failing(api, error), CODES[code].status)["code"] == code
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    metrics = [each["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"] for each in printed if "_aws" in each]
    assert set(metrics) == counted


@pytest.mark.parametrize(
    "change", [{"userId": MARKED + "/"}, {"usernameFurigana": MARKED}, {MARKED: 1}, {"surprise": MARKED}]
)
def test_nothing_of_a_refused_request_is_logged(
    api: Api, change: dict[str, object], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    problem(api.post({**GOOD, **change}), 422)
    assert MARKED not in "".join(capsys.readouterr())
    assert MARKED not in caplog.text
