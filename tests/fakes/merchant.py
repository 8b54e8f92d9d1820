"""A merchant of PayPay on the deployment, with its user's browser."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from tests.fakes.deployment import PAYPAY_SCOPES, RETURN_URL, WEBHOOK_API_URL, Deployment, sample


class Merchant:
    """A merchant's back end and its user's browser, with the two PayPay functions behind them."""

    def __init__(self, stack: Deployment) -> None:
        self._link = stack.function("paypay_account_link")
        self._kyc = stack.function("paypay_kyc")

    def ask(self, user_id: str = "user-0001", **fields: Any) -> dict[str, Any]:
        """`POST /paypay/account-links`; `fields` join or replace those of the request."""
        body = {"userId": user_id, "scopes": list(PAYPAY_SCOPES), "returnUrl": RETURN_URL, **fields}
        return self.post(json.dumps({name: value for name, value in body.items() if value is not ...}))

    def post(self, body: str) -> dict[str, Any]:
        """`POST /paypay/account-links` with a body as it is; the answer with its JSON read."""
        event = sample("paypay_account_link") | {"body": body, "stageVariables": {"webhookApiUrl": WEBHOOK_API_URL}}
        answer: dict[str, Any] = self._link(event)
        return answer | {"json": json.loads(answer["body"])}

    def press(self, asked: Mapping[str, Any], decision: str = "allow") -> str:
        """What the user does on PayPay's page; returns where PayPay sends the browser."""
        url = asked["json"]["linkQRCodeURL"]
        pressed = requests.post(url, data={"decision": decision}, allow_redirects=False, timeout=5)
        return pressed.headers["Location"]

    def come_back(self, location: str) -> dict[str, Any]:
        """The browser at our callback."""
        parameters = {name: values[-1] for name, values in parse_qs(urlsplit(location).query).items()}
        path = "/paypay/account-links/callback"
        event = sample("paypay_account_link") | {"httpMethod": "GET", "resource": path, "path": path, "body": None}
        event["queryStringParameters"] = parameters or None
        event["multiValueQueryStringParameters"] = {name: [value] for name, value in parameters.items()} or None
        answer: dict[str, Any] = self._link(event)
        return answer

    def link(self, user_id: str = "user-0001", **fields: Any) -> dict[str, Any]:
        """All of it; the answer that showed the QR."""
        asked = self.ask(user_id, **fields)
        self.come_back(self.press(asked))
        return asked

    def read(self, path: str, method: str = "GET", **query: str) -> dict[str, Any]:
        """One of the KYC reads; the answer with its JSON read."""
        event = sample("paypay_kyc") | {"path": path, "httpMethod": method, "queryStringParameters": query or None}
        event["multiValueQueryStringParameters"] = {name: [value] for name, value in query.items()} or None
        answer: dict[str, Any] = self._kyc(event)
        return answer | {"json": json.loads(answer["body"])}

    def kyc(self, user_id: str = "user-0001", **query: str) -> dict[str, Any]:
        """`GET /paypay/users/{userId}/kyc`."""
        return self.read(f"/paypay/users/{user_id}/kyc", **query)

    def passport(self, user_id: str = "user-0001") -> dict[str, Any]:
        """`GET /paypay/users/{userId}/kyc-passport`."""
        return self.read(f"/paypay/users/{user_id}/kyc-passport")

    def completed_qr(self, code_id: str) -> dict[str, Any]:
        """`POST /paypay/kyc-passport-qr/{codeId}`."""
        return self.read(f"/paypay/kyc-passport-qr/{code_id}", "POST")
