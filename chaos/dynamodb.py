"""DynamoDB in memory, as far as `honnin.store` uses it: atomic, strict, some hundred times faster than moto.

`tests/integration/test_chaos.py` holds it to moto by a differential test. What it does not know, it refuses
with `NotImplementedError`: a new expression in the store fails loudly here instead of meaning something else.
"""

import json
import operator as op
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

type Item = dict[str, Any]
type Condition = Callable[[Item | None, Mapping[str, Any]], bool]
type Update = Callable[[Item, Mapping[str, Any]], None]

_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {"=": op.eq, "<=": op.le, ">": op.gt}
_TOKEN = re.compile(r"\s*([#:]?\w+|<=|>=|=|<|>|\(|\)|,)")


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
    """One table with the keys `pk` and `sk` and the index `due` (`due_kind`, `due_at`)."""

    exceptions = SimpleNamespace(
        TransactionCanceledException=TransactionCanceledException,
        ConditionalCheckFailedException=ConditionalCheckFailedException,
        TransactionConflictException=TransactionConflictException,
    )

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._items: dict[str, dict[str, Item]] = {}
        self.journal: list[Commit] = []

    def items(self) -> Iterator[Item]:
        """Every item, as it would come over the wire."""
        for partition in self._items.values():
            yield from partition.values()

    def find(self, pk: str, sk: str) -> Item | None:
        """One item, past every boundary."""
        return self._items.get(pk, {}).get(sk)

    def get_item(self, *, TableName: str, Key: Item, ConsistentRead: bool = False) -> dict[str, Any]:  # noqa: ARG002, N803
        """Read one item."""
        found = self.find(*_key(Key))
        return {"Item": found} if found is not None else {}

    def query(
        self,
        *,
        TableName: str,  # noqa: ARG002, N803
        KeyConditionExpression: str,  # noqa: N803
        ExpressionAttributeValues: Mapping[str, Any],  # noqa: N803
        IndexName: str = "",  # noqa: N803
        ConsistentRead: bool = False,  # noqa: ARG002, N803
    ) -> dict[str, Any]:
        """Read one partition of the table or of the index `due`, in the order of its sort key."""
        holds = _condition(KeyConditionExpression)
        candidates = self._candidates(IndexName, ExpressionAttributeValues)
        found = [item for item in candidates if holds(item, ExpressionAttributeValues)]
        sort_key = "due_at" if IndexName else "sk"
        return {"Items": sorted(found, key=lambda item: str(item[sort_key]["S"]))}

    def update_item(
        self,
        *,
        TableName: str,  # noqa: ARG002, N803
        Key: Item,  # noqa: N803
        **request: Any,
    ) -> dict[str, Any]:
        """Change one item if its condition holds."""
        if not _holds(self.find(*_key(Key)), request):
            raise ConditionalCheckFailedException({"Error": {"Code": "ConditionalCheckFailedException"}}, "UpdateItem")
        self._commit([("Update", {"Key": Key, **request})])
        return {}

    def transact_write_items(self, *, TransactItems: Sequence[Mapping[str, Item]]) -> dict[str, Any]:  # noqa: N803
        """Write all or nothing."""
        writes = [(kind, request) for write in TransactItems for kind, request in write.items()]
        keys = [_key(request.get("Key") or request["Item"]) for _, request in writes]
        if len(set(keys)) != len(keys):
            raise ClientError({"Error": {"Code": "ValidationException"}}, "TransactWriteItems")
        passed = [_holds(self.find(*key), request) for key, (_, request) in zip(keys, writes, strict=True)]
        if not all(passed):
            reasons = [{"Code": "None" if each else "ConditionalCheckFailed"} for each in passed]
            answer: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
            raise TransactionCanceledException(answer, "TransactWriteItems")
        self._commit(writes)
        return {}

    def _candidates(self, index: str, values: Mapping[str, Any]) -> list[Item]:
        if index not in ("", "due"):
            raise NotImplementedError(index)
        if index:
            return [item for item in self.items() if "due_kind" in item and "due_at" in item]
        return list(self._items.get(values[":pk"]["S"], {}).values())

    def _commit(self, writes: Sequence[tuple[str, Item]]) -> None:
        commit = Commit(self._now(), [], [])
        for kind, request in writes:
            key = _key(request.get("Key") or request["Item"])
            match kind:
                case "Put":
                    self._put(key, dict(request["Item"]), commit)
                case "Update":
                    item = dict(self.find(*key) or request["Key"])
                    names = _frozen(request.get("ExpressionAttributeNames"))
                    _update(request["UpdateExpression"], names)(item, request.get("ExpressionAttributeValues", {}))
                    self._put(key, item, commit)
                case "Delete":
                    self._items.get(key[0], {}).pop(key[1], None)
                    commit.deletes.append(key)
                case "ConditionCheck":
                    pass
                case _:
                    raise NotImplementedError(kind)
        self.journal.append(commit)

    def _put(self, key: tuple[str, str], item: Item, commit: Commit) -> None:
        # As over the wire: plain values, and nothing shared with the caller.
        stored: Item = json.loads(json.dumps(item))
        self._items.setdefault(key[0], {})[key[1]] = stored
        commit.puts.append(stored)


def _key(item: Item) -> tuple[str, str]:
    pk, sk = item["pk"]["S"], item["sk"]["S"]
    if not pk or not sk:
        raise ClientError({"Error": {"Code": "ValidationException"}}, "key")
    return pk, sk


def _holds(item: Item | None, request: Mapping[str, Any]) -> bool:
    if "ConditionExpression" not in request:
        return True
    names = _frozen(request.get("ExpressionAttributeNames"))
    return _condition(request["ConditionExpression"], names)(item, request.get("ExpressionAttributeValues", {}))


def _frozen(names: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    return tuple((names or {}).items())


# --- expressions ---


class _Words:
    """The words of an expression, with `#name` placeholders replaced."""

    def __init__(self, expression: str, names: tuple[tuple[str, str], ...]) -> None:
        known = dict(names)
        words = _TOKEN.findall(expression)
        if "".join(words) != "".join(expression.split()):
            raise NotImplementedError(expression)
        self._words = [known[word] if word.startswith("#") else word for word in words]
        self._expression = expression

    def next(self) -> str:
        """Take one word."""
        if not self._words:
            raise NotImplementedError(self._expression)
        return self._words.pop(0)

    def take(self, *wanted: str) -> bool:
        """Take the next word if it is one of these."""
        if self._words and self._words[0] in wanted:
            self._words.pop(0)
            return True
        return False

    def expect(self, word: str) -> None:
        """Take this word."""
        if not self.take(word):
            raise NotImplementedError(self._expression)

    @property
    def at_end(self) -> bool:
        """Whether nothing is left."""
        return not self._words


@cache
def _condition(expression: str, names: tuple[tuple[str, str], ...] = ()) -> Condition:
    words = _Words(expression, names)
    made = _any_of(words)
    if not words.at_end:
        raise NotImplementedError(expression)
    return made


def _any_of(words: _Words) -> Condition:
    parts = [_all_of(words)]
    while words.take("OR"):
        parts.append(_all_of(words))
    return lambda item, values: any(part(item, values) for part in parts)


def _all_of(words: _Words) -> Condition:
    parts = [_atom(words)]
    while words.take("AND"):
        parts.append(_atom(words))
    return lambda item, values: all(part(item, values) for part in parts)


def _atom(words: _Words) -> Condition:
    if words.take("("):
        inner = _any_of(words)
        words.expect(")")
        return inner
    word = words.next()
    if word in ("attribute_exists", "attribute_not_exists"):
        words.expect("(")
        name = words.next()
        words.expect(")")
        return lambda item, _: (name in (item or {})) == (word == "attribute_exists")
    if word == "begins_with":
        words.expect("(")
        name = words.next()
        words.expect(",")
        prefix = words.next()
        words.expect(")")
        return lambda item, values: name in (item or {}) and (item or {})[name]["S"].startswith(values[prefix]["S"])
    return _comparison(word, words.next(), words.next())


def _comparison(name: str, operator: str, placeholder: str) -> Condition:
    if operator not in _COMPARED or not placeholder.startswith(":"):
        raise NotImplementedError(f"{name} {operator} {placeholder}")

    def compare(item: Item | None, values: Mapping[str, Any]) -> bool:
        if not item or name not in item:
            return False
        ((kind, left),) = item[name].items()
        ((other_kind, right),) = values[placeholder].items()
        if kind != other_kind or kind not in ("S", "N"):
            return False
        return _COMPARED[operator](*((int(left), int(right)) if kind == "N" else (left, right)))

    return compare


@cache
def _update(expression: str, names: tuple[tuple[str, str], ...]) -> Update:
    words = _Words(expression, names)
    steps: list[Update] = []
    while not words.at_end:
        if words.take("SET"):
            steps.append(_assignment(words))
            while words.take(","):
                steps.append(_assignment(words))
        else:
            words.expect("REMOVE")
            steps.append(_removal(words.next()))
            while words.take(","):
                steps.append(_removal(words.next()))

    def update(item: Item, values: Mapping[str, Any]) -> None:
        for step in steps:
            step(item, values)

    return update


def _assignment(words: _Words) -> Update:
    name = words.next()
    words.expect("=")
    if words.take("if_not_exists"):
        words.expect("(")
        present = words.next()
        words.expect(",")
        default = words.next()
        words.expect(")")
        return lambda item, values: item.update({name: item.get(present, values[default])})
    placeholder = words.next()
    if not placeholder.startswith(":"):
        raise NotImplementedError(placeholder)
    return lambda item, values: item.update({name: values[placeholder]})


def _removal(name: str) -> Update:
    def remove(item: Item, _: Mapping[str, Any]) -> None:
        item.pop(name, None)

    return remove
