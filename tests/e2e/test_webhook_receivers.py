"""The receivers of docs/api.md (which api.ja.md repeats), as they stand there, under webhooks as Honnin signs them.

They verify with the reference libraries of Standard Webhooks, in Python and in Node: what Honnin signs is so checked by
code that is none of ours, in two languages. No stack is needed.
"""

import base64
import http.client
import json
import os
import queue
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from honnin.merchant_webhook import delivery
from honnin.merchant_webhook.message import Message
from local import ports
from local.paths import ROOT
from tests import documents
from tests.e2e import node

pytestmark = pytest.mark.e2e

_PATIENCE_S = 60

PAGE = ROOT / "docs" / "api.md"
# By the language of the block: the file's name, and the program that runs it.
LANGUAGES = {"python": ("receiver.py", sys.executable), "js": ("receiver.mjs", "node")}

# As CloudFormation generates it and as `honninctl webhooks rotate` makes it: what a person reads in Secrets Manager.
GENERATED = "Rk3vZ0qLxw7TnB5cYd1MhU8sJ2aPf6GeRk3vZ0qLxw7TnB5cYd1MhU8sJ2aPf6Ge"
OLD, NEW = f"whsec_{GENERATED}", "whsec_" + base64.b64encode(bytes(range(32))).decode()
AT = "2026-11-21T12:00:00.000Z"


def receiver(language: str) -> str:
    """The one receiver in a programming language."""
    [found] = [each.text for each in documents.blocks(PAGE) if each.language == language]
    return found


class Running:
    """A receiver at work on 127.0.0.1, in a folder of its own."""

    def __init__(self, language: str, folder: Path) -> None:
        name, program = LANGUAGES[language]
        (folder / name).write_text(receiver(language), encoding="utf-8")
        self._command = [program, name]
        self._folder = folder
        self.lines: queue.Queue[str] = queue.Queue()
        self.start()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self.port = ports.free_port()
        self.process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            env={
                "PATH": os.environ["PATH"],
                "HONNIN_WEBHOOK_SECRET": GENERATED,
                "PORT": str(self.port),
                "LANG": "C.UTF-8",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._read, args=[self.process], daemon=True).start()
        until = datetime.now(UTC) + timedelta(seconds=_PATIENCE_S)
        while datetime.now(UTC) < until and self.process.poll() is None:
            try:
                if self.post(b"{}", {}) == 401:
                    return
            except OSError:
                threading.Event().wait(0.05)
        self.stop()
        raise AssertionError("the receiver does not listen")

    def stop(self) -> str:
        """End it as a crash would; returns what it wrote to stderr."""
        self.process.kill()
        assert self.process.stderr is not None
        with self.process.stderr as errors:
            said = errors.read()
        self.process.wait()
        return said

    def post(self, body: bytes, headers: Mapping[str, str]) -> int:
        """The status with which it answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE_S)
        try:
            connection.request("POST", "/", body, {"Content-Type": "application/json", **headers})
            return connection.getresponse().status
        finally:
            connection.close()

    def until(self, last: str) -> list[str]:
        """The lines that it prints, up to that one."""
        found: list[str] = []
        while not found or found[-1] != last:
            found.append(self.lines.get(timeout=_PATIENCE_S))
        return found

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self.lines.put(line.strip().replace("null", "None"))


@pytest.fixture(params=list(LANGUAGES))
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    language = request.param
    if language == "js":
        node.need_node()
        (tmp_path / "node_modules").symlink_to(node.NODE_MODULES)
    made = Running(language, tmp_path)
    yield made
    made.stop()


def message(user: str, version: int, status: str | None, *, provider: str = "paypay") -> Message:
    """A webhook as Honnin makes it of a domain event; without a status the news of an erasure."""
    detail: dict[str, Any] = {"userId": user, "version": version}
    if status is None:
        return _of_event("UserErased", {**detail, "certificateId": secrets.token_hex(8), "completedAt": AT})
    detail |= {"provider": provider, "to": status, "occurredAt": AT, "eventId": secrets.token_hex(8)}
    return _of_event("KycStatusChanged", detail)


def _of_event(kind: str, detail: Mapping[str, Any]) -> Message:
    return Message.from_event(json.dumps({"source": "honnin", "detail-type": kind, "detail": detail}))


def signed(told: Message, keys: Sequence[str] = (OLD,), *, age: timedelta = timedelta()) -> dict[str, str]:
    """The headers of a try as Honnin sends it, with a signature by each key."""
    return dict(delivery.signed(told, keys, datetime.now(UTC) - age))


def test_a_signed_webhook_is_taken_and_one_of_two_signatures_is_enough(running: Running) -> None:
    for version, keys in enumerate([(OLD,), (OLD, NEW), (NEW, OLD)], start=1):
        told = message("user-100", version, "VERIFIED")
        assert running.post(told.body, signed(told, keys)) == 204
    assert len(running.until("user-100 paypay 3 VERIFIED")) == 3


def test_what_is_forged_or_old_is_refused_and_nothing_becomes_of_it(running: Running) -> None:
    genuine = message("user-100", 9, "VERIFIED")
    body, good = genuine.body, signed(genuine)
    forged = [
        (body, signed(genuine, [NEW])),
        (body.replace(b"VERIFIED", b"INACTIVE"), good),
        (body, {**good, "webhook-id": "msg_another"}),
        (body, {**good, "webhook-timestamp": str(int(good["webhook-timestamp"]) + 1)}),
        (body, {**good, "webhook-signature": "v1,AAAA"}),
        (body, {**good, "webhook-signature": "nothing of the kind"}),
        (body, {**good, "webhook-signature": good["webhook-signature"].replace("v1,", "v0,")}),
        (body, {key: value for key, value in good.items() if key != "webhook-signature"}),
        (b"\xff\xfe", good),
        (b"", {}),
    ]
    off = [(body, signed(genuine, age=age)) for age in (timedelta(minutes=6), timedelta(minutes=-6))]
    assert [running.post(*each) for each in [*forged, *off]] == [401] * (len(forged) + len(off))
    last = message("user-200", 1, "LINKED")
    assert running.post(last.body, signed(last)) == 204
    assert running.until("user-200 paypay 1 LINKED") == ["user-200 paypay 1 LINKED"]


def test_a_repeat_is_answered_and_takes_no_effect_also_after_a_crash(running: Running) -> None:
    told = message("user-100", 1, "LINKED")
    assert [running.post(told.body, signed(told)) for _ in range(3)] == [204] * 3
    assert running.until("user-100 paypay 1 LINKED") == ["user-100 paypay 1 LINKED"]
    running.stop()
    running.lines = queue.Queue()
    running.start()
    assert running.post(told.body, signed(told)) == 204
    last = message("user-200", 1, "LINKED")
    assert running.post(last.body, signed(last)) == 204
    assert running.until("user-200 paypay 1 LINKED").count("user-100 paypay 1 LINKED") <= 1


def test_the_greatest_version_wins_for_each_user_and_provider(running: Running) -> None:
    sent = [
        message("user-100", 3, "VERIFIED"),
        message("user-100", 2, "LINKED"),  # late
        message("user-100", 1, "PENDING", provider="vexora"),
        message("user-200", 1, "LINKED"),
        message("user-100", 4, "INACTIVE"),
    ]
    for each in sent:
        assert running.post(each.body, signed(each)) == 204
    assert sorted(running.until("user-100 paypay 4 INACTIVE")) == [
        "user-100 paypay 3 VERIFIED",
        "user-100 paypay 4 INACTIVE",
        "user-100 vexora 1 PENDING",
        "user-200 paypay 1 LINKED",
    ]


def test_what_comes_late_about_an_erased_user_brings_nothing_back(running: Running) -> None:
    sent = [
        message("user-100", 3, "VERIFIED"),
        message("user-100", 5, None),
        message("user-100", 4, "APPROVED", provider="vexora"),
        message("user-100", 6, "LINKED"),  # the user has come back
    ]
    for each in sent:
        assert running.post(each.body, signed(each)) == 204
    assert running.until("user-100 paypay 6 LINKED") == [
        "user-100 paypay 3 VERIFIED",
        "user-100 paypay 5 None",
        "user-100 vexora 5 None",
        "user-100 paypay 6 LINKED",
    ]


def test_types_and_fields_that_it_does_not_know_are_taken_and_ignored(running: Running) -> None:
    recon = {"fileType": "t", "day": "2026-11-20", "comparison": 1, "comparedAt": AT}
    later = message("user-300", 1, "LINKED")
    known = message("本人-1", 1, "LINKED")
    for told in (
        Message.test(datetime.now(UTC)),
        _of_event("ReconCompleted", recon),
        Message(later.message_id, later.body.replace(b"kyc.status.changed", b"of.a.later.version")),
        Message(known.message_id, known.body.replace(b'"data":{', b'"more":[{}],"data":{"more":null,')),
    ):
        assert running.post(told.body, signed(told)) == 204
    assert running.until("本人-1 paypay 1 LINKED") == ["本人-1 paypay 1 LINKED"]


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_without_node_or_its_packages_it_is_skipped_and_in_ci_fails_with_the_reason(
    ci: str, outcome: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(node, "NODE_MODULES", tmp_path / "node_modules")
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/node")
    with pytest.raises(outcome, match=r"local/node\.sh"):
        node.need_node()
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(outcome, match="no node on the PATH"):
        node.need_node()


@pytest.fixture
def work_tree(tmp_path: Path) -> Path:
    """What local/node.sh needs, in a folder of its own."""
    shutil.copytree(ROOT / "requirements" / "node", tmp_path / "requirements" / "node")
    return tmp_path


def _set_up(work_tree: Path, path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [shutil.which("bash") or "bash", ROOT / "local" / "node.sh"],
        cwd=work_tree,
        env={"PATH": path, "HOME": str(work_tree)},
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=False,
    )


def _programs(folder: Path, npm: str) -> str:
    """A PATH with a node, an npm that does that, and what every machine has."""
    folder.mkdir()
    for name, script in (("node", "exit 0"), ("npm", npm)):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def test_a_machine_without_npm_is_told_and_make_goes_on(work_tree: Path) -> None:
    empty = work_tree / "empty"
    empty.mkdir()
    done = _set_up(work_tree, str(empty))
    assert (done.returncode, "No npm with Node 20 or later" in done.stdout) == (0, True)
    assert not (work_tree / ".node").exists()


def test_an_installation_that_failed_is_told_and_done_again(work_tree: Path) -> None:
    failing = _programs(work_tree / "failing", "echo no network >&2; exit 1")
    done = _set_up(work_tree, failing)
    assert (done.returncode, "npm could not install it (read build/node.log)" in done.stdout) == (0, True)
    assert "no network" in (work_tree / "build" / "node.log").read_text()
    working = _programs(work_tree / "working", 'test "$1" = ci && test -f .npmrc && mkdir node_modules')
    assert "done in" in _set_up(work_tree, working).stdout
    assert (work_tree / ".node" / ".installed").read_bytes() == node.LOCK.read_bytes()
    assert _set_up(work_tree, failing).stdout == "", "it is there already"
