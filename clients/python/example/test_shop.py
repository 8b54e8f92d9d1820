"""The shop against a local stack of Honnin. The fixtures `honnin_stack`, `sandbox`, … are those of the plugin."""

import json
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from shop import Shop, create_app
from standardwebhooks import Webhook
from werkzeug.serving import make_server

from honnin_client import Honnin
from honnin_client.testing import AwaitStatus, Events, HonninStack, MerchantWebhooks, Sandbox, SandboxUser
from honnin_client.testing.waiting import until

_WAIT_S = 60.0


class Running:
    """The shop behind a port, as its users and Honnin see it."""

    def __init__(self, shop: Shop, url: str) -> None:
        self.shop = shop
        self.url = url

    def post(self, path: str, **body: object) -> httpx.Response:
        """Press a button."""
        return httpx.post(f"{self.url}{path}", json=body, timeout=30, trust_env=False)

    def knows(self, user_id: str, **expected: object) -> None:
        """Wait until the shop knows this of a user."""

        def look() -> dict[str, Any] | None:
            found = self.shop.user(user_id)
            return found if found and expected.items() <= found.items() else None

        until(look, _WAIT_S, lambda: f"the shop knows {self.shop.user(user_id)}, not {expected}")


@pytest.fixture
def shop(honnin: Honnin, honnin_stack: HonninStack, tmp_path: Path) -> Iterator[Running]:
    """The shop with an empty database. No webhook comes to it, unless the test uses `with_webhooks`."""
    assert honnin_stack.merchant_webhook_secret
    made = Shop(honnin, tmp_path / "shop.db", f"{honnin_stack.sandbox_url}/shop/return")
    server = make_server("127.0.0.1", 0, create_app(made, honnin_stack.merchant_webhook_secret), threaded=True)
    serving = threading.Thread(target=server.serve_forever, args=(0.05,))
    serving.start()
    yield Running(made, f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    serving.join()
    server.server_close()


@pytest.fixture
def with_webhooks(shop: Running, sandbox: Sandbox) -> Iterator[None]:
    """Have Honnin's webhooks sent to the shop."""
    with sandbox.webhooks_to(f"{shop.url}/honnin/webhooks"):
        yield


@pytest.fixture
def user(sandbox: Sandbox) -> SandboxUser:
    """A user whom nobody else has."""
    return sandbox.user(f"shop:{uuid.uuid4().hex[:12]}")


@pytest.mark.usefixtures("with_webhooks")
def test_an_approval_at_vexora_lets_a_user_in(events: Events, shop: Running, user: SandboxUser) -> None:
    assert shop.post(f"/users/{user.user_id}/application", furigana="テスト ハナコ").status_code == 200
    shop.knows(user.user_id, vexora="PENDING", verified=False)
    user.approve(delivery="twice")
    shop.knows(user.user_id, vexora="APPROVED", verified=True)
    events.wait("KycStatusChanged", user_id=user.user_id, to="APPROVED")


@pytest.mark.usefixtures("with_webhooks")
def test_a_rejection_keeps_a_user_out_and_a_wrong_name_is_said(shop: Running, user: SandboxUser) -> None:
    answer = shop.post(f"/users/{user.user_id}/application", furigana="山田花子")
    assert (answer.status_code, answer.json()) == (422, {"error": "field-invalid"})
    user.reject(reason="氏名が違います")
    assert shop.post(f"/users/{user.user_id}/application", furigana="ヤマダ ハナコ").status_code == 200
    shop.knows(user.user_id, vexora="REJECTED", verified=False)


@pytest.mark.usefixtures("with_webhooks")
def test_a_result_whose_callback_is_lost_is_found_by_the_poll(shop: Running, user: SandboxUser) -> None:
    user.approve(delivery="lost")
    shop.post(f"/users/{user.user_id}/application", furigana="テスト ハナコ")
    user.poll()
    shop.knows(user.user_id, vexora="APPROVED", verified=True)


@pytest.mark.usefixtures("with_webhooks")
def test_a_flag_whose_webhook_is_lost_is_found_at_night(
    shop: Running, user: SandboxUser, sandbox: Sandbox, await_status: AwaitStatus
) -> None:
    user.allow(shop.post(f"/users/{user.user_id}/paypay").json()["url"])
    assert shop.post(f"/users/{user.user_id}/paypay/back").json()["verified"] is True
    sandbox.lose_next_webhook(user.user_id)
    user.flag()
    assert await_status(user.user_id, provider="paypay").verified is True
    sandbox.recon_night()
    shop.knows(user.user_id, paypay="RISK_FLAGGED", verified=False)


def test_the_shop_catches_up_with_what_it_has_missed(
    shop: Running, user: SandboxUser, await_status: AwaitStatus, honnin_stack: HonninStack
) -> None:
    user.approve()
    shop.post(f"/users/{user.user_id}/application", furigana="テスト ハナコ")
    await_status(user.user_id, status="APPROVED")

    def caught_up() -> bool | None:  # the list is made shortly after the change
        shop.shop.catch_up()
        return True if (shop.shop.user(user.user_id) or {})["verified"] else None

    until(caught_up, _WAIT_S, lambda: "the list of changes does not name the user")
    # A webhook of before comes late: it changes nothing, although it is signed.
    old = {"userId": user.user_id, "provider": "vexora", "from": "SUBMITTING", "to": "PENDING", "version": 1}
    old |= {"verified": False, "verifiedReason": "NOT_VERIFIED", "cause": "api", "occurredAt": "2026-01-01T00:00:00Z"}
    assert _sent(shop, honnin_stack, old) == 204
    shop.knows(user.user_id, vexora="APPROVED", verified=True)


def test_what_honnin_has_not_signed_is_refused(shop: Running) -> None:
    assert shop.post("/honnin/webhooks", type="kyc.status.changed").status_code == 401


@pytest.mark.usefixtures("with_webhooks")
def test_a_user_who_is_erased_is_forgotten(
    shop: Running, user: SandboxUser, honnin: Honnin, merchant_webhooks: MerchantWebhooks
) -> None:
    user.approve()
    shop.post(f"/users/{user.user_id}/application", furigana="テスト ハナコ")
    shop.knows(user.user_id, verified=True)
    honnin.erase_user(user.user_id)
    merchant_webhooks.wait("user.erased", user_id=user.user_id)
    until(lambda: shop.shop.user(user.user_id) is None or None, _WAIT_S, lambda: "the shop still knows the user")


def _sent(shop: Running, stack: HonninStack, data: dict[str, object]) -> int:
    """Send the shop a webhook as Honnin would sign it."""
    now = datetime.now(UTC)
    body = json.dumps({"type": "kyc.status.changed", "timestamp": now.isoformat(), "data": data})
    name = f"msg_{uuid.uuid4().hex}"
    assert stack.merchant_webhook_secret
    headers = {
        "Content-Type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(stack.merchant_webhook_secret).sign(name, now, body),
    }
    answer = httpx.post(f"{shop.url}/honnin/webhooks", content=body, headers=headers, timeout=30, trust_env=False)
    return answer.status_code
