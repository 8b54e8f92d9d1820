"""`python -m operations.event_schemas`: write docs/events/*.json, one JSON Schema for each event on the bus.

They are of JSON Schema Draft 4, one of the two forms that the schema registry of EventBridge takes
(https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-schema-create.html), and describe the event as a rule's
target gets it. What the schema does not name is allowed: more may be added.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / "docs" / "events"

type Json = dict[str, Any]

_TYPES: Mapping[object, str] = {str: "string", int: "integer", bool: "boolean", NoneType: "null"}
_FORMATS = ("date-time", "date")


def schemas() -> dict[str, Json]:
    """The schema of each detail type."""
    from honnin.domain_events import EVENTS

    return {name: _schema(name, content, text) for name, (content, text) in EVENTS.items()}


def text(schema: Json) -> str:
    """A schema as its file holds it."""
    return json.dumps(schema, ensure_ascii=False, indent=2) + "\n"


def _schema(name: str, content: Any, about: str) -> Json:
    from honnin.domain_events import SOURCE

    named = {"source": {"type": "string", "enum": [SOURCE]}, "detail-type": {"type": "string", "enum": [name]}}
    return {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "title": name,
        "description": about,
        "type": "object",
        "properties": {**named, "detail": _object(content)},
        "required": [*named, "detail"],
    }


def _object(content: Any) -> Json:
    hints = get_type_hints(content, include_extras=True)
    required = [name for name in hints if name in content.__required_keys__]
    return {
        "type": "object",
        "properties": {name: _property(hint) for name, hint in hints.items()},
        "required": required,
    }


def _property(hint: Any) -> Json:
    # `NotRequired` is known from the keys that are required.
    kind, *said = get_args(hint) if get_origin(hint) is Annotated else get_args(get_args(hint)[0])
    described: Json = {}
    for each in said:
        if isinstance(each, type) and issubclass(each, StrEnum):
            described["enum"] = [*described.get("enum", []), *(str(value) for value in each)]
        else:
            described["format" if each in _FORMATS else "description"] = each
    found = _kind(kind) | described
    if "enum" in found and "null" in found["type"]:
        found["enum"].append(None)
    return {
        name: found[name] for name in ("type", "description", "format", "enum", "additionalProperties") if name in found
    }


def _kind(kind: Any) -> Json:
    if get_origin(kind) is Literal:
        return {"type": "string", "enum": list(get_args(kind))}
    if get_origin(kind) is dict:
        return {"type": "object", "additionalProperties": _kind(get_args(kind)[1])}
    if get_origin(kind) is UnionType:
        return {"type": [_TYPES[each] for each in get_args(kind)]}
    return {"type": _TYPES[kind]}


def files() -> Iterator[tuple[Path, str]]:
    """Each file, and what it is to hold."""
    return ((PLACE / f"{name}.json", text(schema)) for name, schema in schemas().items())


def _main() -> int:
    sys.path.insert(0, str(ROOT / "layers" / "honnin"))
    PLACE.mkdir(exist_ok=True)
    for path, content in files():
        path.write_text(content, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(_main())
