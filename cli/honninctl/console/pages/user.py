"""The page of a user: the verdict, where the user stands at each provider, and the timeline."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any

from honninctl import past, people
from honninctl.console import details, evidence, story, verdict
from honninctl.console.page import Page, Trouble, View, asking, between, is_day
from honninctl.console.pages import acting
from honninctl.console.wording import Wording, jst_day, utc_text
from honninctl.failures import UsageError

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
            # What is found by a part of an id is a list, and recorded as one.
            return Page(HTTPStatus.SEE_OTHER, location=view.link("users", q=user_id))
        return view.trouble(timeline.trouble, user_id=user_id)
    found = timeline.value or []
    is_whole = len(found) < _MOST_ENTRIES
    at, at_trouble = _moment(fields.get("at", "").strip())
    if at:
        return _past(view, user_id, at, found if is_whole else None)
    stories = story.told(found, is_whole=is_whole)
    entries = [_shown(view.wording, each, told) for each, told in zip(found, stories, strict=True)]
    providers = status.value["providers"] if status.value else {}
    standings = list(verdict.standings(providers, entries))
    reason = str(status.value["verifiedReason"]) if status.value else ""
    erased_at = verdict.erased_at(entries) if not standings else None
    erasure = asking(lambda: people.erasure(view.deployment, user_id, erased_at)) if erased_at else None
    shown = between(fields.get("entries", ""), _ENTRIES, _MOST_ENTRIES)
    return view.paint(
        "user.html",
        user_id=user_id,
        standings=standings,
        headline=verdict.headline(standings, reason),
        reason=reason,
        erased_at=erased_at,
        certificate=erasure.value if erasure else None,
        at=None,
        at_typed=fields.get("at", ""),
        at_trouble=at_trouble,
        today=jst_day(utc_text(view.now)),
        evidence=_evidence(view, user_id, view.now, found if is_whole else None) if standings else None,
        who=asking(lambda: view.deployment.caller).value if standings else None,
        offers=acting.offers_for_user(view, user_id, is_known=bool(standings)),
        story=story.summary(stories),
        days=_by_day(entries[:shown]),
        total=len(entries),
        shown=min(shown, len(entries)),
        more=min(shown * 3, _MOST_ENTRIES) if shown < len(entries) else None,
        most=_MOST_ENTRIES,
    )


def _moment(text: str) -> tuple[datetime | None, str]:
    """The end of a day in Japan that was asked for, or the text that says why it cannot be shown."""
    if not text:
        return None, ""
    if not is_day(text):
        return None, "moment.no_day"
    try:
        return past.moment(text), ""
    except UsageError:
        return None, "moment.in_future"


def _past(view: View, user_id: str, at: datetime, entries: Sequence[Mapping[str, Any]] | None) -> Page:
    """What was known at a moment of the past."""
    known = evidence.of(view.deployment, user_id, at, entries)
    standings = list(verdict.standings(known.found["providers"], []))
    reason = str(known.found["verifiedReason"])
    return view.paint(
        "user.html",
        user_id=user_id,
        standings=standings,
        headline=verdict.headline(standings, reason),
        reason=reason,
        at=known.found["at"],
        at_typed=view.asked.fields.get("at", ""),
        at_trouble="",
        today=jst_day(utc_text(view.now)),
        evidence=known,
        who=asking(lambda: view.deployment.caller).value,
        offers=[],
    )


def _evidence(
    view: View, user_id: str, at: datetime, entries: Sequence[Mapping[str, Any]] | None
) -> evidence.Evidence | None:
    """The present evidence; None where it cannot be had: the rest of the page is worth showing without it."""
    return asking(lambda: evidence.of(view.deployment, user_id, at, entries)).value


def _shown(t: Wording, entry: Mapping[str, Any], told: story.Told | None) -> dict[str, Any]:
    """An entry as it may be shown, in words."""
    return {
        **entry,
        "details": list(details.details(t, entry)),
        "tone": verdict.tone(entry["to"]),
        "story": _story(t, told) if told and told.way is not story.Way.ASKED else None,
        "is_missed": bool(told and told.way in story.MISSED),
        "recon_day": told.day if told else None,
    }


def _story(t: Wording, told: story.Told) -> str:
    if told.way is story.Way.RECON and not told.day:
        return t("story.recon_plain")
    kind = told.file_type or ""
    return t(
        f"story.{told.way}",
        day=t.day(told.day) if told.day else "",
        type=t.first(f"type.{kind}", otherwise=t("type.other")),
        at=t.moment(told.webhook_at) if told.webhook_at else "",
    )


def _by_day(entries: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The entries of each day in Japan, in the order given."""
    days: dict[str, list[dict[str, Any]]] = {}
    for each in entries:
        days.setdefault(jst_day(each["at"]), []).append(each)
    return list(days.items())
