"""A comparison and a reread of many users, played through in memory: what they write, send and are called with."""

from collections.abc import Iterable
from datetime import timedelta
from functools import cache
from typing import Any

from honnin.event import Event
from honnin.store.rereads import Kind
from tests.fakes.recon_engine import Engine
from tests.fakes.reread_engine import RereadEngine


class ReconWorld(Engine):
    """Two nights of one file: some users are not read at first, and are compared again."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, list[Event]] = {}
        self.invoked: list[tuple[str, dict[str, Any]]] = []
        known = [self.link("ann"), self.link("bob", received={"kyc": "2026-03-31T03:00:00.000Z"}), self.link("cem")]
        self.put(*known, "no id at all", "auth-stranger", doubt=None)
        self.run()
        self.apply(becomes="NOT_COMPLETED")
        self.later()
        self.later(24 * 60)

    def call(self, function: str, event: dict[str, Any]) -> Any:
        """Keep what a function is called with."""
        self.invoked.append((function, event))
        return super().call(function, event)

    def send_message_batch(self, *, QueueUrl: str, Entries: Iterable[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        """Keep what is sent."""
        entries = list(Entries)
        self.sent.setdefault(QueueUrl, []).extend(Event.from_json(each["MessageBody"]) for each in entries)
        return super().send_message_batch(QueueUrl=QueueUrl, Entries=entries)


class RereadWorld(RereadEngine):
    """A reread of a file of ids."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Event] = []
        self.invoked: list[tuple[str, dict[str, Any]]] = []
        for name in ("ann", "bob", "cem"):
            self.link(name)
            self.submit(name)
        self.put_file("ann\nbob\ncem\n")
        self.begin(Kind.FILE)
        for _ in range(10):
            self.run()
            self.events += self.queue
            self.work()
            self.clock.now += timedelta(seconds=61)

    def call(self, function: str, event: dict[str, Any]) -> Any:
        """Keep what a function is called with."""
        self.invoked.append((function, event))
        return super().call(function, event)


recon = cache(ReconWorld)
reread = cache(RereadWorld)
