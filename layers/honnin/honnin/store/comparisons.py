"""Which recon files are to be compared, and how many comparisons each day has had.

Comparisons are numbered over all files of one type and day. The number is part of the events' ids, so the users of a
revised file are read again, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from honnin.store.keys import comparison_count_key, comparison_key, due
from honnin.store.table import COMPARE, Table, encode, read

# Kept as long as the records of a comparison's events.
COUNT_KEPT = timedelta(days=400)


@dataclass(frozen=True)
class Comparison:
    """One comparison of a file: its number, and the file."""

    file_type: str
    day: str
    file_name: str
    number: int


class Comparisons:
    """Stores what is to be compared. `due_at` are moments (UTC)."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def first(self, file_type: str, day: str, name: str, due_at: str) -> None:
        """Request the first comparison of a stored file, unless it was requested before."""
        key = comparison_key(file_type, day, name)
        if self._table.get(key) is None:
            self._ask(Comparison(file_type, day, name, 0), due_at, "attribute_not_exists(pk)")

    def another(self, before: Comparison, due_at: str) -> Comparison:
        """Request one more comparison of a file, from `due_at` on.

        It is the one after `before`, unless that was requested already.
        Returns the comparison that is to be made.
        """
        asked = self._ask(before, due_at, "attribute_not_exists(#number) OR #number = :before")
        return asked or self.of(before) or before

    def of(self, file: Comparison) -> Comparison | None:
        """The newest comparison of a file that was requested, whether or not it is done."""
        item = self._table.get(comparison_key(file.file_type, file.day, file.file_name))
        return read(Comparison, item) if item else None

    def made(self, file: Comparison) -> tuple[int, ...]:
        """The numbers of all comparisons of a file that were requested, the newest last."""
        item = self._table.get(comparison_key(file.file_type, file.day, file.file_name)) or {}
        return tuple(sorted(map(int, item.get("numbers", ()))))

    def due(self, now: str) -> list[Comparison]:
        """The comparisons that are due by now, or are running."""
        return [read(Comparison, item) for item in self._table.due(COMPARE, now)]

    def end(self, done: Comparison) -> None:
        """Record that a comparison is done. If another one was requested meanwhile, that one stays."""
        key = comparison_key(done.file_type, done.day, done.file_name)
        known = {"done": done.number}
        values = {"ended": done.number}
        update = self._table.update(
            key, values, "#number = :done", known=known, remove=("due_kind", "due_at"), names=("number",)
        )
        self._table.attempt(update)

    def numbers(self, file_type: str) -> Mapping[str, int]:
        """By JST day, the highest number of a comparison of this type."""
        # A prefix is not used here, because DynamoDB refuses an empty one.
        found = self._table.items(
            "query",
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=encode({":pk": f"COMPARISONS#{file_type}"}),
            ConsistentRead=True,
        )
        return {str(item["sk"]): int(item["number"]) for item in found}

    def _ask(self, before: Comparison, due_at: str, condition: str) -> Comparison | None:
        asked = replace(before, number=self._number(before.file_type, before.day))
        key = comparison_key(asked.file_type, asked.day, asked.file_name)
        values = {
            "file_type": asked.file_type,
            "day": asked.day,
            "file_name": asked.file_name,
            "number": asked.number,
            "expires_at": self._end(),
            **due(COMPARE, due_at, key),
        }
        known = {"before": before.number} if ":before" in condition else {}
        update = self._table.update(key, values, condition, known={**known, "numbers": {asked.number}})
        update["UpdateExpression"] += " ADD #numbers :numbers"
        update["ExpressionAttributeNames"]["#numbers"] = "numbers"
        return asked if self._table.attempt(update) else None

    def _number(self, file_type: str, day: str) -> int:
        """The next number of this type and day. If it is not used, that does no harm."""
        update: dict[str, Any] = {
            "TableName": self._table.name,
            "Key": encode(comparison_count_key(file_type, day)),
            "UpdateExpression": "SET expires_at = :end ADD #number :one",
            "ExpressionAttributeNames": {"#number": "number"},
            "ExpressionAttributeValues": encode({":end": self._end(), ":one": 1}),
            "ReturnValues": "UPDATED_NEW",
        }
        answer = self._table.settled(self._table.db.update_item, update)
        return int(answer["Attributes"]["number"]["N"])

    def _end(self) -> int:
        return int((self._table.now() + COUNT_KEPT).timestamp())
