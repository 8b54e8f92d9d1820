"""The sandbox's `lose-next`, and where it passes Honnin's own webhooks on to."""

from collections.abc import Mapping
from typing import Any

import pytest

from sandbox import shop
from tests.fakes import sandbox_paypay, sandbox_vexora
from tests.fakes.loopback import LoopbackServer, Reply

_RISK = {"flag": "UNACCEPTABLE_OP"}


def _lose(merchant: sandbox_paypay.Merchant | sandbox_vexora.Merchant, body: Mapping[str, Any] | None = None) -> int:
    return merchant.http.post("/_sandbox/lose-next", json=body or {}).status_code


def _risk(paypay: sandbox_paypay.Merchant, user: str = "user-1", **how: str) -> int:
    paypay.control("POST", f"/users/{user}/risk", {**_RISK, **how})
    paypay.pass_time()
    return len(paypay.received)


def test_exactly_the_next_notification_is_lost_with_all_its_copies() -> None:
    paypay = sandbox_paypay.Merchant()
    paypay.link()
    paypay.sandbox.paypay.dials.put({"webhook_copies": 2})
    assert _lose(paypay) == 200
    assert _risk(paypay) == 0
    assert _risk(paypay) == 2
    states = [each["outcome"] for each in paypay.control("GET", "/users/user-1")["notifications"]]
    assert states == ["dropped", "dropped", "delivered", "delivered"]


def test_the_next_notification_about_a_user_is_lost_by_any_name_of_theirs() -> None:
    paypay = sandbox_paypay.Merchant()
    authorization = paypay.link()
    paypay.link("user-2")
    for name in ("user-1", authorization):
        paypay.received.clear()
        assert _lose(paypay, {"user": name}) == 200
        assert _risk(paypay, "user-2") == 1
        assert _risk(paypay) == 1
        assert _risk(paypay) == 2


def test_a_notification_that_is_lost_anyway_is_not_the_one() -> None:
    paypay = sandbox_paypay.Merchant()
    paypay.link()
    _lose(paypay)
    assert _risk(paypay, delivery="lost") == 0
    assert _risk(paypay) == 0
    assert _risk(paypay) == 1


def test_a_recon_file_can_be_the_next_one() -> None:
    paypay = sandbox_paypay.Merchant()
    paypay.control("PUT", "/webhooks", {"recon": "https://merchant.example.com/webhooks/paypay/recon"})
    _lose(paypay)
    paypay.control("POST", "/recon-night", {"day": "today"})
    paypay.pass_time()
    assert len(paypay.received) == 2


def test_the_next_callback_is_lost_and_the_one_after_it_comes() -> None:
    merchant = sandbox_vexora.Merchant()
    merchant.dial(review="none")
    merchant.apply()
    _lose(merchant, {"user": "user-1"})
    for outcome in ("approve", "again"):
        merchant.http.post("/_sandbox/vexora/users/user-1/review", json={"outcome": outcome})
        merchant.pass_time(1)
    assert len(merchant.received) == 1
    assert [each["state"] for each in merchant.user()["callbacks"]] == ["dropped", "accepted"]


def test_a_reset_loses_nothing_more() -> None:
    paypay = sandbox_paypay.Merchant()
    _lose(paypay)
    paypay.http.post("/_sandbox/reset")
    paypay.link()
    assert _risk(paypay) == 1


@pytest.mark.parametrize("body", [{"user": 1}, {"users": "user-1"}])
def test_what_is_no_user_is_refused(body: dict[str, Any]) -> None:
    assert _lose(sandbox_paypay.Merchant(), body) == 400


# --- the merchant's endpoint ---

_HOOK = {
    "webhook-id": "msg_1",
    "webhook-timestamp": "1",
    "webhook-signature": "v1,x",
    "Content-Type": "application/json",
}


def _hook(merchant: sandbox_paypay.Merchant) -> int:
    return merchant.http.post(shop.WEBHOOK_PATH, data=b'{"a":  1}', headers=_HOOK).status_code


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_webhook_is_passed_on_as_it_came_and_the_worst_answer_counts() -> None:
    merchant = sandbox_paypay.Merchant()
    assert _hook(merchant) == 204
    with (
        LoopbackServer(Reply(200)) as one,
        LoopbackServer(Reply(503), Reply(instead="close"), Reply(204, b"")) as other,
    ):
        for each in (one, other, one):
            merchant.http.post("/_sandbox/shop/receivers", json={"url": f"{each.url}/hooks"})
        merchant.http.post("/_sandbox/reset")  # keeps them
        assert [_hook(merchant) for _ in range(3)] == [503, 502, 204]
        assert [(each.path, each.body) for each in one.received] == [("/hooks", b'{"a":  1}')] * 3
        assert {name: one.received[0].headers[name.lower()] for name in _HOOK} == _HOOK
        left = merchant.http.delete("/_sandbox/shop/receivers", json={"url": f"{other.url}/hooks"}).get_json()
        assert left == {"receivers": [f"{one.url}/hooks"]}
        assert _hook(merchant) == 200
        assert len(other.received) == 3


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_receiver_that_is_gone_is_forgotten() -> None:
    merchant = sandbox_paypay.Merchant()
    with LoopbackServer() as gone:
        merchant.http.post("/_sandbox/shop/receivers", json={"url": gone.url})
    assert _hook(merchant) == 204
    assert merchant.sandbox.receivers.remove("http://127.0.0.1:1") == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": "ftp://127.0.0.1/"},
        {"url": None},
        {"url": "http://a", "more": 1},
        {"url": "http://localhost/shop/webhooks"},
    ],
)
def test_what_is_no_url_is_no_receiver(body: dict[str, Any]) -> None:
    assert sandbox_paypay.Merchant().http.post("/_sandbox/shop/receivers", json=body).status_code == 400
