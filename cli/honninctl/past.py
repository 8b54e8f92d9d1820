"""What was known of a user at a moment of the past, and how: from the timeline (`honnin.history`)."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from honninctl import moments, people
from honninctl.deployment import Deployment
from honninctl.failures import NotFoundError, UsageError
from honninctl.language import _

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


def status_at(deployment: Deployment, user_id: str, at: datetime) -> dict[str, Any]:
    """What was known of a user at a moment (shape: cli/README.md). `NotFoundError` for a user nobody ever knew."""
    from honnin import history
    from honnin.status import VerifiedNeeds
    from honnin.times import utc_text

    then = utc_text(at)
    entries = [_entry(each) for each in people.timeline(deployment, user_id)]
    known = history.known_at(entries, then)
    needs = VerifiedNeeds(deployment.parameters.get("VerifiedNeeds") or VerifiedNeeds.ANY)
    reason = history.verified_at(known.values(), needs)
    later = history.found_later(entries, then, link_ended_at=_link_ended_at(deployment, user_id))
    erased = [each.at for each in entries if each.what == history.ERASED and each.at > then]
    return {
        "userId": user_id,
        "at": then,
        "providers": {name: _period(each) for name, each in sorted(known.items())},
        "verified": reason.is_verified,
        "verifiedReason": str(reason),
        "verifiedNeeds": str(needs),
        "foundLater": [_found_later(each) for each in later],
        "firstEntryAt": min((each.at for each in entries), default=None),
        "erasedAt": min(erased, default=None),
    }


def in_lines(found: Mapping[str, Any], asked: str) -> Iterator[str]:
    """The same for a person; times are Japan's."""
    yield f"{found['userId']}, as known at {moments.shown(found['at'])} (Japan's time)" + (
        f", at the end of {asked}" if len(asked) == _DAY and moments.shown(found["at"]).endswith("23:59:59") else ""
    )
    if not found["providers"]:
        yield from _nothing(found)
    for name, each in found["providers"].items():
        yield f"{name}: {each['status']}"
        yield from (f"  {label:<10} {text}" for label, text in _facts(each) if text)
    if found["providers"]:
        yes = "verified" if found["verified"] else "not verified"
        yield f"{yes} ({found['verifiedReason']}), by today's setting VerifiedNeeds={found['verifiedNeeds']}"
    for each in found["foundLater"]:
        yield "found out only later, about that time or before:"
        yield f"  {moments.shown(each['at'])} {each['provider']}: {each['from'] or '–'} → {each['to']}"
        yield f"  {_WHY[each['why']].format_map(each | {'endedAt': moments.shown(each['endedAt'])})}"
    if found["erasedAt"]:
        erased = moments.shown(found["erasedAt"])
        yield f"The user was erased on {erased}: times, statuses and causes are left, no evidence."


_WHY = {
    "recon": "because PayPay's recon file of {day} named the user ({cause})",
    "link_ended": "because the link had ended at {endedAt}, by the end that PayPay had given",
}


def _nothing(found: Mapping[str, Any]) -> Iterator[str]:
    yield "Nothing was known of the user at that time."
    if found["firstEntryAt"]:
        first = moments.shown(found["firstEntryAt"])
        yield f"The timeline begins on {first}; older entries end after TimelineRetentionDays."
    else:
        yield "The timeline has no entry any more (TimelineRetentionDays); honninctl status shows the present status."


def _facts(period: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if period["since"]:
        yield "since", f"{moments.shown(period['since'])}, {period['what']}, cause {period['cause']}"
    else:
        yield "since", "not kept any more: before the oldest entry of the timeline"
    yield "event", period["eventId"] or ""
    yield "until", f"{moments.shown(period['until'])}, then {period['endedBy']}" if period["until"] else "now"
    if period["confirmedAt"] != period["since"]:
        yield (
            "last seen",
            f"{moments.shown(period['confirmedAt'])}, cause {period['confirmedCause']}"
            if period["confirmedAt"]
            else "",
        )
    yield "flag", period["flag"] if period["flag"] != "NONE" else ""
    yield "product", period["product"] or ""
    yield "request id", period["requestId"] or ""
    yield "answer", period["object"] or ""
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
