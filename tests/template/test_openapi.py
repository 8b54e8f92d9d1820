"""docs/openapi.json: up to date, valid, complete against template.yaml, and true about what the code answers."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from openapi_spec_validator import OpenAPIV31SpecValidator

from honnin import webhook
from honnin.domain_events import EVENTS, SOURCE
from honnin.errors import (
    ConflictError,
    InvalidFieldError,
    MaintenanceError,
    NotFoundError,
    ProviderConfigurationError,
    ProviderError,
    ProviderTimeoutError,
)
from honnin.event import Event
from honnin.merchant_api import MerchantApi
from honnin.merchant_webhook.message import LEFT_OUT, Message
from honnin.problem_codes import ProblemCode
from operations.openapi import document, merchant, problems, webhooks
from tests.documents import ROOT
from tests.fakes import FakeLambdaContext
from tests.template.transformed import source_functions

DOCUMENT = document.document()
OPERATIONS = [each for path in DOCUMENT["paths"].values() for method, each in path.items() if method != "servers"]

type Json = dict[str, Any]


def _operation_id(operation: Json) -> str:
    return str(operation["operationId"])


def _resolved(value: Json) -> Json:
    reference = value.get("$ref")
    if reference is None:
        return value
    _, _, kind, name = reference.split("/")
    found: Json = DOCUMENT["components"][kind][name]
    return found


def _validator(schema: Json) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def _contents(operation: Json) -> Iterator[tuple[str, Json]]:
    """Every body of an operation: where it stands, and its media type object."""
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"request {media_type}", content
    for status, response in operation["responses"].items():
        for media_type, content in _resolved(response).get("content", {}).items():
            yield f"{status} {media_type}", content


# --- the file ---


def test_the_file_is_what_the_code_says() -> None:
    assert document.PLACE.read_text(encoding="utf-8") == document.text(), "stale: run make openapi and commit the file"


def test_the_document_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(json.loads(document.text())).validate()


def test_every_route_of_the_template_is_described_and_no_other() -> None:
    deployed = {
        (event["Properties"]["Method"].lower(), event["Properties"]["Path"]): event["Properties"]["RestApiId"]["Ref"]
        for function in source_functions().values()
        for event in function.get("Events", {}).values()
        if event["Type"] == "Api"
    }
    described = {
        (method, path): "MerchantApi" if operation["security"] else "WebhookApi"
        for path, operations in DOCUMENT["paths"].items()
        for method, operation in operations.items()
        if method != "servers"
    }
    assert described == deployed


def test_operation_ids_are_unique() -> None:
    ids = [each["operationId"] for each in OPERATIONS]
    assert len(ids) == len(set(ids))


def test_operation_ids_stay_what_they_are_because_generated_clients_call_their_methods_so() -> None:
    merchant_api = {each["operationId"] for each in OPERATIONS if each["security"]}
    assert merchant_api >= {
        "completeKycPassportQr",
        "countUsers",
        "createAccountLink",
        "eraseUser",
        "getKyc",
        "getKycPassport",
        "getReconReport",
        "getTimeline",
        "getUser",
        "listChanges",
        "listExpiring",
        "listUsers",
        "lookUpUsers",
        "submitToVexora",
    }


@pytest.mark.parametrize("name", ["ProvidersView", "ProviderCountsView"])
def test_what_is_said_by_provider_is_an_object_with_a_property_for_each(name: str) -> None:
    schema = DOCUMENT["components"]["schemas"][name]
    assert list(schema["properties"]) == ["vexora", "paypay"]
    assert "anyOf" not in json.dumps(schema), "left out, never null"


def test_no_answer_has_an_object_whose_fields_are_of_several_kinds() -> None:
    text = json.dumps(DOCUMENT["components"]["schemas"])
    assert '"additionalProperties": {"anyOf"' not in text
    assert "propertyNames" not in text


def test_a_server_fits_whatever_url_the_output_has() -> None:
    for servers in (
        DOCUMENT["servers"],
        *(path["servers"] for path in DOCUMENT["paths"].values() if "servers" in path),
    ):
        assert [each["url"] for each in servers] == ["https://{apiId}.execute-api.{region}.amazonaws.com/v1", "{url}"]


# --- domain events and merchant webhooks ---


@pytest.mark.parametrize("name", EVENTS)
def test_a_domain_event_is_a_schema_with_the_fields_of_its_own_document(name: str) -> None:
    published = json.loads((ROOT / "docs" / "events" / f"{name}.json").read_text(encoding="utf-8"))
    detail = published["properties"]["detail"]
    found = DOCUMENT["components"]["schemas"][name]
    assert list(found["properties"]) == list(detail["properties"])
    assert found["required"] == detail["required"]


def _values(schema: Json) -> Json:
    """An example of an event's content: each required field, with a value of its type."""
    plain = {"string": "x", "integer": 1, "boolean": True, "object": {"rows": 1}}
    found: Json = {}
    for field in schema["required"]:
        each = _resolved(schema["properties"][field].get("anyOf", [schema["properties"][field]])[0])
        kind = each["type"][0] if isinstance(each["type"], list) else each["type"]
        found[field] = each["enum"][0] if "enum" in each else plain[kind]
        if each.get("format") in ("date-time", "date"):
            found[field] = "2026-11-21T21:42:58.084Z"[: 10 if each["format"] == "date" else None]
    return found


@pytest.mark.parametrize("name", EVENTS)
def test_the_body_of_a_merchant_webhook_fits_its_schema(name: str) -> None:
    content = _values(DOCUMENT["components"]["schemas"][name])
    event = {"source": SOURCE, "detail-type": name, "detail": content, "time": "2026-11-21T21:42:58Z"}
    body = json.loads(Message.from_event(json.dumps(event)).body)
    schema = DOCUMENT["components"]["schemas"][f"{name}Webhook"]
    _validator(schema).validate(body)
    _validator({"$ref": "#/components/schemas/MerchantWebhook"}).validate(body)
    assert set(schema["properties"]["data"]["properties"]) >= body["data"].keys()
    assert not LEFT_OUT & schema["properties"]["data"]["properties"].keys()
    assert not _validator(schema).is_valid(body | {"type": "other"})


def test_the_test_webhook_fits_its_schema() -> None:
    body = json.loads(Message.test(datetime(2026, 11, 21, tzinfo=UTC)).body)
    _validator({"$ref": "#/components/schemas/MerchantWebhook"}).validate(body)


def test_patterns_are_those_of_json_schema() -> None:
    assert '"pattern": "^' in document.text()
    assert r"\\A" not in document.text()
    assert r"\\z" not in document.text()


# --- the operations ---


@pytest.mark.parametrize("operation", OPERATIONS, ids=_operation_id)
def test_every_request_and_answer_has_an_example_that_fits_its_schema(operation: Json) -> None:
    for where, content in _contents(operation):
        schema = content["schema"]
        examples = [content["example"]] if "example" in content else _resolved(schema).get("examples", [])
        assert examples, f"{where} has none: give the model json_schema_extra={{'examples': […]}}"
        for example in examples:
            _validator(schema).validate(example)


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if each["security"]], ids=_operation_id)
def test_every_failure_of_the_merchant_api_is_a_problem(operation: Json) -> None:
    for status, response in operation["responses"].items():
        if status >= "400":
            assert set(_resolved(response)["content"]) == {"application/problem+json"}


def test_the_document_enumerates_every_code_of_the_code() -> None:
    properties = DOCUMENT["components"]["schemas"]["Problem"]["properties"]
    assert DOCUMENT["components"]["schemas"]["ProblemCode"]["enum"] == [each.value for each in ProblemCode]
    assert properties["type"]["enum"] == [f"urn:honnin:problem:{each}" for each in ProblemCode]


def test_every_code_has_its_status_in_the_document() -> None:
    of_gateway_only = {401, 403, 429}
    assert {each.status for each in ProblemCode} <= problems.PROBLEMS.keys() | of_gateway_only


def test_a_route_that_declares_nothing_is_found_with_every_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "new_one").mkdir()
    (tmp_path / "new_one" / "app.py").write_text(
        '''
from honnin.merchant_api import AnswerModel, MerchantApi, UserIdInPath

class Erased(AnswerModel):
    """What was erased."""
    objects: int

def erase_it(userId: UserIdInPath) -> Erased:
    """Erase it."""
    return Erased(objects=1)

def _api() -> MerchantApi:
    api = MerchantApi()
    api.resolver.delete("/users/<userId>/it")(erase_it)
    return api
''',
        encoding="utf-8",
    )
    monkeypatch.setattr(merchant, "_FUNCTIONS", tmp_path)
    paths, schemas = merchant.described()
    found = paths["/users/{userId}/it"]["delete"]
    assert (found["operationId"], found["summary"], found["tags"]) == ("eraseIt", "Erase it.", ["Users"])
    assert {"200", "404", "409", "422", "500", "503"} <= found["responses"].keys()
    assert "Erased" in schemas


# --- the problems are those of the code ---


def _furigana() -> InvalidFieldError:
    [error] = problems.PROBLEMS[422][1]["errors"]
    return InvalidFieldError(error["field"], error["rule"])


def _paypay_error(kind: type[ProviderError]) -> ProviderError:
    """The failure of PayPay that the example of its status describes."""
    statuses: dict[type[ProviderError], int] = {
        ProviderConfigurationError: 502,
        MaintenanceError: 503,
        ProviderTimeoutError: 504,
    }
    status = statuses[kind]
    example = problems.PROBLEMS[status][1]
    code, request_id = example.get("providerCode"), example.get("providerRequestId")
    message = example.get("providerMessage", "no answer")
    return kind("paypay", message, code=code, request_id=request_id)


RAISED: dict[int, Callable[[], Exception]] = {
    404: lambda: NotFoundError("no user is known under this id", code=ProblemCode.USER_UNKNOWN),
    409: lambda: ConflictError(
        "the user already has a submission, made at 2026-04-01T03:00:00.000Z",
        code=ProblemCode.SUBMISSION_OPEN,
        state="PENDING",
        submission_id="5f0c9c1e-6f0b-4d52-9d0e-0c6b7e0c2a11",
    ),
    422: _furigana,
    500: lambda: RuntimeError("anything"),
    502: lambda: _paypay_error(ProviderConfigurationError),
    503: lambda: _paypay_error(MaintenanceError),
    504: lambda: _paypay_error(ProviderTimeoutError),
}
SENT: dict[int, Json] = {
    400: {"body": "{"},
    413: {"body": json.dumps({"text": "x" * 64 * 1024})},
    415: {"body": "{}", "headers": {"Content-Type": "text/plain"}},
}


@pytest.mark.parametrize("status", problems.PROBLEMS)
def test_the_example_of_a_problem_is_what_the_code_answers(status: int) -> None:
    api = MerchantApi()

    @api.resolver.post("/things")
    def fail() -> None:
        raise RAISED[status]()

    event = {
        "resource": "/things",
        "path": "/things",
        "httpMethod": "POST",
        "headers": {},
        "queryStringParameters": None,
        "pathParameters": None,
        "requestContext": {"requestId": "1", "stage": "v1"},
        "body": None,
        "isBase64Encoded": False,
    }
    answer = api.resolve(event | SENT.get(status, {}), FakeLambdaContext())
    assert answer["statusCode"] == status
    assert json.loads(answer["body"]) == problems.PROBLEMS[status][1]
    if status == 503:
        assert "Retry-After" in answer["multiValueHeaders"]


# --- the webhooks are those of the code ---


def _acknowledged(body: Json) -> Event:
    """What is queued; every JSON value is."""
    queued: list[str] = []

    def send(text: str) -> str:
        queued.append(text)
        return "1"

    request = {"requestContext": {"identity": {"sourceIp": "127.0.0.1"}}, "body": json.dumps(body), "headers": {}}
    answer = webhook.acknowledge_paypay(request, source_cidrs=["127.0.0.1/32"], send=send, send_recon_file=send)
    assert answer["statusCode"] == 200
    return Event.from_json(queued[0])


@pytest.mark.parametrize("kind", sorted(webhooks.examples()))
def test_paypays_examples_are_acknowledged(kind: str) -> None:
    assert _acknowledged(webhooks.examples()[kind]).kind == kind


def _limits() -> Iterator[Any]:
    """An example of PayPay's with one field at its limit, and just over it."""
    kinds = {"PayPayUserEvent": "kyc", "PayPayReconFile": "recon_file"}
    for name, kind in kinds.items():
        for field, schema in webhooks.schemas()[name]["properties"].items():
            [text, *_] = schema.get("anyOf", [schema])
            # Without a type that can be used, the name of the file says it.
            if "maxLength" in text and field != "fileType":
                yield pytest.param(name, kind, field, text["maxLength"], id=f"{name}-{field}")


@pytest.mark.parametrize(("name", "kind", "field", "longest"), list(_limits()))
def test_the_code_and_the_document_have_the_same_limits(name: str, kind: str, field: str, longest: int) -> None:
    validator = _validator({"$ref": f"#/components/schemas/{name}"})
    for length, good in ((1, True), (longest, True), (longest + 1, False)):
        body = webhooks.examples()[kind] | {field: "x" * length}
        assert (_acknowledged(body).kind == kind) is good
        assert validator.is_valid(body) is good


@pytest.mark.parametrize("field", ["notification_type", "user_authorization_id", "path"])
def test_the_code_and_the_document_require_the_same_fields(field: str) -> None:
    kind = "kyc" if field == "user_authorization_id" else "recon_file"
    body = {name: value for name, value in webhooks.examples()[kind].items() if name != field}
    assert _acknowledged(body).kind == "unrecognised"
    for name in ("PayPayUserEvent", "PayPayCustomerEvent", "PayPayReconFile"):
        assert not _validator({"$ref": f"#/components/schemas/{name}"}).is_valid(body)


@pytest.mark.parametrize("spelling", ["authroization", "authorization", "autorization"])
def test_the_code_and_the_document_know_the_same_customer_events(spelling: str) -> None:
    body = {"notification_type": f"customer.{spelling}.revoked", "userAuthorizationId": "a85fe9e9"}
    valid = _validator({"$ref": "#/components/schemas/PayPayCustomerEvent"}).is_valid(body)
    assert valid is (_acknowledged(body).kind == "account_status") is (spelling != "autorization")


@pytest.mark.parametrize("body", [None, "text", 1, [], {}, [{}, [1]]])
def test_the_document_takes_any_json_value(body: object) -> None:
    assert _validator({"$ref": "#/components/schemas/PayPayNotification"}).is_valid(body)
