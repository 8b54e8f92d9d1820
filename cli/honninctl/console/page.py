"""What every page is made of: the request, the answer, what stood in the way, and the view that fills a template."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache, partial
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import jinja2

from honninctl.console.confirmations import Confirmations
from honninctl.console.rights import Rights
from honninctl.console.wording import LANGUAGES, Wording, jst_day, utc_text
from honninctl.deployment import Deployment
from honninctl.failures import (
    CommandError,
    NoAccessError,
    NotFoundError,
    UnreachableError,
    UsageError,
    UserIdError,
    explained,
)

HERE = Path(__file__).parent
HTML = "text/html; charset=utf-8"

# The navigation: the first step of a page's path, and the text that names it.
PLACES = (
    ("", "home.title"),
    ("users", "users.title"),
    ("recon", "recon.title"),
    ("dead-letters", "letters.title"),
    ("register", "register.title"),
    ("access", "access.title"),
    ("settings", "settings.title"),
)
# Where a page stands that is not in the navigation itself.
_WITHIN = {"user": "users"}


@dataclass(frozen=True)
class Asked:
    """A request that was let in: `base` is the path up to the token, `steps` the rest of it.

    `form` are the fields of a POST; None for a GET.
    """

    base: str
    steps: tuple[str, ...]
    fields: Mapping[str, str]
    languages: str
    form: Mapping[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Page:
    """An answer. `location` makes it a redirect; `headers` are further ones."""

    status: HTTPStatus
    body: bytes = b""
    content_type: str = HTML
    location: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


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


NO_PAGE = Trouble("trouble.no_page", "", HTTPStatus.NOT_FOUND)


@dataclass(frozen=True)
class Desk:
    """What a console needs that acts: what its pages have asked to be confirmed, and what the caller may do."""

    confirmations: Confirmations
    rights: Rights
    may_reveal: bool


class View:
    """Fills the templates for one request: its language, its links, its moment, and the stack that it asks.

    `desk` is None in a console that only reads.
    """

    def __init__(self, asked: Asked, deployment: Deployment, now: datetime, desk: Desk | None = None) -> None:
        self.desk = desk
        self.now = now
        self.asked = asked
        self.deployment = deployment
        self.wording = Wording(asked.steps[0])

    @property
    def yesterday(self) -> str:
        """The last day of which there can be files."""
        return (date.fromisoformat(jst_day(utc_text(self.now))) - timedelta(days=1)).isoformat()

    def paint(self, template: str, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> Page:
        """A page of a template."""
        wording = self.wording
        text = (
            _templates()
            .get_template(template)
            .render(
                t=wording,
                link=self.link,
                asset=partial(_link, self.asked.base),
                languages=[
                    (each, _link(f"{self.asked.base}/{each}", *self._steps, **self.asked.fields)) for each in LANGUAGES
                ],
                places=PLACES,
                stack=self.deployment.name,
                region=self.deployment.region,
                now=utc_text(self.now),
                is_read_only=self.desk is None,
                section=_WITHIN.get(self._steps[0], self._steps[0]),
                **{"user_id": "", **values},
            )
        )
        return Page(status, text.encode())

    def link(self, /, *steps: str, **fields: object) -> str:
        """The address of a page in the same language; fields that are None are left out."""
        given = {name: value for name, value in fields.items() if value is not None}
        return _link(f"{self.asked.base}/{self.wording.language}", *steps, **given)

    def trouble(self, trouble: Trouble, **values: Any) -> Page:
        """The page that says why there is nothing else to show."""
        return self.paint("trouble.html", trouble.status, trouble=trouble, **values)

    @property
    def _steps(self) -> tuple[str, ...]:
        return self.asked.steps[1:] or ("",)


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _link(base: str, /, *steps: str, **fields: object) -> str:
    path = "/".join((base, *(quote(each, safe="") for each in steps)))
    return path + (f"?{urlencode(fields)}" if fields else "")


def asking[T](question: Callable[[], T]) -> Found[T]:
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
        case UserIdError():
            return Trouble("trouble.no_user_id", str(error), HTTPStatus.BAD_REQUEST)
        case UsageError():
            return Trouble("trouble.usage", str(error), HTTPStatus.BAD_REQUEST)
        case _:
            return Trouble("trouble.failed", str(error), HTTPStatus.BAD_GATEWAY)


def is_day(text: str) -> bool:
    """Whether a text is a day as its address and its field have it (`yyyy-mm-dd`)."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def between(text: str, least: int, most: int) -> int:
    """A number of a query, held between two bounds; the least for what is no number."""
    return min(max(int(text), least), most) if text.isascii() and text.isdecimal() and len(text) < 10 else least
