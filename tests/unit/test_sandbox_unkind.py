"""The sandbox's unkindness: every form can be forced and ruled out, and what decides stays right under any seed."""

import gzip
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from email.message import Message as Head
from http.client import HTTPConnection
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from werkzeug.test import TestResponse

from sandbox.app import Sandbox, SandboxConfig
from sandbox.dials import DialError
from sandbox.paypay.selfie import png
from sandbox.server import RunningSandbox, running
from sandbox.unkind import FORMS, ODD_TEXTS
from sandbox.vexora.callbacks import BODIES
from sandbox.vexora.signature import expected_sign
from tests.fakes.sandbox_paypay import Merchant as PayPayMerchant
from tests.fakes.sandbox_paypay import claims
from tests.fakes.sandbox_vexora import ACCOUNT
from tests.fakes.sandbox_vexora import Merchant as VexoraMerchant

ALL_VARIANTS = [(name, each) for name, form in FORMS.items() for each in (form.variants or (True,))]


@pytest.fixture
def vexora() -> VexoraMerchant:
    """A merchant of Vexora whose sandbox has no seed: only what a dial forces happens."""
    return VexoraMerchant()


@pytest.fixture
def paypay() -> PayPayMerchant:
    """The same for PayPay."""
    return PayPayMerchant()


def force(sandbox: Sandbox, **forms: object) -> None:
    for provider in sandbox.providers.values():
        provider.dials.put({"unkind": forms})


def read(answer: TestResponse) -> Any:
    """Read an answer as leniently as the provider's document obliges us to."""
    raw = answer.get_data()
    if answer.headers.get("Content-Encoding") == "gzip":
        raw = gzip.decompress(raw)
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        return json.loads(raw.decode("utf-8", "replace"))
    except ValueError:
        return json.loads(raw.decode("shift_jis", "replace"))


# --- what decides ---


@pytest.mark.parametrize(("form", "variant"), ALL_VARIANTS)
def test_what_decides_stays_right_in_every_form_of_vexora(vexora: VexoraMerchant, form: str, variant: object) -> None:
    force(vexora.sandbox, **{form: variant})
    vexora.dial(review="reject")
    assert (read(vexora.apply())["code"], read(vexora.apply())["code"]) == ("0000", "2002")
    vexora.pass_time(2)
    answer = read(vexora.query())
    assert (answer["code"], answer["data"]["authenticationStatus"]) == ("0000", "3")
    assert answer["data"]["failReason"]
    assert read(vexora.query("nobody"))["code"] == "2001"


@pytest.mark.parametrize(("form", "variant"), ALL_VARIANTS)
def test_what_decides_stays_right_in_every_form_of_paypay(paypay: PayPayMerchant, form: str, variant: object) -> None:
    force(paypay.sandbox, **{form: variant})
    created = read(paypay.session())
    answer = paypay.decide(created["data"]["linkQRCodeURL"])
    uaid = str(claims(answer)["userAuthorizationId"])
    assert (claims(answer)["result"], claims(answer)["nonce"]) == ("succeeded", "n-user-1")
    kyc = read(paypay.passport(uaid))
    assert (kyc["resultInfo"]["code"], kyc["data"]["status"]) == ("SUCCESS", "COMPLETED")
    state = read(paypay.status(uaid))["data"]
    assert (state["userAuthorizationId"], state["status"]) == (uaid, "ACTIVE")
    assert int(state["expireAt"]) > 1_774_925_553
    assert read(paypay.passport("nobody"))["resultInfo"]["code"] == "INVALID_USER_AUTHORIZATION_ID"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_seed_repeats_its_answers_and_every_form_comes_up(seed: int) -> None:
    def journal() -> list[str]:
        sandbox = Sandbox(SandboxConfig(seed=seed))
        return [
            ",".join(dice.taken)
            for n in range(400)
            if (dice := sandbox.core.unkindness.dice("vexora/query", f"user-{n}", {}))
            and [dice.variant(form) for form in FORMS]
        ]

    drawn = journal()
    assert drawn == journal()
    seen = {each.partition("=")[0] for line in drawn for each in line.split(",")}
    assert seen == set(FORMS)
    for name, form in FORMS.items():
        share = sum(name in [each.partition("=")[0] for each in line.split(",")] for line in drawn) / len(drawn)
        assert abs(share - form.share) < 0.12, name


def test_a_seed_means_the_same_in_another_process() -> None:
    # hash() of a text would differ from process to process, and a printed seed would repeat nothing.
    dice = [Sandbox(SandboxConfig(seed=7)).core.unkindness.dice("vexora/query", f"user-{n}", {}) for n in range(12)]
    assert [n for n, each in enumerate(dice) if each.takes("extra")] == [4, 8]


def test_shift_jis_with_a_backslash_byte_comes_in_a_body_that_is_all_shift_jis(vexora: VexoraMerchant) -> None:
    force(vexora.sandbox, odd_text="shift_jis_5c", extra=True)
    vexora.dial(review="reject", review_delay_s=0)
    vexora.apply()
    vexora.pass_time(0)
    answer = read(vexora.query())
    assert (answer["msg"], answer["ext"]["備考"]) == ("申請を受け付けました", "なし")
    assert answer["data"]["failReason"].startswith("氏名")


def test_no_message_text_ends_the_json_around_it() -> None:
    for name, raw in ODD_TEXTS.items():
        assert b'"' not in raw, name
        as_read = raw.decode("shift_jis" if name == "shift_jis_5c" else "utf-8", "replace")
        assert json.loads(f'"{as_read}"'), name


def test_without_a_seed_nothing_happens(vexora: VexoraMerchant, paypay: PayPayMerchant) -> None:
    assert vexora.apply().headers["Content-Type"] == "application/json;charset=UTF-8"
    assert paypay.session().headers["X-REQUEST-ID"].startswith("OPA")
    assert {entry.unkind for entry in vexora.sandbox.core.journal.entries()} == {None}


def test_a_dial_rules_forms_out_under_a_seed() -> None:
    sandbox = Sandbox(SandboxConfig(seed=5))
    for n in range(200):
        dice = sandbox.core.unkindness.dice("a", f"user-{n}", {"all": False, "bom": True, "drop": "rst"})
        taken = [dice.variant(form) for form in FORMS]
        assert [each for each in taken if each] == ["bom", "rst"]


@pytest.mark.parametrize(
    "value", ["off", ["bom"], {"nonsense": True}, {"bom": "yes"}, {"drop": "gently"}, {"all": "rst"}, {"gzip": 1.5}]
)
def test_wrong_forms_are_refused_with_a_sentence(vexora: VexoraMerchant, value: object) -> None:
    with pytest.raises(DialError, match=r"^The dial 'unkind' must .*\.$"):
        vexora.dial(unkind=value)


# --- how an answer is written and sent ---


def test_the_forms_of_writing(vexora: VexoraMerchant) -> None:
    plain = json.loads(vexora.query("nobody").get_data())
    force(vexora.sandbox, bom=True)
    assert vexora.query("nobody").get_data().startswith(b"\xef\xbb\xbf{")
    force(vexora.sandbox, spaces=True)
    assert b"{\r\n\t" in vexora.query("nobody").get_data()
    force(vexora.sandbox, extra=True)
    assert set(plain) < set(read(vexora.query("nobody")))
    force(vexora.sandbox, timestamp_text=True, success_text=True)
    answer = read(vexora.query("nobody"))
    assert (answer["success"], answer["timestamp"]) == ("false", str(plain["timestamp"]))
    for variant, expected in (("absent", None), ("empty", {})):
        force(vexora.sandbox, no_data=variant)
        assert read(vexora.query("nobody")).get("data") == expected


@pytest.mark.parametrize(("name", "raw"), ODD_TEXTS.items())
def test_texts_that_are_not_clean(vexora: VexoraMerchant, paypay: PayPayMerchant, name: str, raw: bytes) -> None:
    force(vexora.sandbox, odd_text=name)
    assert b'"msg": "' + raw + b'"' in vexora.apply().get_data()
    force(paypay.sandbox, odd_text=name)
    assert b'"message": "' + raw + b'"' in paypay.session().get_data()


def test_a_refusal_may_repeat_what_was_sent(vexora: VexoraMerchant, paypay: PayPayMerchant) -> None:
    force(vexora.sandbox, echo=True)
    assert "usernameFurigana [ﾃｽﾄ] is not valid" in read(vexora.apply(usernameFurigana="ﾃｽﾄ"))["msg"]
    force(paypay.sandbox, echo=True)
    assert "[some-id]" in read(paypay.passport("some-id"))["resultInfo"]["message"]


@pytest.mark.parametrize(
    ("variant", "of_vexora", "of_paypay"),
    [
        ("other_case", "Application/Json", "Application/Json"),
        ("charset", 'application/json ; Charset="utf-8"', 'application/json ; Charset="utf-8"'),
        ("none", None, "APPLICATION/JSON;CHARSET=UTF-8"),
        ("text", "text/html;charset=ISO-8859-1", "application/json"),
    ],
)
def test_content_types(
    vexora: VexoraMerchant, paypay: PayPayMerchant, variant: str, of_vexora: str | None, of_paypay: str
) -> None:
    force(vexora.sandbox, content_type=variant)
    assert vexora.apply().headers.get("Content-Type") == of_vexora
    force(paypay.sandbox, content_type=variant)
    assert paypay.session().headers["Content-Type"] == of_paypay  # its document says application/json


def test_what_paypay_does_not_promise(paypay: PayPayMerchant) -> None:
    uaid = paypay.link()
    force(paypay.sandbox, no_request_id=True, created_as_ok=True, code_id="number", no_message="null")
    answer = paypay.session()
    assert (answer.status_code, "X-REQUEST-ID" in answer.headers) == (200, False)
    assert read(answer)["resultInfo"] == {"code": "SUCCESS", "message": None, "codeId": 8100001}
    force(paypay.sandbox, epoch_text=True, authorization_keys="absent")
    assert isinstance(read(paypay.status(uaid))["data"]["expireAt"], str)
    assert read(paypay.status(uaid))["data"].keys() == {"userAuthorizationId", "status", "scopes", "expireAt"}
    force(paypay.sandbox, kyc_keys="absent")
    assert set(read(paypay.passport(uaid))["data"]) <= {"status", "eKycDocument"}
    force(paypay.sandbox, kyc_keys="renamed")
    assert "kyc_lastname" in read(paypay.passport(uaid))["data"]
    for variant, wanted in (("absent", {"status"}), ("null", {"status", "eKycDocument"})):
        force(paypay.sandbox, kyc_keys="absent", kyc_proven=variant)
        data = read(paypay.passport(uaid))["data"]
        assert (set(data), data["status"], data.get("eKycDocument")) == (wanted, "COMPLETED", None)
    force(paypay.sandbox, kyc_proven="object")
    assert set(read(paypay.passport(uaid))["data"]["eKycDocument"]) == {"value"}
    force(paypay.sandbox, token_claims="numbers")
    assert claims(paypay.decide(read(paypay.session())["data"]["linkQRCodeURL"]))["sub"] == 4711


@pytest.mark.parametrize("variant", ["image/jpg", "binary/octet-stream", "application/octet-stream", "none"])
def test_a_selfie_is_an_image_whatever_its_headers_say(paypay: PayPayMerchant, variant: str) -> None:
    force(paypay.sandbox, selfie_type=variant, selfie_gzip=True)
    user = paypay.sandbox.paypay.register.user("user-1")
    selfies = paypay.sandbox.paypay._selfies
    answer = paypay.http.get(selfies.url(user, "http://localhost/"))
    assert answer.headers.get("Content-Type", "none") == variant
    assert gzip.decompress(answer.get_data()) == png(user.selfie_id)


def test_a_notification_is_json_however_it_is_sent(paypay: PayPayMerchant) -> None:
    sent: list[tuple[bytes, str]] = []
    paypay.link()
    force(paypay.sandbox, bom=True, webhook_type="none", extra=True)
    paypay.core.courier.transport = lambda _url, body, kind, _timeout: sent.append((body, kind))  # type: ignore[assignment, return-value]
    paypay.http.post("/_sandbox/paypay/users/user-1/kyc-updated", json={})
    with pytest.raises(AttributeError):  # nobody answered
        paypay.core.schedule.run_due()
    ((body, content_type),) = sent
    assert content_type == ""
    fields = json.loads(body.removeprefix(b"\xef\xbb\xbf"))
    assert fields["notification_type"] == "kyc_passport.kyc_info.updated"
    assert "traceId" in fields


# --- Vexora's pages, and what happened there before us ---


def test_the_query_has_no_user_id_and_says_why_somebody_was_rejected(vexora: VexoraMerchant) -> None:
    vexora.dial(review="reject")
    vexora.apply()
    assert read(vexora.query())["data"] == {"authenticationStatus": "0"}
    vexora.pass_time(2)
    data = read(vexora.query())["data"]
    assert data == {"authenticationStatus": "3", "failReason": data["failReason"]}
    vexora.dial(reason="口座名義が違います", query_user_id="same")
    expected = {"userId": "user-1", "authenticationStatus": "3", "failReason": "口座名義が違います"}
    assert read(vexora.query())["data"] == expected


@pytest.mark.parametrize(("dial", "expected"), [("other", "79x7p10nh4xd121m"), ("same", "user-1"), ("absent", None)])
def test_the_user_id_of_an_answer_is_a_dial(vexora: VexoraMerchant, dial: str, expected: str | None) -> None:
    vexora.dial(apply_user_id=dial, query_user_id=dial)
    assert read(vexora.apply())["data"].get("userId") == expected
    assert read(vexora.query())["data"].get("userId") == expected


@pytest.mark.parametrize(("outcome", "status", "applies"), [("approve", "2", "2003"), ("reject", "3", "0000")])
def test_a_user_decided_before_us(vexora: VexoraMerchant, outcome: str, status: str, applies: str) -> None:
    path = "/_sandbox/vexora/users/user-1"
    assert vexora.http.post(f"{path}/known", json={"outcome": outcome}).get_json()["status"] == status
    assert vexora.http.post(f"{path}/callback", json={}).status_code == 409
    assert read(vexora.query())["data"]["authenticationStatus"] == status
    assert read(vexora.apply())["code"] == applies
    assert vexora.http.post(f"{path}/known", json={"outcome": "perhaps"}).status_code == 400


def test_an_answer_about_an_earlier_submission(vexora: VexoraMerchant) -> None:
    vexora.dial(review="reject")
    vexora.apply()
    vexora.pass_time(2)
    vexora.dial(review="none", query_about="earlier", apply_fault={"kind": "timeout", "when": "after", "seconds": 0})
    with pytest.raises(ConnectionAbortedError):
        vexora.apply(callBackUrl=f"{'https://merchant.example.com/'}second")
    assert read(vexora.query())["data"]["authenticationStatus"] == "3"
    vexora.http.post("/_sandbox/vexora/users/user-1/callback", json={"submission": "earlier"})
    assert not vexora.received[-1][0].endswith("second")
    vexora.http.post("/_sandbox/vexora/users/user-1/callback", json={})
    assert vexora.received[-1][0].endswith("second")
    vexora.dial(query_about=None)
    assert read(vexora.query())["data"]["authenticationStatus"] == "0"


@pytest.mark.parametrize("when", ["before", "after"])
def test_too_many_requests_is_no_word_on_whether_an_application_arrived(vexora: VexoraMerchant, when: str) -> None:
    vexora.dial(apply_fault={"kind": "http_429", "when": when, "times": 1})
    assert vexora.apply().status_code == 429
    assert read(vexora.query())["code"] == ("0000" if when == "after" else "2001")


# --- callbacks ---


def _called_back(vexora: VexoraMerchant, **forms: object) -> list[tuple[bytes, str]]:
    force(vexora.sandbox, **forms)
    vexora.dial(review="reject")
    vexora.apply()
    vexora.pass_time(2)
    return [(body, content_type) for _, body, content_type, _ in vexora.received]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("how", ["by a dial", "by a form"])
def test_callbacks_come_in_every_form(vexora: VexoraMerchant, body: str, how: str) -> None:
    if how == "by a dial":
        vexora.dial(callback=body)
    ((raw, content_type),) = _called_back(
        vexora, **({} if how == "by a dial" or body == "json" else {"callback_body": body})
    )
    head, _, kind = body.partition("_")
    assert (content_type == "") is body.endswith("_no_type")
    if body == "empty":
        assert raw == b""
    elif head == "form":
        fields = {name: values[0] for name, values in parse_qs(raw.decode()).items()}
        assert fields["sign"] == expected_sign(fields, ACCOUNT.app_secret)
    elif head in ("json", "bom", "surrogate"):
        fields = json.loads(raw.removeprefix(b"\xef\xbb\xbf"))
        assert fields["sign"] == expected_sign(fields, ACCOUNT.app_secret)
        assert kind != "as_text" or content_type.startswith("text/plain")
    elif body == "not_utf8":
        with pytest.raises(UnicodeDecodeError):
            raw.decode()
    elif body == "multipart":
        kind_head = Head()
        kind_head["Content-Type"] = content_type
        assert f"--{kind_head.get_param('boundary')}--\r\n".encode() in raw
    else:
        assert raw.startswith(b"<?xml")


def test_values_and_signs_of_callbacks(vexora: VexoraMerchant) -> None:
    ((raw, _),) = _called_back(vexora, callback_values="mixed")
    fields = json.loads(raw)
    assert (fields["authenticationStatus"], fields["success"], fields["score"]) == (3, True, 1.0)
    texts = {**{name: str(value) for name, value in fields.items()}, "success": "true", "detail": '{"step":2}'}
    assert fields["sign"] == expected_sign(texts, ACCOUNT.app_secret)


@pytest.mark.parametrize("variant", ["none", "upper"])
def test_a_sign_may_be_missing_or_in_upper_case(vexora: VexoraMerchant, variant: str) -> None:
    ((raw, _),) = _called_back(vexora, callback_sign=variant)
    sign = json.loads(raw).get("sign")
    assert (sign is None) if variant == "none" else (sign == sign.upper() and sign != sign.lower())


def test_two_callbacks_may_be_identical(vexora: VexoraMerchant) -> None:
    first, second = _called_back(vexora, callback_twice=True)
    assert first == second


# --- connections ---


@pytest.fixture
def box() -> Iterator[RunningSandbox]:
    """A sandbox that listens."""
    with running() as started:
        yield started


def _query(connection: HTTPConnection) -> dict[str, Any]:
    connection.request("POST", "/japan/v1/vexora/kycStatusQuery", body="{}", headers={"merchantNo": "x"})
    answer = connection.getresponse()
    found: dict[str, Any] = json.loads(answer.read())
    assert answer.getheader("Connection") is None
    return found


@contextmanager
def _connected(box: RunningSandbox) -> Iterator[tuple[HTTPConnection, socket.socket]]:
    connection = HTTPConnection(urlsplit(box.url).netloc, timeout=5)
    connection.connect()
    with closing(connection.sock) as used:
        yield connection, used


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_connections_are_kept_alive(box: RunningSandbox) -> None:
    with _connected(box) as (connection, used):
        for _ in range(3):
            assert _query(connection)["code"] == "1007"
        assert connection.sock is used


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("how", ["fin", "rst", "unseen"])
def test_connections_die_without_notice_after_a_whole_answer(box: RunningSandbox, how: str) -> None:
    box.vexora.dials.put({"unkind": {"drop": how}})
    with _connected(box) as (connection, used):
        assert _query(connection)["code"] == "1007"
        used.settimeout(0.5)
        if how == "fin":
            assert used.recv(1) == b""
        elif how == "rst":
            time.sleep(0.3)
            with pytest.raises(ConnectionResetError):
                used.recv(1)
        else:
            with pytest.raises(TimeoutError):  # nothing shows that it is dead
                used.recv(1)
            used.sendall(b"P")
            with pytest.raises(ConnectionResetError):
                used.recv(1)


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_headers_come_in_any_case_and_bodies_in_chunks(box: RunningSandbox) -> None:
    box.vexora.dials.put({"unkind": {"header_case": "upper", "chunked": True}})
    with _connected(box) as (_, used):
        used.sendall(b"POST /japan/v1/vexora/kycStatusQuery HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        raw = b""
        while not raw.endswith(b"0\r\n\r\n"):
            raw += used.recv(4096)
    assert b"CONTENT-TYPE: application/json" in raw
    assert b"Transfer-Encoding: chunked" in raw


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_stopped_sandbox_leaves_no_connection_open() -> None:
    with ExitStack() as later:
        with running() as box:
            connection, used = later.enter_context(_connected(box))
            _query(connection)
        assert used.recv(1) == b""
