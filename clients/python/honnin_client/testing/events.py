"""The domain events on the bus of a local stack, from a moment on."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any

from honnin_client.generated import models
from honnin_client.testing.stacks import HonninStack, StackError, environment
from honnin_client.testing.waiting import until

_START_S = 60.0
_STOP_S = 10.0
_SHOWN = 10


@dataclass(frozen=True)
class Event:
    """A domain event. `type` is EventBridge's `detail-type`, such as `KycStatusChanged`; `detail` is the event.

    `data` is the same, typed (`isinstance(event.data, models.KycStatusChanged)`); None for a type that this version
    of the client does not know. `user_id` is None where the event is about no user.
    """

    type: str
    detail: Mapping[str, Any]

    @property
    def user_id(self) -> str | None:
        """Whom it is about."""
        return self.detail.get("userId")

    @property
    def data(self) -> Any:
        """The typed event."""
        model = getattr(models, self.type, None)
        return None if model is None else model.from_dict(self.detail)

    def __str__(self) -> str:
        return " ".join(filter(None, (self.type, self.user_id, self.detail.get("to"))))


class Events:
    """All events since it was entered, of whoever uses the stack meanwhile: ask by user."""

    def __init__(self, stack: HonninStack) -> None:
        self._name, self._home = stack.name, stack.wanted.home
        self._arrived: list[Event] = []
        self._said: list[str] = []
        self._listening = threading.Event()

    def __enter__(self) -> Events:
        """Listen; returns when no event can be missed any more."""
        self._process = subprocess.Popen(
            [str(self._home / ".venv" / "bin" / "honninctl"), "local", "events", "--name", self._name, "--follow"],
            cwd=self._home,
            env=environment(self._home),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self._readers = [
            threading.Thread(target=read, args=(stream,), daemon=True)
            for read, stream in ((self._read_events, self._process.stdout), (self._read_errors, self._process.stderr))
        ]
        for each in self._readers:
            each.start()
        self._listening.wait(_START_S)
        if not any("Listening" in each for each in self._said):
            self.__exit__(None, None, None)
            raise StackError(f"No events can be received: {' '.join(self._said) or f'no answer in {_START_S:g} s'}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        for each in self._readers:
            each.join()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        self._process.wait()

    def __call__(self, user_id: str | None = None) -> list[Event]:
        """The events that have arrived by now, in this order; of one user if `user_id` is given."""
        return [each for each in list(self._arrived) if user_id in (None, each.user_id)]

    def wait(self, type: str, *, user_id: str | None = None, to: str | None = None, timeout: float = 60.0) -> Event:  # noqa: A002
        """The first event of `type`, whether it has arrived already or not; `to` is the status that it tells.

        Raises `TooLateError` after `timeout` seconds, with what has arrived.
        """

        def look() -> Event | None:
            fitting = (each for each in self(user_id) if each.type == type and to in (None, each.detail.get("to")))
            return next(fitting, None)

        return until(
            look,
            timeout,
            lambda: f"No {type} came within {timeout:g} s, but: {'; '.join(map(str, self(user_id)[-_SHOWN:])) or '-'}.",
        )

    def _read_events(self, stream: IO[str]) -> None:
        for line in stream:
            event = json.loads(line)
            self._arrived.append(Event(event["detail-type"], event["detail"]))

    def _read_errors(self, stream: IO[str]) -> None:
        for line in stream:
            self._said.append(line.strip())
            if "Listening" in line:
                self._listening.set()
        self._listening.set()  # it has ended
