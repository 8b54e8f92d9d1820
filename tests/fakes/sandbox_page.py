"""A sandbox at which something has happened, for its page in a browser: no stack, and a clock that stands."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from werkzeug.serving import WSGIRequestHandler, make_server

from sandbox.vexora.provider import VexoraAccount
from sandbox.vexora.signature import expected_sign
from tests.fakes.sandbox_paypay import Merchant

CALLBACK_URL = "https://merchant.example.com/webhooks/vexora/0001/" + "f" * 32
USERS = ("mika", "ren", "sora")


class _Quiet(WSGIRequestHandler):
    """Prints no line per request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


@contextmanager
def serving() -> Iterator[str]:
    """The address of the page: a flagged user, a link that was ended, an applicant, a wrong signature."""
    merchant = Merchant()
    links = {user: merchant.link(user) for user in USERS}
    merchant.passport(links["mika"])
    merchant.control("POST", "/users/ren/risk", {"flag": "UNACCEPTABLE_OP"})
    merchant.pass_time()
    merchant.call("DELETE", f"/v2/user/authorizations/{links['sora']}")
    merchant.call("GET", "/v1/kyc/passport", headers={"X-USER-AUTHORIZATION-ID": links["ren"]}, secret="another")
    _apply(merchant)
    server = make_server("127.0.0.1", 0, merchant.http.application, threaded=True, request_handler=_Quiet)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}/"
    finally:
        server.shutdown()
        thread.join(timeout=2)


def _apply(merchant: Merchant) -> None:
    account = VexoraAccount()
    merchant.sandbox.vexora.dials.put({"review": "none"})
    timestamp = str(merchant.core.clock.now_ms())
    fields = {
        "timestamp": timestamp,
        "userId": "hanako",
        "callBackUrl": CALLBACK_URL,
        "usernameFurigana": "テスト ハナコ",
    }
    merchant.http.post(
        "/japan/v1/vexora/kycApplyFor",
        data={**fields, "sign": expected_sign(fields, account.app_secret)},
        content_type="multipart/form-data",
        headers={"merchantNo": account.merchant_no},
    )
