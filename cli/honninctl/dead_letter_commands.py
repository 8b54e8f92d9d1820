"""`deadletters list`, `show`, `redrive`."""

from collections import Counter
from typing import Annotated

import typer

from honninctl import dead_letters
from honninctl.command import Cli, RevealOption, command, connection
from honninctl.failures import ExitCode


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    group = typer.Typer(no_args_is_help=True, help="Events that no retry could mend, and putting them back.")
    group.callback()(connection)
    command(group, "list", example="honninctl deadletters list")(list_letters)
    command(group, "show", example="honninctl deadletters show vexora:db1cb34f-…:7ddaf5d8…")(show)
    command(group, "redrive", example="honninctl deadletters redrive --yes")(redrive)
    app.add_typer(group, name="deadletters")


def list_letters(cli: Cli, reveal: RevealOption = False) -> ExitCode:
    """What is parked, and of what it failed. Reading takes nothing away.

    JSON: {"total", "byErrorType": {...}, "deadLetters": [{"messageId", "sentAt", "errorType", "bodyBytes", "event"}]}.
    Exit code 1 when there are any.
    """
    with cli.screen.progress("Reading the queue", _about(cli)) as seen:
        found = dead_letters.letters(cli.deployment, reveal=reveal, seen=seen)
    by_type = Counter(each["errorType"] for each in found)
    if cli.screen.as_json:
        cli.screen.json({"total": len(found), "byErrorType": dict(by_type.most_common()), "deadLetters": found})
    elif not found:
        cli.screen.line("There are no dead letters.", "green")
    else:
        rows = [
            (each["sentAt"], each["errorType"], (each["event"] or {}).get("event_id"), each["messageId"])
            for each in found
        ]
        cli.screen.table(("parked at (UTC)", "error", "event", "message"), rows)
        _show_counts(cli, by_type)
        cli.screen.line("Mend the cause, then: honninctl deadletters redrive")
    return ExitCode.FINDING if found else ExitCode.OK


def show(
    cli: Cli,
    name: Annotated[str, typer.Argument(metavar="ID", help="A message id or an event id.")],
    reveal: RevealOption = False,
) -> None:
    """One dead letter, with its event. Exit code 3 when none is parked under that id.

    JSON: one element of the list.
    """
    found = dead_letters.letter(cli.deployment, name, reveal=reveal)
    if cli.screen.as_json:
        cli.screen.json(found)
        return
    event = found["event"]
    for key in ("messageId", "sentAt", "errorType", "bodyBytes"):
        cli.screen.line(f"{key:<14}{found[key]}")
    if event is None:
        cli.screen.line("The body is not an event of Honnin's." + ("" if reveal else " --reveal shows it."), "yellow")
        if reveal:
            cli.screen.line(found["body"])
        return
    for key, value in event.items():
        shown = "  ".join(f"{name}={text}" for name, text in value.items()) if isinstance(value, dict) else value
        cli.screen.line(f"  {key:<14}{shown}")


def redrive(
    cli: Cli,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> ExitCode | None:
    """Put every dead letter back on the events queue. An event takes effect once, so twice does no harm.

    JSON: {"total", "byErrorType": {...}}. Exit code 1 when you did not confirm.
    """
    if not yes and not cli.screen.confirmed(f"Put about {_about(cli)} dead letters back?"):
        cli.screen.note("Nothing was moved.")
        return ExitCode.FINDING
    with cli.screen.progress("Putting back", _about(cli)) as moved_on:
        moved = dead_letters.redrive(cli.deployment, moved_on)
    if cli.screen.as_json:
        cli.screen.json({"total": moved.total(), "byErrorType": dict(moved.most_common())})
        return None
    _show_counts(cli, moved)
    cli.screen.line(f"{moved.total()} put back." if moved else "There were no dead letters.", "green")
    return None


def _about(cli: Cli) -> int:
    return dead_letters.count(cli.deployment)


def _show_counts(cli: Cli, counts: Counter[str]) -> None:
    for kind, number in counts.most_common():
        cli.screen.line(f"{number} × {kind}")
