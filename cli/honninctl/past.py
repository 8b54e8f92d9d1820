"""What was known of a user at a moment of the past, and how: from the timeline (`honnin.history`)."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from honninctl import moments, people
from honninctl.deployment import Deployment
from honninctl.failures import NotFoundError, UsageError
from honninctl.language import N_, _, known, spoken
from honninctl.screen import padded

if TYPE_CHECKING:
    from honnin.history import FoundLater, Period
    from honnin.store import TimelineEntry

_DAY = len("2026-10-31")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].+)?")


def now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


def moment(text: str) -> datetime:
    """The last millisecond of a day in Japan (also `today`, `yesterday`), or a moment.

    Without an offset it is Japan's time. A day that has not ended gives the present moment.

    Raises
    ------
    UsageError
        It is neither, or it is in the future.
    """
    from honnin.times import JST

    text = moments.day(text, now())
    try:
        if not _TIME.fullmatch(text):
            raise ValueError
        found = datetime.fromisoformat(text)
        if len(text) == _DAY:
            found += timedelta(days=1, milliseconds=-1)
        found = (found if found.tzinfo else found.replace(tzinfo=JST)).astimezone(UTC)
        begins = found - timedelta(days=1) if len(text) == _DAY else found
    except (ValueError, OverflowError):
        raise UsageError(
            _(
                "--at {text!r} is neither a day in Japan (2026-10-31) nor a moment (2026-10-31T09:30, "
                "or with +09:00 or Z)"
            ).format(text=text)
        ) from None
    present = now()
    if begins >= present:
        raise UsageError(_("--at {text} is in the future: what will be known then cannot be said").format(text=text))
    return min(found, present)


def status_at(
    deployment: Deployment, user_id: str, at: datetime, timeline: Iterable[Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """What was known of a user at a moment (shape: cli/README.md). `NotFoundError` for a user nobody ever knew.

    `timeline`: all entries of the user, where they are known already.
    """
    from honnin import history
    from honnin.status import VerifiedNeeds
    from honnin.times import utc_text

    then = utc_text(at)
    entries = [_entry(each) for each in (people.timeline(deployment, user_id) if timeline is None else timeline)]
    known = history.known_at(entries, then)
    needs = VerifiedNeeds(deployment.parameters.get("VerifiedNeeds") or VerifiedNeeds.ANY)
    reason = history.verified_at(known.values(), needs)
    later = history.found_later(entries, then, link_ended_at=_link_ended_at(deployment, user_id))
    erased = min((each.at for each in entries if each.what == history.ERASED and each.at > then), default=None)
    return {
        "userId": user_id,
        "at": then,
        "providers": {name: _period(each) for name, each in sorted(known.items())},
        "verified": reason.is_verified,
        "verifiedReason": str(reason),
        "verifiedNeeds": str(needs),
        "foundLater": [_found_later(each) for each in later],
        "firstEntryAt": min((each.at for each in entries), default=None),
        "erasedAt": erased,
        "erasure": people.erasure(deployment, user_id, erased) if erased else None,
    }


def in_lines(found: Mapping[str, Any], asked: str) -> Iterator[str]:
    """The same for a person; times are Japan's."""
    from honninctl.console.wording import Wording

    at = moments.shown(found["at"])
    if len(asked) == _DAY and at.endswith("23:59:59"):
        template = _("{user}, as known at {at} (Japan's time), at the end of {day}")
    else:
        template = _("{user}, as known at {at} (Japan's time)")
    yield template.format(user=found["userId"], at=at, day=asked)
    if not found["providers"]:
        yield from _nothing(found)
    for name, each in found["providers"].items():
        yield _("{what}: {why}").format(what=name, why=each["status"])
        yield from (f"  {padded(label, 13)} {text}" for label, text in _facts(each) if text)
    if found["providers"]:
        yield Wording(spoken()).verified(found)
        yield _("That is by today's setting VerifiedNeeds={needs}.").format(needs=found["verifiedNeeds"])
    for each in found["foundLater"]:
        yield _("found out only later, about that time or before:")
        yield f"  {moments.shown(each['at'])} {each['provider']}: {each['from'] or '–'} → {each['to']}"
        yield "  " + _(_WHY[each["why"]]).format(**(each | {"endedAt": moments.shown(each["endedAt"])}))
    if found["erasedAt"]:
        erased = moments.shown(found["erasedAt"])
        yield _("The user was erased on {erased}: times, statuses and causes are left, no evidence.").format(
            erased=erased
        )
    for label, name in (
        (_("certificate"), "certificateId"),
        (_("asked by"), "requestedBy"),
        (_("reason"), "reason"),
        (_("ticket"), "ticket"),
    ):
        if text := (found["erasure"] or {}).get(name):
            yield f"  {padded(label, 11)} {known(text, spoken()) or text}"


_WHY = {
    "recon": N_("because PayPay's recon file of {day} named the user ({cause})"),
    "link_ended": N_("because the link had ended at {endedAt}, by the end that PayPay had given"),
}


def _nothing(found: Mapping[str, Any]) -> Iterator[str]:
    yield _("Nothing was known of the user at that time.")
    if found["firstEntryAt"]:
        first = moments.shown(found["firstEntryAt"])
        yield _("The timeline begins on {first}; older entries end after TimelineRetentionDays.").format(first=first)
    else:
        yield _(
            "The timeline has no entry any more (TimelineRetentionDays); honninctl status shows the present status."
        )


def _facts(period: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if period["since"]:
        yield (
            _("since"),
            _("{at}, {what}, cause {cause}").format(
                at=moments.shown(period["since"]), what=period["what"], cause=period["cause"]
            ),
        )
    else:
        yield _("since"), _("not kept any more: before the oldest entry of the timeline")
    yield _("event"), period["eventId"] or ""
    if period["until"]:
        yield _("until"), _("{at}, then {next}").format(at=moments.shown(period["until"]), next=period["endedBy"])
    else:
        yield _("until"), _("now")
    if period["confirmedAt"] != period["since"]:
        yield (
            _("last seen"),
            _("{at}, cause {cause}").format(at=moments.shown(period["confirmedAt"]), cause=period["confirmedCause"])
            if period["confirmedAt"]
            else "",
        )
    yield _("flag"), period["flag"] if period["flag"] != "NONE" else ""
    yield _("product"), period["product"] or ""
    yield _("request id"), period["requestId"] or ""
    yield _("kept answer"), period["object"] or ""
    yield "SHA-256", period["sha256"] or ""


def _period(period: "Period") -> dict[str, Any]:
    from honnin import history

    began, confirmed = period.began, period.confirmed
    detail: Mapping[str, str] = period.evidence.detail if period.evidence else {}
    return {
        "status": period.status,
        "since": period.since or None,
        "until": period.until,
        "endedBy": period.ended.to_status if period.ended else None,
        "what": began.what if began else None,
        "cause": began.cause if began else None,
        "eventId": began.event_id if began else None,
        "confirmedAt": confirmed.at if confirmed else None,
        "confirmedCause": confirmed.cause if confirmed else None,
        "flag": str(period.flag),
        "product": history.product(period.evidence) if period.evidence else None,
        "requestId": (began.detail.get("requestId") if began else None) or detail.get("requestId"),
        "object": detail.get("snapshot"),
        "sha256": detail.get("sha256"),
    }


def _found_later(found: "FoundLater") -> dict[str, Any]:
    return {
        "why": found.why,
        "provider": found.entry.provider,
        "at": found.entry.at,
        "from": found.entry.from_status,
        "to": found.entry.to_status,
        "cause": found.entry.cause,
        "eventId": found.entry.event_id,
        "day": found.day,
        "endedAt": found.ended_at,
    }


def _link_ended_at(deployment: Deployment, user_id: str) -> str | None:
    try:
        paypay = people.status(deployment, user_id)["providers"].get("paypay", {})
    except NotFoundError:
        return None  # erased
    return paypay.get("linkExpiresAt") if paypay.get("status") == "EXPIRED" else None


def _entry(each: Mapping[str, Any]) -> "TimelineEntry":
    from honnin.store import TimelineEntry

    return TimelineEntry(
        at=each["at"],
        event_id=each["eventId"],
        provider=each["provider"],
        what=each["what"],
        cause=each["cause"],
        from_status=each["from"],
        to_status=each["to"],
        detail=each["detail"],
    )
