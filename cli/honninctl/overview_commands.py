"""`users`, `counts`, `changes`, `expiring`, `contract-ends`."""

import csv
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from honninctl import moments, overview, people, spreadsheet
from honninctl.command import Cli, command
from honninctl.failures import UsageError
from honninctl.language import N_, _, field
from honninctl.recorded import Action

ProviderOption = Annotated[str | None, typer.Option("--provider", metavar="PROVIDER", help="vexora or paypay.")]
CsvOption = Annotated[bool, typer.Option("--csv", help="CSV for a spreadsheet, and nothing else on stdout.")]

_HOW_MANY = {
    "users": N_("{rows} users"),
    "counts": N_("{sum} in all"),
    "changes": N_("{rows} changes"),
    "expiring": N_("{rows} expiring"),
    "contractEnds": N_("{rows} ended contracts"),
}
_REBUILDING = N_("The index behind this list is being rebuilt (honninctl reindex): somebody may be missing.")


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    command(app, "users", example="honninctl users --provider paypay --status RISK_FLAGGED")(users)
    command(app, "counts", example="honninctl counts")(counts)
    command(app, "changes", example="honninctl changes yesterday --to-status RISK_FLAGGED")(changes)
    command(app, "expiring", example="honninctl expiring --within 30d --csv >expiring.csv")(expiring)
    command(app, "contract-ends", example="honninctl contract-ends --days 7")(contract_ends)


def users(
    cli: Cli,
    provider: Annotated[
        str, typer.Option("--provider", metavar="PROVIDER", help="vexora or paypay.", show_default=False)
    ],
    status: Annotated[
        str, typer.Option("--status", metavar="STATUS", help="A status of that provider.", show_default=False)
    ],
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Only users who got it since this day in Japan, or time in UTC."),
    ] = None,
    as_csv: CsvOption = False,
) -> None:
    """Who has a status now, the latest change first.

    JSON: {"users": [{"userId", "provider", "status", "since"}], "rebuilding"}. CSV: the same columns.
    """
    cli.record(Action.LISTED)
    query = {"provider": provider, "status": status, "since": since}
    with cli.screen.progress(_("Reading the list")) as seen:
        found, rebuilding = overview.users(cli.deployment, query, seen)
    _show(cli, "users", ("userId", "provider", "status", "since"), found, {"rebuilding": rebuilding}, as_csv=as_csv)


def counts(cli: Cli, as_csv: CsvOption = False) -> None:
    """How many users have each status at each provider.

    Exact, but for who moves while it counts; with very many users it is estimated, and says so.
    JSON: as GET /overview/counts answers: {"counts": {provider: {status: number}}, "approximate", "countedAt",
    "rebuilding"}. CSV: provider, status, users.
    """
    found = overview.counts(cli.deployment)
    rows = [
        {"provider": provider, "status": status, "users": number}
        for provider, status, number in overview.count_rows(found)
    ]
    if cli.screen.as_json and not as_csv:
        cli.screen.json(found)
    else:
        _show(cli, "counts", ("provider", "status", "users"), rows, {}, as_csv=as_csv)
    if found["approximate"]:
        cli.screen.note(_("There are too many to count within one call: these numbers are estimated."))
    if found["rebuilding"]:
        cli.screen.note(_(_REBUILDING))


def changes(
    cli: Cli,
    day: Annotated[str, typer.Argument(metavar="DAY", help="A JST day, yyyy-mm-dd, or today, or yesterday.")],
    last: Annotated[
        str | None, typer.Option("--to", metavar="DAY", help="Last day, if you want more than one.")
    ] = None,
    provider: ProviderOption = None,
    to_status: Annotated[
        str | None, typer.Option("--to-status", metavar="STATUS", help="Only changes to this status.")
    ] = None,
    as_csv: CsvOption = False,
) -> None:
    """What changed on a day in Japan, the latest change first.

    JSON: {"changes": [{"at", "userId", "provider", "from", "to", "cause", "eventId"}], "rebuilding"}. CSV: the same
    columns.
    """
    cli.record(Action.LISTED)
    first = _day(day)
    query = {"from": first, "to": _day(last) if last else first, "provider": provider, "toStatus": to_status}
    with cli.screen.progress(_("Reading the changes")) as seen:
        found, rebuilding = overview.changes(cli.deployment, query, seen)
    names = ("at", "userId", "provider", "from", "to", "cause", "eventId")
    _show(cli, "changes", names, found, {"rebuilding": rebuilding}, as_csv=as_csv)


def expiring(
    cli: Cli,
    within: Annotated[
        str, typer.Option("--within", metavar="DAYS", help="How far ahead, such as 30d; 366d at most.")
    ] = "30d",
    as_csv: CsvOption = False,
) -> None:
    """Whose link to PayPay ends soon, the earliest first; with WatchResidencePeriod=true residence periods, too.

    JSON: {"expiring": [{"userId", "provider", "what", "endsAt"}]}; what is link or residence. CSV: the same columns.
    """
    cli.record(Action.LISTED)
    with cli.screen.progress(_("Reading the list")) as seen:
        found = overview.expiring(cli.deployment, within, seen)
    _show(cli, "expiring", ("userId", "provider", "what", "endsAt"), found, {}, as_csv=as_csv)


def contract_ends(
    cli: Cli,
    days: Annotated[
        int, typer.Option("--days", min=0, max=36_500, metavar="DAYS", help="So many days ahead; 0: who is due now.")
    ] = 30,
    as_csv: CsvOption = False,
) -> None:
    """Who will be erased soon because the contract ended, the first to be erased first.

    Each is kept until the end of the day keptUntil, in Japan. If on one day there are more than MaxErasuresPerDay,
    nobody is erased (docs/runbook.md#many-due).
    JSON: {"contractEnds": [{"userId", "endedOn", "reportedAt", "keptUntil"}], "mostOnOneDay": {"keptUntil", "users"}};
    mostOnOneDay is null where there is nobody. CSV: the same columns.
    """
    cli.record(Action.LISTED)
    with cli.screen.progress(_("Reading the list")) as seen:
        found = []
        for each in people.contract_ends(cli.deployment, datetime.now(UTC) + timedelta(days=days)):
            found.append(each)
            seen(1)
    most = Counter(each["keptUntil"] for each in found).most_common(1)
    day = {"keptUntil": most[0][0], "users": most[0][1]} if most else None
    more = {"mostOnOneDay": day}
    _show(cli, "contractEnds", ("userId", "endedOn", "reportedAt", "keptUntil"), found, more, as_csv=as_csv)
    if day and not (as_csv or cli.screen.as_json):
        said = _("Most on one day: {users}, kept until {day}.")
        cli.screen.line(said.format(users=day["users"], day=day["keptUntil"]))


def _day(word: str) -> str:
    return moments.day(word, datetime.now(UTC))


def _show(
    cli: Cli,
    name: str,
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    more: Mapping[str, Any],
    *,
    as_csv: bool,
) -> None:
    """The rows as CSV, as JSON under `name`, or as a table with their number."""
    if as_csv and cli.screen.as_json:
        raise UsageError(_("choose one of --csv and --json"))
    if as_csv:
        # Ids, statuses and moments are ASCII, so a spreadsheet needs no byte order mark to read it.
        written = csv.writer(sys.stdout, lineterminator="\r\n")
        written.writerow(columns)
        cells = [[each.get(column) for column in columns] for each in rows]
        written.writerows([spreadsheet.cell(it) if isinstance(it, str) else it for it in row] for row in cells)
    elif cli.screen.as_json:
        cli.screen.json({name: list(rows), **more})
    else:
        cells = [[each.get(column) for column in columns] for each in rows]
        cli.screen.table([field(column) for column in columns], cells)
        how_many = _(_HOW_MANY[name]).format(rows=len(rows), sum=sum(each.get("users", 0) for each in rows))
        cli.screen.line(how_many)
    if more.get("rebuilding"):
        cli.screen.note(_(_REBUILDING))
