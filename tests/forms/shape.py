"""What a form consists of, and what a later form lacks of an earlier one."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import Any

# The one character that stands for every name in a mapping by ids, words or counts, and for every place of a list.
EACH = "*"


def plain(value: Any) -> Any:
    """Records as JSON has them."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {_name(name): plain(each) for name, each in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(plain(each) for each in value)
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, Decimal):
        return int(value)
    return str(value) if isinstance(value, str) else value


def _name(key: Any) -> str:
    return " ".join(map(str, plain(key).values())) if is_dataclass(key) else str(key)


def paths(value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Every field of a form with its type: `change.version: int`. Null has no type."""
    match value:
        case Mapping():
            yield at, "object"
            for name, each in value.items():
                yield from paths(each, f"{at}.{name}".lstrip("."))
        case list():
            yield at, "list"
            for each in value:
                yield from paths(each, f"{at}.{EACH}".lstrip("."))
        case None:
            return
        case _:
            yield at, type(value).__name__


def lacks(old: Any, new: Any, at: str = "") -> Iterator[str]:
    """What `new` has not of `old`, or has with another value. What it has beyond `old` does not matter."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name, value in old.items():
            if name in new:
                yield from lacks(value, new[name], f"{at}.{name}")
            else:
                yield f"{at}.{name} is missing"
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for place, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from lacks(one, other, f"{at}[{place}]")
    elif old != new:
        yield f"{at} is {new!r}, not {old!r}"
