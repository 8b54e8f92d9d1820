"""`deadletters list`, `show`, `redrive`."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer

from honninctl import dead_letters, redrive
from honninctl.command import Cli, RevealOption, command, connection
from honninctl.dead_letters import RUNS, Places, Queue
from honninctl.failures import ExitCode, UsageError

QueueOption = Annotated[
    Queue | None,
    typer.Option(
        "--queue",
        help="One queue only: events, schedule or recon-download (runs that failed).",
    ),
]

# Why a failed run is not put back, and what is left to a person.
_RUN_ADVICE: Mapping[Queue, str] = {
    Queue.SCHEDULE: "Nothing to put back: a later run does the work of a failed one. The poll of Vexora comes every "
    "10 minutes; the check for missing files comes at 10:15 only. Once the cause is corrected, do not wait for it:",
    Queue.RECON_DOWNLOAD: "Nothing to put back: the next run, within 5 minutes, fetches what is due. A file can "
    "be fetched for two hours only: once the cause is corrected, do not wait, and look at `honninctl recon calendar`:",
}
_TO_DISCARD = (
    "  run.json must not contain errorType: the command succeeds even when a run failed. Then delete the messages, "
    "which are no longer needed: honninctl deadletters redrive --queue {queue} --discard"
)


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    group = typer.Typer(
        no_args_is_help=True, help="Messages that failed after all retries, in three queues; put them back."
    )
    group.callback()(connection)
    command(group, "list", example="honninctl deadletters list --queue events")(list_letters)
    command(group, "show", example="honninctl deadletters show vexora:db1cb34f-…:7ddaf5d8…")(show)
    command(group, "redrive", example="honninctl deadletters redrive --queue events --yes")(redrive_letters)
    app.add_typer(group, name="deadletters")


def list_letters(cli: Cli, queue: QueueOption = None, reveal: RevealOption = False) -> ExitCode:
    """The messages in each dead-letter queue, and why they failed. Reading removes none of them.

    JSON: {"total", "byErrorType": {...}, "byQueue": {...}, "notLookedAt": [...], "deadLetters": [{"queue",
    "messageId", "sentAt", "errorType", "bodyBytes", "event", "function"}]}. Exit code 1 when there are any.
    """
    places = _places(cli, queue)
    with cli.screen.progress("Reading the queues", _total(cli, places)) as seen:
        found = dead_letters.letters(cli.deployment, places, reveal=reveal, seen=seen)
    if cli.screen.as_json:
        cli.screen.json(
            {
                "total": len(found),
                "byErrorType": dict(Counter(each["errorType"] for each in found).most_common()),
                "byQueue": {each: sum(letter["queue"] == each for letter in found) for each in places.urls},
                "notLookedAt": list(places.unknown),
                "deadLetters": found,
            }
        )
    elif not found:
        cli.screen.line("There are no dead letters.", "green")
    else:
        _show_list(cli, found)
    return ExitCode.FINDING if found else ExitCode.OK


def show(
    cli: Cli,
    name: Annotated[str, typer.Argument(metavar="ID", help="A message id or an event id.")],
    queue: QueueOption = None,
    reveal: RevealOption = False,
) -> None:
    """One dead letter, with its event. Exit code 3 when there is none under that id.

    JSON: one element of the list.
    """
    found = dead_letters.letter(cli.deployment, _places(cli, queue), name, reveal=reveal)
    if cli.screen.as_json:
        cli.screen.json(found)
        return
    for key in ("queue", "messageId", "sentAt", "errorType", "error", "bodyBytes", "function"):
        if found.get(key) is not None:
            cli.screen.line(f"{key:<14}{found[key]}")
    if dead_letters.about(found) is None:
        cli.screen.line("The body is not a message of Honnin." + ("" if reveal else " --reveal shows it."), "yellow")
    if "body" in found:
        cli.screen.line(found["body"])
    for key, value in (found["event"] or {}).items():
        shown = "  ".join(f"{name}={text}" for name, text in value.items()) if isinstance(value, dict) else value
        cli.screen.line(f"  {key:<14}{shown}")


def redrive_letters(
    cli: Cli,
    queue: QueueOption = None,
    discard: Annotated[
        bool, typer.Option("--discard", help="Delete the messages of failed runs (schedule, recon-download).")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> ExitCode:
    """Put events back on the queue that they came from. An event takes effect only once, so you may repeat this.

    Failed runs (schedule, recon-download) cannot be put back: it says how to repeat their work, and --discard deletes
    their messages.
    JSON: {"total", "byErrorType": {...}, "byQueue": {...}, "discarded": {...}, "left": {...}, "notLookedAt": [...]}.
    Exit code 1 when you did not confirm, and for a --queue of failed runs without --discard.
    """
    if discard and queue and queue not in RUNS:
        raise UsageError(f"--discard is for failed runs; what is in {queue} is put back")
    places = _places(cli, queue)
    moved = _put_back(cli, places, yes=yes)
    if moved is None:
        return ExitCode.FINDING
    gone, left = _runs(cli, places, discard=discard, yes=yes)
    if cli.screen.as_json:
        total = sum(moved.values(), Counter[str]())
        cli.screen.json(
            {
                "total": total.total(),
                "byErrorType": dict(total.most_common()),
                "byQueue": {each: found.total() for each, found in moved.items()},
                "discarded": gone,
                "left": left,
                "notLookedAt": list(places.unknown),
            }
        )
    return ExitCode.FINDING if left and (discard or queue) else ExitCode.OK


def _put_back(cli: Cli, places: Places, *, yes: bool) -> dict[Queue, Counter[str]] | None:
    """What was put back, by queue; None when the person would not."""
    wanted = Places({each: url for each, url in places.urls.items() if each not in RUNS})
    if not wanted.urls:
        return {}
    number = _total(cli, wanted)
    if not yes and not cli.screen.confirmed(f"Put about {number} dead letters back ({', '.join(wanted.urls)})?"):
        cli.screen.note("Nothing was moved.")
        return None
    with cli.screen.progress("Putting back", number) as moved_on:
        moved = {each: redrive.put_back(cli.deployment, each, url, moved_on) for each, url in wanted.urls.items()}
    stayed = _stayed(cli, wanted)
    if not cli.screen.as_json:
        for each, found in moved.items():
            _show_counts(cli, each, found)
        total = sum(found.total() for found in moved.values())
        none = "Nothing was put back." if stayed else "There were no dead letters to put back."
        cli.screen.line(f"{total} put back." if total else none, "green" if total or not stayed else "yellow")
    return moved


def _stayed(cli: Cli, places: Places) -> bool:
    """Whether messages are left, which is said: without it, nothing to move would look like nothing there."""
    left = {queue: number for queue, number in dead_letters.counts(cli.deployment, places).items() if number}
    for queue, number in left.items():
        cli.screen.note(f"{queue}: about {number} stay: new ones, or hidden by another reader for two minutes.")
    return bool(left)


def _runs(cli: Cli, places: Places, *, discard: bool, yes: bool) -> tuple[dict[Queue, int], dict[Queue, int]]:
    """Say what makes up for failed runs, and with `discard` delete their messages: how many are gone, how many left."""
    gone: dict[Queue, int] = {}
    left: dict[Queue, int] = {}
    runs = Places({each: url for each, url in places.urls.items() if each in RUNS})
    found = dead_letters.letters(cli.deployment, runs)
    for queue, url in runs.urls.items():
        letters = [each for each in found if each["queue"] == queue]
        if not letters:
            continue
        _show_runs(cli, queue, letters)
        if not discard:
            left[queue] = len(letters)
            cli.screen.advice(_TO_DISCARD.format(queue=queue))
        elif yes or cli.screen.confirmed(f"Delete the messages of about {len(letters)} failed runs ({queue})?"):
            gone[queue] = redrive.discard(cli.deployment, url).total()
            cli.screen.advice(f"{gone[queue]} deleted ({queue}).")
        else:
            left[queue] = len(letters)
            cli.screen.note("Nothing was deleted.")
    return gone, left


def _show_list(cli: Cli, found: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        (each["queue"], each["sentAt"], each["errorType"], dead_letters.about(each), each["messageId"])
        for each in found
    ]
    cli.screen.table(("queue", "moved at (UTC)", "error", "about", "message"), rows)
    for queue in Queue:
        letters = [each for each in found if each["queue"] == queue]
        _show_counts(cli, queue, Counter(each["errorType"] for each in letters))
        if letters and queue in RUNS:
            _show_runs(cli, queue, letters)
            cli.screen.advice(_TO_DISCARD.format(queue=queue))
        elif letters:
            cli.screen.advice(
                f"{queue}: correct the cause, then put them back: honninctl deadletters redrive --queue {queue}"
            )


def _show_runs(cli: Cli, queue: Queue, letters: Iterable[Mapping[str, Any]]) -> None:
    cli.screen.advice(f"{queue}: {_RUN_ADVICE[queue]}")
    for each in redrive.make_up(cli.deployment, queue, (letter["function"] for letter in letters)):
        cli.screen.advice(f"  {each}")


def _show_counts(cli: Cli, queue: Queue, counts: Counter[str]) -> None:
    for kind, number in counts.most_common():
        cli.screen.line(f"{queue}: {number} × {kind}")


def _places(cli: Cli, queue: Queue | None) -> Places:
    places = dead_letters.find(cli.deployment, queue)
    for each in places.unknown:
        name = dead_letters.OUTPUTS[each]
        cli.screen.note(
            f"Not looked at: {each}. {cli.deployment.name} has no output {name}; deploy the current version."
        )
    return places


def _total(cli: Cli, places: Places) -> int:
    return sum(dead_letters.counts(cli.deployment, places).values())
