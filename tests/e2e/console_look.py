"""Makes the pictures of the console and of the sandbox's page in docs/images/ anew: `make console-pictures`."""

from pathlib import Path

from local.paths import ROOT
from tests.e2e import browser
from tests.e2e.browser import Browser
from tests.fakes import console_stack, sandbox_page

FOLDER = ROOT / "docs" / "images"
_SHOWN = (
    ("home", "", 1280, False),
    ("user", f"user?id={console_stack.USER}", 1280, False),
    ("home-phone-dark", "", 390, True),
)
_MOST_HEIGHT = 1400


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
    height = min(chromium.driver.execute_script("return document.documentElement.scrollHeight"), most_height)
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    chromium.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert chromium.driver.get_screenshot_as_file(str(path))


def main() -> None:
    """All pictures, in both languages."""
    with console_stack.serving() as url, browser.running() as chromium:
        for name, path, width, dark in _SHOWN:
            for language in ("en", "ja"):
                show(chromium, f"{url}{language}/{path}", width, dark=dark)
                picture(chromium, FOLDER / f"console-{name}.{language}.png", width)
        with sandbox_page.serving() as url:
            for language in ("en", "ja"):
                show(chromium, f"{url}?lang={language}", 1280)
                picture(chromium, FOLDER / f"sandbox-page.{language}.png", 1280)


if __name__ == "__main__":
    main()
