"""Stores that are broken on purpose: a harness that does not find them is none."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from honnin.store import Effect, Store
from honnin.store.events import Events
from honnin.store.table import Table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class _With:
    """A client with another `transact_write_items`."""

    def __init__(self, client: object, transact_write_items: Callable[..., None]) -> None:
        self._client = client
        self.transact_write_items = transact_write_items

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


class RecordFirstEvents(Events):
    """Writes the event's record in a transaction of its own, and what the event does in a second one."""

    def apply(self, effect: Effect) -> None:
        """A crash between the two leaves a record without its effect."""
        transact = self._table.db.transact_write_items

        def in_two(**request: Any) -> None:
            record, *rest = request["TransactItems"]
            transact(TransactItems=[record])
            try:
                transact(TransactItems=rest)
            except self._table.db.exceptions.TransactionCanceledException as error:
                # The reasons keep their places, so that the store reads them as it always does.
                error.response["CancellationReasons"].insert(0, {"Code": "None"})
                raise

        client = cast("DynamoDBClient", _With(self._table.db, in_two))
        Events(Table(self._table.name, client, now=self._table.now)).apply(effect)


class RecordFirstStore(Store):
    """Writes the event's record in a transaction of its own."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.events = RecordFirstEvents(self.table)


class UnfencedEvents(Events):
    """Overwrites a status whatever its version is."""

    def _status_put(self, effect: Effect) -> dict[str, Any]:
        put = super()._status_put(effect)
        return {name: put[name] for name in ("TableName", "Item")}


class UnfencedStore(Store):
    """Overwrites a status whatever its version is."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.events = UnfencedEvents(self.table)


class ForgetfulEvents(Events):
    """Marks a change as published before it is."""

    def apply(self, effect: Effect) -> None:
        """A crash before the publishing leaves a change that was never published."""
        super().apply(effect)
        if effect.change:
            self.mark_published(effect.event_id, effect.at)


class ForgetfulStore(Store):
    """Marks a change as published before it is."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.events = ForgetfulEvents(self.table)
