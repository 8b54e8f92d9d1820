"""What runs in the emulator before it, and how a schedule fires there: on stand-ins for ministack and its clients."""

import json
import os
import queue
import re
import runpy
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from local import emulator, emulator_at_once, emulator_forks, leash, permissions_as_on_aws, stack
from local.errors import LocalError
from local.stack import AccessKey, Merchant, Stack


@pytest.fixture
def ministack(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The parts of ministack that are changed, importable under their names."""

    async def receive(data: dict[str, Any], queue_url: str) -> Any:
        return {"Messages": [], "asked": data, "url": queue_url}

    class Worker:
        def __init__(self) -> None:
            self._stderr_queue = queue.Queue[str]()

        def _drain_stderr_bounded(self) -> str:
            raise AssertionError("ministack's own looks a thousand times a second")

    parts = SimpleNamespace(
        scheduler=SimpleNamespace(_SCHEDULE_TICK_INTERVAL=10),
        sqs=SimpleNamespace(_HANDLERS={"ReceiveMessage": receive}),
        lambda_runtime=SimpleNamespace(zipfile=zipfile, subprocess=subprocess, Worker=Worker),
        iam_actions=SimpleNamespace(
            _lambda_action=lambda method, path: "as before",
            extract_iam_action=lambda service, method, path, headers, body, query_params: (
                f"{service}:{headers['x-amz-target'].rpartition('.')[2]}"
            ),
            extract_resource_arn=lambda service, method, path, headers, body, query_params, region, account_id: "*",
            dynamodb_service_context=lambda body: {"dynamodb:Select": "ALL_ATTRIBUTES"},
        ),
        iam_evaluator=SimpleNamespace(
            _fnmatch_compile=lambda pattern, ignore_case: re.compile(
                f"^{pattern.replace('*', '.*')}$", re.I * ignore_case
            )
        ),
    )
    modules = {"ministack": ModuleType("ministack"), "ministack.core": ModuleType("ministack.core")}
    modules["ministack.services"] = ModuleType("ministack.services")
    modules["ministack.core"].lambda_runtime = parts.lambda_runtime  # type: ignore[attr-defined]
    modules["ministack.core"].iam_actions = parts.iam_actions  # type: ignore[attr-defined]
    modules["ministack.core"].iam_evaluator = parts.iam_evaluator  # type: ignore[attr-defined]
    modules["ministack.services"].scheduler = parts.scheduler  # type: ignore[attr-defined]
    modules["ministack.services"].sqs = parts.sqs  # type: ignore[attr-defined]
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return parts


def test_the_scheduler_looks_several_times_a_second(ministack: SimpleNamespace) -> None:
    emulator_at_once.main()
    assert 0 < ministack.scheduler._SCHEDULE_TICK_INTERVAL < 1


def test_a_long_poll_does_not_wait_and_is_else_as_it_was_asked(ministack: SimpleNamespace) -> None:
    emulator_at_once.main()
    asked = {"QueueUrl": "q", "WaitTimeSeconds": 5, "VisibilityTimeout": 60}
    # Step by step, without an event loop: that would open a socket.
    receiving = ministack.sqs._HANDLERS["ReceiveMessage"](asked, "q")
    with pytest.raises(StopIteration) as ended:
        receiving.send(None)
    assert ended.value.value == {"Messages": [], "asked": asked | {"WaitTimeSeconds": 0}, "url": "q"}


def test_the_log_of_an_invocation_is_all_that_was_written_till_no_more_comes(ministack: SimpleNamespace) -> None:
    emulator_at_once.main()
    worker = ministack.lambda_runtime.Worker()
    assert worker._drain_stderr_bounded() == ""

    worker._stderr_queue.put("one")
    worker._stderr_queue.put("two")
    assert worker._drain_stderr_bounded(first_line_wait=0.1) == "one\ntwo"


def test_a_function_that_never_stops_writing_ends_the_wait_for_its_log(
    ministack: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator_at_once.main()
    worker = ministack.lambda_runtime.Worker()
    monkeypatch.setattr(worker._stderr_queue, "get", lambda timeout: "again")
    assert set(worker._drain_stderr_bounded().split("\n")) == {"again"}


@pytest.mark.parametrize("part", ["scheduler", "sqs", "lambda_runtime"])
def test_another_ministack_is_a_sentence_and_no_riddle(ministack: SimpleNamespace, part: str) -> None:
    for name in list(vars(getattr(ministack, part))):
        delattr(getattr(ministack, part), name)
    with pytest.raises(SystemExit, match=r"adapt local/emulator_at_once\.py"):
        emulator_at_once.main()


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("PUT", "/2015-03-31/event-source-mappings/c0ffee", "UpdateEventSourceMapping"),
        ("DELETE", "/2015-03-31/event-source-mappings/c0ffee", "DeleteEventSourceMapping"),
        ("GET", "/2015-03-31/event-source-mappings/c0ffee", "GetEventSourceMapping"),
        ("GET", "/2015-03-31/event-source-mappings/", "as before"),
        ("POST", "/2015-03-31/event-source-mappings/", "as before"),
        ("GET", "/2016-08-19/account-settings/", "GetAccountSettings"),
        ("PUT", "/2015-03-31/functions/f/configuration", "as before"),
    ],
)
def test_one_event_source_mapping_needs_a_permission(
    ministack: SimpleNamespace, method: str, path: str, action: str
) -> None:
    permissions_as_on_aws.main()
    assert ministack.iam_actions._lambda_action(method, path) == action


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("ChangeMessageVisibilityBatch", "sqs:ChangeMessageVisibility"),
        ("ChangeMessageVisibility", "sqs:ChangeMessageVisibility"),
        ("SendMessageBatch", "sqs:SendMessage"),
        ("DeleteMessageBatch", "sqs:DeleteMessage"),
    ],
)
def test_a_batch_of_messages_needs_the_permission_of_one(
    ministack: SimpleNamespace, operation: str, action: str
) -> None:
    permissions_as_on_aws.main()
    request: tuple[Any, ...] = ("sqs", "POST", "/", {"x-amz-target": f"AmazonSQS.{operation}"}, b"{}", {})
    assert ministack.iam_actions.extract_iam_action(*request) == action


@pytest.mark.parametrize(
    ("operation", "arn"),
    [("DescribeEventBus", "arn:aws:events:tokyo:123:event-bus/bus"), ("DescribeRule", "*")],
)
def test_a_described_bus_is_the_resource(ministack: SimpleNamespace, operation: str, arn: str) -> None:
    permissions_as_on_aws.main()
    request: tuple[Any, ...] = (
        "events",
        "POST",
        "/",
        {"x-amz-target": f"AWSEvents.{operation}"},
        b'{"Name": "bus"}',
        {},
    )
    assert ministack.iam_actions.extract_resource_arn(*request, "tokyo", "123") == arn


_USER, _MARK = ({"pk": {"S": each}, "sk": {"S": "x"}} for each in ("USER#a", "READINGS"))


@pytest.mark.parametrize(
    ("request_of_dynamodb", "keys"),
    [
        ({"TableName": "t", "Key": _USER}, ["USER#a"]),
        ({"TableName": "t", "Item": _USER | {"Key": {"S": "no key"}}}, ["USER#a"]),
        ({"RequestItems": {"t": {"Keys": [_USER, _MARK]}}}, ["READINGS", "USER#a"]),
        ({"RequestItems": {"t": [{"DeleteRequest": {"Key": _MARK}}, {"PutRequest": {"Item": _USER}}]}},
         ["READINGS", "USER#a"]),
        ({"TransactItems": [{"Put": {"Item": _USER}}, {"ConditionCheck": {"Key": _MARK}}]}, ["READINGS", "USER#a"]),
        ({"TableName": "answers", "Key": {"id": {"S": "an-answer"}}}, ["an-answer"]),
        ({"KeyConditionExpression": "pk = :pk AND sk > :sk",
          "ExpressionAttributeValues": {":pk": {"S": "Q#1"}, ":sk": {"S": "z"}}}, ["Q#1"]),
        ({"KeyConditionExpression": "#kind=:kind", "ExpressionAttributeValues": {":kind": {"S": "due"}}}, ["due"]),
        ({"TableName": "t"}, None),
        ([], None),
    ],
)  # fmt: skip
def test_the_partition_keys_of_a_call_can_be_a_condition(
    ministack: SimpleNamespace, request_of_dynamodb: Any, keys: list[str] | None
) -> None:
    permissions_as_on_aws.main()
    found = ministack.iam_actions.dynamodb_service_context(json.dumps(request_of_dynamodb).encode())
    assert found.pop("dynamodb:Select")
    assert found == ({"dynamodb:LeadingKeys": keys} if keys else {})


@pytest.mark.parametrize("ignore_case", [False, True])
def test_any_characters_are_also_the_end_of_a_line(ministack: SimpleNamespace, ignore_case: bool) -> None:
    permissions_as_on_aws.main()
    compiled = ministack.iam_evaluator._fnmatch_compile("arn:users/*/timeline", ignore_case)
    assert compiled.match("arn:users/a\n\rb/timeline")
    assert not compiled.match("arn:users/a\nb/timelines")
    assert bool(compiled.match("ARN:users/a/timeline")) is ignore_case


@pytest.mark.parametrize(
    ("module", "function"),
    [
        ("iam_actions", "_lambda_action"),
        ("iam_actions", "extract_iam_action"),
        ("iam_actions", "extract_resource_arn"),
        ("iam_actions", "dynamodb_service_context"),
        ("iam_evaluator", "_fnmatch_compile"),
    ],
)
def test_another_ministack_has_other_permissions(ministack: SimpleNamespace, module: str, function: str) -> None:
    delattr(getattr(ministack, module), function)
    with pytest.raises(SystemExit, match=r"adapt local/permissions_as_on_aws\.py"):
        permissions_as_on_aws.main()


def _zip(path: Path, text: str) -> Path:
    with zipfile.ZipFile(path, "w") as written:
        written.writestr("python/package/module.py", text)
    return path


def _unpack(tool: Any, file: Path, target: Path) -> list[str]:
    """As ministack does: look at each member, then unpack into a new directory."""
    target.mkdir(parents=True)
    with tool.ZipFile(file) as opened:
        members = list(opened.namelist())
        opened.extractall(target)
    return members


def test_a_layer_is_unpacked_once_and_shared(
    ministack: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    emulator_at_once.main()
    tool = ministack.lambda_runtime.zipfile
    assert tool.BadZipFile is zipfile.BadZipFile
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = (_zip(tmp_path / each / "layer_0.zip", "ours") for each in "ab")
    other = _zip(tmp_path / "layer_1.zip", "another")

    assert _unpack(tool, first, tmp_path / "1") == ["python/package/module.py"]
    assert _unpack(tool, second, tmp_path / "2") == []
    _unpack(tool, other, tmp_path / "3")

    texts = [(tmp_path / each / "python/package/module.py").read_text() for each in "123"]
    assert texts == ["ours", "ours", "another"]
    assert (tmp_path / "1").resolve() == (tmp_path / "2").resolve() != (tmp_path / "3").resolve()
    assert not list(tmp_path.glob("unpacking-*"))


def test_a_functions_own_code_is_its_own(
    ministack: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    emulator_at_once.main()
    code = _zip(tmp_path / "code.zip", "ours")
    for target in (tmp_path / "1", tmp_path / "2"):
        assert _unpack(ministack.lambda_runtime.zipfile, code, target) == ["python/package/module.py"]
        assert not target.is_symlink()


linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere an environment is started as always")


@linux
def test_what_is_no_execution_environment_is_started_as_always(ministack: SimpleNamespace) -> None:
    emulator_forks.main()
    tool = ministack.lambda_runtime.subprocess
    assert tool.PIPE is subprocess.PIPE
    with tool.Popen([sys.executable, "-c", "print(1)"], stdout=tool.PIPE, text=True, env={}) as started:
        assert type(started) is subprocess.Popen
        assert started.communicate()[0] == "1\n"


@linux
def test_a_ministack_that_starts_environments_otherwise_is_a_sentence(ministack: SimpleNamespace) -> None:
    del ministack.lambda_runtime.subprocess
    with pytest.raises(SystemExit, match=r"adapt local/emulator_forks\.py"):
        emulator_forks.main()


def test_each_file_that_runs_first_is_there() -> None:
    assert all((Path(emulator.__file__).parent / each).is_file() for each in emulator._FIRST)


def test_the_leash_runs_every_first_file_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    monkeypatch.setattr(os, "getpgrp", os.getpid)
    monkeypatch.setattr(os, "dup", lambda _: 0)
    monkeypatch.setattr(os, "dup2", lambda *_: None)
    monkeypatch.setattr(leash, "_hold", lambda _: None)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setattr(runpy, "run_path", lambda path, run_name: ran.append(path))
    monkeypatch.setattr(runpy, "run_module", lambda name, **_: ran.append(f"{name} {sys.argv}"))
    leash.main(["--first", "a.py", "--first", "b.py", "ministack", "--port"])
    assert ran == ["a.py", "b.py", "ministack ['ministack', '--port']"]


class _Scheduler:
    """One schedule, and what is made of it: a copy runs when it has been looked for `looks` times."""

    def __init__(self, looks: int) -> None:
        self.made: list[dict[str, Any]] = []
        self._looks = looks

    def get_schedule(self, *, Name: str) -> dict[str, Any]:  # noqa: N803
        assert Name == "honnin-local-Every5Minutes-1"
        return {"Target": {"Arn": "arn", "RoleArn": "role", "Input": "{}"}, "State": "ENABLED"}

    def create_schedule(self, **given: Any) -> None:
        self.made.append(given)

    def list_schedules(self, *, NamePrefix: str) -> dict[str, Any]:  # noqa: N803
        assert NamePrefix == self.made[-1]["Name"]
        self._looks -= 1
        return {"Schedules": [{}] if self._looks >= 0 else []}


def _stack(monkeypatch: pytest.MonkeyPatch, scheduler: _Scheduler) -> Stack:
    formation = SimpleNamespace(
        describe_stack_resource=lambda **_: {
            "StackResourceDetail": {"PhysicalResourceId": "honnin-local-Every5Minutes-1"}
        }
    )
    clients = {"scheduler": scheduler, "cloudformation": formation}
    monkeypatch.setattr(stack, "_client", lambda service, *_: clients[service])
    key = AccessKey("id", "secret")
    return Stack("x", "r", "http://127.0.0.1:1", {}, key, Merchant("http://127.0.0.1:1", "r", key), "", None, ())


def test_a_schedule_fires_as_itself_but_now(monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = _Scheduler(looks=2)
    _stack(monkeypatch, scheduler).fire("Every5Minutes")
    [made] = scheduler.made
    assert made["Target"] == {"Arn": "arn", "RoleArn": "role", "Input": "{}"}
    assert (made["State"], made["ActionAfterCompletion"]) == ("ENABLED", "DELETE")
    assert made["ScheduleExpression"].startswith("at(")


def test_a_schedule_that_never_fires_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "_FIRED_S", 0.01)
    with pytest.raises(LocalError, match="did not run Every5Minutes"):
        _stack(monkeypatch, _Scheduler(looks=1_000)).fire("Every5Minutes")
