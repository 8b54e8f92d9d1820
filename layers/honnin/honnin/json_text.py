"""Reads JSON from others, as leniently as is safe: the result can always be written again.

RFC 8259 allows a parser to ignore a byte order mark (§8.1), and does not define the meaning of a name that is given
twice (§4). If one text is damaged (another encoding, a character cut in half, half a surrogate pair), the code next to
it must still be readable. Standard library only.
"""

import json
import math
import re
from collections.abc import Callable
from typing import Any

# Halves of a surrogate pair. They cannot be encoded, so one of them would make a log line or a table write fail.
_HALF = re.compile("[\ud800-\udfff]")

_TOO_DEEP = "nested too deeply"
_MOST_LEVELS = 100


class GivenTwiceError(ValueError):
    """A name is given twice in one object, with two values."""


def read(body: bytes, *, names_once: bool = False) -> Any:
    """The value of a JSON text.

    A byte order mark is ignored, and UTF-16 and UTF-32 are recognised. Bytes that are no text become U+FFFD. NaN and
    the infinities become null. A number that Python cannot represent stays a text of its digits. A name that an object
    gives twice with two values is left out, or with `names_once` is an error.

    Raises
    ------
    GivenTwiceError
        A name is given twice with two values, and `names_once` is set.
    ValueError
        It is no JSON, or nested too deeply.
    """
    try:
        return _cleaned(_parsed(body, _object_once if names_once else _object))
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None


def _parsed(body: bytes, make: Callable[[list[tuple[str, Any]]], dict[str, Any]]) -> Any:
    encoding = json.detect_encoding(body)
    try:
        return _parse(body.decode(encoding, "replace"), make)
    except ValueError:
        if encoding.startswith("utf-8"):
            # The second byte of a Shift_JIS character may be a backslash (表 is 95 5C), which would escape the
            # quotation mark after it.
            return _parse(body.decode("cp932", "replace"), make)
        raise


def _parse(text: str, make: Callable[[list[tuple[str, Any]]], dict[str, Any]]) -> Any:
    return json.loads(
        text.lstrip("\ufeff"),
        strict=False,  # a line break in a message text
        object_pairs_hook=make,
        parse_constant=lambda _: None,
        parse_int=_integer,
        parse_float=_float,
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    unclear = set()
    for name, value in pairs:
        if name in made and repr(made[name]) != repr(value):
            unclear.add(name)
        made[name] = value
    return {name: value for name, value in made.items() if name not in unclear}


def _object_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = _object(pairs)
    if len(made) < len({name for name, _ in pairs}):
        raise GivenTwiceError("a name is given twice, with two values")
    return made


def _integer(digits: str) -> int | str:
    # Python refuses more than 4,300 digits, with a ValueError.
    return int(digits) if len(digits) <= 400 else digits


def _float(digits: str) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else digits


def _cleaned(value: Any, levels: int = _MOST_LEVELS) -> Any:
    if levels == 0:
        raise ValueError(_TOO_DEEP)
    if isinstance(value, str):
        return _HALF.sub("\ufffd", value)
    if isinstance(value, list):
        return [_cleaned(each, levels - 1) for each in value]
    if isinstance(value, dict):
        return {_cleaned(name): _cleaned(each, levels - 1) for name, each in value.items()}
    return value
