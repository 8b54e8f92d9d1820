"""Lists of users: by id or a part of it, by status, by what ends soon; each also as CSV."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import islice
from typing import Any

from honninctl import overview, people, spreadsheet
from honninctl.console.page import Page, Trouble, View, asking, between, is_day
from honninctl.failures import NotFoundError

_PAGE = "50"
# How many users a search for a part of an id looks at: the index is ordered by time and not by id.
_LOOKED_AT = 2_000
_MOST_FOUND = 50
# A longer list is no file of the console, which would keep the browser waiting; `honninctl users --csv` has no bound.
_MOST_ROWS = 10_000
_DAYS, _MOST_DAYS = 30, 366
_CSV = "text/csv; charset=utf-8"


# What the template asks for where there is nothing of it.
_NO_LIST: Mapping[str, Any] = dict.fromkeys(
    ("bad", "chosen", "trouble", "rebuilding", "next", "first", "csv", "searched", "not_searched", "unknown")
)


@dataclass(frozen=True)
class _List:
    """Which list is asked for, and the query of the API that gives it. `kind` is `status` or `expiring`."""

    kind: str
    path: str
    name: str
    query: Mapping[str, str]


@dataclass(frozen=True)
class _Search:
    """What a search for a part of an id found: the first of `number` users. If `is_whole`, nothing was left out of the
    `looked_at` entries: a user with a status at both providers has two.
    """

    found: list[Mapping[str, Any]]
    number: int
    looked_at: int
    is_whole: bool


def page(view: View) -> Page:
    """A search, a list, or only the filters."""
    fields = view.asked.fields
    if part := fields.get("q", "").strip():
        return search(view, part)
    if bad := _bad(fields):
        return view.paint(
            "users.html", HTTPStatus.BAD_REQUEST, **_filters(fields), **{**_NO_LIST, "bad": bad, "rows": []}
        )
    chosen = _chosen(fields)
    found = asking(lambda: view.deployment.merchant("GET", chosen.path, _paged(chosen, fields))) if chosen else None
    trouble = found.trouble if found else None
    if trouble and trouble.status is HTTPStatus.BAD_REQUEST and fields.get("cursor"):
        # Everything else was looked at above.
        trouble = replace(trouble, text="users.bad_cursor")
    rows = found.value[chosen.name] if found and found.value and chosen else []
    said = {
        "chosen": chosen,
        "trouble": trouble,
        "rows": rows,
        "rebuilding": bool(found and found.value and found.value.get("rebuilding")),
        "next": _address(view, chosen, found.value["cursor"]) if found and found.value and chosen else None,
        "first": _address(view, chosen, "") if chosen and fields.get("cursor") else None,
        "csv": view.link("users.csv", **_fields_of(chosen)) if chosen and rows else None,
    }
    status = trouble.status if trouble else HTTPStatus.OK
    return view.paint("users.html", status, **_filters(fields), **{**_NO_LIST, **said})


def search(view: View, part: str) -> Page:
    """The user of that id, or the users whose ids hold it; a calm sentence where there is none."""
    exact = asking(lambda: _exists(view, part))
    if exact.value:
        return Page(HTTPStatus.SEE_OTHER, location=view.link("user", id=part))
    if exact.trouble and exact.trouble.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST):
        return view.trouble(exact.trouble, user_id=part)
    return not_found(view, part)


def not_found(view: View, part: str) -> Page:
    """What can be said of an id that nobody has: the ids that hold it."""
    near = asking(lambda: _near(view, part))
    found = near.value.found if near.value else []
    status = HTTPStatus.OK if found else HTTPStatus.NOT_FOUND
    said = {"rows": found, "searched": near.value, "not_searched": near.trouble, "unknown": part, "user_id": part}
    return view.paint("users.html", status, **_filters({}), **{**_NO_LIST, **said})


def csv_file(view: View) -> Page:
    """The whole list as CSV that a spreadsheet opens rightly in Japanese: UTF-8 with a byte order mark."""
    fields = view.asked.fields
    if bad := _bad(fields):
        return view.trouble(Trouble(bad, "", HTTPStatus.BAD_REQUEST))
    chosen = _chosen(fields)
    if chosen is None:
        return view.trouble(Trouble("trouble.no_list", "", HTTPStatus.BAD_REQUEST))
    found = asking(lambda: list(islice(_rows(view, chosen), _MOST_ROWS + 1)))
    if found.trouble:
        return view.trouble(found.trouble)
    if len(found.value or ()) > _MOST_ROWS:
        options = " ".join(f"--{name} {value}" for name, value in chosen.query.items())
        command = f"honninctl {'users' if chosen.kind == 'status' else 'expiring'} {options} --csv"
        return view.trouble(Trouble("trouble.list_too_long", "", HTTPStatus.BAD_REQUEST), command=command)
    name = "-".join(each for each in (chosen.kind, *chosen.query.values()) if each)
    headers = {"Content-Disposition": f'attachment; filename="honnin-{name}.csv"'}
    return Page(HTTPStatus.OK, _csv(view, chosen, found.value or []), _CSV, headers=headers)


def _exists(view: View, user_id: str) -> bool:
    """Whether this is a user. One who was erased has no status, but still a timeline."""
    try:
        people.status(view.deployment, user_id)
    except NotFoundError:
        people.timeline_page(view.deployment, user_id, limit=1)
    return True


def _near(view: View, part: str) -> _Search:
    """The users whose ids hold a part, in whatever case, among the newest of each status."""
    found: dict[str, Mapping[str, Any]] = {}
    looked_at, is_whole = 0, True
    counts = overview.counts(view.deployment)
    holding = [(provider, status) for provider, status, number in overview.count_rows(counts) if number]
    for position, (provider, status) in enumerate(holding):
        # Each status gets an equal part of what is left, so that a large one does not hide the others.
        share = (_LOOKED_AT - looked_at) // (len(holding) - position)
        seen, ended = 0, False
        query = {"provider": provider, "status": status, "limit": "100"}
        while seen < share and not ended:
            answer = view.deployment.merchant("GET", "/overview/users", query)
            for each in answer["users"]:
                if part.casefold() in each["userId"].casefold():
                    found.setdefault(each["userId"], each)
            seen += len(answer["users"])
            query["cursor"], ended = answer["cursor"], answer["cursor"] is None
        looked_at += seen
        is_whole = is_whole and ended
    # Those that begin with it come first.
    ranked = sorted(found.values(), key=lambda each: (not each["userId"].startswith(part), each["userId"]))
    return _Search(ranked[:_MOST_FOUND], len(ranked), looked_at, is_whole)


def _bad(fields: Mapping[str, str]) -> str:
    """The name of the text that says which field has no meaning; nothing if all have."""
    if fields.get("list") == "expiring":
        days = fields.get("days", "1")
        return "" if days == str(between(days, 1, _MOST_DAYS)) else "users.bad_days"
    status = _status(fields)
    if status != ("", "") and status not in _statuses():
        return "users.bad_status"
    return "" if is_day(fields.get("since", "").strip() or "2026-01-01") else "users.bad_since"


def _status(fields: Mapping[str, str]) -> tuple[str, str]:
    """The provider and the status that are asked for, as the form or a link has them."""
    provider, _, status = fields.get("of", "").partition("/")
    return fields.get("provider", provider), fields.get("status", status)


def _chosen(fields: Mapping[str, str]) -> _List | None:
    if fields.get("list") == "expiring":
        days = str(between(fields.get("days", str(_DAYS)), 1, _MOST_DAYS))
        return _List("expiring", "/overview/expiring", "expiring", {"within": days})
    provider, status = _status(fields)
    if (provider, status) not in _statuses():
        return None
    query = {"provider": provider, "status": status}
    if since := fields.get("since", "").strip():
        query["since"] = since
    return _List("status", "/overview/users", "users", query)


def _statuses() -> list[tuple[str, str]]:
    from honnin.store.overview import STATUSES

    return [(str(provider), str(status)) for provider, names in STATUSES.items() for status in names]


def _filters(fields: Mapping[str, str]) -> dict[str, Any]:
    """What the form of filters shows."""
    chosen = _chosen(fields)
    return {
        "statuses": _statuses(),
        "chosen_status": (chosen.query["provider"], chosen.query["status"])
        if chosen and chosen.kind == "status"
        else None,
        "since": fields.get("since", ""),
        "days": between(fields.get("days", str(_DAYS)), 1, _MOST_DAYS),
    }


def _paged(chosen: _List, fields: Mapping[str, str]) -> dict[str, str]:
    cursor = fields.get("cursor", "")
    return {**chosen.query, "limit": _PAGE, **({"cursor": cursor} if cursor else {})}


def _fields_of(chosen: _List) -> dict[str, str]:
    """The fields of an address that chooses the list again."""
    return {"list": "expiring", "days": chosen.query["within"]} if chosen.kind == "expiring" else {**chosen.query}


def _address(view: View, chosen: _List, cursor: str | None) -> str | None:
    """The address of a page of the list; `cursor` "" is the first page, None leads nowhere."""
    return None if cursor is None else view.link("users", **_fields_of(chosen), cursor=cursor or None)


def _rows(view: View, chosen: _List) -> Iterator[Mapping[str, Any]]:
    query = {**chosen.query, "limit": "100"}
    while True:
        answer = view.deployment.merchant("GET", chosen.path, query)
        yield from answer[chosen.name]
        if answer["cursor"] is None:
            return
        query["cursor"] = answer["cursor"]


def _csv(view: View, chosen: _List, rows: list[Mapping[str, Any]]) -> bytes:
    wording = view.wording
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    at, third = ("endsAt", "what") if chosen.kind == "expiring" else ("since", "status")
    writer.writerow([wording(f"users.csv_{each}") for each in ("userId", "provider", third, at)])
    for each in rows:
        name = each[third]
        said = wording.first(f"{'ends' if chosen.kind == 'expiring' else 'status'}.{name}", otherwise=name)
        writer.writerow([spreadsheet.cell(each["userId"]), each["provider"], said, each[at]])
    return text.getvalue().encode("utf-8-sig")
