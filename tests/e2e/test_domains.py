"""Both APIs under domains of one's own, as the template makes them: with a base path and without one.

Nobody resolves these names: a request goes to the emulator, and its Host says the name. `local/gateway_as_on_aws.py`
hands the path over as AWS does, with the base path before it.
"""

import json
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from honnin import webhook
from local.stack import Stack

pytestmark = pytest.mark.e2e

HOOKS = "http://hooks.honnin.test"
WITH_BASE_PATH = "http://kyc.honnin.test/honnin"
WITHOUT = "http://root.honnin.test"
# Both APIs under one name.
SHARED = "http://one.honnin.test"
SHARED_HOOKS = f"{SHARED}/hooks"


def _send(stack: Stack, method: str, url: str, body: bytes | None = None, **headers: str) -> requests.Response:
    """One request to the emulator under the host of `url`, whose path goes out exactly as it is written here."""
    host, path = urlsplit(url).netloc, url.partition("//")[2].partition("/")[2]
    with requests.Session() as session:
        session.trust_env = False
        named = {**headers, "Host": host}
        prepared = requests.Request(method, stack.endpoint, data=body, headers=named).prepare()
        prepared.url = f"{stack.endpoint}/{path}"
        return session.send(prepared, timeout=40, allow_redirects=False)


def _signed(stack: Stack, method: str, url: str, body: bytes | None = None, sent_to: str = "") -> requests.Response:
    """One call of the merchant's back end: the host and the whole path are signed, base path included."""
    named = {"Content-Type": "application/json"} if body else {}
    request = AWSRequest(method=method, url=url, data=body, headers=named)
    key = stack.merchant.access_key
    SigV4Auth(Credentials(key.key_id, key.secret), "execute-api", stack.region).add_auth(request)
    return _send(stack, method, sent_to or url, body, **dict(request.headers.items()))


@pytest.fixture(scope="module", autouse=True)
def _without_base_path(stack: Stack) -> Iterator[None]:
    """What the stack has not: a name whose root leads to the merchant API, and one for both APIs."""
    gateway = stack.client("apigateway")
    merchant, hooks = (
        stack.outputs[f"{api}ApiUrl"].partition("/restapis/")[2].partition("/")[0] for api in ("Merchant", "Webhook")
    )
    wanted = {WITHOUT: {"(none)": merchant}, SHARED: {"api": merchant, "hooks": hooks}}
    for url, mappings in wanted.items():
        name = urlsplit(url).netloc
        gateway.create_domain_name(domainName=name, endpointConfiguration={"types": ["REGIONAL"]})
        for base, api_id in mappings.items():
            gateway.create_base_path_mapping(domainName=name, basePath=base, restApiId=api_id, stage="v1")
    yield
    for url in wanted:
        gateway.delete_domain_name(domainName=urlsplit(url).netloc)


@pytest.mark.parametrize("base", [WITH_BASE_PATH, WITHOUT, f"{SHARED}/api"])
def test_every_kind_of_route_of_the_merchant_api(stack: Stack, base: str) -> None:
    user = f"shop:{uuid.uuid4().hex[:8]}@b"
    body = json.dumps({"userId": user, "usernameFurigana": "テスト ハナコ"}, ensure_ascii=False).encode()
    submitted = _signed(stack, "POST", f"{base}/vexora/submissions", body)
    assert (submitted.status_code, submitted.json()["userId"]) == (201, user)
    for written in (user, user.replace(":", "%3A").replace("@", "%40"), user.replace("@", "%40")):
        found = _signed(stack, "GET", f"{base}/users/{written}")
        assert (found.status_code, found.json().get("userId")) == (200, user), found.text
        assert _signed(stack, "GET", f"{base}/users/{written}/timeline").json()["entries"]
    assert _signed(stack, "GET", f"{base}/overview/counts").status_code == 200
    erased = _signed(stack, "DELETE", f"{base}/users/{user}/personal-data")
    assert (erased.status_code, erased.json()["userId"]) == (200, user)


@pytest.mark.parametrize("base", [WITH_BASE_PATH, WITHOUT])
@pytest.mark.parametrize("written", ["a%2Fb", "a%252Fb", "%2E%2E", "honnin%2Fusers"])
def test_what_is_no_user_id_is_a_422_under_a_domain_too(stack: Stack, base: str, written: str) -> None:
    answer = _signed(stack, "GET", f"{base}/users/{written}")
    assert (answer.status_code, answer.json()["code"]) == (422, "field-invalid"), answer.text


@pytest.mark.parametrize("user", ["honnin", "users", "v1"])
def test_a_user_may_be_called_as_a_part_of_the_path_is(stack: Stack, user: str) -> None:
    for base in (WITH_BASE_PATH, WITHOUT):
        answer = _signed(stack, "GET", f"{base}/users/{user}")
        assert (answer.status_code, answer.json()["code"]) == (404, "user-unknown"), answer.text


def test_where_no_base_path_fits_the_domain_refuses(stack: Stack) -> None:
    for path in ("/users/x", "/honninx/users/x", "/v1/users/x"):
        answer = _signed(stack, "GET", "http://kyc.honnin.test" + path)
        assert (answer.status_code, answer.json()) == (403, {"message": "Forbidden"})


def test_what_is_signed_holds_the_base_path_and_the_host(stack: Stack) -> None:
    right = f"{WITH_BASE_PATH}/users/x"
    assert _signed(stack, "GET", right).status_code == 404
    for signed in ("http://kyc.honnin.test/users/x", f"{WITHOUT}/honnin/users/x"):
        assert _signed(stack, "GET", signed, sent_to=right).status_code == 403
    assert _send(stack, "GET", right).json()["code"] == "not-signed-or-no-route"


@pytest.mark.parametrize("base", [HOOKS, SHARED_HOOKS])
def test_the_webhooks_answer_under_their_name(stack: Stack, base: str) -> None:
    for path in ("kyc", "risk", "account-status", "recon"):
        answer = _send(stack, "POST", f"{base}/webhooks/paypay/{path}", b'{"notification_type": "x"}')
        assert (answer.status_code, answer.text) == (200, "OK"), answer.text
    page = _send(stack, "GET", f"{base}/paypay/account-links/callback")
    assert (page.status_code, page.headers["Content-Type"]) == (400, "text/html; charset=utf-8")


@pytest.mark.parametrize("base", [HOOKS, SHARED_HOOKS])
def test_a_callback_of_vexora_under_the_domain_is_taken(stack: Stack, base: str) -> None:
    user = f"domain-{uuid.uuid4().hex[:8]}"
    body = json.dumps({"userId": user, "usernameFurigana": "テスト ハナコ"}, ensure_ascii=False).encode()
    submission = _signed(stack, "POST", f"{WITH_BASE_PATH}/vexora/submissions", body).json()["submissionId"]
    secret = stack.client("secretsmanager").get_secret_value(SecretId=stack.physical_id("CallbackKeySecret"))
    token = webhook.callback_token(submission, json.loads(secret["SecretString"])["current"])
    url = f"{base}/webhooks/vexora/kyc-result/{submission}/{token}"
    answer = _send(stack, "POST", url, b"{}", **{"Content-Type": "application/json"})
    assert (answer.status_code, answer.text) == (200, "OK")
    # The name is no secret, the token is.
    assert _send(stack, "POST", url[:-1] + "-", b"{}").status_code == 403
