"""`events replay` and `reindex`: what stands on the index `overview`."""

from datetime import UTC, datetime
from threading import Lock
from typing import Annotated

import typer

from honninctl import moments
from honninctl import replay as replaying
from honninctl.command import Cli, command, group
from honninctl.failures import CommandError, ExitCode, UsageError
from honninctl.language import _
from honninctl.recorded import Action
from honninctl.replay import Replayed


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    made = group(app, "events", "Domain events: `events replay` publishes them again.")
    command(made, "replay", example="honninctl events replay --since 2026-11-20 --dry-run")(replay)
    command(app, "reindex", example="honninctl reindex")(reindex)


def replay(
    cli: Cli,
    since: Annotated[
        str,
        typer.Option(
            "--since", metavar="TIME", help="From this day in Japan, or this time in UTC, on.", show_default=False
        ),
    ],
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="Up to the end of this day, or to this time; default: now."),
    ] = None,
    user: Annotated[str | None, typer.Option("--user", metavar="USER", help="Only what is about this user.")] = None,
    types: Annotated[
        list[str] | None, typer.Option("--type", metavar="TYPE", help="Only events of this type (repeatable).")
    ] = None,
    per_second: Annotated[int, typer.Option("--per-second", min=1, max=1000, help="How fast, at most.")] = 50,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Publish nothing, and only count the events.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> ExitCode:
    """Publish domain events again, the oldest first, for a back end that has missed some.

    Each has the same eventId as before, so a consumer that drops repeats takes those alone that it lacks. Every rule on
    the bus sees them, not one consumer alone. What is about an erased user is never published again, UserErased and
    ReconCompleted are not either: read certificates and reports instead.
    JSON: {"since", "until", "dryRun", "published": {type: number}, "lastAt"}. Exit code 1 when you did not confirm.
    """
    now = datetime.now(UTC)
    begin = _text(moments.moment("--since", since))
    end = _text(moments.moment("--until", until, ends=True) if until else now)
    if begin >= end:
        raise UsageError(_("--since must be before --until"))
    known = _types()
    if unknown := set(types or ()) - known:
        raise UsageError(
            _("--type {value}: must be one of {join}").format(value=sorted(unknown)[0], join=", ".join(sorted(known)))
        )
    question = _("Every rule on the bus of {stack} gets the events from {begin} to {end} again. Go on?").format(
        stack=cli.deployment.name, begin=begin, end=end
    )
    if not (dry_run or yes or cli.screen.confirmed(question)):
        cli.screen.note(_("Nothing was published."))
        return ExitCode.FINDING
    cli.record(Action.LISTED if dry_run else Action.REDRIVEN, user)
    done = Replayed()
    try:
        with cli.screen.progress(_("Counting") if dry_run else _("Publishing")) as seen:
            replaying.replay(
                cli.deployment,
                begin,
                end,
                user_id=user,
                types=frozenset(types or ()),
                per_second=per_second,
                dry_run=dry_run,
                seen=seen,
                replayed=done,
            )
    except (Exception, KeyboardInterrupt) as error:
        # An error of AWS, such as a session that has ended, says nothing of where it came; a `CommandError` does.
        if done.last_at and not dry_run and not isinstance(error, CommandError):
            cli.screen.note(
                _("{total} were published. To continue: --since {last_at}").format(
                    total=done.published.total(), last_at=done.last_at
                )
            )
        raise
    said = {"since": begin, "until": end, "dryRun": dry_run, "published": dict(done.published), "lastAt": done.last_at}
    if cli.screen.as_json:
        cli.screen.json(said)
        return ExitCode.OK
    for name, number in sorted(done.published.items()):
        cli.screen.line(f"{number} × {name}")
    cli.screen.line(
        (
            _("{total} events would be published again.") if dry_run else _("{total} events were published again.")
        ).format(total=done.published.total())
    )
    return ExitCode.OK


def reindex(
    cli: Cli,
    segments: Annotated[
        int,
        typer.Option("--segments", min=1, max=1000, help="Parts of the table, of which 8 are read at once."),
    ] = 8,
) -> None:
    """Rebuild the index that the lists are read from: after a restore, or after items were changed by hand.

    It reads the whole table and writes only what is not in its place; users may move meanwhile. Until it has ended,
    the lists say "rebuilding": true. If it is stopped, run it again to continue.
    JSON: {"startedAt", "lookedAt", "mended"}.
    """
    from honnin.store.reindex import Progress

    cli.record(Action.OPERATED)
    index = cli.deployment.store.reindex
    run = index.begin(_text(datetime.now(UTC)), segments)
    total, lock = [0, 0], Lock()
    with cli.screen.progress(_("Reading the table")) as seen:

        def advance(page: Progress) -> None:
            with lock:
                total[0] += page.looked_at
                total[1] += page.mended
                seen(page.looked_at)

        index.run(run, advance)
    if cli.screen.as_json:
        cli.screen.json({"startedAt": run.started_at, "lookedAt": total[0], "mended": total[1]})
        return
    cli.screen.line(
        _("{value} items were read, and {value2} of them were corrected in the index.").format(
            value=total[0], value2=total[1]
        )
    )


def _types() -> frozenset[str]:
    from honnin.domain_events import EVENTS, RECON_COMPLETED, USER_ERASED

    return frozenset(EVENTS) - {RECON_COMPLETED, USER_ERASED}


def _text(moment: datetime) -> str:
    from honnin import times

    return times.utc_text(moment)
