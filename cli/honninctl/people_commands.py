"""`status`, `timeline`, `submissions`, `export`, `contract-end`, `erase`."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Annotated, Any

import typer

from honninctl import export as exports
from honninctl import moments, past, people
from honninctl.command import Cli, RevealOption, command
from honninctl.failures import ExitCode, UsageError
from honninctl.language import _, spoken
from honninctl.recorded import Action

UserArgument = Annotated[str, typer.Argument(metavar="USER", help="Your own id of the user.")]

# A key of the personal-data bucket would fill the line; --json has it whole.
_LONGEST_DETAIL = 40

_STATUS_STYLES = {
    "APPROVED": "green",
    "VERIFIED": "green",
    "LINKED": "cyan",
    "REJECTED": "red",
    "FAILED": "red",
    "RISK_FLAGGED": "bold red",
    "INACTIVE": "red",
    "EXPIRED": "yellow",
    "UNLINKED": "yellow",
    "LINK_DECLINED": "yellow",
    "NOT_COMPLETED": "yellow",
    "UNCONFIRMED": "yellow",
    "UPDATE_REQUIRED": "yellow",
}


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    command(app, "status", example="honninctl status user-100")(status)
    command(app, "timeline", example="honninctl timeline user-100 --limit 200")(timeline)
    command(app, "submissions", example="honninctl submissions --open")(submissions)
    revealing = 'honninctl export user-100 --reveal --reason "ticket 4711" >user-100.json'
    command(app, "export", example=revealing)(export)
    ending = 'honninctl contract-end user-100 --on 2026-10-31 --reason "ticket 4711"'
    command(app, "contract-end", example=ending)(contract_end)
    command(app, "erase", example='honninctl erase user-100 --unlink --reason "ticket 4711"')(erase)


def status(
    cli: Cli,
    user: UserArgument,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="TIME",
            help="What was known at the end of this day in Japan, or at this moment (Japan's); today: now.",
        ),
    ] = None,
) -> None:
    """The status of a user at each provider; with --at, what was known then, and how.

    --at 2026-10-31, today, 2026-10-31T09:30 or 2026-10-31T00:30Z: since when and until when it was so, which event and
    cause said it, the kept answer, and what was found out only later about that time (a recon file, the end of a link).
    JSON: the answer of GET /users/{userId}; with --at {"userId", "at", "providers", "verified", "verifiedReason",
    "verifiedNeeds", "foundLater", "firstEntryAt", "erasedAt", "erasure"}. Exit code 3 when no provider knows the user.
    """
    moment = past.moment(at) if at is not None else None
    cli.record(Action.LOOKED, user)
    if moment and at:
        then = past.status_at(cli.deployment, user, moment)
        if cli.screen.as_json:
            cli.screen.json(then)
            return
        for line in past.in_lines(then, at):
            cli.screen.line(line)
        return
    found = people.status(cli.deployment, user)
    if cli.screen.as_json:
        cli.screen.json(found)
        return
    rows = [
        (name, _styled(each["status"]), each["providerStatus"], each["readAt"], _remark(each))
        for name, each in sorted(found["providers"].items())
    ]
    cli.screen.table((_("provider"), _("status"), _("provider's value"), _("read at (UTC)"), ""), rows, title=user)
    for line in _in_words(found):
        cli.screen.line(line)


def timeline(
    cli: Cli,
    user: UserArgument,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many entries.")] = 50,
    everything: Annotated[bool, typer.Option("--all", help="All entries, however many.")] = False,
    cursor: Annotated[str | None, typer.Option("--cursor", help="The cursor of an earlier page (with --json).")] = None,
    reveal: RevealOption = False,
) -> None:
    """What happened to a user, newest first.

    On a terminal it goes on page by page as you ask for more.
    JSON: {"entries": [...], "cursor"} as GET /users/{userId}/timeline answers; with --all the cursor is null.
    """
    if cursor and not cli.screen.as_json:
        raise UsageError(_("--cursor goes with --json"))
    cli.record(Action.REVEALED if reveal else Action.LOOKED, user)
    if cli.screen.as_json:
        cli.screen.json(_timeline_json(cli, user, None if everything else limit, cursor, reveal=reveal))
        return
    if everything or not (cli.screen.console.is_terminal and sys.stdin.isatty()):
        entries = list(people.timeline(cli.deployment, user, limit=None if everything else limit, reveal=reveal))
        _show_entries(cli, entries)
        return
    _page_through(cli, user, limit, reveal=reveal)


def submissions(
    cli: Cli,
    only_open: Annotated[bool, typer.Option("--open", help="Only those that are not decided.")] = False,
) -> None:
    """The submissions at Vexora, oldest first.

    --open reads the index of what is polled: every submission without a decision. Without it the whole table is read,
    which takes a while and costs read units.
    JSON: {"submissions": [{"submissionId", "userId", "status", "submittedAt", "polls", "nextPollAt", "outcome"}]}.
    """
    cli.record(Action.LISTED)
    with cli.screen.progress(_("Reading the index") if only_open else _("Reading the table")) as seen:
        found = people.submissions(cli.deployment, only_open=only_open, seen=seen)
    if cli.screen.as_json:
        cli.screen.json({"submissions": found})
        return
    rows = [
        (
            each["userId"],
            _styled(each["status"]),
            each["submittedAt"],
            each["polls"],
            each["nextPollAt"],
            each["outcome"],
        )
        for each in found
    ]
    cli.screen.table((_("user"), _("status"), _("submitted (UTC)"), _("polls"), _("next poll (UTC)"), ""), rows)
    cli.screen.line(_("{found} submission{value}.").format(found=len(found), value="" if len(found) == 1 else "s"))


def export(
    cli: Cli,
    user: UserArgument,
    whole_table: Annotated[
        bool,
        typer.Option("--whole-table", help="Also the sessions of QRs (an hour, seven days); reads the whole table."),
    ] = False,
    reveal: RevealOption = False,
) -> None:
    """Everything that is stored about a user, as JSON (always).

    Without --reveal the stored objects are listed, not opened, and PayPay's ids are masked.
    "accesses" are those of the access record, with this one, as honninctl access USER shows them.
    JSON: {"userId", "exportedAt", "revealed", "wholeTable", "statuses", "link", "formerLinks", "submissions",
    "timeline", "waitingEvents", "eventRecords", "ledgerLines", "qrs", "contract", "erasures", "accesses",
    "personalData"}.
    """
    cli.record(Action.REVEALED if reveal else Action.EXPORTED, user)
    with cli.screen.progress(_("Reading the stored objects")) as seen:
        found = exports.export(
            cli.deployment, user, reveal=reveal, whole_table=whole_table, now=datetime.now(UTC), seen=seen
        )
    cli.screen.json(found)
    if not whole_table:
        cli.screen.note(_("Sessions of QRs that are still open are found with --whole-table only."))


def contract_end(
    cli: Cli,
    user: UserArgument,
    on: Annotated[
        str | None,
        typer.Option(
            "--on", metavar="DAY", help="The last day of the contract, in Japan (2026-10-31, today, yesterday)."
        ),
    ] = None,
    cancel: Annotated[bool, typer.Option("--cancel", help="The contract goes on: forget its end.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> ExitCode | None:
    """Report when the contract with a user ended (--on), or that it goes on (--cancel).

    From that day on the user's data is kept for PersonalDataRetentionDays, but at least for seven days from now. Then
    the user is erased, so --on needs --reason, which the certificate keeps, and asks you to type the user's id, unless
    --yes. A new submission or link cancels it, too.
    JSON: {"userId", "endedOn", "reportedAt", "reason", "keptUntil"}, as /users/{userId}/contract-end answers. Exit code
    1 when you did not confirm.
    """
    if (on is None) is not cancel:
        raise UsageError(_("say either --on DAY or --cancel"))
    day = moments.day(on, datetime.now(UTC)) if on is not None else None
    if day is not None:
        cli.need_reason(_("The end of a contract"))
        warning = _("The contract of {user} in {stack} ended on {day}. The user will be erased when it is time.")
        if not yes and not _typed(cli, user, warning.format(user=user, stack=cli.deployment.name, day=day)):
            cli.screen.note(_("That is not the id: nothing was reported."))
            return ExitCode.FINDING
    cli.record(Action.ENDED, user)
    found = people.contract_end(cli.deployment, user, day, None if cancel else cli.reason)
    if cli.screen.as_json:
        cli.screen.json(found)
    elif found["endedOn"] is None:
        cli.screen.line(_("No end of the contract of {user} is known.").format(user=user))
    else:
        said = _("The contract of {user} ended on {day}. The data is kept until {until};")
        cli.screen.line(said.format(user=user, day=found["endedOn"], until=found["keptUntil"]))
        cli.screen.line(_("then the user is erased. To take it back: honninctl contract-end USER --cancel"))
    return None


def erase(
    cli: Cli,
    user: UserArgument,
    unlink: Annotated[bool, typer.Option("--unlink", help="Also end the authorization at PayPay.")] = False,
    ticket: Annotated[
        str | None, typer.Option("--ticket", metavar="TICKET", help="The number of your ticket, for the certificate.")
    ] = None,
    requested_by: Annotated[
        str | None,
        typer.Option("--requested-by", metavar="NAME", help="Who asked for it, for the certificate; else your ARN."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> ExitCode | None:
    """Erase a user's personal data, for good. Shows the certificate; keep it.

    Needs --reason, which the certificate keeps: no personal data in it. Asks you to type the user's id, unless --yes.
    Repeating it does no harm.
    JSON: the certificate, as DELETE /users/{userId}/personal-data answers. Exit code 1 when you did not confirm.
    """
    cli.need_reason(_("An erasure"))
    if not yes and not _confirmed(cli, user, unlink=unlink):
        cli.screen.note(_("That is not the id: nothing was erased."))
        return ExitCode.FINDING
    cli.record(Action.ERASED, user)
    certificate = people.erase(
        cli.deployment, user, unlink=unlink, reason=cli.reason, ticket=ticket, requested_by=requested_by
    )
    if cli.screen.as_json:
        cli.screen.json(certificate)
        return None
    cli.screen.line(_("The personal data of {user} was erased. The certificate:").format(user=user), "green")
    cli.screen.json(certificate)
    return None


def _confirmed(cli: Cli, user: str, *, unlink: bool) -> bool:
    warning = (
        _(
            "This erases all personal data of {user} in {stack} and ends the authorization at PayPay. It cannot be "
            "undone."
        )
        if unlink
        else _("This erases all personal data of {user} in {stack}. It cannot be undone.")
    ).format(user=user, stack=cli.deployment.name)
    return _typed(cli, user, warning)


def _typed(cli: Cli, user: str, warning: str) -> bool:
    return cli.screen.ask(_("{warning}\nType the user's id to go on: ").format(warning=warning)) == user


def _timeline_json(cli: Cli, user: str, limit: int | None, cursor: str | None, *, reveal: bool) -> dict[str, Any]:
    if limit is None:
        return {"entries": list(people.timeline(cli.deployment, user, reveal=reveal)), "cursor": None}
    entries: list[dict[str, Any]] = []
    while len(entries) < limit:
        size = min(limit - len(entries), people.LARGEST_PAGE)
        page = people.timeline_page(cli.deployment, user, limit=size, cursor=cursor, reveal=reveal)
        entries += page["entries"]
        cursor = page["cursor"]
        if cursor is None:
            break
    return {"entries": entries, "cursor": cursor}


def _page_through(cli: Cli, user: str, limit: int, *, reveal: bool) -> None:
    entries = people.timeline(cli.deployment, user, reveal=reveal)
    while page := list(islice(entries, limit)):
        _show_entries(cli, page)
        following = next(entries, None)
        if following is None:
            return
        answer = cli.screen.ask(_("Enter for older entries, q to stop: "))
        if answer is None or answer.strip().lower() == "q":
            return
        entries = chain([following], entries)


def _show_entries(cli: Cli, entries: list[dict[str, Any]]) -> None:
    rows = [
        (each["at"], each["provider"], each["cause"], each["what"], _move(each), _details(each["detail"]))
        for each in entries
    ]
    cli.screen.table((_("at (UTC)"), _("provider"), _("cause"), _("what"), _("status"), _("details")), rows)


def _move(entry: dict[str, Any]) -> str:
    if entry["from"] == entry["to"]:
        return _("{status} (unchanged)").format(status=entry["to"])
    return f"{entry['from'] or '–'} → {entry['to']}"


def _details(detail: dict[str, str]) -> str:
    return "  ".join(f"{name}={_short(value)}" for name, value in sorted(detail.items()))


def _short(text: str) -> str:
    shown = text if len(text) <= _LONGEST_DETAIL else f"{text[: _LONGEST_DETAIL - 1]}…"
    return f'"{shown}"' if " " in shown else shown


def _in_words(found: dict[str, Any]) -> Iterator[str]:
    """Whether the user is verified and why, and what each status means, in the console's words."""
    from honninctl.console.wording import Wording

    wording = Wording(spoken())
    yield wording.verified(found)
    for provider, each in sorted(found["providers"].items()):
        name = wording.first(f"provider.{provider}", otherwise=provider)
        yield _("{what}: {why}").format(what=name, why=wording.standing(provider, each["status"]))


def _remark(provider: dict[str, Any]) -> str:
    if provider.get("stale"):
        return _("still open after 30 days: honninctl reread, then ask Vexora")
    if provider.get("submissionId"):
        return _("submission {id}").format(id=provider["submissionId"])
    scopes = provider.get("scopes")
    return _("scopes {scopes}").format(scopes=", ".join(scopes)) if scopes else ""


def _styled(status: str) -> Any:
    from rich.text import Text

    return Text(status, style=_STATUS_STYLES.get(status, ""))
