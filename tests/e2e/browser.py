"""A headless Chromium for the tests that a person would do with a browser: Debian's, never one of our own download.

with tests.e2e.browser.running() as browser:
    browser.open(url)
    browser.press("button.allow")
    browser.screenshot("consent")
"""

import base64
import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from local.paths import ROOT

SCREENSHOTS = ROOT / "build" / "screenshots"

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_DRIVER = "chromedriver"
_DEADLINE_S = 30.0
_FLAGS = (
    "--headless",
    "--no-sandbox",  # Chromium's own sandbox does not work as root, and containers' tests run as root
    "--disable-dev-shm-usage",  # /dev/shm is too small in containers
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Neither a proxy of the developer's nor the internet.
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
    "--window-size=800,1000",
)
# A PNG to one byte of grey per pixel: the browser can do this already, so no imaging library is needed.
_TO_GREY = """
const [png, done] = arguments;
const picture = new Image();
picture.onload = () => {
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  const {data} = context.getImageData(0, 0, picture.width, picture.height);
  let grey = "";
  for (let at = 0; at < data.length; at += 4)
    grey += String.fromCharCode(Math.round((data[at] + data[at + 1] + data[at + 2]) / 3));
  done([picture.width, picture.height, btoa(grey)]);
};
picture.onerror = () => done(null);
picture.src = "data:image/png;base64," + png;
"""


@dataclass(frozen=True)
class Browser:
    """One window with an empty profile. What is not wrapped here is done with `driver`, Selenium's own."""

    driver: webdriver.Chrome
    _log: list[Any] = field(default_factory=list)

    def open(self, url: str) -> None:
        """Go to `url` and wait for its page."""
        self.driver.get(url)

    def press(self, selector: str, *, until: str) -> None:
        """Press the one element that `selector` (CSS) finds, and wait until the address contains `until`."""
        self.driver.find_element(By.CSS_SELECTOR, selector).click()
        WebDriverWait(self.driver, _DEADLINE_S).until(
            lambda driver: until in driver.current_url, f"the browser never came to {until}"
        )

    @property
    def url(self) -> str:
        """The address in the address bar."""
        return self.driver.current_url

    @property
    def status(self) -> int:
        """The HTTP status of the page that is shown."""
        script = 'return performance.getEntriesByType("navigation")[0].responseStatus'
        status: int = self.driver.execute_script(script)
        return status

    @property
    def source(self) -> str:
        """The source of the page that is shown."""
        return self.driver.page_source

    def text(self, selector: str = "body") -> str:
        """What a person reads in the element that `selector` (CSS) finds."""
        return self.driver.find_element(By.CSS_SELECTOR, selector).text

    def screenshot(self, name: str) -> Path:
        """Write what is seen now to build/screenshots/<name>.png."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        assert self.driver.get_screenshot_as_file(str(path))
        return path

    def traffic(self) -> list[Any]:
        """Every network event since the start (DevTools protocol): addresses, headers, redirects, in order."""
        entries = self.driver.get_log("performance")  # type: ignore[no-untyped-call]  # each is given once only
        events = [json.loads(entry["message"])["message"] for entry in entries]
        self._log.extend(event for event in events if event["method"].startswith("Network."))
        return list(self._log)

    def scan(self, svg: str, *, paper: str = "#fff", name: str | None = None) -> list[str]:
        """Show an inline SVG on a page of colour `paper` and return the texts of the QR codes seen there.

        The decoder (ZXing) is given pixels of a screenshot: it shares nothing with the QR's maker.
        """
        self.open("about:blank")
        self._run("document.body.style.background = arguments[0]; document.body.innerHTML = arguments[1];", paper, svg)
        if name:
            self.screenshot(name)
        # Away from the page's paper, the quiet zone is the SVG's own business: so a margin of paper is in the picture.
        self._run("document.body.style.cssText += 'display: inline-block; margin: 0; padding: 40px'")
        png = self.driver.find_element(By.TAG_NAME, "body").screenshot_as_base64
        width, height, grey = self.driver.execute_async_script(_TO_GREY, png)
        pixels = memoryview(base64.b64decode(grey)).cast("B", shape=[height, width])
        found = zxingcpp.read_barcodes(pixels)
        return [each.text for each in found]

    def _run(self, script: str, *arguments: object) -> None:
        self.driver.execute_script(script, *arguments)


@contextlib.contextmanager
def running() -> Iterator[Browser]:
    """A browser for the length of the block. Without one on the PATH the test is skipped; in CI it fails."""
    browser, driver = _programs()
    with (
        tempfile.TemporaryDirectory(prefix="honnin-browser-", ignore_cleanup_errors=True) as profile,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("no_proxy", "localhost,127.0.0.1")  # for Selenium's own way to the driver
        options = Options()
        options.binary_location = browser
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
        started = webdriver.Chrome(options=options, service=Service(executable_path=driver))
        try:
            started.set_page_load_timeout(_DEADLINE_S)
            started.set_script_timeout(_DEADLINE_S)
            yield Browser(started)
        finally:
            started.quit()


def _programs() -> tuple[str, str]:
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    driver = shutil.which(_DRIVER)
    if browser and driver:
        return browser, driver
    missing = " and ".join([*([] if browser else ["Chromium"]), *([] if driver else [_DRIVER])])
    reason = f"NOT TESTED IN A BROWSER: {missing} not found on the PATH; local/browser.sh installs it on Debian as root"
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
