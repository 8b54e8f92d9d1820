"""Makes the pictures of the console and of the sandbox's page in docs/images/ anew: `make console-pictures`."""

import base64
from pathlib import Path

from local.paths import ROOT
from tests.e2e import browser
from tests.e2e.browser import Browser
from tests.e2e.small_png import small
from tests.fakes import console_stack, sandbox_page

FOLDER = ROOT / "docs" / "images"
_SHOWN = (
    ("home", "", 1280, False),
    ("user", f"user?id={console_stack.USER}", 1280, False),
    ("erase", f"act/erase?id={console_stack.USER}", 1280, False),
    ("register", "register?from=2026-10-01&to=2026-10-31", 1280, False),
    ("access", f"access?id={console_stack.USER}", 1280, False),
    ("home-phone-dark", "", 390, True),
)
_MOST_HEIGHT = 1850
_MOST_HEIGHT_OF_SANDBOX = 1400


def show(chromium: Browser, url: str, width: int, *, dark: bool = False) -> None:
    """Open a page in a window of that width, light or dark."""
    driver = chromium.driver
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    chromium.open(url)


def picture(chromium: Browser, path: Path, width: int, most_height: int = _MOST_HEIGHT) -> None:
    """Write what is shown, the whole page up to a height, as PNG."""
    whole = chromium.driver.execute_script("return Math.ceil(document.documentElement.getBoundingClientRect().height)")
    height = min(whole, most_height)
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    chromium.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(base64.b64decode(chromium.driver.get_screenshot_as_base64()))


def _for_documents(chromium: Browser, name: str, width: int, most_height: int = _MOST_HEIGHT) -> None:
    path = FOLDER / f"{name}.png"
    picture(chromium, path, width, most_height)
    path.write_bytes(small(chromium, base64.b64encode(path.read_bytes()).decode()))


def main() -> None:
    """All pictures, in both languages."""
    with console_stack.serving() as url, sandbox_page.serving() as sandbox, browser.running() as chromium:
        for language in ("en", "ja"):
            for name, path, width, dark in _SHOWN:
                show(chromium, f"{url}{language}/{path}", width, dark=dark)
                _for_documents(chromium, f"console-{name}.{language}", width)
            show(chromium, f"{sandbox}?lang={language}", 1280)
            _for_documents(chromium, f"sandbox-page.{language}", 1280, _MOST_HEIGHT_OF_SANDBOX)


if __name__ == "__main__":
    main()
