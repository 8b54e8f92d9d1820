"""The form of the merchant API, of the domain events and of the webhooks: docs/openapi.json without its texts."""

from collections.abc import Iterator, Mapping
from typing import Any

_TEXTS = frozenset({"description", "summary", "title", "example", "examples", "info", "servers", "tags"})


def outline(document: Any) -> Any:
    """The document without what no program reads. A property may have any name, also one of those."""
    if isinstance(document, list):
        return [outline(each) for each in document]
    if not isinstance(document, dict):
        return document
    return {
        name: {key: outline(value) for key, value in each.items()} if name == "properties" else outline(each)
        for name, each in document.items()
        if name not in _TEXTS
    }


def broken(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """What a program that was written for `old` would miss in `new`, or would have to send more."""
    for path, operations in old["paths"].items():
        for method, before in operations.items():
            after = new["paths"].get(path, {}).get(method)
            if after is None:
                yield f"{method} {path} is gone"
                continue
            yield from (
                f"{method} {path} answers no {code}" for code in before["responses"].keys() - after["responses"]
            )
            yield from _sent(f"{method} {path}", before, after)
    schemas, asked = new["components"]["schemas"], _asked(new)
    for name, before in old["components"]["schemas"].items():
        yield from _schema(name, before, schemas.get(name), is_asked=name in asked)


def _sent(what: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    def parameters(operation: Mapping[str, Any], *, required: bool) -> set[str]:
        found = operation.get("parameters", ())
        return {each["name"] for each in found if not required or each.get("required")}

    yield from (
        f"{what} takes no {name}" for name in parameters(before, required=False) - parameters(after, required=False)
    )
    yield from (f"{what} needs {name}" for name in parameters(after, required=True) - parameters(before, required=True))


def _asked(document: Mapping[str, Any]) -> set[str]:
    """The schemas that a caller sends."""
    bodies = [
        each.get("requestBody")
        for path in document["paths"].values()
        for each in path.values()
        if isinstance(each, dict)
    ]
    found: set[str] = set()
    left = list(_named(bodies))
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += _named(document["components"]["schemas"].get(name))
    return found


def _named(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].rpartition("/")[2]
        for each in value.values():
            yield from _named(each)
    elif isinstance(value, list):
        for each in value:
            yield from _named(each)


def _schema(name: str, before: Mapping[str, Any], after: Mapping[str, Any] | None, *, is_asked: bool) -> Iterator[str]:
    if after is None:
        yield f"{name} is gone"
        return
    gone = set(before.get("required", ())) - set(after.get("required", ()))
    more = set(after.get("required", ())) - set(before.get("required", ()))
    if is_asked:
        yield from (f"{name} needs {each}" for each in more)
    else:
        yield from (f"{name} may lack {each}" for each in gone)
    yield from (f"{name} has no {each!r} any more" for each in set(before.get("enum", ())) - set(after.get("enum", ())))
    for each, type_before in before.get("properties", {}).items():
        type_after = after.get("properties", {}).get(each)
        if type_after is None:
            yield f"{name}.{each} is gone"
        elif (said := _type(type_before)) - _type(type_after) or (not is_asked and _type(type_after) - said):
            yield f"{name}.{each} is of another type"


def _type(schema: Mapping[str, Any]) -> set[str]:
    """What a value of the schema may be: names of types and of schemas."""
    options = [*schema.get("anyOf", ()), *schema.get("oneOf", ())] or [schema]
    found: set[str] = set()
    for each in options:
        said = each.get("type", each.get("$ref", "anything"))
        found |= {said} if isinstance(said, str) else set(said)
        found |= {f"list of {one}" for one in _type(each["items"])} if isinstance(each.get("items"), dict) else set()
    return found
