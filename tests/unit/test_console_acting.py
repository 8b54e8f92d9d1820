"""The console's pages that act: shown first, confirmed, recorded, done once, and by nobody else."""

import http.client
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from honnin.store import Access
from honninctl import dead_letters, export, people, redrive, register_commands, webhooks
from honninctl import reread as rereading
from honninctl.console.page import Asked, Page
from honninctl.console.pages import Pages
from honninctl.console.rights import Rights
from honninctl.console.server import ConsoleServer, listen
from honninctl.dead_letters import Places, Queue
from honninctl.failures import CommandError, NoAccessError, NotAllowedError, UnreachableError, UsageError
from tests.fakes.cli import FakeDeployment

NOW = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)
STATUS = {"userId": "user-1", "providers": {"paypay": {"status": "VERIFIED"}}, "verified": True}
CERTIFICATE = {"certificateId": "c-1", "userId": "user-1", "completedAt": "2026-11-22T01:30:00.000Z", "erased": {}}


class Console:
    """Pages that act, of a stack where everything is allowed; `erased` are the users whose erasure was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
        self.deployment = FakeDeployment({}, {"MerchantWebhookUrl": "https://shop.example/hook"})
        self.erased: list[tuple[str, bool]] = []
        monkeypatch.setattr(Rights, "may", lambda *_: True)
        monkeypatch.setattr(people, "status", lambda *_: STATUS)
        monkeypatch.setattr(people, "erase", self._erase)
        self.pages = Pages(self.deployment, lambda: NOW, **{"is_read_only": False, **options})

    def _erase(self, _: Any, user_id: str, *, unlink: bool, reason: str, ticket: str) -> dict[str, Any]:
        assert (reason, ticket) == (GIVEN["reason"], GIVEN["ticket"])
        # The access record comes first.
        assert self.deployment.accesses[-1].action == "erased"
        self.erased.append((user_id, unlink))
        return CERTIFICATE

    def get(self, *steps: str, **fields: str) -> Page:
        return self.pages.page(Asked("/token", ("en", *steps), fields, ""))

    def post(self, act: str, form: dict[str, str], **fields: str) -> Page:
        return self.pages.page(Asked("/token", ("en", "act", act), fields, "", form))

    def token(self, act: str, **fields: str) -> str:
        found = re.search(rb'name="token" value="([^"]+)"', self.get("act", act, **fields).body)
        assert found
        return found[1].decode()

    def accesses(self) -> list[tuple[str, str | None, str | None]]:
        return [(str(each.action), each.user_id, each.reason) for each in self.deployment.accesses]


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Console:
    return Console(monkeypatch)


GIVEN = {"reason": "asked by the user", "ticket": "T-7", "typed": "user-1"}


def test_an_erasure_is_shown_confirmed_recorded_done_once_and_certified(console: Console) -> None:
    token = console.token("erase", id="user-1")
    assert console.erased == []
    page = console.post("erase", {"token": token, **GIVEN}, id="user-1")
    assert page.status == 303
    assert console.erased == [("user-1", False)]
    assert console.accesses() == [("looked", "user-1", None), ("erased", "user-1", "asked by the user (T-7)")]
    assert page.location
    assert b"c-1" in console.get("done", token=token).body
    again = console.post("erase", {"token": token, **GIVEN}, id="user-1")
    assert again.status == 303
    assert "again=1" in str(again.location)
    assert console.erased == [("user-1", False)]


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"reason": " "}, "Say why."),
        ({"typed": "user-2"}, "not the user&#39;s id"),
        ({"reason": "x" * 201}, "at most 200"),
        ({"token": "another"}, "something has changed"),
        ({"token": ""}, "something has changed"),
    ],
)
def test_what_is_not_confirmed_is_not_done(console: Console, form: dict[str, str], says: str) -> None:
    token = console.token("erase", id="user-1")
    page = console.post("erase", {"token": token, **GIVEN, **form}, id="user-1")
    assert page.status == 409
    assert says in page.body.decode()
    assert console.erased == []
    assert {each[0] for each in console.accesses()} == {"looked"}


def test_a_token_is_for_one_act_on_one_user_as_it_was_shown(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    token = console.token("erase", id="user-1")
    assert console.post("erase", {"token": token, **GIVEN, "typed": "user-2"}, id="user-2").status == 409
    assert console.post("erase", {"token": token, **GIVEN}, id="user-1", unlink="1").status == 409
    changed = {**STATUS, "providers": {"paypay": {"status": "RISK_FLAGGED"}}}
    monkeypatch.setattr(people, "status", lambda *_: changed)
    assert console.post("erase", {"token": token, **GIVEN}, id="user-1").status == 409
    assert console.erased == []


def test_an_old_confirmation_is_read_again(console: Console) -> None:
    now = [0.0]
    desk = console.pages._desk
    assert desk
    desk.confirmations._monotonic = lambda: now[0]
    token = console.token("erase", id="user-1")
    now[0] = 600.0
    page = console.post("erase", {"token": token, **GIVEN}, id="user-1")
    assert "older than ten minutes" in page.body.decode()
    assert console.erased == []


def test_without_the_access_record_nothing_is_done(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    token = console.token("erase", id="user-1")

    def refused(_: Access) -> None:
        raise CommandError("no table")

    monkeypatch.setattr(console.deployment, "keep_access", refused)
    page = console.post("erase", {"token": token, **GIVEN}, id="user-1")
    assert page.status == 502
    assert "nothing was shown or done" in page.body.decode()
    assert console.erased == []


def test_a_read_only_console_offers_and_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(monkeypatch, is_read_only=True)
    assert console.get("act", "erase", id="user-1").status == 404
    assert console.post("erase", {"token": "t", **GIVEN}, id="user-1").status == 404
    assert console.erased == []


def test_personal_data_needs_reveal_and_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def exported(*_: Any, reveal: bool, **__: Any) -> dict[str, str]:
        asked.append(reveal)
        return {"name": "x"}

    monkeypatch.setattr(export, "export", exported)
    assert Console(monkeypatch).get("act", "export", id="user-1", reveal="1").status == 400
    console = Console(monkeypatch, may_reveal=True)
    token = console.token("export", id="user-1", reveal="1")
    assert console.post("export", {"token": token, "reason": ""}, id="user-1", reveal="1").status == 409
    assert asked == []
    page = console.post("export", {"token": token, "reason": "audit"}, id="user-1", reveal="1")
    assert page.status == 200
    assert page.headers["Content-Disposition"].startswith("attachment; ")
    assert console.accesses()[-1] == ("revealed", "user-1", "audit")
    assert asked == [True]
    # What is kept for the result page has no file.
    assert console.post("export", {"token": token, "reason": "audit"}, id="user-1", reveal="1").status == 303
    assert asked == [True]


def test_a_refusal_of_aws_is_said(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise NoAccessError("sqs:SendMessage")

    monkeypatch.setattr(rereading, "questions", lambda *_: [])
    monkeypatch.setattr(rereading, "ask", refused)
    token = console.token("reread", id="user-1")
    assert console.post("reread", {"token": token}, id="user-1").status == 403


class _Acts:
    """Of each act, how often it was tried; `error` is how it fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tried = 0
        self.error: Exception | None = None
        counts = Counter({"KeyError": 2})
        letters = [{"function": "ReconDeadlineFunction"}]
        question = rereading.Question("e-1", "paypay", "kyc", "VERIFIED")
        places = Places(dict.fromkeys(Queue, "u"))
        delivered = {"delivered": True, "status": 200, "seconds": 1}
        for module, name, answer in (
            (dead_letters, "find", places),
            (dead_letters, "letters", letters),
            (dead_letters, "sends_webhooks", True),
            (redrive, "look", redrive.Moved(counts)),
            (rereading, "questions", [question]),
        ):
            monkeypatch.setattr(module, name, lambda *_, _answer=answer, **__: _answer)
        doing: list[tuple[Any, str, Any]] = [
            (redrive, "put_back", redrive.Moved(counts)),
            (redrive, "discard", redrive.Moved(counts)),
            (rereading, "ask", [question]),
            (webhooks, "test", delivered),
            (people, "erase", CERTIFICATE),
            (export, "export", {"name": "x"}),
        ]
        for module, name, answer in doing:
            monkeypatch.setattr(module, name, lambda *_, _answer=answer, **__: self._try(_answer))

    def _try(self, answer: Any) -> Any:
        self.tried += 1
        if self.error:
            raise self.error
        return answer


_REFUSED, _LOST = NotAllowedError("AWS refuses Invoke"), UnreachableError("no answer")
_TARGETS: Mapping[str, dict[str, str]] = {
    "reread": {"id": "user-1"},
    "export": {"id": "user-1"},
    "erase": {"id": "user-1"},
    "redrive": {"queue": "events"},
    "discard": {"queue": "schedule"},
    "test-webhook": {},
}


@pytest.mark.parametrize(
    ("act", "error", "is_repeated"),
    [
        # What only reads, and what was refused before anything was done, may be sent again.
        ("export", _LOST, True),
        ("export", _REFUSED, True),
        ("reread", _REFUSED, True),
        ("erase", _REFUSED, True),
        ("test-webhook", _REFUSED, True),
        # Of what did not answer nobody knows whether it was done.
        ("reread", _LOST, False),
        ("erase", _LOST, False),
        ("erase", KeyError("a fault"), False),
        ("test-webhook", _LOST, False),
        # Some messages may have been moved before the one that was refused.
        ("redrive", _REFUSED, False),
        ("redrive", _LOST, False),
        ("discard", _REFUSED, False),
        ("discard", _LOST, False),
    ],
)
def test_what_failed_is_only_repeated_if_it_certainly_was_not_done(
    act: str, error: Exception, is_repeated: bool, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    acts = _Acts(monkeypatch)
    acts.error = error
    fields = _TARGETS[act]
    form = {"token": console.token(act, **fields), **GIVEN}
    page = console.post(act, form, **fields)
    assert acts.tried == 1
    if is_repeated:
        assert page.status >= 400
        acts.error = None
        assert console.post(act, form, **fields).status in (200, 303)
        assert acts.tried == 2
        return
    assert page.status == 303
    shown = console.get("done", token=form["token"]).body.decode()
    assert "Perhaps done" in shown
    assert "it is not known whether this was done" in shown
    acts.error = None
    again = console.post(act, form, **fields)
    assert (again.status, acts.tried) == (303, 1)
    assert "was not done a second time" in console.get("done", token=form["token"], again="1").body.decode()
    # A new page may do it: the caller has read what became of the first.
    assert console.post(act, {**form, "token": console.token(act, **fields)}, **fields).status == 303
    assert acts.tried == 2


def test_each_act_is_recorded_as_what_it_is(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    _Acts(monkeypatch)
    for act, action in (
        ("reread", "reread"),
        ("export", "exported"),
        ("erase", "erased"),
        ("redrive", "redriven"),
        ("discard", "discarded"),
        ("test-webhook", "operated"),
    ):
        fields = _TARGETS[act]
        page = console.get("act", act, **fields).body.decode()
        assert "It is recorded that you" in page
        console.post(act, {"token": console.token(act, **fields), **GIVEN}, **fields)
        assert console.accesses()[-1][0] == action


def test_a_user_of_whom_nothing_can_be_asked_is_said_so(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: Any) -> None:
        raise UsageError("has not agreed")

    monkeypatch.setattr(rereading, "questions", nothing)
    page = console.get("act", "reread", id="user-1")
    assert page.status == 200
    assert "There is nothing to ask yet: user-1 has not agreed at PayPay." in page.body.decode()
    assert b"<button>" not in page.body.partition(b"<main")[2]


@pytest.mark.parametrize("act", ["nothing", "redrive", "discard", "erase"])
def test_what_no_page_offers_is_refused_in_a_sentence(console: Console, act: str) -> None:
    assert console.get("act", act, queue="nothing").status in (400, 404)


# The door


@pytest.fixture
def server(console: Console) -> Iterator[ConsoleServer]:
    with listen(console.pages, 0) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield listening
        listening.shutdown()
        thread.join()


def _post(server: ConsoleServer, path: str, body: str, **headers: str) -> tuple[int, str | None, str | None]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    form = {"Origin": f"http://{server.host}", "Content-Type": "application/x-www-form-urlencoded"}
    given = {name: value for name, value in {**form, **headers}.items() if value}
    connection.request("POST", path, body, given)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, answer.getheader("Location"), answer.getheader("Referrer-Policy")


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_only_the_consoles_own_form_acts(server: ConsoleServer, console: Console) -> None:
    path = f"/{server.token}/en/act/erase?id=user-1"
    body = urlencode({"token": console.token("erase", id="user-1"), **GIVEN})
    for headers, status in (
        ({"Origin": ""}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "document"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Content-Type": "text/plain"}, 415),
    ):
        assert _post(server, path, body, **headers)[0] == status
    assert _post(server, path.replace(server.token, "x"), body)[0] == 404
    assert _post(server, path, f"{body}&token=another")[0] == 400
    assert console.erased == []
    status, location, policy = _post(server, path, body)
    assert (status, policy) == (303, "same-origin")
    assert urlsplit(str(location)).path == f"/{server.token}/en/done"
    assert console.erased == [("user-1", False)]


# Register and access


def test_the_access_page_shows_who_did_what_and_is_recorded(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    from honninctl import access

    entry = {"at": "2026-11-21T03:00:00.000Z", "action": "revealed", "who": "arn:x", "source": "cli"}
    more = {"what": "timeline", "options": "--reveal", "reason": "<b>audit</b>", "reasonErasedAt": None}
    monkeypatch.setattr(access, "accesses", lambda *_: [{**entry, **more}])
    page = console.get("access", id="user-1").body.decode()
    assert "looked at personal data" in page
    assert "&lt;b&gt;audit" in page
    assert console.accesses() == [("looked", "user-1", None)]
    console.get("access")
    assert console.accesses()[-1] == ("listed", None, None)


def test_the_register_asks_for_a_period_that_there_is(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    from honnin.register import Register, Row

    row = Row("user-1", "paypay", "VERIFIED", "2026-10-01T00:00:00.000Z", cause="recon", flags=())
    monkeypatch.setattr(register_commands, "not_rebuilding", lambda _: None)

    def rows(register: Register) -> Iterator[Row]:
        register.as_of = "2026-11-22T01:30:00.000Z"
        yield row

    monkeypatch.setattr(Register, "rows", rows)
    monkeypatch.setattr(FakeDeployment, "store", None)
    assert console.get("register").status == 200
    assert console.accesses() == []
    wrong = console.get("register", **{"from": "2026-10-31", "to": "2026-10-01"})
    assert wrong.status == 400
    assert console.accesses() == []
    period = {"from": "2026-10-01", "to": "2026-10-31"}
    shown = console.get("register", **period).body.decode()
    assert "user?id=user-1" in shown
    assert "Rows: 1." in shown
    assert console.accesses() == [("registered", None, None)]
    file = console.get("register.csv", **period)
    assert file.body.startswith("\ufeffUser ID".encode())
    assert "honnin-register-2026-10-01-2026-10-31.csv" in file.headers["Content-Disposition"]


def test_a_form_shows_nothing_that_is_not_recorded(console: Console) -> None:
    for steps in (("user",), ("users.csv",), ("register.csv",), ("access",), ("settings",)):
        asked = Asked("/token", ("en", *steps), {"id": "user-1", "from": "2026-10-01", "to": "2026-10-31"}, "", {})
        assert console.pages.page(asked).status == 405
    token = console.token("erase", id="user-1")
    looked = len(console.accesses())
    for form in ({"token": "made-up"}, {}, {"token": token}):
        assert console.post("erase", form, id="user-2").status == 409
        looked += 1
        assert console.accesses()[-1][:2] == ("looked", "user-2")
        assert len(console.accesses()) == looked


def test_an_act_is_recorded_with_what_it_is_on(console: Console) -> None:
    token = console.token("erase", id="user-1", unlink="1")
    assert console.post("erase", {"token": token, **GIVEN}, id="user-1", unlink="1").status == 303
    kept = console.deployment.accesses[-1]
    assert (kept.user_id, kept.what, kept.options) == ("user-1", "act/erase", "unlink 1")
