"""`rereads`: those of many users, one of which `reread --status`, `--all` or `--file` has begun."""

from typing import TYPE_CHECKING, Annotated

import typer

from honninctl import rereads
from honninctl.command import Cli, command, group
from honninctl.failures import ExitCode
from honninctl.language import _, field
from honninctl.recorded import Action
from honninctl.screen import padded

if TYPE_CHECKING:
    from honnin.reread.starting import Progress

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Its name, as `rereads list` shows it.")]
WatchOption = Annotated[bool, typer.Option("--watch", help="Show the progress until it is done, paused or failed.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    made = group(app, "rereads", "Rereads of many users: their progress; pause and resume.")
    command(made, "list", example="honninctl rereads list")(list_all)
    command(made, "show", example="honninctl rereads show reread-all-20261120t030000z --watch")(show)
    command(made, "pause", example="honninctl rereads pause reread-all-20261120t030000z")(pause)
    command(made, "resume", example="honninctl rereads resume reread-all-20261120t030000z --watch")(resume)


def list_all(
    cli: Cli, most: Annotated[int, typer.Option("--most", min=1, max=1000, help="How many, the latest first.")] = 20
) -> None:
    """The rereads of many users, the latest first.

    JSON: {"rereads": [...]}, each as `rereads show` gives it.
    """
    found = rereads.known(cli.deployment, most)
    if cli.screen.as_json:
        cli.screen.json({"rereads": [rereads.as_json(each) for each in found]})
        return
    names = ("name", "state", "users", "sent", "done", "changed", "notRead")
    progress = map(rereads.as_json, found)
    cli.screen.table(
        [field(each) for each in names], [[each[name] for name in names] for each in progress], title=_("Rereads")
    )


def show(cli: Cli, name: NameArgument, *, watch: WatchOption = False) -> ExitCode:
    """The progress of one: its counts, its rate, and when it will be done.

    JSON: {"name", "state", "kind", "provider", "status", "startedAt", "users", "sent", "done", "open", "skipped",
    "read", "changed", "notRead", "gone", "left", "perSecond", "expectedEnd"}.
    Exit code 1 when it has failed, or not all were read; 3 when there is none of that name.
    """
    return watched(cli, name) if watch else _show_progress(cli, rereads.progress(cli.deployment, name))


def pause(cli: Cli, name: NameArgument) -> ExitCode:
    """Stop one: nothing more of it is sent. What was sent, some thousand users at most, is still read.

    JSON: as `rereads show`.
    Exit code 1 when it is not running; 3 when there is none of that name.
    """
    cli.record(Action.OPERATED)
    rereads.pause(cli.deployment, name)
    cli.screen.advice(_("To continue it: honninctl rereads resume {name}").format(name=name))
    _show_progress(cli, rereads.progress(cli.deployment, name))
    return ExitCode.OK


def resume(cli: Cli, name: NameArgument, *, watch: WatchOption = False) -> ExitCode:
    """Continue one that was paused or has failed. No user is read twice.

    JSON: {"name", "execution"}, and with --watch as `rereads show`, once it has ended.
    Exit code 1 when it is running or done; 3 when there is none of that name.
    """
    cli.record(Action.REREAD)
    execution = rereads.resume(cli.deployment, name)
    return begun(cli, name, execution, watch=watch)


def begun(cli: Cli, name: str, execution: str, *, watch: bool) -> ExitCode:
    """Say that a reread is under way, or follow it to its end."""
    if watch:
        cli.screen.note(_("{name} is under way ({execution}).").format(name=name, execution=execution))
        return watched(cli, name)
    if cli.screen.as_json:
        cli.screen.json({"name": name, "execution": execution})
    else:
        cli.screen.line(_("{name} is under way ({execution}).").format(name=name, execution=execution))
        cli.screen.advice(_("To see its progress: honninctl rereads show {name} --watch").format(name=name))
    return ExitCode.OK


def watched(cli: Cli, name: str) -> ExitCode:
    """Follow a reread until it has ended: prints a line whenever something has changed."""
    said = ""
    for progress in rereads.watch(cli.deployment, name):
        line = _line(progress)
        if line != said:
            cli.screen.note(line)
        said = line
    return _show_progress(cli, progress)


def _show_progress(cli: Cli, progress: "Progress") -> ExitCode:
    from honnin.reread.starting import State

    found = rereads.as_json(progress)
    if cli.screen.as_json:
        cli.screen.json(found)
    else:
        cli.screen.line(f"{found['name']}  {found['state']}", "bold")
        for key in ("users", "sent", "done", "open", "skipped", "read", "changed", "notRead", "gone", "left"):
            cli.screen.line(f"  {padded(field(key), 12)}{found[key]}")
        if progress.per_second:
            cli.screen.line(
                _("  {per_second:.1f} users a second; done at {expected_end}").format(
                    per_second=progress.per_second, expected_end=progress.expected_end
                )
            )
    missed = progress.reread.not_read or progress.reread.left
    return ExitCode.FINDING if progress.state is State.FAILED or missed else ExitCode.OK


def _line(progress: "Progress") -> str:
    found = rereads.as_json(progress)
    template = _("{state}: {sent} of {users} sent, {done} done, {open} open")
    if progress.per_second:
        template = _(
            "{state}: {sent} of {users} sent, {done} done, {open} open; {per_second:.1f} a second, done at "
            "{expected_end}"
        )
    return template.format(**{**found, "per_second": progress.per_second, "expected_end": progress.expected_end})
