"""`honnin.paypay.link_api`: the document's lengths and enums on the wire, and the QR in the answer."""

import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from honnin.errors import InvalidFieldError
from honnin.paypay import link_api
from honnin.paypay.account_link import CreatedLink, LinkRequest
from honnin.paypay.link_api import AccountLinkRequest

LEAST: dict[str, Any] = {
    "userId": "user-0001",
    "scopes": ["get_kyc_info"],
    "returnUrl": "https://shop.example.jp/kyc",
}
PASSPORT: dict[str, Any] = {"accountLinkFlow": "KYC_PASSPORT", "kycPassport": {"hint": "x"}}
ALLOWLIST = ("https://shop.example.jp",)


def read(**fields: Any) -> LinkRequest:
    body = {name: value for name, value in (LEAST | fields).items() if value is not ...}
    return link_api.link_request(AccountLinkRequest.model_validate(body), ALLOWLIST)


def test_the_least_request_passes_nothing_on() -> None:
    request = read()

    assert request == LinkRequest("user-0001", ("get_kyc_info",), "https://shop.example.jp/kyc", {})
    assert not request.is_kyc_passport


def test_the_documents_fields_are_passed_on_under_their_names() -> None:
    fields: dict[str, Any] = {
        "redirectType": "APP_DEEP_LINK",
        "phoneNumber": "090-0000-0000",
        "userAgent": "Mozilla/5.0",
        "kycData": {"any": [1, {"key": None}]},
        **PASSPORT,
    }
    request = read(**fields)

    assert request.fields == fields
    assert request.is_kyc_passport


@pytest.mark.parametrize(
    "fields",
    [
        {"userId": "a"},
        {"userId": "A-z_0.9:x@y" + "x" * 53},
        {"scopes": ["a_scope_of_another_product"]},
        {"scopes": ["a", "b", "c"]},
        {"scopes": ["x" * 100]},
        {"redirectType": "WEB_LINK"},
        {"redirectType": None},
        {"userAgent": "x" * 255},
        {"phoneNumber": "+819000000000"},
        {"phoneNumber": "0" * 20},
        {"accountLinkFlow": None, "kycPassport": None},
        {"accountLinkFlow": "KYC_PASSPORT", "kycPassport": {}},
    ],
    ids=str,
)
def test_what_the_document_allows_is_taken(fields: dict[str, Any]) -> None:
    read(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"userId": ...},
        {"userId": ""},
        {"userId": "x" * 65},
        {"userId": "user 1"},
        {"userId": "user-1\n"},
        {"userId": "利用者"},
        {"userId": "a/b"},
        {"userId": "a#b"},
        {"userId": 1},
        {"scopes": ...},
        {"scopes": []},
        {"scopes": None},
        {"scopes": "get_kyc_info"},
        {"scopes": [""]},
        {"scopes": ["GET_KYC_INFO"]},
        {"scopes": ["kyc1"]},
        {"scopes": ["get-kyc"]},
        {"scopes": ["a b"]},
        {"scopes": ["get_kyc_info\n"]},
        {"scopes": ["ｇｅｔ"]},
        {"scopes": [1]},
        {"scopes": ["x" * 101]},
        {"scopes": ["a"] * 51},
        {"returnUrl": ...},
        {"returnUrl": None},
        {"redirectType": "web_link"},
        {"redirectType": ""},
        {"redirectType": "QR"},
        {"userAgent": ""},
        {"userAgent": "x" * 256},
        {"phoneNumber": ""},
        {"phoneNumber": "090 0000 0000"},
        {"phoneNumber": "0" * 21},
        {"phoneNumber": "０９０"},
        {"phoneNumber": 9000000000},
        {"kycData": "x"},
        {"kycData": []},
        {"accountLinkFlow": "kyc_passport"},
        {"accountLinkFlow": ""},
        {**PASSPORT, "kycPassport": "x"},
        {**PASSPORT, "kycPassport": []},
        {"nonce": "x"},
        {"redirectUrl": "https://x.example"},
        {"referenceId": "x"},
        {"deviceId": "x"},
        {"user_id": "user-1"},
        {"redirect_type": "WEB_LINK"},
    ],
    ids=lambda fields: str(fields)[:40],
)
def test_what_breaks_a_rule_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read(**fields)


def test_a_return_url_that_is_not_on_the_list_is_refused() -> None:
    with pytest.raises(InvalidFieldError, match="ReturnUrlAllowlist"):
        read(returnUrl="https://evil.example/kyc")


@pytest.mark.parametrize("passport", [..., None])
def test_the_kyc_passport_flow_needs_its_object(passport: Any) -> None:
    with pytest.raises(InvalidFieldError, match="kycPassport: is required"):
        read(accountLinkFlow="KYC_PASSPORT", kycPassport=passport)


@pytest.mark.parametrize("flow", [..., None])
def test_without_the_flow_its_object_is_refused(flow: Any) -> None:
    with pytest.raises(InvalidFieldError, match="KYC_PASSPORT only"):
        read(accountLinkFlow=flow, kycPassport={})


# --- the answer ---


def answer(url: str = "https://qr.example/1", code_id: str | None = None) -> dict[str, Any]:
    made = CreatedLink(url, code_id, datetime(2026, 4, 1, 3, 0, tzinfo=UTC))
    shown: dict[str, Any] = link_api.answer(made).model_dump(by_alias=True)
    return shown


@pytest.mark.parametrize("code_id", [None, "code-1"])
def test_the_answer_has_the_agreed_shape(code_id: str | None) -> None:
    shown = answer(code_id=code_id)

    assert set(shown) == {"linkQRCodeURL", "qrSvg", "codeId", "expiresAt"}
    assert (shown["linkQRCodeURL"], shown["codeId"]) == ("https://qr.example/1", code_id)
    assert shown["expiresAt"] == "2026-04-01T03:00:00.000Z"


def test_the_picture_is_a_square_svg_without_script_or_text() -> None:
    picture = ET.fromstring(answer()["qrSvg"])

    assert picture.attrib["width"] == picture.attrib["height"]
    assert {element.tag.rpartition("}")[2] for element in picture.iter()} <= {"svg", "g", "path", "rect"}


def test_what_paypay_calls_the_link_does_not_get_into_the_markup() -> None:
    """It is encoded into modules; as text it could close the tag."""
    svg = answer('https://qr.example/"><script>alert(1)</script>')["qrSvg"]

    assert "script" not in svg
    assert re.fullmatch(r"<svg[^<>]*>.*</svg>", svg, re.DOTALL)


@pytest.mark.parametrize("length", [20, 500, 2000])
def test_a_long_url_still_fits(length: int) -> None:
    assert answer("https://qr.example/" + "x" * length)["qrSvg"].startswith("<svg")


def test_a_url_beyond_any_qr_is_an_error_of_the_provider_not_a_crash() -> None:
    """A QR holds at most 2,331 bytes at this level of correction; PayPay's own URLs are far shorter."""
    with pytest.raises(ValueError, match=r".+"):
        answer("https://qr.example/" + "x" * 5000)
