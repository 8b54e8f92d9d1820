"""What API Gateway answers by itself: problems of the same list, on both APIs, in the transformed template too."""

import json
from typing import Any

import pytest

from honnin.problem_codes import ProblemCode
from tests.tables import template
from tests.template.transformed import resources

APIS = ("MerchantApi", "WebhookApi")
# AWS, "Gateway response types": what the service answers where the template says nothing else.
STATUSES = {
    "MISSING_AUTHENTICATION_TOKEN": 403,
    "UNAUTHORIZED": 401,
    "ACCESS_DENIED": 403,
    "WAF_FILTERED": 403,
    "INVALID_SIGNATURE": 403,
    "EXPIRED_TOKEN": 403,
    "RESOURCE_NOT_FOUND": 404,
    "REQUEST_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "THROTTLED": 429,
    "QUOTA_EXCEEDED": 429,
    "BAD_REQUEST_BODY": 400,
    "BAD_REQUEST_PARAMETERS": 400,
    "INTEGRATION_TIMEOUT": 504,
}


def _responses(api: str) -> dict[str, Any]:
    found: dict[str, Any] = template()["Resources"][api]["Properties"]["GatewayResponses"]
    return found


@pytest.mark.parametrize("api", APIS)
def test_each_is_a_problem_of_the_list(api: str) -> None:
    for kind, response in _responses(api).items():
        [(media_type, text)] = response["ResponseTemplates"].items()
        body = json.loads(text)
        code = {each.value: each for each in ProblemCode}[body["code"]]
        assert media_type == "application/json"  # API Gateway uses no other, whatever the caller accepts
        assert response["ResponseParameters"]["Headers"]["Content-Type"] == "'application/problem+json'"
        assert (body["type"], body["title"]) == (code.type, code.summary)
        if kind.startswith("DEFAULT"):
            assert "StatusCode" not in response
            assert "status" not in body
        else:
            assert body["status"] == response["StatusCode"] == code.status


@pytest.mark.parametrize("api", APIS)
def test_no_answer_repeats_anything_of_the_request(api: str) -> None:
    assert "$" not in "".join(each["ResponseTemplates"]["application/json"] for each in _responses(api).values())


@pytest.mark.parametrize("api", APIS)
def test_a_status_is_the_services_own(api: str) -> None:
    written = {kind: each["StatusCode"] for kind, each in _responses(api).items() if "StatusCode" in each}
    assert written == STATUSES


def test_too_many_requests_say_when_to_come_back() -> None:
    for kind in ("THROTTLED", "QUOTA_EXCEEDED"):
        headers = _responses("MerchantApi")[kind]["ResponseParameters"]["Headers"]
        assert headers["Retry-After"] == f"'{ProblemCode.TOO_MANY_REQUESTS.retry_after_s}'"


def test_sam_writes_them_into_the_definition_so_that_a_deployment_of_the_stage_has_them() -> None:
    for api in APIS:
        body = resources("AWS::ApiGateway::RestApi")[api]["Properties"]["Body"]
        assert set(body["x-amazon-apigateway-gateway-responses"]) == set(_responses(api))
        one = body["x-amazon-apigateway-gateway-responses"]["THROTTLED"]
        assert one["responseParameters"]["gatewayresponse.header.Retry-After"] == "'1'"
