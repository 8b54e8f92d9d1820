"""A merchant whose users link, are read and are erased, over the functions as the template has them."""

import json
from typing import Any

from sandbox.paypay.register import Authorization
from sandbox.server import RunningSandbox
from tests.fakes.deployment import Deployment, Function, header, sample
from tests.fakes.merchant import Merchant

USER = "user-0001"
NAME, KANA, BIRTHDAY, CITY = "ケシ印姓", "ケシジルシ", "1908-08-08", "ケシ印町八丁目"
KYC = {"lastName": NAME, "lastNameKana": KANA, "birthday": BIRTHDAY, "address": {"city": CITY}}
PASSPORT: dict[str, Any] = {"accountLinkFlow": "KYC_PASSPORT", "kycPassport": {}}
PERSONAL = (NAME, KANA, BIRTHDAY, CITY)


class Shop:
    """The merchant, PayPay's webhooks, and the functions behind them."""

    def __init__(self, stack: Deployment, box: RunningSandbox) -> None:
        self.stack = stack
        self.box = box
        self.merchant = Merchant(stack)
        self.processor = stack.function("event_processor")
        self.functions = {"DELETE": stack.function("erasure"), "GET": stack.function("kyc_status")}
        self.hooks: dict[str, Function] = {
            kind: stack.function(f"paypay_{kind}_webhook") for kind in ("kyc", "risk", "account_status")
        }
        self._serial = 0

    def live(self, user_id: str = USER) -> list[str]:
        """Link twice, be read and notified about; returns both authorization ids, the present one last."""
        self.box.paypay.register.user(user_id).kyc.data.update(KYC)
        self.merchant.link(user_id)
        first = self.linked(user_id)
        self.merchant.kyc(user_id)
        self.authorization(first).unlinked = True
        self.merchant.link(user_id, **PASSPORT)
        present = self.linked(user_id)
        assert present != first
        assert self.merchant.passport(user_id)["statusCode"] == 200
        self.notify("kyc", present)
        self.notify("risk", present)
        self.notify("account_status", present)
        return [first, present]

    def authorization(self, linked: str) -> Authorization:
        """An authorization as PayPay has it."""
        found = self.box.paypay.register.authorization(linked)
        assert found is not None
        return found[1]

    def linked(self, user_id: str = USER) -> str:
        """The user's present authorization."""
        found = self.stack.store.users.status(user_id, "paypay")
        assert found is not None
        assert found.user_authorization_id is not None
        return found.user_authorization_id

    def notify(self, kind: str, linked: str, **fields: str) -> None:
        """One webhook, and its processing."""
        self._serial += 1
        event = sample(f"paypay_{kind}_webhook")
        named = {"notification_id": f"evt_{self._serial}", "user_authorization_id": linked, **fields}
        answer = self.hooks[kind](event | {"body": json.dumps({**json.loads(event["body"]), **named})})
        assert answer["body"] == "OK"
        assert self.stack.process(self.processor, 120_000) == []

    def submit(self, user_id: str = USER) -> str:
        """`POST /vexora/submissions`; the submission's id."""
        event = sample("vexora_submission")
        event["body"] = json.dumps({"userId": user_id, "usernameFurigana": "テスト ハナコ"})
        made: str = json.loads(self.stack.function("vexora_submission")(event)["body"])["submissionId"]
        return made

    def erase(self, user_id: str = USER, body: str | None = None, **query: str) -> tuple[int, dict[str, Any]]:
        """`DELETE /users/{userId}/personal-data`."""
        return self.call("DELETE", f"/users/{user_id}/personal-data", user_id, body, **query)

    def call(
        self, method: str, path: str, user_id: str = USER, body: str | None = None, **query: str
    ) -> tuple[int, dict[str, Any]]:
        """One call of the function behind the method: erasure, or the read side."""
        event = sample("kyc_status") | {
            "httpMethod": method,
            "body": body,
            "path": path,
            "resource": path.replace(user_id, "{userId}"),
            "pathParameters": {"userId": user_id},
            "queryStringParameters": query or None,
            "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} or None,
        }
        answer = self.functions[method](event)
        # What cannot be read is answered before Powertools runs.
        kind = answer.get("headers", {}).get("Content-Type") or header(answer, "Content-Type") or ""
        assert kind.startswith("application/json" if answer["statusCode"] == 200 else "application/problem+json")
        return answer["statusCode"], json.loads(answer["body"])

    def versions(self, user_id: str = USER) -> list[Any]:
        """All versions and delete markers of a user in the vault."""
        pages = self.stack.s3.get_paginator("list_object_versions").paginate(Bucket="personal-data")
        found = [each for page in pages for each in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]]
        return [each for each in found if each["Key"].split("/")[1] == user_id]

    def holding(self, *marks: str) -> list[str]:
        """The partition keys of what holds one of these texts, in any table."""
        items = [*self.stack.items(), *self.stack.items("IdempotencyTable")]
        texts = [(str(item.get("pk")), json.dumps(item, default=str, ensure_ascii=False)) for item in items]
        return [key for key, text in texts if any(mark in text for mark in marks)]

    def unlink_calls(self) -> int:
        """How often PayPay was asked to unlink the user."""
        calls: dict[str, int] = self.box.paypay.register.view(USER)["calls"]  # type: ignore[assignment]
        return calls.get("unlink", 0)
