"""The sandbox's Vexora side over Flask's test client: no network, no threads, a clock that tests move."""

import json
from urllib.parse import parse_qs

import pytest
from werkzeug.test import TestResponse

from sandbox.delivery import Answer, UndeliveredError
from sandbox.dials import DialError
from sandbox.urls import is_callback_url
from sandbox.vexora.callbacks import forged, masked
from sandbox.vexora.signature import expected_sign, is_signed
from tests.fakes.sandbox_vexora import ACCOUNT, CALLBACK_URL, NOW, Merchant


@pytest.fixture
def merchant() -> Merchant:
    """A merchant with a sandbox of its own."""
    return Merchant()


def code(answer: TestResponse) -> str:
    """Return the envelope's code; every answer of Vexora is HTTP 200."""
    assert answer.status_code == 200
    return str(answer.get_json()["code"])


# --- signature ---


# Self-made from the documented rule (none is published); made apart from this code.
@pytest.mark.parametrize(
    ("fields", "sign"),
    [
        (
            {
                "userId": "abc_100008",
                "callBackUrl": "https://merchant.example.com/api/kyc/callback",
                "usernameFurigana": "テスト014",
                "timestamp": "1774925553256",
            },
            "e792dd6a794c7e2c7b59826197762c83",
        ),
        ({"userId": "jp_user_100008", "timestamp": "1732988442913"}, "6350bf631924b7b5e298acd79d93d5f8"),
    ],
)
def test_sign_reproduces_the_known_answers(fields: dict[str, str], sign: str) -> None:
    assert expected_sign(fields, "test_app_secret") == sign
    assert expected_sign({**fields, "sign": "x", "empty": ""}, "test_app_secret") == sign
    assert is_signed({**fields, "sign": sign}, "test_app_secret")
    assert not is_signed({**fields, "sign": sign}, "another_secret")
    assert not is_signed({**fields, "sign": sign.upper()}, "test_app_secret")
    assert not is_signed(fields, "test_app_secret")


# --- the two calls ---


def test_apply_answers_the_envelope_of_the_document(merchant: Merchant) -> None:
    answer = merchant.apply()
    assert answer.get_json() == {
        "msg": "success",
        "code": "0000",
        "timestamp": int(NOW * 1000),
        "success": True,
        "data": {
            "userId": "79x7p10nh4xd121m",
            "authenticationStatus": "0",
            "message": "apply for kyc successful, Please authentication",
        },
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"timestamp": None}, "1003"),
        ({"callBackUrl": None}, "1003"),
        ({"usernameFurigana": ""}, "1003"),
        ({"extra": "1"}, "1004"),
        ({"timestamp": "1774925553"}, "1005"),
        ({"timestamp": str(int(NOW * 1000) - 300_001)}, "1006"),
        ({"timestamp": str(int(NOW * 1000) + 300_001)}, "1006"),
        ({"callBackUrl": "http://merchant.example.com/x"}, "1005"),
        ({"usernameFurigana": "てすと"}, "1005"),
        ({"usernameFurigana": "ﾃｽﾄ"}, "1005"),
        ({"usernameFurigana": "ใƒ†ใ‚นใƒˆ014"}, "1005"),
        ({"usernameFurigana": "014"}, "1005"),
        ({"usernameFurigana": "ア" * 101}, "1005"),
    ],
)
def test_apply_refuses_wrong_fields(merchant: Merchant, changes: dict[str, str | None], expected: str) -> None:
    answer = merchant.apply(**changes)
    assert code(answer) == expected
    assert answer.get_json()["success"] is False
    assert merchant.user()["applications"] == 0
    assert merchant.user()["apply_calls"] == 1


def test_apply_refuses_what_is_wrong_around_the_fields(merchant: Merchant) -> None:
    fields = merchant.fields()
    assert code(merchant.send(fields, merchant_no="900002")) == "1002"
    assert code(merchant.send({**fields, "sign": "0" * 32})) == "1001"
    assert code(merchant.send({k: v for k, v in fields.items() if k != "sign"})) == "1003"
    assert code(merchant.send({k: v for k, v in fields.items() if k != "userId"})) == "1003"
    assert code(merchant.send({**fields, "userId": ["user-1", "user-1"]})) == "1005"
    path = "/japan/v1/vexora/kycApplyFor"
    assert code(merchant.http.post(path, data=fields, headers={"merchantNo": "900001"})) == "1007"
    assert code(merchant.http.post(path, json=fields, headers={"merchantNo": "900001"})) == "1007"
    part = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    form = "".join(part.format(name, value) for name, value in fields.items())
    shift_jis = form.encode("shift_jis") + b"--b--\r\n"
    answer = merchant.http.post(
        path,
        data=shift_jis,
        content_type="multipart/form-data; boundary=b",
        headers={"merchantNo": "900001"},
    )
    assert code(answer) == "1001"
    assert merchant.user()["applications"] == 0


def test_apply_refuses_a_second_open_application_and_allows_one_after_a_rejection(merchant: Merchant) -> None:
    merchant.dial(review="reject", review_delay_s=2)
    assert code(merchant.apply()) == "0000"
    assert code(merchant.apply()) == "2002"
    merchant.pass_time(2)
    assert merchant.status() == "3"
    merchant.dial(review="approve")
    assert code(merchant.apply()) == "0000"
    assert merchant.status() == "0"
    merchant.pass_time(2)
    assert code(merchant.apply()) == "2003"
    assert merchant.user()["applications"] == 2
    assert merchant.user()["apply_calls"] == 4


def test_query_refuses_wrong_requests(merchant: Merchant) -> None:
    assert code(merchant.query("nobody")) == "2001"
    merchant.apply()
    assert code(merchant.query()) == "0000"
    assert code(merchant.query(sign="0" * 32)) == "1001"
    assert code(merchant.query(timestamp=int(NOW * 1000))) == "1005"
    assert code(merchant.query(extra="1")) == "1004"
    assert code(merchant.query(userId="")) == "1003"
    for body in (b"{", b"[]", b'"x"', b"\xff"):
        answer = merchant.http.post("/japan/v1/vexora/kycStatusQuery", data=body, content_type="application/json")
        assert code(answer) == "1005"
    assert code(merchant.http.post("/japan/v1/vexora/kycStatusQuery", data={"userId": "user-1"})) == "1007"


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://merchant.example.com/a", True),
        ("http://127.0.0.1:4566/a", True),
        ("http://localhost:4566/a", True),
        ("http://[::1]/a", True),
        ("http://127.0.0.1.example.com/a", False),
        ("http://10.0.0.1/a", False),
        ("ftp://127.0.0.1/a", False),
        ("https://user@merchant.example.com/a", False),
        ("https://", False),
        ("https://h:port/", False),
        ("not a url", False),
    ],
)
def test_callback_url_rule(url: str, good: bool) -> None:
    assert is_callback_url(url) is good


# --- review and callback dials ---


def test_review_runs_through_the_statuses_on_the_sandbox_clock(merchant: Merchant) -> None:
    merchant.dial(review_delay_s=10)
    merchant.apply()
    assert merchant.status() == "0"
    merchant.pass_time(5)
    assert merchant.status() == "1"
    assert merchant.received == []
    merchant.pass_time(5)
    assert merchant.status() == "2"
    assert len(merchant.received) == 1


def test_review_none_stays_pending_and_a_user_dial_wins(merchant: Merchant) -> None:
    merchant.dial(review="none")
    merchant.dial_user("user-2", review="reject", review_delay_s=0)
    merchant.apply()
    merchant.apply(userId="user-2")
    merchant.pass_time(299)
    assert merchant.status() == "0"
    assert merchant.status("user-2") == "3"


def test_callback_is_signed_json_and_answered_ok(merchant: Merchant) -> None:
    merchant.apply()
    merchant.pass_time(2)
    [(url, body, content_type, timeout_s)] = merchant.received
    fields = json.loads(body)
    assert (url, content_type, timeout_s) == (CALLBACK_URL, "application/json", 10)
    assert set(fields) == {"userId", "authenticationStatus", "message", "timestamp", "sign"}
    assert fields["authenticationStatus"] == "2"
    assert is_signed(fields, ACCOUNT.app_secret)
    [callback] = merchant.user()["callbacks"]
    assert callback["state"] == "accepted"
    assert callback["attempts"][0]["answer"] == "OK"
    assert "0a9fZz" not in json.dumps(callback)


def test_callback_form(merchant: Merchant) -> None:
    merchant.dial(callback="form")
    merchant.apply()
    merchant.pass_time(2)
    [(_, body, content_type, _)] = merchant.received
    assert content_type == "application/x-www-form-urlencoded"
    fields = {name: values[0] for name, values in parse_qs(body.decode()).items()}
    assert is_signed(fields, ACCOUNT.app_secret)


def test_callback_dropped(merchant: Merchant) -> None:
    merchant.dial(callback="dropped")
    merchant.apply()
    merchant.pass_time(100)
    assert merchant.received == []
    assert merchant.status() == "2"
    assert [c["state"] for c in merchant.user()["callbacks"]] == ["dropped"]


@pytest.mark.parametrize(("dials", "copies"), [({}, 2), ({"callback_count": 5}, 5)])
def test_callback_duplicated(merchant: Merchant, dials: dict[str, object], copies: int) -> None:
    merchant.dial(callback="duplicated", **dials)
    merchant.apply()
    merchant.pass_time(2)
    assert len(merchant.received) == copies


@pytest.mark.parametrize(
    "dials", [{"callback": "delayed"}, {"callback_delay_s": 60}, {"callback": "form", "callback_delay_s": 60}]
)
def test_callback_delayed(merchant: Merchant, dials: dict[str, object]) -> None:
    merchant.dial(**dials)
    merchant.apply()
    merchant.pass_time(2)
    merchant.pass_time(59)
    assert merchant.received == []
    merchant.pass_time(1)
    assert len(merchant.received) == 1


def test_callback_forged_has_a_wrong_token_and_no_true_sign_and_comes_once(merchant: Merchant) -> None:
    merchant.dial(callback="forged", callback_claims="2", review="reject", retry_scale=0)
    merchant.answers = [Answer(403, "")]
    merchant.apply()
    merchant.pass_time(2)
    [(url, body, _, _)] = merchant.received
    assert url == CALLBACK_URL.replace("0a9fZz", "1b0aGg")
    assert json.loads(body)["authenticationStatus"] == "2"
    assert not is_signed(json.loads(body), ACCOUNT.app_secret)
    assert merchant.user()["callbacks"][0]["state"] == "given_up"


def test_callback_claims_and_query_status_are_forced(merchant: Merchant) -> None:
    merchant.dial(callback_claims="2", query_status="1", review="reject")
    merchant.apply()
    merchant.pass_time(2)
    assert json.loads(merchant.received[0][1])["authenticationStatus"] == "2"
    assert merchant.status() == "1"
    assert merchant.user()["status"] == "3"


def test_callback_is_repeated_until_ok(merchant: Merchant) -> None:
    merchant.answers = [Answer(500, "OK"), UndeliveredError("no answer within 10 s"), Answer(200, "ok?")]
    merchant.apply()
    merchant.pass_time(2)
    assert len(merchant.received) == 1
    merchant.pass_time(2)
    assert len(merchant.received) == 2
    merchant.pass_time(5)
    assert len(merchant.received) == 3
    merchant.pass_time(10)
    [callback] = merchant.user()["callbacks"]
    assert callback["state"] == "accepted"
    assert [a["accepted"] for a in callback["attempts"]] == [False, False, False, True]
    assert callback["attempts"][1]["error"] == "no answer within 10 s"


def test_callback_is_given_up_after_eight_tries_and_retry_scale_shortens_the_pauses(
    merchant: Merchant,
) -> None:
    merchant.dial(retry_scale=0.001)
    merchant.answers = [Answer(302, "")] * 20
    merchant.apply()
    for _ in range(60):
        merchant.pass_time(1)
    assert len(merchant.received) == 8
    assert merchant.user()["callbacks"][0]["state"] == "given_up"


def test_reset_stops_repeats(merchant: Merchant) -> None:
    merchant.answers = [Answer(500, "")] * 20
    merchant.apply()
    merchant.pass_time(2)
    merchant.http.post("/_sandbox/reset")
    merchant.pass_time(100)
    assert len(merchant.received) == 1
    assert merchant.user()["apply_calls"] == 0


def test_reset_during_a_try_makes_it_the_last(merchant: Merchant) -> None:
    def reset_and_fail(url: str, body: bytes, content_type: str, timeout_s: float) -> Answer:
        merchant.received.append((url, body, content_type, timeout_s))
        merchant.sandbox.reset()
        return Answer(500, "")

    merchant.sandbox.core.courier.transport = reset_and_fail
    merchant.apply()
    merchant.pass_time(2)
    merchant.pass_time(100)
    assert len(merchant.received) == 1


# --- faults ---


@pytest.mark.parametrize(
    ("kind", "status", "expected_code"),
    [("http_500", 500, None), ("http_429", 429, None), ("code_8000", 200, "8000"), ("refuse", 200, "2099")],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_fault_answers(merchant: Merchant, kind: str, status: int, expected_code: str | None, when: str) -> None:
    merchant.dial(apply_fault={"kind": kind, "when": when, "times": 1})
    answer = merchant.apply()
    assert answer.status_code == status
    if expected_code:
        assert code(answer) == expected_code
    assert merchant.user()["applications"] == (1 if when == "after" else 0)
    assert merchant.user()["apply_calls"] == 1
    assert code(merchant.apply()) == ("2002" if when == "after" else "0000")


def test_fault_refuse_takes_code_and_message(merchant: Merchant) -> None:
    merchant.dial(apply_fault={"kind": "refuse", "code": "4711", "message": "not today"})
    assert merchant.apply().get_json()["msg"] == "not today"
    assert code(merchant.apply()) == "4711"


@pytest.mark.parametrize(("kind", "error"), [("reset", ConnectionResetError), ("timeout", ConnectionAbortedError)])
def test_fault_without_an_answer(merchant: Merchant, kind: str, error: type[Exception]) -> None:
    merchant.dial(apply_fault={"kind": kind, "when": "after", "seconds": 0, "times": 1})
    with pytest.raises(error):
        merchant.apply()
    assert merchant.status() == "0"
    entry = merchant.sandbox.core.journal.entries()[0]
    assert (entry.status, entry.fault, entry.signature_ok) == (None, f"{kind} after", True)


def test_fault_malformed(merchant: Merchant) -> None:
    merchant.apply()
    merchant.dial(query_fault="malformed")
    answer = merchant.query()
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    with pytest.raises(ValueError, match="Unterminated"):
        json.loads(answer.data)


@pytest.mark.parametrize("when", ["before", "after"])
def test_fault_slow_holds_and_then_answers_truly(
    merchant: Merchant, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    held: list[tuple[float, bool]] = []
    register = merchant.sandbox.vexora.register

    def hold(seconds: float) -> None:
        held.append((seconds, register.latest("user-1") is not None))

    monkeypatch.setattr(merchant.sandbox.core, "hold", hold)
    merchant.dial(apply_fault={"kind": "slow", "when": when, "seconds": 7})
    assert code(merchant.apply()) == "0000"
    assert held == [(7, when == "after")]


def test_fault_of_one_call_and_user_leaves_the_others_alone(merchant: Merchant) -> None:
    merchant.dial(query_fault="http_500")
    merchant.dial_user("user-2", query_fault="none")
    merchant.dial_user("user-1", query_fault={"kind": "http_429", "times": 2})
    assert code(merchant.apply()) == "0000"
    merchant.apply(userId="user-2")
    assert code(merchant.query("user-2")) == "0000"
    assert [merchant.query().status_code for _ in range(3)] == [429, 429, 500]


# --- control API ---


@pytest.mark.parametrize(
    "dials",
    [
        {"nonsense": 1},
        {"review": "maybe"},
        {"review_delay_s": -1},
        {"review_delay_s": True},
        {"review_delay_s": "2"},
        {"retry_scale": 1.5},
        {"callback": "email"},
        {"callback_count": 0},
        {"callback_claims": "4"},
        {"query_status": 2},
        {"apply_fault": "explode"},
        {"apply_fault": 5},
        {"apply_fault": {"kind": "reset", "times": 0}},
        {"apply_fault": {"kind": "reset", "when": "during"}},
        {"apply_fault": {"kind": "slow", "seconds": "1"}},
        {"apply_fault": {"kind": "refuse", "code": 8}},
        {"apply_fault": {"kind": "reset", "color": "red"}},
        {"review": "reject", "callback": ["json"]},
    ],
)
def test_wrong_dials_are_refused_with_a_sentence_and_change_nothing(
    merchant: Merchant, dials: dict[str, object]
) -> None:
    answer = merchant.http.put("/_sandbox/dials/vexora", json=dials)
    assert answer.status_code == 400
    assert answer.get_json()["error"].endswith(".")
    assert merchant.http.get("/_sandbox/dials/vexora").get_json()["set"] == {}
    with pytest.raises(DialError):
        merchant.dial(**dials)


def test_dials_are_merged_shown_and_unset(merchant: Merchant) -> None:
    http = merchant.http
    http.put("/_sandbox/dials/vexora", json={"review": "reject", "callback": "form"})
    http.put("/_sandbox/dials/vexora", json={"callback": None, "apply_fault": "reset"})
    view = http.get("/_sandbox/dials/vexora").get_json()
    assert view["set"] == {"review": "reject", "apply_fault": {"kind": "reset", "when": "before"}}
    assert view["effective"]["callback"] is None
    http.put("/_sandbox/dials/vexora/user-2", json={"review": "none"})
    assert http.get("/_sandbox/dials/vexora/user-2").get_json()["effective"]["review"] == "none"
    assert http.get("/_sandbox/dials/vexora").get_json()["users"] == ["user-2"]
    assert http.delete("/_sandbox/dials/vexora/user-2").get_json()["effective"]["review"] == "reject"
    assert http.delete("/_sandbox/dials/vexora").get_json()["effective"]["review"] == "approve"
    assert http.get("/_sandbox/dials/nobody").status_code == 404
    assert http.put("/_sandbox/dials/vexora", data="[1]").status_code == 400
    assert http.put("/_sandbox/dials/vexora", data="{").status_code == 400


def test_clock_over_http(merchant: Merchant) -> None:
    answer = merchant.http.post("/_sandbox/clock", json={"advance_s": 600})
    assert answer.get_json()["now_ms"] == int(NOW * 1000) + 600_000
    assert code(merchant.apply(timestamp=str(int(NOW * 1000)))) == "1006"
    assert merchant.http.get("/_sandbox/clock").get_json()["offset_s"] == 600
    for body in ({}, {"advance_s": "1"}, {"advance_s": 1, "x": 1}, {"advance_s": 1e12}):
        assert merchant.http.post("/_sandbox/clock", json=body).status_code == 400
    merchant.http.post("/_sandbox/reset")
    assert merchant.http.get("/_sandbox/clock").get_json()["offset_s"] == 0


def test_review_now(merchant: Merchant) -> None:
    path = "/_sandbox/vexora/users/user-1/review"
    assert merchant.http.post(path, json={"outcome": "approve"}).status_code == 404
    merchant.apply()
    assert merchant.http.post(path, json={"outcome": "none"}).status_code == 400
    assert merchant.http.post(path, json={"outcome": "reject"}).get_json()["status"] == "3"
    assert merchant.http.post(path, json={"outcome": "approve"}).status_code == 409
    merchant.pass_time(100)  # the planned review finds it decided
    assert merchant.status() == "3"
    assert len(merchant.received) == 1


def test_callback_now_with_overrides(merchant: Merchant) -> None:
    path = "/_sandbox/vexora/users/user-1/callback"
    assert merchant.http.post(path, json={}).status_code == 404
    merchant.dial(review="none")
    merchant.apply()
    answer = merchant.http.post(path, json={"claims": "2", "format": "form"})
    assert answer.get_json()["attempts"][0]["accepted"] is True
    assert b"authenticationStatus=2" in merchant.received[-1][1]
    merchant.http.post(path, json={"forged": True, "claims": "2"})
    assert merchant.received[-1][0] != CALLBACK_URL
    merchant.http.post(path, json={"sign": "none"})
    assert "sign" not in json.loads(merchant.received[-1][1])
    merchant.http.post(path, json={"raw_body": "{", "content_type": "text/plain"})
    assert merchant.received[-1][1:3] == (b"{", "text/plain")
    for wrong in ({"claims": "9"}, {"format": "fax"}, {"forged": 2}, {"x": 1}, {"raw_body": 1}):
        assert merchant.http.post(path, json=wrong).status_code == 400
    assert merchant.status() == "0"


def test_journal_tells_everything_but_secrets(merchant: Merchant) -> None:
    merchant.apply()
    merchant.send({**merchant.fields(), "sign": "0" * 32})
    merchant.pass_time(2)
    merchant.http.get("/japan/nothing")
    raw = merchant.http.get("/_sandbox/journal").get_data(as_text=True)
    first, second, callback, unknown = json.loads(raw)["entries"]
    assert (first["direction"], first["signature_ok"], first["code"]) == ("in", True, "0000")
    assert (second["signature_ok"], second["code"], second["user_id"]) == (False, "1001", "user-1")
    assert (callback["direction"], callback["status"], callback["detail"]) == ("out", 200, "accepted")
    assert unknown["status"] == 404
    for secret in (ACCOUNT.app_secret, "0a9fZz", "ハナコ", "\\u30cf", merchant.fields()["sign"]):
        assert secret not in raw


def test_health_users_and_unknown_user(merchant: Merchant) -> None:
    merchant.apply()
    health = merchant.http.get("/_sandbox/health").get_json()
    assert health == {"ok": True, "providers": ["paypay", "vexora"], "scheduled": 2, "seed": None}
    assert merchant.http.get("/_sandbox/vexora/users").get_json() == {"users": ["user-1"]}
    assert merchant.user("nobody")["apply_calls"] == 0
    assert merchant.http.get("/_sandbox/vexora/users").get_json() == {"users": ["user-1"]}


def test_token_of_a_url_is_masked_or_forged_in_its_own_alphabet() -> None:
    assert forged("https://h/a/0f9e?x=1") == "https://h/a/1a0f?x=1"
    assert forged("https://h/") == "https://h/forged"
    assert masked("https://h/a/0f9e?x=1") == "https://h/a/***"
