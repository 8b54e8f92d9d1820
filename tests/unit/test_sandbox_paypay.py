"""The sandbox's PayPay side over Flask's test client: no network, no threads, a clock that tests move."""

import base64
import html
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
from werkzeug.test import TestResponse

from sandbox.__main__ import _parser, _paypay
from sandbox.delivery import Answer, UndeliveredError
from sandbox.paypay.account import PayPayAccount, PayPayPaths
from sandbox.paypay.answers import FAILURES
from sandbox.paypay.signature import SignedRequest
from tests.fakes.sandbox_paypay import ACCOUNT, HOOK, NOW, RETURN_URL, SCOPES, Merchant, claims, token

# The published example of PayPay's document (its body's hash and mac).
KNOWN_ANSWER = {
    "api_secret": "APIKeySecretGenerated",
    "nonce": "acd028",
    "epoch": "1579843452",
    "mac": "NW1jKIMnzR7tEhMWtcJcaef+nFVBt7jjAGcVuxHhchc=",
    "hash": "1j0FnY4flNp5CtIKa7x9MQ==",
}


@pytest.fixture
def merchant() -> Merchant:
    """A merchant with a sandbox of its own."""
    return Merchant()


def code(answer: TestResponse) -> str:
    """Return the code of a result, having checked its HTTP status and its request id."""
    result = str(answer.get_json()["resultInfo"]["code"])
    assert re.fullmatch(r"OPA[0-9A-F]{32}", answer.headers["X-REQUEST-ID"])
    assert set(answer.get_json()["resultInfo"]) == {"code", "message", "codeId"}
    if result in FAILURES:
        assert answer.status_code == FAILURES[result].status
    return result


def verified(answer: TestResponse) -> dict[str, Any]:
    """Return the claims as a merchant that does everything right takes them. Raises jwt.InvalidTokenError."""
    decoded: dict[str, Any] = jwt.decode(
        token(answer),
        base64.b64decode(ACCOUNT.api_secret),
        algorithms=["HS256"],
        issuer="paypay.ne.jp",
        audience="unit-client",
        options={"require": ["exp"], "verify_exp": False},
    )
    if decoded["exp"] < NOW:
        raise jwt.ExpiredSignatureError
    return decoded


# --- signature ---


def test_signature_reproduces_the_published_known_answer() -> None:
    body = b'{"sampleRequestBodyKey1":"sampleRequestBodyValue1","sampleRequestBodyKey2":"sampleRequestBodyValue2"}'
    request = SignedRequest("POST", "/v2/codes", "application/json;charset=UTF-8;", body)
    answer = KNOWN_ANSWER
    assert request.body_hash() == answer["hash"]
    assert request.mac(answer["api_secret"], answer["nonce"], answer["epoch"], answer["hash"]) == answer["mac"]


@pytest.mark.parametrize(
    "changes",
    [
        {"api_key": "another"},
        {"secret": "another"},
        {"secret": base64.b64decode(ACCOUNT.api_secret).decode()},  # decoded: right for the token, wrong here
        {"epoch_off": 121},
        {"epoch_off": -121},
        {"signed_type": "application/json"},
        {"sent_type": "application/json"},
        {"nonce": ""},
        {"headers": {"Authorization": "hmac OPA-Auth:a:b"}},
        {"headers": {"Authorization": "Bearer x"}},
        {"headers": {"X-ASSUME-MERCHANT": "another"}},
    ],
)
def test_wrong_signatures_are_unauthorized_and_take_no_effect(merchant: Merchant, changes: dict[str, Any]) -> None:
    body = {"scopes": SCOPES, "nonce": "n", "redirectUrl": RETURN_URL, "referenceId": "user-1"}
    assert code(merchant.call("POST", "/v1/qr/sessions", body, **changes)) == "UNAUTHORIZED"
    assert merchant.user()["sessions"] == []
    assert merchant.user()["calls"] == {"link": 1}


def test_signature_covers_the_path_as_sent_and_no_query(merchant: Merchant) -> None:
    path = "/v2/user/authorizations/a%20%E3%81%82"
    assert code(merchant.call("DELETE", path)) == "INVALID_USER_AUTHORIZATION_ID"
    signed = merchant.authorization("GET", "/v1/kyc/info?userAuthorizationId=x", b"")
    answer = merchant.http.get("/v1/kyc/info?userAuthorizationId=x", headers={"Authorization": signed})
    assert code(answer) == "UNAUTHORIZED"


def test_a_nonce_is_good_once_and_the_clock_counts(merchant: Merchant) -> None:
    assert code(merchant.call("GET", "/v1/kyc/info?userAuthorizationId=x", nonce="same")) != "UNAUTHORIZED"
    assert code(merchant.call("GET", "/v1/kyc/info?userAuthorizationId=x", nonce="same")) == "UNAUTHORIZED"
    entry = merchant.core.journal.entries()[-1]
    assert (entry.signature_ok, entry.detail) == (False, "the nonce was used before")
    signed = merchant.authorization("GET", "/v1/kyc/info", b"")
    merchant.core.advance(600)
    answer = merchant.http.get("/v1/kyc/info", headers={"Authorization": signed})
    assert code(answer) == "UNAUTHORIZED"
    assert code(merchant.call("GET", "/v1/kyc/info?userAuthorizationId=x", epoch_off=119)) != "UNAUTHORIZED"


def test_old_nonces_are_forgotten(merchant: Merchant) -> None:
    for second in range(0, 600, 60):
        assert code(merchant.call("GET", "/v1/kyc/info?userAuthorizationId=x", nonce=f"n{second}")) != "UNAUTHORIZED"
        merchant.core.advance(60)
    assert list(merchant.sandbox.paypay._gate._nonces) == ["n360", "n420", "n480", "n540"]


# --- account linking ---


def test_link_answers_the_qr_url_and_a_code_id_only_with_kyc_passport(merchant: Merchant) -> None:
    answer = merchant.session()
    assert (answer.status_code, code(answer)) == (201, "SUCCESS")
    assert set(answer.get_json()["data"]) == {"linkQRCodeURL"}
    assert answer.get_json()["data"]["linkQRCodeURL"].startswith("http://localhost/paypay/link/")
    assert set(merchant.passport_session()) == {"linkQRCodeURL", "codeId"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"scopes": None}, "MISSING_REQUEST_PARAMS"),
        ({"scopes": []}, "MISSING_REQUEST_PARAMS"),
        ({"scopes": "get_kyc_info"}, "INVALID_REQUEST_PARAMS"),
        ({"scopes": [1]}, "INVALID_REQUEST_PARAMS"),
        ({"nonce": None}, "MISSING_REQUEST_PARAMS"),
        ({"nonce": "n" * 256}, "INVALID_REQUEST_PARAMS"),
        ({"referenceId": "r" * 256}, "INVALID_REQUEST_PARAMS"),
        ({"referenceId": 5}, "INVALID_REQUEST_PARAMS"),
        ({"userAgent": "u" * 256}, "INVALID_REQUEST_PARAMS"),
        ({"phoneNumber": 90}, "INVALID_REQUEST_PARAMS"),
        ({"redirectUrl": None}, "MISSING_REQUEST_PARAMS"),
        ({"redirectUrl": "http://merchant.example.com/"}, "INVALID_REQUEST_PARAMS"),
        ({"redirectUrl": "https://m.example.com/" + "a" * 255}, "INVALID_REQUEST_PARAMS"),
        ({"redirectUrl": "merchantapp://back"}, "INVALID_REQUEST_PARAMS"),
        ({"redirectType": "APP_DEEP_LINK", "redirectUrl": "javascript:alert(1)"}, "INVALID_REQUEST_PARAMS"),
        ({"redirectType": "POPUP"}, "INVALID_REQUEST_PARAMS"),
        ({"kycData": "x"}, "INVALID_REQUEST_PARAMS"),
        ({"accountLinkFlow": "OTHER"}, "INVALID_REQUEST_PARAMS"),
        ({"accountLinkFlow": "KYC_PASSPORT"}, "MISSING_REQUEST_PARAMS"),
        ({"accountLinkFlow": "KYC_PASSPORT", "kycPassport": {}}, "MISSING_REQUEST_PARAMS"),
        ({"accountLinkFlow": "KYC_PASSPORT", "kycPassport": {"codeChallenge": "short"}}, "INVALID_REQUEST_PARAMS"),
        ({"scope": ["x"]}, "INVALID_REQUEST_PARAMS"),
        ({"redirectUrl": "http://127.0.0.1:4566/back"}, "SUCCESS"),
        ({"redirectType": "APP_DEEP_LINK", "redirectUrl": "merchantapp://back"}, "SUCCESS"),
        ({"referenceId": None}, "SUCCESS"),
    ],
)
def test_link_checks_the_fields_of_the_document(merchant: Merchant, changes: dict[str, Any], expected: str) -> None:
    assert code(merchant.session(**changes)) == expected


def test_link_refuses_bodies_that_are_no_json_object(merchant: Merchant) -> None:
    for body in (b"{", b"[]", b"\xff"):
        assert code(merchant.call("POST", "/v1/qr/sessions", body)) == "INVALID_REQUEST_PARAMS"
    answer = merchant.call("POST", "/v1/qr/sessions", b"{}", signed_type="text/plain", sent_type="text/plain")
    assert code(answer) == "INVALID_REQUEST_PARAMS"


def test_link_outside_the_contract_is_expectation_failed(merchant: Merchant) -> None:
    merchant.dial(forbidden_scopes=["kyc_passport_qr"])
    answer = merchant.session()
    assert code(answer) == "EXPECTATION_FAILED"
    assert answer.get_json()["resultInfo"]["codeId"] == "08100017"
    merchant.dial(forbidden_scopes=None, forbidden_domains=["merchant.example.com"])
    assert code(merchant.session()) == "EXPECTATION_FAILED"


def test_consent_page_says_who_asks_for_what_in_two_languages(merchant: Merchant) -> None:
    url = merchant.session(scopes=["get_kyc_info", "<b>new"]).get_json()["data"]["linkQRCodeURL"]
    page = merchant.http.get(urlsplit(url).path)
    text = page.get_data(as_text=True)
    for words in (ACCOUNT.merchant_name, "*******", "氏名", "name, birthday", "merchant.example.com", "decline"):
        assert words in text
    assert "&lt;b&gt;new" in text
    assert "<b>" not in text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert merchant.user()["authorizations"] == []
    assert html.unescape(text).count("<button") == 2


def test_allow_links_and_redirects_with_a_token_as_the_document_has_it(merchant: Merchant) -> None:
    url = merchant.session().get_json()["data"]["linkQRCodeURL"]
    answer = merchant.decide(url)
    assert answer.headers["Location"].startswith(RETURN_URL + "&responseToken=")
    got = verified(answer)
    uaid = got.pop("userAuthorizationId")
    profile = got.pop("profileIdentifier")
    assert re.fullmatch(r"\*{7}\d{4}", profile)
    assert got == {
        "iss": "paypay.ne.jp",
        "aud": "unit-client",
        "exp": int(NOW) + 300,
        "result": "succeeded",
        "nonce": "n-user-1",
        "referenceId": "user-1",
    }
    assert code(merchant.info(uaid)) == "SUCCESS"
    assert merchant.decide(url, "decline").headers["Location"] == answer.headers["Location"]
    assert "使用済み" in merchant.http.get(urlsplit(url).path).get_data(as_text=True)
    assert len(merchant.user()["authorizations"]) == 1


def test_decline_and_bad_request_link_nobody(merchant: Merchant) -> None:
    declined = verified(merchant.decide(merchant.session().get_json()["data"]["linkQRCodeURL"], "decline"))
    assert (declined["result"], declined["nonce"]) == ("declined", "n-user-1")
    merchant.dial(link_result="bad_request")
    bad = verified(merchant.decide(merchant.session().get_json()["data"]["linkQRCodeURL"]))
    assert bad["result"] == "bad_request"
    assert "userAuthorizationId" not in {*declined, *bad}
    assert merchant.user()["authorizations"] == []


def test_consent_page_of_unknown_expired_and_undecided_links(merchant: Merchant) -> None:
    assert merchant.http.get("/paypay/link/nothing").status_code == 404
    url = merchant.session().get_json()["data"]["linkQRCodeURL"]
    assert merchant.decide(url, "maybe").status_code == 400
    merchant.pass_time(900)
    assert merchant.http.get(urlsplit(url).path).status_code == 410
    assert merchant.decide(url).status_code == 410


@pytest.mark.parametrize(
    "kind", ["wrong_key", "alg_none", "wrong_iss", "wrong_aud", "no_exp", "expired", "other_nonce"]
)
def test_token_faults_are_what_they_say(merchant: Merchant, kind: str) -> None:
    merchant.dial("user-1", token=kind)
    answer = merchant.decide(merchant.session().get_json()["data"]["linkQRCodeURL"])
    if kind == "other_nonce":
        assert verified(answer)["nonce"] != "n-user-1"
        return
    with pytest.raises(jwt.InvalidTokenError):
        verified(answer)
    if kind == "wrong_key":
        jwt.decode(token(answer), ACCOUNT.api_secret, ["HS256"], audience="unit-client", options={"verify_exp": False})


def test_double_redirect_comes_again_within_a_second(merchant: Merchant) -> None:
    merchant.dial(double_redirect="on")
    answer = merchant.decide(merchant.session().get_json()["data"]["linkQRCodeURL"])
    merchant.pass_time(1)
    assert merchant.visited == [answer.headers["Location"]]
    assert "responseToken" not in merchant.core.journal.entries()[-1].path


def test_linking_again_renews_and_after_unlinking_makes_a_new_id(merchant: Merchant) -> None:
    first = merchant.link(scopes=["get_kyc_info"])
    assert merchant.link(scopes=["kyc_passport_qr"]) == first
    assert merchant.status(first).get_json()["data"]["scopes"] == ["get_kyc_info", "kyc_passport_qr"]
    assert code(merchant.call("DELETE", f"/v2/user/authorizations/{first}")) == "SUCCESS"
    assert merchant.link() != first
    assert merchant.link(referenceId=None) not in (first, merchant.link())


# --- reads ---


def test_authorization_status_and_unlink(merchant: Merchant) -> None:
    uaid = merchant.link()
    assert merchant.status(uaid).get_json()["data"] == {
        "userAuthorizationId": uaid,
        "referenceIds": ["user-1"],
        "status": "ACTIVE",
        "scopes": SCOPES,
        "expireAt": int(NOW) + 365 * 86400,
        "issuedAt": int(NOW),
    }
    assert code(merchant.call("DELETE", f"/v2/user/authorizations/{uaid}")) == "SUCCESS"
    assert merchant.status(uaid).get_json()["data"]["status"] == "INACTIVE"
    assert code(merchant.passport(uaid)) == "INVALID_USER_AUTHORIZATION_ID"
    assert code(merchant.call("DELETE", f"/v2/user/authorizations/{uaid}")) == "INVALID_USER_AUTHORIZATION_ID"
    assert code(merchant.status("")) == "MISSING_REQUEST_PARAMS"
    assert code(merchant.status("u" * 65)) == "INVALID_REQUEST_PARAMS"
    assert code(merchant.status("unknown")) == "INVALID_USER_AUTHORIZATION_ID"


def test_kyc_info_and_its_register(merchant: Merchant) -> None:
    merchant.control("PUT", "/users/user-1/kyc", {"data": {"lastName": "見本", "residenceType": "X", "birthday": None}})
    uaid = merchant.link()
    data = merchant.info(uaid, "&requiredKycType=EKYC").get_json()["data"]
    assert (data["lastName"], data["status"]) == ("見本", "COMPLETED")
    assert not {"birthday", "residenceType", "selfieImageUrl"} & set(data)
    merchant.link(scopes=["kyc_foreign_status"])
    assert merchant.info(uaid).get_json()["data"]["residenceType"] == "X"
    assert code(merchant.info(uaid, "&requiredKycType=OTHER")) == "INVALID_REQUEST_PARAMS"
    merchant.control("PUT", f"/users/{uaid}/kyc", {"ekyc": False})
    assert code(merchant.info(uaid)) == "SUCCESS"
    assert code(merchant.info(uaid, "&requiredKycType=EKYC")) == "NON_EKYC_USER"
    merchant.control("PUT", "/users/user-1/kyc", {"completed": False})
    assert code(merchant.info(uaid)) == "KYC_NOT_COMPLETED"
    assert code(merchant.passport(uaid)) == "KYC_NOT_COMPLETED"
    assert merchant.received == []
    assert merchant.user()["calls"] == {"link": 2, "kyc_info": 6, "kyc_passport": 1}


def test_reads_need_their_scope(merchant: Merchant) -> None:
    passport = merchant.passport_session(scopes=["other"])
    uaid = claims(merchant.decide(passport["linkQRCodeURL"]))["userAuthorizationId"]
    for answer in (merchant.info(uaid), merchant.passport(uaid), merchant.complete(passport["codeId"], uaid)):
        assert code(answer) == "OP_OUT_OF_SCOPE"


def test_completed_kyc_passport_qr(merchant: Merchant) -> None:
    passport = merchant.passport_session()
    code_id = passport["codeId"]
    stranger = merchant.link("user-2")
    assert code(merchant.complete("nothing", "x")) == "SESSION_NOT_FOUND"
    assert code(merchant.complete(code_id, stranger)) == "KYC_PASSPORT_NOT_COMPLETED"
    uaid = claims(merchant.decide(passport["linkQRCodeURL"]))["userAuthorizationId"]
    assert code(merchant.complete(code_id, uaid, "w" * 43)) == "INVALID_REQUEST_PARAMS"
    assert code(merchant.complete(code_id, uaid, "w" * 65)) == "INVALID_REQUEST_PARAMS"
    assert code(merchant.complete(code_id, uaid, None)) == "MISSING_REQUEST_PARAMS"
    assert code(merchant.complete(code_id, None)) == "MISSING_REQUEST_PARAMS"
    assert code(merchant.complete(code_id, stranger)) == "INVALID_USER_AUTHORIZATION_ID"
    data = merchant.complete(code_id, uaid).get_json()["data"]
    image = merchant.http.get(data["selfieImageUrl"])
    assert (image.mimetype, image.data[:8]) == ("image/png", b"\x89PNG\r\n\x1a\n")
    merchant.pass_time(900)
    assert code(merchant.complete(code_id, uaid)) == "SESSION_NOT_FOUND"


def test_selfie_urls_expire_and_their_dials(merchant: Merchant, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[float] = []
    monkeypatch.setattr(merchant.core, "hold", held.append)
    passport = merchant.passport_session()
    uaid = claims(merchant.decide(passport["linkQRCodeURL"]))["userAuthorizationId"]
    url = merchant.complete(passport["codeId"], uaid).get_json()["data"]["selfieImageUrl"]
    assert uaid not in url
    assert merchant.http.get(url.replace("signature=", "signature=0")).status_code == 403
    assert merchant.http.get(url.replace("expires=1", "expires=2")).status_code == 403
    seen = {}
    for selfie in ("not_found", "html", "too_large", "redirect", "slow"):
        merchant.dial(uaid, selfie=selfie)
        answer = merchant.http.get(url)
        seen[selfie] = (answer.status_code, answer.mimetype, len(answer.data) > 10 * 1024 * 1024)
    assert seen == {
        "not_found": (404, "text/plain", False),
        "html": (200, "text/html", False),
        "too_large": (200, "image/png", True),
        "redirect": (302, "text/html", False),
        "slow": (200, "image/png", False),
    }
    assert held == [20]
    merchant.dial(uaid, selfie="redirect")
    assert merchant.http.get(url, follow_redirects=True).mimetype == "image/png"
    merchant.pass_time(300)
    assert merchant.http.get(url).status_code == 403


@pytest.mark.parametrize(
    ("path", "body", "info", "passport", "status"),
    [
        ("risk", {"flag": "UNACCEPTABLE_OP"}, "SUCCESS", "UNACCEPTABLE_OP", "ACTIVE"),
        ("risk", {"flag": "KYC_UPDATE_REQUIRED"}, "SUCCESS", "KYC_UPDATE_REQUIRED", "ACTIVE"),
        ("risk", {"flag": None}, "SUCCESS", "SUCCESS", "ACTIVE"),
        ("account", {"status": "canceled"}, "CANCELED_USER", "CANCELED_USER", "INACTIVE"),
        ("account", {"status": "inactive"}, "USER_STATE_IS_NOT_ACTIVE", "USER_STATE_IS_NOT_ACTIVE", "INACTIVE"),
        ("account", {"status": "active"}, "SUCCESS", "SUCCESS", "ACTIVE"),
        (
            "authorization",
            {"state": "expired"},
            "EXPIRED_USER_AUTHORIZATION_ID",
            "EXPIRED_USER_AUTHORIZATION_ID",
            "INACTIVE",
        ),
        (
            "authorization",
            {"state": "unlinked"},
            "INVALID_USER_AUTHORIZATION_ID",
            "INVALID_USER_AUTHORIZATION_ID",
            "INACTIVE",
        ),
    ],
)
def test_states_of_a_user_are_what_the_reads_answer(
    merchant: Merchant, path: str, body: dict[str, str], info: str, passport: str, status: str
) -> None:
    uaid = merchant.link()
    merchant.control("POST", f"/users/user-1/{path}", body)
    assert code(merchant.info(uaid)) == info
    assert code(merchant.passport(uaid)) == passport
    assert merchant.status(uaid).get_json()["data"]["status"] == status


def test_a_user_who_ends_the_link_in_the_app_is_told_by_a_customer_event(merchant: Merchant) -> None:
    uaid = merchant.link()
    merchant.control("POST", "/users/user-1/authorization", {"state": "unlinked"})
    merchant.pass_time()
    [(url, body)] = merchant.received
    assert url == HOOK + "account-status"
    assert body.pop("notification_id")
    # PayPay's spelling of both.
    assert body == {"notification_type": "customer.authroization.revoked", "userAuthorizationId": uaid}
    assert merchant.control("GET", "/history")["history"] == []


def test_an_authorization_ends_when_the_control_api_says(merchant: Merchant) -> None:
    uaid = merchant.link()
    end = merchant.status(uaid).get_json()["data"]["expireAt"] + 86_400
    merchant.control("POST", "/users/user-1/authorization", {"expireAt": end})
    assert merchant.status(uaid).get_json()["data"]["expireAt"] == end
    merchant.control("POST", "/users/user-1/authorization", {"expireAt": 1})
    assert code(merchant.passport(uaid)) == "EXPIRED_USER_AUTHORIZATION_ID"
    merchant.pass_time()
    assert merchant.received == []


def test_an_authorization_that_runs_out_is_told_to_nobody(merchant: Merchant) -> None:
    merchant.link()
    merchant.control("POST", "/users/user-1/authorization", {"state": "expired"})
    merchant.pass_time()
    assert merchant.received == []


@pytest.mark.parametrize(
    ("path", "body", "after"),
    [
        ("kyc-updated", {"completed": False}, "KYC_NOT_COMPLETED"),
        ("risk", {"flag": "UNACCEPTABLE_OP"}, "UNACCEPTABLE_OP"),
        ("account", {"status": "canceled"}, "CANCELED_USER"),
        ("authorization", {"state": "unlinked"}, "INVALID_USER_AUTHORIZATION_ID"),
    ],
)
def test_reads_may_trail_the_webhook(merchant: Merchant, path: str, body: object, after: str) -> None:
    uaid = merchant.link()
    merchant.dial("user-1", read_lag_s=5)
    merchant.control("POST", f"/users/user-1/{path}", body)
    merchant.pass_time(4.9)
    assert len(merchant.received) == 1
    assert code(merchant.passport(uaid)) == "SUCCESS"
    assert merchant.status(uaid).get_json()["data"]["status"] == "ACTIVE"
    merchant.pass_time(0.1)
    assert code(merchant.passport(uaid)) == after


def test_reads_trail_no_longer_when_the_dial_is_unset(merchant: Merchant) -> None:
    uaid = merchant.link()
    merchant.dial("user-1", read_lag_s=3600)
    merchant.control("POST", "/users/user-1/risk", {"flag": "UNACCEPTABLE_OP"})
    merchant.pass_time(60)
    assert code(merchant.passport(uaid)) == "SUCCESS"
    merchant.dial("user-1", read_lag_s=None)
    assert code(merchant.passport(uaid)) == "UNACCEPTABLE_OP"


def test_reads_that_trail_show_the_changes_in_their_order(merchant: Merchant) -> None:
    uaid = merchant.link()
    merchant.dial(read_lag_s=5)
    merchant.control("POST", "/users/user-1/risk", {"flag": "UNACCEPTABLE_OP"})
    merchant.pass_time(3)
    merchant.control("POST", "/users/user-1/risk", {"flag": None})
    assert code(merchant.passport(uaid)) == "SUCCESS"
    merchant.pass_time(2)
    assert code(merchant.passport(uaid)) == "UNACCEPTABLE_OP"
    merchant.pass_time(3)
    assert code(merchant.passport(uaid)) == "SUCCESS"


def test_a_link_that_is_new_or_ended_by_the_merchant_is_read_at_once(merchant: Merchant) -> None:
    uaid = merchant.link()
    merchant.dial(read_lag_s=5)
    merchant.control("POST", "/users/user-1/risk", {"flag": None})
    assert code(merchant.call("DELETE", f"/v2/user/authorizations/{uaid}")) == "SUCCESS"
    assert code(merchant.call("DELETE", f"/v2/user/authorizations/{uaid}")) == "INVALID_USER_AUTHORIZATION_ID"
    assert code(merchant.passport(merchant.link())) == "SUCCESS"


# --- faults ---


@pytest.mark.parametrize("failure", sorted(FAILURES))
def test_every_code_of_the_document_can_be_dialled(merchant: Merchant, failure: str) -> None:
    uaid = merchant.link()
    merchant.dial("user-1", kyc_passport_fault={"kind": failure, "times": 1})
    assert code(merchant.passport(uaid)) == failure
    assert code(merchant.passport(uaid)) == "SUCCESS"


def test_a_dial_counts_under_every_name_of_a_user(merchant: Merchant) -> None:
    uaid = merchant.link()
    other = merchant.link("user-2")
    merchant.dial(kyc_info_fault="SERVICE_ERROR")
    merchant.dial("user-1", kyc_info_fault="none")
    assert (code(merchant.info(uaid)), code(merchant.info(other))) == ("SUCCESS", "SERVICE_ERROR")
    merchant.dial(uaid, kyc_info_fault="RATE_LIMIT")
    assert code(merchant.info(uaid)) == "RATE_LIMIT"


def test_pkce_field_may_be_a_path(merchant: Merchant) -> None:
    assert PayPayAccount(pkce_field="kycPassport.challenge").pkce_key() == "challenge"
    assert ACCOUNT.pkce_key() == "codeChallenge"


def test_unknown_code_skip_and_names_of_a_user(merchant: Merchant) -> None:
    uaid = merchant.link()
    merchant.dial(uaid, authorization_fault={"kind": "refuse", "code": "BRAND_NEW", "status": 409})
    answer = merchant.status(uaid)
    assert (code(answer), answer.status_code) == ("BRAND_NEW", 409)
    merchant.dial("user-1", kyc_info_fault={"kind": "RATE_LIMIT", "skip": 2, "times": 1})
    assert [code(merchant.info(uaid)) for _ in range(4)] == ["SUCCESS", "SUCCESS", "RATE_LIMIT", "SUCCESS"]
    merchant.dial(kyc_info_fault="malformed")
    assert merchant.info(uaid).get_data(as_text=True) == '{"resultInfo": {"code": "SUCC'
    merchant.dial(kyc_info_fault="http_500")
    assert merchant.info(uaid).status_code == 500
    merchant.dial(kyc_info_fault={"kind": "timeout", "seconds": 0})
    with pytest.raises(ConnectionAbortedError):
        merchant.info(uaid)


@pytest.mark.parametrize(("when", "links"), [("before", 1), ("after", 0)])
def test_a_lost_answer_can_have_taken_effect(merchant: Merchant, when: str, links: int) -> None:
    uaid = merchant.link()
    merchant.dial(unlink_fault={"kind": "reset", "when": when})
    with pytest.raises(ConnectionResetError):
        merchant.call("DELETE", f"/v2/user/authorizations/{uaid}")
    assert sum(link["active"] for link in merchant.user()["authorizations"]) == links


def test_another_merchant_may_be_answered_as_if_it_had_asked_for_itself(merchant: Merchant) -> None:
    # A valid signature and a wrong header. PayPay does not publish what it answers; this is the least helpful.
    uaid, headers = merchant.link(), {"X-ASSUME-MERCHANT": "another"}
    path = f"/v2/user/authorizations?userAuthorizationId={uaid}"
    assert code(merchant.call("GET", path, headers=headers)) == "UNAUTHORIZED"
    merchant.dial(wrong_merchant="answered")
    assert code(merchant.call("GET", path, headers=headers)) == "INVALID_USER_AUTHORIZATION_ID"
    assert code(merchant.call("GET", path)) == "SUCCESS"


def test_maintenance_answers_nothing_and_sends_nothing(merchant: Merchant) -> None:
    uaid = merchant.link()
    url = merchant.session("user-2").get_json()["data"]["linkQRCodeURL"]
    merchant.answers = [Answer(503, "")]
    merchant.control("POST", "/users/user-1/kyc-updated")
    merchant.pass_time()
    merchant.dial(maintenance="on")
    for answer in (merchant.session(), merchant.status(uaid), merchant.info(uaid), merchant.passport(uaid)):
        assert code(answer) == "MAINTENANCE_MODE"
    assert code(merchant.call("DELETE", f"/v2/user/authorizations/{uaid}")) == "MAINTENANCE_MODE"
    assert code(merchant.complete("x", uaid)) == "MAINTENANCE_MODE"
    assert merchant.decide(url).status_code == 503
    merchant.control("POST", "/users/user-1/risk", {"flag": "UNACCEPTABLE_OP"})
    merchant.pass_time(60)
    merchant.dial(maintenance="off")
    merchant.pass_time(60)
    assert len(merchant.received) == 1
    assert [n["outcome"] for n in merchant.user()["notifications"]] == ["dropped", "dropped"]


# --- webhooks ---


def test_changes_are_notified_as_the_document_has_it(merchant: Merchant) -> None:
    uaid = merchant.link()
    merchant.control("POST", "/users/user-1/kyc-updated", {"data": {"lastName": "新名"}})
    merchant.control("POST", f"/users/{uaid}/risk", {"flag": "KYC_UPDATE_REQUIRED"})
    merchant.control("POST", "/users/user-1/account", {"status": "canceled"})
    merchant.pass_time()
    assert [(url, body["notification_type"]) for url, body in merchant.received] == [
        (HOOK + "kyc", "kyc_passport.kyc_info.updated"),
        (HOOK + "risk", "kyc_passport.risk.update"),
        (HOOK + "account-status", "kyc_passport.account_status.updated"),
    ]
    for _, body in merchant.received:
        assert set(body) == {"notification_type", "notification_id", "user_authorization_id"}
        assert body["user_authorization_id"] == uaid
    assert len({body["notification_id"] for _, body in merchant.received}) == 3
    assert [n["outcome"] for n in merchant.user()["notifications"]] == ["delivered"] * 3
    history = merchant.control("GET", "/history")["history"]
    assert [(change["kind"], change["value"]) for change in history] == [
        ("kyc", "updated"),
        ("risk", "KYC_UPDATE_REQUIRED"),
        ("account_status", "canceled"),
    ]
    assert merchant.user()["history"] == history


@pytest.mark.parametrize(
    ("path", "body", "tries", "pause_s"),
    [("risk", {"flag": "UNACCEPTABLE_OP"}, 3, 0.1), ("account", {"status": "canceled"}, 10, 0.5)],
)
def test_notifications_are_repeated_with_the_same_id_and_dropped_for_good(
    merchant: Merchant, path: str, body: object, tries: int, pause_s: float
) -> None:
    merchant.link()
    merchant.answers = [UndeliveredError("no answer within 1.5 s"), Answer(204, ""), *[Answer(500, "")] * 20]
    merchant.control("POST", f"/users/user-1/{path}", body)
    merchant.pass_time()
    for made in range(1, tries + 3):
        assert len(merchant.received) == min(made, tries)
        merchant.pass_time(pause_s + 1e-6)
    assert len({json.dumps(received) for _, received in merchant.received}) == 1
    [notification] = merchant.user()["notifications"]
    assert (notification["outcome"], notification["tries"]) == ("dropped", tries)
    assert notification["attempts"][0]["error"] == "no answer within 1.5 s"


def test_notification_dials(merchant: Merchant) -> None:
    merchant.link()
    merchant.dial("user-1", webhook_drop="kyc")
    merchant.control("POST", "/users/user-1/kyc-updated")
    merchant.pass_time()
    assert merchant.received == []
    assert len(merchant.user()["history"]) == 1
    merchant.dial("user-1", webhook_drop=None, webhook_copies=3)
    merchant.control("POST", "/users/user-1/kyc-updated")
    merchant.pass_time()
    assert len({body["notification_id"] for _, body in merchant.received}) == 1
    merchant.dial("user-1", webhook_copy_id="new", webhook_delay_s=30)
    merchant.control("POST", "/users/user-1/kyc-updated")
    merchant.pass_time(29)
    assert len(merchant.received) == 3
    merchant.pass_time(1)
    assert len({body["notification_id"] for _, body in merchant.received}) == 4
    assert len(merchant.received) == 6


def test_notifications_are_reordered(merchant: Merchant) -> None:
    merchant.link()
    merchant.dial(webhook_reorder=3)
    merchant.control("POST", "/users/user-1/kyc-updated")
    merchant.control("POST", "/users/user-1/risk", {"flag": "UNACCEPTABLE_OP"})
    merchant.pass_time(1)
    assert merchant.received == []
    merchant.control("POST", "/users/user-1/account", {"status": "inactive"})
    merchant.pass_time(1)
    assert [url.rpartition("/")[2] for url, _ in merchant.received] == ["account-status", "risk", "kyc"]


def test_many_users_are_linked_at_once(merchant: Merchant) -> None:
    users = [f"user-{number}" for number in range(3)]
    made = merchant.control("POST", "/links", {"users": users, "scopes": ["get_kyc_info"]})["authorizations"]
    assert list(made) == users
    for user, authorization in made.items():
        [link] = merchant.control("GET", f"/users/{user}")["authorizations"]
        assert (link["id"], link["scopes"], link["active"]) == (authorization, ["get_kyc_info"], True)
    for body in ({"users": users}, {"users": "user-1", "scopes": []}, {"users": [1], "scopes": []}):
        merchant.control("POST", "/links", body, status=400)


def test_burst(merchant: Merchant) -> None:
    uaids = {merchant.link(f"user-{number}") for number in range(3)}
    merchant.session("never-linked")
    made = merchant.control("POST", "/burst", {"count": 10})["notification_ids"]
    merchant.pass_time()
    assert sorted(body["notification_id"] for _, body in merchant.received) == sorted(made)
    assert {body["user_authorization_id"] for _, body in merchant.received} == uaids
    assert len(merchant.control("GET", "/history")["history"]) == 10
    merchant.control("POST", "/burst", {"count": 1, "users": ["nobody"]}, status=404)
    merchant.control("POST", "/burst", {"count": 0}, status=400)
    merchant.control("POST", "/burst", {"count": 1, "users": [1]}, status=400)


def test_notify_sends_what_it_is_told_and_changes_nothing(merchant: Merchant) -> None:
    sent = merchant.control("POST", "/users/nobody/notify", {"type": "risk"})
    assert (sent["outcome"], merchant.received[0][1]["user_authorization_id"]) == ("delivered", "nobody")
    merchant.control("POST", "/users/nobody/notify", {"raw_body": '{"a": 1}', "url": "https://other.example.com/"})
    assert merchant.received[1] == ("https://other.example.com/", {"a": 1})
    assert merchant.control("GET", "/history")["history"] == []
    for wrong in ({"type": "mail"}, {"x": "1"}, {"type": 1}):
        merchant.control("POST", "/users/nobody/notify", wrong, status=400)


def test_webhook_urls_over_http_and_without_one(merchant: Merchant) -> None:
    merchant.link()
    view = merchant.control("PUT", "/webhooks", {"kyc": None, "recon": "http://127.0.0.1:1/recon"})
    assert (view["kyc"], view["recon"], view["risk"]) == (None, "http://127.0.0.1:1/recon", HOOK + "risk")
    merchant.control("POST", "/users/user-1/kyc-updated")
    merchant.pass_time()
    assert merchant.user()["notifications"][0]["outcome"] == "dropped"
    merchant.http.post("/_sandbox/reset")
    assert merchant.control("GET", "/webhooks") == view
    for wrong in ({"mail": "https://x/"}, {"kyc": "ftp://x/"}, {"kyc": 1}):
        merchant.control("PUT", "/webhooks", wrong, status=400)


# --- control API ---


def test_control_refuses_with_a_sentence(merchant: Merchant) -> None:
    merchant.link()
    for path, wrong in (
        ("kyc-updated", {"data": 1}),
        ("kyc-updated", {"ekyc": "yes"}),
        ("risk", {}),
        ("risk", {"flag": "OTHER"}),
        ("account", {"status": "gone"}),
        ("authorization", {"state": "new"}),
    ):
        assert merchant.control("POST", f"/users/user-1/{path}", wrong, status=400)["error"].endswith(".")
    merchant.control("POST", "/users/nobody/kyc-updated", status=404)
    assert merchant.user()["notifications"] == []
    assert merchant.control("GET", "/users") == {"users": ["user-1"]}
    assert merchant.user("nobody")["calls"] == {}


@pytest.mark.parametrize(
    "dials",
    [
        {"token": "forged"},
        {"forbidden_scopes": "x"},
        {"validity_days": -1},
        {"kyc_retries": "5x5"},
        {"link_fault": {"kind": "RATE_LIMIT", "skip": -1}},
        {"link_fault": {"kind": "refuse", "status": 200}},
        {"link_fault": "code_8000"},
    ],
)
def test_wrong_dials_are_refused(merchant: Merchant, dials: dict[str, object]) -> None:
    answer = merchant.http.put("/_sandbox/dials/paypay", json=dials)
    assert answer.status_code == 400
    assert answer.get_json()["error"].endswith(".")


def test_reset_forgets_users_and_history(merchant: Merchant) -> None:
    uaid = merchant.link()
    merchant.control("POST", "/users/user-1/kyc-updated")
    merchant.http.post("/_sandbox/reset")
    assert code(merchant.status(uaid)) == "INVALID_USER_AUTHORIZATION_ID"
    assert merchant.control("GET", "/history")["history"] == []


def test_journal_holds_no_secrets_and_no_names_of_people(merchant: Merchant) -> None:
    merchant.control("PUT", "/users/user-1/kyc", {"data": {"lastName": "秘密"}})
    answer = merchant.decide(merchant.session().get_json()["data"]["linkQRCodeURL"])
    merchant.info(claims(answer)["userAuthorizationId"])
    raw = merchant.http.get("/_sandbox/journal").get_data(as_text=True)
    for secret in (ACCOUNT.api_secret, token(answer), "秘密", "\\u79d8", "OPA-Auth"):
        assert secret not in raw


# --- options ---


def test_options_of_the_command_line() -> None:
    arguments = ["--paypay-client-id", "c", "--paypay-kyc-info-path", "/x", "--paypay-webhook-account-status-url", HOOK]
    account = _paypay(_parser().parse_args(arguments))
    assert (account.client_id, account.paths.kyc_info) == ("c", "/x")
    assert account.webhook_urls["account_status"] == HOOK
    assert _paypay(_parser().parse_args([])).paths == PayPayPaths()
    with pytest.raises(ValueError, match="base64"):
        PayPayAccount(api_secret="not base64!")
    with pytest.raises(ValueError, match="codeId"):
        PayPayPaths(kyc_passport_qr="/x")


def test_templates_fetch_nothing_from_elsewhere() -> None:
    templates = list((Path(__file__).parents[2] / "sandbox/paypay/templates").glob("*.html"))
    assert templates
    for template in templates:
        assert "://" not in template.read_text(encoding="utf-8")
