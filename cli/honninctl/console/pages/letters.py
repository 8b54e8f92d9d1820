"""The page of webhooks and dead letters: what failed, why, and what to do."""

from typing import Any

from honninctl import dead_letters
from honninctl.console import advice
from honninctl.console.page import NO_PAGE, Page, View, asking

_LETTERS_SHOWN = 50


def page(view: View) -> Page:
    """What lies in the dead-letter queues, by queue and cause."""
    found = asking(lambda: _found(view))
    if found.value is None:
        return view.trouble(found.trouble or NO_PAGE)
    places, letters = found.value
    return view.paint(
        "dead_letters.html",
        total=len(letters),
        queues=advice.by_queue(view.deployment, letters),
        unknown=places.unknown,
        letters_shown=_LETTERS_SHOWN,
    )


def _found(view: View) -> tuple[dead_letters.Places, list[dict[str, Any]]]:
    places = dead_letters.find(view.deployment)
    return places, dead_letters.letters(view.deployment, places)
