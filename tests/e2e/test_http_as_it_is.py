"""HTTP as AWS has it, on the deployed stack: paths as they are sent, and what API Gateway answers by itself.

The emulator is kinder than AWS; `local/gateway_as_on_aws.py` makes it hand paths over percent-encoded.
"""

import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from honnin.problem_codes import ProblemCode
from local import deployment
from local.stack import Stack

pytestmark = pytest.mark.e2e

TITLES = {each.value: each.summary for each in ProblemCode}


def _send(stack: Stack, method: str, path: str, body: bytes | None = None, **headers: str) -> requests.Response:
    """One signed request whose path goes out exactly as it is written here: `requests` would mend it."""
    url = stack.merchant.url + path
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    signed = AWSRequest(method=method, url=url, data=body, headers=named)
    credentials = Credentials(stack.merchant.access_key.key_id, stack.merchant.access_key.secret)
    SigV4Auth(credentials, "execute-api", stack.merchant.region).add_auth(signed)
    with requests.Session() as session:
        session.trust_env = False
        prepared = requests.Request(method, url, data=body, headers=dict(signed.headers.items())).prepare()
        prepared.url = url
        return session.send(prepared, timeout=40, allow_redirects=False)


def _problem(answer: requests.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (body["code"], body["type"], body["title"]) == (code, f"urn:honnin:problem:{code}", TITLES[code])
    return body


@pytest.fixture
def user_id(stack: Stack) -> str:
    """A user with a submission, whose id holds what URLs encode."""
    made = f"shop:{uuid.uuid4().hex[:8]}@b"
    body = json.dumps({"userId": made, "usernameFurigana": "テスト ハナコ"}, ensure_ascii=False)
    answer = _send(stack, "POST", "/vexora/submissions", ("\ufeff" + body).encode(), Content_Type="Application/Json")
    assert (answer.status_code, answer.json()["userId"]) == (201, made)
    return made


def _written(user_id: str) -> list[str]:
    return [
        user_id,
        user_id.replace(":", "%3A").replace("@", "%40"),
        user_id.replace(":", "%3A"),
        user_id.replace("@", "%40"),
    ]


def test_a_user_id_may_be_encoded_or_not(stack: Stack, user_id: str) -> None:
    for written in _written(user_id):
        answer = _send(stack, "GET", f"/users/{written}")
        assert (answer.status_code, answer.json().get("userId")) == (200, user_id), answer.text
        assert _send(stack, "GET", f"/users/{written}/timeline").json()["entries"]
    certificates = [_send(stack, "DELETE", f"/users/{written}/personal-data").json() for written in _written(user_id)]
    assert [each["userId"] for each in certificates] == [user_id] * 4
    assert len({each["certificateId"] for each in certificates}) == 1
    _problem(_send(stack, "GET", f"/users/{_written(user_id)[1]}"), 404, "user-unknown")


@pytest.mark.parametrize("written", ["a%252Fb", "a%2Fb", "a%2Ftimeline", "a+b", "%E3%83%8F", "%2E%2E"])
@pytest.mark.parametrize(("method", "after"), [("GET", ""), ("GET", "/timeline"), ("DELETE", "/personal-data")])
def test_what_is_no_user_id_is_a_422(stack: Stack, written: str, method: str, after: str) -> None:
    # Without the shim of the emulator `a%2Fb` would be two segments, and so no route.
    body = _problem(_send(stack, method, f"/users/{written}{after}"), 422, "field-invalid")
    assert [each["field"] for each in body["errors"]] == ["userId"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nope"), ("PUT", "/users/x"), ("POST", "/users/x"), ("GET", "/users/x/"), ("GET", "//users/x")],
)
def test_what_is_no_route_is_a_problem(stack: Stack, method: str, path: str) -> None:
    body = _problem(_send(stack, method, path), 403, "not-signed-or-no-route")
    assert body["status"] == 403


def test_a_request_that_is_not_signed_or_signed_wrongly_is_a_problem(stack: Stack) -> None:
    url = stack.merchant.url + "/users/x"
    _problem(requests.get(url, timeout=10), 403, "not-signed-or-no-route")
    wrong = {"Authorization": "AWS4-HMAC-SHA256 Credential=x/20260401/ap-northeast-1/execute-api/aws4_request"}
    assert requests.get(url, headers=wrong, timeout=10).headers["Content-Type"] == "application/problem+json"


def test_an_unknown_path_of_the_webhook_api_is_a_problem(stack: Stack) -> None:
    url = stack.outputs["WebhookApiUrl"].rstrip("/") + "/webhooks/paypay/nope"
    _problem(requests.post(url, json={}, timeout=10), 403, "not-signed-or-no-route")


def test_another_charset_is_a_415(stack: Stack) -> None:
    answer = _send(stack, "POST", "/vexora/submissions", b"{}", Content_Type="application/json; charset=Shift_JIS")
    _problem(answer, 415, "media-type")


def test_a_body_in_another_encoding_is_a_400(stack: Stack) -> None:
    body = '{"userId": "a", "usernameFurigana": "テスト"}'.encode("cp932")
    _problem(_send(stack, "POST", "/vexora/submissions", body, Content_Type="application/json"), 400, "body-not-json")


def test_the_operators_command_encodes_and_is_understood(stack: Stack, user_id: str) -> None:
    environment = {
        "HONNIN_STACK": deployment.STACK_NAME,
        "HONNIN_ENDPOINT": stack.endpoint,
        "AWS_DEFAULT_REGION": stack.region,
        "AWS_ACCESS_KEY_ID": stack.deployer.key_id,
        "AWS_SECRET_ACCESS_KEY": stack.deployer.secret,
        "NO_COLOR": "1",
        "COLUMNS": "200",
        "PATH": "/usr/bin:/bin",
    }
    program = str(Path(sys.executable).with_name("honninctl"))
    for arguments in (["timeline", user_id], ["erase", user_id, "--yes", "--reason", "a test"]):
        done = subprocess.run(
            [program, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
    _problem(_send(stack, "GET", f"/users/{user_id}"), 404, "user-unknown")
