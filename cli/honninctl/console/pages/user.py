"""The page of a user: the verdict, where the user stands at each provider, and the timeline."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from honninctl import masking, people
from honninctl.console import verdict
from honninctl.console.page import Page, Trouble, View, asking, between
from honninctl.console.pages import users
from honninctl.console.wording import jst_day

_ENTRIES = 30
# As far back as it is looked for when the present status began, and as many entries as one page may hold.
_MOST_ENTRIES = 500


def page(view: View) -> Page:
    """What a user is at the providers, and the timeline."""
    fields = view.asked.fields
    user_id = fields.get("id", "").strip()
    if not user_id:
        return view.trouble(Trouble("trouble.no_id", "", HTTPStatus.BAD_REQUEST))
    status = asking(lambda: people.status(view.deployment, user_id))
    unknown = status.trouble and status.trouble.status is HTTPStatus.NOT_FOUND
    if status.trouble and not unknown:
        return view.trouble(status.trouble, user_id=user_id)
    # A user who was erased has no status any more, but still a timeline.
    timeline = asking(lambda: list(people.timeline(view.deployment, user_id, limit=_MOST_ENTRIES)))
    if timeline.trouble:
        if timeline.trouble.status is HTTPStatus.NOT_FOUND:
            return users.not_found(view, user_id)
        return view.trouble(timeline.trouble, user_id=user_id)
    entries = [_shown(each) for each in timeline.value or []]
    providers = status.value["providers"] if status.value else {}
    standings = list(verdict.standings(providers, entries))
    reason = str(status.value["verifiedReason"]) if status.value else ""
    shown = between(fields.get("entries", ""), _ENTRIES, _MOST_ENTRIES)
    return view.paint(
        "user.html",
        user_id=user_id,
        standings=standings,
        headline=verdict.headline(standings, reason),
        reason=reason,
        erased_at=verdict.erased_at(entries),
        days=_by_day(entries[:shown]),
        total=len(entries),
        shown=min(shown, len(entries)),
        more=min(shown * 3, _MOST_ENTRIES) if shown < len(entries) else None,
        most=_MOST_ENTRIES,
    )


def _shown(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry as it may be shown: a URL among its details loses its query."""
    detail = {name: masking.url(value) if "://" in value else value for name, value in entry["detail"].items()}
    return {**entry, "detail": detail, "tone": verdict.tone(entry["to"])}


def _by_day(entries: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The entries of each day in Japan, in the order given."""
    days: dict[str, list[dict[str, Any]]] = {}
    for each in entries:
        days.setdefault(jst_day(each["at"]), []).append(each)
    return list(days.items())
