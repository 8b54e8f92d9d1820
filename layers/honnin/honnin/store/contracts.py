"""A user's contract with the merchant, as far as the merchant has reported it: that it began, and when it ended.

One item for each user, next to the statuses. A new submission and a new link write that the user has begun (again), in
their own transaction, which also ends what was reported before: data of a running contract must never become due. An
end that was reported is listed in the index `due` at the time from which the user is to be erased.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from honnin.errors import ConcurrentUpdateError
from honnin.store.keys import Item, contract_key, due, status_key
from honnin.store.table import UNSTORED, Table, attributes, encode, read
from honnin.store.users import UserStatus

_KIND = "contract_ended"

# What was reported an end.
_ENDED = ("ended_on", "told_at", "told_by", "reason", "due_kind", "due_at")


@dataclass(frozen=True)
class Contract:
    """What is known of a user's contract. Times are UTC, `ended_on` is a JST day (`yyyy-mm-dd`).

    `started_at` is when the user was last submitted or linked. `told_at`, `told_by` (ARN) and `reason` are about the
    end; people write the reason, so it may be personal. `due_at` is from when on the user is to be erased.
    """

    user_id: str
    started_at: str | None = None
    ended_on: str | None = None
    told_at: str | None = None
    told_by: str | None = field(default=None, repr=False)
    reason: str | None = field(default=None, repr=False)
    due_at: str | None = field(default=None, metadata=UNSTORED)


class Contracts:
    """Reads contracts, and writes their ends. `honnin.store.events` writes their beginnings."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, user_id: str) -> Contract:
        """What is known of a user's contract, read consistently."""
        item = self._table.get(contract_key(user_id))
        return _read(item) if item else Contract(user_id)

    def due(self, now: str) -> Iterator[Contract]:
        """The ended contracts whose users are to be erased by `now` (UTC), the longest overdue first.

        The index may be behind the table: read each again.
        """
        return map(_read, self._table.due(_KIND, now))

    def end(self, known: Contract, ended: Contract, status: UserStatus) -> None:
        """Write an end.

        Raises
        ------
        ConcurrentUpdateError
            The contract is no longer as `known`, or the user has lost this status: the user was erased.
        """
        key = contract_key(ended.user_id)
        item = key | attributes(ended) | due(_KIND, ended.due_at or "", key)
        put: Item = {"TableName": self._table.name, "Item": encode(item), **unchanged(known)}
        there = self._table.absent(status_key(status.user_id, status.provider))
        there = {"TableName": there["TableName"], "Key": there["Key"], "ConditionExpression": "attribute_exists(pk)"}
        self._table.transact(
            "contract-end", [({"Put": put}, ConcurrentUpdateError), ({"ConditionCheck": there}, ConcurrentUpdateError)]
        )

    def cancel(self, known: Contract) -> bool:
        """Forget the end that was reported; False if the contract is no longer as `known`."""
        return self._change(known, {"user_id": known.user_id}, _ENDED)

    def move(self, known: Contract, due_at: str) -> bool:
        """Change from when on the user is to be erased (UTC); False if the contract is no longer as `known`."""
        return self._change(known, due(_KIND, due_at, contract_key(known.user_id)))

    def _change(self, known: Contract, values: Item, remove: tuple[str, ...] = ()) -> bool:
        update = self._table.update(contract_key(known.user_id), values, "", remove=remove)
        condition = unchanged(known)
        for name, value in condition.items():
            update[name] = {**update.get(name, {}), **value} if isinstance(value, dict) else value
        return self._table.attempt(update)


def unchanged(known: Contract) -> Item:
    """The condition that a contract's item is still as `known`."""
    values = {":started": known.started_at, ":ended": known.ended_on, ":told": known.told_at}
    names = dict(zip(values, ("started_at", "ended_on", "told_at"), strict=True))
    parts = [
        f"attribute_not_exists({names[each]})" if value is None else f"{names[each]} = {each}"
        for each, value in values.items()
    ]
    given = {each: value for each, value in values.items() if value is not None}
    return {
        "ConditionExpression": " AND ".join(parts),
        **({"ExpressionAttributeValues": encode(given)} if given else {}),
    }


def contract_check(table: Table, known: Contract) -> Item:
    """The check that a contract is still as `known`."""
    return {"TableName": table.name, "Key": encode(contract_key(known.user_id)), **unchanged(known)}


def contract_begin(table: Table, user_id: str, at: str) -> Item:
    """The put of a contract that begins (again) at `at` (UTC): an end that was reported before is over."""
    contract = Contract(user_id, started_at=at)
    return {"TableName": table.name, "Item": encode(contract_key(user_id) | attributes(contract))}


def contract_delete(table: Table, user_id: str) -> Item:
    """The delete of what is known of a user's contract."""
    return {"TableName": table.name, "Key": encode(contract_key(user_id))}


def _read(item: Item) -> Contract:
    return read(Contract, item, due_at=item.get("due_at"))
