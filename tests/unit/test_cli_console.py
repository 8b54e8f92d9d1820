"""The console: who is let in, what is escaped and masked, what it says, and that it says so in both languages."""

import ast
import dataclasses
import http.client
import json
import re
import socket
import string
import subprocess
import sys
import threading
import webbrowser
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import unquote, urlsplit

import pytest
from botocore.exceptions import EndpointConnectionError

import honnin
from honnin import errors
from honnin.recon.days import MISSING, CalendarDay, DayState, to_ask_for
from honnin.status import PayPayStatus, VerifiedNeeds, VerifiedReason, VexoraStatus, verified
from honnin.store import Certificate
from honninctl import command, confirmations, dead_letters, doctor, overview, people, recon, repairs, rereads, webhooks
from honninctl.checks import Check, Verdict
from honninctl.console import advice, month, verdict, wording
from honninctl.console import command as console_command
from honninctl.console import page as page_module
from honninctl.console.page import Asked, Page
from honninctl.console.pages import Pages, home
from honninctl.console.server import ConsoleServer, listen
from honninctl.console.verdict import Tone
from honninctl.console.wording import LANGUAGES, Wording, preferred
from honninctl.dead_letters import PROBED, RUNS, Queue
from honninctl.failures import NoAccessError, NotFoundError, UsageError
from tests.fakes.cli import FakeDeployment, Service, client_error, run
from tests.fakes.cli_recon import DAY, TYPE, USERS, Recon
from tests.fakes.memory import memory_aws

NOW = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)
NOW_TEXT = "2026-11-22T01:30:00.000Z"
HOSTILE = "<img src=x onerror=alert(1)>\"'&{{7*7}}"
AUTHORIZATION = "a85fe9e9-b4c9-45cf-a392-834c57d83af7"
CSS = (Path(page_module.__file__).parent / "console.css").read_text()


def _entry(what: str, to: str, *, before: str | None = None, **more: Any) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "at": "2026-11-20T03:00:00.000Z",
        "eventId": "paypay:kyc:1",
        "provider": "paypay",
        "what": what,
        "cause": "webhook",
        "from": before,
        "to": to,
        "detail": {},
    }
    return {**entry, **more}


def _at_paypay(status: str, **more: Any) -> dict[str, Any]:
    facts = {"status": status, "providerStatus": "SUCCESS", "readAt": "2026-11-21T03:00:00.000Z", "scopes": []}
    reason = verified(PayPayStatus(status), None, VerifiedNeeds.ANY)
    answer = {"verified": reason.is_verified, "verifiedReason": reason}
    return {"userId": "user-1", "providers": {"paypay": {**facts, **more}}, **answer}


def _get(deployment: FakeDeployment, /, *steps: str, language: str = "en", **fields: str) -> Page:
    return Pages(deployment, lambda: NOW).page(Asked("/token", (language, *steps), fields, ""))


def _text(page: Page) -> str:
    """What a person reads."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.body.decode())).split())


@pytest.fixture
def deployment() -> FakeDeployment:
    return FakeDeployment({"DeadLetterQueueUrl": "https://sqs.example/dead"})


# Who is let in


@pytest.fixture
def server(deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch) -> Iterator[ConsoleServer]:
    monkeypatch.setattr(recon, "calendar", lambda *_: [])
    monkeypatch.setattr(dead_letters, "counts", lambda *_: {})
    with listen(Pages(deployment, lambda: NOW), 0) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield listening
        listening.shutdown()
        thread.join()


def _ask(
    server: ConsoleServer, path: str, *headers: tuple[str, str], method: str = "GET", host: str | None = None
) -> tuple[http.client.HTTPResponse, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    if host != "":
        connection.putheader("Host", server.host if host is None else host)
    for name, value in headers:
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer, body


local_only = pytest.mark.allow_hosts(["127.0.0.1"])


@local_only
def test_it_listens_on_loopback_and_its_address_holds_a_secret(server: ConsoleServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert len(server.token) >= 32
    assert _ask(server, f"/{server.token}/en/")[0].status == 200
    other = listen(Pages(FakeDeployment({})), 0)
    other.server_close()
    assert other.token != server.token


@local_only
@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:{port}",
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "",
        "[::1]:{port}",
    ],
)
def test_another_host_name_is_refused(server: ConsoleServer, host: str) -> None:
    given = host.format(port=server.server_address[1])
    answer, body = _ask(server, f"/{server.token}/en/", host=given)
    assert answer.status == 421
    assert "Honnin" not in body


@local_only
def test_two_host_headers_are_refused(server: ConsoleServer) -> None:
    assert _ask(server, f"/{server.token}/en/", ("Host", "evil.example"))[0].status == 421


@local_only
@pytest.mark.parametrize(
    "headers",
    [
        [("Origin", "https://evil.example")],
        [("Origin", "null")],
        [("Origin", "http://127.0.0.1:1")],
        [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Dest", "iframe")],
        [("Sec-Fetch-Site", "same-site"), ("Sec-Fetch-Dest", "script")],
        [("Sec-Fetch-Site", "cross-site")],
    ],
)
def test_another_site_is_refused(server: ConsoleServer, headers: list[tuple[str, str]]) -> None:
    answer, body = _ask(server, f"/{server.token}/en/", *headers)
    assert answer.status == 403
    assert "Honnin" not in body


@local_only
def test_its_own_pages_and_the_browser_itself_are_let_in(server: ConsoleServer) -> None:
    own = ("Origin", f"http://{server.host}")
    opened = (("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Dest", "document"))
    for headers in ((own,), opened, (("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Dest", "style"))):
        assert _ask(server, f"/{server.token}/en/", *headers)[0].status == 200


@local_only
@pytest.mark.parametrize(
    "path",
    ["/", "/favicon.ico", "/en/", "/{other}/en/", "/{token}", "/%E6/en/", "/é/en/", "//{token}/en/", "x/{token}/en/"],
)
def test_without_the_token_there_is_nothing(server: ConsoleServer, path: str) -> None:
    other = server.token[:-1] + ("A" if server.token.endswith("_") else "_")
    given = path.format(token=server.token, other=other).encode().decode("latin-1")
    with socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=10) as raw:
        raw.sendall(f"GET {given} HTTP/1.1\r\nHost: {server.host}\r\n\r\n".encode("latin-1"))
        answer = b"".join(iter(lambda: raw.recv(65536), b"")).decode()
    if path == "//{token}/en/":
        # The base class folds leading slashes: the same page, with its token.
        assert answer.startswith("HTTP/1.0 200")
        return
    assert answer.startswith("HTTP/1.0 404")
    assert answer.endswith("There is nothing here.\n")
    assert server.token not in answer


@local_only
@pytest.mark.parametrize(
    "method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "PROPFIND", "CONNECT"]
)
def test_it_can_only_be_read(server: ConsoleServer, deployment: FakeDeployment, method: str) -> None:
    answer, body = _ask(server, f"/{server.token}/en/user?id=user-1", method=method)
    # A POST is a method that the server knows, and this console takes none.
    told = (403, None) if method == "POST" else (405, "GET")
    assert (answer.status, answer.getheader("Allow")) == told
    assert server.token not in body
    assert deployment.asked == []


@local_only
def test_every_answer_forbids_scripts_frames_and_keeping(server: ConsoleServer) -> None:
    for path in (f"/{server.token}/en/", f"/{server.token}/console.css", "/", f"/{server.token}/xx/"):
        answer, _ = _ask(server, path)
        policy = answer.getheader("Content-Security-Policy") or ""
        assert policy.startswith("default-src 'none'; style-src 'self';")
        assert "frame-ancestors 'none'" in policy
        assert "script" not in policy
        assert "unsafe" not in policy
        assert answer.getheader("Referrer-Policy") == "same-origin"
        assert answer.getheader("Cache-Control") == "no-store"
        assert answer.getheader("X-Content-Type-Options") == "nosniff"
        assert answer.getheader("Server") == "honninctl"


@local_only
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/{token}/xx/", 404),
        ("/{token}/en/nothing", 404),
        ("/{token}/en/recons", 404),
        ("/{token}/../etc/passwd", 404),
        ("/{token}/templates/layout.html", 404),
        ("/{token}/%2e%2e/pages.py", 404),
        ("/{token}/en/recon/2026-02-30", 400),
        ("/{token}/en/recon/0001-01-01", 400),
        ("/{token}/en/recon/9999-12-31", 400),
        ("/{token}/en/user", 400),
        ("/{token}/en/user?id=%20", 400),
        ("/{token}/en/?" + "&".join(f"a{number}=1" for number in range(20)), 400),
    ],
)
def test_what_is_not_there_or_cannot_be_meant(server: ConsoleServer, path: str, status: int) -> None:
    assert _ask(server, path.format(token=server.token))[0].status == status


@local_only
@pytest.mark.parametrize(("wanted", "language"), [("ja,en;q=0.8", "ja"), ("en-GB", "en"), ("", "en"), ("fr", "en")])
def test_the_first_page_is_in_the_browsers_language(server: ConsoleServer, wanted: str, language: str) -> None:
    answer, _ = _ask(server, f"/{server.token}/", ("Accept-Language", wanted))
    assert (answer.status, answer.getheader("Location")) == (303, f"/{server.token}/{language}/")
    _, body = _ask(server, f"/{server.token}/{language}/")
    assert f'<html lang="{language}">' in body


@pytest.mark.parametrize(
    ("header", "language"),
    [("en;q=0.5, ja;q=0.9", "ja"), ("ja;q=0, en", "en"), ("de, ja-JP;q=x, JA", "ja"), ("*", "en"), (";q=", "en")],
)
def test_a_language_is_chosen_by_its_weight(header: str, language: str) -> None:
    assert preferred(header) == language


@local_only
def test_a_port_that_is_taken_is_wrong_usage(server: ConsoleServer) -> None:
    with pytest.raises(UsageError, match="--port 0"):
        listen(Pages(FakeDeployment({})), server.server_address[1])


# What is escaped


class _Tags(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page.body.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def _assert_harmless(page: Page, *, shown: bool = True) -> None:
    tags = _Tags(page).found
    assert {tag for tag, _ in tags} & {"script", "img", "iframe", "object", "style", "base"} == set()
    assert not [attrs for _, attrs in tags if any(name.startswith("on") or name == "style" for name in attrs)]
    assert not [attrs for _, attrs in tags if (attrs.get("href") or "#").startswith(("javascript:", "//", "http"))]
    assert HOSTILE.encode() not in page.body
    if shown:
        assert HOSTILE in unescape(page.body.decode())


def _hostile(value: Any) -> Any:
    """The same shape with a hostile text for every text that nothing is decided by."""
    kept = {"at", "readAt", "sentAt", "appliedAt", "requestedAt", "deadline", "storedAt", "comparedAt", "state", "day"}
    kept |= {"completedAt"}
    if isinstance(value, dict):
        return {
            HOSTILE if name.startswith("x-") else name: each if name in kept else _hostile(each)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_hostile(each) for each in value]
    return HOSTILE if isinstance(value, str) else value


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_users_page_escapes_everything(deployment: FakeDeployment, language: str) -> None:
    providers = {HOSTILE: _hostile(_at_paypay("VERIFIED", submissionId="s", scopes=["a"])["providers"]["paypay"])}
    deployment.api.append({"userId": HOSTILE, "providers": providers, "verified": False, "verifiedReason": HOSTILE})
    entry = _hostile(_entry("kyc_read", "VERIFIED", before="LINKED", detail={"x-name": "value"}))
    deployment.api.append({"entries": [entry, {**entry, "to": "<b>"}], "cursor": None})
    page = _get(deployment, "user", language=language, id="user-1")
    assert page.status == 200
    _assert_harmless(page)
    asked = [unquote(path) for _, path, _ in deployment.asked]
    # The last: the link of which the evidence is looked up.
    assert asked == ["/users/user-1", "/users/user-1/timeline", "/users/user-1"]


def test_a_refused_id_is_escaped_and_neither_asked_for_nor_recorded(deployment: FakeDeployment) -> None:
    page = _get(deployment, "user", id=HOSTILE)
    assert page.status == 400
    _assert_harmless(page)
    assert (deployment.asked, deployment.accesses) == ([], [])


def test_the_switch_of_languages_keeps_what_was_asked_and_adds_no_address(deployment: FakeDeployment) -> None:
    page = _get(deployment, "//evil.example", id=HOSTILE)
    assert page.status == 404
    _assert_harmless(page, shown=False)
    switch = [attrs["href"] for tag, attrs in _Tags(page).found if tag == "a" and attrs.get("hreflang") == "ja"]
    assert urlsplit(switch[0] or "").path == "/token/ja/%2F%2Fevil.example"


def test_no_field_of_a_query_has_a_meaning_of_its_own(deployment: FakeDeployment) -> None:
    page = _get(deployment, "nothing", base="//evil.example", steps="x", self="y")
    assert page.status == 404
    _assert_harmless(page, shown=False)


def _file(**more: Any) -> dict[str, Any]:
    file = {
        "fileType": TYPE,
        "day": DAY,
        "fileName": "a.csv",
        "revisionOf": "b.csv",
        "state": "COMPARED",
        "reason": "why",
        "requestedAt": "2026-11-21T00:00:00.000Z",
        "deadline": "2026-11-21T02:00:00.000Z",
        "storedAt": "2026-11-21T00:01:00.000Z",
        "comparedAt": "2026-11-21T00:02:00.000Z",
        "completedAt": "2026-11-21T00:04:00.000Z",
        "comparison": 1,
        "warnings": ["too long"],
        "sha256": "0",
        "bytes": 1,
        "counts": {"rows": 3, "upToDate": 2, "reRead": 1, "changed": 1, "notRead": 1},
        "malformedRows": [{"line": 1, "reason": "too long"}],
        "repairsOpen": 0,
        "doneAt": None,
        "repairsStoppedAt": None,
        "notRead": [{"userAuthorizationId": "a…b", "userId": "user-1", "why": "reading_refused"}],
        "changed": [
            {
                "userAuthorizationId": "a…b",
                "userId": "user-1",
                "from": "VERIFIED",
                "to": "RISK_FLAGGED",
                "appliedAt": "2026-11-21T00:03:00.000Z",
            }
        ],
    }
    return {**file, **more}


def test_a_days_page_escapes_everything(deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recon, "report", lambda *_, **__: {"day": DAY, "files": [_hostile(_file())]})
    page = _get(deployment, "recon", DAY)
    assert page.status == 200
    _assert_harmless(page)


def test_the_dead_letters_are_escaped(deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch) -> None:
    event = {"event_id": "e", "provider": "p", "kind": "k", "cause": "c", "subject": "s"}
    letter = {
        "messageId": "m",
        "sentAt": "2026-11-21T00:00:00.000Z",
        "errorType": "E",
        "bodyBytes": 1,
        "event": event,
        "file": "f",
        "function": "g",
        "webhook": {"type": "t", "userId": "u"},
    }
    found = [
        {**_hostile(each), "queue": queue}
        for queue in Queue
        for each in (letter, {**letter, "event": None, "file": None, "webhook": None})
    ]
    monkeypatch.setattr(dead_letters, "letters", lambda *_: found)
    page = _get(deployment, "dead-letters")
    assert page.status == 200
    _assert_harmless(page)


def test_the_templates_escape_by_rule() -> None:
    assert page_module._templates().autoescape is True
    for template in (Path(page_module.__file__).parent / "templates").glob("*.html"):
        text = template.read_text()
        assert "|safe" not in text.replace(" ", "")
        assert "autoescape" not in text
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=|https?://", text), template


# What is masked


def test_a_timeline_shows_an_authorization_by_its_ends_and_a_url_without_its_query(deployment: FakeDeployment) -> None:
    deployment.api.append(_at_paypay("VERIFIED"))
    event_id = f"recon:{TYPE}:{DAY}:{AUTHORIZATION}:1"
    detail = {"path": "https://h.example/a.csv?signature=topsecret"}
    deployment.api.append(
        {"entries": [_entry("kyc_read", "VERIFIED", eventId=event_id, detail=detail)], "cursor": None}
    )
    page = _get(deployment, "user", id="user-1")
    assert AUTHORIZATION not in page.body.decode()
    assert "topsecret" not in page.body.decode()
    assert "a85f…3af7" in _text(page)


def test_a_days_report_shows_authorizations_by_their_ends() -> None:
    with memory_aws():
        world = Recon()
        world.put(*USERS.values())
        world.compared(USERS["user-2"], not_read=(USERS["user-3"],), waiting=1)
        page = _get(world.deployment, "recon", DAY)
    assert page.status == 200
    shown = _text(page)
    assert "Still waiting: 1. Statuses that changed: 1. Not read: 1;" in shown
    assert "user-2 PayPay's id a85f…0002 Status verified → became risk flagged" in shown
    assert not [each for each in USERS.values() if each in page.body.decode()]


def test_a_dead_letter_shows_its_subject_by_its_ends(deployment: FakeDeployment) -> None:
    event = {
        "v": 1,
        "event_id": "paypay:kyc:1",
        "provider": "paypay",
        "kind": "kyc",
        "cause": "webhook",
        "subject": AUTHORIZATION,
        "received_at": "2026-11-21T12:00:00.000Z",
        "detail": {},
    }
    message = {
        "MessageId": "m-1",
        "ReceiptHandle": "h-1",
        "Body": json.dumps(event),
        "Attributes": {"SentTimestamp": "1795305600000"},
        "MessageAttributes": {"errorType": {"StringValue": "KeyError"}},
    }
    not_ours = {**message, "MessageId": "m-2", "Body": "テスト ハナコ", "MessageAttributes": {}}
    sqs = Service(
        receive_message={"Messages": [message, not_ours]},
        change_message_visibility_batch={},
        get_queue_attributes={"ResponseMetadata": {"HTTPHeaders": {"date": "Sat, 28 Nov 2026 03:00:00 GMT"}}},
    )
    deployment.services["sqs"] = sqs
    page = _get(deployment, "dead-letters")
    shown = _text(page)
    assert AUTHORIZATION not in page.body.decode()
    assert "a85f…3af7" in shown
    assert "ハナコ" not in shown
    assert "most likely a mistake in the program" in shown
    assert "The queue has tried for about two days" in shown


# Is this user verified, since when, how do we know


def test_the_page_answers_in_a_sentence(deployment: FakeDeployment) -> None:
    deployment.api.append(_at_paypay("VERIFIED"))
    entries = [
        _entry("kyc_read", "VERIFIED", before="VERIFIED", at="2026-11-21T03:00:00.000Z"),
        _entry("kyc_read", "VERIFIED", before="LINKED", at="2026-11-20T15:30:00.000Z", cause="recon"),
        _entry("linked", "LINKED", at="2026-11-19T03:00:00.000Z"),
    ]
    deployment.api.append({"entries": entries, "cursor": None})
    shown = _text(_get(deployment, "user", id="user-1"))
    assert (
        "Yes. user-1 is verified at PayPay. PayPay has verified the identity. "
        "PayPay, since Sat 21 November 2026 00:30: The notification never arrived." in shown
    )
    deployment.api.append(_at_paypay("RISK_FLAGGED"))
    deployment.api.append({"entries": [], "cursor": None})
    assert "いいえ。PayPay で user-1 にリスクフラグが設定されています。本人確認済みとして扱わないでください。" in _text(
        _get(deployment, "user", language="ja", id="user-1")
    )


def _standing(provider: str, status: str) -> verdict.Standing:
    [found] = verdict.standings({provider: {"status": status}}, [])
    return found


@pytest.mark.parametrize(
    ("vexora", "paypay", "needs", "expected"),
    [
        ("APPROVED", "VERIFIED", "any", (Tone.GOOD, ["paypay", "vexora"])),
        ("APPROVED", "RISK_FLAGGED", "any", (Tone.RISK, ["paypay"])),
        ("APPROVED", "INACTIVE", "any", (Tone.GOOD, ["vexora"])),
        ("APPROVED", "INACTIVE", "both", (Tone.BAD, ["paypay"])),
        ("APPROVED", "LINKED", "paypay", (Tone.WAIT, ["paypay"])),
        ("REJECTED", "VERIFIED", "any", (Tone.BAD, ["vexora"])),
        ("REJECTED", "RISK_FLAGGED", "any", (Tone.RISK, ["paypay"])),
        ("PENDING", "VERIFIED", "both", (Tone.WAIT, ["vexora"])),
        ("FAILED", "EXPIRED", "any", (Tone.BAD, ["paypay", "vexora"])),
        ("PENDING", "EXPIRED", "any", (Tone.WAIT, ["vexora"])),
        ("APPROVED", "UPDATE_REQUIRED", "any", (Tone.WAIT, ["paypay"])),
    ],
)
def test_the_headline_says_what_the_api_says(
    vexora: str, paypay: str, needs: str, expected: tuple[Tone, list[str]]
) -> None:
    reason = verified(PayPayStatus(paypay), VexoraStatus(vexora), VerifiedNeeds(needs))
    found = verdict.headline([_standing("paypay", paypay), _standing("vexora", vexora)], reason)
    assert found == expected
    assert (found[0] is Tone.GOOD) is reason.is_verified


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], None),
        ([("VERIFIED", "VERIFIED", "3")], None),
        ([("VERIFIED", "VERIFIED", "3"), ("LINKED", "VERIFIED", "2"), (None, "LINKED", "1")], "2"),
        ([(None, "VERIFIED", "1")], "1"),
        # The status has moved on since the timeline was read, or the other way round.
        ([("VERIFIED", "RISK_FLAGGED", "2"), ("LINKED", "VERIFIED", "1")], None),
    ],
)
def test_since_when_is_the_last_move_into_the_status(
    entries: list[tuple[str | None, str, str]], expected: str | None
) -> None:
    found = verdict.beginning("VERIFIED", [{"from": before, "to": to, "at": at} for before, to, at in entries])
    assert (found["at"] if found else None) == expected


def test_a_timeline_that_does_not_reach_back_says_so(deployment: FakeDeployment) -> None:
    deployment.api.append(_at_paypay("VERIFIED", readAt=None))
    deployment.api.append({"entries": [_entry("kyc_read", "VERIFIED", before="VERIFIED")], "cursor": None})
    shown = _text(_get(deployment, "user", id="user-1"))
    assert "Longer than the latest 500 timeline entries reach back" in shown
    assert "Last read at the provider Not yet" in shown


def test_an_erased_user_has_a_timeline_and_no_status(deployment: FakeDeployment) -> None:
    deployment.api.append(NotFoundError("no user is known under this id"))
    tombstone = _entry("erased", "ERASED", provider="honnin", cause="api")
    deployment.api.append({"entries": [tombstone], "cursor": None})
    page = _get(deployment, "user", id="user-1")
    assert page.status == 200
    assert "The personal data of user-1 was erased on Fri 20 November 2026 12:00." in _text(page)


def test_the_page_of_an_erased_user_has_the_certificate(
    deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    tombstone = _entry("erased", "ERASED", provider="honnin", cause="api")
    why = "<b>本人の依頼</b>"
    found = Certificate("c-1", "user-1", tombstone["at"], tombstone["at"], requested_by="privacy desk", reason=why)
    erasures = mock.Mock(certificates=mock.Mock(return_value=[found]))
    monkeypatch.setitem(vars(deployment), "store", mock.Mock(erasure=erasures))
    deployment.api.extend([NotFoundError("no user is known under this id"), {"entries": [tombstone], "cursor": None}])
    page = _get(deployment, "user", id="user-1")
    shown = _text(page)
    assert "Certificate of erasure Certificate c-1 User user-1" in shown
    assert "Asked for by privacy desk" in shown
    assert why not in page.body.decode()
    assert "本人の依頼" in page.body.decode()
    assert "Ticket" not in shown


def test_more_of_a_timeline_is_a_link_and_ends(deployment: FakeDeployment) -> None:
    for entries, shown, more in (
        ("", 30, True),
        ("90", 90, True),
        ("9999", 100, False),
        ("-1", 30, True),
        ("²", 30, True),
    ):
        deployment.api.append(_at_paypay("VERIFIED"))
        deployment.api.append({"entries": [_entry("kyc_read", "VERIFIED")] * 100, "cursor": None})
        page = _get(deployment, "user", id="user-1", entries=entries)
        assert page.body.decode().count("<details>") == shown
        assert ("Show older entries" in _text(page)) is more


# What goes wrong


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (NoAccessError("the merchant API answered 403"), 403, "does not let your credentials"),
        (client_error("ExpiredToken"), 403, "does not let your credentials"),
        (EndpointConnectionError(endpoint_url="http://x"), 504, "AWS does not answer"),
        (client_error("ThrottlingException"), 502, "could not answer"),
        (UsageError("422"), 400, "cannot answer this as it was asked for"),
    ],
    ids=repr,
)
def test_trouble_is_a_plain_sentence(deployment: FakeDeployment, error: Exception, status: int, says: str) -> None:
    deployment.api.append(error)
    page = _get(deployment, "user", id="user-1")
    assert page.status == status
    assert says in _text(page)


def test_an_unknown_user_is_404_in_a_sentence(deployment: FakeDeployment) -> None:
    """The search that follows is a list of users, and recorded as one; the look at nobody without what was typed."""
    deployment.nobody = {"nobody"}
    deployment.api.extend([NotFoundError("x"), NotFoundError("x")])
    page = _get(deployment, "user", id="nobody")
    assert (page.status, page.location) == (303, "/token/en/users?q=nobody")
    deployment.api.extend([NotFoundError("x"), NotFoundError("x"), _counts({})])
    page = _get(deployment, "users", q="nobody")
    assert page.status == 404
    kept = [(each.action, each.user_id, each.what, each.options) for each in deployment.accesses]
    assert kept == [("looked", None, "user", "nobody"), ("listed", None, "users", "q …")]
    assert "No user has the id “nobody”." in _text(page)
    assert "missing" not in page.body.decode()  # the look of an alarm


def test_an_unexpected_error_shows_no_value(deployment: FakeDeployment) -> None:
    deployment.api.append(ValueError("テスト ハナコ"))
    page = _get(deployment, "user", id="user-1")
    assert page.status == 502
    assert "ValueError" in _text(page)
    assert "ハナコ" not in _text(page)


def test_a_page_that_cannot_be_made_says_so(deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recon, "report", lambda *_, **__: {"day": DAY, "files": [{"name": "テスト ハナコ"}]})
    page = _get(deployment, "recon", DAY)
    assert page.status == 502
    assert "an unexpected KeyError" in _text(page)
    assert "ハナコ" not in _text(page)


def test_one_part_that_fails_leaves_the_other(deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recon, "calendar", lambda *_: [CalendarDay(DAY, TYPE, DayState.COMPARED)])
    deployment.services["sqs"] = Service(get_queue_attributes=client_error("AccessDenied", "GetQueueAttributes"))
    page = _get(deployment, "")
    assert page.status == 200
    assert "GetQueueAttributes" in _text(page)
    assert f'/recon/{DAY}"' in page.body.decode()
    assert "Nothing needs a person" not in _text(page)


def test_a_day_of_which_nothing_is_known_says_so(deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise NotFoundError("x")

    monkeypatch.setattr(recon, "report", unknown)
    page = _get(deployment, "recon", "2026-11-21")
    assert page.status == 404
    assert "Nothing is known of this day" in _text(page)
    assert "Fri 20 November 2026" in _text(page)
    assert "Sun 22" not in _text(page).partition("As of")[0]  # today's files come tomorrow


@pytest.mark.parametrize("state", sorted([*MISSING, DayState.STORED, DayState.ANNOUNCED]))
def test_a_file_that_was_not_compared_says_why_and_what_to_do(
    deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch, state: DayState
) -> None:
    bare = {"fileType": TYPE, "day": DAY, "state": state.name}
    monkeypatch.setattr(recon, "report", lambda *_, **__: {"day": DAY, "files": [bare]})
    shown = _text(_get(deployment, "recon", DAY))
    assert Wording("en")(f"legend.{state.name}") in shown
    assert ("PayPay to send" in shown or "Ask PayPay" in shown) is (state in MISSING)


# The calendar


def _month(**states: DayState) -> list[CalendarDay]:
    days = [f"2026-11-{number:02}" for number in range(1, 22)]
    return [CalendarDay(day, TYPE, states.get(f"d{day[-2:]}", DayState.COMPARED)) for day in reversed(days)]


def test_the_strip_has_every_day_once_and_names_the_months() -> None:
    other = [CalendarDay("2026-10-31", kind, DayState.COMPARED) for kind in (TYPE, "another")]
    found = month.strip([*_month()[-2:], *other])
    assert [(each.month, each.number, each.opens_month) for each in found.days] == [
        (10, 31, True),
        (11, 1, True),
        (11, 2, False),
    ]
    assert [len(each.cells) for each in found.days] == [2, 1, 1]
    assert found.types == [TYPE, "another"]


def test_only_missing_days_of_the_last_seven_need_a_person() -> None:
    found = to_ask_for(_month(d14=DayState.MISSING, d15=DayState.DOUBTFUL, d20=DayState.LATE), NOW)
    assert [each.day for each in found] == ["2026-11-15"]


# Home


def _counts(numbers: dict[str, int]) -> dict[str, Any]:
    return {"counts": {"paypay": numbers, "vexora": {}}, "approximate": False, "rebuilding": False}


@pytest.fixture
def calm(deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch) -> FakeDeployment:
    """A stack of which every source of the first page says that all is well."""
    monkeypatch.setattr(recon, "calendar", lambda *_: _month())
    monkeypatch.setattr(dead_letters, "counts", lambda *_: {Queue.EVENTS: 0})
    monkeypatch.setattr(repairs, "stopped_since", lambda _: None)
    monkeypatch.setattr(rereads, "known", lambda *_: [])
    monkeypatch.setattr(overview, "counts", lambda _: _counts({"VERIFIED": 3}))
    monkeypatch.setattr(people, "contract_ends", lambda *_: iter([]))
    monkeypatch.setattr(confirmations, "unconfirmed", lambda _: [])
    deployment.api.extend([{"expiring": [], "cursor": None}] * 4)
    return deployment


def test_the_first_page_tells_what_is_urgent_first_each_with_a_next_step(
    calm: FakeDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Nothing needs a person" in _text(_get(calm, ""))
    monkeypatch.setattr(recon, "calendar", lambda *_: _month(d20=DayState.MISSING))
    monkeypatch.setattr(dead_letters, "counts", lambda *_: {Queue.EVENTS: 0, Queue.SCHEDULE: 2})
    monkeypatch.setattr(repairs, "stopped_since", lambda _: "2026-11-20T03:00:00.000Z")
    monkeypatch.setattr(webhooks, "held_since", lambda _: "2026-11-20T03:00:00.000Z")
    monkeypatch.setattr(overview, "counts", lambda _: _counts({"VERIFIED": 3, "RISK_FLAGGED": 1}))
    monkeypatch.setattr(confirmations, "unconfirmed", lambda _: [confirmations.Unconfirmed("A", "", "PayPay")])
    monkeypatch.setattr(people, "contract_ends", lambda *_: iter([{}] * 102))
    calm.api.insert(0, {"expiring": [{}] * 100, "cursor": "more"})
    page = _get(calm, "")
    shown = _text(page)
    places = [
        shown.index(each)
        for each in (
            "Repairs and rereads have been stopped since",
            "Webhooks to your back end have been held since",
            "Fri 20 November 2026: a recon file is missing",
            "Failed runs of the schedule: 2",
            "flagged a risk: 1",
            "that end within 30 days: 100 or more",
            "because their contracts ended: 100 or more",
            "honninctl contract-ends --days 30",
            "has not confirmed: 1",
        )
    ]
    assert places == sorted(places)
    links = [attrs["href"] for tag, attrs in _Tags(page).found if tag == "a"]
    assert "/token/en/recon/2026-11-20" in links
    assert "/token/en/dead-letters#queue-schedule" in links
    assert "/token/en/users?list=expiring&days=30" in links
    # Each count leads to the list behind it.
    assert "/token/en/users?provider=paypay&status=VERIFIED" in links
    monkeypatch.setattr(recon, "calendar", lambda *_: _month(d02=DayState.MISSING))
    assert "a recon file is missing" not in _text(_get(calm, ""))


def test_a_source_that_the_role_may_not_read_is_named_and_left_out(
    calm: FakeDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise NoAccessError("AccessDenied: states:DescribeExecution")

    monkeypatch.setattr(rereads, "known", refuse)
    page = _get(calm, "", language="ja")
    shown = _text(page)
    assert "次の項目は確認できなかった" in shown
    assert "一括再照会：お使いの認証情報では照会できません" in shown
    assert "確認できた範囲では、対応が必要な項目はありません。" in shown
    assert "callout good" not in page.body.decode()
    assert "callout missing" not in page.body.decode()


def test_charts_are_read_without_seeing_them(calm: FakeDeployment, monkeypatch: pytest.MonkeyPatch) -> None:
    days = [CalendarDay(f"2026-11-{day}", TYPE, DayState.REPAIRED, changed=day, received=1204) for day in (19, 20)]
    monkeypatch.setattr(recon, "calendar", lambda *_: days)
    page = _get(calm, "")
    tags = _Tags(page).found
    assert len([tag for tag, attrs in tags if tag == "svg" and attrs.get("role") == "img"]) == 4
    assert "2,408 in all. Most on Thu 19 November 2026: 1,204." in _text(page)
    rows = re.findall(r"<tr>(.+?)</tr>", page.body.decode(), re.DOTALL)
    assert re.findall(r"<td>(.+?)</td>", rows[1]) == ["1,204", "0", "0", "20"]
    # A bar that is not zero is seen beside a much higher one.
    chart = home.charts([*days, CalendarDay(DAY, "b", DayState.REPAIRED, received=10**6)])[0]
    assert [each.height for each in chart.bars] == [3, 60]


# Users


def _listed(*ids: str, cursor: str | None = None) -> dict[str, Any]:
    users = [{"userId": each, "provider": "paypay", "status": "VERIFIED", "since": NOW_TEXT} for each in ids]
    return {"users": users, "cursor": cursor, "rebuilding": False}


def test_an_id_leads_to_its_user(deployment: FakeDeployment) -> None:
    deployment.api.append(_at_paypay("VERIFIED"))
    page = _get(deployment, "users", language="ja", q=" user-1 ")
    assert (page.status, page.location) == (303, "/token/ja/user?id=user-1")


def test_a_part_of_an_id_finds_users_and_says_how_far_it_looked(deployment: FakeDeployment) -> None:
    deployment.api.extend([NotFoundError("x"), NotFoundError("x"), _counts({"VERIFIED": 3000, "LINKED": 1})])
    deployment.api.append(_listed("a-shop-7", "SHOP-9", "other", cursor="c"))
    # 1,000 of each status: ten pages, of which the script gives one full one and then the end.
    deployment.api.append(_listed(*[f"u-{number}" for number in range(997)], cursor="d"))
    deployment.api.append(_listed("shop-1"))
    page = _get(deployment, "users", q="shop")
    shown = _text(page)
    assert page.status == 200
    assert "Users whose id contains it: 3." in shown
    assert "Searched: 1,001 entries, the latest changes of each status. Earlier ones were not searched." in shown
    assert shown.index("shop-1") < shown.index("SHOP-9")
    assert "callout missing" not in page.body.decode()


def test_a_search_that_is_refused_says_so_and_one_that_finds_many_says_how_many(deployment: FakeDeployment) -> None:
    unknown = [NotFoundError("x"), NotFoundError("x")]
    deployment.api.extend([*unknown, NoAccessError("overview")])
    page = _get(deployment, "users", language="ja", q="shop")
    assert page.status == 404
    assert "ID の一部による検索はできませんでした。 お使いの認証情報では照会できません。" in _text(page)
    deployment.api.extend([*unknown, _counts({"VERIFIED": 60}), _listed(*[f"shop-{number}" for number in range(60)])])
    shown = _text(_get(deployment, "users", q="shop"))
    assert "Users whose id contains it: 60. The first 50 are shown. All 60 entries were searched." in shown


def test_a_list_has_filters_pages_and_csv(deployment: FakeDeployment) -> None:
    deployment.api.append(_listed("user-1", cursor="next one"))
    page = _get(deployment, "users", of="paypay/VERIFIED", since="2026-11-01")
    links = [attrs["href"] for tag, attrs in _Tags(page).found if tag == "a"]
    chosen = "provider=paypay&status=VERIFIED&since=2026-11-01"
    assert f"/token/en/users?{chosen}&cursor=next+one" in links
    assert f"/token/en/users.csv?{chosen}" in links
    assert deployment.asked[0][2] == {
        "provider": "paypay",
        "status": "VERIFIED",
        "since": "2026-11-01",
        "limit": "50",
    }
    assert _get(deployment, "users.csv").status == 400


ID = ("not a valid user id", "利用者 ID として使えません")


@pytest.mark.parametrize(
    ("path", "fields", "says"),
    [
        (("user",), {"id": "山田"}, ID),
        (("user",), {"id": ".."}, ID),
        (("access",), {"id": "a b"}, ID),
        (("user",), {"id": "user-1", "at": "2026-02-30"}, ("This is not a day", "日付として認識できません")),
        (("user",), {"id": "user-1", "at": "2099-01-01"}, ("is in the future", "未来の日付")),
        (("users",), {"of": "paypay/VERIFIED", "since": "1 Nov"}, ("or later” is not a day", "日付が正しくありません")),
        (("users.csv",), {"of": "paypay/VERIFIED", "since": "x"}, ("or later” is not a day", "日付が正しくありません")),
        (("users",), {"of": "paypay/NONSENSE"}, ("no such status", "そのステータスはありません")),
        (("users",), {"provider": "nobody", "status": "VERIFIED"}, ("no such status", "そのステータスはありません")),
        (("users.csv",), {"of": "paypay"}, ("no such status", "そのステータスはありません")),
        (("users",), {"list": "expiring", "days": "soon"}, ("number of days", "日数が正しくありません")),
        (("users",), {"list": "expiring", "days": "0"}, ("number of days", "日数が正しくありません")),
        (("users",), {"of": "paypay/VERIFIED", "cursor": "x"}, ("not a page of the list", "指定されたページ")),
        (("users",), {"list": "expiring", "cursor": "x"}, ("not a page of the list", "指定されたページ")),
        (("recon", "2026-13-01"), {}, ("This is not a day", "日付として認識できません")),
        (("dead-letters",), {"queue": "x"}, ("no such queue", "そのようなキュー")),
        (("register",), {"from": "2026-10-01", "to": "x"}, ("period is not valid", "期間が正しくありません")),
        (
            ("register",),
            {"from": "2026-10-01", "to": "2026-10-31", "provider": "paypay", "status": "x"},
            ("no such status", "そのステータスはありません"),
        ),
        (("nothing",), {}, ("no such page", "そのページはありません")),
    ],
    ids=str,
)
def test_what_cannot_be_meant_has_a_sentence_of_its_own(
    path: tuple[str, ...], fields: dict[str, str], says: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "find", lambda *_: dead_letters.Places({}))
    monkeypatch.setattr(FakeDeployment, "store", mock.Mock(), raising=False)
    for language, sentence in zip(("en", "ja"), says, strict=True):
        deployment = FakeDeployment({"ReconBucketName": "b"})
        timeline = [{"entries": [_entry("kyc_read", "VERIFIED")], "cursor": None}] if path == ("user",) else []
        deployment.api.extend([_at_paypay("VERIFIED"), *timeline] if timeline else [UsageError("cursor: is not ours")])
        shown = _text(_get(deployment, *path, language=language, **fields))
        assert sentence in shown
        assert (ID[language == "ja"] in shown) is (says == ID)


@pytest.mark.parametrize(
    ("language", "heading", "said"), [("ja", "利用者 ID", "本人確認済み"), ("en", "User", "verified")]
)
def test_a_csv_opens_in_a_spreadsheet_and_runs_nothing_there(
    deployment: FakeDeployment, language: str, heading: str, said: str
) -> None:
    deployment.api.extend([_listed("user-1", cursor="c"), _listed("-1+2", '=HYPERLINK("x")', "0012", "＝1")])
    page = _get(deployment, "users.csv", language=language, provider="paypay", status="VERIFIED")
    assert page.body.startswith(b"\xef\xbb\xbf")
    lines = page.body.decode("utf-8-sig").split("\r\n")
    assert lines[0].startswith(f"{heading},")
    assert lines[1] == f"user-1,paypay,{said},{NOW_TEXT}"
    assert lines[2].startswith("'-1+2,")
    assert lines[3].startswith("\"'=HYPERLINK(")
    assert [each.partition(",")[0] for each in lines[4:6]] == ["'0012", "'＝1"]
    assert page.headers["Content-Disposition"] == 'attachment; filename="honnin-status-paypay-VERIFIED.csv"'


@pytest.mark.parametrize(("users", "is_file"), [(10_000, True), (10_001, False)])
def test_a_list_that_is_too_long_for_a_file_is_no_file_that_lacks_somebody(
    deployment: FakeDeployment, users: int, is_file: bool
) -> None:
    ids = [f"user-{number}" for number in range(users)]
    deployment.api.extend([_listed(*ids[:5_000], cursor="c"), _listed(*ids[5_000:])])
    page = _get(deployment, "users.csv", provider="paypay", status="VERIFIED", since="2026-11-01")
    if is_file:
        assert page.body.count(b"\r\n") == 1 + users
    else:
        assert page.status == 400
        assert "honninctl users --provider paypay --status VERIFIED --since 2026-11-01 --csv" in _text(page)


def test_what_ends_soon_is_a_list_as_well(deployment: FakeDeployment) -> None:
    end = {"userId": "user-1", "provider": "paypay", "what": "link", "endsAt": NOW_TEXT}
    deployment.api.append({"expiring": [end], "cursor": None, "until": NOW_TEXT})
    shown = _text(_get(deployment, "users", language="ja", list="expiring", days="7"))
    assert "7 日以内に期限が切れる利用者" in shown
    assert "PayPay アカウントの連携" in shown


# Settings


def test_settings_say_what_to_ask_whom(deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch) -> None:
    open_ones = [confirmations.Unconfirmed("PayPayVerifiedStatuses", "", "PayPay")]
    monkeypatch.setattr(confirmations, "unconfirmed", lambda _: open_ones)
    found = [
        Check("clock", Verdict.FAIL, HOSTILE, "set it"),
        Check("parameters", Verdict.WARN, "PayPayVerifiedStatuses still has its default"),
        Check("a new topic", Verdict.OK, "fine"),
    ]
    monkeypatch.setattr(doctor, "examine", lambda *_: iter(found))
    page = _get(deployment, "settings", language="ja")
    _assert_harmless(page)
    shown = _text(page)
    assert "PayPay に確認した値を設定し、デプロイしてください" in shown
    assert shown.index("修正が必要") < shown.index("時計") < shown.index("問題なし") < shown.index("a new topic")
    assert "still has its default" not in shown


@pytest.mark.parametrize(
    ("states", "says"),
    [
        ([], "No notification of a recon file was received"),
        ([DayState.NONE, DayState.DUE, DayState.NONE], "No notification of a recon file was received"),
        ([DayState.NONE, DayState.COMPARED], "Nothing needs a person"),
        ([DayState.NONE, DayState.ANNOUNCED], "Nothing needs a person"),
        ([DayState.NONE, DayState.DOUBTFUL], "a recon file is missing or cannot be used"),
    ],
)
def test_what_is_not_known_is_neither_good_nor_bad(
    calm: FakeDeployment, monkeypatch: pytest.MonkeyPatch, states: list[DayState], says: str
) -> None:
    days = [CalendarDay(f"2026-11-{20 - back}", TYPE, state) for back, state in enumerate(states)]
    monkeypatch.setattr(recon, "calendar", lambda *_: days)
    shown = _text(_get(calm, ""))
    headlines = (
        "No notification of a recon file was received",
        "Nothing needs a person",
        "a recon file is missing or cannot be used",
    )
    assert [each for each in headlines if each in shown] == [says]


def test_a_day_shows_the_week_and_what_is_to_be_sent_to_paypay(
    deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = {"ja": f"件名 {HOSTILE}", "en": "Subject"}
    week = [CalendarDay(DAY, TYPE, DayState.EXPIRED, reason=HOSTILE).as_json()]
    silent = {"fileType": TYPE, "everAnnounced": False, "lastWebhookAt": None, "week": [], "resendRequest": None}
    facts = {**silent, "everAnnounced": True, "lastWebhookAt": NOW_TEXT, "week": week, "resendRequest": request}
    monkeypatch.setattr(recon, "report", lambda *_, **__: {"day": DAY, "files": [_file()], "types": [facts, silent]})
    page = _get(deployment, "recon", DAY)
    shown = _text(page)
    assert "<img" not in page.body.decode()
    for text in (
        "a revision",
        "the last 7 days",
        "To be sent to PayPay",
        "件名",
        "notification of a file of this type was ever received",
    ):
        assert text in shown
    assert "No notification was received within 40 days." in shown


@pytest.mark.parametrize(
    ("language", "said"), [("en", "Repairs and rereads have been stopped since"), ("ja", "停止しています")]
)
def test_stopped_repairs_are_said_first_of_all(
    deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch, language: str, said: str
) -> None:
    monkeypatch.setattr(recon, "calendar", lambda *_: [])
    monkeypatch.setattr(dead_letters, "counts", lambda *_: {})
    monkeypatch.setattr(repairs, "stopped_since", lambda _: "2026-11-20T03:00:00.000Z")
    shown = _text(_get(deployment, "", language=language))
    assert said in shown
    assert "honninctl repairs status" in shown
    assert "Nothing needs a person" not in shown


def test_a_cell_says_in_words_what_it_shows(deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch) -> None:
    day = CalendarDay(DAY, TYPE, DayState.REPAIRED, late=True, changed=1204)
    monkeypatch.setattr(recon, "calendar", lambda *_: [day])
    monkeypatch.setattr(dead_letters, "counts", lambda *_: {})
    page = _get(deployment, "")
    assert "Identity updates: repaired (1,204 users), after 10:15" in _text(page)
    assert '<span class="figure" aria-hidden="true">1k</span>' in page.body.decode()


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, DayState.REPAIRED),
        ({"repairsOpen": 1}, DayState.REPAIRING),
        ({"changed": []}, DayState.COMPARED),
        ({"changed": [], "comparedAt": "2026-11-21T01:15:00.001Z"}, DayState.LATE),
        ({"state": "NONE"}, DayState.NONE),
        ({"state": "IGNORED"}, DayState.NONE),
        ({"state": "EXPIRED"}, DayState.EXPIRED),
        ({"doubt": "the file is empty"}, DayState.DOUBTFUL),
    ],
)
def test_what_a_file_comes_to(more: dict[str, Any], expected: DayState) -> None:
    assert month.state_of(_file(**more), datetime(2026, 11, 21, 3, tzinfo=UTC)) is expected


# What lies behind a dead letter


@pytest.mark.parametrize(
    ("error_type", "expected"),
    [
        (dead_letters.RECEIVED_TOO_OFTEN, advice.Cause.TRIED_OUT),
        ("MalformedEventError", advice.Cause.MALFORMED),
        ("ProviderRefusedError", advice.Cause.PROVIDER),
        ("SecretIncompleteError", advice.Cause.OURS),
        ("ProviderConfigurationError", advice.Cause.OURS),
        ("InvalidReconFileError", advice.Cause.PROGRAM),
        ("KeyError", advice.Cause.PROGRAM),
        ("__name__", advice.Cause.PROGRAM),
        ("ClassVar", advice.Cause.PROGRAM),
    ],
)
def test_an_error_type_has_its_cause(error_type: str, expected: advice.Cause) -> None:
    assert advice.cause(error_type) is expected
    assert hasattr(errors, error_type) or expected in (advice.Cause.TRIED_OUT, advice.Cause.PROGRAM)


def _letter(queue: Queue, **more: Any) -> dict[str, Any]:
    letter = {"messageId": "m-1", "sentAt": "2026-11-21T00:00:00.000Z", "errorType": "E", "bodyBytes": 1}
    return {**letter, "queue": str(queue), "event": None, "function": None, **more}


def test_the_page_shows_every_queue_with_its_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    deployment = FakeDeployment(
        {
            **dict.fromkeys(dead_letters.OUTPUTS.values(), "https://sqs.example/q"),
            "ReconDeadlineFunctionName": "fn-1",
        }
    )
    found = [
        _letter(Queue.EVENTS, errorType="KeyError"),
        _letter(Queue.WEBHOOKS, errorType="WebhookNotDeliveredError", webhook={"type": "UserErased", "userId": "u-1"}),
        _letter(Queue.SCHEDULE, function="ReconDeadlineFunction"),
        _letter(Queue.RECON_DOWNLOAD, function="ReconDownloadFunction"),
    ]
    monkeypatch.setattr(dead_letters, "letters", lambda *_: found)
    shown = _text(_get(deployment, "dead-letters"))
    for text in (
        *(
            "In the dead-letter queues: 4.",
            "honninctl deadletters redrive --queue events --error-type KeyError",
            "honninctl webhooks test",
            "UserErased · u-1",
            "honninctl deadletters redrive --queue webhooks --error-type WebhookNotDeliveredError",
        ),
        *("Daily report (10:15)", "There is nothing to put back"),
        "aws lambda invoke --function-name fn-1 --cli-read-timeout 0 --region ap-northeast-1 run.json && cat run.json",
        "run.json must not contain errorType",
        *("honninctl deadletters redrive --queue schedule --discard", "--queue recon-download --discard"),
    ):
        assert text in shown
    assert "older version" not in shown
    assert "14 days" not in shown  # the stack's own parameter says how long
    assert "redrive --queue schedule " not in shown.replace("redrive --queue schedule --discard", "")


@pytest.mark.parametrize(
    ("error_type", "filtered"),
    [
        ("(received too often)", 'redrive --queue events --error-type "received too often"'),
        ("x; ls", "redrive --queue events"),
    ],
)
def test_a_command_holds_no_text_that_a_shell_would_read(
    monkeypatch: pytest.MonkeyPatch, error_type: str, filtered: str
) -> None:
    deployment = FakeDeployment(dict.fromkeys(dead_letters.OUTPUTS.values(), "https://sqs.example/q"))
    monkeypatch.setattr(dead_letters, "letters", lambda *_: [_letter(Queue.EVENTS, errorType=error_type)])
    shown = _text(_get(deployment, "dead-letters"))
    assert filtered in shown
    assert f"--error-type {error_type}" not in shown


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_malformed_event_has_two_ways_out(monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    """It is none of ours, or its submission was lost with a restore (runbook): then it is put back once it is there."""
    deployment = FakeDeployment(dict.fromkeys(dead_letters.OUTPUTS.values(), "https://sqs.example/q"))
    monkeypatch.setattr(dead_letters, "letters", lambda *_: [_letter(Queue.EVENTS, errorType="MalformedEventError")])
    shown = _text(_get(deployment, "dead-letters", language=language))
    for text in {"en": ("not one of Honnin's", "restore", "put back once"), "ja": ("復元", "キューに戻して")}[language]:
        assert text in shown
    assert "honninctl deadletters redrive --queue events" in shown
    assert "14" not in shown.partition("2026")[0]


def test_a_queue_that_an_older_stack_does_not_name_is_said(
    deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "letters", lambda *_: [])
    shown = _text(_get(deployment, "dead-letters"))
    assert "Failed runs of the recon download: not read. The stack has an older version" in shown
    assert shown.count("not read. The stack") == 2
    assert "The dead-letter queues are empty." in shown


# Two languages, one set of texts


def _places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_both_languages_have_the_same_texts_with_the_same_places() -> None:
    japanese, english = wording.texts("ja"), wording.texts("en")
    assert japanese.keys() == english.keys()
    for name, text in english.items():
        if name != "day":
            assert _places(japanese[name]) == _places(text), name
        assert japanese[name].strip(), name


# What the glossary of the Japanese documents does not use: each of them has one word, in the README as here.
_OTHER_WORDS = (
    "リコン",
    "ユーザー",
    "提供者",
    "日次ファイル",
    "プロバイダ",
    "ブラウザ",
    "パラメータ",
    "ローテート",
    "掃除",
)


def test_the_japanese_texts_use_the_words_of_the_documents() -> None:
    for name, text in wording.texts("ja").items():
        used = [each for each in _OTHER_WORDS if re.search(f"{each}(?!ー)", text)]
        assert not used, (name, used)


def test_every_status_state_and_cause_has_its_texts() -> None:
    names = wording.texts("en").keys()
    wanted = {f"status.{each}" for each in (*VexoraStatus, *PayPayStatus)}
    wanted |= {f"standing.vexora_{each}" for each in VexoraStatus}
    wanted |= {f"standing.paypay_{each}" for each in PayPayStatus}
    wanted |= {f"{table}.{each.name}" for each in DayState for table in ("state", "legend")}
    wanted |= {f"day_page.todo_{each.name}" for each in MISSING}
    wanted |= {f"advice.{each}" for each in advice.Cause}
    # What to do about a failed run depends on its queue.
    wanted |= {f"advice.{each}_todo" for each in advice.Cause if each is not advice.Cause.RUN}
    wanted |= {f"queue.{each}" for each in Queue} | {f"runs.{each}" for each in RUNS}
    wanted |= {f"run.{each}" for functions in (*RUNS.values(), [PROBED]) for each in functions}
    wanted |= {f"verdict.{each}" for each in Tone}
    wanted |= {f"reason.{each}" for each in VerifiedReason}
    assert wanted <= names
    assert set(month.LOOKS) == set(DayState)


def test_every_topic_of_doctor_and_every_source_and_task_of_the_first_page_has_its_text() -> None:
    names = wording.texts("en").keys()
    sources = "".join(each.read_text() for each in Path(str(doctor.__file__)).parent.glob("doctor*.py"))
    topics = set(re.findall(r'Check\(\s*"(\w+)"', sources))
    assert len(topics) > 10
    assert {f"{table}.{each}" for table in ("topic", "topic_step") for each in topics} <= names
    assert {f"source.{each.name}" for each in dataclasses.fields(home._Sources)} <= names
    tasks = {f"users_{status}" for _, status in home._OPEN_STATUSES}
    tasks |= set(re.findall(r'Task\("(\w+)"', Path(str(home.__file__)).read_text()))
    tasks |= {"reread_failed", "reread_paused", "expiring", "expiring_more", "ended", "ended_more"}
    assert {f"task.{each}{end}" for each in tasks for end in ("", "_step")} <= names


def test_everything_that_a_timeline_tells_has_its_text() -> None:
    """`commit.effect(event, what, …)` and what stands for it in each module."""
    named = set()
    for file in Path(honnin.__file__).parent.rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call) and re.search(r"\b_?(effect|not_read)$", ast.unparse(call.func)):
                named |= {str(each.value) for each in call.args[1:2] if isinstance(each, ast.Constant)}
    assert len(named) > 10
    assert {f"what.{each}" for each in named} <= wording.texts("en").keys()


def test_every_text_is_used_somewhere() -> None:
    """A text that nothing names is one that nobody keeps true."""
    here = Path(page_module.__file__).parent
    sources = "".join(each.read_text() for each in (*here.rglob("*.py"), *here.glob("templates/*.html")))
    tables = set(re.findall(r"['\"](\w+)\.['\"] ?~|f['\"](\w+)\.\{", sources))
    by_table = {name for pair in tables for name in pair if name}
    # `'day_page.todo_' ~ name` and `f"access.did_{name}"`
    found = re.findall(r"['\"](\w+\.\w+_)['\"] ?~|f['\"](\w+\.\w+_)\{", sources)
    begun = {name for pair in found for name in pair if name}
    for name in wording.texts("en"):
        table = name.partition(".")[0]
        is_begun = any(name.startswith(each) for each in begun)
        assert f"'{name}'" in sources or f'"{name}"' in sources or table in by_table or is_begun, name


# The look


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (each / 12.92 if each <= 0.03928 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_text_has_contrast(scheme: int) -> None:
    """WCAG 2.2 AA: 4.5 to 1."""
    block = re.findall(r":root \{(.+?)\}", CSS, re.DOTALL)[scheme]
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
    pairs = [(f"{each}-paper", f"{each}-ink") for each in (*month.Look, "quiet")]
    pairs += [(paper, ink) for paper in ("page", "paper") for ink in ("ink", "quiet", "link")]
    for paper, ink in pairs:
        assert _contrast(colours[paper], colours[ink]) >= 4.5, (paper, ink)
    assert _contrast(colours["seal"], "#ffffff") >= 4.5


def test_every_look_and_symbol_is_drawn() -> None:
    parts = (Path(page_module.__file__).parent / "templates" / "parts.html").read_text()
    drawn = set(re.findall(r'<symbol id="(\w+)"', parts))
    for look, symbol in month.LOOKS.values():
        assert symbol in drawn
        assert f".{look} {{" in CSS or f".{look}," in CSS or f", .{look}" in CSS
    assert len({symbol for _, symbol in month.LOOKS.values()}) == len(DayState)  # each is distinguished without colour
    assert "url(" not in CSS
    assert "@import" not in CSS


def test_tables_have_headers_and_pages_one_heading(deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recon, "report", lambda *_, **__: {"day": DAY, "files": [_file()]})
    monkeypatch.setattr(recon, "calendar", lambda *_: _month())
    monkeypatch.setattr(dead_letters, "counts", lambda *_: {})
    for steps in (("",), ("recon", DAY)):
        tags = _Tags(_get(deployment, *steps)).found
        names = [tag for tag, _ in tags]
        assert names.count("h1") == names.count("main") == 1
        assert names.count("th") >= 5
        assert all(attrs.get("scope") for tag, attrs in tags if tag == "th")
        ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
        assert len(ids) == len(set(ids))
        used = [attrs["href"] for tag, attrs in tags if tag == "use"]
        assert {str(each).lstrip("#") for each in used} <= set(ids)


# The command


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, deployment: FakeDeployment) -> None:
    """The command's server ends at once, as by Ctrl-C."""

    def interrupted(_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "Deployment", lambda _where: deployment)
    monkeypatch.setattr(ConsoleServer, "serve_forever", interrupted)


def test_the_help_teaches() -> None:
    shown = run("console", "--help", env={"COLUMNS": "200"}).stdout
    for text in ("Example: honninctl console", "--port", "--no-browser", "127.0.0.1", "Ctrl-C", "JSON", "--stack"):
        assert text in shown


@local_only
@pytest.mark.usefixtures("started")
def test_ctrl_c_is_a_good_end() -> None:
    ended = run("console", "--no-browser")
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert re.search(r"http://127\.0\.0\.1:\d+/[\w-]{32}/$", ended.stdout.strip())
    url = json.loads(run("console", "--no-browser", "--json").stdout)["url"]
    assert url.startswith("http://127.0.0.1:")


@local_only
@pytest.mark.usefixtures("started")
def test_the_browser_is_led_to_the_page_without_the_token_in_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str, int]] = []
    opened = threading.Event()

    def browse(url: str) -> bool:
        path = Path(urlsplit(url).path)
        seen.append((url, path.read_text(), path.parent.stat().st_mode & 0o777))
        opened.set()
        return True

    monkeypatch.setattr(webbrowser, "open", browse)
    monkeypatch.setattr(ConsoleServer, "serve_forever", lambda _: opened.wait(10))
    ended = run("console", "--json")
    url = json.loads(ended.stdout)["url"]
    [(given, text, mode)] = seen
    assert given.startswith("file:///")
    assert url not in given
    assert f"url={url}" in text
    assert mode == 0o700
    assert not Path(urlsplit(given).path).exists()


@pytest.mark.usefixtures("started")
def test_a_stack_that_is_not_there_starts_nothing(deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch) -> None:
    deployment.services["cloudformation"] = Service(describe_stacks=client_error("ValidationError"))
    monkeypatch.setattr("honninctl.console.server.listen", lambda *_: pytest.fail("started"))
    ended = run("console", "--no-browser")
    assert (ended.exit_code, ended.stdout) == (3, "")


def test_registering_the_command_loads_neither_the_templates_nor_the_server() -> None:
    late = ("jinja2", "http.server", "botocore", "honnin")
    probe = f"import sys; from honninctl import app; app.program(); print([n for n in {late} if n in sys.modules])"
    paths = [str(Path(console_command.__file__).parents[2]), str(Path(errors.__file__).parents[1])]
    done = subprocess.run(
        [sys.executable, "-c", probe], env={"PYTHONPATH": ":".join(paths)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_people_ask_for_no_reveal(deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every function that could reveal is called so that it does not."""
    asked: dict[str, Any] = {}
    monkeypatch.setattr(people, "status", lambda *_: _at_paypay("VERIFIED"))
    monkeypatch.setattr(people, "timeline", lambda *_, **given: asked.update(timeline=given) or iter([]))
    monkeypatch.setattr(recon, "report", lambda *_, **given: asked.update(report=given) or {"files": []})
    monkeypatch.setattr(dead_letters, "letters", lambda *_, **given: asked.update(letters=given) or [])
    for steps, fields in ((("user",), {"id": "user-1"}), (("recon", DAY), {}), (("dead-letters",), {})):
        assert _get(deployment, *steps, **fields).status == 200
    assert asked.keys() == {"timeline", "report", "letters"}
    assert not any(given.get("reveal") for given in asked.values())
