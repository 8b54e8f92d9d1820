"""The access record (docs/security.md, "Access record"): written before a command or a page shows or does anything."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Any

from honninctl import moments
from honninctl.deployment import Deployment
from honninctl.failures import UsageError, UserIdError, explained
from honninctl.language import _
from honninctl.recorded import Action

if TYPE_CHECKING:
    from honnin.store import Access

__all__ = [
    "LONGEST_REASON",
    "NOBODY",
    "Action",
    "Source",
    "accesses",
    "all_of",
    "as_json",
    "bound",
    "checked_reason",
    "is_user_id",
    "record",
]

LONGEST_REASON = 200
_PAGE = 100
# How the options of an entry begin if nobody has the id that was asked for.
NOBODY = "nobody"
# Those of the merchant API (`honnin.merchant_api`).
_USER_ID = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._:@-]{1,64}")


class Source(StrEnum):
    """Where it was done."""

    CLI = "cli"
    CONSOLE = "console"


def record(
    deployment: Deployment,
    action: Action,
    user_id: str | None,
    reason: str | None = None,
    *,
    what: str = "",
    options: str | None = None,
    source: Source = Source.CLI,
) -> None:
    """Write that the caller is about to do something with a user's data (None: of a list of users).

    `what` is the command or the page, `options` what it was asked for (`recorded.options`). An action that fails after
    this is in the record, too. What is no user's id may be a mail address or a name, typed by mistake: it is recorded
    as a look at nobody, without the text.

    Raises
    ------
    UserIdError
        This cannot be the id of a user.
    UsageError
        The reason is too long.
    CommandError
        It could not be written; nothing may then be shown or done.
    """
    from honnin.store import Access
    from honnin.times import utc_text

    if user_id is not None and not is_user_id(user_id):
        raise UserIdError(
            _("{user_id!r} is no user id: letters, digits and . _ : @ - only, 64 at most").format(user_id=user_id)
        )
    reason = checked_reason(reason)
    # That there is no such stack is said in its own words.
    __ = deployment.outputs
    try:
        if user_id is not None and not deployment.knows(user_id):
            user_id, options = None, " ".join(filter(None, (NOBODY, options)))
        at = utc_text(datetime.now(UTC))
        deployment.keep_access(Access(at, action, deployment.caller, source, what, user_id, reason, options))
    except Exception as error:
        cause = explained(error)
        said = _("nothing was shown or done, because the access record cannot be written: {cause}").format(cause=cause)
        raise type(cause)(said).with_traceback(error.__traceback__) from None


def is_user_id(text: str) -> bool:
    """Whether a text may be the id of a user."""
    return _USER_ID.fullmatch(text) is not None


def checked_reason(reason: str | None) -> str | None:
    """A reason on one line; None for an empty one. Raises `UsageError` for one that is too long."""
    said = " ".join((reason or "").split())
    if len(said) > LONGEST_REASON:
        raise UsageError(_("--reason has more than {most} characters").format(most=LONGEST_REASON))
    if not said.isprintable():
        raise UsageError(_("--reason contains a character that cannot be shown"))
    return said or None


def accesses(deployment: Deployment, user_id: str | None, since: str, until: str, limit: int) -> list[dict[str, Any]]:
    """The newest accesses to a user (None: to lists of users), from `since` to before `until` (UTC)."""
    return list(islice(all_of(deployment, user_id, since, until), limit))


def all_of(deployment: Deployment, user_id: str | None, since: str = "0", until: str = "9") -> Iterator[dict[str, Any]]:
    """All accesses to a user (None: to lists of users), newest first, as JSON."""
    cursor: str | None = None
    while True:
        page = deployment.store.access.page(user_id, _PAGE, since=since, until=until, cursor=cursor)
        yield from map(as_json, page.accesses)
        cursor = page.cursor
        if cursor is None:
            return


def bound(option: str, text: str, *, ends: bool = False) -> str:
    """A day in Japan or a moment as an end of a period (UTC). Raises `UsageError` for what is neither."""
    from honnin.times import utc_text

    return utc_text(moments.moment(option, text, ends=ends))


def as_json(access: "Access") -> dict[str, Any]:
    """An access as the command shows it."""
    return {
        "at": access.at,
        "action": access.action,
        "who": access.who,
        "source": access.source,
        "what": access.what,
        "options": access.options,
        "reason": access.reason,
        "reasonErasedAt": access.reason_erased_at,
    }
