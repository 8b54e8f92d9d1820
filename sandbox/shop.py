"""The merchant's back end, simulated: the page that a user comes back to after linking, and its webhook endpoint."""

import threading
from collections.abc import Mapping
from urllib.parse import urlsplit

import requests
from flask import Blueprint, Response, make_response, render_template, request
from urllib3.exceptions import NewConnectionError

from sandbox.core import CONTROL_PREFIX, ControlError, control_object

RETURN_PATH = "/shop/return"
WEBHOOK_PATH = "/shop/webhooks"
_RECEIVERS_PATH = f"{CONTROL_PREFIX}/shop/receivers"
# The parts of the signature, and what the body is.
_PASSED_ON = ("webhook-id", "webhook-timestamp", "webhook-signature", "Content-Type", "User-Agent")
# Honnin waits for 15 seconds.
_TIMEOUT_S = 12.0
_TAKEN = 204

# What the `result` that Honnin sends along means to the user: Japanese, English.
RESULTS = {
    "succeeded": ("PayPayとの連携が完了しました。", "Your PayPay account is linked."),
    "declined": ("PayPayとの連携を許可しませんでした。", "You declined to link your PayPay account."),
    "bad_request": ("PayPayとの連携に失敗しました。", "Linking your PayPay account failed."),
}
UNKNOWN = ("PayPayとの連携の結果がありません。", "There is no result of linking your PayPay account.")


class Receivers:
    """Where the merchant's tests want to have Honnin's webhooks. A reset keeps them, as it keeps the webhook URLs."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._urls: list[str] = []

    def add(self, url: str) -> list[str]:
        """Pass each webhook on to `url`, too; return all of them."""
        with self._lock:
            self._urls = list(dict.fromkeys([*self._urls, url]))
            return list(self._urls)

    def remove(self, url: str) -> list[str]:
        """Pass nothing on to `url` any more; return those that are left."""
        with self._lock:
            self._urls = [each for each in self._urls if each != url]
            return list(self._urls)

    def pass_on(self, headers: Mapping[str, str], body: bytes) -> int:
        """Give a webhook to every receiver, and return the worst status of theirs (204 without any).

        One on whose port nobody listens is forgotten: a test that was killed must not stop Honnin's webhooks.
        """
        with self._lock:
            urls = list(self._urls)
        return max((_passed_to(url, headers, body) or self._forgotten(url) for url in urls), default=_TAKEN)

    def _forgotten(self, url: str) -> int:
        self.remove(url)
        return _TAKEN


def shop_blueprint(merchant_name: str, receivers: Receivers) -> Blueprint:
    """Return the shop's one page, which shows the `result` in its address, and an endpoint that takes any webhook."""
    shop = Blueprint("shop", "sandbox")

    @shop.get(RETURN_PATH)
    def come_back() -> Response:
        japanese, english = RESULTS.get(request.args.get("result", ""), UNKNOWN)
        html = render_template("shop_return.html", merchant=merchant_name, japanese=japanese, english=english)
        page = make_response(html)
        page.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
        page.headers["Cache-Control"] = "no-store"
        return page

    @shop.post(WEBHOOK_PATH)
    def webhook() -> tuple[str, int]:
        headers = {name: value for name in _PASSED_ON if (value := request.headers.get(name)) is not None}
        return "", receivers.pass_on(headers, request.get_data())

    @shop.post(_RECEIVERS_PATH)
    def add_receiver() -> Mapping[str, object]:
        return {"receivers": receivers.add(_receiver(control_object()))}

    @shop.delete(_RECEIVERS_PATH)
    def remove_receiver() -> Mapping[str, object]:
        return {"receivers": receivers.remove(_receiver(control_object()))}

    return shop


def _receiver(body: Mapping[str, object]) -> str:
    url = body.get("url")
    if set(body) != {"url"} or not isinstance(url, str) or urlsplit(url).scheme not in ("http", "https"):
        raise ControlError(400, 'The body must be {"url": an http or https URL}.')
    if urlsplit(url).netloc == request.host:
        raise ControlError(400, "The sandbox itself cannot be a receiver: it would pass the webhook on for ever.")
    return url


def _passed_to(url: str, headers: Mapping[str, str], body: bytes) -> int | None:
    """The status that a receiver answered, 502 or 504 without an answer; None where nobody listens."""
    try:
        with requests.Session() as session:
            session.trust_env = False
            with session.post(
                url, data=body, headers=headers, timeout=_TIMEOUT_S, allow_redirects=False, stream=True
            ) as answer:
                return answer.status_code
    except requests.Timeout:
        return 504
    except requests.RequestException as error:
        cause = error.args[0] if error.args else None
        return None if isinstance(getattr(cause, "reason", None), NewConnectionError) else 502
