"""The pages of recon: the calendar, and the report of a day."""

from collections.abc import Mapping
from datetime import date
from http import HTTPStatus
from typing import Any

from honninctl import recon
from honninctl.console import month
from honninctl.console.page import Page, Trouble, View, asking

_DAYS = 30
_USERS_SHOWN = 50
# What a file has none of that was not compared, or of which no notification came.
_EMPTY_FILE: Mapping[str, Any] = {
    "changed": (),
    "notRead": (),
    "warnings": (),
    "counts": None,
    "reason": None,
    "doubt": None,
    "revisionOf": None,
}


def calendar(view: View) -> Page:
    """The calendar of the last 30 days."""
    days = asking(lambda: recon.calendar(view.deployment, _DAYS, view.now))
    return view.paint(
        "recon.html",
        days=days,
        strip=month.strip(days.value or []),
        states=month.states(days.value or []),
        looks=month.LOOKS,
    )


def day_page(view: View, day: str) -> Page:
    """The report of a day."""
    try:
        valid = date.fromisoformat(day).isoformat() == day
        before, after = month.neighbours(day, view.yesterday)
    except (ValueError, OverflowError):
        valid = False
    if not valid:
        return view.trouble(Trouble("trouble.no_day", "", HTTPStatus.BAD_REQUEST))
    found = asking(lambda: recon.report(view.deployment, day, view.now, reveal=False))
    unknown = found.trouble is not None and found.trouble.status is HTTPStatus.NOT_FOUND
    if found.trouble and not unknown:
        return view.trouble(found.trouble)
    known: Mapping[str, Any] = found.value or {"files": []}
    files = [
        {
            **_EMPTY_FILE,
            **each,
            "found": month.state_of(each, view.now),
            "moves": month.moves(each.get("changed", [])),
        }
        for each in known["files"]
    ]
    return view.paint(
        "day.html",
        status=HTTPStatus.NOT_FOUND if unknown else HTTPStatus.OK,
        day=day,
        before=before,
        after=after,
        files=files,
        types=known.get("types", []),
        looks=month.LOOKS,
        most_shown=_USERS_SHOWN,
    )
