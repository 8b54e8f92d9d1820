"""A merchant of the sandbox's Vexora over Flask's test client, with a clock that tests move."""

from collections.abc import Mapping
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from sandbox.app import Sandbox, SandboxConfig, create_app
from sandbox.delivery import Answer, UndeliveredError
from sandbox.vexora.provider import VexoraAccount
from sandbox.vexora.signature import expected_sign

ACCOUNT = VexoraAccount("900001", "unit-secret")


CALLBACK_URL = "https://merchant.example.com/webhooks/vexora/kyc-result/sub-1/0a9fZz"


NOW = 1_774_925_553.0


class Merchant:
    """The merchant's side: signs calls, and plays the webhook that callbacks are posted to."""

    def __init__(self) -> None:
        self.sandbox = Sandbox(SandboxConfig(vexora=ACCOUNT))
        self.sandbox.core.clock._time_source = lambda: NOW
        self.sandbox.core.courier.transport = self._webhook
        self.http: FlaskClient = create_app(self.sandbox).test_client()
        self.answers: list[Answer | UndeliveredError] = []
        self.received: list[tuple[str, bytes, str, float]] = []

    def _webhook(self, url: str, body: bytes, content_type: str, timeout_s: float) -> Answer:
        self.received.append((url, body, content_type, timeout_s))
        answer = self.answers.pop(0) if self.answers else Answer(200, "OK")
        if isinstance(answer, UndeliveredError):
            raise answer
        return answer

    def fields(self, **changes: str | None) -> dict[str, str]:
        fields: dict[str, str | None] = {
            "timestamp": str(self.sandbox.core.clock.now_ms()),
            "userId": "user-1",
            "callBackUrl": CALLBACK_URL,
            "usernameFurigana": "テスト ハナコ",
            **changes,
        }
        present = {name: value for name, value in fields.items() if value is not None}
        return {"sign": expected_sign(present, ACCOUNT.app_secret), **present}

    def apply(self, **changes: str | None) -> TestResponse:
        return self.send(self.fields(**changes))

    def send(self, fields: Mapping[str, Any], merchant_no: str = "900001") -> TestResponse:
        return self.http.post(
            "/japan/v1/vexora/kycApplyFor",
            data=dict(fields),
            content_type="multipart/form-data",
            headers={"merchantNo": merchant_no},
        )

    def query(self, user_id: str = "user-1", **changes: Any) -> TestResponse:
        fields: dict[str, Any] = {"userId": user_id, "timestamp": str(self.sandbox.core.clock.now_ms())}
        fields["sign"] = expected_sign(fields, ACCOUNT.app_secret)
        return self.http.post(
            "/japan/v1/vexora/kycStatusQuery", json={**fields, **changes}, headers={"merchantNo": "900001"}
        )

    def status(self, user_id: str = "user-1") -> str:
        return str(self.query(user_id).get_json()["data"]["authenticationStatus"])

    def user(self, user_id: str = "user-1") -> dict[str, Any]:
        view: dict[str, Any] = self.http.get(f"/_sandbox/vexora/users/{user_id}").get_json()
        return view

    def dial(self, **dials: object) -> None:
        self.sandbox.vexora.dials.put(dials)

    def dial_user(self, user_id: str, **dials: object) -> None:
        self.sandbox.vexora.dials.put(dials, user_id)

    def pass_time(self, seconds: float) -> None:
        self.sandbox.core.advance(seconds)
        self.sandbox.core.schedule.run_due()
