"""`restore`, `rotate-callback-key` and `delete-stack`: what is done to a stack as a whole, and seldom."""

import time
from datetime import datetime
from typing import Annotated

import typer

from honninctl import callback_key, key_rotation, stack_deletion
from honninctl.command import Cli, command
from honninctl.failures import ExitCode, UsageError
from honninctl.language import _
from honninctl.recorded import Action


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    command(
        app, "restore", example="honninctl restore --from honnin-prod-restored --since 2026-11-20T03:00:00Z --dry-run"
    )(bring_back)
    command(app, "rotate-callback-key", example="honninctl rotate-callback-key")(rotate_callback_key)
    command(app, "delete-stack", example="honninctl delete-stack --stack honnin-dev")(delete_stack)


def bring_back(
    cli: Cli,
    restored: Annotated[
        str,
        typer.Option("--from", metavar="TABLE", help="The restored copy of the state table.", show_default=False),
    ],
    since: Annotated[
        str,
        typer.Option("--since", metavar="TIME", help="The time to which it was restored.", show_default=False),
    ],
    erased: Annotated[
        list[str] | None,
        typer.Option(
            "--erased",
            metavar="USER",
            help="Also leave out this user, who was erased by a certificate kept elsewhere; repeat it.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing, and only show what would be done.")
    ] = False,
) -> None:
    """Copy items that were deleted from the state table back from a restored copy of the table.

    It copies only items that the live table does not have. Users who were erased since then stay erased, and items of
    accounts that were linked since then, or that have expired, are left out. If it is stopped, run it again.
    JSON: {"dryRun", "broughtBack": {kind: number}, "leftOut": {reason: number}, "erasedSince"}.
    """
    from honninctl import restore

    moment = _moment(since)
    cli.record(Action.OPERATED)
    # A table that is read whole is throttled now and then.
    deployment = cli.deployment.patient()
    source, live, total = restore.stores(deployment, restored)
    with cli.screen.progress(_("Reading items"), total) as seen:
        facts = restore.live_facts(source, live, moment, erased or (), seen)
        outcome = restore.bring_back(source, live, facts, now=int(time.time()), dry_run=dry_run, advance=seen)
    if cli.screen.as_json:
        cli.screen.json(
            {
                "dryRun": dry_run,
                "broughtBack": dict(outcome.brought),
                "leftOut": dict(outcome.left_out),
                "erasedSince": len(facts.erased_users),
            }
        )
        return
    for kind, number in sorted(outcome.brought.items()):
        cli.screen.line(f"{number} × {kind}")
    template = (
        _("{total} items would be brought back; {erased_users} users were erased since.")
        if dry_run
        else _("{total} items brought back; {erased_users} users were erased since.")
    )
    cli.screen.line(template.format(total=outcome.brought.total(), erased_users=len(facts.erased_users)))
    for reason, number in sorted(outcome.left_out.items()):
        cli.screen.line(_("{number} left out: {reason}").format(number=number, reason=_(reason)))


def rotate_callback_key(
    cli: Cli,
    drop_previous: Annotated[
        bool, typer.Option("--drop-previous", help="Accept the current key only, from now on.")
    ] = False,
) -> None:
    """Change the key of the tokens in Vexora's callback URLs. No callback is refused, and no key is printed.

    After six minutes every function knows the new key, and the new key is used. The old key is still accepted, because
    Vexora has URLs that were made with it. After 31 days almost none of their submissions is open, and the poll
    asks for those: then run this with --drop-previous. If it is stopped while it waits, it says what to do.
    JSON: {"droppedPrevious"}.
    """
    cli.record(Action.OPERATED)
    secret_id = cli.deployment.resource(callback_key.SECRET)
    client = cli.deployment.client("secretsmanager")
    if drop_previous:
        key_rotation.drop_previous(client, secret_id)
    else:
        cli.screen.note(
            _("Waiting {value} minutes until every function knows the new key …").format(
                value=key_rotation.WAIT_S // 60
            )
        )
        callback_key.rotate(client, secret_id)
    if cli.screen.as_json:
        cli.screen.json({"droppedPrevious": drop_previous})
    elif drop_previous:
        cli.screen.line(_("Now only the current key is accepted."))
    else:
        cli.screen.line(_("The new key is in use; the old one is accepted until --drop-previous."))


def delete_stack(
    cli: Cli, yes: Annotated[bool, typer.Option("--yes", help="Do not ask for the stack's name.")] = False
) -> ExitCode:
    """Delete a stack. First it lists what is deleted, what stays, and the commands that remove the rest for good.

    It runs none of those commands. Resources with data (table, buckets, secrets, keys, queues) stay after the deletion.
    JSON: {"deleted", "goes": {type: number}, "stays": [{"logicalId", "physicalId", "type"}]}; the explanation goes to
    stderr. Exit code 1 when you did not type the name, or the stack could not be deleted.
    """
    name = cli.deployment.description["StackName"]
    cloudformation = cli.deployment.client("cloudformation")
    resources = stack_deletion.deployed(cloudformation, name)
    waiting = stack_deletion.waiting_messages(cli.deployment.client("sqs"), resources)
    for line in stack_deletion.explanation(name, resources, waiting):
        cli.screen.advice(line)
    if not yes and (cli.screen.ask(_("Type {name} to delete it: ").format(name=name)) or "").strip() != name:
        cli.screen.note(_("Nothing was deleted."))
        return ExitCode.FINDING
    stack_deletion.delete(cloudformation, name, cli.screen.note)
    if cli.screen.as_json:
        cli.screen.json(stack_deletion.as_json(resources))
    else:
        cli.screen.line(_("{name} is deleted. What stays is listed above.").format(name=name))
    return ExitCode.OK


def _moment(text: str) -> str:
    """A moment with its offset, as the table writes it."""
    from honnin.times import utc_text

    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError
        return utc_text(moment)
    except (ValueError, OverflowError):
        raise UsageError(
            _("--since {text!r} is not a time with its offset (2026-11-20T03:00:00Z)").format(text=text)
        ) from None
