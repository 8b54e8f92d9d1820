"""What may be shown. Users are named by the merchant's own ids; a person's data and PayPay's ids only with --reveal."""

import re
from collections.abc import Mapping
from typing import Any

_SHORTEST_PARTLY_SHOWN = 16
_SHOWN = 4

# An event of the recon comparison is named after the authorization it repairs: recon:<fileType>:<day>:<id>:<n>.
_RECON_EVENT = re.compile(r"(recon:[^:]+:[^:]+:)(.+?)(:\d+)?", re.DOTALL)
_QUERY = re.compile(r"\?.*", re.DOTALL)


def masked(identifier: str) -> str:
    """A userAuthorizationId or the like with its ends only, or without anything where it is short."""
    if len(identifier) < _SHORTEST_PARTLY_SHOWN:
        return "…"
    return f"{identifier[:_SHOWN]}…{identifier[-_SHOWN:]}"


def event_id(value: str, *, reveal: bool) -> str:
    """An event's id as it may be shown: one of recon holds a userAuthorizationId."""
    if reveal:
        return value
    found = _RECON_EVENT.fullmatch(value)
    return f"{found[1]}{masked(found[2])}{found[3] or ''}" if found else value


def url(value: str) -> str:
    """A URL without its query, which may hold a signature: never shown, --reveal or not."""
    return _QUERY.sub("?…", value)


def authorization(value: str | None, *, reveal: bool) -> str | None:
    """A userAuthorizationId as it may be shown."""
    return value if reveal or value is None else masked(value)


def timeline_entry(entry: Mapping[str, Any], *, reveal: bool) -> dict[str, Any]:
    """A timeline entry, in the merchant API's shape, as it may be shown."""
    shown = {**entry, "eventId": event_id(str(entry["eventId"]), reveal=reveal)}
    # Why a provider rejected somebody, in its own words: they may hold anything.
    if not reveal and "reason" in entry["detail"]:
        shown["detail"] = {**entry["detail"], "reason": "…"}
    return shown
