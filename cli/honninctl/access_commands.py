"""`access`: who looked at, exported, reread, revealed or erased what of a user, when and why."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from honninctl import access as accesses
from honninctl import moments
from honninctl.command import Cli, command
from honninctl.failures import UsageError
from honninctl.language import _, field
from honninctl.recorded import Action


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "access", example="honninctl access user-100 --from 2026-10-01 --to 2026-10-31")(access)


def access(
    cli: Cli,
    user: Annotated[str, typer.Argument(metavar="USER", help="Your own id of the user.", show_default=False)] = "",
    *,
    recent: Annotated[bool, typer.Option("--recent", help="Who read lists of users, instead of one USER.")] = False,
    first: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Only since this day in Japan, or time.")
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Only until the end of this day in Japan, or time.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, the newest first.")] = 100,
) -> None:
    """Who looked at, exported, reread, revealed or erased what of a user, when and why; the newest first.

    It contains what was done with honninctl and its console. Lists of users are recorded once for each list, without
    the users in it: --recent shows these. To read the record is recorded, too. It also has users who were erased.
    JSON: {"userId", "accesses": [{"at", "action", "who", "source", "what", "options", "reason", "reasonErasedAt"}],
    "more"}; userId is null with --recent, and more is true when there are older ones than --limit shows.
    """
    if bool(user) == recent:
        raise UsageError(_("name a user, or add --recent for lists of users"))
    day = [moments.day(each, datetime.now(UTC)) if each else None for each in (first, last)]
    since = accesses.bound("--from", day[0]) if day[0] else "0"
    until = accesses.bound("--to", day[1], ends=True) if day[1] else "9"
    cli.record(Action.LOOKED if user else Action.LISTED, user or None)
    found = accesses.accesses(cli.deployment, user or None, since, until, limit + 1)
    shown = found[:limit]
    if cli.screen.as_json:
        cli.screen.json({"userId": user or None, "accesses": shown, "more": len(found) > limit})
        return
    rows = [
        (moments.shown(each["at"]), field(each["action"]), each["who"], _with(each), each["reason"] or _gone(each))
        for each in shown
    ]
    headings = (_("at (JST)"), _("action"), _("who"), _("with"), _("reason"))
    cli.screen.table(headings, rows, title=user or _("Lists of users"))
    if len(found) > limit:
        cli.screen.note(_("There are older ones: add --limit, or --to {at}.").format(at=shown[-1]["at"]))


def _with(access: Mapping[str, Any]) -> str:
    what = f"{access['what']} {access['options'] or ''}".rstrip()
    return _("{what}: {why}").format(what=field(access["source"]), why=what)


def _gone(access: Mapping[str, Any]) -> str:
    return _("(erased with the user)") if access["reasonErasedAt"] else ""
