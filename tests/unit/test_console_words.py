"""No page of the console shows a name of the program where a person reads: in Japanese, each value has its words."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from html.parser import HTMLParser
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl

import pytest

from honnin.event import Provider
from honnin.recon.days import CalendarDay, DayState
from honnin.register import Register, Row
from honnin.status import Flag, Kyc, KycProduct, Link, PayPayStatus, VerifiedReason, VexoraStatus
from honnin.store.overview import STATUSES
from honninctl import access, dead_letters, doctor, doctor_egress, export, language, people, recon, redrive, webhooks
from honninctl import reread as rereading
from honninctl.checks import Check
from honninctl.console import wording
from honninctl.console.page import Asked, Page
from honninctl.console.pages import Pages
from honninctl.dead_letters import RUNS, Queue
from honninctl.failures import UnreachableError
from honninctl.recorded import Action
from tests.fakes import console_stack
from tests.fakes.console_stack import DAY, NOW, TYPES, USER, Stack
from tests.tables import template

AT = "2026-11-20T03:00:00.000Z"
# A newer stack may say what this program has no words for.
NEW, NEW_CLASS = "brand_new", "BrandNewThing"

# As `kyc_read`, `userId`, `UserAnswerError`, `RISK_FLAGGED` are written.
_OF_A_PROGRAM = re.compile(r"[a-z]+_[a-z_]+|\b[a-z]+[A-Z]\w*|\b[A-Z][a-z]+[A-Z]\w*|\b[A-Z]+_[A-Z_]+")
# Names that people look up under just these letters.
_NAMES = {"PayPay", "eKYC", "DynamoDB", "EventBridge", "OfficerPolicy", "OperatorPolicy", *template()["Parameters"]}
# A function's log, and a field to look for in a file.
_LETTERS = {"event_processor", "recon_download", "errorType"}


class _Seen(HTMLParser):
    """What a person reads on a page; ids, commands and codes are in elements of their own."""

    _VOID = frozenset({"meta", "link", "input", "br", "path", "circle", "use", "rect"})
    _ATTRIBUTES = ("aria-label", "title", "placeholder", "label", "alt")

    def __init__(self, page: Page) -> None:
        super().__init__()
        self.open: list[bool] = []
        self.texts: list[str] = []
        self.feed(page.body.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.texts += [str(given[each]) for each in self._ATTRIBUTES if given.get(each)]
        if tag not in self._VOID:
            is_code = tag in ("code", "pre", "style") or (given.get("class") or "") in ("id", "stack")
            is_user = tag == "a" and "/user?" in (given.get("href") or "")
            self.open.append(is_code or is_user or any(self.open[-1:]))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self._VOID:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        if not any(self.open[-1:]):
            self.texts.append(data)


def _programs(page: Page) -> set[str]:
    """The names of the program that a person reads there."""
    found = set()
    for text in _Seen(page).texts:
        plain = text.replace(console_stack.LONG, "").replace(USER, "")
        found |= {each for each in _OF_A_PROGRAM.findall(plain) if each not in _NAMES | _LETTERS}
    return found


def _get(stack: Stack, path: str, form: dict[str, str] | None = None) -> Page:
    steps, _, query = path.partition("?")
    pages = Pages(stack, lambda: NOW, is_read_only=False, may_reveal=True)
    return pages.page(Asked("/token", ("ja", *steps.split("/")), dict(parse_qsl(query)), "", form))


@pytest.fixture
def patches() -> Iterator[ExitStack]:
    with console_stack.answering() as made:
        yield made


def _stack() -> Stack:
    return Stack({"DeadLetterQueueUrl": "https://q"}, {"MerchantWebhookUrl": "https://shop.example/hook"})


def _named(table: str) -> list[str]:
    return [each.removeprefix(f"{table}.") for each in wording.texts("en") if each.startswith(f"{table}.")]


def _answer(patches: ExitStack, module: Any, name: str, answer: Any) -> None:
    patches.enter_context(mock.patch.object(module, name, return_value=answer))


def test_the_sieve_finds_what_it_is_for() -> None:
    body = "<p>kyc_read RISK_FLAGGED userId <b>UserAnswerError</b> <code>a_b</code> 在留 <i title='a_b'></i></p>"
    assert _programs(Page(200, body.encode())) == {"kyc_read", "RISK_FLAGGED", "userId", "UserAnswerError", "a_b"}  # type: ignore[arg-type]
    assert _programs(Page(200, b"<p>PayPay <a href='/t/ja/user?id=a_b'>a_b</a> 2026-11-20</p>")) == set()  # type: ignore[arg-type]


@pytest.mark.parametrize("path", console_stack.PAGES)
def test_every_page(path: str, patches: ExitStack) -> None:
    page = _get(_stack(), path)
    assert page.status in (200, 404)
    assert _programs(page) == set()


@pytest.mark.usefixtures("patches")
def test_the_first_page_of_the_made_up_stack_has_an_answer_of_every_source() -> None:
    """Otherwise the documents' pictures would show a fault."""
    assert wording.texts("ja")["home.unread"] not in _get(_stack(), "").body.decode()


def test_a_user_in_every_state(patches: ExitStack) -> None:
    stack = _stack()
    for reason in [*VerifiedReason, NEW]:
        for paypay, vexora in zip([*PayPayStatus], [*VexoraStatus] * 2, strict=False):
            providers = {"paypay": {"status": paypay, "readAt": AT}, "vexora": {"status": vexora, "readAt": AT}}
            _answer(patches, people, "status", {"userId": USER, "providers": providers, "verifiedReason": reason})
            assert _programs(_get(stack, f"user?id={USER}")) == set(), (reason, paypay, vexora)
    for facets in (
        *({"link": each} for each in [*Link, NEW]),
        *({"kyc": each} for each in [*Kyc, NEW]),
        *({"flag": each} for each in [*Flag, NEW]),
    ):
        known = {"link": "ACTIVE", "kyc": "VERIFIED", "flag": "NONE", **facets}
        paypay_facts = {"status": "VERIFIED", "facets": known}
        answer = {"userId": USER, "providers": {"paypay": paypay_facts}, "verifiedReason": "PAYPAY_VERIFIED"}
        _answer(patches, people, "status", answer)
        assert _programs(_get(stack, f"user?id={USER}")) == set(), facets


def test_a_timeline_of_everything(patches: ExitStack) -> None:
    detail = {
        **dict.fromkeys(_named("detail"), NEW),
        "error": NEW_CLASS,
        "reason": "…",
        "selfieReason": "the file is too large",
        "readAt": AT,
        "notifications": "2",
        "secondsAfterWebhook": "60",
        "new_name": NEW,
    }
    details = [
        detail,
        *({"providerCode": each} for each in _named("code")),
        *({"error": each} for each in _named("error")),
        *({"product": each} for each in [*KycProduct, "authorization", "linking", NEW]),
        *({each.partition("_")[0]: each.partition("_")[2]} for each in _named("value")),
    ]
    told = [
        *((what, "webhook", {}) for what in [*_named("what"), NEW]),
        *(("kyc_read", cause, {}) for cause in [*_named("cause"), NEW]),
        *(("kyc_read", "webhook", each) for each in details),
    ]
    entries = [
        {"at": AT, "eventId": f"recon:{kind}:{DAY}:a…b:{number}", "provider": provider, "what": what, "cause": cause}
        | {"from": "LINKED", "to": "VERIFIED", "detail": each}
        for number, (what, cause, each) in enumerate(told)
        for provider in Provider
        for kind in (TYPES[0], NEW)
    ]
    _answer(patches, people, "timeline", entries)
    page = _get(_stack(), f"user?id={USER}&entries=500")
    assert page.body.count(b'<li class="good">') > 300
    assert _programs(page) == set()


def test_each_provider_and_evidence(patches: ExitStack) -> None:
    for cause in [*_named("cause"), NEW]:
        row = Row(USER, "paypay", "VERIFIED", AT, until=AT, ended_by="RISK_FLAGGED", cause=cause, product=NEW, flags=())
        patches.enter_context(mock.patch.object(Register, "rows", _rows([row])))
        page = _get(_stack(), "register?from=2026-10-01&to=2026-10-31")
        assert b"<time" in page.body
        assert _programs(page) == set()


def _rows(rows: list[Row]) -> Any:
    def found(register: Register) -> Iterator[Row]:
        register.as_of = AT
        yield from rows

    return found


def test_each_recon_file_and_what_became_of_it(patches: ExitStack) -> None:
    stack = _stack()
    days = [CalendarDay(DAY, kind, state, changed=3, open=2, late=True) for kind in (*TYPES, NEW) for state in DayState]
    for day in days:
        _answer(patches, recon, "calendar", [day])
        for path in ("", "recon"):
            assert _programs(_get(stack, path)) == set(), day
    for state in ("MISSING", "EXPIRED", "STORED", "ANNOUNCED", "DUE", "NONE", "COMPARED"):
        file = {**console_stack._file(), "state": state, "fileType": NEW, "warnings": [], "reason": None}
        file |= {"counts": dict.fromkeys(_named("count"), 2)}
        file |= {"notRead": [{"userId": USER, "userAuthorizationId": "a…b", "why": each} for each in _named("what")]}
        file["notRead"].append({"userId": None, "userAuthorizationId": "a…b", "why": NEW})
        week = {"fileType": NEW, "everAnnounced": True, "week": [{"day": DAY, "state": "missing", "reason": None}]}
        types = [{**week, "lastWebhookAt": AT, "resendRequest": None}]
        _answer(patches, recon, "report", {"day": DAY, "files": [file], "types": types})
        page = _get(stack, f"recon/{DAY}")
        assert page.status == 200
        assert _programs(page) == set(), state


def test_each_dead_letter(patches: ExitStack) -> None:
    errors = [*_named("error"), "(received too often)", "(the run failed)", NEW_CLASS]
    kinds = [(kind, cause) for kind in [*_named("kind"), NEW] for cause in [*_named("cause"), NEW]]
    facts = {"sentAt": AT, "bodyBytes": 3, "function": None, "webhook": None, "event": None, "messageId": "m"}
    letters = [
        *({**facts, "queue": queue, "errorType": each} for each in errors for queue in Queue),
        *(
            {**facts, "queue": "events", "errorType": "KeyError"}
            | {"event": {"provider": "paypay", "kind": kind, "cause": cause, "subject": "s", "event_id": "e"}}
            for kind, cause in kinds
        ),
        *(
            {**facts, "queue": "webhooks", "errorType": "E", "webhook": {"type": each, "userId": None}}
            for each in [*_named("webhook"), "brand.new"]
        ),
        *(
            {**facts, "queue": queue, "errorType": "(the run failed)", "function": each}
            for queue, functions in RUNS.items()
            for each in [*functions, NEW_CLASS]
        ),
    ]
    _answer(patches, dead_letters, "letters", letters)
    page = _get(_stack(), "dead-letters")
    assert page.body.count(b'<tr role="row">') > 100
    assert _programs(page) == set()


def test_each_access_and_list(patches: ExitStack) -> None:
    stack = _stack()
    facts = {"at": AT, "who": "arn:x", "options": "nobody --limit 5", "reason": None, "reasonErasedAt": None}
    accesses = [
        {**facts, "action": action, "source": source, "what": "act/test-webhook"}
        for action in [*Action, NEW]
        for source in ("cli", "console", "api", NEW)
    ]
    _answer(patches, access, "accesses", accesses)
    assert _programs(_get(stack, "access")) == set()
    for provider, statuses in STATUSES.items():
        for status in statuses:
            assert _programs(_get(stack, f"users?provider={provider}&status={status}")) == set()


def test_each_act_that_fails_without_an_answer(patches: ExitStack) -> None:
    def lost(*_: Any, **__: Any) -> None:
        raise UnreachableError("no answer")

    for module, name in (
        (people, "erase"),
        (export, "export"),
        (redrive, "put_back"),
        (redrive, "discard"),
        (rereading, "ask"),
        (webhooks, "test"),
    ):
        patches.enter_context(mock.patch.object(module, name, lost))
    pages = Pages(_stack(), lambda: NOW, is_read_only=False)
    for act, query in (
        ("reread", {"id": USER}),
        ("erase", {"id": USER}),
        ("redrive", {"queue": "events"}),
        ("discard", {"queue": "schedule"}),
        ("test-webhook", {}),
    ):
        asked = pages.page(Asked("/token", ("ja", "act", act), query, ""))
        assert _programs(asked) == set()
        [token] = re.findall(rb'name="token" value="([^"]+)"', asked.body)
        form = {"token": token.decode(), "reason": "r", "typed": USER}
        pages.page(Asked("/token", ("ja", "act", act), query, "", form))
        page = pages.page(Asked("/token", ("ja", "done"), {"token": token.decode()}, ""))
        assert "実行された可能性があります" in page.body.decode()
        assert _programs(page) == set()


def test_doctor_and_errors_speak_the_language_of_the_page(patches: ExitStack) -> None:
    def examined(*_: Any) -> Iterator[Check]:
        yield doctor_egress._without_vpc(())

    patches.enter_context(mock.patch.object(doctor, "examine", examined))
    page = _get(_stack(), "settings").body.decode()
    assert "固定の IP アドレス" in page
    assert "no fixed address" not in page
    patches.enter_context(mock.patch.object(dead_letters, "find", mock.Mock(side_effect=KeyError)))
    assert "想定外の KeyError" in _get(_stack(), "dead-letters").body.decode()
    # The terminal goes on in its own language.
    assert language.spoken() == "en"
