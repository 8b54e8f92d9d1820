"""The console's pages: asked of the stack for every request, and nothing of them kept.

What is shown comes through the same functions as the commands' output, masked, never with `reveal`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import jinja2

from honnin.recon.days import to_ask_for
from honninctl import dead_letters, masking, people, recon, repairs
from honninctl.console import advice, month, verdict
from honninctl.console.wording import LANGUAGES, Wording, jst_day, preferred, utc_text
from honninctl.deployment import Deployment
from honninctl.failures import CommandError, NoAccessError, NotFoundError, UnreachableError, UsageError, explained

_HERE = Path(__file__).parent
_FILES = {"console.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}
_HTML = "text/html; charset=utf-8"

_DAYS = 30
_ENTRIES = 30
# As far back as it is looked for when the present status began, and as many entries as one page may hold.
_MOST_ENTRIES = 500
_USERS_SHOWN = 50
_LETTERS_SHOWN = 50
# What a file has none of that was not compared, or of which no notification came.
_EMPTY_FILE: Mapping[str, Any] = {
    "changed": (),
    "notRead": (),
    "warnings": (),
    "counts": None,
    "reason": None,
    "doubt": None,
    "revisionOf": None,
}


@dataclass(frozen=True)
class Asked:
    """A request that was let in: `base` is the path up to the token, `steps` the rest of it."""

    base: str
    steps: tuple[str, ...]
    fields: Mapping[str, str]
    languages: str


@dataclass(frozen=True)
class Page:
    """An answer. `location` makes it a redirect."""

    status: HTTPStatus
    body: bytes = b""
    content_type: str = _HTML
    location: str | None = None


@dataclass(frozen=True)
class Trouble:
    """Why something cannot be shown: the text that says it plainly, the sentence of the command line, and a status."""

    text: str
    detail: str
    status: HTTPStatus


@dataclass(frozen=True)
class Found[T]:
    """What a question led to: a value, or the trouble that stood in its way."""

    value: T | None
    trouble: Trouble | None


def plain(status: HTTPStatus, sentence: str) -> Page:
    """One sentence for whoever was not let in: without style, and without a word of what was asked."""
    return Page(status, f"{sentence}\n".encode(), "text/plain; charset=utf-8")


_NO_PAGE = Trouble("trouble.no_page", "", HTTPStatus.NOT_FOUND)


class Pages:
    """The pages of one stack. `now` is the clock."""

    def __init__(self, deployment: Deployment, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._deployment = deployment
        self._now = now

    def page(self, asked: Asked) -> Page:
        """The page that was asked for. It does not raise: what goes wrong is said on the page."""
        match asked.steps:
            case (("console.css" | "icon.svg") as name,):
                return Page(HTTPStatus.OK, (_HERE / name).read_bytes(), _FILES[name])
            case ("",):
                return Page(HTTPStatus.SEE_OTHER, location=f"{asked.base}/{preferred(asked.languages)}/")
            case (language, *rest) if language in LANGUAGES:
                painter = _Painter(asked, self._deployment, self._now())
                page = _asking(lambda: self._in_language(asked, painter, rest))
                # Something that no page reckoned with; its own sentence is better than a connection that breaks off.
                return page.value or painter.trouble(page.trouble or _NO_PAGE)
            case _:
                return plain(HTTPStatus.NOT_FOUND, "There is nothing here.")

    def _in_language(self, asked: Asked, painter: "_Painter", steps: list[str]) -> Page:
        match steps:
            case [""]:
                return self._overview(painter)
            case ["user"]:
                return self._user(painter, asked.fields)
            case ["recon", day]:
                return self._day(painter, day)
            case ["dead-letters"]:
                return self._letters(painter)
            case _:
                return painter.trouble(_NO_PAGE)

    def _overview(self, painter: "_Painter") -> Page:
        days = _asking(lambda: recon.calendar(self._deployment, _DAYS, painter.now))
        letters = _asking(lambda: dead_letters.count(self._deployment))
        return painter.paint(
            "overview.html",
            days=days,
            sheets=month.sheets(days.value or []),
            states=month.states(days.value or []),
            missing_days=to_ask_for(days.value or [], painter.now),
            nothing_known=month.is_nothing_known(days.value or []),
            letters=letters,
            stopped_since=_asking(lambda: repairs.stopped_since(self._deployment)).value,
            looks=month.LOOKS,
        )

    def _user(self, painter: "_Painter", fields: Mapping[str, str]) -> Page:
        user_id = fields.get("id", "").strip()
        if not user_id:
            return painter.trouble(Trouble("trouble.no_id", "", HTTPStatus.BAD_REQUEST))
        status = _asking(lambda: people.status(self._deployment, user_id))
        unknown = status.trouble and status.trouble.status is HTTPStatus.NOT_FOUND
        if status.trouble and not unknown:
            return painter.trouble(status.trouble, user_id=user_id)
        # A user who was erased has no status any more, but still a timeline.
        timeline = _asking(lambda: list(people.timeline(self._deployment, user_id, limit=_MOST_ENTRIES)))
        if timeline.trouble:
            trouble = timeline.trouble
            if trouble.status is HTTPStatus.NOT_FOUND:
                trouble = Trouble("trouble.unknown_user", "", HTTPStatus.NOT_FOUND)
            return painter.trouble(trouble, user_id=user_id)
        entries = [_shown(each) for each in timeline.value or []]
        providers = status.value["providers"] if status.value else {}
        standings = list(verdict.standings(providers, entries))
        reason = str(status.value["verifiedReason"]) if status.value else ""
        shown = _between(fields.get("entries", ""), _ENTRIES, _MOST_ENTRIES)
        return painter.paint(
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

    def _day(self, painter: "_Painter", day: str) -> Page:
        try:
            valid = date.fromisoformat(day).isoformat() == day
            before, after = month.neighbours(day, painter.yesterday)
        except (ValueError, OverflowError):
            valid = False
        if not valid:
            return painter.trouble(Trouble("trouble.no_day", "", HTTPStatus.BAD_REQUEST))
        found = _asking(lambda: recon.report(self._deployment, day, painter.now, reveal=False))
        unknown = found.trouble is not None and found.trouble.status is HTTPStatus.NOT_FOUND
        if found.trouble and not unknown:
            return painter.trouble(found.trouble)
        known: Mapping[str, Any] = found.value or {"files": []}
        files = [
            {
                **_EMPTY_FILE,
                **each,
                "found": month.state_of(each, painter.now),
                "moves": month.moves(each.get("changed", [])),
            }
            for each in known["files"]
        ]
        return painter.paint(
            "day.html",
            status=HTTPStatus.NOT_FOUND if unknown else HTTPStatus.OK,
            day=day,
            before=before,
            after=after,
            files=files,
            types=known.get("types", []),
            looks=month.LOOKS,
            most_shown=_USERS_SHOWN,
        )

    def _letters(self, painter: "_Painter") -> Page:
        found = _asking(self._dead_letters)
        if found.value is None:
            return painter.trouble(found.trouble or _NO_PAGE)
        places, letters = found.value
        return painter.paint(
            "dead_letters.html",
            total=len(letters),
            queues=advice.by_queue(self._deployment, letters),
            unknown=places.unknown,
            letters_shown=_LETTERS_SHOWN,
        )

    def _dead_letters(self) -> tuple[dead_letters.Places, list[dict[str, Any]]]:
        places = dead_letters.find(self._deployment)
        return places, dead_letters.letters(self._deployment, places)


class _Painter:
    """Fills the templates for one request: its language, its links, its moment."""

    def __init__(self, asked: Asked, deployment: Deployment, now: datetime) -> None:
        self.now = now
        self._asked = asked
        self._deployment = deployment
        self._wording = Wording(asked.steps[0])

    @property
    def yesterday(self) -> str:
        """The last day of which there can be files."""
        return (date.fromisoformat(jst_day(utc_text(self.now))) - timedelta(days=1)).isoformat()

    def paint(self, template: str, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> Page:
        """A page of a template."""
        wording = self._wording
        text = (
            _templates()
            .get_template(template)
            .render(
                t=wording,
                link=partial(_link, f"{self._asked.base}/{wording.language}"),
                asset=partial(_link, self._asked.base),
                languages=[
                    (each, _link(f"{self._asked.base}/{each}", *self._steps, **self._asked.fields))
                    for each in LANGUAGES
                ],
                stack=self._deployment.name,
                region=self._deployment.region,
                now=utc_text(self.now),
                section=self._steps[0],
                **{"user_id": "", **values},
            )
        )
        return Page(status, text.encode())

    def trouble(self, trouble: Trouble, **values: Any) -> Page:
        """The page that says why there is nothing else to show."""
        return self.paint("trouble.html", trouble.status, trouble=trouble, **values)

    @property
    def _steps(self) -> tuple[str, ...]:
        return self._asked.steps[1:] or ("",)


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _link(base: str, /, *steps: str, **fields: object) -> str:
    path = "/".join((base, *(quote(each, safe="") for each in steps)))
    return path + (f"?{urlencode(fields)}" if fields else "")


def _asking[T](question: Callable[[], T]) -> Found[T]:
    """The answer of the stack, or why there is none."""
    try:
        return Found(question(), None)
    except Exception as error:
        return Found(None, _trouble(explained(error)))


def _trouble(error: CommandError) -> Trouble:
    match error:
        case NoAccessError():
            return Trouble("trouble.no_access", str(error), HTTPStatus.FORBIDDEN)
        case UnreachableError():
            return Trouble("trouble.unreachable", str(error), HTTPStatus.GATEWAY_TIMEOUT)
        case NotFoundError():
            return Trouble("trouble.not_found", str(error), HTTPStatus.NOT_FOUND)
        case UsageError():
            return Trouble("trouble.usage", str(error), HTTPStatus.BAD_REQUEST)
        case _:
            return Trouble("trouble.failed", str(error), HTTPStatus.BAD_GATEWAY)


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


def _between(text: str, least: int, most: int) -> int:
    return min(max(int(text), least), most) if text.isascii() and text.isdecimal() and len(text) < 10 else least
