"""Step Functions in memory: executions of a state machine of template.yaml, one invocation of a function at a time.

As much of the Amazon States Language as that definition uses. What an invocation answers is asked of the world, which
may let it die: then it is tried again, as often as its `Retry` says.
"""

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

_TEMPLATE = Path(__file__).resolve().parents[1] / "template.yaml"

# AWS, "Service quotas": the largest input or result of a task, a state or an execution. The results of all children of
# a Map count together, also where they are then thrown away.
LARGEST_BYTES = 256 * 1024

# What an execution asks of the world: an invocation of a function, or that so many seconds pass.
type Asked = tuple[str, Any]


class ExecutionAlreadyExists(ClientError):  # noqa: N818 -- botocore's name
    """An execution of that name is over, or has another input."""


class ExecutionDoesNotExist(ClientError):  # noqa: N818 -- botocore's name
    """There is no execution of that name."""


class FailedError(Exception):
    """An invocation failed, or died."""


@cache
def definition(logical_id: str) -> Mapping[str, Any]:
    """The definition of a state machine of the template, with the logical ids of functions in place of their ARNs."""
    machine = yaml_parse(_TEMPLATE.read_text(encoding="utf-8"))["Resources"][logical_id]
    found: Mapping[str, Any] = _plain(machine["Properties"]["Definition"])
    return found


@dataclass
class Execution:
    """One execution. `waits_until` is a moment of the world's clock, in seconds."""

    input: str
    steps: Generator[Asked, Any, Any]
    status: str = "RUNNING"
    asked: Asked | None = None
    waits_until: float = 0.0
    calls: list[str] = field(default_factory=list)


class MemoryStates:
    """The executions of one machine.

    Parameters
    ----------
    call
        Invokes a function by its logical id; raises `FailedError` when it fails.
    read
        Reads a JSON object of a bucket, by its key.
    now
        The world's clock, in seconds.
    """

    exceptions = SimpleNamespace(
        ExecutionAlreadyExists=ExecutionAlreadyExists, ExecutionDoesNotExist=ExecutionDoesNotExist
    )

    def __init__(
        self,
        machine: Mapping[str, Any],
        call: Callable[[str, Any], Any],
        read: Callable[[str], Any],
        now: Callable[[], float],
    ) -> None:
        self._machine = machine
        self._call = call
        self._read = read
        self._now = now
        self.executions: dict[str, Execution] = {}

    # --- the API ---

    def start_execution(self, *, name: str, input: str, **_: Any) -> dict[str, Any]:  # noqa: A002 -- the API's name
        """Start an execution; the same one again while it is running is no error."""
        known = self.executions.get(name)
        if known and (known.status != "RUNNING" or known.input != input):
            answer: Any = {"Error": {"Code": "ExecutionAlreadyExists", "Message": ""}}
            raise ExecutionAlreadyExists(answer, "StartExecution")
        if not known:
            steps = self._run(self._machine, json.loads(input))
            self.executions[name] = Execution(input, steps)
        return {"executionArn": name}

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803
        """How an execution is doing."""
        return {"status": self._execution(executionArn, "DescribeExecution").status}

    def stop_execution(self, *, executionArn: str, **_: Any) -> None:  # noqa: N803
        """Stop an execution and its children."""
        self._execution(executionArn, "StopExecution").status = "ABORTED"

    def _execution(self, arn: str, operation: str) -> Execution:
        found = self.executions.get(arn.rpartition(":")[2])
        if found is None:
            answer: Any = {"Error": {"Code": "ExecutionDoesNotExist", "Message": ""}}
            raise ExecutionDoesNotExist(answer, operation)
        return found

    # --- what the world does ---

    @property
    def running(self) -> list[Execution]:
        """The executions that have not ended."""
        return [each for each in self.executions.values() if each.status == "RUNNING"]

    def kill(self) -> None:
        """Stop every execution."""
        for each in self.running:
            each.status = "ABORTED"

    def work(self, invocations: int) -> bool:
        """Go on with the executions, in turn, for so many invocations; False where there was nothing to do."""
        worked = False
        for _ in range(invocations):
            ready = [each for each in self.running if each.waits_until <= self._now()]
            if not ready:
                return worked
            worked = True
            self._advance(min(ready, key=lambda each: len(each.calls)))
        return worked

    def next_due(self) -> float | None:
        """When the next execution goes on; None where none is running."""
        return min((each.waits_until for each in self.running), default=None)

    def _advance(self, execution: Execution) -> None:
        try:
            if execution.asked is None:
                execution.asked = next(execution.steps)
            while execution.asked[0] == "wait":
                # Its time has come.
                if execution.waits_until:
                    execution.waits_until = 0.0
                    execution.asked = execution.steps.send(None)
                else:
                    execution.waits_until = self._now() + float(execution.asked[1])
                    return
            function, payload = execution.asked
            execution.calls.append(function)
            try:
                answer = self._call(function, payload)
            except FailedError as error:
                execution.asked = execution.steps.throw(error)
            else:
                execution.asked = execution.steps.send(json.loads(json.dumps(answer)))
        except StopIteration:
            if execution.status == "RUNNING":
                execution.status = "SUCCEEDED"
        except FailedError:
            execution.status = "FAILED"

    def _run(self, machine: Mapping[str, Any], data: Any) -> Generator[Asked, Any, Any]:
        name = machine["StartAt"]
        while True:
            state = machine["States"][name]
            match state["Type"]:
                case "Task":
                    answer = yield from self._task(state, data)
                    data = _sized(_placed(state, data, answer))
                case "Map":
                    yield from self._map(state, data)
                case "Wait":
                    yield "wait", state["Seconds"]
                case "Choice":
                    name = _chosen(state, data)
                    continue
                case "Succeed":
                    return data
                case other:
                    raise NotImplementedError(other)
            if state.get("End"):
                return data
            name = state["Next"]

    def _task(self, state: Mapping[str, Any], data: Any) -> Generator[Asked, Any, Any]:
        [retry] = state["Retry"]
        for _ in range(retry["MaxAttempts"]):
            try:
                answer = yield state["Resource"], data
            except FailedError:
                yield "wait", retry["IntervalSeconds"]
                continue
            return _sized(answer)
        return _sized((yield state["Resource"], data))

    def _map(self, state: Mapping[str, Any], data: Any) -> Generator[Asked, Any]:
        place = _selected(state["ItemReader"]["Parameters"], data, None)
        results = []
        for item in self._read(place["Key"]):
            selected = _sized(_selected(state["ItemSelector"], data, item))
            results.append((yield from self._run(state["ItemProcessor"], selected)))
        _sized(results)


def _sized[T](data: T) -> T:
    if len(json.dumps(data, separators=(",", ":")).encode()) > LARGEST_BYTES:
        raise FailedError("States.DataLimitExceeded")
    return data


def _placed(state: Mapping[str, Any], data: Any, answer: Any) -> Any:
    if state.get("End"):
        return answer
    return {**data, state["ResultPath"].removeprefix("$."): answer}


def _chosen(state: Mapping[str, Any], data: Any) -> str:
    for choice in state["Choices"]:
        if _at(choice["Variable"], data) is choice["BooleanEquals"]:
            return str(choice["Next"])
    return str(state["Default"])


def _selected(template: Mapping[str, str], data: Any, item: Any) -> dict[str, Any]:
    return {
        name.removesuffix(".$"): item if path == "$$.Map.Item.Value" else _at(path, data)
        for name, path in template.items()
    }


def _at(path: str, data: Any) -> Any:
    for step in path.removeprefix("$.").split("."):
        data = data[step]
    return data


def _plain(node: Any) -> Any:
    if isinstance(node, Mapping):
        if "Fn::GetAtt" in node:
            place = node["Fn::GetAtt"]
            return (place.split(".") if isinstance(place, str) else place)[0]
        return {name: _plain(each) for name, each in node.items()}
    return [_plain(each) for each in node] if isinstance(node, list) else node
