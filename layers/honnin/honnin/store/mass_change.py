"""What the readings of the last hour did, and whether repairs and rereads are stopped (`honnin.mass_change`).

All of it is one item, so a single update counts and returns everything that the decision needs. It is updated once for
each batch, and once for each user who is about to lose VERIFIED or APPROVED. Normally that is rare.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from honnin.store.keys import Item, readings_key
from honnin.store.table import Table, decode, encode
from honnin.times import utc_text

# Counts are kept by the five minutes in which they were made.
_SLOT = timedelta(minutes=5)
_SLOTS = timedelta(hours=1) // _SLOT

_NOT_STOPPED = "attribute_not_exists(stopped_at)"


@dataclass(frozen=True)
class Loss:
    """How users lost VERIFIED or APPROVED."""

    provider: str
    from_status: str
    to_status: str
    cause: str


# How many users were lost in each way.
type Losses = Mapping[Loss, int]


@dataclass(frozen=True)
class Stop:
    """Repairs and rereads are stopped since `at`. `readings` and `losses` are the counts of the hour before.

    `reason` is given by the person who stopped them; it is empty if a mass change did. `reported_at`: when a mail
    was sent about it.
    """

    at: str
    reason: str
    readings: int
    losses: Losses
    reported_at: str | None


@dataclass(frozen=True)
class Counted:
    """The counts of the last hour (up to five minutes more). `stop` is None if repairs and rereads are not stopped.

    Until `no_limit_until`, a person has allowed any number of losses.
    """

    readings: int
    losses: Losses
    stop: Stop | None
    no_limit_until: str | None

    @property
    def lost(self) -> int:
        """How many users the readings took out of VERIFIED or APPROVED."""
        return sum(self.losses.values())


class MassChange:
    """Counts readings, and keeps the mark that stops repairs and rereads."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def read(self) -> Counted:
        """The present counts and the stop, with a consistent read."""
        return self._counted(self._table.get(readings_key()) or {})

    def add(self, readings: int, losses: Losses | None = None) -> Counted:
        """Count further readings and losses (below 0: fewer); returns all counts as they are then."""
        slot = _slot(self._table.now())
        more = {_READ + slot: readings, **{_name(slot, loss): number for loss, number in (losses or {}).items()}}
        item = self._update("ADD " + ", ".join(f"#{n} :{n}" for n in range(len(more))), list(more), list(more.values()))
        if over := [name for name in item if _slot_of(name) and _slot_of(name) < self._first_slot(2 * _SLOTS)]:
            # Counts of two hours ago are removed; no worker adds to them any more.
            self._update("REMOVE " + ", ".join(f"#{n}" for n in range(len(over))), over, [])
        return self._counted(item)

    def stop(self, counted: Counted, reason: str = "", *, reported_at: str | None = None) -> bool:
        """Write a stop, with the counts that led to it; False if there was one already."""
        values = {
            "stopped_at": utc_text(self._table.now()),
            "stopped_reason": reason,
            "stopped_readings": counted.readings,
            "stopped_losses": {_text(loss): number for loss, number in counted.losses.items()},
            # If a person made the stop, that person knows of it.
            "reported_at": reported_at,
        }
        return self._table.attempt(self._table.update(readings_key(), values, _NOT_STOPPED))

    def claim_mail(self, stop: Stop) -> bool:
        """Claim the task of sending the mail about a stop; False if it is already claimed, or the stop has ended."""
        values = {"reported_at": utc_text(self._table.now())}
        condition = "stopped_at = :stop AND attribute_not_exists(reported_at)"
        return self._table.attempt(self._table.update(readings_key(), values, condition, known={"stop": stop.at}))

    def release_mail(self, stop: Stop) -> None:
        """The mail could not be sent: release the claim, so that the next batch tries again."""
        key, known = readings_key(), {"stop": stop.at}
        values = {"stopped_at": stop.at}
        self._table.attempt(self._table.update(key, values, "stopped_at = :stop", known=known, remove=("reported_at",)))

    def resume(self, no_limit_until: str | None = None) -> None:
        """Remove the stop and begin to count from zero, so that the old counts do not lead to another stop."""
        item = {**readings_key(), "resumed_at": utc_text(self._table.now())}
        if no_limit_until:
            item["no_limit_until"] = no_limit_until
        self._table.settled(self._table.db.put_item, {"TableName": self._table.name, "Item": encode(item)})

    def _update(self, expression: str, names: list[str], values: list[int]) -> Item:
        request: dict[str, Any] = {
            "TableName": self._table.name,
            "Key": encode(readings_key()),
            "UpdateExpression": expression,
            "ExpressionAttributeNames": {f"#{n}": name for n, name in enumerate(names)},
            "ReturnValues": "ALL_NEW",
        }
        if values:
            request["ExpressionAttributeValues"] = encode({f":{n}": value for n, value in enumerate(values)})
        return decode(self._table.settled(self._table.db.update_item, request)["Attributes"])

    def _counted(self, item: Item) -> Counted:
        first = self._first_slot(_SLOTS)
        readings, losses = 0, Counter[Loss]()
        for name, number in item.items():
            if (slot := _slot_of(name)) and slot >= first:
                if name.startswith(_READ):
                    readings += int(number)
                else:
                    losses[_loss(name.split(" ", 2)[2])] += int(number)
        # A count is below 0 only if it was made before `resume` and taken back after it.
        return Counted(max(readings, 0), {loss: n for loss, n in losses.items() if n > 0}, _stop(item), _limit(item))

    def _first_slot(self, slots: int) -> str:
        return _slot(self._table.now() - slots * _SLOT)


# The names of the counting attributes: `read <slot>`, and `lost <slot> <provider> <from> <to> <cause>`.
_READ, _LOST = "read ", "lost "


def _slot(moment: datetime) -> str:
    """The five minutes that a moment lies in, named by their beginning (UTC). The names sort by time."""
    return datetime.fromtimestamp(moment.timestamp() // _SLOT.total_seconds() * _SLOT.total_seconds(), UTC).strftime(
        "%Y-%m-%dT%H:%M"
    )


def _slot_of(name: str) -> str:
    return name.split(" ")[1] if name.startswith((_READ, _LOST)) else ""


def _name(slot: str, loss: Loss) -> str:
    return f"{_LOST}{slot} {_text(loss)}"


def _text(loss: Loss) -> str:
    return f"{loss.provider} {loss.from_status} {loss.to_status} {loss.cause}"


def _loss(text: str) -> Loss:
    return Loss(*text.split(" ", 3))


def _stop(item: Item) -> Stop | None:
    if "stopped_at" not in item:
        return None
    losses = {_loss(text): int(number) for text, number in item["stopped_losses"].items()}
    return Stop(
        item["stopped_at"], item["stopped_reason"], int(item["stopped_readings"]), losses, item.get("reported_at")
    )


def _limit(item: Item) -> str | None:
    found = item.get("no_limit_until")
    return str(found) if found else None
