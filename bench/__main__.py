"""`python -m bench ack`, `python -m bench process`, `python -m bench recon`: what each of these costs."""

import argparse
import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bench import ack, artifacts, figures, page, process, recon, recon_table, rie
from bench.contestants import ALL, OURS, PEERS
from bench.figures import Figure
from local import interrupts, screen
from local.errors import LocalError

_LEAST_COLD = 20
_LEAST_WARM = 1000


def main() -> int:
    """Run the command; 0 also when a target is missed (that is said), 1 when nothing could be measured."""
    options = _parser().parse_args()
    terminal = screen.console()
    interrupts.install()
    try:
        options.part(terminal, options)
    except interrupts.StopRequestedError as stopped:
        return stopped.exit_code
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _ack(terminal: Console, options: argparse.Namespace) -> None:
    rie.binary()  # says at once when this machine has none
    steps = screen.ShownSteps(terminal)
    built = artifacts.build([each.name for each in OURS], [each.name for each in PEERS], steps)
    summaries = _run(terminal, built, options.cold, options.warm)
    found = ack.figures(summaries)
    figures.write(found)
    terminal.print(_table(summaries, options.cold, options.warm))
    _show_targets(terminal, found)
    terminal.print(f"All figures are in {figures.PATH}.", soft_wrap=True)


def _process(terminal: Console, options: argparse.Namespace) -> None:  # noqa: ARG001
    steps = screen.ShownSteps(terminal)
    built = artifacts.build([process.FUNCTION], [], steps)
    findings = process.run(built, steps)
    found = process.figures(findings)
    figures.write(found)
    process.show(terminal, findings)
    _show_targets(terminal, found)
    terminal.print(f"All figures are in {figures.PATH}.", soft_wrap=True)


def _page(terminal: Console, options: argparse.Namespace) -> None:  # noqa: ARG001
    page.write()
    terminal.print(f"The figures are in {page.PAGE}.", soft_wrap=True)


def _recon(terminal: Console, options: argparse.Namespace) -> None:
    steps = screen.ShownSteps(terminal)
    built = artifacts.build(list(recon.FUNCTIONS), [], steps)
    findings = recon.run(built, steps, options.largest)
    found = recon.figures(findings)
    figures.write(found)
    recon_table.show(terminal, findings)
    _show_targets(terminal, found)
    terminal.print(f"All figures are in {figures.PATH}.", soft_wrap=True)


def _run(terminal: Console, built: artifacts.Artifacts, cold: int, warm: int) -> dict[str, ack.Summary]:
    total = ack.turns(cold, warm)
    columns = (TextColumn("{task.description:<60}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    if not terminal.is_terminal:
        terminal.print(f"Running {len(ALL)} handlers: {cold} cold starts and {warm} warm invokes each …")
    with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as progress:
        task = progress.add_task("starting", total=total)
        return ack.run(built, cold, warm, lambda done: progress.update(task, advance=1, description=done))


def _table(summaries: dict[str, ack.Summary], cold: int, warm: int) -> Table:
    table = Table(title=f"Medians of {cold} cold starts and {warm} warm invokes", title_justify="left")
    table.add_column("handler")
    for heading in ("init ms", "first ms", "cold ms", "warm ms", "(quartiles)", "RSS MiB"):
        table.add_column(heading, justify="right", no_wrap=True)
    for contestant in ALL:
        each = summaries[contestant.name]
        table.add_row(
            f"[bold]{contestant.title}[/]" if contestant.is_ours else contestant.title,
            *(f"{value:.1f}" for value in (each.init_ms, each.first_ms, each.cold_ms)),
            f"{each.warm_ms:.2f}",
            f"± {each.warm_spread_ms / 2:.2f}",
            f"{each.rss_mib:.1f}",
            end_section=contestant is OURS[-1],
        )
    return table


def _show_targets(terminal: Console, found: list[Figure]) -> None:
    """The ratios, and whatever has a target; a missed one is loud."""
    for figure in found:
        unit = "" if figure.unit == "ratio" else f" {figure.unit}"
        if figure.target is not None:
            verdict = "[green]✓ holds[/]" if figure.holds else "[bold red]✗ TARGET MISSED[/]"
            bound = "at least" if figure.at_least else "at most"
            terminal.print(f"  {figure.name:<38} {figure.value:.3f}{unit} ({bound} {figure.target:g}) {verdict}")
        elif figure.unit in ("ratio", "times as fast"):
            terminal.print(f"  {figure.name:<38} {figure.value:.3f}{unit}")
    missed = [figure.name for figure in found if figure.holds is False]
    if missed:
        terminal.print(f"[bold red]{len(missed)} TARGET(S) MISSED: {', '.join(missed)}[/]")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="ack|process|recon|page")
    part = commands.add_parser("ack", help="the PayPay webhook functions against their peers")
    part.add_argument("--cold", type=int, default=_LEAST_COLD, help=f"cold starts of each (default {_LEAST_COLD})")
    part.add_argument("--warm", type=int, default=_LEAST_WARM, help=f"warm invokes of each (default {_LEAST_WARM})")
    part.set_defaults(part=_ack)
    part = commands.add_parser("process", help="one environment of the event processor, the provider at 300 ms")
    part.set_defaults(part=_process)
    part = commands.add_parser("recon", help="recon files: reading, downloading, comparing")
    part.add_argument(
        "--largest", type=int, default=recon.SIZES[-1], choices=recon.SIZES, help="rows of the largest file"
    )
    part.set_defaults(part=_recon)
    part = commands.add_parser("page", help="write the figures of the last runs into docs/performance.md")
    part.set_defaults(part=_page)
    return parser


if __name__ == "__main__":
    sys.exit(main())
