"""`reread`."""

from collections.abc import Sequence
from typing import Annotated

import typer

from honninctl import reread as rereading
from honninctl.command import Cli, command
from honninctl.failures import ExitCode, UsageError
from honninctl.reread import Question

_ASKED = {
    "kyc_result": "Vexora, result",
    "account_status": "PayPay, authorization",
    "kyc": "PayPay, KYC",
}
# What an entry of the timeline says of a question that was not answered.
_NOT_READ = {
    "reading_refused": "the provider refused the question",
    "no_read_fits_scopes": "the user has agreed to no KYC read that could be made",
    "other_authorization": "the user has linked anew meanwhile; ask again",
}


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "reread", example="honninctl reread user-100")(reread)


def reread(
    cli: Cli,
    user: Annotated[str, typer.Argument(metavar="USER", help="Your own id of the user.", show_default=False)] = "",
    status: Annotated[
        str, typer.Option("--status", metavar="STATUS", help="Instead of one user: everybody who has this status.")
    ] = "",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the outcome.")] = True,
    timeout: Annotated[int, typer.Option("--timeout", min=1, metavar="SECONDS", help="How long to wait.")] = 120,
) -> ExitCode:
    """Ask every provider that knows the user where the user stands now, also for a stale submission.

    It queues what a webhook would: the answer is read over a signed call, and stands on the timeline with the cause
    operator. Repeating it does no harm.
    --status UNCONFIRMED follows a change of the parameter PayPayVerifiedStatuses. It reads the whole table to find the
    users, and does not wait for outcomes; JSON: {"status", "users"}.
    JSON: {"userId", "waited", "readings": [{"provider", "kind", "eventId", "what", "from", "to", "providerCode"}]};
    the last four are null while the outcome is open.
    Exit code 1 when a provider did not answer the question; 3 for a user whom nobody knows, or who was erased; 5 when
    the outcome is still open after --timeout.
    """
    if bool(user) == bool(status):
        raise UsageError("name either a user or --status")
    if status:
        return _everybody(cli, status)
    asked = rereading.ask(cli.deployment, user)
    if wait:
        with cli.screen.progress("Waiting for the outcome", len(asked)) as done:
            asked = rereading.outcomes(cli.deployment, user, asked, timeout_s=timeout, done=done)
    if cli.screen.as_json:
        cli.screen.json({"userId": user, "waited": wait, "readings": [each.as_json() for each in asked]})
    else:
        for each in asked:
            cli.screen.line(f"{_ASKED[each.kind]}: {_told(each, waited=wait)}")
    if not wait:
        cli.screen.advice(f"honninctl timeline {user} shows the outcome, with the cause operator.")
        return ExitCode.OK
    if any(each.entry is None for each in asked):
        cli.screen.advice(
            f"Not all is known after {timeout} s. It stays queued: look at honninctl timeline {user} later, and at "
            "honninctl deadletters list."
        )
    return _exit_code(asked)


def _everybody(cli: Cli, status: str) -> ExitCode:
    with cli.screen.progress("Reading the table") as done:
        users = rereading.ask_all(cli.deployment, status, done)
    if cli.screen.as_json:
        cli.screen.json({"status": status, "users": users})
    else:
        cli.screen.line(f"{users} users with the status {status} are read again.")
    return ExitCode.OK


def _told(question: Question, *, waited: bool) -> str:
    entry = question.entry
    if entry is None:
        return f"{question.before}; {'no outcome yet' if waited else 'queued'}"
    code = entry.detail.get("providerCode")
    said = f" ({code})" if code else ""
    if not question.is_read:
        return f"{entry.to_status}, not read: {_NOT_READ.get(entry.what, entry.what)}{said}"
    if entry.from_status == entry.to_status:
        return f"{entry.to_status}, unchanged{said}"
    return f"{entry.from_status or '–'} → {entry.to_status}{said}"


def _exit_code(asked: Sequence[Question]) -> ExitCode:
    if any(each.entry is None for each in asked):
        return ExitCode.UNREACHABLE
    return ExitCode.OK if all(each.is_read for each in asked) else ExitCode.FINDING
