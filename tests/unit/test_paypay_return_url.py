"""`honnin.paypay.return_url`: no way to send a browser elsewhere than to the merchant's own addresses."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from honnin.errors import InvalidFieldError
from honnin.paypay import return_url

ALLOWLIST = ("https://good.jp", "https://shop.example.jp/kyc", "https://port.jp:8443/", "shopapp://kyc")


@pytest.mark.parametrize(
    "url",
    [
        "https://good.jp",
        "https://good.jp/",
        "https://good.jp/anything?a=1",
        "https://GOOD.jp/x",
        "HTTPS://good.jp/x",
        "https://good.jp?x=https://evil.example/",
        "https://shop.example.jp/kyc",
        "https://shop.example.jp/kyc/",
        "https://shop.example.jp/kyc/done",
        "https://shop.example.jp/kyc?x=1",
        "https://shop.example.jp/kyc//evil.example",
        "https://shop.example.jp/kyc/...",
        "https://port.jp:8443/x",
        "shopapp://kyc",
        "shopapp://kyc/done?x=1",
    ],
)
def test_what_the_list_covers_is_taken_as_it_is(url: str) -> None:
    assert return_url.check(url, ALLOWLIST) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/kyc",
        "good.jp",
        "//evil.example",
        "//good.jp",
        "https:good.jp",
        "https:/good.jp",
        "https:///good.jp",
        "https:evil.example//good.jp",
        "https://evil.example",
        "https://good.jp.evil.example",
        "https://good.jpx",
        "https://xgood.jp",
        "https://evil.example/https://good.jp",
        "https://evil.example?https://good.jp",
        "https://good.jp@evil.example",
        "https://good.jp:x@evil.example",
        "https://user@good.jp",
        "https://user:secret@good.jp/",
        "https://@good.jp",
        "https://good.jp%40evil.example",
        "https://good.jp\\@evil.example",
        "https://good.jp\\.evil.example",
        "https://evil.example\\good.jp",
        "https:\\\\good.jp",
        "https://good.jp%2eevil.example",
        "https://good.jp%00.evil.example",
        "https://good.jp。evil.example",
        "https://good.jp.",
        "https://[::1]",
        "https://[good.jp",
        "https://[good.jp]/",
        # ports
        "https://good.jp:444",
        "https://good.jp:0443x",
        "https://good.jp:99999",
        "https://port.jp/x",
        "https://port.jp:443/x",
        # schemes
        "http://good.jp",
        "ftp://good.jp",
        "javascript://good.jp/%0aalert(1)",
        "javascript:alert(1)",
        "data:text/html,x",
        "shopapp2://kyc",
        "shopapp://other",
        "shopapp:kyc",
        # the boundary of a prefix
        "https://shop.example.jp",
        "https://shop.example.jp/",
        "https://shop.example.jp/kycx",
        "https://shop.example.jp/ky",
        "https://shop.example.jp/KYC",
        "https://shop.example.jp//kyc",
        "https://shop.example.jp/%6byc",
        "https://shop.example.jp/kyc%2fx",
        "https://shop.example.jp/x?/kyc",
        # climbing out of it
        "https://shop.example.jp/kyc/../admin",
        "https://shop.example.jp/kyc/./../admin",
        "https://shop.example.jp/kyc/%2e%2e/admin",
        "https://shop.example.jp/kyc/%2E%2E/admin",
        "https://shop.example.jp/kyc/.%2e/admin",
        "https://shop.example.jp/kyc/..",
        # fragments, spaces, control characters
        "https://good.jp/#x",
        "https://good.jp/ x",
        " https://good.jp/",
        "https://good.jp/\n",
        "https://good.jp/\r\nSet-Cookie: a=1",
        "https://good.jp/\tx",
        "\x00https://good.jp/",
        "https://good.jp/\x7f",
        "ht\ntps://good.jp/",
        "https://good.jp/" + "x" * 2048,
    ],
)
def test_what_leads_elsewhere_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        return_url.check(url, ALLOWLIST)

    assert caught.value.field == "returnUrl"
    assert not url or url not in str(caught.value)


@pytest.mark.parametrize("path", ["..%2fadmin", "..%5cadmin", "%2e%2e%2fadmin", "a%2f..%2f..%2fadmin"])
def test_a_climb_over_an_encoded_separator_is_refused(path: str) -> None:
    """Browsers leave %2f alone, but servers and proxies that decode it before routing are common."""
    with pytest.raises(InvalidFieldError):
        return_url.check(f"https://shop.example.jp/kyc/{path}", ALLOWLIST)


@pytest.mark.parametrize(
    "url", ["https://good.jp/本人確認", "https://good.jp/?q=完了", "https://good.jp/\x85", "https://good.jp/\ud800"]
)
def test_what_cannot_stand_in_a_location_header_is_refused(url: str) -> None:
    with pytest.raises(InvalidFieldError):
        return_url.check(url, ALLOWLIST)


def test_an_empty_list_refuses_everything() -> None:
    with pytest.raises(InvalidFieldError, match="ReturnUrlAllowlist"):
        return_url.check("https://good.jp", ())


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://good.jp/kyc", "https://good.jp/kyc?result=succeeded"),
        ("https://good.jp", "https://good.jp?result=succeeded"),
        ("https://good.jp/?a=1&b=", "https://good.jp/?a=1&b=&result=succeeded"),
        ("https://good.jp/?result=declined&a=1", "https://good.jp/?result=declined&a=1&result=succeeded"),
        ("https://good.jp/?q=%83e&t&s=a%20b", "https://good.jp/?q=%83e&t&s=a%20b&result=succeeded"),
        ("https://good.jp/?a=1&a=2", "https://good.jp/?a=1&a=2&result=succeeded"),
        ("shopapp://kyc/done", "shopapp://kyc/done?result=succeeded"),
    ],
)
def test_the_result_joins_the_query(url: str, expected: str) -> None:
    assert return_url.with_result(url, "succeeded") == expected


def test_the_values_of_the_query_stay_what_they_are() -> None:
    made = return_url.with_result("https://good.jp/?q=a%26b%3Dc%20d&order=%E6%B3%A8", "declined")

    assert parse_qsl(urlsplit(made).query) == [("q", "a&b=c d"), ("order", "注"), ("result", "declined")]
