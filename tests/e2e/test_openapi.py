"""docs/openapi.json against the deployed local stack: generated calls, good and bad, get documented answers only."""

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import HealthCheck, Phase, given, settings
from requests.auth import AuthBase
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from honnin import webhook
from local import demo, deployment
from local.demo_paypay import account_link, flag_unnoticed, press_allow
from local.demo_recon import is_settled, play_night, report
from local.stack import Merchant, Stack
from operations.openapi.document import PLACE

pytestmark = pytest.mark.e2e

# Some 250 calls: without the start of the stack the whole file takes less than a minute on two idle cores.
GENERATED = {GenerationMode.POSITIVE: 6, GenerationMode.NEGATIVE: 8}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

DOCUMENT = json.loads(PLACE.read_text(encoding="utf-8"))
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = [
    pytest.param(method, path, id=operation["operationId"])
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
    if method != "servers"
]


def _examples() -> Iterator[Any]:
    """Each example of a request body."""
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            if method == "servers":
                continue
            content = operation["requestBody"]["content"] if "requestBody" in operation else {}
            for media_type, media in content.items():
                schema = DOCUMENT["components"]["schemas"][media["schema"]["$ref"].rpartition("/")[2]]
                for number, example in enumerate([media["example"]] if "example" in media else schema["examples"]):
                    name = f"{operation['operationId']}-{media_type}-{number}"
                    yield pytest.param(method, path, media_type, example, id=name)


def _parameters(path: str) -> set[str]:
    return set(re.findall(r"{(\w+)}", path))


EXAMPLES = list(_examples())
# What the fixture `api` makes. A deletion comes last: it takes away what the others ask for.
KNOWN = {"userId", "codeId", "submissionId", "token", "date"}
ABOUT_KNOWN = sorted(
    (each for each in OPERATIONS if set() < _parameters(str(each.values[1])) <= KNOWN),
    key=lambda each: each.values[0] == "delete",
)


class _SigV4(AuthBase):
    """Signs a prepared request for `execute-api`, as the merchant's back end does."""

    def __init__(self, merchant: Merchant) -> None:
        credentials = Credentials(merchant.access_key.key_id, merchant.access_key.secret)
        self._signer = SigV4Auth(credentials, "execute-api", merchant.region)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.pop("Authorization", None)
        signed = AWSRequest(method=request.method, url=request.url, data=request.body)
        self._signer.add_auth(signed)
        request.headers.update(dict(signed.headers.items()))
        return request


@dataclass(frozen=True)
class Api:
    """The deployed APIs, and path parameters (`KNOWN`) that lead to something that is there."""

    stack: Stack
    merchant: requests.Session
    public: requests.Session
    known: dict[str, str]

    def call(self, case: Case[Any]) -> Any:
        """Send a generated call to its API."""
        signed = bool(case.operation.definition.raw["security"])
        url = self.stack.outputs["MerchantApiUrl" if signed else "WebhookApiUrl"].rstrip("/")
        session = self.merchant if signed else self.public
        return case.call(base_url=url, session=session, timeout=35, allow_redirects=False)


@pytest.fixture(scope="module")
def api(stack: Stack) -> Iterator[Api]:
    user_id = f"user.{uuid.uuid4().hex[:12]}"
    press_allow(account_link(stack, user_id))
    passport = {
        "userId": user_id,
        "scopes": ["get_kyc_info", "mini_app_kyc_passport", "kyc_passport_qr"],
        "returnUrl": _return_url(stack),
        "accountLinkFlow": "KYC_PASSPORT",
        "kycPassport": {},
    }
    linked = stack.merchant.request("POST", "/paypay/account-links", json=passport).json()
    press_allow(linked["linkQRCodeURL"])
    furigana = {"userId": user_id, "usernameFurigana": "テスト ハナコ"}
    submission_id = stack.merchant.request("POST", "/vexora/submissions", json=furigana).json()["submissionId"]
    known = {
        "userId": user_id,
        "codeId": linked["codeId"],
        "submissionId": submission_id,
        "token": webhook.callback_token(submission_id, _callback_key(stack)),
        "date": _day_with_a_repair(stack),
    }
    with requests.Session() as merchant, requests.Session() as public:
        merchant.trust_env = public.trust_env = False
        merchant.auth = _SigV4(stack.merchant)
        yield Api(stack, merchant, public, known)


def _day_with_a_repair(stack: Stack) -> str:
    """A JST day whose files are compared and found a lost webhook: its report has all that a report can have."""
    missed = f"user.{uuid.uuid4().hex[:12]}"
    press_allow(account_link(stack, missed))
    stack.merchant.request("GET", f"/paypay/users/{missed}/kyc-passport")
    flag_unnoticed(stack, missed)
    day = play_night(stack)

    def shown() -> bool:
        stack.invoke("ReconDownloadFunction")
        found = report(stack, day)
        return is_settled(found) and missed in {each["userId"] for file in found for each in file["changed"]}

    assert demo.wait_for(shown, 120)
    return day


def _return_url(stack: Stack) -> str:
    return f"{stack.sandbox_url}/shop/return"


def _callback_key(stack: Stack) -> str:
    found = stack.client("cloudformation").describe_stack_resource(
        StackName=deployment.STACK_NAME, LogicalResourceId="CallbackKeySecret"
    )
    arn = found["StackResourceDetail"]["PhysicalResourceId"]
    return str(json.loads(stack.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"])["current"])


def _try(api: Api, method: str, path: str, mode: GenerationMode, **fixed: Any) -> set[int]:
    """Send generated calls of one operation and hold each answer to the document; returns the statuses seen."""
    seen = set()
    strategy = SCHEMA[path][method.upper()].as_strategy(generation_mode=mode, **fixed)

    @given(case=strategy)
    @settings(
        max_examples=GENERATED[mode],
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def each(case: Case[Any]) -> None:
        if mode is GenerationMode.POSITIVE and isinstance(case.body, dict) and "returnUrl" in case.body:
            case.body["returnUrl"] = _return_url(api.stack)  # any other is refused before PayPay is asked
        answer = api.call(case)
        seen.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    each()
    return seen


def _known(api: Api, path: str) -> dict[str, str]:
    return {name: api.known[name] for name in _parameters(path)}


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
@pytest.mark.parametrize("mode", list(GENERATED), ids=lambda mode: mode.value)
def test_generated_calls_get_documented_answers(api: Api, method: str, path: str, mode: GenerationMode) -> None:
    seen = _try(api, method, path, mode)
    if path.startswith("/webhooks/paypay/"):
        assert (200 in seen) is (mode is GenerationMode.POSITIVE)


@pytest.mark.parametrize(("method", "path"), ABOUT_KNOWN)
def test_calls_about_something_that_is_there_succeed_as_documented(api: Api, method: str, path: str) -> None:
    assert 200 in _try(api, method, path, GenerationMode.POSITIVE, path_parameters=_known(api, path))


@pytest.mark.parametrize(("method", "path", "media_type", "example"), EXAMPLES)
def test_the_example_requests_succeed(api: Api, method: str, path: str, media_type: str, example: Any) -> None:
    body = dict(example)
    if "returnUrl" in body:
        body["returnUrl"] = _return_url(api.stack)
    if path == "/vexora/submissions":
        body["userId"] = f"user.{uuid.uuid4().hex[:12]}"  # one that has no submission yet
    operation = SCHEMA[path][method.upper()]
    case = operation.Case(path_parameters=_known(api, path), body=body, media_type=media_type)
    answer = api.call(case)
    assert answer.status_code in (200, 201)
    case.validate_response(answer, checks=CHECKS)
