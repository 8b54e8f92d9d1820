"""What a timeline says of the past: which status a user had at a moment, for how long, and by which evidence.

Pure functions of timeline entries. Nothing else is needed, because every change of a status writes its entry in the
same transaction (`honnin.store.events`). A status that began before the oldest entry that is kept
(`TimelineRetentionDays`) is known from the `from_status` of that entry; when and why it began is not.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from honnin.event import Provider
from honnin.status import RESULT_CODES, Flag, PayPayStatus, VerifiedNeeds, VerifiedReason, VexoraStatus, verified
from honnin.store import TimelineEntry
from honnin.times import jst_day
from honnin.vault import product_of

# What the last entry of an erased user is called.
ERASED = "erased"

# The statuses of a link that has ended. Such a status covers a flag; any other shows it.
_ENDED = frozenset({PayPayStatus.INACTIVE, PayPayStatus.EXPIRED, PayPayStatus.UNLINKED})

_RECON = "recon"


@dataclass(frozen=True)
class Period:
    """The time during which a user had one status at a provider.

    Attributes
    ----------
    began
        The entry that began it. None: it began before the oldest entry that is kept.
    ended
        The entry that ended it: another status, or the erasure of the user. None: it lasts.
    confirmed
        The last entry within it, which says when the status was last confirmed. None: as `began`.
    evidence
        The newest entry up to `began` that names an answer in the vault.
    flag
        What PayPay held against the user at its end. A link that has ended keeps it, although the status is another.
    """

    provider: str
    status: str
    began: TimelineEntry | None
    ended: TimelineEntry | None = None
    confirmed: TimelineEntry | None = None
    evidence: TimelineEntry | None = None
    flag: Flag = Flag.NONE

    @property
    def since(self) -> str:
        """When it began (UTC); empty where that is not kept."""
        return self.began.at if self.began else ""

    @property
    def until(self) -> str | None:
        """When it ended (UTC); None while it lasts."""
        return self.ended.at if self.ended else None

    def holds_at(self, moment: str) -> bool:
        """Whether the user had the status at a moment (UTC)."""
        return self.since <= moment and (self.until is None or moment < self.until)

    def overlaps(self, first: str, end: str) -> bool:
        """Whether the user had the status at any time from `first` up to, without, `end` (UTC)."""
        return self.since < end and (self.until is None or first < self.until)


@dataclass(frozen=True)
class FoundLater:
    """An entry that came after a moment and is about that moment, or about the time before it.

    `why` is `recon` (the recon file of `day` named the user, and the reading after it changed the status) or
    `link_ended` (the link had ended at `ended_at`, by the end that PayPay had given).
    """

    why: str
    entry: TimelineEntry
    day: str | None = None
    ended_at: str | None = None


def in_order(entries: Iterable[TimelineEntry]) -> list[TimelineEntry]:
    """The entries of one user as they took effect, the oldest first.

    Entries of the same millisecond are put so that each begins with the status that the one before left.
    """
    found: list[TimelineEntry] = []
    left: dict[str, str | None] = {}
    by_moment = sorted(entries, key=lambda each: (each.at, each.event_id))
    for _, same in groupby(by_moment, key=lambda each: each.at):
        todo = list(same)
        while todo:
            following = min(todo, key=lambda each: _misplaced(each, left.get(each.provider)))
            todo.remove(following)
            found.append(following)
            left[following.provider] = following.to_status
    return found


def _misplaced(entry: TimelineEntry, current: str | None) -> int:
    """0 for an entry that confirms the current status, 1 for one that changes it, 2 for one that begins elsewhere."""
    return 2 if entry.from_status != current else entry.to_status != current


def lives(entries: Iterable[TimelineEntry]) -> tuple[list[list[TimelineEntry]], list[TimelineEntry]]:
    """The parts of a timeline that each end with an erasure (that entry included), and what came after the last one."""
    erased: list[list[TimelineEntry]] = []
    present: list[TimelineEntry] = []
    for each in in_order(entries):
        present.append(each)
        if each.what == ERASED:
            erased.append(present)
            present = []
    return erased, present


def periods(entries: Iterable[TimelineEntry]) -> list[Period]:
    """Every period of every status that a user had at each provider, in the order in which they began."""
    done: list[Period] = []
    now: dict[str, Period] = {}
    newest: dict[str, TimelineEntry] = {}
    for each in in_order(entries):
        if each.what == ERASED:
            done += [replace(period, ended=each) for period in now.values()]
            now, newest = {}, {}
            continue
        if "snapshot" in each.detail:
            newest[each.provider] = each
        current = now.get(each.provider)
        if current is None and each.from_status is not None:
            current = Period(each.provider, each.from_status, None)
        flag = _flag(current.flag if current else Flag.NONE, each)
        if current and current.status == each.to_status:
            now[each.provider] = replace(current, confirmed=each, flag=flag)
            continue
        if current:
            done.append(replace(current, ended=each))
        now[each.provider] = Period(
            each.provider, each.to_status, each, evidence=newest.get(each.provider), flag=flag, confirmed=each
        )
    return sorted([*done, *now.values()], key=lambda period: (period.since, period.until or "~"))


def known_at(entries: Iterable[TimelineEntry], moment: str) -> dict[str, Period]:
    """What was known at a moment (UTC, inclusive): the period of each provider that knew the user.

    `ended` is what ended it after the moment; `confirmed` and `flag` are those of the moment.
    """
    entries = list(entries)
    until_then = periods(each for each in entries if each.at <= moment)
    all_of_them = {(each.provider, each.since, each.status): each for each in periods(entries)}
    known = {each.provider: each for each in until_then if each.ended is None}
    for provider, period in known.items():
        whole = all_of_them.get((provider, period.since, period.status))
        known[provider] = replace(period, ended=whole.ended if whole else None)
    # Before the oldest entry that is kept, there is only what this entry began with.
    for whole in all_of_them.values():
        if whole.began is None and whole.holds_at(moment):
            known.setdefault(whole.provider, replace(whole, confirmed=None, flag=Flag.NONE))
    return known


def verified_at(known: Iterable[Period], needs: VerifiedNeeds) -> VerifiedReason:
    """Why a user with these periods counted as verified or not, by a rule (which may have been another one then)."""
    paypay: PayPayStatus | None = None
    vexora: VexoraStatus | None = None
    for each in known:
        if each.provider == Provider.PAYPAY:
            paypay = PayPayStatus(each.status if each.flag is Flag.NONE else each.flag)
        elif each.provider == Provider.VEXORA:
            vexora = VexoraStatus(each.status)
    return verified(paypay, vexora, needs)


def found_later(entries: Iterable[TimelineEntry], moment: str, *, link_ended_at: str | None = None) -> list[FoundLater]:
    """What was found out only after a moment (UTC) about it, or about the time before it; the earliest first.

    `link_ended_at`: when PayPay's link of the user ended, if its status is EXPIRED now.
    """
    day = jst_day(datetime.fromisoformat(moment))
    found = []
    for each in in_order(entries):
        if each.at <= moment or each.from_status == each.to_status or each.what == ERASED:
            continue
        file_day = recon_day(each)
        if file_day and file_day <= day:
            found.append(FoundLater(_RECON, each, day=file_day))
        elif each.to_status == PayPayStatus.EXPIRED and link_ended_at and link_ended_at <= moment:
            found.append(FoundLater("link_ended", each, ended_at=link_ended_at))
    return found


def recon_day(entry: TimelineEntry) -> str | None:
    """The JST day of the recon file that caused an entry; None for any other entry."""
    # `recon:<file type>:<day>:<authorization>:<number>`
    parts = entry.event_id.split(":", 3)
    return parts[2] if parts[0] == _RECON and len(parts) == 4 else None


def flags_since(entries: Iterable[TimelineEntry], provider: str, since: str) -> Iterator[tuple[str, Flag]]:
    """Each flag that PayPay has set on a user since a moment (UTC), and when it was read."""
    flag = Flag.NONE
    for each in in_order(entries):
        if each.provider != provider:
            continue
        before, flag = flag, _flag(flag, each)
        if flag not in (before, Flag.NONE) and each.at >= since:
            yield each.at, flag


def product(entry: TimelineEntry) -> str | None:
    """Which of the provider's products the answer of an entry came from, if it came from one."""
    snapshot = entry.detail.get("snapshot")
    return entry.detail.get("product") or (product_of(snapshot) if snapshot else None)


def _flag(before: Flag, entry: TimelineEntry) -> Flag:
    """The flag after an entry. Only a link that has ended hides it; then the code of the answer says it."""
    if entry.provider != Provider.PAYPAY:
        return Flag.NONE
    if entry.to_status not in _ENDED:
        return Flag(entry.to_status) if entry.to_status in Flag else Flag.NONE
    meaning = RESULT_CODES.get(entry.detail.get("providerCode", ""))
    return meaning if isinstance(meaning, Flag) else before
