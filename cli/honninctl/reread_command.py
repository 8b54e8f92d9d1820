"""`reread`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from honninctl import reread as rereading
from honninctl import rereads
from honninctl.command import Cli, command
from honninctl.failures import ExitCode, UsageError
from honninctl.language import N_, _
from honninctl.recorded import Action
from honninctl.reread import Question, why_not
from honninctl.rereads import Asked
from honninctl.rereads_commands import begun

_MANY = "Many users"

_ASKED = {
    "kyc_result": N_("Vexora, result"),
    "account_status": N_("PayPay, authorization"),
    "kyc": N_("PayPay, KYC"),
}


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "reread", example="honninctl reread user-100")(reread)


def reread(
    cli: Cli,
    user: Annotated[str, typer.Argument(metavar="USER", help="Your own id of the user.", show_default=False)] = "",
    *,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the outcome of USER.")] = True,
    timeout: Annotated[int, typer.Option("--timeout", min=1, metavar="SECONDS", help="How long to wait.")] = 120,
    status: Annotated[
        str, typer.Option("--status", metavar="STATUS", help="All users with this status.", rich_help_panel=_MANY)
    ] = "",
    everybody: Annotated[bool, typer.Option("--all", help="All users.", rich_help_panel=_MANY)] = False,
    file: Annotated[
        str,
        typer.Option(
            "--file", metavar="FILE", help="The users of a file: your own ids, one a line.", rich_help_panel=_MANY
        ),
    ] = "",
    provider: Annotated[
        str | None,
        typer.Option("--provider", metavar="PROVIDER", help="Only at paypay or vexora.", rich_help_panel=_MANY),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show how far it is until it is done.", rich_help_panel=_MANY)
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.", rich_help_panel=_MANY)] = False,
) -> ExitCode:
    """Ask the providers for the present status of a user, or of many users.

    It queues the same read as a webhook does. The answer is read with a signed call, and is added to the timeline with
    the cause operator. You may repeat it.
    USER: every provider that knows the user is asked, also about a stale submission. JSON: {"userId", "waited",
    "readings": [{"provider", "kind", "eventId", "what", "from", "to", "providerCode"]}; the last four are null while
    the outcome is open. Exit code 1 when a provider did not answer the question; 3 for a user who is unknown or
    was erased; 5 when the outcome is still open after --timeout.
    Many users, by --status, --all or --file: says how many they are, asks whether to go on, and starts a state machine,
    which has them read behind everything live, each once. `honninctl rereads` shows, pauses and resumes it. JSON:
    {"name", "execution"}; with --watch as `rereads show`. Exit code 1 when you did not confirm.
    """
    many = Asked(status, everybody, file, provider)
    if sum(map(bool, (user, status, everybody, file))) != 1:
        raise UsageError(_("name one of: a user, --status, --all, --file"))
    if user and (provider or watch):
        raise UsageError(_("--provider and --watch go with --status, --all and --file"))
    cli.record(Action.REREAD, user or None)
    if not user:
        return _many(cli, many, watch=watch, yes=yes)
    asked = rereading.ask(cli.deployment, user)
    if wait:
        with cli.screen.progress(_("Waiting for the outcome"), len(asked)) as done:
            asked = rereading.outcomes(cli.deployment, user, asked, timeout_s=timeout, done=done)
    if cli.screen.as_json:
        cli.screen.json({"userId": user, "waited": wait, "readings": [each.as_json() for each in asked]})
    else:
        for each in asked:
            template = _("{what}: {outcome}")
            cli.screen.line(template.format(what=_(_ASKED[each.kind]), outcome=_outcome(each, waited=wait)))
    if not wait:
        cli.screen.advice(_("honninctl timeline {user} shows the outcome, with the cause operator.").format(user=user))
        return ExitCode.OK
    if any(each.entry is None for each in asked):
        cli.screen.advice(
            _(
                "Not every outcome is known after {timeout} s. The rest stays queued: look at "
                "honninctl timeline {user} later, and at honninctl deadletters list."
            ).format(timeout=timeout, user=user)
        )
    return _exit_code(asked)


def _many(cli: Cli, asked: Asked, *, watch: bool, yes: bool) -> ExitCode:
    planned = rereads.plan(cli.deployment, asked, datetime.now(UTC))
    if not yes and not cli.screen.confirmed(_("{summary} Go on?").format(summary=planned.summary)):
        cli.screen.note(_("No user is read again."))
        return ExitCode.FINDING
    if yes:
        cli.screen.note(planned.summary)
    execution = rereads.begin(cli.deployment, planned)
    return begun(cli, planned.reread.name, execution, watch=watch)


def _outcome(question: Question, *, waited: bool) -> str:
    entry = question.entry
    if entry is None:
        template = _("{status}; no outcome yet") if waited else _("{status}; queued")
        return template.format(status=question.before)
    code = entry.detail.get("providerCode")
    said = f" ({code})" if code else ""
    if not question.is_read:
        return _("{status}, not read: {why}").format(status=entry.to_status, why=why_not(entry.what)) + said
    if entry.from_status == entry.to_status:
        return _("{status}, unchanged").format(status=entry.to_status) + said
    return f"{entry.from_status or '–'} → {entry.to_status}{said}"


def _exit_code(asked: Sequence[Question]) -> ExitCode:
    if any(each.entry is None for each in asked):
        return ExitCode.UNREACHABLE
    return ExitCode.OK if all(each.is_read for each in asked) else ExitCode.FINDING
