"""The local stack in the background: what it tells others, who may start and end it, how it is emptied.

On stand-ins for the emulator and the deployment; tests/e2e/test_local_commands.py has the real ones.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from honninctl import streams
from local import __main__ as program
from local import (
    background,
    bus,
    commands,
    deployment,
    description,
    differences,
    emulator,
    interrupts,
    paths,
    ports,
    providers,
    reset,
    stack,
)
from local.differences import Setting
from local.errors import LocalError
from local.stack import AccessKey, Merchant, Stack
from tests.documents import ROOT

_OUTPUTS = {
    "MerchantApiUrl": "http://127.0.0.1:1/restapis/a1/v1/_user_request_",
    "WebhookApiUrl": "http://127.0.0.1:1/hooks",
    "EventBusName": "honnin-local-events",
    "EventQueueUrl": "http://127.0.0.1:1/000000000000/events",
    "DeadLetterQueueUrl": "http://127.0.0.1:1/000000000000/dead",
}


def _stack(name: str = "mine", sandbox_url: str = "http://127.0.0.1:2") -> Stack:
    key = AccessKey("test", "local-deployer")
    merchant = Merchant(_OUTPUTS["MerchantApiUrl"], "ap-northeast-1", AccessKey("AKIAX", "s'ecret"))
    given = (Setting("SettleDelays", "2,10", "time"),)
    return Stack(name, "ap-northeast-1", "http://127.0.0.1:1", _OUTPUTS, key, merchant, sandbox_url, 7, given)


@pytest.fixture
def tree(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """build/local in a directory of the test's own."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(commands, "ROOT", tmp_path)
    return tmp_path


# --- parameters ---


def test_a_parameter_is_taken_as_it_is_typed() -> None:
    (url, empty) = differences.chosen(["PayPayBaseUrl=http://127.0.0.1:1/a=b?c", "MerchantWebhookUrl="])
    assert (url.name, url.value) == ("PayPayBaseUrl", "http://127.0.0.1:1/a=b?c")
    assert empty.value == ""


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("PayPayBaseURL=x", "did you mean PayPayBaseUrl"),
        ("settledelay=1", "did you mean SettleDelays"),
        ("VexoraUrl=x", "VexoraBaseUrl"),
        ("Zzzzzzzz=1", "docs/configuration.md"),
        ("SettleDelays", "write Name=value"),
        ("=x", "no parameter"),
    ],
)
def test_a_wrong_name_is_refused_with_the_near_ones(typed: str, said: str) -> None:
    with pytest.raises(LocalError, match=said):
        differences.chosen([typed])


def test_a_fixture_is_held_to_the_same_names(tree: Path) -> None:
    with (
        pytest.raises(LocalError, match="did you mean SettleDelays"),
        stack.running("mine", added=[Setting("SettleDelay", "1", "")]),
    ):
        pass


@pytest.mark.parametrize(("added", "missing"), [([], "PayPayBaseUrl"), (["PayPayBaseUrl=http://a"], "VexoraBaseUrl")])
def test_no_real_provider_is_called_because_the_sandbox_is_off(tree: Path, added: list[str], missing: str) -> None:
    with (
        pytest.raises(LocalError, match=missing),
        stack.running("mine", added=differences.chosen(added), sandbox=False),
    ):
        pass


def test_another_simulator_takes_the_place_of_the_sandbox_and_nothing_else() -> None:
    added = differences.chosen(["PayPayBaseUrl=http://127.0.0.1:7", "VexoraBaseUrl=http://127.0.0.1:8/japan"])
    given = {each.name: each.value for each in stack._settings("http://127.0.0.1:1", "", added)}
    assert given["PayPayBaseUrl"] == "http://127.0.0.1:7"
    assert "PayPayTokenAudience" not in given
    over = stack._settings("http://127.0.0.1:1", "http://127.0.0.1:2", differences.chosen(["SettleDelays=1"]))
    assert [each.value for each in over if each.name == "SettleDelays"] == ["1"]


# --- what a stack tells ---


def test_a_description_is_enough_to_work_on_the_stack() -> None:
    told = json.loads(json.dumps(description.of(_stack(), "honnin-local", "whsec_key")))
    assert told["queues"] == {
        "EventQueue": _OUTPUTS["EventQueueUrl"],
        "DeadLetterQueue": _OUTPUTS["DeadLetterQueueUrl"],
    }
    assert told["eventBus"] == "honnin-local-events"
    assert told["parameters"] == {"SettleDelays": "2,10"}


def test_a_shell_reads_the_exports(tmp_path: Path) -> None:
    (tmp_path / "env").write_text(description.exports(description.of(_stack(sandbox_url=""), "honnin-local", None)))
    script = '. ./env; echo "$MERCHANT_KEY|$HONNIN_ENDPOINT|$EVENT_BUS|${AWS_SESSION_TOKEN-none}|${SANDBOX_URL-none}"'
    said = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env={"AWS_SESSION_TOKEN": "x"}, capture_output=True, text=True, check=True
    )
    assert said.stdout == "AKIAX:s'ecret|http://127.0.0.1:1|honnin-local-events|none|none\n"


@pytest.fixture
def started(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`stack.running` without an emulator, a sandbox and a deployment."""

    @contextlib.contextmanager
    def place(url: str) -> Iterator[str]:
        yield url

    monkeypatch.setattr(emulator, "running", lambda *_: place("http://127.0.0.1:1"))
    monkeypatch.setattr(providers, "running", lambda *_, **__: place("http://127.0.0.1:2"))
    monkeypatch.setattr(deployment, "build_and_deploy", lambda *_, **__: None)
    monkeypatch.setattr(ports, "free_port", lambda: 1)
    monkeypatch.setattr(stack, "_described", lambda name, *_: _stack(name))
    monkeypatch.setattr(stack, "register_webhooks", lambda _: None)


def test_a_stack_is_found_while_it_runs_and_not_after(started: None) -> None:
    with pytest.raises(LocalError, match="make up NAME=mine"):
        stack.found("mine")
    with stack.running("mine") as running:
        found = stack.found("mine")
        assert (found.outputs, found.merchant, found.sandbox_url) == (
            running.outputs,
            running.merchant,
            "http://127.0.0.1:2",
        )
        assert stack.holder("mine") == os.getpid()
        assert paths.env_file("mine").exists()
        with stack.running("other"), pytest.raises(LocalError, match="running already"), stack.running("mine"):
            pass
        assert stack.holder("mine") == os.getpid()  # who was refused has not overwritten it
    assert stack.holder("mine") is None
    assert not paths.env_file("mine").exists()
    assert not paths.description_file("mine").exists()


def test_the_default_stacks_exports_are_where_the_readme_says(tree: Path) -> None:
    assert paths.env_file("run") == tree / "build" / "local" / "env"


def _main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["local", *arguments])
    monkeypatch.setattr(interrupts, "install", lambda: None)
    monkeypatch.setattr(streams, "prepare", lambda: None)
    return program.main()


def test_status_says_where_a_stack_is_by_its_exit_code_too(
    started: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering = {"http://127.0.0.1:1/_ministack/health", "http://127.0.0.1:2/_sandbox/health"}
    monkeypatch.setattr(commands, "_answers", answering.__contains__)
    assert _main(monkeypatch, "status", "--name", "mine", "--json") == 3
    assert json.loads(capsys.readouterr().out) == {"state": "not running", "name": "mine"}
    with stack.running("mine"):
        assert _main(monkeypatch, "status", "--name", "mine", "--json") == 0
        assert json.loads(capsys.readouterr().out)["merchantKey"] == {
            "accessKeyId": "AKIAX",
            "secretAccessKey": "s'ecret",
        }
        assert _main(monkeypatch, "status", "--name", "mine") == 0
        assert "export MERCHANT_API=" in capsys.readouterr().out
        answering.clear()
        assert _main(monkeypatch, "status", "--name", "mine") == 1
        assert "does not answer: http://127.0.0.1:1" in capsys.readouterr().out
        paths.description_file("mine").unlink()
        assert _main(monkeypatch, "status", "--name", "mine") == 1


def test_up_leaves_a_stack_that_runs_as_it_is_unless_it_would_be_another_one(
    started: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with stack.running("mine"):
        assert _main(monkeypatch, "up", "--name", "mine", "--parameter", "SettleDelays=2,10") == 0
        assert "Running already" in capsys.readouterr().out
        for other in (["--parameter", "SettleDelays=3"], ["--sandbox", "off"], ["--port", "77"]):
            assert _main(monkeypatch, "up", "--name", "mine", *other) == 1
            assert "with other settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["up"], {"port": 4566, "sandbox_port": 9100}),
        (["up", "--name", "b"], {"port": 0, "sandbox_port": 0}),
        (["up", "--port", "0"], {"port": 0, "sandbox_port": 9100}),
        (["run", "--name", "b", "--sandbox-port", "7"], {"port": 0, "sandbox_port": 7}),
    ],
)
def test_the_usual_ports_are_those_of_the_stack_without_a_name(
    typed: list[str], expected: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HONNIN_PORT", raising=False)
    monkeypatch.delenv("HONNIN_SANDBOX_PORT", raising=False)
    assert commands._ports(program._parser().parse_args(typed)) == expected


def test_what_make_hands_over_reaches_the_process_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HONNIN_PORT", "77")
    typed = ["up", "--parameters", "A=b 'C=d e'", "--sandbox", "off", "--parameter", "E=f"]
    arguments = commands._arguments(program._parser().parse_args(typed))
    kept = program._parser().parse_args(["keep", "--name", "x", *arguments])
    assert (kept.parameter, kept.sandbox, kept.port) == (["A=b", "C=d e", "E=f"], "off", 77)


@pytest.mark.parametrize("wrong", ["../x", "", "-a", "a b"])
def test_a_name_is_a_directory_of_ours(wrong: str) -> None:
    with pytest.raises(SystemExit):
        program._parser().parse_args(["up", f"--name={wrong}"])


# --- processes ---


def _keeper(monkeypatch: pytest.MonkeyPatch, tree: Path, script: str) -> None:
    """A stand-in for `python -m local keep`."""
    keeper = tree / ".venv" / "bin" / "python"
    keeper.parent.mkdir(parents=True)
    before = f"import fcntl, os, sys, time; name = sys.argv[5]; place = {str(tree)!r} + '/build/local/' + name"
    text = f"#!{sys.executable}\n{before}\n{script}\n"
    keeper.write_text(text)
    keeper.chmod(0o755)
    monkeypatch.setattr(background, "TOOLS", tree / ".venv")
    monkeypatch.setattr(background, "ROOT", tree)


_HOLDS = """
lock = open(place + '/lock', 'a+'); fcntl.flock(lock, fcntl.LOCK_EX); lock.truncate(0)
lock.write(str(os.getpid())); lock.flush(); print('a step', flush=True)
"""


def test_up_returns_when_ready_and_down_when_ended(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _keeper(monkeypatch, tree, f"{_HOLDS}\nopen(place + '/stack.json', 'w').write('{{}}'); time.sleep(60)")
    background.up("mine", [], sys.stderr)
    assert stack.holder("mine") is not None
    assert "a step" in capsys.readouterr().err
    assert background.down("mine")
    assert stack.holder("mine") is None
    assert not background.down("mine")


def test_what_a_killed_stack_has_left_is_not_taken_for_a_ready_one(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _keeper(monkeypatch, tree, f"{_HOLDS}\ntime.sleep(0.3); sys.exit('it failed')")
    paths.description_file("mine").write_text("{}")
    with pytest.raises(LocalError, match="it failed"):
        background.up("mine", [], sys.stderr)


def test_only_what_is_typed_behind_make_counts() -> None:
    """A shell may have a NAME or a SANDBOX of its own, for something else."""
    env = {"PATH": os.environ["PATH"], "NAME": "laptop", "SANDBOX": "x", "PARAMETERS": "y"}
    for typed, said in (
        ([], '--name run --parameters "" --sandbox on'),
        (
            ["NAME=b", "SANDBOX=off", "PARAMETERS=A=b C=d"],
            '--name "$NAME" --parameters "$PARAMETERS" --sandbox "$SANDBOX"',
        ),
    ):
        done = subprocess.run(
            ["make", "-n", "up", *typed], cwd=ROOT, env=env, capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines()[-1] == f"exec .venv/bin/python -m local up {said}"


def test_up_that_fails_says_why(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _keeper(monkeypatch, tree, "print('before'); print('Port 1 cannot be used.'); sys.exit(1)")
    with pytest.raises(LocalError, match=r"^Port 1 cannot be used\.$"):
        background.up("mine", [], sys.stderr)


def test_up_that_is_interrupted_leaves_nothing(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _keeper(monkeypatch, tree, f"{_HOLDS}\ntime.sleep(60)")

    class Stopped(BaseException):
        pass

    def stopped(*_: Any) -> None:
        while stack.holder("mine") is None:
            time.sleep(0.01)
        raise Stopped

    monkeypatch.setattr(background, "_wait_until_ready", stopped)
    with pytest.raises(Stopped):
        background.up("mine", [], sys.stderr)
    assert stack.holder("mine") is None


def test_a_program_started_in_the_background_hears_ctrl_c() -> None:
    """A shell starts `… &` with SIGINT ignored."""
    ignoring = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN);"
        "os.execv(sys.executable, [sys.executable, '-c', sys.argv[1]])"
    )
    script = (
        "from local import interrupts; interrupts.install(); import signal\n"
        "try:\n    print('up', flush=True); signal.pause()\n"
        "except interrupts.StopRequestedError as stopped:\n    raise SystemExit(stopped.exit_code)"
    )
    with subprocess.Popen([sys.executable, "-c", ignoring, script], cwd=ROOT, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        child.send_signal(signal.SIGINT)
        assert child.wait(30) == 130


def test_a_stop_has_its_exit_code_also_when_nobody_reads_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(_: Any) -> int:
        raise interrupts.StopRequestedError(signal.SIGTERM)

    def gone(*_: Any, **__: Any) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(commands, "events", stopped)
    monkeypatch.setattr("builtins.print", gone)
    assert _main(monkeypatch, "events") == 128 + signal.SIGTERM


# --- reset ---


class _Aws:
    """The calls that a reset makes, on what a stack holds."""

    def __init__(self) -> None:
        self.items = [{"pk": {"S": str(number)}, "sk": {"S": "x"}} for number in range(60)]
        self.versions = [{"Key": f"k{number}", "VersionId": "v", "Size": 1} for number in range(3)]
        self.markers = [{"Key": "k0", "VersionId": "m"}]
        self.calls: list[tuple[str, Any]] = []
        self.states = {"m1": "Enabled", "m2": "Disabled"}

    def client(self, _: str) -> "_Aws":
        return self

    def get_paginator(self, name: str) -> Any:
        resources = {
            "AWS::DynamoDB::Table": "table",
            "AWS::S3::Bucket": "bucket",
            "AWS::SQS::Queue": "http://q",
            "AWS::StepFunctions::StateMachine": "machine",
            "AWS::IAM::Role": "role",
        }
        pages = {
            "list_stack_resources": [
                *({"ResourceType": kind, "PhysicalResourceId": name} for kind, name in resources.items()),
                *(
                    {"ResourceType": "AWS::Lambda::EventSourceMapping", "PhysicalResourceId": each}
                    for each in self.states
                ),
            ],
        }
        answers = {
            "list_stack_resources": {"StackResourceSummaries": pages["list_stack_resources"]},
            "scan": {"Items": list(self.items)},
            "list_object_versions": {"Versions": self.versions, "DeleteMarkers": self.markers},
        }
        return SimpleNamespace(paginate=lambda **_: [answers[name]])

    def describe_table(self, **_: Any) -> Any:
        return {"Table": {"KeySchema": [{"AttributeName": "pk"}, {"AttributeName": "sk"}]}}

    def batch_write_item(self, RequestItems: Any) -> Any:  # noqa: N803 (AWS's name)
        (requests,) = RequestItems.values()
        assert len(requests) <= 25
        done, left = requests[:20], requests[20:]  # AWS may leave some
        for each in done:
            self.items.remove(each["DeleteRequest"]["Key"])
        return {"UnprocessedItems": {"table": left} if left else {}}

    def delete_objects(self, **named: Any) -> Any:
        self.calls.append(("delete_objects", [tuple(each.values()) for each in named["Delete"]["Objects"]]))

    def list_executions(self, **_: Any) -> Any:
        return {"executions": [{"executionArn": "e1"}]}

    def get_event_source_mapping(self, UUID: str) -> Any:  # noqa: N803
        return {"State": self.states[UUID]}

    def update_event_source_mapping(self, UUID: str, Enabled: bool) -> None:  # noqa: N803
        self.states[UUID] = "Enabled" if Enabled else "Disabled"

    def __getattr__(self, name: str) -> Any:
        return lambda **named: self.calls.append((name, named))

    def sandbox(self, method: str, path: str) -> None:
        self.calls.append((path, method))


def test_a_reset_empties_whatever_of_the_template_holds_state(monkeypatch: pytest.MonkeyPatch) -> None:
    aws = _Aws()
    monkeypatch.setattr(stack, "register_webhooks", lambda _: aws.calls.append(("registered", None)))
    reset.reset(SimpleNamespace(sandbox_url="http://box", client=aws.client, sandbox=aws.sandbox))  # type: ignore[arg-type]
    assert aws.items == []
    assert set(aws.states.values()) == {"Enabled"}
    assert [name for name, _ in aws.calls[:2]] == ["/reset", "registered"]
    done = dict(aws.calls)
    assert done["purge_queue"] == {"QueueUrl": "http://q"}
    assert done["stop_execution"]["executionArn"] == "e1"
    assert done["delete_objects"] == [("k0", "v"), ("k1", "v"), ("k2", "v"), ("k0", "m")]


def test_every_kind_of_the_template_that_keeps_something_is_emptied() -> None:
    from tests.tables import template

    keeping = {"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SQS::Queue"}
    kinds = {each["Type"] for each in template()["Resources"].values()}
    others = {
        each for each in kinds if any(word in each for word in ("Database", "Cache", "Stream", "FileSystem", "RDS"))
    }
    assert not others, "local/reset.py does not know these"
    assert keeping <= reset._EMPTIED.keys() & kinds


# --- events ---


def test_events_come_through_a_queue_of_their_own_that_goes_at_the_end() -> None:
    calls: list[str] = []
    waiting = [{"Body": json.dumps({"id": each}), "ReceiptHandle": each} for each in ("1", "2")]

    class Aws:
        def create_queue(self, **_: Any) -> Any:
            return {"QueueUrl": "q"}

        def get_queue_attributes(self, **_: Any) -> Any:
            return {"Attributes": {"QueueArn": "arn:q"}}

        def put_rule(self, **named: Any) -> Any:
            assert named["EventBusName"] == "honnin-local-events"
            return {"RuleArn": "arn:r"}

        def receive_message(self, **_: Any) -> Any:
            return {"Messages": [waiting.pop(0)]} if waiting else {}

        def __getattr__(self, name: str) -> Any:
            return lambda **_: calls.append(name)

    running = SimpleNamespace(name="mine", outputs=_OUTPUTS, client=lambda _: Aws())
    with bus.listening(running) as events:  # type: ignore[arg-type]
        assert [next(events), next(events), next(events)] == [{"id": "1"}, {"id": "2"}, None]
    assert calls[-3:] == ["remove_targets", "delete_rule", "delete_queue"]
