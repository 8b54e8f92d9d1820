"""The console's pages: asked of the stack for every request, and nothing of them kept.

What is shown comes through the same functions as the commands' output, masked, never with `reveal`.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus

from honninctl.console.page import HERE, NO_PAGE, Asked, Page, View, asking, plain
from honninctl.console.pages import home, letters, recon, settings, user, users
from honninctl.console.wording import LANGUAGES, preferred
from honninctl.deployment import Deployment

_FILES = {"console.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}


class Pages:
    """The pages of one stack. `now` is the clock."""

    def __init__(self, deployment: Deployment, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._deployment = deployment
        self._now = now

    def page(self, asked: Asked) -> Page:
        """The page that was asked for. It does not raise: what goes wrong is said on the page."""
        match asked.steps:
            case (("console.css" | "icon.svg") as name,):
                return Page(HTTPStatus.OK, (HERE / name).read_bytes(), _FILES[name])
            case ("",):
                return Page(HTTPStatus.SEE_OTHER, location=f"{asked.base}/{preferred(asked.languages)}/")
            case (language, *rest) if language in LANGUAGES:
                view = View(asked, self._deployment, self._now())
                page = asking(lambda: _page(view, rest))
                # Something that no page reckoned with; its own sentence is better than a connection that breaks off.
                return page.value or view.trouble(page.trouble or NO_PAGE)
            case _:
                return plain(HTTPStatus.NOT_FOUND, "There is nothing here.")


def _page(view: View, steps: list[str]) -> Page:
    match steps:
        case [""]:
            return home.page(view)
        case ["users"]:
            return users.page(view)
        case ["users.csv"]:
            return users.csv_file(view)
        case ["user"]:
            return user.page(view)
        case ["recon"]:
            return recon.calendar(view)
        case ["recon", day]:
            return recon.day_page(view, day)
        case ["dead-letters"]:
            return letters.page(view)
        case ["settings"]:
            return settings.page(view)
        case _:
            return view.trouble(NO_PAGE)
