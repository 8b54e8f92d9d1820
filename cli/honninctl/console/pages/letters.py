"""The page of webhooks and dead letters: what failed, why, and what to do."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from honninctl import dead_letters, webhooks
from honninctl.console import advice, details
from honninctl.console.page import NO_PAGE, Found, Page, Trouble, View, asking
from honninctl.console.pages import acting
from honninctl.console.rights import Act

_LETTERS_SHOWN = 50


def page(view: View) -> Page:
    """How the webhooks to the merchant stand, and what lies in the dead-letter queues, by queue and cause."""
    found = asking(lambda: _found(view))
    if found.value is None:
        return view.trouble(found.trouble or NO_PAGE)
    places, letters = found.value
    wanted = view.asked.fields.get("queue", "")
    if wanted and wanted not in set(dead_letters.Queue):
        return view.trouble(Trouble("letters.bad_queue", "", HTTPStatus.BAD_REQUEST))
    queues = advice.by_queue(view.deployment, letters)
    return view.paint(
        "dead_letters.html",
        endpoint=_endpoint(view),
        total=len(letters),
        held=[each.queue for each in queues],
        wanted=wanted,
        queues=[_shown(view, each) for each in queues if wanted in ("", each.queue)],
        unknown=places.unknown,
        letters_shown=_LETTERS_SHOWN,
    )


def _found(view: View) -> tuple[dead_letters.Places, list[dict[str, Any]]]:
    places = dead_letters.find(view.deployment)
    return places, dead_letters.letters(view.deployment, places)


def _shown(view: View, found: advice.QueueFound) -> dict[str, Any]:
    """A queue with each kind in words, and what may be done about it."""
    queue = str(found.queue)
    groups = [
        {
            "type": error_type,
            "name": details.error_name(view.wording, error_type),
            "cause": cause,
            "letters": letters,
            "offers": [] if found.is_runs else _redrive(view, queue, error_type, letters),
        }
        for error_type, cause, letters in found.groups
    ]
    offers = acting.offers(view, (Act.DISCARD, {"queue": queue})) if found.is_runs else []
    return {"queue": queue, "is_runs": found.is_runs, "commands": found.commands, "groups": groups, "offers": offers}


def _redrive(view: View, queue: str, error_type: str, letters: Any) -> list[dict[str, Any]]:
    # What Honnin did not write is never put back from here.
    if not any(each.get("event") or each.get("webhook") for each in letters):
        return []
    return acting.offers(view, (Act.REDRIVE, {"queue": queue, "error": error_type}))


def _endpoint(view: View) -> Mapping[str, Any]:
    """How the webhooks to the merchant stand, in the name of a text; `off` without an endpoint."""
    if not dead_letters.sends_webhooks(view.deployment):
        return {"says": "off", "look": "quiet", "state": None, "trouble": None, "offers": []}
    state: Found[dict[str, Any]] = asking(lambda: webhooks.state(view.deployment))
    says, look = _standing(state.value["circuit"]) if state.value else ("", "late")
    offers = acting.offers(view, (Act.TEST_WEBHOOK, {}))
    return {"says": says, "look": look, "state": state.value, "trouble": state.trouble, "offers": offers}


def _standing(circuit: Mapping[str, Any]) -> tuple[str, str]:
    if circuit["since"]:
        return "open", "missing"
    if circuit["open"]:
        return "disabled", "late"
    return ("failing", "late") if circuit["failures"] else ("closed", "good")
