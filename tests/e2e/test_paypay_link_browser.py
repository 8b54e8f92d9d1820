"""Linking a PayPay account as a person does it: in a browser, from the QR to the merchant's page."""

import json
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from local import demo
from local.stack import Stack
from tests.e2e import browser
from tests.e2e.browser import Browser

pytestmark = pytest.mark.e2e

SCOPES = ["get_kyc_info", "mini_app_kyc_passport"]
CALLBACK = "/paypay/account-links/callback"
ALLOW, DECLINE = "button[value=allow]", "button[value=decline]"
RETURN = "/shop/return"


@pytest.fixture
def chromium() -> Iterator[Browser]:
    """A new profile for each test: what it saw is that test's only."""
    with browser.running() as started:
        yield started


@pytest.fixture
def user_id() -> str:
    return f"user.{uuid.uuid4().hex[:12]}"


def _account_link(stack: Stack, user_id: str) -> Any:
    body = {"userId": user_id, "scopes": SCOPES, "returnUrl": f"{stack.sandbox_url}{RETURN}?order=7"}
    return demo.ok(stack.merchant.request("POST", "/paypay/account-links", json=body), "POST /paypay/account-links")


def _requests(events: list[Any]) -> list[Any]:
    """Every request over HTTP in order, those after a redirect included."""
    sent = [each["params"] for each in events if each["method"] == "Network.requestWillBeSent"]
    return [each for each in sent if each["request"]["url"].startswith("http")]  # not the start page's own


def _header(headers: dict[str, str], name: str) -> str | None:
    return next((value for key, value in headers.items() if key.lower() == name), None)


def test_allow_leads_from_the_qr_to_the_merchant_and_the_user_is_linked(
    stack: Stack, chromium: Browser, user_id: str
) -> None:
    link = _account_link(stack, user_id)
    assert chromium.scan(link["qrSvg"], name="paypay-qr") == [link["linkQRCodeURL"]]

    chromium.open(link["linkQRCodeURL"])
    chromium.screenshot("paypay-consent")
    seen = chromium.text()
    assert "ホンニン商店" in seen  # who asks
    assert "Your verified identity: name, birthday, address" in seen  # each scope in words
    assert "Your verified identity, and changes to it" in seen
    assert demo.status(stack, user_id, "paypay") == "LINK_PENDING"

    chromium.press(ALLOW, until=RETURN)
    chromium.screenshot("paypay-linked")
    assert chromium.url == f"{stack.sandbox_url}{RETURN}?order=7&result=succeeded"
    assert (chromium.status, "連携が完了しました" in chromium.text()) == (200, True)
    assert demo.status(stack, user_id, "paypay") == "LINKED"


def test_decline_leads_to_the_merchant_and_is_a_status(stack: Stack, chromium: Browser, user_id: str) -> None:
    chromium.open(_account_link(stack, user_id)["linkQRCodeURL"])
    chromium.press(DECLINE, until=RETURN)
    chromium.screenshot("paypay-declined")
    assert chromium.url == f"{stack.sandbox_url}{RETURN}?order=7&result=declined"
    assert demo.status(stack, user_id, "paypay") == "LINK_DECLINED"


def test_the_browser_never_sees_the_authorization_id_and_the_token_stays_in_its_own_url(
    stack: Stack, chromium: Browser, user_id: str
) -> None:
    chromium.open(_account_link(stack, user_id)["linkQRCodeURL"])
    sources = [chromium.source]
    chromium.press(ALLOW, until=RETURN)
    sources.append(chromium.source)
    events = chromium.traffic()

    requests = _requests(events)
    [back] = [each for each in requests if urlsplit(each["request"]["url"]).path.endswith(CALLBACK)]
    [token] = parse_qs(urlsplit(back["request"]["url"]).query)["responseToken"]
    authorization_id = _authorization_id(stack, user_id)
    # Every address and header of the whole visit, and what was on the pages.
    assert authorization_id not in json.dumps([events, sources])
    assert not any(token in source for source in sources)
    assert [each for each in requests if token in each["request"]["url"]] == [back]
    # What our answer to that URL says, and what the merchant's page learns of where the browser was.
    [onward] = [each for each in requests if each.get("redirectResponse", {}).get("url") == back["request"]["url"]]
    answer = onward["redirectResponse"]
    assert answer["status"] == 303
    assert _header(answer["headers"], "location") == chromium.url
    assert token not in json.dumps(answer["headers"])
    sent = [each["params"]["headers"] for each in events if each["method"] == "Network.requestWillBeSentExtraInfo"]
    assert len(sent) >= len(requests)
    assert not any(CALLBACK in (_header(headers, "referer") or "") for headers in sent)
    assert chromium.driver.execute_script("return document.referrer") == ""


def test_loading_the_redirect_again_shows_the_same_and_changes_nothing(
    stack: Stack, chromium: Browser, user_id: str
) -> None:
    chromium.open(_account_link(stack, user_id)["linkQRCodeURL"])
    chromium.press(ALLOW, until=RETURN)
    first, before = chromium.url, demo.timeline(stack, user_id)
    urls = [each["request"]["url"] for each in _requests(chromium.traffic())]
    [callback] = [url for url in urls if CALLBACK in url]
    chromium.open(callback)
    assert chromium.url == first
    assert demo.timeline(stack, user_id) == before


@pytest.mark.parametrize("token", ["wrong_key", "alg_none", "other_nonce"])
def test_a_hostile_token_shows_a_plain_page_and_links_nobody(
    stack: Stack, chromium: Browser, user_id: str, token: str
) -> None:
    stack.sandbox("PUT", f"/dials/paypay/{user_id}", json={"token": token})
    chromium.open(_account_link(stack, user_id)["linkQRCodeURL"])
    chromium.press(ALLOW, until=CALLBACK)
    chromium.screenshot(f"paypay-refused-{token}")
    assert chromium.status == 400
    assert "連携" in chromium.text("h1")
    assert "完了できませんでした" in chromium.text("h1")
    assert "start again" in chromium.text()
    [given] = parse_qs(urlsplit(chromium.url).query)["responseToken"]
    assert given not in chromium.source
    assert _authorization_id(stack, user_id) not in chromium.source
    assert demo.status(stack, user_id, "paypay") == "LINK_PENDING"


def _authorization_id(stack: Stack, user_id: str) -> str:
    """The id that PayPay granted, from the sandbox."""
    granted = stack.sandbox("GET", f"/paypay/users/{user_id}")["authorizations"]
    found: str = granted[-1]["id"]
    assert found
    return found
