"""The table of docs/security.md, "Roles": what each command and each route asks of AWS, and which policies allow it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from tests.tables import TEMPLATE

POLICIES = ("ReaderPolicy", "OfficerPolicy", "OperatorPolicy", "MaintenancePolicy", "BackendPolicy")
# In the table's words, which no resource of the template has.
STACK, RESTORED, EVERYTHING = "the stack", "the restored table", "everything"
RECORD = "the access record"  # items of StateTable: those whose keys begin with ACCESS#
_METHODS = ("GET", "POST", "DELETE")


@dataclass(frozen=True)
class Need:
    """One action on one resource: a logical id of the template, what may follow it, or one of the words above."""

    action: str
    resource: str


@dataclass(frozen=True)
class Row:
    """One row: its commands (or its route), what they ask for, and the policies that are said to allow all of it."""

    names: tuple[str, ...]
    text: str
    needs: frozenset[Need]
    allowed_by: frozenset[str]

    @property
    def is_route(self) -> bool:
        """Whether it is about a route of the merchant API."""
        return self.names[0].startswith(_METHODS)


@cache
def rows() -> tuple[Row, ...]:
    """All rows, in the order of the page."""
    page = (TEMPLATE.parent / "docs" / "security.md").read_text(encoding="utf-8")
    section = page.partition('<a id="roles"></a>')[2].partition("\n## Access record")[0]
    lines = [[each.strip() for each in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    cells = {each[0]: each for each in lines[2:]}
    asks = {_names(what)[0]: asked for what, asked, *_ in reversed(cells.values())}
    return tuple(
        Row(_names(what), what, _of_route(what) or frozenset(_needs(asked, asks)), _marked(marks))
        for what, asked, *marks in cells.values()
    )


def _names(what: str) -> tuple[str, ...]:
    """`deadletters list`, `show` and `reread --status`, `--all`: what follows goes with the first word."""
    first, *others = re.findall(r"`([^`]+)`", what) or [what]
    return (first, *(f"{first.partition(' ')[0]} {each}" for each in others))


def _marked(marks: Sequence[str]) -> frozenset[str]:
    return frozenset(policy for policy, mark in zip(POLICIES, marks, strict=True) if mark == "✓")


def _of_route(what: str) -> frozenset[Need]:
    name = _names(what)[0]
    return frozenset({Need("execute-api:Invoke", name)} if name.startswith(_METHODS) else ())


def _needs(text: str, asks: Mapping[str, str]) -> Iterator[Need]:
    for part in text.split(";"):
        if as_row := re.search(r"\bas `([^`]+)`", part):
            yield from _needs(asks[as_row[1]], asks)
            continue
        actions, _, places = part.partition(" on ")
        spans = re.findall(r"`([^`]+)`", actions)
        if spans and spans[0].startswith(_METHODS):
            yield from (Need("execute-api:Invoke", each) for each in spans)
            continue
        resources = [each.strip(" `") for each in places.split(",") if each.strip()]
        service = ""
        for each in spans:
            service = each.partition(":")[0] if ":" in each else service
            yield from (Need(f"{service}:{each.rpartition(':')[2]}", resource) for resource in resources)
