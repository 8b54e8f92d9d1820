"""DynamoDB in memory, as far as Honnin uses it: atomic, strict, some hundred times faster than moto.

`tests/contract` holds it to moto and to the emulator request by request; `chaos.expressions` has the expressions.
"""

import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from chaos import expressions
from chaos.expressions import InvalidExpressionError, Item
from chaos.paging import Paginator

_MOST_KEYS, _MOST_WRITES, _MOST_IN_A_TRANSACTION = 100, 25, 100
_KEYS = ("pk", "sk")


class _Index(NamedTuple):
    """The keys of an index, and what else it holds of an item (None: all)."""

    partition: str
    order: str
    included: frozenset[str] | None = None

    def view(self, item: Item) -> Item:
        """What the index holds of an item."""
        if self.included is None:
            return item
        names = {*_KEYS, self.partition, self.order, *self.included}
        return {name: value for name, value in item.items() if name in names}


# As template.yaml has them (`tests/contract`).
INDEXES: Mapping[str, _Index] = {
    "due": _Index("due_kind", "due_at"),
    "overview": _Index(
        "overview_pk",
        "overview_sk",
        frozenset(
            [
                "user_id",
                "provider",
                "status",
                "since",
                "at",
                "event_id",
                "cause",
                "from_status",
                "to_status",
                "told",
                "expires_at",
            ]
        ),
    ),
}


class TransactionCanceledException(ClientError):  # noqa: N818 -- botocore's name
    """A condition of the transaction does not hold; the reasons keep the places of the writes."""


class ConditionalCheckFailedException(ClientError):  # noqa: N818 -- botocore's name
    """The condition of a single write does not hold."""


class TransactionConflictException(ClientError):  # noqa: N818 -- botocore's name
    """Never raised: here, calls come one after the other."""


class Commit(NamedTuple):
    """One write or transaction that took effect: when, and the items put and keys deleted by it."""

    at: datetime
    puts: list[Item]
    deletes: list[tuple[str, str]]


class MemoryDynamoDB:
    """One table with the keys `pk` and `sk` and the indexes of `INDEXES`."""

    exceptions = SimpleNamespace(
        TransactionCanceledException=TransactionCanceledException,
        ConditionalCheckFailedException=ConditionalCheckFailedException,
        TransactionConflictException=TransactionConflictException,
    )

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.now = now
        self._items: dict[str, dict[str, Item]] = {}
        self._indexed: dict[str, dict[str, dict[tuple[str, str], Item]]] = {name: {} for name in INDEXES}
        self.journal: list[Commit] = []

    def items(self) -> Iterator[Item]:
        """Every item, as it would come over the wire."""
        for partition in self._items.values():
            yield from partition.values()

    def find(self, pk: str, sk: str) -> Item | None:
        """One item, past every boundary."""
        return self._items.get(pk, {}).get(sk)

    # --- reads ---

    def get_item(self, *, TableName: str, Key: Item, ConsistentRead: bool = False) -> dict[str, Any]:  # noqa: ARG002, N803
        """Read one item."""
        found = self.find(*_key(Key, "GetItem"))
        return {"Item": found} if found is not None else {}

    def batch_get_item(self, *, RequestItems: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N803
        """Read up to 100 items."""
        [(table, wanted)] = RequestItems.items()
        keys = [_key(key, "BatchGetItem") for key in wanted["Keys"]]
        _check_batch(keys, _MOST_KEYS, "BatchGetItem")
        found = [self.find(*key) for key in keys]
        return {"Responses": {table: [each for each in found if each is not None]}, "UnprocessedKeys": {}}

    def query(self, **request: Any) -> dict[str, Any]:
        """Read one page of a partition of the table or of an index, in the order of its sort key."""
        index = request.get("IndexName", "")
        if (index and index not in INDEXES) or (index and request.get("ConsistentRead")):
            raise _invalid("Query", "no such index, or a consistent read of one")
        partition, order = INDEXES[index][:2] if index else _KEYS
        with_values = request.get("ExpressionAttributeValues", {})
        key = _compiled("Query", expressions.condition, request, "KeyConditionExpression")
        if key is None or partition not in key.equal:
            raise _invalid("Query", "the key condition names no partition")
        wanted = with_values.get(key.equal[partition], {}).get("S")
        candidates = (self._indexed[index] if index else self._items).get(wanted, {}).values()
        found = [item for item in candidates if key.run(item, with_values)]
        found.sort(key=lambda item: str(item[order]["S"]), reverse=not request.get("ScanIndexForward", True))
        return _page("Query", found, request, (*_KEYS, *((partition, order) if index else ())), [key])

    def scan(self, **request: Any) -> dict[str, Any]:
        """Read one page of all items, or of one of several segments."""
        total = request.get("TotalSegments", 1)
        mine = [
            item
            for pk, items in self._items.items()
            if _segment(pk, total) == request.get("Segment", 0)
            for item in items.values()
        ]
        return _page("Scan", mine, request, _KEYS, [])

    def get_paginator(self, operation: str) -> Paginator:
        """Pages of `query` or `scan`."""
        return Paginator(getattr(self, operation), {"LastEvaluatedKey": "ExclusiveStartKey"})

    # --- writes ---

    def put_item(self, **request: Any) -> dict[str, Any]:
        """Write one item if its condition holds."""
        return self._single("PutItem", "Put", request)

    def update_item(self, **request: Any) -> dict[str, Any]:
        """Change one item, or make it, if its condition holds."""
        return self._single("UpdateItem", "Update", request)

    def delete_item(self, **request: Any) -> dict[str, Any]:
        """Delete one item, if it is there and its condition holds."""
        return self._single("DeleteItem", "Delete", request)

    def batch_write_item(self, *, RequestItems: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N803
        """Put or delete up to 25 items."""
        [(_, requests)] = RequestItems.items()
        writes = [(name.removesuffix("Request"), request) for each in requests for name, request in each.items()]
        keys = [_key(request.get("Key") or request["Item"], "BatchWriteItem") for _, request in writes]
        _check_batch(keys, _MOST_WRITES, "BatchWriteItem")
        self._commit(list(zip(keys, writes, strict=True)))
        return {"UnprocessedItems": {}}

    def transact_write_items(self, *, TransactItems: Sequence[Mapping[str, Item]]) -> dict[str, Any]:  # noqa: N803
        """Write all or nothing."""
        operation = "TransactWriteItems"
        writes = [(kind, request) for write in TransactItems for kind, request in write.items()]
        keys = [_key(request.get("Key") or request["Item"], operation) for _, request in writes]
        _check_batch(keys, _MOST_IN_A_TRANSACTION, operation)
        passed = [_holds(operation, self.find(*key), each) for key, each in zip(keys, writes, strict=True)]
        if not all(passed):
            failed = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
            reasons = [{"Code": "None"} if each else failed for each in passed]
            answer: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
            raise TransactionCanceledException(answer, operation)
        self._commit(list(zip(keys, writes, strict=True)))
        return {}

    def _single(self, operation: str, kind: str, request: Mapping[str, Any]) -> dict[str, Any]:
        key = _key(request.get("Key") or request["Item"], operation)
        before = self.find(*key)
        if not _holds(operation, before, (kind, request)):
            answer: Any = {"Error": {"Code": "ConditionalCheckFailedException"}}
            if before is not None and request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD":
                answer["Item"] = before
            raise ConditionalCheckFailedException(answer, operation)
        self._commit([(key, (kind, request))])
        after = self.find(*key) or {}
        match request.get("ReturnValues", "NONE"):
            case "NONE":
                return {}
            case "ALL_OLD":
                return {"Attributes": before} if before else {}
            case "ALL_NEW":
                return {"Attributes": after}
            case "UPDATED_NEW":
                change = _compiled(operation, expressions.update, request, "UpdateExpression")
                return {"Attributes": {name: after[name] for name in change.written if name in after}}
        raise NotImplementedError(request["ReturnValues"])

    def _commit(self, writes: Sequence[tuple[tuple[str, str], tuple[str, Mapping[str, Any]]]]) -> None:
        commit = Commit(self.now(), [], [])
        for key, (kind, request) in writes:
            match kind:
                case "Put":
                    self._put(key, request["Item"], commit)
                case "Update":
                    change = _compiled("UpdateItem", expressions.update, request, "UpdateExpression")
                    before = self.find(*key) or request["Key"]
                    values = request.get("ExpressionAttributeValues", {})
                    self._put(key, change.run(before, values) if change else before, commit)
                case "Delete":
                    gone = self._items.get(key[0], {}).pop(key[1], None)
                    if gone is not None:
                        self._unindex(key, gone)
                        commit.deletes.append(key)
                case "ConditionCheck":
                    pass
                case _:
                    raise NotImplementedError(kind)
        self.journal.append(commit)

    def _put(self, key: tuple[str, str], item: Mapping[str, Any], commit: Commit) -> None:
        # As over the wire: plain values, and nothing shared with the caller.
        stored: Item = json.loads(json.dumps(item))
        if (before := self.find(*key)) is not None:
            self._unindex(key, before)
        self._items.setdefault(key[0], {})[key[1]] = stored
        for name, index in INDEXES.items():
            if index.partition in stored and index.order in stored:
                self._indexed[name].setdefault(stored[index.partition]["S"], {})[key] = index.view(stored)
        commit.puts.append(stored)

    def _unindex(self, key: tuple[str, str], item: Item) -> None:
        for name, index in INDEXES.items():
            if index.partition in item:
                self._indexed[name].get(item[index.partition]["S"], {}).pop(key, None)


def _key(item: Item, operation: str) -> tuple[str, str]:
    pk, sk = (item.get(name, {}).get("S") for name in ("pk", "sk"))
    if not pk or not sk:
        raise _invalid(operation, "a key is missing, empty or of another type")
    return pk, sk


def _segment(pk: str, total: int) -> int:
    """The segment of a scan that a partition belongs to."""
    return zlib.crc32(pk.encode()) % total


def _invalid(operation: str, text: str) -> ClientError:
    return ClientError({"Error": {"Code": "ValidationException", "Message": text}}, operation)


def _check_batch(keys: Sequence[tuple[str, str]], most: int, operation: str) -> None:
    if not 1 <= len(keys) <= most or len(set(keys)) != len(keys):
        raise _invalid(operation, f"1 to {most} items, and none of them twice")


def _compiled(operation: str, compiler: Callable[..., Any], request: Mapping[str, Any], name: str) -> Any:
    """That expression of a request, or None."""
    if name not in request:
        return None
    try:
        return compiler(request[name], tuple(request.get("ExpressionAttributeNames", {}).items()))
    except InvalidExpressionError as error:
        raise _invalid(operation, str(error)) from None


def _check_placeholders(operation: str, request: Mapping[str, Any], used: Sequence[Any]) -> None:
    try:
        expressions.check_placeholders(request, [each for each in used if each is not None])
    except InvalidExpressionError as error:
        raise _invalid(operation, str(error)) from None


def _holds(operation: str, item: Item | None, write: tuple[str, Mapping[str, Any]]) -> bool:
    """Whether a write's condition holds; the whole request is checked first."""
    _, request = write
    condition = _compiled(operation, expressions.condition, request, "ConditionExpression")
    change = _compiled(operation, expressions.update, request, "UpdateExpression")
    _check_placeholders(operation, request, (condition, change))
    values = request.get("ExpressionAttributeValues", {})
    if condition is not None and not condition.run(item or {}, values):
        return False
    if change is not None:
        try:
            change.run(item or request["Key"], values)
        except InvalidExpressionError as error:
            raise _invalid(operation, str(error)) from None
    return True


def _page(
    operation: str, found: Sequence[Item], request: Mapping[str, Any], keys: Sequence[str], used: Sequence[Any]
) -> dict[str, Any]:
    """One page: the limit counts what was looked at, the filter comes after it."""
    chosen = _compiled(operation, expressions.condition, request, "FilterExpression")
    wanted = _compiled(operation, expressions.projection, request, "ProjectionExpression")
    _check_placeholders(operation, request, (*used, chosen, wanted))
    if start := request.get("ExclusiveStartKey"):
        found = _after(found, start, request, keys)
    limit = request.get("Limit", len(found) + 1)
    looked_at = found[:limit]
    values = request.get("ExpressionAttributeValues", {})
    items = [item for item in looked_at if chosen is None or chosen.run(item, values)]
    answer: dict[str, Any] = {"Count": len(items), "ScannedCount": len(looked_at)}
    if request.get("Select") != "COUNT":
        answer["Items"] = [wanted.run(item) for item in items] if wanted else items
    if len(looked_at) == limit:
        # Also where nothing is left: DynamoDB stops counting at the limit and does not look further.
        answer["LastEvaluatedKey"] = {name: looked_at[-1][name] for name in keys}
    return answer


def _after(found: Sequence[Item], start: Item, request: Mapping[str, Any], keys: Sequence[str]) -> Sequence[Item]:
    places = [number for number, item in enumerate(found) if all(item.get(name) == start.get(name) for name in keys)]
    if places:
        return found[places[0] + 1 :]
    if "KeyConditionExpression" not in request:
        raise NotImplementedError("a scan that goes on after an item that is gone")
    # The item is gone meanwhile: the page goes on behind its place.
    order, backwards = keys[-1], not request.get("ScanIndexForward", True)
    here = start[order]["S"]
    return [item for item in found if (item[order]["S"] < here if backwards else item[order]["S"] > here)]
