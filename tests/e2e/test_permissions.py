"""That the emulator really enforces IAM, and that the roles of the template are as narrow as they say."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from local.stack import Merchant, Stack

pytestmark = pytest.mark.e2e


def test_an_unsigned_call_to_the_merchant_api_is_refused(stack: Stack) -> None:
    url = stack.outputs["MerchantApiUrl"]
    for method, path in (("POST", "/vexora/submissions"), ("GET", "/users/x"), ("GET", "/users/x/timeline")):
        assert requests.request(method, url + path, json={}, timeout=10).status_code == 403, path


def test_a_user_without_the_policy_is_refused(stack: Stack) -> None:
    iam = stack.client("iam")
    name = f"stranger-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    stranger = Merchant(
        stack.merchant.url, stack.region, type(stack.deployer)(key["AccessKeyId"], key["SecretAccessKey"])
    )
    assert stranger.request("GET", "/users/x").status_code == 403


@contextmanager
def _without(stack: Stack, logical_id: str, action: str) -> Iterator[None]:
    """The function's role without one action, for a while."""
    arn = stack.client("lambda").get_function_configuration(FunctionName=stack.function_name(logical_id))["Role"]
    role, iam = arn.rpartition("/")[2], stack.client("iam")
    (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    whole = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    narrowed = json.loads(json.dumps(whole))
    for statement in narrowed["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        statement["Action"] = [each for each in actions if each != action]
    narrowed["Statement"] = [each for each in narrowed["Statement"] if each["Action"]]
    assert narrowed != whole, f"{logical_id} never had {action}"
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(narrowed))
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(whole))


def test_a_function_that_lacks_a_permission_fails(stack: Stack) -> None:
    def submit() -> int:
        body = {"userId": uuid.uuid4().hex, "usernameFurigana": "テスト ハナコ"}
        return stack.merchant.request("POST", "/vexora/submissions", json=body).status_code

    assert submit() == 201
    with _without(stack, "VexoraSubmissionFunction", "dynamodb:PutItem"):
        assert submit() == 500
    assert submit() == 201


def test_a_webhook_that_cannot_queue_answers_503_so_that_the_provider_tries_again(stack: Stack) -> None:
    user_id = uuid.uuid4().hex
    stack.sandbox("PUT", f"/dials/vexora/{user_id}", json={"review": "none"})
    body = {"userId": user_id, "usernameFurigana": "テスト ハナコ"}
    assert stack.merchant.request("POST", "/vexora/submissions", json=body).status_code == 201
    with _without(stack, "VexoraResultWebhookFunction", "sqs:SendMessage"):
        sent = stack.sandbox("POST", f"/vexora/users/{user_id}/callback", json={"claims": "2"})
        assert sent["attempts"][-1]["status"] == 503
    sent = stack.sandbox("POST", f"/vexora/users/{user_id}/callback", json={"claims": "2"})
    assert sent["attempts"][-1]["status"] == 200
