"""The console's look, on a stack that is made up: every page, both languages, three widths, light and dark."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from local.paths import ROOT
from tests.e2e import browser
from tests.e2e.browser import SCREENSHOTS, Browser
from tests.e2e.console_look import picture, show
from tests.fakes import console_stack, sandbox_page

pytestmark = [pytest.mark.e2e, pytest.mark.allow_hosts(["127.0.0.1"]), pytest.mark.timeout(600)]

AXE = ROOT / ".node" / "node_modules" / "axe-core" / "axe.min.js"
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_EXAMINE = """
const done = arguments[arguments.length - 1];
axe.run(document, {runOnly: arguments[0], resultTypes: ["violations"]}).then(
  found => done(found.violations.map(each => [each.id, each.nodes.slice(0, 3).map(node => node.html.slice(0, 200))])),
  error => done([["axe", [String(error)]]]));
"""
# Figures that take more than one line, and what is wider than the window and does not scroll by itself.
_MEASURE = """
const lines = element => { const range = document.createRange(); range.selectNodeContents(element);
  return new Set([...range.getClientRects()].map(each => Math.round(each.top / 4))).size; };
const seen = element => element.offsetParent !== null;
return {
  wrapped: [...document.querySelectorAll(".figure, .cell, .chip, .strip .date, .figures td, button")]
    .filter(seen).filter(each => each.scrollHeight > each.clientHeight + 2 && each.clientHeight > 0
      || each.matches(".figure, .figures td") && lines(each) > 1)
    .map(each => each.outerHTML.slice(0, 160)),
  // A cell so narrow that an id or a word takes many lines.
  broken: [...document.querySelectorAll("th, td, dd")].filter(seen)
    .filter(each => lines(each) > 3 && each.clientWidth < 90).map(each => each.outerHTML.slice(0, 160)),
  width: document.documentElement.scrollWidth,
};
"""
_TAB = {"type": "rawKeyDown", "key": "Tab", "windowsVirtualKeyCode": 9}
_FOCUSED = "return document.activeElement.className || document.activeElement.tagName"


@pytest.fixture(scope="module")
def axe() -> str:
    """The program that examines a page; without it skipped, and in CI a failure, as the receivers' tests are."""
    if not AXE.exists():
        reason = "axe-core is not installed: run local/node.sh (make test does)"
        (pytest.fail if os.environ.get("CI", "").lower() in ("1", "true") else pytest.skip)(reason)
    return AXE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser.running() as started:
        # axe takes its time for 300 rows.
        started.driver.set_script_timeout(120)
        yield started


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with console_stack.serving() as address:
        yield address


@pytest.mark.parametrize("language", ["ja", "en"])
def test_every_page_can_be_read_by_everybody_at_every_width(
    chromium: Browser, url: str, axe: str, language: str
) -> None:
    faults: dict[str, Any] = {}
    for path in console_stack.PAGES:
        for width in (390, 1280, 1600):
            dark = width == 1280
            show(chromium, f"{url}{language}/{path}", width, dark=dark)
            assert chromium.status in (200, 404), path
            driver = chromium.driver
            # What is folded away is looked at as well.
            driver.execute_script("document.querySelectorAll('details').forEach(each => { each.open = true; })")
            measured = driver.execute_script(_MEASURE)
            place = f"{language}/{path} {width}"
            if measured["width"] > width:
                faults[f"{place}: width"] = measured["width"]
            for what in ("wrapped", "broken"):
                if measured[what]:
                    faults[f"{place}: {what}"] = measured[what]
            # At 390 px light and at 1,280 px dark: at 1,600 px nothing but the width is different.
            if width != 1600:
                driver.execute_script(axe)
                if found := driver.execute_async_script(_EXAMINE, _RULES):
                    faults[f"{place}: axe"] = found
            if any(each.startswith(f"{place}:") for each in faults):
                name = path.partition("?")[0].replace("/", "-") or "home"
                name += "".join(each for each in path.partition("?")[2] if each.isalnum())[:12]
                picture(chromium, SCREENSHOTS / f"look-{name}-{width}-{language}.png", width, 2600)
    assert not faults


@pytest.mark.parametrize("path", [f"recon/{console_stack.DAY}", "dead-letters", f"access?id={console_stack.USER}"])
def test_cards_on_a_phone_are_a_table_to_who_listens(chromium: Browser, url: str, path: str) -> None:
    """Each value is read with its column, once, and in the order of the columns."""
    show(chromium, f"{url}ja/{path}", 390)
    driver = chromium.driver
    assert driver.execute_script("return getComputedStyle(document.querySelector('.records td')).display") == "grid"
    driver.execute_cdp_cmd("Accessibility.enable", {})
    tree = driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    by_role: dict[str, list[str]] = {}
    for each in tree:
        if not each["ignored"]:
            by_role.setdefault(each["role"]["value"], []).append(each.get("name", {}).get("value", ""))
    shown = driver.execute_script(
        "return [...document.querySelectorAll('.records')].map(each => [[...each.tBodies[0].rows].length, "
        "[...each.tHead.rows[0].cells].map(cell => cell.textContent)])"
    )
    assert len(by_role["table"]) == len(shown)
    assert by_role["columnheader"] == [name for _, columns in shown for name in columns]
    assert len(by_role["rowheader"]) == sum(rows for rows, _ in shown)
    assert len(by_role["cell"]) == sum(rows * (len(columns) - 1) for rows, columns in shown)
    # What stands before a value on a card is not read a second time.
    assert not [each for each in by_role["cell"] if any(each.startswith(name) for _, names in shown for name in names)]
    driver.execute_cdp_cmd("Accessibility.disable", {})


@pytest.mark.parametrize("path", ["users", f"act/erase?id={console_stack.USER}", f"user?id={console_stack.USER}"])
@pytest.mark.parametrize("dark", [False, True])
def test_where_the_keyboard_is_can_be_seen_on_a_phone(chromium: Browser, url: str, path: str, dark: bool) -> None:
    show(chromium, f"{url}ja/{path}", 390, dark=dark)
    driver = chromium.driver
    seen: list[int] = []
    for _ in range(80):
        driver.execute_cdp_cmd("Input.dispatchKeyEvent", _TAB)
        place, outline, width, height = driver.execute_script(
            "const all = [...document.querySelectorAll('a, button, input:not([type=hidden]), select, summary')];"
            "const here = document.activeElement, box = here.getBoundingClientRect(), style = getComputedStyle(here);"
            "return [all.indexOf(here), style.outlineStyle + style.outlineWidth, box.width, box.height];"
        )
        if place < 0 or place in seen[:-1]:
            break
        assert (outline, width > 0, height > 0) == ("solid3px", True, True), (path, place)
        seen.append(place)
    # A field of a date takes the keyboard several times; the order is that of the page.
    assert len(set(seen)) > 10
    assert seen == sorted(seen)


def test_a_keyboard_reaches_everything_and_the_evidence_prints(chromium: Browser, url: str) -> None:
    show(chromium, f"{url}ja/", 1280)
    driver = chromium.driver
    focused = []
    for _ in range(8):
        driver.execute_cdp_cmd(
            "Input.dispatchKeyEvent", {"type": "rawKeyDown", "key": "Tab", "windowsVirtualKeyCode": 9}
        )
        focused.append(
            driver.execute_script("return document.activeElement.className || document.activeElement.tagName")
        )
    assert focused[0] == "skip"
    assert "BODY" not in focused
    outlined = driver.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
    assert outlined == "solid"
    show(chromium, f"{url}ja/user?id={console_stack.USER}", 1280)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    shown = driver.execute_script(
        "return ['.search', '.places', '.timeline', '.offers', '.verdict', '.evidence'].map("
        "each => document.querySelector(each).getClientRects().length > 0)"
    )
    assert shown == [False, False, False, False, True, True]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


# --- the sandbox's page ---


@pytest.mark.parametrize("language", ["ja", "en"])
def test_the_sandboxs_page_can_be_read_at_every_width_and_pressed(chromium: Browser, axe: str, language: str) -> None:
    """Pressed by a browser itself: it says where a form comes from, and the sandbox takes it (sandbox.guard)."""
    faults: dict[str, Any] = {}
    with sandbox_page.serving() as url:
        driver = chromium.driver
        for width, dark in ((390, True), (800, False), (1280, False)):
            show(chromium, f"{url}?lang={language}", width, dark=dark)
            driver.execute_script("document.querySelectorAll('details').forEach(each => { each.open = true; })")
            if (wide := driver.execute_script("return document.documentElement.scrollWidth")) > width:
                faults[f"{width}: width"] = wide
            driver.execute_script(axe)
            if found := driver.execute_async_script(_EXAMINE, _RULES):
                faults[f"{width}: axe"] = found
            picture(chromium, SCREENSHOTS / f"look-sandbox-{width}-{language}.png", width, 2600)
        assert not faults
        show(chromium, f"{url}?lang={language}&q=ren", 1280)
        assert "UNACCEPTABLE_OP" in chromium.text("article dl")
        chromium.press("article button[value=risk-none]", until="done=done")
        assert f"lang={language}&done=done&q=ren" in chromium.url
        assert "UNACCEPTABLE_OP" not in chromium.text("article dl")
        assert chromium.text("#done")
