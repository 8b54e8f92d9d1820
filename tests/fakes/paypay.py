"""PayPay in the process, as the test says."""

from collections.abc import Callable
from typing import Any

import pytest

from honnin.errors import (
    UserAnswerError,
)
from honnin.paypay.client import Begins, PayPayClient, no_action
from honnin.paypay.models import AuthorizationReading, KycReading, UserAuthorization


class FakePayPay(PayPayClient):
    """PayPay as the test says. What is in `meanwhile` happens while a call is under way, once each."""

    def __init__(self) -> None:
        """Knows one active authorization, of the user `user-1`."""
        self.flag: str | None = None
        self.data: dict[str, Any] = {"status": "COMPLETED"}
        self.http_status = 200
        self.code = "SUCCESS"
        self.qrs: list[tuple[str, str]] = []
        self.required: list[str | None] = []
        self.authorizations: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        # What happens while a call waits for its turn, and while it is under way.
        self.waits: list[Callable[[], object]] = []
        self.meanwhile: list[Callable[[], object]] = []
        self.failure: Exception | None = None

    def kyc_info(
        self, user_authorization_id: str, required_kyc_type: str | None = None, *, begins: Begins = no_action
    ) -> KycReading:
        """Get the KYC information."""
        self._wait_for(begins)
        self.required.append(required_kyc_type)
        return self._kyc("kyc_info")

    def kyc_passport(self, user_authorization_id: str, *, begins: Begins = no_action) -> KycReading:
        """Get the KYC information of a KYC Passport client, or the flag."""
        self._wait_for(begins)
        return self._kyc("kyc_passport")

    def user_authorization(self, user_authorization_id: str, *, begins: Begins = no_action) -> AuthorizationReading:
        """Get the state of an authorization."""
        self._wait_for(begins)
        found = self.authorizations.get(user_authorization_id)
        self._called("authorization")
        if found is None:
            raise answer("INVALID_USER_AUTHORIZATION_ID")
        return AuthorizationReading(UserAuthorization.model_validate(found), "OPA3")

    def completed_kyc_passport_qr(
        self, code_id: str, code_verifier: str, user_authorization_id: str, *, begins: Begins = no_action
    ) -> KycReading:
        """Get the KYC information of a KYC Passport QR, or the flag."""
        self._wait_for(begins)
        self.qrs.append((code_id, code_verifier))
        return self._kyc("kyc_passport_qr")

    def _wait_for(self, begins: Begins) -> None:
        if self.waits:
            self.waits.pop(0)()
        begins()

    def _kyc(self, name: str) -> KycReading:
        flag = self.flag
        self._called(name)
        if flag:
            raise answer(flag)
        return KycReading(self.data, "OPA1", self.http_status, self.code)

    def _called(self, name: str) -> None:
        self.asked.append(name)
        if len(self.asked) > 50:
            pytest.fail("PayPay is asked without end")
        if self.meanwhile:
            self.meanwhile.pop(0)()
        if self.failure:
            raise self.failure


def answer(code: str) -> UserAnswerError:
    return UserAnswerError("paypay", code.lower(), http_status=400, code=code, request_id="OPA2")
