"""The first page: what needs a person, how many users stand where, and the last 30 days."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Any

from honnin.recon.days import CalendarDay, to_ask_for
from honninctl import confirmations, dead_letters, overview, people, recon, repairs, rereads, webhooks
from honninctl.console import month
from honninctl.console.charts import Chart
from honninctl.console.page import Found, Page, View, asking
from honninctl.deployment import Deployment

_DAYS = 30
_REREADS = 5
# Ends that are shown in advance, and how many are counted: one page of the API.
EXPIRING_WITHIN = "30"
_MOST_EXPIRING = 100
# Statuses of which each user is waiting for somebody of yours.
_OPEN_STATUSES = (("paypay", "RISK_FLAGGED"), ("paypay", "UNCONFIRMED"), ("paypay", "UPDATE_REQUIRED"))


@dataclass(frozen=True)
class Task:
    """Something that needs a person: its text and next step are `task.<name>` and `task.<name>_step`.

    `link` leads to what is meant, where a page of the console shows it; `command` does it or shows more.
    """

    name: str
    look: str
    values: dict[str, Any] = field(default_factory=dict)
    link: str | None = None
    command: str | None = None


@dataclass(frozen=True)
class _Sources:
    """What each source answered; a source that the caller's role may not read has its trouble."""

    stopped: Found[str | None]
    held: Found[str | None]
    days: Found[list[CalendarDay]]
    letters: Found[dict[dead_letters.Queue, int]]
    rereads: Found[list[Any]]
    counts: Found[dict[str, Any]]
    expiring: Found[dict[str, Any]]
    ended: Found[list[dict[str, Any]]]
    unconfirmed: Found[list[confirmations.Unconfirmed]]

    def unread(self) -> Iterator[tuple[str, str, str]]:
        """Of each source that gave no answer: its name, the text that says why, and what AWS said."""
        for name, found in vars(self).items():
            if found.trouble:
                yield name, found.trouble.text, found.trouble.detail


def page(view: View) -> Page:
    """The page."""
    sources = _ask(view)
    days = sources.days.value or []
    tasks = list(_tasks(view, sources))
    return view.paint(
        "home.html",
        tasks=tasks,
        unread=list(sources.unread()),
        nothing_known=sources.days.value is not None and month.is_nothing_known(days),
        counts=sources.counts.value,
        strip=month.strip(days),
        states=month.states(days),
        looks=month.LOOKS,
        charts=charts(days),
    )


def charts(days: Sequence[CalendarDay]) -> list[Chart]:
    """The last days as numbers: users whose webhook was received, was missed, who were re-read, whose status changed.

    A user may be in files of several types and is then counted in each.
    """
    dates = sorted({each.day for each in days})
    if not dates:
        return []
    series: dict[str, Callable[[CalendarDay], int]] = {
        "received": lambda each: each.received,
        "missed": lambda each: each.never_received,
        "re_read": lambda each: each.re_read,
        "changed": lambda each: each.changed,
    }
    return [
        Chart(name, [(day, sum(value(each) for each in days if each.day == day)) for day in dates])
        for name, value in series.items()
    ]


def _ask(view: View) -> _Sources:
    stack = view.deployment
    expiring = {"within": EXPIRING_WITHIN, "limit": str(_MOST_EXPIRING)}
    return _Sources(
        stopped=asking(lambda: repairs.stopped_since(stack)),
        held=asking(lambda: webhooks.held_since(stack)),
        days=asking(lambda: recon.calendar(stack, _DAYS, view.now)),
        letters=asking(lambda: _letters(stack)),
        rereads=asking(lambda: rereads.known(stack, _REREADS)),
        counts=asking(lambda: overview.counts(stack)),
        expiring=asking(lambda: stack.merchant("GET", "/overview/expiring", expiring)),
        ended=asking(lambda: _ended_contracts(view)),
        unconfirmed=asking(lambda: confirmations.unconfirmed(stack)),
    )


def _ended_contracts(view: View) -> list[dict[str, Any]]:
    soon = people.contract_ends(view.deployment, view.now + timedelta(days=int(EXPIRING_WITHIN)))
    return list(islice(soon, _MOST_EXPIRING + 1))


def _letters(stack: Deployment) -> dict[dead_letters.Queue, int]:
    return dict(dead_letters.counts(stack, dead_letters.find(stack)))


def _tasks(view: View, sources: _Sources) -> Iterator[Task]:
    """The most urgent first: what stops everything, what can soon be repaired no more, what failed, what is due."""
    if since := sources.stopped.value:
        yield Task("stopped", "missing", {"since": view.wording.moment(since)}, command="honninctl repairs status")
    if since := sources.held.value:
        yield Task("held", "missing", {"since": view.wording.moment(since)}, view.link("dead-letters"))
    for day in _days_to_ask_for(view, sources.days.value or []):
        link = view.link("recon", day)
        yield Task("missing_file", "missing", {"day": view.wording.day(day)}, link)
    for queue, number in (sources.letters.value or {}).items():
        if number:
            values = {"queue": view.wording(f"queue.{queue}"), "number": view.wording.number(number)}
            yield Task("letters", "late", values, f"{view.link('dead-letters')}#queue-{queue}")
    for each in sources.rereads.value or []:
        state = each.state.value.lower()
        if state in ("failed", "paused"):
            name = each.reread.name
            yield Task(f"reread_{state}", "late", {"name": name}, command=f"honninctl rereads show {name}")
    yield from _users_waiting(view, sources)
    if number := len(sources.unconfirmed.value or []):
        yield Task("unconfirmed", "work", {"number": view.wording.number(number)}, view.link("settings"))


def _days_to_ask_for(view: View, days: Sequence[CalendarDay]) -> list[str]:
    return list(dict.fromkeys(each.day for each in to_ask_for(days, view.now)))


def _users_waiting(view: View, sources: _Sources) -> Iterator[Task]:
    counts = (sources.counts.value or {}).get("counts", {})
    for provider, status in _OPEN_STATUSES:
        if number := counts.get(provider, {}).get(status):
            link = view.link("users", provider=provider, status=status)
            yield Task(f"users_{status}", "late", {"number": view.wording.number(number)}, link)
    ends = sources.expiring.value or {"expiring": [], "cursor": None}
    if number := len(ends["expiring"]):
        values = {"number": view.wording.number(number), "days": EXPIRING_WITHIN}
        more = "_more" if ends["cursor"] else ""
        yield Task(f"expiring{more}", "work", values, view.link("users", list="expiring", days=EXPIRING_WITHIN))
    if number := len(sources.ended.value or []):
        values = {"number": view.wording.number(min(number, _MOST_EXPIRING)), "days": EXPIRING_WITHIN}
        more = "_more" if number > _MOST_EXPIRING else ""
        yield Task(f"ended{more}", "work", values, command=f"honninctl contract-ends --days {EXPIRING_WITHIN}")
