"""Rereads of many users: what was asked for, how far each is, and which steps are done (docs/overview.md).

A mark says that a step is done: a source is listed, the events of a part are on the queue, or all users of a part have
been read. Each mark is written once, in one transaction with the counts that it adds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

from honnin.store.keys import mark_key, reread_key
from honnin.store.table import AlreadyAppliedError, OvertakenError, Table, attributes, encode, read
from honnin.times import utc_text

# Kept as long as the records of its events, which make each event take effect once.
KEPT = timedelta(days=400)


class Kind(StrEnum):
    """Which users a reread reads: those with one status, all users, or those in a file."""

    STATUS = "status"
    ALL = "all"
    FILE = "file"


class Phase(StrEnum):
    """Which step of a source (LISTED) or of a part (SENT, DONE) a mark says is done."""

    LISTED = "LISTED"
    SENT = "SENT"
    DONE = "DONE"


@dataclass(frozen=True)
class Reread:
    """A reread, and how many users it has counted so far. Its name is part of its events' ids.

    `provider` is None for both providers. `segments` are those of the table, for `Kind.ALL`. `executions` is the number
    of executions of the state machine so far; the latest began at `began_at` (UTC), when `done_before` users were done.
    While it `is_paused`, no execution sends anything.

    `users` were listed. Of these, providers are asked about `sent` users; `skipped` users have nothing to read. Of the
    `sent` users, `read` were read, `changed` have another status since, `not_read` were refused and `gone` were erased
    meanwhile. For `left` users there was no result a day after they were sent (an hour, if only a few of a part were
    left).
    """

    name: str
    kind: str
    started_at: str
    provider: str | None = None
    status: str | None = None
    segments: int = 1
    executions: int = 0
    began_at: str | None = None
    done_before: int = 0
    is_paused: bool = False
    users: int = 0
    sent: int = 0
    skipped: int = 0
    read: int = 0
    changed: int = 0
    not_read: int = 0
    gone: int = 0
    left: int = 0

    @property
    def done(self) -> int:
        """How many of the sent users are no longer waited for."""
        return self.read + self.not_read + self.gone + self.left

    @property
    def is_over(self) -> bool:
        """Whether all listed users were sent or skipped, and none is waited for."""
        return self.users == self.sent + self.skipped and self.done == self.sent

    def is_worked_by(self, execution: int) -> bool:
        """Whether the execution with this number may work on it: it is the latest, and the reread is not paused."""
        return execution == self.executions and not self.is_paused


@dataclass(frozen=True)
class Mark:
    """A step that is done, since `at` (UTC).

    `parts` is the number of parts of a listed source. For a sent part, `asked` lists by provider which users the
    provider is asked about, by their positions in the part.
    """

    at: str
    parts: int = 0
    asked: Mapping[str, tuple[int, ...]] | None = None


class Rereads:
    """Stores rereads."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def begin(self, reread: Reread) -> bool:
        """Record a new reread; False if the name is taken."""
        put = self._table.new({**reread_key(reread.name), **attributes(reread), "expires_at": self._end()})
        return self._table.write(self._table.db.put_item, put)

    def get(self, name: str) -> Reread | None:
        """A reread as it is now."""
        item = self._table.get(reread_key(name))
        return read(Reread, item) if item else None

    def all(self) -> list[Reread]:
        """Every reread of the last 400 days, the newest first."""
        found = self._table.items(
            "query",
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=encode({":pk": reread_key("")["pk"]}),
            ConsistentRead=True,
        )
        return sorted((read(Reread, item) for item in found), key=lambda each: each.started_at, reverse=True)

    def next_execution(self, before: Reread) -> Reread | None:
        """Count one more execution, which begins now; None if another one was counted since `before` was read."""
        after = replace(
            before,
            executions=before.executions + 1,
            began_at=utc_text(self._table.now()),
            done_before=before.done,
            is_paused=False,
        )
        values = {name: getattr(after, name) for name in ("executions", "began_at", "done_before", "is_paused")}
        known = {"before": before.executions}
        update = self._table.update(reread_key(before.name), values, "#executions = :before", known=known)
        return after if self._table.attempt(update) else None

    def pause(self, reread: Reread) -> None:
        """Make the latest execution send nothing more, unless another one has begun since `reread` was read."""
        known = {"latest": reread.executions}
        update = self._table.update(reread_key(reread.name), {"is_paused": True}, "executions = :latest", known=known)
        self._table.attempt(update)

    def mark(self, name: str, phase: Phase, what: str, counts: Mapping[str, int], **facts: Any) -> bool:
        """Mark a step of a reread as done, and add to its counts; False if it was marked before, and nothing is added.

        Raises
        ------
        OvertakenError
            There is no reread of that name.
        """
        mark = {**mark_key(name, phase, what), **attributes(Mark(utc_text(self._table.now()), **facts))}
        add = {
            "TableName": self._table.name,
            "Key": encode(reread_key(name)),
            "UpdateExpression": "ADD " + ", ".join(f"#{each} :{each}" for each in counts),
            "ConditionExpression": "attribute_exists(pk)",
            "ExpressionAttributeNames": {f"#{each}": each for each in counts},
            "ExpressionAttributeValues": encode({f":{each}": number for each, number in counts.items()}),
        }
        writes = [
            ({"Put": self._table.new({**mark, "expires_at": self._end()})}, AlreadyAppliedError),
            ({"Update": add}, OvertakenError),
        ]
        try:
            self._table.transact(name, writes)
        except AlreadyAppliedError:
            return False
        return True

    def marked(self, name: str, phase: Phase, what: str) -> Mark | None:
        """The mark of a step; None where it is not done."""
        item = self._table.get(mark_key(name, phase, what))
        return read(Mark, item) if item else None

    def marks(self, name: str, phase: Phase) -> dict[str, Mark]:
        """All marks of a phase, by the name of the source or part."""
        items = self._table.under(f"REREAD#{name}", f"{phase}#")
        return {str(item["sk"]).partition("#")[2]: read(Mark, item) for item in items}

    def _end(self) -> int:
        return int((self._table.now() + KEPT).timestamp())
