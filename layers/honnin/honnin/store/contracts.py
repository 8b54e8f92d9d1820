"""A user's contract with the merchant, as far as the merchant has reported it: that it began, and when it ended.

One item for each user, next to the statuses. A new submission and a new link write that the user has begun (again), in
their own transaction, which also ends what was reported before: data of a running contract must never become due. If it
turns out that the submission was never sent, nobody came back, and what was known before is put back. An end that was
reported is listed in the index `due` at the time from which the user is to be erased.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from honnin.errors import ConcurrentUpdateError
from honnin.store.keys import Item, contract_key, due, status_key
from honnin.store.table import UNSTORED, Table, Write, attributes, encode, read
from honnin.store.users import UserStatus

_KIND = "contract_ended"


@dataclass(frozen=True)
class Contract:
    """What is known of a user's contract. Times are UTC, `ended_on` is a JST day (`yyyy-mm-dd`).

    `started_at` is when the user was last submitted or linked; `submission_id` is the submission that it began with, as
    long as nothing was said or done since. `reported_at`, `reported_by` (ARN) and `reason` are about the end; people
    write the reason, so it may be personal. `due_at` is from when on the user is to be erased.
    """

    user_id: str
    started_at: str | None = None
    submission_id: str | None = None
    ended_on: str | None = None
    reported_at: str | None = None
    reported_by: str | None = field(default=None, repr=False)
    reason: str | None = field(default=None, repr=False)
    due_at: str | None = field(default=None, metadata=UNSTORED)


class Contracts:
    """Reads contracts, and writes what is reported. `honnin.store.events` writes their beginnings."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, user_id: str) -> Contract:
        """What is known of a user's contract, read consistently."""
        item = self._table.get(contract_key(user_id))
        return _read(item) if item else Contract(user_id)

    def due(self, until: str) -> Iterator[Contract]:
        """The ended contracts whose users are to be erased by `until` (UTC), the first to be erased first.

        The index may be behind the table: read each again.
        """
        return map(_read, self._table.due(_KIND, until))

    def change(self, known: Contract, wanted: Contract, status: UserStatus | None = None) -> None:
        """Write `wanted` in the place of `known`.

        Raises
        ------
        ConcurrentUpdateError
            The contract is no longer as `known`, or the user has lost this status: the user was erased.
        """
        writes: list[Write] = [({"Put": {**_put(self._table, wanted), **_unchanged(known)}}, ConcurrentUpdateError)]
        if status:
            key = encode(status_key(status.user_id, status.provider))
            there = {"TableName": self._table.name, "Key": key, "ConditionExpression": "attribute_exists(pk)"}
            writes.append(({"ConditionCheck": there}, ConcurrentUpdateError))
        self._table.transact("contract-end", writes)


def _unchanged(known: Contract) -> Item:
    """The condition that a contract's item is still as `known`."""
    values = {":started": known.started_at, ":ended": known.ended_on, ":reported": known.reported_at}
    names = dict(zip(values, ("started_at", "ended_on", "reported_at"), strict=True))
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
    return {"TableName": table.name, "Key": encode(contract_key(known.user_id)), **_unchanged(known)}


def contract_begin(table: Table, user_id: str, at: str) -> Item:
    """The put of a contract that begins (again) at `at` (UTC): an end that was reported before is over."""
    return _put(table, Contract(user_id, started_at=at))


def contract_submitted(table: Table, earlier: Contract, at: str, submission_id: str) -> Item:
    """The put of a contract that begins with a submission, if it is still as `earlier`."""
    begun = Contract(earlier.user_id, started_at=at, submission_id=submission_id)
    return {**_put(table, begun), **_unchanged(earlier)}


def contract_back(table: Table, earlier: Contract) -> Item:
    """The put of what was known before `earlier.submission_id` was not sent, if nothing was said or done since."""
    return {
        **_put(table, replace(earlier, submission_id=None)),
        "ConditionExpression": "submission_id = :unsent",
        "ExpressionAttributeValues": encode({":unsent": earlier.submission_id}),
    }


def contract_attributes(contract: Contract) -> dict[str, Any]:
    """What is known of a contract, as a submission stores it until it is known whether it was sent."""
    known = {**attributes(contract), "due_at": contract.due_at}
    return {name: each for name, each in known.items() if each and name not in ("user_id", "submission_id")}


def contract_delete(table: Table, user_id: str) -> Item:
    """The delete of what is known of a user's contract."""
    return {"TableName": table.name, "Key": encode(contract_key(user_id))}


def _put(table: Table, contract: Contract) -> Item:
    item = contract_key(contract.user_id) | attributes(contract)
    item |= due(_KIND, contract.due_at, item) if contract.due_at else {}
    return {"TableName": table.name, "Item": encode(item)}


def _read(item: Item) -> Contract:
    return read(Contract, item, due_at=item.get("due_at"))
