"""`doctor`."""

import ipaddress
from datetime import UTC, datetime
from typing import Annotated

import typer

from honninctl import doctor as examination
from honninctl.checks import Check, Verdict
from honninctl.command import Cli, command
from honninctl.failures import ExitCode, UsageError
from honninctl.language import _

_MARKS = {Verdict.OK: "ok  ", Verdict.WARN: "warn", Verdict.FAIL: "FAIL"}
_STYLES = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red"}


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "doctor", example="honninctl doctor --registered-ip 203.0.113.10 --registered-ip 203.0.113.11")(doctor)


def doctor(
    cli: Cli,
    registered_ip: Annotated[
        list[str] | None,
        typer.Option(
            "--registered-ip", metavar="IP", help="An address that you have registered with PayPay; repeat it."
        ),
    ] = None,
) -> ExitCode:
    """Look for what may be wrong: credentials, secret, clocks, addresses, resources, URLs, alarms, parameters.

    Changes nothing. Each line is ok, warn or FAIL, with what to do.
    JSON: {"checkedAt", "summary": {"ok", "warn", "fail"}, "checks": [{"topic", "verdict", "found", "advice"}]}.
    Exit code 1 when a line is FAIL; 3 and 4 when nothing could be checked.
    """
    registered = [_address(each) for each in registered_ip or ()]
    with cli.screen.progress(_("Examining"), examination.TOPICS) as done:
        checks = list(examination.examine(cli.deployment, registered, done))
    if cli.screen.as_json:
        cli.screen.json(examination.report(checks, datetime.now(UTC)))
    else:
        _show(cli, checks)
    return ExitCode.FINDING if any(each.verdict is Verdict.FAIL for each in checks) else ExitCode.OK


def _show(cli: Cli, checks: list[Check]) -> None:
    for each in checks:
        cli.screen.line(f"{_MARKS[each.verdict]}  {each.topic:<12}{each.found}", _STYLES[each.verdict])
        if each.advice:
            cli.screen.line(f"{'':<18}→ {each.advice}")
    counts = examination.report(checks, datetime.now(UTC))["summary"]
    cli.screen.line(
        _("{ok} ok, {warn} to look at, {fail} failed.").format(
            ok=counts["ok"], warn=counts["warn"], fail=counts["fail"]
        )
    )


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        raise UsageError(_("--registered-ip {text!r} is not an address").format(text=text)) from None
