"""No log record, metric or print of the PayPay functions holds a value of a person, a token or a signature.

Everything runs as deployed (level INFO) with marked values, and whatever comes out anywhere is searched for them.
"""

import json
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from honnin.paypay import client as paypay_client
from honnin.paypay import selfie as paypay_selfie
from honnin.paypay import signing
from sandbox.paypay.response_token import TOKEN_KINDS
from sandbox.server import RunningSandbox
from tests.fakes import LoopbackServer, Reply
from tests.fakes.deployment import PAYPAY, RETURN_URL, Deployment
from tests.fakes.merchant import Merchant

NAME, KANA, BIRTHDAY, PHONE = "シルシ姓", "シルシカナ", "1907-07-07", "09077777777"
ADDRESS, RETURN_MARK = "シルシ町七丁目", "markedorder"
KYC = {"lastName": NAME, "lastNameKana": KANA, "birthday": BIRTHDAY, "phone": PHONE, "address": {"city": ADDRESS}}
PASSPORT: dict[str, Any] = {"accountLinkFlow": "KYC_PASSPORT", "kycPassport": {}}
FAULTS = (
    "KYC_NOT_COMPLETED",
    "UNAUTHORIZED",
    "OP_OUT_OF_SCOPE",
    "INVALID_PARAMS",
    "RATE_LIMIT",
    "MAINTENANCE_MODE",
    "SERVICE_ERROR",
    "http_500",
    "malformed",
    "reset",
)


class Marks:
    """Values that must not come out, by what they are; those of PayPay join as it makes them."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {
            "name": NAME,
            "kana": KANA,
            "birthday": BIRTHDAY,
            "phone": PHONE,
            "address": ADDRESS,
            "return URL query": RETURN_MARK,
            "API secret": PAYPAY.api_secret,
        }

    def add(self, kind: str, value: str) -> None:
        """Watch out for one more."""
        assert len(value) >= 6
        self.values[f"{kind} {len(self.values)}"] = value

    def found_in(self, text: str) -> list[str]:
        """What of it is in a text, as itself or as JSON would escape it."""
        return [kind for kind, value in self.values.items() if value in text or json.dumps(value)[1:-1] in text]


@pytest.fixture
def marks(monkeypatch: pytest.MonkeyPatch) -> Marks:
    made = Marks()
    authorization = signing.authorization

    def spy(**fields: Any) -> str:
        value = authorization(**fields)
        _, _, mac, _, _, digest = value.split(":")
        made.add("signature", mac)
        if digest != "empty":
            made.add("body hash", digest)
        return value

    monkeypatch.setattr(signing, "authorization", spy)
    monkeypatch.setattr(paypay_client, "_PAUSE_S", 0.0)
    monkeypatch.setattr(paypay_selfie, "_TOTAL_S", 0.7)
    return made


class Output:
    """Whatever was written since the test began: file descriptors 1 and 2, and every log record."""

    def __init__(self, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
        self._capfd = capfd
        self._caplog = caplog

    def read(self) -> str:
        """All of it, log records with all their attributes."""
        out, err = self._capfd.readouterr()
        # `responses`, moto's HTTP stand-in, logs every URL that it lets pass; it is not deployed.
        kept = [record for record in self._caplog.records if record.name != "responses"]
        records = [f"{record.getMessage()} {vars(record)!r} {record.exc_text}" for record in kept]
        return "\n".join([out, err, *records])


@pytest.fixture
def output(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Iterator[Output]:
    with caplog.at_level(logging.INFO):
        yield Output(capfd, caplog)


@pytest.fixture
def merchant(stack: Deployment, output: Output) -> Merchant:
    return Merchant(stack)


def ask(merchant: Merchant, box: RunningSandbox, marks: Marks, **fields: Any) -> dict[str, Any]:
    """A QR for a user with marked fields."""
    box.paypay.register.user("user-0001").kyc.data.update(KYC)
    fields = {"returnUrl": f"{RETURN_URL}&q={RETURN_MARK}", "phoneNumber": PHONE, "kycData": KYC} | fields
    asked = merchant.ask(**fields)
    if asked["statusCode"] == 201:
        marks.add("nonce", box.paypay.register.user("user-0001").sessions[-1].link.nonce)
        marks.add("QR", urlsplit(asked["json"]["linkQRCodeURL"]).path.rpartition("/")[2])
    return asked


def press(merchant: Merchant, box: RunningSandbox, marks: Marks, asked: dict[str, Any], decision: str = "allow") -> str:
    location = merchant.press(asked, decision)
    token = parse_qs(urlsplit(location).query)["responseToken"][0]
    for part in token.split("."):
        if len(part) >= 40:
            marks.add("token", part)
    latest = box.paypay.register.user("user-0001").latest()
    if latest:
        marks.add("authorization id", latest.id)
    marks.add("profile", box.paypay.register.user("user-0001").profile_identifier)
    return location


def link(merchant: Merchant, box: RunningSandbox, marks: Marks) -> str:
    """A linked user; returns the code id, whose verifier is marked as well."""
    asked = ask(merchant, box, marks, **PASSPORT)
    location = press(merchant, box, marks, asked)
    assert merchant.come_back(location)["statusCode"] == 303
    return str(asked["json"]["codeId"])


def test_what_is_searched_is_what_is_written(merchant: Merchant, box: RunningSandbox, output: Output) -> None:
    """The net holds: logs, metrics and prints of a refusal are all in it."""
    merchant.come_back("https://x/?responseToken=x")
    print("printed")
    logging.getLogger("botocore").warning("of a library")

    text = output.read()
    for expected in ("account link refused", "AccountLinkRefused", "printed", "of a library"):
        assert expected in text


def test_linking(merchant: Merchant, box: RunningSandbox, marks: Marks, output: Output) -> None:
    for decision in ("decline", "allow"):
        location = press(merchant, box, marks, ask(merchant, box, marks), decision)
        merchant.come_back(location)
        merchant.come_back(location)

    assert marks.found_in(output.read()) == []


def test_refused_redirects(merchant: Merchant, box: RunningSandbox, marks: Marks, output: Output) -> None:
    for kind in TOKEN_KINDS:
        box.paypay.dials.put({"token": kind})
        merchant.come_back(press(merchant, box, marks, ask(merchant, box, marks)))
    box.paypay.dials.put({"token": "good"})
    asked = ask(merchant, box, marks)
    location = press(merchant, box, marks, asked)
    merchant.come_back(location + "x")
    merchant.come_back(location[:-10])

    text = output.read()
    assert "account link refused" in text
    assert marks.found_in(text) == []


def test_refused_requests(merchant: Merchant, box: RunningSandbox, marks: Marks, output: Output) -> None:
    for field, value in (
        ("userId", NAME),
        ("scopes", [NAME]),
        ("phoneNumber", NAME),
        ("returnUrl", f"https://evil.example/{RETURN_MARK}"),
        ("accountLinkFlow", NAME),
        ("kycData", NAME),
        (NAME, 1),
    ):
        answer = ask(merchant, box, marks, **{str(field): value})
        assert answer["statusCode"] == 422
        # What the merchant gets back names the rule, not the value.
        assert marks.found_in(answer["body"]) == []

    assert marks.found_in(output.read()) == []


def test_reads(stack: Deployment, merchant: Merchant, box: RunningSandbox, marks: Marks, output: Output) -> None:
    code_id = link(merchant, box, marks)
    known = stack.store.links.passport_qr(code_id)
    assert known is not None
    marks.add("PKCE verifier", known.code_verifier)
    # The image comes last: what is kept with its selfie is not fetched again by an equal answer.
    for kind in ("not_found", "html", "too_large", "redirect", "slow", "image"):
        box.paypay.dials.put({"selfie": kind, "selfie_slow_s": 1.5})
        url = merchant.completed_qr(code_id)["json"]["kyc"]["selfieImageUrl"]
        marks.add("selfie query", parse_qs(urlsplit(url).query)["signature"][0])
        marks.add("selfie path", urlsplit(url).path)
    merchant.kyc()
    merchant.passport()

    text = output.read()
    assert "SelfieNotFetched" in text
    assert marks.found_in(text) == []


def test_failing_calls(merchant: Merchant, box: RunningSandbox, marks: Marks, output: Output) -> None:
    code_id = link(merchant, box, marks)
    for fault in FAULTS:
        box.paypay.dials.put({f"{name}_fault": fault for name in ("link", "kyc_info", "kyc_passport_qr")})
        ask(merchant, box, marks)
        merchant.kyc()
        merchant.completed_qr(code_id)

    text = output.read()
    assert "provider call failed" in text
    assert marks.found_in(text) == []


def test_what_paypay_says_in_a_message_is_not_logged(
    merchant: Merchant, box: RunningSandbox, marks: Marks, output: Output
) -> None:
    """A message of the provider could quote the request."""
    link(merchant, box, marks)
    box.paypay.dials.put({"kyc_info_fault": {"kind": "refuse", "message": f"bad: {NAME} {PHONE}", "status": 400}})
    merchant.kyc()

    assert marks.found_in(output.read()) == []


def test_an_unexpected_error_is_logged_without_its_words(
    merchant: Merchant, box: RunningSandbox, marks: Marks, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    link(merchant, box, marks)

    def broken(*_args: object, **_arguments: object) -> None:
        raise RuntimeError(f"{NAME} {BIRTHDAY}")

    monkeypatch.setattr(paypay_client.PayPayClient, "kyc_info", broken)
    answer = merchant.kyc()

    assert answer["statusCode"] == 500
    assert marks.found_in(answer["body"]) == []
    text = output.read()
    assert "unexpected error" in text
    assert marks.found_in(text) == []


def test_broken_http_from_paypay(
    stack: Deployment, merchant: Merchant, box: RunningSandbox, marks: Marks, output: Output
) -> None:
    """urllib3 warns about header lines that it cannot read, and its warning quotes the URL with its query."""
    link(merchant, box, marks)
    for reply in (
        Reply(200, b"{}", {" x": "1"}, close=True),
        Reply(200, b"{}", {"no colon here\r\nX": "1"}, close=True),
        Reply(200, b"{}", {"Content-Encoding": "gzip"}),
        Reply(200, b"{}", short_by=1),
        Reply(302, b"", {"Location": "http://127.0.0.1:1/?x"}),
    ):
        with LoopbackServer(reply) as server:
            stack.parameters["PayPayBaseUrl"] = server.url
            Merchant(stack).kyc()

    assert marks.found_in(output.read()) == []
