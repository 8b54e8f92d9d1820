"""The console's pages: asked of the stack for every request, and nothing of them kept.

What is shown comes through the same functions as the commands' output, masked, never with `reveal`.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus

from honninctl import access
from honninctl.access import Source
from honninctl.console.confirmations import Confirmations
from honninctl.console.page import HERE, NO_PAGE, Asked, Desk, Page, View, asking, plain
from honninctl.console.pages import accesses, acting, home, letters, recon, register, settings, user, users
from honninctl.console.rights import Rights
from honninctl.console.wording import LANGUAGES, preferred
from honninctl.deployment import Deployment
from honninctl.language import speaking
from honninctl.recorded import Action, options

_FILES = {"console.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}


# The fields that choose what a page shows. Others have no meaning, and their names may hold anything.
_FIELDS = ("list", "of", "days", "q", "at", "since", "limit", "cursor", "from", "to", "provider", "status", "queue")


class Pages:
    """The pages of one stack. `now` is the clock.

    `is_read_only` leaves out what acts; with `may_reveal`, an export may hold personal data.
    """

    def __init__(
        self,
        deployment: Deployment,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        is_read_only: bool = True,
        may_reveal: bool = False,
    ) -> None:
        self._deployment = deployment
        self._now = now
        self._desk = None if is_read_only else Desk(Confirmations(), Rights(deployment), may_reveal)
        self.is_read_only = is_read_only

    def page(self, asked: Asked) -> Page:
        """The page that was asked for. It does not raise: what goes wrong is said on the page."""
        match asked.steps:
            case (("console.css" | "icon.svg") as name,):
                return Page(HTTPStatus.OK, (HERE / name).read_bytes(), _FILES[name])
            case ("",):
                return Page(HTTPStatus.SEE_OTHER, location=f"{asked.base}/{preferred(asked.languages)}/")
            case (language, *rest) if language in LANGUAGES:
                view = View(asked, self._deployment, self._now(), self._desk)
                # What doctor says, and why something failed, is in the language of the page: the server asks for one
                # page at a time.
                with speaking(language):
                    page = asking(lambda: _not_recorded(view, rest) or _page(view, rest))
                    # Something that no page reckoned with; its own sentence is better than a connection that breaks.
                    return page.value or view.trouble(page.trouble or NO_PAGE)
            case _:
                return plain(HTTPStatus.NOT_FOUND, "There is nothing here.")


def _not_recorded(view: View, steps: list[str]) -> Page | None:
    """Write the access record of a page about a user or a list of users; the trouble if that cannot be done."""
    fields, form = view.asked.fields, view.asked.form
    user_id = fields.get("id", "").strip() if steps[0] in ("user", "act", "access") else ""
    match steps:
        case ["users" | "users.csv"]:
            lists = bool(fields)
        case ["dead-letters"] | ["recon", _] | ["access"] | ["act", "redrive" | "discard"]:
            lists = True
        case ["register" | "register.csv" | "register.jsonl"]:
            lists = register.is_asked(fields)
        case _:
            lists = False
    if form is not None and view.desk and view.desk.confirmations.was_shown(form.get("token", ""), user_id):
        # That page was recorded when it was shown, and an act writes its own record.
        return None
    if not (user_id or lists):
        return None
    action = Action.LOOKED if user_id else Action.REGISTERED if steps[0].startswith("register") else Action.LISTED
    named = {
        "day": steps[1] if steps[0] == "recon" and steps[1:] else "",
        **{each: fields.get(each) for each in _FIELDS},
    }
    done = asking(
        lambda: access.record(
            view.deployment,
            action,
            user_id or None,
            what="/".join(steps) if steps[0] == "act" else steps[0],
            options=options({name: value for name, value in named.items() if value}),
            source=Source.CONSOLE,
        )
    )
    return view.trouble(done.trouble, user_id=user_id) if done.trouble else None


def _page(view: View, steps: list[str]) -> Page:
    if view.asked.form is not None and steps[0] != "act":
        return plain(HTTPStatus.METHOD_NOT_ALLOWED, "That page takes no form.")
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
        case ["register"]:
            return register.page(view)
        case ["register.csv" | "register.jsonl"]:
            return register.file(view, steps[0].rpartition(".")[2])
        case ["access"]:
            return accesses.page(view)
        case ["act", name]:
            return acting.page(view, name)
        case ["done"]:
            return acting.outcome_page(view)
        case ["settings"]:
            return settings.page(view)
        case _:
            return view.trouble(NO_PAGE)
