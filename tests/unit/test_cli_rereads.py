"""`reread` of many users, and `rereads`: what is said before it begins, how it is followed, paused and resumed."""

import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from honnin.store.overview import IndexNotReadyError, Overview
from honninctl import command, rereads
from honninctl.failures import ExitCode
from honninctl.rereads import Asked
from honninctl.screen import Screen
from tests.fakes.cli import FakeDeployment, Service, run
from tests.fakes.reread_engine import MACHINE, STARTED, RereadEngine

OUTPUTS = {"StateTableName": "StateTable", "ReconBucketName": "recon", "RereadUsersArn": MACHINE}


class Stack:
    """A deployment in front of the engine. The engine goes on while an operator watches."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.engine = RereadEngine()
        self.deployment = FakeDeployment(OUTPUTS)
        self.deployment.__dict__["store"] = self.engine.store
        self.deployment.services["stepfunctions"] = self.engine.states
        self.deployment.services["s3"] = Service()
        self.deployment.services["s3"].put_object = self._put
        self.asked: list[str] = []
        self.answer = True
        monkeypatch.setattr(command, "Deployment", lambda _where: self.deployment)
        monkeypatch.setattr(Screen, "confirmed", lambda _screen, question: self._ask(question))

    def _ask(self, question: str) -> bool:
        self.asked.append(question)
        return self.answer

    def _put(self, Bucket: str, Key: str, Body: Any) -> None:  # noqa: N803
        assert Bucket == "recon"
        self.engine.objects.put_object(Key=Key, Body=Body.read())

    def go_on(self) -> None:
        """A minute passes."""
        self.engine.run()
        self.engine.work()
        self.engine.clock.now += timedelta(seconds=61)

    def begin(self, *arguments: str) -> str:
        """Start a reread; returns its name."""
        ended = run("reread", *arguments, "--yes", "--json")
        assert ended.exit_code == 0, ended.output
        return str(json.loads(ended.stdout)["name"])


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Stack:
    made = Stack(monkeypatch)
    watch = rereads.watch
    monkeypatch.setattr(
        rereads, "watch", lambda deployment, name: watch(deployment, name, sleep=lambda _: made.go_on())
    )
    for number in range(5):
        made.engine.link(f"user-{number}", "VERIFIED" if number else "UNCONFIRMED")
    made.engine.submit("user-0")
    return made


def test_it_says_what_it_will_do_and_asks(stack: Stack) -> None:
    stack.answer = False
    ended = run("reread", "--status", "VERIFIED", "--provider", "paypay")
    assert ended.exit_code == ExitCode.FINDING
    [question] = stack.asked
    assert "4 users with the status VERIFIED are read again at PayPay" in question
    assert stack.engine.states.executions == {}
    assert stack.engine.store.rereads.all() == []


def test_it_is_followed_to_its_end(stack: Stack) -> None:
    ended = run("reread", "--status", "VERIFIED", "--watch", "--json", "--yes")
    assert ended.exit_code == 0, ended.output
    answer = json.loads(ended.stdout)
    assert answer["state"] == "done"
    assert (answer["users"], answer["sent"], answer["done"], answer["open"], answer["read"]) == (4, 4, 4, 0, 4)
    assert "4 sent, 4 done" not in ended.stdout
    assert "done" in ended.stderr
    assert stack.engine.asked() == Counter({f"user-{number}": 2 for number in range(1, 5)})


@pytest.mark.parametrize(
    ("arguments", "whom"),
    [
        (("--status", "UNCONFIRMED"), {"user-0": 2}),
        (("--status", "PENDING"), {"user-0": 1}),
        (("--all", "--provider", "vexora"), {"user-0": 1}),
        (("--all",), {"user-0": 3} | {f"user-{number}": 2 for number in range(1, 5)}),
    ],
)
def test_the_provider_is_that_of_the_status(stack: Stack, arguments: tuple[str, ...], whom: dict[str, int]) -> None:
    run("reread", *arguments, "--watch", "--yes")
    assert stack.engine.asked() == Counter(whom)


def test_a_file_is_taken_along(stack: Stack, tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_text("user-1\nuser-3\n\nnobody\n", encoding="utf-8")
    ended = run("reread", "--file", str(path), "--watch", "--yes", "--json")
    assert "3 users of ids.txt are read again at PayPay and Vexora" in ended.stderr
    assert stack.engine.asked() == Counter({"user-1": 2, "user-3": 2})
    assert json.loads(ended.stdout)["skipped"] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name one of"),
        (("user-1", "--status", "VERIFIED"), "name one of"),
        (("--status", "VERIFIED", "--all"), "name one of"),
        (("--all", "--file", "x"), "name one of"),
        (("--status", "verified"), "--status must be one of"),
        (("--status", "VERIFIED", "--provider", "vexora"), "VERIFIED is not a status of vexora"),
        (("--all", "--provider", "PayPay"), "--provider must be one of"),
        (("user-1", "--provider", "paypay"), "go with"),
        (("user-1", "--watch"), "go with"),
    ],
)
def test_what_cannot_be_meant_is_2(stack: Stack, arguments: tuple[str, ...], said: str) -> None:
    ended = run("reread", *arguments, "--yes")
    assert ended.exit_code == ExitCode.USAGE
    assert said in ended.stderr
    assert stack.engine.store.rereads.all() == []


def test_a_file_that_is_not_there_is_3(stack: Stack) -> None:
    assert run("reread", "--file", "/nowhere/ids.txt", "--yes").exit_code == ExitCode.NOT_FOUND


def test_paused_and_resumed(stack: Stack) -> None:
    name = stack.begin("--status", "VERIFIED")
    stack.go_on()
    assert json.loads(run("rereads", "show", name, "--json").stdout)["state"] == "running"

    paused = run("rereads", "pause", name, "--json")
    assert (paused.exit_code, json.loads(paused.stdout)["state"]) == (0, "paused")
    assert f"rereads resume {name}" in paused.stderr
    again = run("rereads", "pause", name)
    assert (again.exit_code, "is paused" in again.stderr) == (ExitCode.FINDING, True)

    ended = run("rereads", "resume", name, "--watch", "--json")
    assert (ended.exit_code, json.loads(ended.stdout)["state"]) == (0, "done")
    assert stack.engine.asked() == Counter({f"user-{number}": 2 for number in range(1, 5)})
    over = run("rereads", "resume", name)
    assert (over.exit_code, "is done" in over.stderr) == (ExitCode.FINDING, True)


def test_one_that_nobody_knows_is_3(stack: Stack) -> None:
    for action in ("show", "pause", "resume"):
        assert run("rereads", action, "reread-all-1").exit_code == ExitCode.NOT_FOUND


def test_the_list_has_the_latest_first(stack: Stack) -> None:
    for day in range(3):
        planned = rereads.plan(stack.deployment, Asked(everybody=True), STARTED + timedelta(days=day))
        rereads.begin(stack.deployment, planned)
    shown = json.loads(run("rereads", "list", "--most", "2", "--json").stdout)["rereads"]
    assert [each["name"] for each in shown] == ["reread-all-20260403t030000z", "reread-all-20260402t030000z"]
    assert "reread-all-20260401t030000z" in run("rereads", "list").stdout


def test_who_was_not_read_is_1(stack: Stack) -> None:
    name = stack.begin("--status", "VERIFIED")
    for _ in range(20):
        stack.engine.run()
        stack.engine.work(what="reading_refused")
        stack.engine.clock.now += timedelta(seconds=61)
    ended = run("rereads", "show", name)
    assert ended.exit_code == ExitCode.FINDING
    assert "notRead     4" in ended.stdout


def test_an_index_that_is_being_filled_does_not_stop_reading_all(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    def counts(*_: Any) -> Any:
        raise IndexNotReadyError

    monkeypatch.setattr(Overview, "counts", counts)
    planned = rereads.plan(stack.deployment, Asked(everybody=True), STARTED)
    assert planned.summary.startswith("All users")
    assert planned.reread.segments == 1000


@pytest.mark.parametrize(("users", "segments"), [(0, 8), (300, 8), (1_000_000, 50), (36_000_000, 1000)])
def test_a_larger_table_has_more_segments(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, users: int, segments: int
) -> None:
    monkeypatch.setattr(rereads, "_everybody", lambda *_: users)
    assert rereads.plan(stack.deployment, Asked(everybody=True), STARTED).reread.segments == segments
