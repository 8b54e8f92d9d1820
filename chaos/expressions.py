"""DynamoDB's expressions, as far as Honnin uses them: conditions, key conditions, filters, updates, projections.

What it does not know it refuses with `NotImplementedError`: a new expression of the store fails loudly here instead of
meaning something else.
"""

import operator as op
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

type Item = dict[str, Any]
type Value = Mapping[str, Any]
type Values = Mapping[str, Value]
type Condition = Callable[[Item, Values], bool]
type Operand = Callable[[Item, Values], Value]
type Step = Callable[[Item, Item, Values], None]  # the item as it was, the item that is made of it
type Names = tuple[tuple[str, str], ...]

_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": op.eq,
    "<>": op.ne,
    "<": op.lt,
    "<=": op.le,
    ">": op.gt,
    ">=": op.ge,
}
_TOKEN = re.compile(r"\s*([#:]?\w+|<>|<=|>=|=|<|>|\(|\)|,|\+|-)")
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html
_RESERVED = frozenset((Path(__file__).parent / "reserved_words.txt").read_text().split())
_TEST = ("attribute_exists", "attribute_not_exists")
_MATCH = ("begins_with", "contains")


class InvalidExpressionError(Exception):
    """DynamoDB answers with a ValidationException."""


@dataclass(frozen=True)
class Compiled[T]:
    """An expression ready for use, and the placeholders that it names.

    `equal`: attributes compared by `=`, and with what. `written`: the attributes that an update touches.
    """

    run: T
    placeholders: frozenset[str]
    equal: Mapping[str, str]
    written: Sequence[str] = ()


@dataclass
class _Words:
    """The words of an expression; `#name` placeholders are replaced as they are taken."""

    expression: str
    names: Mapping[str, str]
    placeholders: set[str] = field(default_factory=set)
    equal: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._words: list[str] = _TOKEN.findall(self.expression)
        if "".join(self._words) != "".join(self.expression.split()):
            raise NotImplementedError(self.expression)

    def next(self) -> str:
        """Take one word."""
        if not self._words:
            raise InvalidExpressionError(self.expression)
        word = self._words.pop(0)
        if word.startswith((":", "#")):
            self.placeholders.add(word)
        if word.startswith("#"):
            if word not in self.names:
                raise InvalidExpressionError(f"{word} is not defined")
            return self.names[word]
        if word.upper() in _RESERVED and self._words[:1] != ["("]:
            raise InvalidExpressionError(f"{word} is a reserved word")
        return word

    def take(self, *wanted: str) -> bool:
        """Take the next word if it is one of these."""
        if self._words and self._words[0] in wanted:
            self._words.pop(0)
            return True
        return False

    def expect(self, word: str) -> None:
        """Take this word."""
        if not self.take(word):
            raise NotImplementedError(self.expression)

    def value(self) -> str:
        """Take the placeholder of a value."""
        word = self.next()
        if not word.startswith(":"):
            raise NotImplementedError(self.expression)
        return word

    def arguments(self) -> list[str]:
        """Take names and placeholders in parentheses."""
        self.expect("(")
        found = [self.next()]
        while self.take(","):
            found.append(self.next())
        self.expect(")")
        return found

    def done[T](self, run: T, written: Sequence[str] = ()) -> Compiled[T]:
        """The expression, which must be at its end."""
        if self._words:
            raise NotImplementedError(self.expression)
        return Compiled(run, frozenset(self.placeholders), self.equal, written)


# --- conditions ---


@cache
def condition(expression: str, names: Names = ()) -> Compiled[Condition]:
    """A condition, key condition or filter."""
    words = _Words(expression, dict(names))
    return words.done(_any_of(words))


def _any_of(words: _Words) -> Condition:
    parts = [_all_of(words)]
    while words.take("OR"):
        parts.append(_all_of(words))
    return parts[0] if len(parts) == 1 else lambda item, values: any(part(item, values) for part in parts)


def _all_of(words: _Words) -> Condition:
    parts = [_one(words)]
    while words.take("AND"):
        parts.append(_one(words))
    return parts[0] if len(parts) == 1 else lambda item, values: all(part(item, values) for part in parts)


def _one(words: _Words) -> Condition:
    if words.take("NOT"):
        inner = _one(words)
        return lambda item, values: not inner(item, values)
    if words.take("("):
        inner = _any_of(words)
        words.expect(")")
        return inner
    word = words.next()
    if word in _TEST:
        [name] = words.arguments()
        return lambda item, _: (name in item) == (word == "attribute_exists")
    if word in _MATCH:
        name, part = words.arguments()
        match = _begins_with if word == "begins_with" else _contains
        return lambda item, values: name in item and match(item[name], values[part])
    return _comparison(words, word)


def _comparison(words: _Words, name: str) -> Condition:
    if words.take("BETWEEN"):
        first = words.value()
        words.expect("AND")
        last = words.value()
        return lambda item, values: (
            _compare(">=", item.get(name), values[first]) and _compare("<=", item.get(name), values[last])
        )
    if words.take("IN"):
        among = words.arguments()
        return lambda item, values: any(_compare("=", item.get(name), values[each]) for each in among)
    sign, placeholder = words.next(), words.value()
    if sign not in _COMPARED:
        raise NotImplementedError(words.expression)
    if sign == "=":
        words.equal[name] = placeholder
    return lambda item, values: _compare(sign, item.get(name), values[placeholder])


def _compare(sign: str, left: Value | None, right: Value) -> bool:
    """An attribute that is not there, or is of another type, is neither equal nor smaller nor greater."""
    if left is None:
        return sign == "<>"
    ((kind, mine),) = left.items()
    ((other, its),) = right.items()
    if kind != other:
        return sign == "<>"
    if kind == "N":
        return _COMPARED[sign](Decimal(mine), Decimal(its))
    if sign in ("=", "<>"):
        return _COMPARED[sign](sorted(mine), sorted(its)) if kind == "SS" else _COMPARED[sign](mine, its)
    if kind != "S":
        raise NotImplementedError(f"{kind} {sign}")
    return _COMPARED[sign](mine, its)


def _begins_with(value: Value, prefix: Value) -> bool:
    return "S" in value and value["S"].startswith(prefix["S"])


def _contains(value: Value, part: Value) -> bool:
    ((kind, held),) = value.items()
    if kind == "L":
        return part in held
    return kind in ("S", "SS") and part["S"] in held


# --- updates and projections ---


@cache
def update(expression: str, names: Names = ()) -> Compiled[Callable[[Item, Values], Item]]:
    """An update: gives the item that it makes of another. Every right side sees the item as it was."""
    words = _Words(expression, dict(names))
    steps: list[Step] = []
    named: list[str] = []
    clauses = {"SET": _assignment, "REMOVE": _removal, "ADD": _addition, "DELETE": _subtraction}
    while words._words:
        clause = next((make for name, make in clauses.items() if words.take(name)), None)
        if clause is None:
            raise InvalidExpressionError(expression)
        steps.append(clause(words, named))
        while words.take(","):
            steps.append(clause(words, named))
    if len(set(named)) != len(named):
        raise InvalidExpressionError("two document paths overlap")
    if {"pk", "sk"} & set(named):
        raise InvalidExpressionError("a key cannot be updated")

    def run(before: Item, values: Values) -> Item:
        made = dict(before)
        for step in steps:
            step(before, made, values)
        return made

    return words.done(run, named)


def _assignment(words: _Words, named: list[str]) -> Step:
    name = words.next()
    named.append(name)
    words.expect("=")
    left = _operand(words)
    if not words.take("+"):
        return lambda before, made, values: made.update({name: left(before, values)})
    right = _operand(words)
    return lambda before, made, values: made.update({name: _sum(left(before, values), right(before, values))})


def _operand(words: _Words) -> Operand:
    word = words.next()
    if word == "if_not_exists":
        name, default = words.arguments()
        return lambda item, values: item[name] if name in item else values[default]
    if word.startswith(":"):
        return lambda _, values: values[word]

    def attribute(item: Item, _: Values) -> Value:
        if word not in item:
            raise InvalidExpressionError(f"{word} is not in the item")
        found: Value = item[word]
        return found

    return attribute


def _removal(words: _Words, named: list[str]) -> Step:
    name = words.next()
    named.append(name)
    return lambda _, made, __: made.pop(name, None)


def _addition(words: _Words, named: list[str]) -> Step:
    name, placeholder = words.next(), words.value()
    named.append(name)

    def add(before: Item, made: Item, values: Values) -> None:
        value, now = values[placeholder], before.get(name)
        if "N" in value:
            made[name] = _sum(now or {"N": "0"}, value)
        elif now is None or value.keys() == now.keys() <= {"SS", "NS"}:
            [(kind, more)] = value.items()
            made[name] = {kind: sorted({*(now or {kind: []})[kind], *more})}
        else:
            raise InvalidExpressionError("an operand is of another type")

    return add


def _subtraction(words: _Words, named: list[str]) -> Step:
    name, placeholder = words.next(), words.value()
    named.append(name)

    def subtract(before: Item, made: Item, values: Values) -> None:
        left = sorted(set(before.get(name, {"SS": []})["SS"]) - set(values[placeholder]["SS"]))
        made.pop(name, None)
        # There are no empty sets.
        made.update({name: {"SS": left}} if left else {})

    return subtract


def _sum(left: Value, right: Value) -> Value:
    if "N" not in left or "N" not in right:
        raise InvalidExpressionError("an operand is of another type")
    return {"N": str(Decimal(left["N"]) + Decimal(right["N"]))}


@cache
def projection(expression: str, names: Names = ()) -> Compiled[Callable[[Item], Item]]:
    """A list of attributes."""
    words = _Words(expression, dict(names))
    wanted = [words.next()]
    while words.take(","):
        wanted.append(words.next())
    return words.done(lambda item: {name: item[name] for name in wanted if name in item})


def check_placeholders(request: Mapping[str, Any], used: Sequence[Compiled[Any]]) -> None:
    """DynamoDB refuses a request that names a placeholder without giving it, or gives one without naming it."""
    given = {*request.get("ExpressionAttributeNames", ()), *request.get("ExpressionAttributeValues", ())}
    named = frozenset[str]().union(*(each.placeholders for each in used))
    if given != named:
        raise InvalidExpressionError(f"placeholders that are unused or not defined: {sorted(given ^ named)}")
