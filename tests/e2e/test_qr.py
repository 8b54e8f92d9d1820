"""The QR in our answer can be scanned: rendered by a browser, decoded by a decoder that is not its maker's."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from honnin.paypay import link_api
from honnin.paypay.account_link import CreatedLink
from tests.e2e import browser
from tests.e2e.browser import Browser

SHORT = "https://qr.example.jp/2Xa9"
LONG = "https://qr.example.jp/link?back=%E6%9C%AC%E4%BA%BA&session=" + "0aB-_" * 90
WHITE, BLACK = "#fff", "#000"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser.running() as started:
        yield started


@pytest.mark.parametrize("paper", [WHITE, BLACK])
@pytest.mark.parametrize("url", [SHORT, LONG], ids=["short", "long"])
def test_the_qr_says_the_url_on_light_and_dark_pages(chromium: Browser, url: str, paper: str) -> None:
    answer = link_api.answer(CreatedLink(url, None, datetime(2026, 4, 1, tzinfo=UTC)))
    assert chromium.scan(answer.qr_svg, paper=paper) == [url]
