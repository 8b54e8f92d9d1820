"""What every simulated provider works with: one lock, one clock, one schedule, one journal, one courier."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from flask import Blueprint, request

from sandbox.clock import SandboxClock, Schedule
from sandbox.delivery import DELIVERIES, Courier, Losses, in_thread
from sandbox.dials import DialBoard
from sandbox.journal import Journal
from sandbox.unkind import Unkindness

CONTROL_PREFIX = "/_sandbox"


class ControlError(Exception):
    """A control request that cannot be carried out: an HTTP status and a plain sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def control_object() -> dict[str, object]:
    """Return the JSON object in the current control request ({} for no body). Raises ControlError."""
    raw = request.get_data()
    try:
        body = json.loads(raw) if raw.strip() else {}
    except ValueError:
        raise ControlError(400, "The body is not JSON.") from None
    if not isinstance(body, dict):
        raise ControlError(400, "The body must be a JSON object.")
    return body


def without_delivery(body: Mapping[str, object]) -> tuple[dict[str, object], str]:
    """Split `delivery` off a control body: the rest, and one of `DELIVERIES` (sent by default). Raises ControlError."""
    delivery = body.get("delivery", "sent")
    if not isinstance(delivery, str) or delivery not in DELIVERIES:
        raise ControlError(400, f"The delivery must be one of: {', '.join(DELIVERIES)}.")
    return {name: value for name, value in body.items() if name != "delivery"}, delivery


class Provider(Protocol):
    """One simulated provider, as the application sees it."""

    @property
    def dials(self) -> DialBoard:
        """Its dials."""
        ...

    def blueprints(self) -> Sequence[Blueprint]:
        """Return the provider's own endpoints and its control endpoints under `/_sandbox`."""
        ...

    def reset(self) -> None:
        """Forget all users."""
        ...


class Core:
    """The parts that the providers share. One lock goes round all state."""

    def __init__(self, seed: int | None = None) -> None:
        self.lock = threading.RLock()
        self.clock = SandboxClock(self.lock)
        self.schedule = Schedule(self.clock, self.lock)
        self.journal = Journal(self.clock, self.lock)
        self.courier = Courier(self.clock, self.schedule, self.journal, self.lock)
        self.losses = Losses(self.lock)
        self.unkindness = Unkindness(seed, self.lock)
        self._stopping = threading.Event()
        # Called after the clock was set back, by those who planned by the time of day.
        self.when_set_back: list[Callable[[], None]] = []

    def is_stopping(self) -> bool:
        """Return whether the sandbox is being stopped, so that what has no end of its own must end."""
        return self._stopping.is_set()

    def hold(self, seconds: float) -> None:
        """Wait in real time, or until the sandbox stops."""
        self._stopping.wait(seconds)

    def advance(self, seconds: float) -> None:
        """Move the clock; what became due by that runs.

        When it is set back, what is due runs first, and what waits keeps its pause: a notification that is
        just being repeated must not wait for a day because the clock went back by one.
        """
        if seconds < 0:
            self.schedule.run_due()
        with self.lock:
            self.clock.advance(seconds)
            if seconds < 0:
                self.schedule.shift(seconds)
                for call in self.when_set_back:
                    call()
        self.schedule.wake()

    def reset(self) -> None:
        """Forget what waits and what was written down; return to the real time."""
        with self.lock:
            self.courier.reset()
            self.schedule.clear()
            self.journal.clear()
            self.losses.reset()
            self.unkindness.reset()
            self.clock.reset()

    def start(self) -> None:
        """Run due work and deliveries in the background from now on."""
        self.courier.spawn = in_thread
        self.schedule.start()

    def stop(self) -> None:
        """Stop the background work and let go of held connections."""
        self._stopping.set()
        self.courier.reset()
        self.schedule.stop()
