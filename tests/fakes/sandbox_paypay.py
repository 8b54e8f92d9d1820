"""A merchant of the sandbox's PayPay over Flask's test client, with a clock that tests move."""

import base64
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from sandbox.app import Sandbox, SandboxConfig, create_app
from sandbox.delivery import Answer, UndeliveredError
from sandbox.paypay.account import PayPayAccount

NOW = 1_774_925_553.0


HOOK = "https://merchant.example.com/webhooks/paypay/"


RETURN_URL = "https://merchant.example.com/paypay/account-links/callback?x=1"


VERIFIER = "v" * 43


CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


SCOPES = ["get_kyc_info", "mini_app_kyc_passport", "kyc_passport_qr"]


JSON_TYPE = "application/json;charset=UTF-8;"


ACCOUNT = PayPayAccount(
    api_key="unit-key",
    merchant_id="unit-merchant",
    client_id="unit-client",
    webhook_urls={"kyc": HOOK + "kyc", "risk": HOOK + "risk", "account_status": HOOK + "account-status"},
)


class Merchant:
    """The merchant's side: signs calls (by code of its own), and plays the webhooks."""

    def __init__(self) -> None:
        self.sandbox = Sandbox(SandboxConfig(paypay=ACCOUNT))
        self.core = self.sandbox.core
        self.core.clock._time_source = lambda: NOW
        self.core.courier.transport = self._webhook
        self.visited: list[str] = []
        self.sandbox.paypay.linking.visit = self._visit
        self.http: FlaskClient = create_app(self.sandbox).test_client()
        self.answers: list[Answer | UndeliveredError] = []
        self.received: list[tuple[str, dict[str, Any]]] = []
        self._nonces = 0

    def _webhook(self, url: str, body: bytes, content_type: str, timeout_s: float) -> Answer:
        assert (content_type, timeout_s) == ("application/json", 1.5)
        self.received.append((url, json.loads(body)))
        answer = self.answers.pop(0) if self.answers else Answer(200, "OK")
        if isinstance(answer, UndeliveredError):
            raise answer
        return answer

    def _visit(self, url: str) -> int:
        self.visited.append(url)
        return 303

    def authorization(self, method: str, path: str, body: bytes, **changes: Any) -> str:
        self._nonces += 1
        nonce = changes.get("nonce", f"nonce{self._nonces}")
        epoch = str(int(self.core.clock.now()) + changes.get("epoch_off", 0))
        signed_type = changes.get("signed_type", JSON_TYPE) if body else "empty"
        body_hash = base64.b64encode(hashlib.md5(signed_type.encode() + body).digest()).decode() if body else "empty"
        text = f"{path}\n{method}\n{nonce}\n{epoch}\n{signed_type}\n{body_hash}"
        secret = changes.get("secret", ACCOUNT.api_secret).encode()
        mac = base64.b64encode(hmac.new(secret, text.encode(), hashlib.sha256).digest()).decode()
        return f"hmac OPA-Auth:{changes.get('api_key', 'unit-key')}:{mac}:{nonce}:{epoch}:{body_hash}"

    def call(
        self, method: str, url: str, body: Any = None, headers: dict[str, str] | None = None, **changes: Any
    ) -> TestResponse:
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Authorization": self.authorization(method, urlsplit(url).path, raw, **changes), **(headers or {})}
        if raw:
            sent["Content-Type"] = changes.get("sent_type", JSON_TYPE)
        return self.http.open(url, method=method, data=raw or None, headers=sent)

    def session(self, user: str = "user-1", **changes: Any) -> TestResponse:
        body = {"scopes": SCOPES, "nonce": f"n-{user}", "redirectUrl": RETURN_URL, "referenceId": user, **changes}
        return self.call("POST", "/v1/qr/sessions", {k: v for k, v in body.items() if v is not None})

    def passport_session(self, user: str = "user-1", **changes: Any) -> dict[str, str]:
        passport = {"codeChallenge": CHALLENGE, "other": 1}
        answer = self.session(user, accountLinkFlow="KYC_PASSPORT", kycPassport=passport, **changes)
        assert answer.status_code == 201
        data: dict[str, str] = answer.get_json()["data"]
        return data

    def decide(self, url: str, decision: str = "allow") -> TestResponse:
        return self.http.post(urlsplit(url).path, data={"decision": decision})

    def link(self, user: str = "user-1", **changes: Any) -> str:
        """Link a user and return the userAuthorizationId."""
        answer = self.decide(self.session(user, **changes).get_json()["data"]["linkQRCodeURL"])
        return str(claims(answer)["userAuthorizationId"])

    def passport(self, uaid: str) -> TestResponse:
        return self.call("GET", "/v1/kyc/passport", headers={"X-USER-AUTHORIZATION-ID": uaid})

    def info(self, uaid: str, query: str = "") -> TestResponse:
        return self.call("GET", f"/v1/kyc/info?userAuthorizationId={uaid}{query}")

    def status(self, uaid: str) -> TestResponse:
        return self.call("GET", f"/v2/user/authorizations?userAuthorizationId={uaid}")

    def complete(self, code_id: str, uaid: str | None, verifier: str | None = VERIFIER) -> TestResponse:
        body = {"codeVerifier": verifier, "userAuthorizationId": uaid}
        return self.call("POST", f"/v1/kyc/passport/qr/{code_id}", {k: v for k, v in body.items() if v is not None})

    def dial(self, user: str | None = None, **dials: object) -> None:
        self.sandbox.paypay.dials.put(dials, user)

    def control(self, method: str, path: str, body: object = None, status: int = 200) -> Any:
        answer = self.http.open(f"/_sandbox/paypay{path}", method=method, json=body)
        assert answer.status_code == status, answer.get_data(as_text=True)
        return answer.get_json()

    def user(self, name: str = "user-1") -> dict[str, Any]:
        view: dict[str, Any] = self.control("GET", f"/users/{name}")
        return view

    def pass_time(self, seconds: float = 0.0) -> None:
        self.core.advance(seconds)
        self.core.schedule.run_due()


def token(answer: TestResponse) -> str:
    """Return the response token in a redirect."""
    assert answer.status_code == 303
    return parse_qs(urlsplit(answer.headers["Location"]).query)["responseToken"][0]


def claims(answer: TestResponse) -> dict[str, Any]:
    """Return the claims of a redirect's token, without looking at its signature."""
    payload = token(answer).split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return decoded
