"""Starts, pauses and follows rereads. Each is run by executions of the state machine `RereadUsers`, named after it.

`honninctl` does this with the operator's own credentials; the functions use only `reread_of`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from honnin.errors import HonninError
from honnin.store import Reread, Store
from honnin.times import utc_text

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


class State(StrEnum):
    """The state of a reread. A reread that is PAUSED, has FAILED or was never started can be resumed."""

    RUNNING = "running"
    PAUSED = "paused"
    FAILED = "failed"
    DONE = "done"


_STATES = {"RUNNING": State.RUNNING, "PENDING_REDRIVE": State.RUNNING, "SUCCEEDED": State.DONE, "ABORTED": State.PAUSED}


class UnknownRereadError(HonninError):
    """There is no reread of that name."""


class RereadConflictError(HonninError):
    """The reread is not in a state that allows this; the message says why."""


@dataclass(frozen=True)
class Progress:
    """A reread, its state, and its pace in users a second (None if there is no estimate yet)."""

    reread: Reread
    state: State
    per_second: float | None = None
    expected_end: str | None = None


class Executions:
    """The executions of rereads."""

    def __init__(self, store: Store, machine_arn: str, client: "SFNClient") -> None:
        self._store = store
        self._machine_arn = machine_arn
        self._client = client

    def begin(self, reread: Reread) -> str:
        """Start a new reread; returns its execution's name. Raises `RereadConflictError` for a name that is taken."""
        if not self._store.rereads.begin(reread):
            raise RereadConflictError(f"the reread {reread.name} already exists")
        return self._start(reread)

    def resume(self, name: str) -> str:
        """Resume a reread that was paused or has failed, from where it ended; returns the name of the new execution.

        Raises
        ------
        RereadConflictError
            It is running or done, or another operator has just resumed it.
        """
        reread = self._reread(name)
        state = self.state(reread)
        if state in (State.RUNNING, State.DONE):
            raise RereadConflictError(f"the reread {name} is {state}")
        return self._start(reread)

    def pause(self, name: str) -> None:
        """Pause a reread: no more events are sent; those that were sent still take effect.

        `RereadConflictError` if none runs.
        """
        reread = self._reread(name)
        state = self.state(reread)
        if state is not State.RUNNING:
            raise RereadConflictError(f"the reread {name} is {state}")
        # This is done first: the function that is running now sees it and sends nothing more.
        self._store.rereads.pause(reread)
        self._client.stop_execution(executionArn=self._arn(reread), cause="paused by an operator")

    def state(self, reread: Reread) -> State:
        """The state of a reread. If its latest execution never started, or users are left to be read, it is paused."""
        try:
            found = self._client.describe_execution(executionArn=self._arn(reread))
        except self._client.exceptions.ExecutionDoesNotExist:
            return State.PAUSED
        state = _STATES.get(found["status"], State.FAILED)
        is_done = state is State.DONE and reread.is_over and not reread.is_paused
        return State.PAUSED if state is State.DONE and not is_done else state

    def progress(self, name: str, now: datetime) -> Progress:
        """How far a reread is. The expected end is given once some of its users are done; all are listed by then."""
        reread = self._reread(name)
        state = self.state(reread)
        since = datetime.fromisoformat(reread.began_at) if reread.began_at else now
        done, passed = reread.done - reread.done_before, (now - since).total_seconds()
        if state is not State.RUNNING or done <= 0 or passed <= 0:
            return Progress(reread, state)
        left = reread.users - reread.skipped - reread.done
        return Progress(reread, state, done / passed, utc_text(now + timedelta(seconds=left * passed / done)))

    def _reread(self, name: str) -> Reread:
        found = self._store.rereads.get(name)
        if found is None:
            raise UnknownRereadError(f"there is no reread {name}")
        return found

    def _start(self, before: Reread) -> str:
        reread = self._store.rereads.next_execution(before)
        if reread is None:
            raise RereadConflictError(f"the reread {before.name} was just started by another command")
        execution = execution_name(reread)
        self._client.start_execution(
            stateMachineArn=self._machine_arn, name=execution, input=json.dumps(execution_input(reread))
        )
        return execution

    def _arn(self, reread: Reread) -> str:
        return self._machine_arn.replace(":stateMachine:", ":execution:") + f":{execution_name(reread)}"


def execution_name(reread: Reread) -> str:
    """The name of a reread's latest execution: at most 80 characters that Step Functions takes."""
    return f"{reread.name}-{reread.executions}"


def execution_input(reread: Reread) -> dict[str, Any]:
    """The input of the state machine; `reread_of` reads it."""
    return {"reread": {"name": reread.name, "execution": reread.executions}}


def reread_of(store: Store, event: Mapping[str, Any]) -> Reread:
    """The reread that a function of the state machine is called for. Raises `UnknownRereadError`.

    If this execution is no longer the one that works on the reread, the reread is returned as a paused one.
    """
    name = str(event["reread"]["name"])
    found = store.rereads.get(name)
    if found is None:
        raise UnknownRereadError(f"there is no reread {name}")
    return replace(found, is_paused=not found.is_worked_by(int(event["reread"]["execution"])))
