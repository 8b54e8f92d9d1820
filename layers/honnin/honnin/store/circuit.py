"""The circuit of the merchant's endpoint: how often in a row it has failed, and whether it counts as down.

One item for all execution environments. `honnin.merchant_webhook.circuit` decides by it.
"""

from dataclasses import dataclass
from typing import Any

from honnin.store.keys import Item, webhook_circuit_key
from honnin.store.table import Table, decode, encode, read


@dataclass(frozen=True)
class Circuit:
    """The failures since the last success, and since when (UTC) the circuit is open (None: it is closed).

    `reason` is why the last delivery failed, `endpoint` what failed (the name that the caller gave it).
    """

    failures: int = 0
    opened_at: str | None = None
    reason: str | None = None
    endpoint: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether nothing but the probe is sent."""
        return self.opened_at is not None


class Circuits:
    """Reads and changes the one circuit."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def read(self) -> Circuit:
        """The circuit as it is now, with a consistent read."""
        return _circuit(self._table.get(webhook_circuit_key()) or {})

    def fail(self, reason: str, endpoint: str) -> Circuit:
        """Count one more failure in a row of an endpoint; returns the circuit as it is then."""
        request: dict[str, Any] = {
            "TableName": self._table.name,
            "Key": encode(webhook_circuit_key()),
            "UpdateExpression": "SET #reason = :reason, #endpoint = :endpoint ADD #failures :one",
            "ExpressionAttributeNames": {"#reason": "reason", "#endpoint": "endpoint", "#failures": "failures"},
            "ExpressionAttributeValues": encode({":reason": reason, ":endpoint": endpoint, ":one": 1}),
            "ReturnValues": "ALL_NEW",
        }
        return _circuit(decode(self._table.settled(self._table.db.update_item, request)["Attributes"]))

    def open(self, at: str) -> bool:
        """Open the circuit at a moment (UTC); False if it is open already."""
        condition = "attribute_not_exists(opened_at)"
        return self._table.attempt(self._table.update(webhook_circuit_key(), {"opened_at": at}, condition))

    def succeed(self) -> None:
        """Count the failures from zero again. An open circuit stays open: only the probe closes it."""
        condition = "attribute_not_exists(opened_at)"
        self._table.attempt(self._table.update(webhook_circuit_key(), {"failures": 0}, condition, remove=("reason",)))

    def close(self) -> None:
        """Close the circuit."""
        self._table.attempt(
            self._table.update(webhook_circuit_key(), {"failures": 0}, "", remove=("opened_at", "reason", "endpoint"))
        )


def _circuit(item: Item) -> Circuit:
    return read(Circuit, item)
