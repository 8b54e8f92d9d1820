"""The merchant's back end, simulated: the page that a user comes back to after linking, and its webhook endpoint."""

from flask import Blueprint, Response, make_response, render_template, request

RETURN_PATH = "/shop/return"
WEBHOOK_PATH = "/shop/webhooks"

# What the `result` that Honnin sends along means to the user: Japanese, English.
RESULTS = {
    "succeeded": ("PayPayとの連携が完了しました。", "Your PayPay account is linked."),
    "declined": ("PayPayとの連携を許可しませんでした。", "You declined to link your PayPay account."),
    "bad_request": ("PayPayとの連携に失敗しました。", "Linking your PayPay account failed."),
}
UNKNOWN = ("PayPayとの連携の結果がありません。", "There is no result of linking your PayPay account.")


def shop_blueprint(merchant_name: str) -> Blueprint:
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
        return "", 204

    return shop
