"""The sandbox's page: each button, each setting, both languages, the signatures explained, and who is refused."""

import ast
import json
import re
import string
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from sandbox.explained import Verdict
from sandbox.page import wording
from sandbox.page.presses import LAGS_S, PAYPAY
from sandbox.page.view import MOST_USERS, escaped
from tests.fakes import sandbox_vexora
from tests.fakes.sandbox_paypay import Merchant, claims

SANDBOX = Path(__file__).parents[2] / "sandbox"
PRESSES = [press for group in PAYPAY.values() for press in group]


@pytest.fixture
def merchant() -> Merchant:
    """A merchant of the simulated PayPay."""
    return Merchant()


@pytest.fixture
def applicant() -> sandbox_vexora.Merchant:
    """A merchant of the simulated Vexora, whose user has applied and waits for the reviewer."""
    merchant = sandbox_vexora.Merchant()
    merchant.dial(review="none")
    merchant.apply()
    return merchant


def _page(merchant: Any, query: str = "", language: str = "en") -> str:
    answer = merchant.http.get(f"/{query}", headers={"Accept-Language": language})
    assert answer.status_code == 200
    html: str = answer.get_data(as_text=True)
    return html


def _press(merchant: Any, press: str, provider: str = "paypay", **more: str) -> TestResponse:
    form = {"provider": provider, "user": "user-1", "press": press, "delivery": "sent", "lang": "en", **more}
    answer: TestResponse = merchant.http.post("/page/press", data=form, headers={"Origin": "http://localhost"})
    return answer


def _done(answer: TestResponse) -> str:
    assert answer.status_code == 303
    found = re.search(r"[?&]done=(\w+)", answer.headers["Location"])
    assert found
    return found[1]


# --- PayPay's users ---


@pytest.mark.parametrize(
    ("press", "change", "kind"),
    [
        ("kyc", {}, "kyc"),
        ("kyc-not-completed", {"completed": False}, "kyc"),
        ("kyc-completed", {"completed": True}, "kyc"),
        ("risk-UNACCEPTABLE_OP", {"risk_flag": "UNACCEPTABLE_OP"}, "risk"),
        ("risk-KYC_UPDATE_REQUIRED", {"risk_flag": "KYC_UPDATE_REQUIRED"}, "risk"),
        ("risk-none", {"risk_flag": None}, "risk"),
        ("account-active", {"account_status": "active"}, "account-status"),
        ("account-inactive", {"account_status": "inactive"}, "account-status"),
        ("account-canceled", {"account_status": "canceled"}, "account-status"),
        ("unlink", {"unlinked": True}, "account-status"),
    ],
)
def test_each_button_changes_the_user_and_tells_the_merchant(
    merchant: Merchant, press: str, change: dict[str, object], kind: str
) -> None:
    merchant.link()
    assert _done(_press(merchant, press)) == "done"
    merchant.pass_time()
    user = merchant.user()
    facts = {**user, **user["kyc"], **user["authorizations"][-1]}
    assert {name: facts[name] for name in change} == change
    assert [url.rpartition("/")[2] for url, _ in merchant.received] == [kind]


def test_the_test_above_presses_every_button_that_the_page_shows(merchant: Merchant) -> None:
    merchant.link()
    shown = re.findall(r'name="press" value="([^"]+)"', _page(merchant))
    assert shown == PRESSES
    source = Path(__file__).read_text(encoding="utf-8")
    assert all(f'("{each}", ' in source for each in PRESSES)


@pytest.mark.parametrize("press", PRESSES)
@pytest.mark.parametrize(("delivery", "at_once", "in_the_end"), [("lost", 0, 0), ("twice", 2, 2), ("late", 0, 1)])
def test_the_webhook_of_a_change_is_lost_twice_or_late(
    merchant: Merchant, press: str, delivery: str, at_once: int, in_the_end: int
) -> None:
    merchant.link()
    assert _done(_press(merchant, press, delivery=delivery)) == delivery
    merchant.pass_time()
    assert len(merchant.received) == at_once
    merchant.pass_time(60)
    assert len(merchant.received) == in_the_end
    assert len({body["notification_id"] for _, body in merchant.received}) <= 1
    # Of this change only: the next one is sent as ever.
    _press(merchant, press)
    merchant.pass_time()
    assert len(merchant.received) == in_the_end + 1


def test_a_change_without_its_webhook_is_in_the_recon_files_of_the_day(merchant: Merchant) -> None:
    uaid = merchant.link()
    _press(merchant, "risk-UNACCEPTABLE_OP", delivery="lost")
    merchant.control("PUT", "/webhooks", {"recon": "https://merchant.example.com/webhooks/paypay/recon"})
    form = {"day": "today", "delivery": "sent", "lang": "en"}
    answer = merchant.http.post("/page/recon-night", data=form, headers={"Origin": "http://localhost"})
    assert _done(answer) == "done"
    merchant.pass_time()
    assert [body["notification_type"] for _, body in merchant.received] == ["file.created"] * 3
    [risk] = [each for each in merchant.control("GET", "/recon-files")["files"] if each["rows"]]
    assert risk["fileType"] == "kyc_passport_risk_sync_recon"
    assert uaid in merchant.http.get(risk["path"]).get_data(as_text=True)


@pytest.mark.parametrize(("delivery", "at_once", "in_the_end"), [("lost", 0, 0), ("twice", 6, 6), ("late", 0, 3)])
def test_the_notifications_of_a_night_are_lost_twice_or_late(
    merchant: Merchant, delivery: str, at_once: int, in_the_end: int
) -> None:
    merchant.control("PUT", "/webhooks", {"recon": "https://merchant.example.com/webhooks/paypay/recon"})
    merchant.control("POST", "/recon-night", {"day": "today", "delivery": delivery})
    merchant.pass_time()
    assert len(merchant.received) == at_once
    merchant.pass_time(60)
    assert len(merchant.received) == in_the_end
    assert len(merchant.control("GET", "/recon-files")["files"]) == 3


def test_the_night_of_yesterday(merchant: Merchant) -> None:
    form = {"day": "yesterday", "delivery": "sent", "lang": "en"}
    merchant.http.post("/page/recon-night", data=form, headers={"Origin": "http://localhost"})
    days = {each["day"] for each in merchant.control("GET", "/recon-files")["files"]}
    assert days == {"2026-03-30"}  # the clock of these tests stands at 2026-03-31 in Japan


# --- Vexora's users ---


@pytest.mark.parametrize(("press", "status"), [("approve", "2"), ("reject", "3"), ("again", "0")])
def test_a_reviewer_decides_and_the_callback_comes(applicant: sandbox_vexora.Merchant, press: str, status: str) -> None:
    assert f'name="press" value="{press}"' in _page(applicant)
    assert _done(_press(applicant, press, "vexora")) == "done"
    applicant.pass_time(0)
    assert applicant.user()["status"] == status
    [(_, body, _, _)] = applicant.received
    assert json.loads(body)["authenticationStatus"] == status


@pytest.mark.parametrize(("delivery", "at_once", "in_the_end"), [("lost", 0, 0), ("twice", 2, 2), ("late", 0, 1)])
@pytest.mark.parametrize("press", ["approve", "again"])
def test_a_callback_is_lost_twice_or_late(
    applicant: sandbox_vexora.Merchant, press: str, delivery: str, at_once: int, in_the_end: int
) -> None:
    _press(applicant, press, "vexora", delivery=delivery)
    applicant.pass_time(0)
    assert len(applicant.received) == at_once
    applicant.pass_time(60)
    assert len(applicant.received) == in_the_end


def test_what_is_decided_can_be_sent_again_and_not_be_decided_again(applicant: sandbox_vexora.Merchant) -> None:
    _press(applicant, "approve", "vexora")
    page = _page(applicant)
    assert re.findall(r'name="press" value="([^"]+)"', page) == ["again"]
    assert _done(_press(applicant, "reject", "vexora")) == "refused"
    assert applicant.user()["status"] == "2"


# --- settings ---


def _set(merchant: Any, setting: str, value: str) -> str:
    form = {"setting": setting, "value": value, "lang": "en"}
    return _done(merchant.http.post("/page/setting", data=form, headers={"Origin": "http://localhost"}))


def test_settings_for_all_users(merchant: Merchant) -> None:
    dials = merchant.sandbox.paypay.dials
    assert _set(merchant, "maintenance", "on") == "set"
    assert dials.text("maintenance", "user-1") == "on"
    assert "Now: on" in _page(merchant)
    assert _set(merchant, "maintenance", "off") == "set"
    for seconds in LAGS_S:
        assert _set(merchant, "lag", str(seconds)) == "set"
        assert dials.number("read_lag_s", "user-1") == seconds
        assert f'value="{seconds}" selected' in _page(merchant)
    for review in ("reject", "none", "approve"):
        assert _set(merchant, "review", review) == "set"
        assert merchant.sandbox.vexora.dials.text("review", "user-1") == review


@pytest.mark.parametrize(("setting", "value"), [("maintenance", "x"), ("lag", "5"), ("review", ""), ("seed", "1")])
def test_settings_that_the_page_does_not_offer(merchant: Merchant, setting: str, value: str) -> None:
    before = merchant.sandbox.paypay.dials.view(), merchant.sandbox.vexora.dials.view()
    assert _set(merchant, setting, value) == "wrong"
    assert (merchant.sandbox.paypay.dials.view(), merchant.sandbox.vexora.dials.view()) == before


# --- refusals ---


@pytest.mark.parametrize(
    ("change", "done"),
    [
        ({"press": "erase"}, "wrong"),
        ({"press": ""}, "wrong"),
        ({"user": ""}, "wrong"),
        ({"user": "somebody-else"}, "refused"),
        ({"delivery": "never"}, "wrong"),
        ({"delivery": ""}, "wrong"),
        ({"provider": "vexora"}, "wrong"),
        ({"provider": "vexora", "press": "approve", "user": "somebody-else"}, "refused"),
    ],
)
def test_what_cannot_be_pressed_changes_nothing(merchant: Merchant, change: dict[str, str], done: str) -> None:
    merchant.link()
    before = merchant.user()
    assert _done(_press(merchant, **{"press": "unlink", **change})) == done
    assert merchant.user() == before
    for language in wording.LANGUAGES:
        text = wording.sections(language)["done"][done]
        assert text in _page(merchant, f"?done={done}", language)


def test_a_sentence_that_the_page_never_says_is_not_shown(merchant: Merchant) -> None:
    assert 'role="status"' not in _page(merchant, "?done=<script>alert(1)</script>")
    assert "<script" not in _page(merchant, "?q=<script>alert(1)</script>")


@pytest.mark.parametrize(
    "path", ["/", "/_sandbox/journal", "/_sandbox/health", "/v2/user/authorizations", "/shop/return"]
)
@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "", "127.0.0.2:9100"]
)
def test_a_name_that_points_here_is_refused(merchant: Merchant, path: str, host: str) -> None:
    assert merchant.http.get(path, headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1:9100", "localhost:1", "localhost", "127.0.0.1", "[::1]:9100"])
def test_this_machines_own_names_are_taken(merchant: Merchant, host: str) -> None:
    assert merchant.http.get("/", headers={"Host": host}).status_code == 200
    answer = merchant.http.post("/_sandbox/reset", headers={"Host": host, "Origin": f"http://{host}"})
    assert answer.status_code == 200


_OTHERS = (
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:8080"},
    {"Origin": "https://localhost"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
)


@pytest.mark.parametrize("headers", _OTHERS)
def test_another_site_cannot_press_anything(merchant: Merchant, headers: dict[str, str]) -> None:
    merchant.link()
    before = merchant.user()
    form = {"provider": "paypay", "user": "user-1", "press": "unlink", "delivery": "sent"}
    for path in ("/page/press", "/page/setting", "/page/recon-night"):
        assert merchant.http.post(path, data=form, headers=headers).status_code == 403
    # As a form of another site can send it, without asking first.
    body = json.dumps({"flag": "UNACCEPTABLE_OP"})
    answer = merchant.http.post(
        "/_sandbox/paypay/users/user-1/risk", data=body, content_type="text/plain", headers=headers
    )
    assert answer.status_code == 403
    assert merchant.http.put("/_sandbox/dials/paypay", json={}, headers=headers).status_code == 403
    assert merchant.user() == before


def test_honnins_calls_and_the_consent_page_are_not_asked_where_they_come_from(merchant: Merchant) -> None:
    """Programs say neither; and the consent page sends no referrer, of which browsers make the origin null."""
    session = merchant.session().get_json()["data"]["linkQRCodeURL"]
    path = session.removeprefix("http://localhost")
    answer = merchant.http.post(path, data={"decision": "allow"}, headers={"Origin": "null"})
    assert answer.status_code == 303
    assert merchant.http.post("/_sandbox/reset").status_code == 200


# --- the page itself ---


def test_the_page_needs_no_script_and_loads_nothing_from_elsewhere(merchant: Merchant) -> None:
    merchant.link()
    answer = merchant.http.get("/")
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'"} <= {*policy}
    assert answer.headers["Referrer-Policy"] == "same-origin"  # with no-referrer its own forms would say Origin: null
    html = answer.get_data(as_text=True)
    assert not re.search(r"<script|style=|\son\w+=|https?://", html)
    assert {*re.findall(r'(?:src|action)="([^"]*)"', html)} <= {
        "/",
        "/page/press",
        "/page/setting",
        "/page/recon-night",
    }
    css = merchant.http.get("/page/page.css")
    assert css.mimetype == "text/css"
    assert "url(" not in css.get_data(as_text=True)
    assert "@import" not in css.get_data(as_text=True)


def test_every_field_has_a_label_and_every_id_is_there_once(merchant: Merchant) -> None:
    merchant.link()
    merchant.link("user-2")
    html = _page(merchant)
    ids = re.findall(r'\sid="([^"]*)"', html)
    assert len(ids) == len({*ids})
    fields = re.findall(r"<(?:select|input)(?![^>]*hidden)[^>]*\sid=\"([^\"]*)\"", html)
    assert fields
    assert {*fields} <= {*re.findall(r'<label for="([^"]*)"', html)}


@pytest.mark.parametrize(
    ("asked", "query", "language"),
    [
        ("ja-JP,ja;q=0.9,en;q=0.8", "", "ja"),
        ("en-GB,en;q=0.9", "", "en"),
        ("fr", "", "en"),
        ("", "", "en"),
        ("en", "?lang=ja", "ja"),
        ("ja", "?lang=en", "en"),
        ("ja", "?lang=xx", "ja"),
    ],
)
def test_the_language_is_the_browsers_or_the_chosen_one(
    merchant: Merchant, asked: str, query: str, language: str
) -> None:
    html = _page(merchant, query, asked)
    assert f'<html lang="{language}">' in html
    assert wording.sections(language)["page"]["title"] in html
    answer = merchant.http.post("/page/press", data={"lang": language}, headers={"Accept-Language": asked})
    assert f"lang={language}" in answer.headers["Location"]


def test_both_languages_have_the_same_texts_with_the_same_places() -> None:
    english, japanese = ({**wording.sections(each)} for each in ("en", "ja"))
    japanese.pop("detail")
    assert english.keys() == japanese.keys()

    def places(text: str) -> set[str | None]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}

    for section, texts in english.items():
        assert texts.keys() == japanese[section].keys(), section
        for name, text in texts.items():
            assert places(text) == places(japanese[section][name]), (section, name)


def test_every_word_that_the_page_can_need_has_its_text() -> None:
    texts = wording.sections("en")
    assert {*PRESSES, "approve", "reject", "again"} <= {*texts["press"]}
    assert {*Verdict} == {*texts["verdict"]}


def _remarks() -> set[str]:
    """Every remark that the sandbox's refusals can hold, `{}` for what is filled in."""
    found = set()
    for path in SANDBOX.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id in ("RefusedError", "SignatureError", "_invalid") and node.args:
                text = _written(node.args[-1])
                if text is not None and not re.fullmatch("[A-Z_]+", text):
                    found.add(text)
    return found


def _written(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(each.value if isinstance(each, ast.Constant) else "something" for each in node.values)  # type: ignore[misc]
    return None


def test_no_remark_of_a_refusal_is_english_on_the_japanese_page() -> None:
    remarks = _remarks()
    assert len(remarks) > 30
    texts = wording.Texts("ja")
    assert [each for each in remarks if (texts.detail(each) or ("", ""))[1] != "ja"] == []
    assert texts.detail("a remark of tomorrow") == ("a remark of tomorrow", "en")
    assert texts.detail("timestamp is missing") == ("timestamp がありません", "ja")
    assert wording.Texts("en").detail("it is unlinked") == ("it is unlinked", "en")


def test_many_users_are_searched(merchant: Merchant) -> None:
    names = [f"user-{number:03}" for number in range(MOST_USERS + 5)]
    merchant.control("POST", "/links", {"users": names, "scopes": ["get_kyc_info"]})
    html = _page(merchant)
    shown = re.findall(r'id="paypay-user-\d+">([^<]*)<', html)
    assert shown == names[::-1][:MOST_USERS]
    assert "5 more" in html
    assert re.findall(r'id="paypay-user-\d+">([^<]*)<', _page(merchant, "?q=USER-003")) == ["user-003"]
    assert "No user&#39;s id contains this." in _page(merchant, "?q=nobody")
    answer = _press(merchant, "kyc", user="user-003", q="USER-003")
    assert "q=USER-003" in answer.headers["Location"]


# --- the last requests ---


def _explained(html: str) -> list[tuple[str, str]]:
    """Each piece of the first signature on the page: its origin, and its bytes as hexadecimal or as their number."""
    first = html.partition('<ol class="pieces">')[2].partition("</ol>")[0]
    found = []
    for piece in first.split("<li>")[1:]:
        origin = re.search(r'class="origin">(.*?)\s*<span', piece, re.DOTALL)
        runs = re.findall(r'class="hex">([^<]*)<|\((\d+) bytes, not shown\)', piece)
        assert origin
        found.append((origin[1].strip(), "|".join(shown or f"{hidden} hidden" for shown, hidden in runs)))
    return found


def test_paypays_string_to_sign_is_shown_byte_by_byte(merchant: Merchant) -> None:
    merchant.session()
    html = _page(merchant)
    pieces = _explained(html)
    assert [origin for origin, _ in pieces][1:4] == [
        "method",
        "nonce, of the Authorization header",
        "epoch in seconds, of the Authorization header",
    ]
    data = b"".join(bytes.fromhex(each) for _, each in pieces)
    lines = data.decode().split("\n")
    assert lines[:5] == ["/v1/qr/sessions", "POST", "nonce1", "1774925553", "application/json;charset=UTF-8;"]
    assert len(lines) == 6
    assert f"{len(data)} bytes are signed in all." in html
    assert "The signature matches." in html
    assert "SUCCESS" in html


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"secret": "another"}, "The signature does not match."),
        ({"api_key": "another"}, "The API key is unknown."),
        ({"sent_type": "application/json"}, "The hash does not fit the content type and the body."),
        ({"epoch_off": 300}, "The signature matches."),
    ],
)
def test_what_is_wrong_with_a_signature_of_paypay(merchant: Merchant, changes: dict[str, Any], said: str) -> None:
    body = {"scopes": ["get_kyc_info"], "nonce": "n", "redirectUrl": "https://merchant.example.com/x"}
    assert merchant.call("POST", "/v1/qr/sessions", body, **changes).status_code == 401
    html = _page(merchant)
    assert said in html
    assert "UNAUTHORIZED" in html
    if "epoch_off" in changes:
        assert "the epoch is more than 2 minutes off" in html
        assert "epoch が 2 分を超えてずれています" in _page(merchant, language="ja")


def test_a_request_without_a_signature(merchant: Merchant) -> None:
    merchant.http.get("/v2/user/authorizations?userAuthorizationId=nobody-1")
    html = _page(merchant)
    assert "There is no signature." in html
    assert "nobody-1" not in html


def test_vexoras_string_to_sign_is_shown_without_name_token_and_secret(applicant: sandbox_vexora.Merchant) -> None:
    html = _page(applicant)
    pieces = _explained(html)
    assert [origin for origin, _ in pieces] == [
        "field callBackUrl of the body",
        "field timestamp of the body",
        "field userId of the body",
        "field usernameFurigana of the body",
        "the app secret, which is not shown",
    ]
    shown = [each.split("|") for _, each in pieces]
    name = len("テスト ハナコ".encode())
    assert shown[3] == [b"usernameFurigana=".hex(" "), f"{name} hidden"]
    assert shown[4] == [f"{len(sandbox_vexora.ACCOUNT.app_secret)} hidden"]
    assert bytes.fromhex(shown[2][0]).decode() == "userId=user-1"
    token = sandbox_vexora.CALLBACK_URL.rpartition("/")[2]
    for secret in ("テスト", token, sandbox_vexora.ACCOUNT.app_secret, "\\xe3"):
        assert secret not in html
    assert token.encode().hex(" ") not in html
    assert "The signature matches." in html


def test_what_is_wrong_with_a_sign_of_vexora(applicant: sandbox_vexora.Merchant) -> None:
    applicant.query(sign="0" * 32)
    assert "The signature does not match." in _page(applicant)
    applicant.query(sign="")
    assert "There is no signature." in _page(applicant)
    # A field that nobody knows: neither its name nor its value may be shown.
    applicant.query(氏名="ハナコ", email="a@example.jp")
    html = _page(applicant)
    assert "another field of the body" in html
    for hidden in ("a@example.jp", "61 40 65", "ハナコ", "氏名", escaped("氏名".encode()), "氏名".encode().hex(" ")):
        assert hidden not in html


def test_the_page_shows_nothing_that_a_log_must_not_hold(merchant: Merchant) -> None:
    data = merchant.passport_session()
    uaid = str(claims(merchant.decide(data["linkQRCodeURL"]))["userAuthorizationId"])
    merchant.complete(data["codeId"], uaid)
    merchant.passport(uaid)
    merchant.status(uaid)
    merchant.status("00000000-0000-4000-8000-000000000000")
    merchant.call("DELETE", f"/v2/user/authorizations/{uaid}")
    person = merchant.user()
    for language in wording.LANGUAGES:
        html = _page(merchant, language=language)
        assert "user-1" in html
        secrets = [uaid, data["codeId"], data["linkQRCodeURL"].rpartition("/")[2], person["kyc"]["data"]["lastName"]]
        secrets += ["unit-key", "00000000-0000-4000", *re.findall(r"[A-Za-z0-9+/]{43}=", html)]
        for secret in secrets:
            assert secret not in html
            assert secret.encode().hex(" ") not in html
    assert "/v2/user/authorizations/&lt;authorization_id&gt;" in html
    assert f"({len(uaid)} bytes, not shown)" in _page(merchant)


def test_who_looks_at_the_page_is_not_in_the_journal(merchant: Merchant) -> None:
    merchant.link()
    before = merchant.core.journal.entries()
    _page(merchant)
    merchant.http.get("/page/page.css")
    merchant.http.get("/favicon.ico")
    _press(merchant, "nothing")
    assert merchant.core.journal.entries() == before


def test_bytes_as_text() -> None:
    assert escaped("a\\b\n\t\r~é".encode()) == "a\\\\b\\n\\t\\r~\\xc3\\xa9"
