"""`webhooks test`, `list`, `redrive`, `rotate`: the webhooks to the merchant's own endpoint."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from honninctl import dead_letter_commands, dead_letters, key_rotation, webhooks
from honninctl.command import Cli, command, group
from honninctl.dead_letter_commands import (
    DryRunOption,
    ErrorTypeOption,
    SinceOption,
    UserOption,
    YesOption,
)
from honninctl.dead_letters import Queue
from honninctl.failures import ExitCode, UsageError
from honninctl.language import _, said
from honninctl.recorded import Action


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    made = group(app, "webhooks", "Webhooks to your own endpoint (parameter MerchantWebhookUrl).")
    command(made, "test", example="honninctl webhooks test")(test)
    command(made, "list", example="honninctl webhooks list --since 2026-11-20")(list_webhooks)
    command(made, "redrive", example="honninctl webhooks redrive --since 2026-11-20 --dry-run")(redrive)
    command(made, "rotate", example="honninctl webhooks rotate")(rotate)


def test(cli: Cli) -> ExitCode:
    """Send a webhook of the type honnin.test to your endpoint now, and say what became of it.

    It is signed like any other, goes out also while the circuit is open, and changes nothing of it.
    JSON: {"delivered", "status", "reason", "seconds"}; status is null where no answer came. Exit code 1 when it was not
    delivered.
    """
    cli.record(Action.OPERATED)
    found = webhooks.test(cli.deployment)
    seconds = found["seconds"]
    if cli.screen.as_json:
        cli.screen.json(found)
    elif found["delivered"]:
        cli.screen.line(
            _("Delivered: your endpoint answered HTTP {status} after {seconds:.1f} s.").format(
                status=found["status"], seconds=seconds
            ),
            "green",
        )
    else:
        template = _("Not delivered: {reason} (after {seconds:.1f} s).")
        cli.screen.line(template.format(reason=said(found["reason"]), seconds=seconds), "bold red")
        cli.screen.advice(_advice(found["status"]))
    return ExitCode.OK if found["delivered"] else ExitCode.FINDING


def list_webhooks(
    cli: Cli, error_type: ErrorTypeOption = None, user: UserOption = None, since: SinceOption = None
) -> ExitCode:
    """How the webhooks stand: the circuit, what waits, and the dead letters.

    The circuit is open while your endpoint fails: nothing is sent then but one message a minute, which closes it again
    when it is taken. In flight is what is being sent, or waits for its next try. The age of the oldest is some minutes
    old, and leaves out what has failed three times.
    JSON: {"circuit": {"open", "since", "reason", "failures", "mapping"}, "waiting", "inFlight", "oldestSeconds",
    "deadLetters": [...]}, each as in deadletters list. Exit code 1 when the circuit is open or there are dead letters.
    """
    cli.record(Action.LISTED, user)
    state = webhooks.state(cli.deployment)
    places = dead_letters.find(cli.deployment, Queue.WEBHOOKS)
    wanted = dead_letter_commands.filter_of(cli, error_type, user, since)
    with cli.screen.progress(
        _("Reading the dead letters"), sum(dead_letters.counts(cli.deployment, places).values())
    ) as seen:
        letters = dead_letters.letters(cli.deployment, places, takes=wanted.takes, seen=seen)
    if cli.screen.as_json:
        cli.screen.json({**state, "deadLetters": letters})
    else:
        _show_state(cli, state)
        _show_letters(cli, letters, is_filtered=bool(wanted))
    return ExitCode.FINDING if letters or state["circuit"]["open"] else ExitCode.OK


def redrive(
    cli: Cli,
    error_type: ErrorTypeOption = None,
    user: UserOption = None,
    since: SinceOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> ExitCode:
    """Send webhooks that were given up once more: all, or those that match. Each has the same webhook-id as before.

    The same as deadletters redrive --queue webhooks. Each gets a new schedule of more than three days. What is about a
    user who was erased since is not sent.
    JSON: as deadletters redrive. Exit code 1 when you did not confirm.
    """
    return dead_letter_commands.redrive_letters(
        cli, Queue.WEBHOOKS, error_type=error_type, user=user, since=since, dry_run=dry_run, yes=yes
    )


def rotate(
    cli: Cli,
    drop_previous: Annotated[
        bool, typer.Option("--drop-previous", help="Sign with the current secret alone, from now on.")
    ] = False,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Show the new secret on the screen; needs --reason.")
    ] = False,
) -> None:
    """Make a new secret for the signatures. The old one goes on: each webhook carries the signatures of both.

    1. Run this. 2. Six minutes later every function signs with both: give your receiver the new secret. 3. When it has
    it, run this with --drop-previous, and the old secret is worth nothing.
    The secret is not shown, but where to read it; --reveal shows it.
    JSON: {"droppedPrevious", "secretId", "signedWithBothFrom", "secret"}; the last one with --reveal, else null.
    """
    if drop_previous and reveal:
        raise UsageError(_("--reveal shows a new secret, and --drop-previous makes none"))
    cli.record(Action.OPERATED)
    if drop_previous:
        webhooks.drop_previous(cli.deployment)
    new = None if drop_previous else webhooks.rotate(cli.deployment)
    known = datetime.now(UTC) + timedelta(seconds=key_rotation.WAIT_S)
    if cli.screen.as_json:
        cli.screen.json(
            {
                "droppedPrevious": drop_previous,
                "secretId": webhooks.secret_id(cli.deployment),
                "signedWithBothFrom": known.isoformat(timespec="seconds").replace("+00:00", "Z") if new else None,
                "secret": new if reveal else None,
            }
        )
        return
    if new is None:
        cli.screen.line(_("Webhooks carry the signature of the current secret alone, within six minutes."))
        return
    cli.screen.line(
        _("There is a new secret. From {known:%H:%M} UTC on each webhook carries both signatures.").format(known=known),
        "green",
    )
    if reveal:
        cli.screen.line(new)
    else:
        cli.screen.line(_("The new one is current. Read it with:"))
        cli.screen.line(f"  {webhooks.reading(cli.deployment)}")
    cli.screen.advice(_("Give it to your receiver after that; then: honninctl webhooks rotate --drop-previous"))


def _advice(status: int | None) -> str:
    if status is None:
        return _("Look at the name, the certificate and the firewall of MerchantWebhookUrl (docs/api.md).")
    if 300 <= status < 400:
        return _("No redirect is followed: set MerchantWebhookUrl to where it leads.")
    if status in (401, 403):
        return _("Does your receiver have the secret? honninctl webhooks rotate --help says where it is.")
    return _("Your receiver must answer any 2xx; its own log says why it did not.")


def _show_state(cli: Cli, state: Mapping[str, Any]) -> None:
    circuit = state["circuit"]
    reason = said(circuit["reason"] or "")
    if circuit["since"]:
        template = _("The circuit is open since {minute} UTC.")
        if circuit["reason"]:
            template = _("The circuit is open since {minute} UTC: {reason}.")
        cli.screen.line(template.format(minute=_minute(circuit["since"]), reason=reason), "bold red")
        cli.screen.line(_("One message is tried each minute. Try it yourself: honninctl webhooks test"))
    elif circuit["open"]:
        cli.screen.line(
            _("The circuit is closed, but nothing is sent: the mapping is {mapping}.").format(
                mapping=circuit["mapping"]
            ),
            "bold red",
        )
        cli.screen.line(_("The probe enables it within a minute. Does it run? honninctl deadletters list"))
    else:
        failed = circuit["failures"]
        template = (
            _("The circuit is closed; the last {failures} tries failed: {reason}.")
            if failed
            else _("The circuit is closed.")
        )
        cli.screen.line(template.format(failures=failed, reason=reason), "yellow" if failed else "green")
    oldest = state["oldestSeconds"]
    age = _("not known") if oldest is None else str(timedelta(seconds=oldest))
    template = _("{waiting} waiting, {flying} in flight.")
    if state["waiting"] or state["inFlight"] or oldest is not None:
        template = _("{waiting} waiting, {flying} in flight; age of the oldest: {age}.")
    cli.screen.line(template.format(waiting=state["waiting"], flying=state["inFlight"], age=age))


def _show_letters(cli: Cli, letters: Sequence[Mapping[str, Any]], *, is_filtered: bool) -> None:
    if not letters:
        cli.screen.line(_("There are no such dead letters.") if is_filtered else _("There are no dead letters."))
        return
    rows = []
    for each in letters:
        webhook = each["webhook"] or {}
        rows.append((_minute(each["sentAt"]), webhook.get("type"), webhook.get("userId"), each["errorType"]))
    cli.screen.table((_("since (UTC)"), _("type"), _("user"), _("error")), rows)
    for kind, number in Counter(each["errorType"] for each in letters).most_common():
        cli.screen.line(f"{number} × {kind}")
    cli.screen.advice(_("Correct the cause, then: honninctl webhooks redrive"))


def _minute(moment: str) -> str:
    return moment[:16].replace("T", " ")
