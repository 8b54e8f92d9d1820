"""Is this user verified, since when, and how do we know: what a status and a timeline say together."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Tone(StrEnum):
    """How a status is to be taken."""

    GOOD = "good"
    WAIT = "wait"
    BAD = "bad"
    RISK = "risk"


_TONES = {
    "APPROVED": Tone.GOOD,
    "VERIFIED": Tone.GOOD,
    "REJECTED": Tone.BAD,
    "FAILED": Tone.BAD,
    "INACTIVE": Tone.BAD,
    "EXPIRED": Tone.BAD,
    "UNLINKED": Tone.BAD,
    "RISK_FLAGGED": Tone.RISK,
}

# Entries that hold what the provider answered when it was asked.
_READINGS = frozenset({"kyc_read", "account_read", "result_read", "submission_accepted"})


@dataclass(frozen=True)
class Standing:
    """Where a user stands at one provider.

    `since` (UTC) is when the present status began, and `reasons` names the texts that say how we know, the best first;
    both are empty where the entries looked at do not reach back so far.
    """

    provider: str
    status: str
    tone: Tone
    since: str | None
    reasons: tuple[str, ...]
    facts: Mapping[str, Any]


def tone(status: str) -> Tone:
    """How a status is to be taken; whatever is neither good nor bad is still open."""
    return _TONES.get(status, Tone.WAIT)


def headline(standings: Sequence[Standing]) -> tuple[Tone, list[str]]:
    """The answer in one word, and the providers that give it. A risk at one outweighs an approval of the other."""
    for each in (Tone.RISK, Tone.GOOD, Tone.WAIT):
        providers = [standing.provider for standing in standings if standing.tone is each]
        if providers:
            return each, providers
    return Tone.BAD, [standing.provider for standing in standings]


def standings(providers: Mapping[str, Mapping[str, Any]], entries: Sequence[Mapping[str, Any]]) -> Iterator[Standing]:
    """Each provider's standing, by the answer of the status call and the timeline, newest first."""
    for name, facts in sorted(providers.items()):
        status = str(facts["status"])
        began = beginning(status, (each for each in entries if each["provider"] == name))
        yield Standing(
            provider=name,
            status=status,
            tone=tone(status),
            since=str(began["at"]) if began else None,
            reasons=_reasons(began) if began else (),
            facts=facts,
        )


def beginning(status: str, entries: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The entry that brought `status` about; None when these entries of one provider, newest first, do not hold it."""
    for each in entries:
        if each["to"] != status:
            return None
        if each["from"] != status:
            return each
    return None


def erased_at(entries: Iterable[Mapping[str, Any]]) -> str | None:
    """When (UTC) the user's personal data was erased, by the timeline's tombstone."""
    return next((str(each["at"]) for each in entries if each["what"] == "erased"), None)


def _reasons(entry: Mapping[str, Any]) -> tuple[str, ...]:
    kind = "read" if entry["what"] in _READINGS else entry["what"]
    return (f"how.{kind}_{entry['cause']}", f"how.{kind}")
