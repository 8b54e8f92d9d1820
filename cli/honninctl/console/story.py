"""How each change of a user became known: by its webhook, or because something was found for which no webhook came."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from honnin.recon.file_types import FILE_TYPES
from honninctl.console.wording import jst_day

_PAYPAY = "paypay"
_HINTS = ("webhook", "settle")


class Way(StrEnum):
    """The way on which a change became known. Each has its sentence in the texts (`story.<way>`)."""

    WEBHOOK = "webhook"
    SETTLE = "settle"
    RECON_MISSED = "recon_missed"
    RECON_AFTER = "recon_after"
    RECON = "recon"
    POLL_MISSED = "poll_missed"
    POLL_AFTER = "poll_after"
    ASKED = "asked"


# The ways of what only recon or the poll has found.
MISSED = frozenset({Way.RECON_MISSED, Way.POLL_MISSED})
BY_WEBHOOK = frozenset({Way.WEBHOOK, Way.SETTLE})


@dataclass(frozen=True)
class Told:
    """How one change became known. `day` and `file_type` are the recon file's that named the user; `webhook_at` (UTC)
    is when the last webhook about the same was worked on before, where one was."""

    way: Way
    day: str | None = None
    file_type: str | None = None
    webhook_at: str | None = None


def told(entries: Sequence[Mapping[str, Any]], *, is_whole: bool) -> list[Told | None]:
    """For each entry of a user's timeline, newest first, how its change became known; None where nothing changed.

    `is_whole`: these are all entries that are kept. If older ones are left out, a webhook may be among them, so none is
    called missed of which that cannot be seen.
    """
    oldest = entries[-1]["at"] if entries and not is_whole else ""
    return [
        _told(each, entries[position + 1 :], oldest) if each["from"] != each["to"] else None
        for position, each in enumerate(entries)
    ]


def summary(stories: Sequence[Told | None]) -> Mapping[str, int]:
    """How many changes came by `webhook`, were `missed`, and became known in some `other` way."""
    counts = Counter(
        "webhook" if each.way in BY_WEBHOOK else "missed" if each.way in MISSED else "other"
        for each in stories
        if each and each.way is not Way.ASKED
    )
    return {name: counts[name] for name in ("webhook", "missed", "other")}


def _told(entry: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]], oldest: str) -> Told:
    match entry["cause"]:
        case "webhook":
            return Told(Way.WEBHOOK)
        case "settle":
            return Told(Way.SETTLE, webhook_at=_last_webhook(earlier, entry["provider"]))
        case "recon":
            return _by_recon(entry, earlier, oldest)
        case "poll":
            return _by_poll(entry, earlier, oldest)
    return Told(Way.ASKED)


def _by_recon(entry: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]], oldest: str) -> Told:
    # `recon:<file type>:<day>:<authorization, masked>:<number>`
    parts = str(entry["eventId"]).split(":")
    if parts[0] != "recon" or len(parts) < 4 or parts[1] not in FILE_TYPES:
        return Told(Way.RECON)
    file_type, day = parts[1], parts[2]
    since_that_day = [each for each in earlier if jst_day(each["at"]) >= day]
    came = _last_webhook(since_that_day, _PAYPAY, FILE_TYPES[file_type].kind)
    if came:
        return Told(Way.RECON_AFTER, day, file_type, came)
    # Of that day itself everything has to be among the entries.
    is_seen = not oldest or jst_day(oldest) < day
    return Told(Way.RECON_MISSED if is_seen else Way.RECON, day, file_type)


def _by_poll(entry: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]], oldest: str) -> Told:
    """A webhook before the last change of this provider was about that one."""
    mine = [each for each in earlier if each["provider"] == entry["provider"]]
    change = next((number for number, each in enumerate(mine) if each["from"] != each["to"]), None)
    came = _last_webhook(mine if change is None else mine[:change], str(entry["provider"]))
    if came:
        return Told(Way.POLL_AFTER, webhook_at=came)
    return Told(Way.ASKED if change is None and oldest else Way.POLL_MISSED)


def _last_webhook(entries: Sequence[Mapping[str, Any]], provider: str, kind: str | None = None) -> str | None:
    """When the latest webhook of a provider (and kind) among these entries was worked on, the newest first."""
    # `paypay:<kind>:<name>:<mark>`; a later look has `settle:` before it.
    begin = f"{provider}:{kind}:" if kind else ""
    return next(
        (
            str(each["at"])
            for each in entries
            if each["provider"] == provider
            and each["cause"] in _HINTS
            and str(each["eventId"]).removeprefix("settle:").startswith(begin)
        ),
        None,
    )
