"""`repairs`: whether a mass change has stopped repairs and rereads, and how they go on."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from honninctl import repairs
from honninctl.command import Cli, command, group
from honninctl.failures import ExitCode, UsageError
from honninctl.language import _
from honninctl.recorded import Action

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    made = group(app, "repairs", "Repairs and rereads: a mass change of statuses stops them.")
    command(made, "status", example="honninctl repairs status")(status)
    command(made, "resume", example="honninctl repairs resume")(resume)
    command(made, "stop", example='honninctl repairs stop --reason "new PayPay key"')(stop)


def status(cli: Cli) -> ExitCode:
    """Say whether repairs and rereads are stopped, since when, and what the readings of the last hour did.

    JSON: {"running", "stop": {"at", "reason", "readings", "losses"}, "lastHour": {"readings", "losses"},
    "noLimitUntil", "mappings": {queue: state}, "waiting": {queue: number}}; stop is null where nothing is stopped, and
    reason where a mass change did it. Losses: [{"provider", "from", "to", "cause", "users"}].
    Exit code 1 when they are not processed.
    """
    state = repairs.look(cli.deployment)
    if cli.screen.as_json:
        cli.screen.json(_as_json(cli, state))
    else:
        _show(cli, state)
    return ExitCode.OK if state.is_running else ExitCode.FINDING


def resume(
    cli: Cli,
    no_limit_for: Annotated[
        int,
        typer.Option(
            "--no-limit-for",
            min=0,
            max=168,
            metavar="HOURS",
            help="For this long, do not stop again, because the losses are correct.",
        ),
    ] = 0,
    yes: Yes = False,
) -> ExitCode:
    """Let repairs and rereads go on, once keys, X-ASSUME-MERCHANT and base URLs are right.

    The waiting users are read, and the count of readings starts at 0. If many users really have lost their
    verification, the next 20 would stop everything again: --no-limit-for prevents that.
    JSON: that of `repairs status`. Exit code 1 when you did not confirm.
    """
    cli.record(Action.REREAD)
    state = repairs.look(cli.deployment)
    if not cli.screen.as_json:
        _show(cli, state)
    question = _("Repairs and rereads of {stack} go on. Are keys, X-ASSUME-MERCHANT and base URLs right?").format(
        stack=cli.deployment.name
    )
    if not (yes or cli.screen.confirmed(question)):
        cli.screen.note(_("Nothing was changed."))
        return ExitCode.FINDING
    until = _text(datetime.now(UTC) + timedelta(hours=no_limit_for)) if no_limit_for else None
    repairs.resume(cli.deployment, until)
    if cli.screen.as_json:
        cli.screen.json(_as_json(cli, repairs.look(cli.deployment)))
        return ExitCode.OK
    cli.screen.line(_("Repairs and rereads go on."))
    if state.counted.stop and not state.counted.stop.reason:
        cli.screen.advice(
            _(
                "Users who were changed wrongly before the stop: honninctl changes lists them, and "
                "honninctl reread reads them again (docs/runbook.md#repairs-stopped)."
            )
        )
    return ExitCode.OK


def stop(
    cli: Cli,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why, for your colleagues.", show_default=False)
    ],
    yes: Yes = False,
) -> ExitCode:
    """Stop repairs and rereads yourself, for example while a provider gives wrong answers. Live events continue.

    JSON: that of `repairs status`. Exit code 1 when you did not confirm.
    """
    if not reason.strip():
        raise UsageError(_("--reason must not be empty"))
    cli.record(Action.OPERATED)
    if not (
        yes
        or cli.screen.confirmed(
            _("Repairs and rereads of {name} stop until they are resumed. Go on?").format(name=cli.deployment.name)
        )
    ):
        cli.screen.note(_("Nothing was changed."))
        return ExitCode.FINDING
    is_new = repairs.stop(cli.deployment, reason.strip(), _text(datetime.now(UTC)))
    if cli.screen.as_json:
        cli.screen.json(_as_json(cli, repairs.look(cli.deployment)))
        return ExitCode.OK
    cli.screen.line(_("Repairs and rereads are stopped.") if is_new else _("They were already stopped."))
    cli.screen.advice(_("honninctl repairs resume lets them go on."))
    return ExitCode.OK


def _as_json(cli: Cli, state: repairs.State) -> dict[str, Any]:
    return {**state.as_json(), "waiting": repairs.waiting(cli.deployment)}


def _show(cli: Cli, state: repairs.State) -> None:
    shown = _as_json(cli, state)
    if found := shown["stop"]:
        template = (
            _("Repairs and rereads are stopped since {at}: {reason}.")
            if found["reason"]
            else _("Repairs and rereads are stopped since {at}, because many users lost their verification.")
        )
        cli.screen.line(template.format(at=found["at"], reason=found["reason"]), "bold red")
        if not found["reason"]:
            lost = sum(each["users"] for each in found["losses"])
            cli.screen.line(
                _("In the hour before, {lost} of {readings} readings took users out:").format(
                    lost=lost, readings=found["readings"]
                )
            )
            _show_losses(cli, found["losses"])
    elif not state.is_running:
        cli.screen.line(_("Repairs and rereads are not processed: a mapping is disabled."), "bold red")
        cli.screen.advice(_("honninctl repairs resume enables it."))
    else:
        cli.screen.line(_("Repairs and rereads are processed."))
    if until := shown["noLimitUntil"]:
        cli.screen.line(
            _("They are not stopped again before {until}, whatever the number of losses.").format(until=until)
        )
    hour = shown["lastHour"]
    lost = sum(each["users"] for each in hour["losses"])
    cli.screen.line(
        _("Last hour: {readings} readings, {lost} out of VERIFIED or APPROVED.").format(
            readings=hour["readings"], lost=lost
        )
    )
    if not found:
        _show_losses(cli, hour["losses"])
    for queue, mapping in shown["mappings"].items():
        cli.screen.line(
            _("{queue}: {value} waiting, mapping {mapping}").format(
                queue=queue, value=shown["waiting"][queue], mapping=mapping
            )
        )


def _show_losses(cli: Cli, losses: Sequence[dict[str, Any]]) -> None:
    for each in losses:
        line = f"  {each['users']} × {each['provider']}: {each['from']} → {each['to']} ({each['cause']})"
        cli.screen.line(line)


def _text(moment: datetime) -> str:
    from honnin.times import utc_text

    return utc_text(moment)
