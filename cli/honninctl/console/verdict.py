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

# Reasons that one provider, or both, decide; and those where a provider's word is missing.
_DECISIVE = {
    "PAYPAY_VERIFIED": (Tone.GOOD, ("paypay",)),
    "VEXORA_APPROVED": (Tone.GOOD, ("vexora",)),
    "BOTH_VERIFIED": (Tone.GOOD, ("paypay", "vexora")),
    "PAYPAY_RISK_FLAGGED": (Tone.RISK, ("paypay",)),
    "VEXORA_REJECTED": (Tone.BAD, ("vexora",)),
    "PAYPAY_UPDATE_REQUIRED": (Tone.WAIT, ("paypay",)),
}
_MISSING = {"PAYPAY_NOT_VERIFIED": "paypay", "VEXORA_NOT_APPROVED": "vexora"}

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


def headline(standings: Sequence[Standing], reason: str) -> tuple[Tone, list[str]]:
    """The answer in one word, and the providers that give it, by the `verifiedReason` of the API."""
    if reason in _DECISIVE:
        answer, providers = _DECISIVE[reason]
        return answer, list(providers)
    missing = _MISSING.get(reason)
    asked = [each for each in standings if missing in (None, each.provider)]
    waiting = [each.provider for each in asked if each.tone is Tone.WAIT]
    if waiting or not asked:
        return Tone.WAIT, waiting or [missing or ""]
    return Tone.BAD, [each.provider for each in asked]


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
