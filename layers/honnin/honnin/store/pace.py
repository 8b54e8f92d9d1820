"""Counts the calls to a provider in each second, from all environments together (`honnin.pace`).

There is one item for each second, and one for the rate that a provider last refused. No transaction uses these items.
The caller can go on without the table, so each request has a short time-out and is not repeated here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from honnin.store.keys import Item, pace_second_key, slowed_key
from honnin.store.table import Table, attributes, decode, encode, read

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Items of seconds that are over are not needed; the clocks differ by a few seconds at most.
_SECOND_KEPT_S = 300
_SLOWED_KEPT_S = 86_400


@dataclass(frozen=True)
class PaceSecond:
    """A second of one provider: `second` is its epoch second, `rate` the most calls in it (0: not set yet).

    Its slots are numbered from 0 to `rate` - 1. The first `used` slots are given away or are in the past. The other
    fields count the calls of each kind of work.
    """

    second: int
    rate: int = 0
    used: int = 0
    live: int = 0
    api: int = 0
    repairs: int = 0
    rereads: int = 0

    @property
    def calls(self) -> int:
        """The calls of the second, whatever the work."""
        return self.live + self.api + self.repairs + self.rereads


@dataclass(frozen=True)
class Ask:
    """A request for `number` slots of a second.

    It is granted if the second has this `rate`, the work has at most `work_before` calls in it (None: any number), and
    `used` is between `floor` and `ceiling`. With `is_behind` it is granted if `used` is below `floor`, the number of
    the first slot that is not in the past; the slots before that are lost.
    """

    second: int
    work: str
    number: int
    rate: int
    floor: int
    ceiling: int
    work_before: int | None
    is_behind: bool


@dataclass(frozen=True)
class Slowed:
    """The rate that a provider last refused: `rate` calls a second, at `at_ms`. It asked for a pause until `until_ms`.

    Both moments are epoch milliseconds.
    """

    rate: int
    at_ms: int
    until_ms: int = 0


class Paces:
    """Counts the calls to the providers. Every method lets botocore's errors pass."""

    def __init__(self, table: Table) -> None:
        self._table = table

    @property
    def _db(self) -> "DynamoDBClient":
        return self._table.hurried

    def take(self, provider: str, ask: Ask) -> tuple[bool, PaceSecond]:
        """Whether the request was granted, and the second after it.

        The slots that were given are the last used ones.
        """
        names = {"#expires_at": "expires_at", "#rate": "rate", "#used": "used", "#work": ask.work}
        values = {"rate": ask.rate, "number": ask.number, "end": ask.second + _SECOND_KEPT_S}
        line, moved, added = _line(ask)
        conditions = ["(attribute_not_exists(#rate) OR #rate = :rate)", line]
        if ask.work_before is not None:
            conditions.append("(attribute_not_exists(#work) OR #work <= :work_before)")
            values["work_before"] = ask.work_before
        try:
            answer = self._db.update_item(
                TableName=self._table.name,
                Key=encode(pace_second_key(provider, ask.second)),
                UpdateExpression=f"SET #expires_at = :end, #rate = :rate{moved} ADD #work :number{added}",
                ConditionExpression=" AND ".join(conditions),
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=_values(values | _bounds(ask)),
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._db.exceptions.ConditionalCheckFailedException as refused:
            item: Any = refused.response.get("Item", {})
            return False, _second(ask.second, item)
        return True, _second(ask.second, answer["Attributes"])

    def mark(self, provider: str, second: int, work: str) -> None:
        """Count a call that does not wait for a slot."""
        self._db.update_item(
            TableName=self._table.name,
            Key=encode(pace_second_key(provider, second)),
            UpdateExpression="SET #expires_at = :end ADD #used :one, #work :one",
            ExpressionAttributeNames={"#expires_at": "expires_at", "#used": "used", "#work": work},
            ExpressionAttributeValues=_values({"one": 1, "end": second + _SECOND_KEPT_S}),
        )

    def second(self, provider: str, second: int) -> PaceSecond:
        """The present counts of a second."""
        return _second(second, self._get(pace_second_key(provider, second)))

    def slowed(self, provider: str) -> Slowed | None:
        """What the provider last refused; None where that is long ago."""
        item = self._get(slowed_key(provider))
        return read(Slowed, decode(item)) if item else None

    def slow(self, provider: str, slowed: Slowed, known: Slowed | None) -> bool:
        """Write a refusal; False if another writer was first, so that the table no longer holds `known`."""
        values = attributes(slowed) | {"expires_at": slowed.at_ms // 1000 + _SLOWED_KEPT_S}
        condition = "attribute_not_exists(pk)"
        before = {}
        if known:
            condition = "#at_ms = :known_at AND #until_ms = :known_until"
            before = {"known_at": known.at_ms, "known_until": known.until_ms}
        update = self._table.update(slowed_key(provider), values, condition, known=before)
        try:
            self._db.update_item(**update)
        except self._db.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _get(self, key: Item) -> Mapping[str, Any]:
        answer = self._db.get_item(TableName=self._table.name, Key=encode(key), ConsistentRead=True)
        return answer.get("Item", {})


def _line(ask: Ask) -> tuple[str, str, str]:
    """The condition on `used`, and the change of `used`: what is added to SET, and what is added to ADD."""
    if ask.is_behind:
        return "(attribute_not_exists(#used) OR #used < :floor)", ", #used = :next", ""
    if ask.floor == 0:
        return "(attribute_not_exists(#used) OR #used <= :ceiling)", "", ", #used :number"
    return "#used BETWEEN :floor AND :ceiling", "", ", #used :number"


def _bounds(ask: Ask) -> Item:
    if ask.is_behind:
        return {"floor": ask.floor, "next": ask.floor + ask.number}
    return {"ceiling": ask.ceiling} | ({"floor": ask.floor} if ask.floor else {})


def _values(given: Mapping[str, int]) -> Item:
    return encode({f":{name}": value for name, value in given.items()})


def _second(second: int, item: Mapping[str, Any]) -> PaceSecond:
    return read(PaceSecond, decode(item), second=second)
