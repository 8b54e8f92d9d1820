"""The merchant's shop, simulated: the page that a user comes back to after account linking."""

from flask import Blueprint, Response, make_response, render_template, request

RETURN_PATH = "/shop/return"

# What the `result` that Honnin sends along means to the user: Japanese, English.
RESULTS = {
    "succeeded": ("PayPayとの連携が完了しました。", "Your PayPay account is linked."),
    "declined": ("PayPayとの連携を許可しませんでした。", "You declined to link your PayPay account."),
    "bad_request": ("PayPayとの連携に失敗しました。", "Linking your PayPay account failed."),
}
UNKNOWN = ("PayPayとの連携の結果がありません。", "There is no result of linking your PayPay account.")


def shop_blueprint(merchant_name: str) -> Blueprint:
    """Return the shop's one page; it shows the `result` in its address."""
    shop = Blueprint("shop", "sandbox")

    @shop.get(RETURN_PATH)
    def come_back() -> Response:
        japanese, english = RESULTS.get(request.args.get("result", ""), UNKNOWN)
        html = render_template("shop_return.html", merchant=merchant_name, japanese=japanese, english=english)
        page = make_response(html)
        page.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
        page.headers["Cache-Control"] = "no-store"
        return page

    return shop
