"""`deadletters list`, `show`, `redrive`."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer

from honninctl import dead_letter_filter, dead_letters, moments, redrive
from honninctl.access import is_user_id
from honninctl.command import Cli, RevealOption, command, group
from honninctl.dead_letter_filter import Filter
from honninctl.dead_letters import RUNS, Places, Queue
from honninctl.failures import ExitCode, UsageError
from honninctl.language import N_, _, field
from honninctl.recorded import Action
from honninctl.redrive import Moved
from honninctl.screen import padded

QueueOption = Annotated[
    Queue | None,
    typer.Option(
        "--queue",
        help="One queue only: events, webhooks, schedule or recon-download (the last two: runs that failed).",
    ),
]
ErrorTypeOption = Annotated[
    list[str] | None,
    typer.Option("--error-type", metavar="TYPE", help="Only of this error, as the list names it; repeat for more."),
]
UserOption = Annotated[
    str | None, typer.Option("--user", metavar="USER", help="Only messages about this user (your own id).")
]
SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="TIME", help="Only messages since this day in Japan, or this time with its offset."
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Move nothing, and only count the messages by error.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

# Why a failed run is not put back, and what is left to a person.
_RUN_ADVICE: Mapping[Queue, str] = {
    Queue.SCHEDULE: N_(
        "Nothing to put back: a later run does the work of a failed one. The poll of Vexora comes every "
        "10 minutes, the probe of your webhook endpoint every minute; the check for missing files comes at 10:15 only."
    ),
    Queue.RECON_DOWNLOAD: N_(
        "Nothing to put back: the next run, within 5 minutes, fetches what is due. A file can "
        "be fetched for two hours only: look at `honninctl recon calendar`."
    ),
}
_TO_DISCARD = N_(
    "Once the cause is corrected, delete the messages, which are no longer needed: "
    "honninctl deadletters redrive --queue {queue} --discard"
)


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    made = group(app, "deadletters", "Messages that failed after all retries; list them, and put them back.")
    command(made, "list", example="honninctl deadletters list --since 2026-11-20")(list_letters)
    command(made, "show", example="honninctl deadletters show vexora:db1cb34f-…:7ddaf5d8…")(show)
    example = "honninctl deadletters redrive --error-type KeyError --dry-run"
    command(made, "redrive", example=example)(redrive_letters)


def list_letters(
    cli: Cli,
    queue: QueueOption = None,
    error_type: ErrorTypeOption = None,
    user: UserOption = None,
    since: SinceOption = None,
    reveal: RevealOption = False,
) -> ExitCode:
    """The messages in each dead-letter queue, and why they failed. Reading removes none of them.

    JSON: {"total", "byErrorType": {...}, "byQueue": {...}, "notLookedAt": [...], "deadLetters": [{"queue",
    "messageId", "sentAt", "errorType", "bodyBytes", "event", "function", "webhook"}]}. Exit code 1 when there are any.
    """
    cli.record(Action.REVEALED if reveal else Action.LISTED, user)
    places = _places(cli, queue)
    wanted = filter_of(cli, error_type, user, since)
    with cli.screen.progress(_("Reading the queues"), _total(cli, places)) as seen:
        found = dead_letters.letters(cli.deployment, places, takes=wanted.takes, reveal=reveal, seen=seen)
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
        cli.screen.line(_("There are no such dead letters.") if wanted else _("There are no dead letters."), "green")
    else:
        _show_list(cli, found)
    return ExitCode.FINDING if found else ExitCode.OK


def show(
    cli: Cli,
    name: Annotated[str, typer.Argument(metavar="ID", help="A message id, an event id or a webhook id.")],
    queue: QueueOption = None,
    reveal: RevealOption = False,
) -> None:
    """One dead letter, with its event. Exit code 3 when there is none under that id.

    The access record has it with the users whom it is about.

    JSON: one element of the list.
    """
    cli.record(Action.REVEALED if reveal else Action.LISTED)
    message = dead_letters.message(cli.deployment, _places(cli, queue), name)
    about = dead_letter_filter.users_of(cli.deployment, message[1]["Body"])
    for user_id in sorted(filter(is_user_id, about)):
        cli.record(Action.REVEALED if reveal else Action.LOOKED, user_id)
    found = dead_letters.letter(*message, reveal=reveal)
    if cli.screen.as_json:
        cli.screen.json(found)
        return
    for key in ("queue", "messageId", "sentAt", "errorType", "error", "bodyBytes", "function"):
        if found.get(key) is not None:
            cli.screen.line(f"{padded(field(key), 14)}{found[key]}")
    if dead_letters.about(found) is None:
        cli.screen.line(
            _("The body is not a message of Honnin.")
            if reveal
            else _("The body is not a message of Honnin. --reveal shows it."),
            "yellow",
        )
    if "body" in found:
        cli.screen.line(found["body"])
    for key, value in (found["event"] or found["webhook"] or {}).items():
        shown = "  ".join(f"{name}={text}" for name, text in value.items()) if isinstance(value, dict) else value
        cli.screen.line(f"  {key:<14}{shown}")


def redrive_letters(
    cli: Cli,
    queue: QueueOption = None,
    error_type: ErrorTypeOption = None,
    user: UserOption = None,
    since: SinceOption = None,
    dry_run: DryRunOption = False,
    discard: Annotated[
        bool, typer.Option("--discard", help="Delete the messages of failed runs (schedule, recon-download).")
    ] = False,
    yes: YesOption = False,
) -> ExitCode:
    """Put messages back on the queue that they came from. An event takes effect only once, so you may repeat this.

    With --error-type, --user or --since, only messages that match all of these are put back, and the others stay as
    they are. Before it moves a message, it says how many match, and asks.
    Failed runs (schedule, recon-download) cannot be put back: it says how to repeat their work, and --discard deletes
    their messages.
    JSON: {"dryRun", "total", "byErrorType": {...}, "byQueue": {...}, "notMatching": {...}, "discarded": {...},
    "left": {...}, "notLookedAt": [...]}.
    Exit code 1 when you did not confirm, and for a --queue of failed runs without --discard.
    """
    if discard and queue and queue not in RUNS:
        raise UsageError(_("--discard is for failed runs; what is in {queue} is put back").format(queue=queue))
    for action in _actions(queue, dry_run=dry_run, discard=discard):
        cli.record(action, user)
    places = _places(cli, queue)
    wanted = filter_of(cli, error_type, user, since)
    moved = _put_back(cli, places, wanted, dry_run=dry_run, yes=yes)
    if moved is None:
        return ExitCode.FINDING
    gone, left = _runs(cli, places, wanted, discard=discard, dry_run=dry_run, yes=yes)
    if cli.screen.as_json:
        total = sum((each.done for each in moved.values()), Counter[str]())
        cli.screen.json(
            {
                "dryRun": dry_run,
                "total": total.total(),
                "byErrorType": dict(total.most_common()),
                "byQueue": {each: found.done.total() for each, found in moved.items()},
                "notMatching": dict(sum((each.left for each in moved.values()), Counter[str]()).most_common()),
                "discarded": gone,
                "left": left,
                "notLookedAt": list(places.unknown),
            }
        )
    return ExitCode.FINDING if left and (discard or queue) and not dry_run else ExitCode.OK


def _actions(queue: Queue | None, *, dry_run: bool, discard: bool) -> list[Action]:
    """As what a redrive is recorded. Messages of failed runs are deleted, or stay; others are put back."""
    if dry_run:
        return [Action.LISTED]
    done = [] if queue in RUNS else [Action.REDRIVEN]
    return [*done, *([Action.DISCARDED] if discard else [])] or [Action.LISTED]


def filter_of(cli: Cli, error_types: Sequence[str] | None, user_id: str | None, since: str | None) -> Filter:
    """The filter of what was typed; says so where nothing is known of the user. Raises `UsageError` for no moment."""
    begin = moments.moment("--since", since) if since else None
    found = dead_letter_filter.of(cli.deployment, error_types or (), user_id, begin)
    if found.user and not found.user.is_known:
        cli.screen.note(
            _("Nothing is known of the user {user_id}: only messages that name that id itself are found.").format(
                user_id=user_id
            )
        )
    return found


def _put_back(cli: Cli, places: Places, wanted: Filter, *, dry_run: bool, yes: bool) -> Mapping[Queue, Moved] | None:
    """What was put back, or would be, by queue; None when the person would not."""
    queues = Places({each: url for each, url in places.urls.items() if each not in RUNS})
    if not queues.urls:
        return {}
    if dry_run or (wanted and not yes):
        found = _each(
            cli, _("Reading the queues"), queues, lambda _, url, seen: redrive.look(cli.deployment, url, wanted, seen)
        )
        _show_found(cli, found, wanted)
        if dry_run or not _total_of(found):
            return found
        question = _("Put {total} dead letters back ({queues})?").format(
            total=_total_of(found), queues=", ".join(queues.urls)
        )
    else:
        question = _("Put about {total} dead letters back ({queues})?").format(
            total=_total(cli, queues), queues=", ".join(queues.urls)
        )
    if not yes and not cli.screen.confirmed(question):
        cli.screen.note(_("Nothing was moved."))
        return None
    moved = _each(
        cli,
        _("Putting back"),
        queues,
        lambda queue, url, seen: redrive.put_back(cli.deployment, queue, url, wanted, seen),
    )
    stayed = _stayed(cli, queues, moved)
    if not cli.screen.as_json:
        for each, done in moved.items():
            _show_counts(cli, each, done.done)
        total = _total_of(moved)
        none = _("Nothing was put back.") if stayed or wanted else _("There were no dead letters to put back.")
        cli.screen.line(
            _("{total} put back.").format(total=total) if total else none, "green" if total or not stayed else "yellow"
        )
        _show_others(moved, cli.screen.line)
    return moved


def _each(
    cli: Cli, what: str, places: Places, call: Callable[[Queue, str, Callable[[int], None]], Moved]
) -> dict[Queue, Moved]:
    """Call that for each queue, and show how far it is."""
    with cli.screen.progress(what, _total(cli, places)) as seen:
        return {queue: call(queue, url, seen) for queue, url in places.urls.items()}


def _show_found(cli: Cli, found: Mapping[Queue, Moved], wanted: Filter) -> None:
    """What would be put back, and what would stay; what is in the queues, where nothing of it matches."""
    show = cli.screen.note if cli.screen.as_json else cli.screen.line
    for queue, each in found.items():
        for kind, number in each.done.most_common():
            show(_("{queue}: {number} × {kind}").format(queue=queue, number=number, kind=kind))
        _note_parts(cli, queue, each)
    if wanted:
        stay = sum(each.left.total() for each in found.values())
        show(_("{total} would be put back, {stay} do not match and stay.").format(total=_total_of(found), stay=stay))
    else:
        show(_("{total} would be put back.").format(total=_total_of(found)))
    _show_others(found, show)


def _show_others(found: Mapping[Queue, Moved], show: Callable[[str], None]) -> None:
    """What is in the queues, where nothing of it matches: a type may be mistyped."""
    left = sum((each.left for each in found.values()), Counter[str]())
    if left and not _total_of(found):
        there = ", ".join(f"{number} × {kind}" for kind, number in left.most_common())
        show(_("What is there: {there}").format(there=there))


def _stayed(cli: Cli, places: Places, moved: Mapping[Queue, Moved]) -> bool:
    """Whether messages are left that match, which is said: else, nothing to move would look like nothing there."""
    stayed = False
    for queue, number in dead_letters.counts(cli.deployment, places).items():
        _note_parts(cli, queue, moved[queue])
        if moved[queue].left:
            cli.screen.note(
                _("{queue}: {total} do not match and stay.").format(queue=queue, total=moved[queue].left.total())
            )
        elif number and not moved[queue].refused:
            cli.screen.note(
                _("{queue}: about {number} stay: new ones, or hidden by another reader for some minutes.").format(
                    queue=queue, number=number
                )
            )
            stayed = True
    return stayed or any(each.refused for each in moved.values())


def _note_parts(cli: Cli, queue: Queue, moved: Moved) -> None:
    if moved.refused:
        cli.screen.note(
            _("{queue}: {refused} stay, for SQS did not take them. Run this again.").format(
                queue=queue, refused=moved.refused
            )
        )
    if not moved.is_whole:
        cli.screen.note(
            _(
                "{queue}: it holds more than SQS lets one look at (120,000). Run this again, without "
                "a filter if you can."
            ).format(queue=queue)
        )


def _total_of(moved: Mapping[Queue, Moved]) -> int:
    return sum(each.done.total() for each in moved.values())


def _runs(
    cli: Cli, places: Places, wanted: Filter, *, discard: bool, dry_run: bool, yes: bool
) -> tuple[dict[Queue, int], dict[Queue, int]]:
    """Say what makes up for failed runs, and with `discard` delete their messages: how many are gone, how many left."""
    gone: dict[Queue, int] = {}
    left: dict[Queue, int] = {}
    runs = Places({each: url for each, url in places.urls.items() if each in RUNS})
    found = dead_letters.letters(cli.deployment, runs, takes=wanted.takes)
    for queue, url in runs.urls.items():
        letters = [each for each in found if each["queue"] == queue]
        if not letters:
            continue
        _show_runs(cli, queue, letters)
        if dry_run or not discard:
            left[queue] = len(letters)
            for kind, number in Counter(str(each["errorType"]) for each in letters).most_common():
                template = (
                    _("{queue}: {number} × {kind} would be deleted") if discard else _("{queue}: {number} × {kind}")
                )
                cli.screen.advice(template.format(queue=queue, number=number, kind=kind))
            cli.screen.advice(_(_TO_DISCARD).format(queue=queue))
        elif yes or cli.screen.confirmed(
            _("Delete the messages of about {letters} failed runs ({queue})?").format(letters=len(letters), queue=queue)
        ):
            gone[queue] = redrive.discard(cli.deployment, url, wanted).done.total()
            cli.screen.advice(_("{value} deleted ({queue}).").format(value=gone[queue], queue=queue))
        else:
            left[queue] = len(letters)
            cli.screen.note(_("Nothing was deleted."))
    return gone, left


def _show_list(cli: Cli, found: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        (each["queue"], each["sentAt"], each["errorType"], dead_letters.about(each), each["messageId"])
        for each in found
    ]
    cli.screen.table((_("queue"), _("sent at (UTC)"), _("error"), _("about"), _("message")), rows)
    for queue in Queue:
        letters = [each for each in found if each["queue"] == queue]
        _show_counts(cli, queue, Counter(each["errorType"] for each in letters))
        if letters and queue in RUNS:
            _show_runs(cli, queue, letters)
            cli.screen.advice(_(_TO_DISCARD).format(queue=queue))
        elif letters:
            redriven = "webhooks redrive" if queue is Queue.WEBHOOKS else f"deadletters redrive --queue {queue}"
            several = len({each["errorType"] for each in letters}) > 1
            one = _(" (one error at a time: --error-type TYPE)") if several else ""
            cli.screen.advice(
                _("{queue}: correct the cause, then put them back: honninctl {redriven}{one}").format(
                    queue=queue, redriven=redriven, one=one
                )
            )


def _show_runs(cli: Cli, queue: Queue, letters: Iterable[Mapping[str, Any]]) -> None:
    cli.screen.advice(_("{what}: {why}").format(what=queue, why=_(_RUN_ADVICE[queue])))
    commands = redrive.make_up(cli.deployment, queue, (letter["function"] for letter in letters))
    if not commands:
        return
    cli.screen.advice(_("Once the cause is corrected, do not wait for the next run:"))
    for each in commands:
        cli.screen.advice(f"  {each}")
    cli.screen.advice(_("  run.json must not contain errorType: the command succeeds even when a run failed."))


def _show_counts(cli: Cli, queue: Queue, counts: Counter[str]) -> None:
    for kind, number in counts.most_common():
        cli.screen.line(_("{queue}: {number} × {kind}").format(queue=queue, number=number, kind=kind))


def _places(cli: Cli, queue: Queue | None) -> Places:
    places = dead_letters.find(cli.deployment, queue)
    for each in places.unknown:
        name = dead_letters.OUTPUTS[each]
        cli.screen.note(
            _("Not looked at: {each}. {name} has no output {name2}; deploy the current version.").format(
                each=each, name=cli.deployment.name, name2=name
            )
        )
    return places


def _total(cli: Cli, places: Places) -> int:
    return sum(dead_letters.counts(cli.deployment, places).values())
