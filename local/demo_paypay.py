"""The PayPay scenes of the demo: link an account, read its KYC, and receive what happens to it afterwards."""

import time

import requests

from local.demo import Scene, ok, status, timeline, wait_for
from local.stack import Stack

# A webhook that is delivered has taken effect long before.
_LONG_ENOUGH_S = 3.0

# Longer than any scene.
_LAG_S = 600

_SCOPES = ["mini_app_kyc_passport", "get_kyc_info"]


def account_link(stack: Stack, user_id: str) -> str:
    """`POST /paypay/account-links`; the address of PayPay's consent page (here the sandbox's)."""
    body = {"userId": user_id, "scopes": _SCOPES, "returnUrl": f"{stack.sandbox_url}/shop/return"}
    answer = stack.merchant.request("POST", "/paypay/account-links", json=body)
    return str(ok(answer, "POST /paypay/account-links")["linkQRCodeURL"])


def press_allow(link_url: str) -> str:
    """Press "allow" on the consent page and follow the browser's way back; where it ends."""
    return _press(link_url, "allow")


def flag_unnoticed(stack: Stack, user_id: str) -> None:
    """PayPay flags a user as a risk, and its webhook is lost."""
    stack.sandbox("POST", f"/paypay/users/{user_id}/risk", json={"flag": "UNACCEPTABLE_OP", "delivery": "lost"})


def _press(link_url: str, decision: str) -> str:
    with requests.Session() as session:
        session.trust_env = False
        back = session.post(link_url, data={"decision": decision}, timeout=30, allow_redirects=False)
        ended = session.get(back.headers["Location"], timeout=30, allow_redirects=False)
        return ended.headers.get("Location", f"HTTP {ended.status_code}")


def _linked_and_verified(stack: Stack, user_id: str) -> None:
    press_allow(account_link(stack, user_id))
    ok(stack.merchant.request("GET", f"/paypay/users/{user_id}/kyc-passport"), "GET …/kyc-passport")


def _link_and_read(stack: Stack, user_id: str, _name: str) -> tuple[str, str]:
    ended = press_allow(account_link(stack, user_id))
    linked = status(stack, user_id, "paypay")
    answer = stack.merchant.request("GET", f"/paypay/users/{user_id}/kyc-passport")
    read = ok(answer, "GET …/kyc-passport")
    got = f"{ended.rpartition('?')[2]}, {linked}, then {read['status']} with {'KYC' if 'kyc' in read else 'nothing'}"
    return "result=succeeded, LINKED, then VERIFIED with KYC", got


def _declined(stack: Stack, user_id: str, _name: str) -> tuple[str, str]:
    ended = _press(account_link(stack, user_id), "decline")
    entry = next(each for each in timeline(stack, user_id) if each.what == "link_declined")
    got = f"{ended.rpartition('?')[2]}, {status(stack, user_id, 'paypay')}, cause {entry.cause}"
    return "result=declined, LINK_DECLINED, cause user", got


def _notified_by_webhook(stack: Stack, user_id: str, _name: str) -> tuple[str, str]:
    _linked_and_verified(stack, user_id)
    seen = []
    for path, body, final in (
        ("kyc-updated", {"data": {"expiryDate": "2031-03-31"}}, "VERIFIED"),
        ("risk", {"flag": "UNACCEPTABLE_OP"}, "RISK_FLAGGED"),
        ("risk", {"flag": None}, "VERIFIED"),
        ("account", {"status": "canceled"}, "INACTIVE"),
    ):
        received = len(_by_webhook(stack, user_id))
        stack.sandbox("POST", f"/paypay/users/{user_id}/{path}", json=body)
        wait_for(lambda before=received: len(_by_webhook(stack, user_id)) > before)  # type: ignore[misc]
        seen.append(status(stack, user_id, "paypay") or "nothing")
        if seen[-1] != final:
            break
    return "VERIFIED, RISK_FLAGGED, VERIFIED, INACTIVE", ", ".join(seen)


def _ended_in_the_app(stack: Stack, user_id: str, _name: str) -> tuple[str, str]:
    _linked_and_verified(stack, user_id)
    stack.sandbox("POST", f"/paypay/users/{user_id}/authorization", json={"state": "unlinked"})
    wait_for(lambda: status(stack, user_id, "paypay") != "VERIFIED")
    ended = status(stack, user_id, "paypay")
    causes = [entry.cause for entry in timeline(stack, user_id) if entry.moved_to == ended]
    return "INACTIVE by webhook", f"{ended} by {'/'.join(causes) or 'nothing'}"


def _read_too_early(stack: Stack, user_id: str, _name: str) -> tuple[str, str]:
    _linked_and_verified(stack, user_id)
    stack.sandbox("PUT", f"/dials/paypay/{user_id}", json={"read_lag_s": _LAG_S})
    stack.sandbox("POST", f"/paypay/users/{user_id}/risk", json={"flag": "UNACCEPTABLE_OP"})
    wait_for(lambda: bool(_by_webhook(stack, user_id)))
    early = status(stack, user_id, "paypay")
    # The reads have caught up: now, so that a slow machine sees the same.
    stack.sandbox("PUT", f"/dials/paypay/{user_id}", json={"read_lag_s": None})
    wait_for(lambda: status(stack, user_id, "paypay") != early)
    found = status(stack, user_id, "paypay")
    causes = [entry.cause for entry in timeline(stack, user_id) if entry.moved_to == found]
    return "VERIFIED by webhook, then RISK_FLAGGED by settle", f"{early} by webhook, then {found} by {'/'.join(causes)}"


def _webhook_lost(stack: Stack, user_id: str, _name: str) -> tuple[str, str]:
    _linked_and_verified(stack, user_id)
    flag_unnoticed(stack, user_id)
    time.sleep(_LONG_ENOUGH_S)
    received = len(_by_webhook(stack, user_id)) or "no"
    return (
        "still VERIFIED, no webhook received",
        f"still {status(stack, user_id, 'paypay')}, {received} webhook received",
    )


def _by_webhook(stack: Stack, user_id: str) -> list[str]:
    return [entry.what for entry in timeline(stack, user_id) if entry.cause == "webhook"]


PAYPAY_SCENES = (
    Scene("mika", "PayPay", "account linked (allow pressed), KYC Passport read", _link_and_read),
    Scene("aoi", "PayPay", "account link declined", _declined),
    Scene(
        "ren", "PayPay", "KYC updated, risk flagged and cleared, account closed: four webhooks", _notified_by_webhook
    ),
    Scene("riku", "PayPay", "risk flagged, and PayPay's answers show it seconds after its webhook", _read_too_early),
    Scene("nao", "PayPay", "link ended by the user in the PayPay app", _ended_in_the_app),
    Scene("sora", "PayPay", "risk webhook lost: only recon can find it", _webhook_lost),
)
