"""`recon DAY`, `recon compare DAY` and `recon calendar`."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from honninctl import help_page, recon
from honninctl.command import Cli, RevealOption, command, group
from honninctl.failures import ExitCode, UsageError
from honninctl.language import N_, _, field, said
from honninctl.recorded import Action
from honninctl.reread import why_not
from honninctl.screen import padded

if TYPE_CHECKING:
    from honnin.recon.days import CalendarDay

_DAY_WORD = re.compile(r"\d{4}-\d{1,2}-\d{1,2}|yesterday")
_DAY_COMMAND = "DAY"
_MOST_DAYS = 366
_SHOWN = 20

# By the value of honnin.recon.days.DayState: the help loads nothing of the layer.
_STYLES = {
    "compared": "green",
    "repaired": "cyan",
    "repairing": "bold cyan",
    "late": "yellow",
    "missing": "bold red",
    "doubtful": "bold red",
    "expired": "red",
    "stored": "blue",
    "announced": "blue",
    "due": "dim",
    "none": "dim",
}
_LEGEND = {
    "compared": N_("compared; no status was different"),
    "repaired": N_("the number of users whose status was corrected; no user waits"),
    "repairing": N_("the number of users who still have to be read"),
    "late": N_("compared after 10:15 of the next day"),
    "missing": N_("no notification was received: ask PayPay to resend it"),
    "doubtful": N_("compared, but not accepted for its day: ask PayPay to resend it"),
    "expired": N_("the notification was received, but the file was not downloaded within two hours"),
    "stored": N_("downloaded, being compared"),
    "announced": N_("notification received, being downloaded"),
    "due": N_("may come until 10:00 of the next day"),
    "none": N_("nothing is known"),
}


class _DayGroup(help_page.Group):
    """`recon 2026-11-20` means the command for a day, with that day."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """A day in the place of a command's name is the day command's argument."""
        if args and _DAY_WORD.fullmatch(args[0]):
            args = [_DAY_COMMAND, *args]
        return super().resolve_command(ctx, args)


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    made = group(
        app,
        "recon",
        "PayPay's daily files: `recon 2026-11-20` for a day, `recon calendar` for a month. Days are Japan's.",
        cls=_DayGroup,
    )
    command(made, _DAY_COMMAND, example="honninctl recon 2026-11-20 --dry-run")(day)
    command(made, "compare", example="honninctl recon compare 2026-11-20")(compare)
    command(made, "calendar", example="honninctl recon calendar --days 7")(calendar)


def day(
    cli: Cli,
    word: Annotated[str, typer.Argument(metavar="DAY", help="A JST day, yyyy-mm-dd, or yesterday.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Compare the stored files again, only to show who would be read.")
    ] = False,
    reveal: RevealOption = False,
) -> ExitCode:
    """The report of one day for all file types: counts, changed users, users not read, and the last 7 days.

    JSON: {"day", "files": [...], "types": [...]}, see cli/README.md.
    Exit code 1 when a file has not been compared, somebody still waits, or (--dry-run) somebody would be read;
    3 when nothing is known of the day.
    """
    now = datetime.now(UTC)
    when = _day(word, now)
    cli.record(Action.REVEALED if reveal else Action.LISTED)
    if dry_run:
        with cli.screen.progress(_("Reading the files"), recon.stored_bytes(cli.deployment, when)) as read:
            found = recon.dry_run(cli.deployment, when, reveal=reveal, read=read)
    else:
        found = recon.report(cli.deployment, when, now, reveal=reveal)
    if cli.screen.as_json:
        cli.screen.json(found)
    else:
        for each in found["files"]:
            _show_file(cli, each, dry_run=dry_run)
        for each in found.get("types", ()):
            _show_type(cli, each)
    clean = _nobody_to_read if dry_run else _is_settled
    return ExitCode.OK if all(map(clean, found["files"])) else ExitCode.FINDING


def compare(
    cli: Cli,
    word: Annotated[str, typer.Argument(metavar="DAY", help="A JST day, yyyy-mm-dd, or yesterday.")],
) -> ExitCode:
    """Compare the stored files of one day once more. Users who were read after the notification are not read again.

    JSON: {"day", "started": [{"fileType", "fileName", "comparison", "execution"}]}.
    Exit code 3 when no file of the day is stored.
    """
    now = datetime.now(UTC)
    when = _day(word, now)
    cli.record(Action.REREAD)
    started = recon.compare(cli.deployment, when, now)
    if cli.screen.as_json:
        cli.screen.json({"day": when, "started": started})
    else:
        for each in started:
            cli.screen.line(
                _("{fileType}: comparison {comparison} is under way ({execution})").format(
                    fileType=each["fileType"], comparison=each["comparison"], execution=each["execution"]
                )
            )
    return ExitCode.OK


def calendar(
    cli: Cli,
    days: Annotated[int, typer.Option("--days", min=1, max=_MOST_DAYS, help="How many days, up to yesterday.")] = 30,
) -> ExitCode:
    """The last days × the file types: compared, repaired, late, missing.

    JSON: {"days": [{"day", "fileType", "state", "late", "changed", "open", "webhookNeverReceived", "reason"}]}, newest
    first.
    Exit code 1 when one of the last 7 days, which PayPay can still resend, is missing.
    """
    from honnin.recon.days import to_ask_for

    now = datetime.now(UTC)
    found = recon.calendar(cli.deployment, days, now)
    if cli.screen.as_json:
        cli.screen.json({"days": [{"day": each.day, "fileType": each.file_type} | each.as_json() for each in found]})
    else:
        _show_calendar(cli, found)
    return ExitCode.FINDING if to_ask_for(found, now) else ExitCode.OK


def _day(word: str, now: datetime) -> str:
    from honnin import times

    if word == "yesterday":
        return (date.fromisoformat(times.jst_day(now)) - timedelta(days=1)).isoformat()
    try:
        return datetime.strptime(word, "%Y-%m-%d").replace(tzinfo=times.JST).date().isoformat()
    except ValueError:
        raise UsageError(_("{word!r} is not a day: write it as 2026-11-20").format(word=word)) from None


def _nobody_to_read(file: dict[str, Any]) -> bool:
    return not file["wouldRead"]


def _is_settled(file: dict[str, Any]) -> bool:
    # Of a type of which nothing is known, nothing has to be done.
    return file["state"] in ("COMPARED", "IGNORED", "NONE") and not file.get("repairsOpen") and not file.get("doubt")


def _show_file(cli: Cli, file: dict[str, Any], *, dry_run: bool) -> None:
    screen = cli.screen
    screen.line(f"{file['fileType']}  {file['day']}", "bold")
    reason = file.get("doubt") or file.get("reason")
    screen.line(f"  {padded(_('state'), 12)}{_with_reason(file['state'], reason)}")
    if file.get("fileName"):
        screen.line(_("  file        {fileName}").format(fileName=file["fileName"]))
    if file.get("revisionOf"):
        screen.line(_("  revision of {revisionOf}").format(revisionOf=file["revisionOf"]), "yellow")
    for warning in file.get("warnings", ()):
        screen.line(_("  warning     {warning}").format(warning=said(warning)), "yellow")
    for label, key in (
        (_("notified"), "requestedAt"),
        (_("stored"), "storedAt"),
        (_("compared"), "comparedAt"),
        (_("completed"), "completedAt"),
    ):
        if file.get(key):
            screen.line(f"  {padded(label, 12)}{file[key]}")
    if file.get("counts"):
        counts = "  ".join(f"{field(name)} {number}" for name, number in file["counts"].items())
        screen.line(f"  {padded(_('counts'), 12)}{counts}")
    if dry_run:
        _show_dry_run(cli, file)
    else:
        _show_outcome(cli, file)
    screen.line("")


def _show_dry_run(cli: Cli, file: dict[str, Any]) -> None:
    would = file["wouldRead"]
    cli.screen.line(_("  {would} would be read again.").format(would=len(would)), "bold")
    _show_some(cli, would, ("userAuthorizationId", "userId"))


def _show_outcome(cli: Cli, file: dict[str, Any]) -> None:
    if "changed" not in file:
        return
    template = _("  {changed} had another status; {not_read} not read.")
    if waiting := file.get("repairsOpen"):
        template = _("  {changed} had another status; {not_read} not read; {waiting} still waiting.")
    numbers = {"changed": len(file["changed"]), "not_read": len(file["notRead"]), "waiting": waiting}
    cli.screen.line(template.format(**numbers), "bold")
    if file.get("repairsStoppedAt"):
        cli.screen.line(_("  Repairs are stopped (honninctl repairs status)."), "bold red")
    _show_some(cli, file["changed"], ("userAuthorizationId", "userId", "from", "to", "appliedAt"))
    missed = [{**each, "why": why_not(each["why"])} for each in file["notRead"]]
    _show_some(cli, missed, ("userAuthorizationId", "userId", "why"))


def _show_type(cli: Cli, facts: dict[str, Any]) -> None:
    screen = cli.screen
    if not facts["everAnnounced"]:
        screen.line(_("{fileType}: no notification was ever received").format(fileType=facts["fileType"]))
        return
    screen.line(_("{fileType}  the last 7 days").format(fileType=facts["fileType"]), "bold")
    for each in facts["week"]:
        screen.line(f"  {each['day']}  {_with_reason(each['state'], each['reason'])}", _STYLES[each["state"]])
    screen.line(_("  last webhook received: {value}").format(value=facts["lastWebhookAt"] or _("none within 40 days")))
    if facts["resendRequest"]:
        screen.line(_("  send this to PayPay:"), "bold")
        screen.line(f"{facts['resendRequest']['ja']}\n{facts['resendRequest']['en']}")
    screen.line("")


def _with_reason(state: str, reason: str | None) -> str:
    return _("{what}: {why}").format(what=state, why=said(reason)) if reason else state


def _show_some(cli: Cli, rows: Sequence[dict[str, Any]], names: Sequence[str]) -> None:
    if not rows:
        return
    cli.screen.table([field(each) for each in names], [[each[name] for name in names] for each in rows[:_SHOWN]])
    if len(rows) > _SHOWN:
        cli.screen.line(_("  … and {value} more: --json gives all.").format(value=len(rows) - _SHOWN))


def _show_calendar(cli: Cli, found: "Sequence[CalendarDay]") -> None:
    from honnin.recon.days import DayState

    kinds = list(dict.fromkeys(each.file_type for each in found))
    by_place = {(each.day, each.file_type): each for each in found}
    rows = [
        [each, *(_cell(by_place[each, kind]) for kind in kinds)] for each in dict.fromkeys(each.day for each in found)
    ]
    cli.screen.table((_("day (JST)"), *map(_heading, kinds)), rows, title=_("Recon"))
    for state in DayState:
        if any(each.state is state for each in found):
            cli.screen.line(f"  {state.value:<12}{_(_LEGEND[state])}", _STYLES[state])


def _heading(file_type: str) -> str:
    from honnin.recon.file_types import FILE_TYPES

    return field(FILE_TYPES[file_type].kind.replace("_", " "))


def _cell(each: "CalendarDay") -> Any:
    from rich.text import Text

    from honnin.recon.days import DayState

    text = each.state.value
    if each.state is DayState.REPAIRED:
        text += f" {each.changed}"
    elif each.state is DayState.REPAIRING:
        text += f" {each.open}"
    if each.late and each.state is not DayState.LATE:
        text += _(", late")
    return Text(text, style=_STYLES[each.state])
