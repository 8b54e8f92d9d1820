"""The access record: every command that shows or changes something of users writes it first, or does nothing."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl

import pytest
from typer.main import get_command

from honnin.errors import ConcurrentUpdateError, NotFoundError
from honnin.event import Event
from honnin.store import Access, Store
from honnin.times import utc_text
from honninctl import access, app, command, dead_letters, export, moments, recorded
from honninctl.console.page import Asked, Page
from honninctl.console.pages import Pages
from honninctl.dead_letters import Queue
from honninctl.deployment import Deployment
from honninctl.failures import CommandError, ExitCode, NotAllowedError, UnreachableError, UsageError
from honninctl.failures import NotFoundError as NotKnownError
from honninctl.recorded import Action
from honninctl.restore import LiveFacts, bring_back
from tests.fakes import FakeClock, console_stack, register_world
from tests.fakes.cli import FakeDeployment, Service, client_error, run
from tests.fakes.memory import dynamodb, memory_aws
from tests.tables import TEMPLATE, create_table, template

OFFICER = "arn:aws:sts::111122223333:assumed-role/officer/ito"


def _commands() -> Iterator[tuple[str, Any]]:
    def walk(group: Any, before: str) -> Iterator[tuple[str, Any]]:
        for name, each in group.commands.items():
            if hasattr(each, "commands"):
                yield from walk(each, f"{before}{name} ")
            else:
                yield f"{before}{name}", each

    yield from walk(get_command(app.program()), "")


def _options(each: Any) -> set[str]:
    return {option for parameter in each.params for option in parameter.opts}


RECORDED = {name: each for name, each in _commands() if recorded.is_recorded(name)}


def _arguments(each: Any) -> list[str]:
    """The command line of its help's example; it is confirmed, and has a reason."""
    found = shlex.split(each.epilog.partition("honninctl ")[2].partition(" >")[0])
    found += ["--yes"] if "--yes" in _options(each) else []
    return found + ([] if "--reason" in found else ["--reason", "ticket 1"])


class Closed(FakeDeployment):
    """A stack whose access record cannot be written, and that nobody may ask for anything else."""

    def __init__(self) -> None:
        names = ("StateTableName", "ReconBucketName", "PersonalDataBucketName", "EventQueueUrl", "RereadQueueUrl")
        super().__init__({name: name for name in names})

    def patient(self) -> Deployment:
        """The same."""
        return self

    def keep_access(self, access: Access) -> None:
        """It is refused."""
        super().keep_access(access)
        raise client_error("AccessDeniedException", "PutItem")

    def client(self, service: str) -> Any:
        """CloudFormation says what the stack is called."""
        assert service == "cloudformation", f"{service} was asked before the record"
        return super().client(service)

    def merchant(self, *asked: Any) -> Any:
        """Nobody may."""
        raise AssertionError(f"{asked} before the record")


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Closed:
    made = Closed()
    monkeypatch.setattr(command, "Deployment", lambda _: made)
    return made


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("more", [(), ("--json",)], ids=["table", "json"])
def test_nothing_is_shown_or_done_if_it_cannot_be_written(name: str, more: tuple[str, ...], closed: Closed) -> None:
    arguments = _arguments(RECORDED[name])
    more = () if "--csv" in arguments or "--output" in arguments else more
    ended = run(*arguments, *more)
    assert (ended.exit_code, ended.stdout) == (ExitCode.NO_ACCESS, ""), ended.stderr
    assert "access record" in ended.stderr
    [kept] = closed.accesses
    # `recon DAY` is the one whose path has no name of a command.
    assert kept.what.replace("DAY", "2026-11-20") in " ".join(arguments)
    assert (kept.who, kept.source) == (OFFICER, "cli")
    assert kept.action in recorded.RECORDED[name]
    assert kept.user_id == ("user-100" if "user-100" in arguments else None)
    assert kept.reason in ("ticket 1", "ticket 4711", "new PayPay key")
    # What was asked for is kept with it, and nothing that was typed freely.
    typed = [each for each in arguments if each.startswith("--") and each not in ("--reason", "--yes")]
    assert [each for each in (kept.options or "").split() if each.startswith("--")] == typed
    for free in ("october.csv", "expiring.csv", "7ddaf5d8", "honnin-prod-restored"):
        assert free not in (kept.options or "")


def test_every_command_has_its_decision_and_the_table_no_other() -> None:
    names = [name for name, _ in _commands()]
    assert sorted(names) == sorted([*recorded.RECORDED, *recorded.NOT_RECORDED])
    assert len(names) > 40
    with pytest.raises(LookupError, match="decide"):
        command.command(command.group(app.program(), "users", "about"), "new", example="")


def test_what_is_not_recorded_is_about_nobody_and_changes_nothing() -> None:
    """Of what is not recorded, only these change something; each says why in the table."""
    acting = {name for name in recorded.NOT_RECORDED if name.startswith("trigger ")} | {"console", "delete-stack"}
    for name, each in _commands():
        if name in RECORDED or name in acting:
            continue
        words = " ".join([each.help or "", *(str(parameter.metavar) for parameter in each.params)])
        assert not re.search(r"\bUSER\b|\"userId\"", words), name
        assert not _options(each) & {"--yes", "--dry-run", "--reveal"}, name


def test_the_page_has_each_command_by_what_it_is_recorded_as() -> None:
    page = (TEMPLATE.parent / "docs" / "security.md").read_text(encoding="utf-8")
    section = page.partition("## Access record")[2].partition("What is recorded by whom")[0]
    rows = [[each.strip() for each in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    said = {name for _, commands, *_ in rows[2:] for name in re.findall(r"`([^`]+)`", commands)}
    assert {name.removesuffix(" DAY") for name in recorded.RECORDED} <= said
    assert {action for action, *_ in rows[2:]} == {f"`{each}`" for each in Action}


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("RISK_FLAGGED", "RISK_FLAGGED"),
        ("paypay/VERIFIED", "paypay/VERIFIED"),
        ("2026-10-31", "2026-10-31"),
        ("2026-10-31T09:30+09:00", "2026-10-31T09:30+09:00"),
        ("30d", "30d"),
        (5, "5"),
        (["KeyError", "Yamada"], "KeyError,…"),
        ("YAMADA", "…"),
        ("yamada@example.com", "…"),
        ("090-1234-5678", "…"),
        ("09012345678", "…"),
        ("/home/yamada/list.csv", "…"),
        ("paypay/山田", "…"),
        ("٣٠d", "…"),
        ("2026-10-31\n", "…"),
    ],
)
def test_a_filter_is_kept_and_no_value_that_may_name_a_person(value: object, kept: str) -> None:
    assert recorded.options({"--x": value}) == f"--x {kept}"


def test_a_list_is_recorded_with_what_it_was_asked_for(closed: Closed) -> None:
    run("users", "--provider", "paypay", "--status", "VERIFIED", "--since", "2026-10-01")
    run("users", "--provider", "paypay", "--status", "YAMADA")
    run("deadletters", "list", "--user", "u-1", "--reveal", "--reason", "r")
    run("recon", "2026-11-20", "--dry-run")
    run("expiring", "--within", "30d", "--csv")
    run("counts")
    assert [(each.user_id, each.options) for each in closed.accesses] == [
        (None, "--provider paypay --status VERIFIED --since 2026-10-01"),
        (None, "--provider paypay --status …"),
        ("u-1", "--user … --reveal"),
        (None, "DAY 2026-11-20 --dry-run"),
        (None, "--within 30d --csv"),
    ]


# The console only offers more with it; its forms ask for the reason (tests/unit/test_console_acting.py).
REVEALING = [name for name, each in _commands() if "--reveal" in _options(each) and name != "console"]


@pytest.mark.parametrize("name", REVEALING)
@pytest.mark.parametrize("reason", [(), ("--reason", " ")])
def test_every_command_that_reveals_needs_a_reason(name: str, reason: tuple[str, ...], closed: Closed) -> None:
    arguments = _arguments(RECORDED[name])
    arguments = [each for each in arguments[: arguments.index("--reason")] if each not in ("--reveal", "--dry-run")]
    ended = run(*arguments, "--reveal", *reason)
    assert (ended.exit_code, closed.accesses) == (ExitCode.USAGE, [])
    assert "--reveal needs --reason" in ended.stderr
    assert run(*arguments, "--reveal", "--reason", "ticket 1").exit_code == ExitCode.NO_ACCESS
    assert [each.reason for each in closed.accesses] == ["ticket 1"]


def test_an_erasure_needs_a_reason(closed: Closed) -> None:
    for arguments in (["erase", "u", "--yes"], ["erase", "u", "--yes", "--reason", "  "]):
        ended = run(*arguments)
        assert (ended.exit_code, closed.accesses) == (ExitCode.USAGE, [])
        assert "--reason" in ended.stderr
    assert run("export", "u").exit_code == ExitCode.NO_ACCESS
    assert [each.action for each in closed.accesses] == [Action.EXPORTED]


@pytest.mark.parametrize(
    ("options", "actions"),
    [
        ((), ["redriven"]),
        (("--queue", "events"), ["redriven"]),
        (("--queue", "schedule", "--discard"), ["discarded"]),
        (("--discard",), ["redriven", "discarded"]),
        # Without --discard, nothing is done with the messages of failed runs.
        (("--queue", "schedule"), ["listed"]),
        (("--discard", "--dry-run"), ["listed"]),
    ],
)
def test_a_redrive_is_recorded_as_what_it_does(
    options: tuple[str, ...], actions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = FakeDeployment({})
    monkeypatch.setattr(command, "Deployment", lambda _: deployment)
    run("deadletters", "redrive", "--yes", *options)
    assert [each.action for each in deployment.accesses] == actions
    assert set(actions) <= set(recorded.RECORDED["deadletters redrive"])


def test_an_erasure_that_nobody_confirmed_is_not_recorded(closed: Closed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("honninctl.screen.Screen.ask", lambda *_: "another")
    assert run("erase", "u", "--reason", "ticket 1").exit_code == ExitCode.FINDING
    assert closed.accesses == []


@pytest.mark.parametrize("reason", ["x" * 201, "a\x1b[31mb"])
def test_a_reason_is_short_and_can_be_shown_and_is_not_repeated(reason: str, closed: Closed) -> None:
    ended = run("status", "u", "--reason", reason)
    assert (ended.exit_code, closed.accesses) == (ExitCode.USAGE, [])
    assert reason not in ended.stderr


def test_a_reason_is_one_line() -> None:
    deployment = FakeDeployment({})
    access.record(deployment, Action.LOOKED, "u", " ticket\n 1 ")
    assert [each.reason for each in deployment.accesses] == ["ticket 1"]


@pytest.mark.parametrize("user_id", ["", "山田", "a b", "x" * 65, "u#1", "u/1", ".", ".."])
def test_what_is_no_id_of_a_user_is_not_written(user_id: str) -> None:
    deployment = FakeDeployment({})
    with pytest.raises(UsageError):
        access.record(deployment, Action.LOOKED, user_id, None)
    assert deployment.accesses == []


@pytest.mark.parametrize(
    ("error", "meaning"),
    [(client_error("AccessDeniedException", "PutItem"), NotAllowedError), (OSError(28, "full"), CommandError)],
)
def test_the_error_keeps_its_meaning(error: Exception, meaning: type[CommandError]) -> None:
    class Failing(FakeDeployment):
        def keep_access(self, access: Access) -> None:
            raise error

    with pytest.raises(meaning, match="nothing was shown or done"):
        access.record(Failing({}), Action.LOOKED, "u", None)


# --- the console ---


def _page(stack: FakeDeployment, path: str) -> Page:
    steps, _, query = path.partition("?")
    with console_stack.answering():
        pages = Pages(stack, lambda: console_stack.NOW)
        return pages.page(Asked("/token", ("en", *steps.split("/")), dict(parse_qsl(query)), ""))


def _names_a_user(page: Page) -> bool:
    return any(each.encode() in page.body for each in (console_stack.LONG, "user-1000", "kyc_read", "VERIFIED,"))


@pytest.mark.parametrize("path", [*console_stack.PAGES, "users.csv?list=expiring", "users.csv?of=paypay/VERIFIED"])
def test_a_page_that_names_a_user_is_recorded_first_or_is_not_shown(path: str) -> None:
    class Refusing(console_stack.Stack):
        def keep_access(self, access: Access) -> None:
            super().keep_access(access)
            assert self.asked == []
            raise client_error("AccessDeniedException", "PutItem")

    shown, refusing = _page(stack := console_stack.Stack({}), path), Refusing({})
    assert shown.status in (200, 404)
    refused = _page(refusing, path)
    assert not _names_a_user(refused)
    assert len(stack.accesses) == len(refusing.accesses)
    if _names_a_user(shown):
        [kept] = stack.accesses
        assert kept.source == "console"
        assert kept.user_id == (console_stack.USER if path.startswith("user?") else None)
    assert stack.accesses == [] or "山" not in str(stack.accesses[0].options)
    if stack.accesses:
        assert refused.status == 403
        assert refusing.asked == []


def test_a_page_is_recorded_with_what_it_was_asked_for() -> None:
    for path, kept in (
        ("users?of=paypay/VERIFIED&山田=1", "of paypay/VERIFIED"),
        ("users.csv?list=expiring&days=30", "list expiring days 30"),
        ("users?q=yamada", "q …"),
        ("recon/2026-11-19", "day 2026-11-19"),
    ):
        _page(stack := console_stack.Stack({}), path)
        assert [each.options for each in stack.accesses] == [kept]


# --- the items, and `honninctl access` ---


class World:
    """A table in memory, and a stack on it, with the real writing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.db, self.clock = dynamodb(), FakeClock()
        self.store = Store(create_table(self.db, "StateTable"), self.db, now=self.clock)
        self.deployment = _Real(self.store)
        monkeypatch.setattr(command, "Deployment", lambda _: self.deployment)

    def add(self, at: datetime, user_id: str | None = "u-1", **more: Any) -> None:
        """An access at that moment."""
        facts = {"action": "looked", "who": OFFICER, "source": "cli", "what": "status", **more}
        self.store.access.add(Access(utc_text(at), user_id=user_id, **facts), 30)

    def items(self) -> list[dict[str, Any]]:
        """The table."""
        return list(self.store.table.items("scan", expired=True))


class _Real(FakeDeployment):
    def __init__(self, store: Store) -> None:
        queues = dict.fromkeys(dead_letters.OUTPUTS.values(), "https://q")
        outputs = {"StateTableName": "StateTable", "PersonalDataBucketName": "vault", **queues}
        super().__init__({**outputs, "AccessRecordRetentionDays": "30"})
        self._store = store
        self.sts = Service(get_caller_identity={"Arn": OFFICER})
        self.services["sts"] = self.sts

    keep_access = Deployment.keep_access
    caller = Deployment.caller

    @property
    def store(self) -> Store:
        """The table in memory."""
        return self._store


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with memory_aws():
        yield World(monkeypatch)


def test_an_item_holds_who_what_and_why_and_expires(world: World) -> None:
    access.record(world.deployment, Action.REVEALED, "u-1", "ticket 1", what="export")
    access.record(world.deployment, Action.LISTED, None, what="users")
    [one, other] = sorted(world.items(), key=lambda each: str(each["pk"]), reverse=True)
    assert one["pk"] == "ACCESS#u-1"
    assert other["pk"] == "ACCESS#"
    at, _, name = str(one["sk"]).partition("#")
    assert len(name) == 32
    assert {key: one[key] for key in one.keys() - {"pk", "sk", "expires_at"}} == {
        "action": "revealed",
        "who": OFFICER,
        "source": "cli",
        "what": "export",
        "reason": "ticket 1",
    }
    ends = datetime.fromisoformat(at) + timedelta(days=30)
    assert int(one["expires_at"]) == int(ends.timestamp())
    # STS is asked once.
    assert len(world.deployment.sts.calls) == 1


class _Asking(_Real):
    """It asks the merchant API and the table whose id it is."""

    knows = Deployment.knows

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.services["s3"] = Service(list_object_versions={})


@pytest.mark.parametrize("typed", ["yamada@example.com", "09012345678", "taro.yamada"])
def test_what_is_no_users_id_is_a_look_at_nobody_and_is_kept_nowhere(
    typed: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = _Asking(world.store)
    monkeypatch.setattr(command, "Deployment", lambda _: asking)
    for arguments in (["status", typed], ["timeline", typed, "--limit", "5"], ["access", typed]):
        asking.api.extend([NotKnownError("x")] * 4)
        run(*arguments)
    kept = sorted(world.items(), key=lambda each: str(each["sk"]))
    assert [(each["pk"], each["action"], each["what"], each["options"]) for each in kept] == [
        ("ACCESS#", "looked", "status", "nobody"),
        ("ACCESS#", "looked", "timeline", "nobody --limit 5"),
        ("ACCESS#", "looked", "access", "nobody"),
    ]
    assert typed not in str(kept)
    [shown, *_] = access.accesses(asking, None, "0", "9", 10)
    assert typed not in str(shown)


NOT_ALLOWED = NotAllowedError("no")


@pytest.mark.parametrize(
    ("api", "table", "known"),
    [
        ([{"userId": "u"}], "", True),
        # One who was erased has a timeline only; in the end there are only the certificate and the accesses.
        ([NotKnownError("x"), {"entries": []}], "", True),
        ([NotKnownError("x"), NotKnownError("x")], "certificate", True),
        ([NotKnownError("x"), NotKnownError("x")], "access", True),
        # After a restore, the table may lack users whose objects are in the bucket.
        ([NotKnownError("x"), NotKnownError("x")], "object", True),
        ([NotKnownError("x"), NotKnownError("x")], "deleted object", True),
        ([NotKnownError("x"), NotKnownError("x")], "", False),
        # A reader may not ask the table, and whoever has MaintenancePolicy not the API.
        ([NotKnownError("x"), NotKnownError("x")], "refused", False),
        ([NOT_ALLOWED, NOT_ALLOWED], "status", True),
        ([NOT_ALLOWED, NOT_ALLOWED], "", False),
        ([NOT_ALLOWED, NOT_ALLOWED], "refused", None),
        ([UnreachableError("x")], "access", None),
    ],
)
def test_a_user_is_who_is_known_at_all(
    api: list[Any], table: str, known: bool | None, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = _Asking(world.store)
    asking.api.extend(api)
    if table == "access":
        world.add(world.clock(), "u")
    refusal = client_error("AccessDeniedException", "Query")
    for subject, name, answer in (
        (world.store.users, "statuses", [mock.Mock()] if table == "status" else []),
        (world.store.erasure, "certificates", [mock.Mock()] if table == "certificate" else []),
    ):
        told = {"side_effect": refusal} if table == "refused" else {"return_value": answer}
        monkeypatch.setattr(subject, name, mock.Mock(**told))
    found: dict[str, Any] = {
        "object": {"Versions": [{}]},
        "deleted object": {"DeleteMarkers": [{}]},
    }.get(table, {})
    under = "vexora/u/" if table == "object" else "paypay/u/"
    asking.services["s3"] = Service(
        list_object_versions=client_error("AccessDenied", "ListObjectVersions")
        if table == "refused"
        else lambda **request: found if request["Prefix"] == under else {}
    )
    if table == "refused":
        monkeypatch.setattr(world.store.access, "page", mock.Mock(side_effect=refusal))
    before = len(world.items())
    if known is None:
        with pytest.raises(CommandError, match="nothing was shown or done"):
            access.record(asking, Action.LOOKED, "u")
        assert len(world.items()) == before
        return
    access.record(asking, Action.LOOKED, "u")
    added = {str(each["pk"]) for each in world.items()}
    assert ("ACCESS#u" in added) is known
    assert ("ACCESS#" in added) is not known


def test_the_accesses_of_a_user_are_read_newest_first_page_by_page(world: World) -> None:
    for number in range(7):
        world.add(world.clock() + timedelta(hours=number), reason=str(number))
        world.add(world.clock(), "u-10")
    world.add(world.clock() + timedelta(hours=6), reason="the same moment")
    seen: list[Access] = []
    cursor: str | None = None
    while True:
        page = world.store.access.page("u-1", 3, cursor=cursor)
        assert len(page.accesses) <= 3
        seen += page.accesses
        cursor = page.cursor
        if cursor is None:
            break
    assert [each.reason for each in seen][2:] == ["5", "4", "3", "2", "1", "0"]
    assert {each.user_id for each in seen} == {"u-1"}
    assert len(seen) == 8
    since, until = (utc_text(world.clock() + timedelta(hours=each)) for each in (2, 5))
    between = world.store.access.page("u-1", 10, since=since, until=until).accesses
    assert [each.reason for each in between] == ["4", "3", "2"]


def test_an_expired_access_is_not_read(world: World) -> None:
    world.add(world.clock() - timedelta(days=31))
    assert world.store.access.page("u-1", 10).accesses == []


def test_a_user_whose_id_is_a_hyphen_is_no_list(world: World) -> None:
    world.add(world.clock(), "-")
    assert world.store.access.page(None, 10).accesses == []


def test_the_command_shows_them_and_is_recorded_itself(world: World) -> None:
    for day, reason in ((1, "early"), (20, "in it"), (31, "late")):
        world.add(datetime.fromisoformat(f"2026-10-{day:02}T14:59:59.999+00:00"), reason=reason)
    ended = run("access", "u-1", "--from", "2026-10-02", "--to", "2026-10-30", "--json")
    assert ended.exit_code == 0, ended.stderr
    said = json.loads(ended.stdout)
    assert said["userId"] == "u-1"
    assert [each["reason"] for each in said["accesses"]] == ["in it"]
    [kept] = [each for each in world.items() if each["what"] == "access"]
    assert (kept["action"], kept["pk"]) == ("looked", "ACCESS#u-1")
    shown = run("access", "u-1", "--limit", "3").stdout
    assert OFFICER in shown
    assert "late" in shown
    assert "early" not in shown
    assert json.loads(run("access", "--recent", "--json").stdout)["accesses"][0]["what"] == "access"


@pytest.mark.parametrize("arguments", [[], ["u-1", "--recent"], ["u-1", "--from", "soon"]])
def test_it_says_what_is_wrong_and_records_nothing(arguments: list[str], world: World) -> None:
    assert run("access", *arguments).exit_code == ExitCode.USAGE
    assert world.items() == []


def test_an_erasure_leaves_them_but_for_their_reasons() -> None:
    """docs/erasure.md: whoever looks and then erases must not remove the trace; a reason may name a person."""
    with memory_aws():
        world = register_world.World()
        world.move("u-1", "VERIFIED")
        access = Access(utc_text(world.now), "looked", OFFICER, "cli", "status", "u-1", "Yamada called")
        plain = replace(access, reason=None)
        other, of_list = replace(access, user_id="u-10"), replace(access, user_id=None)
        for each in (access, plain, other, of_list):
            world.store.access.add(each, 30)
        world.erase("u-1")
        assert world.store.users.status("u-1", "paypay") is None
        left = world.store.access.page("u-1", 10).accesses
        assert plain in left
        [emptied] = [each for each in left if each != plain]
        assert emptied == replace(plain, reason_erased_at=utc_text(world.now))
        assert world.store.access.page("u-10", 10).accesses == [other]
        assert world.store.access.page(None, 10).accesses == [of_list]
        # Of what comes later, a repeated erasure removes it.
        world.store.access.add(access, 30)
        world.erase("u-1")
        assert [each.reason for each in world.store.access.page("u-1", 10).accesses] == [None] * 3


def test_the_reason_of_a_look_for_a_user_who_never_was_can_be_erased() -> None:
    with memory_aws():
        world = register_world.World()
        world.store.access.add(Access(utc_text(world.now), "looked", OFFICER, "cli", "status", "u-1", "Yamada"), 30)
        with pytest.raises(NotFoundError):
            world.erase("u-1")
        assert [each.reason for each in world.store.access.page("u-1", 10).accesses] == [None]


def test_more_reasons_than_there_is_time_for_go_in_several_calls(world: World) -> None:
    for _ in range(100):
        world.add(world.clock(), reason="why")
    left = iter(range(2))

    def may_go_on() -> None:
        next(left)

    with pytest.raises(StopIteration):
        world.store.access.forget_reasons("u-1", utc_text(world.clock()), may_go_on)
    assert sum("reason" in each for each in world.items()) == 20
    world.store.access.forget_reasons("u-1", utc_text(world.clock()))
    assert len(world.items()) == 100
    assert not any("reason" in each for each in world.items())


def test_a_restore_brings_them_back_and_of_an_erased_user_without_the_reason(world: World) -> None:
    """docs/erasure.md: they stay, without the reason. An item of another kind with a user would be left out."""
    for user_id in ("u-1", "u-2", None):
        world.add(world.clock(), user_id, reason="why")
    schema = template()["Resources"]["StateTable"]["Properties"]
    wanted = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    world.db.create_table(TableName="live", **{name: schema[name] for name in wanted})
    live = Store("live", world.db, now=world.clock)
    facts = LiveFacts(frozenset({"u-1"}), frozenset(), frozenset())
    done = bring_back(world.store, live, facts, now=0, advance=lambda _: None)
    assert done.brought == {"access": 3}
    found = {each: live.access.page(each, 10).accesses[0].reason for each in ("u-1", "u-2", None)}
    assert found == {"u-1": None, "u-2": "why", None: "why"}


def test_an_entry_is_never_written_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("honnin.store.access.secrets.token_hex", lambda _: "same")
    world.add(world.clock(), reason="the first")
    with pytest.raises(ConcurrentUpdateError):
        world.add(world.clock(), reason="the second")
    assert [each["reason"] for each in world.items()] == ["the first"]
    monkeypatch.setattr("honninctl.access.datetime", mock.Mock(now=lambda _: world.clock()))
    with pytest.raises(CommandError, match="nothing was shown or done"):
        access.record(world.deployment, Action.LOOKED, "u-1", None)


@pytest.mark.parametrize(
    ("provider", "subject", "users"),
    [("paypay", "auth-1", ["u-1"]), ("vexora", "sub-2", ["u-2"]), ("honnin", "u-3", ["u-3"]), ("paypay", "no", [])],
)
def test_who_sees_a_dead_letter_is_recorded_with_its_user_before_it_is_shown(
    provider: str, subject: str, users: list[str], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Event(event_id="e-1", provider=provider, kind="kyc", cause="webhook", subject=subject, received_at="now")
    body = {"MessageId": "m-1", "Body": given.to_json(), "Attributes": {"SentTimestamp": "0"}}
    links = mock.Mock(return_value={"auth-1": "u-1"} if subject == "auth-1" else {})
    monkeypatch.setattr(world.store.links, "users", links)
    submission = mock.Mock(user_id="u-2") if subject == "sub-2" else None
    monkeypatch.setattr(world.store.submissions, "get", lambda _: submission)
    monkeypatch.setattr(dead_letters, "_messages", lambda *_: [(Queue.EVENTS, body)])
    ended = run("deadletters", "show", "m-1", "--json")
    assert ended.exit_code == 0, ended.stderr
    kept = sorted((str(each["pk"]), str(each["action"])) for each in world.items())
    assert kept == [("ACCESS#", "listed"), *((f"ACCESS#{each}", "looked") for each in users)]
    assert all("m-1" not in str(each) for each in world.items())


def test_an_export_has_who_looked_at_the_user(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.add(world.clock(), reason="early", options="--all")
    monkeypatch.setattr(export, "_vault_objects", lambda *_: [{"key": "a"}])
    ended = run("export", "u-1", "--reason", "asked by the person")
    assert ended.exit_code == 0, ended.stderr
    said = json.loads(ended.stdout)["accesses"]
    assert [(each["what"], each["reason"], each["options"]) for each in said] == [
        ("export", "…", None),
        ("status", "…", "--all"),
    ]


@pytest.mark.parametrize("sk", ["2026-11-28T00:00:00.000Z#a", "no time", "9"])
def test_an_entry_that_honnin_did_not_write_hides_no_other(world: World, sk: str) -> None:
    """Whoever may add an entry can also add something else under the user."""
    access.record(world.deployment, Action.LOOKED, "u-1", what="status")
    put = {"pk": {"S": "ACCESS#u-1"}, "sk": {"S": sk}}
    world.store.table.db.put_item(TableName=world.store.table.name, Item=put)
    shown = {each["action"]: each for each in access.all_of(world.deployment, "u-1", until="z")}
    assert shown.keys() == {"looked", "unreadable"}
    assert shown["unreadable"]["what"] == sk
    assert moments.shown(shown["unreadable"]["at"])
