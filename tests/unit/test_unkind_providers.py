"""The layer's clients against the unkind sandbox, over a socket: under every seed they read what was decided.

What the sandbox does to an answer is in `sandbox/unkind.py`. A seed that fails here fails `make run`, too.
"""

import uuid
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from honnin import http_client
from honnin.errors import ProviderRefusedError
from honnin.paypay import response_token
from honnin.paypay.client import PayPayClient, PayPayPaths
from honnin.secret_store import PayPayCredentials, VexoraCredentials
from honnin.vexora.client import VexoraClient
from sandbox.app import SandboxConfig
from sandbox.paypay.account import PayPayAccount
from sandbox.server import RunningSandbox, running
from sandbox.vexora.checks import VexoraAccount

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

SEEDS = [1, 2, 3, 5, 8, 13, 21, 34]
USERS = 12
PAYPAY, VEXORA = PayPayAccount(), VexoraAccount()
PATHS = PayPayPaths("/v1/kyc/info", "/v1/kyc/passport", "/v1/kyc/passport/qr/{codeId}")


@pytest.fixture(params=SEEDS)
def box(request: pytest.FixtureRequest) -> Iterator[RunningSandbox]:
    """A sandbox with a seed."""
    with running(SandboxConfig(seed=request.param)) as started:
        yield started
        http_client.session().close()


def _vexora(box: RunningSandbox) -> VexoraClient:
    credentials = VexoraCredentials(VEXORA.merchant_no, VEXORA.app_secret)
    return VexoraClient(box.vexora_base_url, lambda *, refresh=False: credentials)


def _paypay(box: RunningSandbox) -> PayPayClient:
    credentials = PayPayCredentials(PAYPAY.api_key, PAYPAY.api_secret, PAYPAY.merchant_id)
    return PayPayClient(
        box.paypay_base_url,
        lambda *, refresh=False: credentials,
        paths=PATHS,
        assume_merchant="",
        tries=1,
    )


def test_vexora_is_understood_under_every_seed(box: RunningSandbox) -> None:
    client = _vexora(box)
    box.vexora.dials.put({"review": "none", "callback": "dropped"})
    for n in range(USERS):
        user = f"user-{n}"
        made = client.apply(user_id=user, username_furigana="テスト", callback_url="https://merchant.example/x")
        assert made.status == "0"
        assert client.query_status(user).status == "0"
        box.vexora.review_now(user, ("approve", "reject")[n % 2])
        decided = client.query_status(user)
        assert decided.status == ("2", "3")[n % 2]
        assert bool(decided.reason) is bool(n % 2)
        with pytest.raises(ProviderRefusedError):
            client.query_status(f"nobody-{n}")


def test_paypay_is_understood_under_every_seed(box: RunningSandbox) -> None:
    client = _paypay(box)
    for n in range(USERS):
        created = client.create_account_link(
            {
                "scopes": ["mini_app_kyc_passport", "get_kyc_info"],
                "nonce": uuid.uuid4().hex,
                "redirectUrl": "https://merchant.example/back",
                "referenceId": f"user-{n}",
            }
        )
        page = requests.post(created.link_qr_code_url, data={"decision": "allow"}, timeout=10, allow_redirects=False)
        (token,) = parse_qs(urlsplit(page.headers["Location"]).query)["responseToken"]
        now = box.sandbox.core.clock.now()
        linked = response_token.verify(token, api_secret=PAYPAY.api_secret, audience=PAYPAY.client_id, now=now)
        authorization_id = str(linked.user_authorization_id)
        assert client.kyc_passport(authorization_id).data["status"] == "COMPLETED"
        assert client.kyc_info(authorization_id).data["status"] == "COMPLETED"
        state = client.user_authorization(authorization_id).found
        assert (state.status, int(state.expire_at or 0) > now) == ("ACTIVE", True)
        with pytest.raises(ProviderRefusedError):
            client.kyc_passport("nobody")
        client.unlink(authorization_id)
