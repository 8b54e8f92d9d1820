"""The console in a browser, on the deployed stack: what a person in Tokyo sees after a night of recon."""

import contextlib
import io
import re
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest
import requests
from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from honninctl import masking
from local import demo
from local.demo_paypay import account_link, flag_unnoticed, press_allow
from local.demo_recon import is_settled, play_night, report
from local.deployment import STACK_NAME
from local.paths import TOOLS
from local.stack import Stack
from tests.e2e import browser, dead_letters
from tests.e2e.browser import Browser
from tests.e2e.program import honninctl, of_an_operator

# The first test waits for the stack, a night of recon and a browser.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

KYC, RISK, ACCOUNT = (
    "kyc_passport_sync_recon",
    "kyc_passport_risk_sync_recon",
    "kyc_passport_account_status_sync_recon",
)
WIDE, PHONE = (1120, 900), (390, 844)
_NIGHT_S = 120.0


@dataclass(frozen=True)
class Night:
    """What happened: `day` is the JST day of the files, `user_id` the user whose risk notification was lost,
    `authorization` the id that no page may show, and `event_id` a dead letter about it."""

    day: str
    yesterday: str
    user_id: str
    authorization: str
    event_id: str


def _day(back: int) -> str:
    return (datetime.now(ZoneInfo("Asia/Tokyo")).date() - timedelta(days=back)).isoformat()


@pytest.fixture(scope="module")
def night(stack: Stack) -> Iterator[Night]:
    """A month of earlier days, a lost notification that the files of two days name, and a dead letter."""
    seeded = _seed_month(stack)
    user_id = f"user.{uuid.uuid4().hex[:8]}"
    press_allow(account_link(stack, user_id))
    assert stack.merchant.request("GET", f"/paypay/users/{user_id}/kyc-passport").json()["status"] == "VERIFIED"
    [link] = stack.sandbox("GET", f"/paypay/users/{user_id}")["authorizations"]
    authorization = str(link["id"])
    flag_unnoticed(stack, user_id)
    # One file first: on a slow machine three cold starts at once take longer than
    # PayPay waits, and its retries begin as many again.
    yesterday = _day(1)
    _notify(stack, yesterday, f"userAuthorizationId\r\n{authorization}\r\n")
    _fetch_until(stack, yesterday, lambda files: any(_changed(each) == 1 for each in files))
    # At 10:15 a mail would have named the two files that never came.
    stack.invoke("ReconDeadlineFunction")
    day = play_night(stack)
    # Another test's files of this day may be settled already: the user must have been read for both days.
    _fetch_until(stack, day, lambda files: is_settled(files) and _times_read(stack, user_id) == 2)
    event_id = dead_letters.add_event(stack, authorization)
    dead_letters.add_runs(stack)
    yield Night(day, yesterday, user_id, authorization, event_id)
    assert honninctl(stack, "deadletters", "redrive", "--discard", "--yes").code == 0
    missing = [{"pk": {"S": f"RECON#{each}"}, "sk": {"S": f"{yesterday}#"}} for each in (KYC, ACCOUNT)]
    for key in (*seeded, *missing):
        stack.client("dynamodb").delete_item(TableName=stack.outputs["StateTableName"], Key=key)


def _fetch_until(stack: Stack, day: str, is_done: Callable[[list[dict[str, Any]]], bool]) -> None:
    """Have the files fetched, as the schedule would, until the day's report is what it should be."""

    def done() -> bool:
        with contextlib.suppress(requests.Timeout):  # a busy machine: ask again
            if is_done(report(stack, day)):
                return True
            stack.invoke("ReconDownloadFunction")
        return False

    assert demo.wait_for(done, _NIGHT_S), report(stack, day)


def _changed(file: dict[str, Any]) -> int:
    return int((file["counts"] or {}).get("changed", 0))


def _times_read(stack: Stack, user_id: str) -> int:
    """How often the user was read because of a recon file."""
    return sum(entry.cause == "recon" and entry.what == "kyc_read" for entry in demo.timeline(stack, user_id))


def _seed_month(stack: Stack) -> list[dict[str, Any]]:
    """Days on which this stack did not run yet: what recon had left in the table then. Returns the keys."""
    keys = []
    for back in range(2, 31):
        for position, file_type in enumerate((KYC, RISK, ACCOUNT)):
            day = _day(back)
            facts = _of_old(back, position, day)
            item = {"pk": f"RECON#{file_type}", "sk": f"{day}#{facts.get('file_name', '')}", "file_type": file_type}
            texts: dict[str, Any] = {
                name: {"S": value} for name, value in {**item, **facts, "day": day}.items() if name != "changed"
            }
            counts = {"rows": "40", "upToDate": "0", "reRead": "40", "changed": facts.get("changed", "0")}
            counted = {"counts": {"M": {name: {"N": figure} for name, figure in counts.items()}}}
            if facts["state"] == "COMPARED":
                texts |= counted
            stack.client("dynamodb").put_item(TableName=stack.outputs["StateTableName"], Item=texts)
            keys.append({"pk": texts["pk"], "sk": texts["sk"]})
    return keys


def _of_old(back: int, position: int, day: str) -> dict[str, str]:
    name = {"file_name": f"console-{day}-{position}.csv"}
    in_time = f"{(date.fromisoformat(day)).isoformat()}T18:20:00.000Z"
    match (back, position):
        case (3, 2):
            return {
                **name,
                "state": "COMPARED",
                "doubt": "the file is not a list of ids; it may be a web page or a message",
            }
        case (11, 0):
            return {"file_name": "-", "state": "MISSING"}
        case (17, 1):
            return {**name, "state": "EXPIRED", "reason": "HTTP 403"}
        case (14, 0):
            late = f"{(date.fromisoformat(day) + timedelta(days=1)).isoformat()}T03:00:00.000Z"
            return {**name, "state": "COMPARED", "compared_at": late}
        case (5, 0) | (8, 1) | (12, 2) | (19, 0) | (20, 1) | (26, 0):
            return {**name, "state": "COMPARED", "compared_at": in_time, "changed": str(1 + back % 4)}
        case _:
            return {**name, "state": "COMPARED", "compared_at": in_time}


def _notify(stack: Stack, day: str, text: str) -> None:
    compact = day.replace("-", "")
    name = f"kyc_passport_risk_a_client-{uuid.uuid4().hex[:6]}_{compact}_{compact}.csv"
    stack.sandbox("PUT", f"/paypay/recon-files/{name}", json={"fileType": RISK, "day": day, "text": text})
    stack.sandbox("POST", f"/paypay/recon-files/{name}/resend", json={})


@pytest.fixture(scope="module")
def console(stack: Stack) -> Iterator[str]:
    """The address of a console that an operator has started; at the end, Ctrl-C."""
    program = subprocess.Popen(
        [TOOLS / "bin" / "honninctl", "console", "--port", "0", "--no-browser"],
        env=of_an_operator(stack),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_heed_ctrl_c,
    )
    assert program.stdout is not None
    assert STACK_NAME in program.stdout.readline()
    url = program.stdout.readline().strip()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", url)
    yield url
    program.send_signal(signal.SIGINT)
    rest, complaints = program.communicate(timeout=20)
    assert (program.returncode, rest, complaints) == (0, "", "")


def _heed_ctrl_c() -> None:
    """In the child: a background job of a script is started deaf to SIGINT, and what it starts inherits that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser.running() as started:
        yield started


def _size(chromium: Browser, size: tuple[int, int]) -> None:
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE}
    chromium.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def _shot(chromium: Browser, name: str, width: int = WIDE[0]) -> None:
    """A picture of the whole page."""
    _size(chromium, (width, chromium.driver.execute_script("return document.documentElement.scrollHeight")))
    chromium.screenshot(name)
    _size(chromium, WIDE)


def _words(text: str) -> str:
    """Without line ends, which are the layout's."""
    return " ".join(text.split())


def _look_up(chromium: Browser, url: str, user_id: str, *, until: str = "user?id=") -> None:
    chromium.open(url)
    field = chromium.driver.find_element(By.ID, "id")
    field.clear()
    field.send_keys(user_id)
    chromium.press("form button", until=until)


def test_the_search_answers_whether_since_when_and_how_we_know(night: Night, console: str, chromium: Browser) -> None:
    _size(chromium, WIDE)
    _look_up(chromium, f"{console}en/", night.user_id)
    verdict = chromium.text(".verdict")
    assert verdict.startswith("No. PayPay flags a risk on")
    assert "The notification never arrived." in verdict
    entries = chromium.driver.find_elements(By.CSS_SELECTOR, ".timeline li")
    assert [each.find_element(By.CSS_SELECTOR, ".what").text for each in entries][-4:] == [
        "Identity read",
        "Account status read",
        "Account linked",
        "Link requested",
    ]
    by_recon = [_words(each.text) for each in entries if "found by the daily file" in each.text]
    assert any(re.search("verified → (became )?risk flagged", each) for each in by_recon)
    _shot(chromium, "console-user")
    chromium.driver.find_element(By.CSS_SELECTOR, ".languages a[lang=ja]").click()
    assert chromium.text(".verdict").startswith("いいえ。PayPay で")
    _shot(chromium, "console-user-ja")


def test_the_calendar_leads_to_the_day_and_to_who_was_missed(night: Night, console: str, chromium: Browser) -> None:
    _size(chromium, WIDE)
    chromium.open(f"{console}en/")
    days = chromium.driver.find_elements(By.CSS_SELECTOR, ".strip > li")
    # The 30 days up to yesterday, and today since there is a file of it; each with a cell for every type.
    assert len(days) == 31
    assert [len(each.find_elements(By.CSS_SELECTOR, ".cell")) for each in days] == [3] * 31
    assert "a recon file is missing or cannot be used" in chromium.text("main")
    # Of yesterday's other two files it depends on the time of day whether they are missing already.
    earlier = (date.fromisoformat(night.yesterday) - timedelta(days=10)).isoformat()
    cell = chromium.driver.find_element(By.CSS_SELECTOR, f'.strip a[href$="{earlier}"] .cell')
    assert str(cell.get_attribute("title")).endswith(": missing")
    # A number leads to the users behind it.
    flagged = chromium.driver.find_element(By.CSS_SELECTOR, '.counts a[href*="status=RISK_FLAGGED"]')
    flagged.click()
    assert night.user_id in chromium.text(".records")
    chromium.open(f"{console}en/recon")
    chromium.press(f'.strip a[href$="{night.yesterday}"]', until=night.yesterday)
    assert "Statuses that changed: 1." in chromium.text(f"#{RISK} .says")
    row = _words(chromium.text(f"#{RISK} tbody"))
    assert night.user_id in row
    assert masking.masked(night.authorization) in row
    assert re.search("verified → (became )?risk flagged", row)
    _shot(chromium, "console-day")
    chromium.driver.find_element(By.LINK_TEXT, night.user_id).click()
    assert chromium.text("h1") == night.user_id
    # The next day's file names the user again, whose status was known by then. Other tests may have files of that day.
    chromium.open(f"{console}en/recon/{night.day}")
    said = [each.text for each in chromium.driver.find_elements(By.CSS_SELECTOR, f'section[id^="{RISK}"] .says')]
    assert any(re.search(r"read again: [1-9]", each) for each in said), said


def test_a_dead_letter_says_what_to_do(stack: Stack, night: Night, console: str, chromium: Browser) -> None:
    _size(chromium, WIDE)
    chromium.open(f"{console}en/")
    chromium.press('.notice a[href$="#queue-events"]', until="dead-letters")
    assert night.event_id in chromium.text("main")
    assert "KeyError" in chromium.text("section[aria-labelledby=queue-events] h3")
    for queue, way_out in (
        ("events", "honninctl deadletters redrive --queue events"),
        ("schedule", f"aws lambda invoke --function-name {stack.outputs['ReconDeadlineFunctionName']} "),
        ("recon-download", "honninctl deadletters redrive --queue recon-download --discard"),
    ):
        assert way_out in _words(chromium.text(f"section[aria-labelledby=queue-{queue}]"))
    _shot(chromium, "console-dead-letters")


@pytest.mark.parametrize("language", ["ja", "en"])
def test_every_page_fits_a_phone_masks_and_loads_nothing_from_elsewhere(
    night: Night, console: str, chromium: Browser, language: str
) -> None:
    before = len(chromium.traffic())
    for path in ("", f"user?id={night.user_id}", f"recon/{night.day}", "dead-letters", "settings", "users?q=nobody-0"):
        _size(chromium, PHONE)
        chromium.open(f"{console}{language}/{path}")
        assert chromium.driver.execute_script("return document.documentElement.scrollWidth") <= PHONE[0], path
        assert night.authorization not in chromium.source
        assert "テスト" not in chromium.source  # the sandbox's people are all called so
        if path in ("", f"user?id={night.user_id}"):
            _shot(chromium, f"console-phone-{'user' if path else 'overview'}-{language}", PHONE[0])
        # By keyboard: first of all, past the header.
        chromium.driver.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
        assert chromium.driver.switch_to.active_element.get_attribute("class") == "skip"
    sent = [each["params"] for each in chromium.traffic()[before:] if each["method"] == "Network.requestWillBeSent"]
    assert {urlsplit(each["request"]["url"]).netloc for each in sent} == {urlsplit(console).netloc}
    complaints = [each["message"] for each in chromium.driver.get_log("browser")]  # type: ignore[no-untyped-call]
    assert not [each for each in complaints if "Content Security Policy" in each]


def test_an_unknown_user_and_a_foreign_name_get_nothing(stack: Stack, console: str, chromium: Browser) -> None:
    _look_up(chromium, f"{console}en/", "nobody-0", until="users?q=")
    assert chromium.status == 404
    assert "No user has the id “nobody-0”." in chromium.text("main")
    chromium.open(console.replace("127.0.0.1", "localhost"))
    assert chromium.status == 421
    chromium.open(console[:-2])
    assert chromium.text() == "There is nothing here."


def test_the_terminals_calendar_shows_the_same(stack: Stack, night: Night, chromium: Browser) -> None:
    """The picture for the README: what a terminal shows, as HTML."""
    ended = honninctl(stack, "recon", "calendar", FORCE_COLOR="1", COLUMNS="90")
    assert ended.code == 1  # a missing day that PayPay can still send
    shown = Text.from_ansi(ended.stdout)
    assert re.search(rf"{night.yesterday}.*repaired 1", shown.plain)
    recorder = Console(record=True, width=90, file=io.StringIO())
    recorder.print(shown)
    style = "margin:0;padding:20px;background:#16181b;color:#e8e6e1;font:14px/1.45 'DejaVu Sans Mono',monospace"
    page = recorder.export_html(
        theme=SVG_EXPORT_THEME, inline_styles=True, code_format=f'<pre style="{style}">{{code}}</pre>'
    )
    chromium.open("about:blank")
    _size(chromium, (640, 100))
    chromium.driver.execute_script("document.body.style.margin = 0; document.body.innerHTML = arguments[0]", page)
    _shot(chromium, "cli-recon-calendar", 640)
