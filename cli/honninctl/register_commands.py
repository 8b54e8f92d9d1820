"""`register`: who was verified in a period, with the evidence."""

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from honninctl import moments, past
from honninctl import register as registers
from honninctl.command import Cli, command
from honninctl.deployment import Deployment
from honninctl.failures import CommandError, UsageError
from honninctl.language import _, choose
from honninctl.overview_commands import ProviderOption
from honninctl.recorded import Action

if TYPE_CHECKING:
    from honnin.register import Row
    from honnin.store import Store

FormOption = Annotated[
    str | None, typer.Option("--format", metavar="FORMAT", help="csv or jsonl; default: by FILE's name, else csv.")
]
LanguageOption = Annotated[
    str | None, typer.Option("--lang", metavar="LANG", help="Headings of the CSV: ja or en; default: LANG.")
]
OutputOption = Annotated[
    Path | None, typer.Option("--output", metavar="FILE", help="Write it here; else to standard output.")
]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    example = "honninctl register --from 2026-10-01 --to 2026-10-31 --output october.csv"
    command(app, "register", example=example)(the_register)


def the_register(
    cli: Cli,
    first: Annotated[
        str,
        typer.Option(
            "--from", metavar="DAY", help="The first JST day, yyyy-mm-dd, or today, or yesterday.", show_default=False
        ),
    ],
    last: Annotated[str, typer.Option("--to", metavar="DAY", help="The last JST day, likewise.", show_default=False)],
    provider: ProviderOption = None,
    status: Annotated[
        str | None,
        typer.Option("--status", metavar="STATUS", help="Another status than VERIFIED (PayPay) and APPROVED (Vexora)."),
    ] = None,
    form: FormOption = None,
    lang: LanguageOption = None,
    output: OutputOption = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep it in the recon bucket for 30 days instead: see `registers`.")
    ] = False,
    erased: Annotated[
        bool, typer.Option("--erased", help="Also who was erased since, without the id; reads the whole table.")
    ] = False,
    versions: Annotated[
        bool, typer.Option("--versions", help="Also the version of each kept answer; one call of S3 a row.")
    ] = False,
) -> None:
    """Who was verified in a period, with the evidence: one row for each time that a user was verified at a provider.

    Each row says since when and until when, by which product and event, the X-REQUEST-ID, the kept answer with its
    SHA-256, and the flags since then. It holds ids, statuses and times; nothing else of a person. CSV: for Excel, times
    of Japan. JSON lines: times in UTC. The rows are in no order. FILE is there only if it is complete; what is
    interrupted begins again from the start.
    JSON (with --output): {"from", "to", "asOf", "rows", "sha256", "file"}; with --keep {"name", "from", "to", "asOf",
    "rows"}; without, JSON lines.
    """
    first, last = moments.day(first, past.now()), moments.day(last, past.now())
    wanted = Wanted(first, last, period(first, last), statuses(provider, status), erased=erased, versions=versions)
    if keep:
        if form or lang or output:
            raise UsageError(_("--keep has no file yet: name FILE, format and language in `registers get`"))
        _keep(cli, wanted)
    else:
        language = lang or in_language()
        _write(cli, wanted, output, form_of(form, output, as_json=cli.screen.as_json), language)
    if not erased:
        cli.screen.note(_("Users who were erased since are not in it; --erased adds them, without their ids."))


@dataclass(frozen=True)
class Wanted:
    """What was asked for."""

    first: str
    last: str
    period: tuple[str, str]
    statuses: Mapping[str, str]
    erased: bool
    versions: bool


def _write(cli: Cli, wanted: Wanted, output: Path | None, form: str, language: str) -> None:
    check_language(language)
    deployment = _ready(cli, wanted)
    with registers.target(output) as stream:
        writer = registers.Writer(stream, form, language)
        as_of = _read(cli, deployment, wanted, writer.row)
    if cli.screen.as_json and output:
        said = {"from": wanted.first, "to": wanted.last, "asOf": as_of, "rows": writer.rows, "sha256": writer.sha256}
        cli.screen.json({**said, "file": str(output)})
    else:
        cli.screen.note(
            _("{rows} rows, as known at {as_of}. SHA-256: {sha256}").format(
                rows=writer.rows, as_of=as_of, sha256=writer.sha256
            )
        )


def _keep(cli: Cli, wanted: Wanted) -> None:
    from honnin.errors import ConcurrentUpdateError
    from honnin.kept_registers import KeptRegisters, NewRegister, TooManyRegistersError, new_name

    deployment = _ready(cli, wanted)
    bucket, s3 = deployment.output("ReconBucketName"), deployment.client("s3")
    name = new_name(past.now())
    try:
        with tempfile.TemporaryDirectory(prefix="honnin-register-") as folder:
            certificates = deployment.store.erasure.certificates
            made = NewRegister(bucket, name, Path(folder), certificates, s3)
            as_of = _read(cli, deployment, wanted, lambda row: made.add(registers.masked(row)))
            rows = made.write()
    except TooManyRegistersError:
        raise CommandError(_("100 registers of the last 30 days are kept already: get one of them, or wait")) from None
    except ConcurrentUpdateError:
        raise CommandError(_("users were erased again and again while it was written: try again later")) from None
    said = {"name": name, "from": wanted.first, "to": wanted.last, "asOf": as_of, "rows": rows}
    more = {"statuses": dict(wanted.statuses), "erased": wanted.erased, "versions": wanted.versions}
    KeptRegisters(bucket, s3).end(name, said | more)
    if cli.screen.as_json:
        cli.screen.json(said)
    else:
        cli.screen.line(
            _("{name}: {rows} rows, as known at {as_of}, kept for 30 days.").format(name=name, rows=rows, as_of=as_of)
        )
        cli.screen.advice(_("To get it: honninctl registers get {name} --output FILE").format(name=name))


def _ready(cli: Cli, wanted: Wanted) -> Deployment:
    """The stack, once the access is recorded, and it is known that everything in it may be read."""
    cli.record(Action.REGISTERED)
    deployment = cli.deployment.patient()
    not_rebuilding(deployment.store)
    registers.check_access(deployment, versions=wanted.versions, erased=wanted.erased)
    return deployment


def _read(cli: Cli, deployment: Deployment, wanted: Wanted, take: Callable[["Row"], object]) -> str:
    """Hand over each row; returns the moment whose knowledge they give."""
    from honnin.register import Register

    version_of = registers.version_of(deployment) if wanted.versions else None
    with cli.screen.progress(_("Users")) as seen:
        made = Register(deployment.store, wanted.statuses, *wanted.period, version_of=version_of, seen=seen)
        for row in made.rows(erased=wanted.erased):
            take(row)
        not_rebuilding(deployment.store)
    return made.as_of


def not_rebuilding(store: "Store") -> None:
    """Raises `CommandError` while the index is rebuilt."""
    if store.overview.rebuilding():
        raise CommandError(
            _("the index is being rebuilt (honninctl reindex), so somebody would be missing: wait for it")
        )


def period(first: str, last: str) -> tuple[str, str]:
    """The moments (UTC) at which the first day begins and the last one has ended."""
    from honnin.store.overview import day_begins
    from honnin.times import jst_day

    try:
        begin, end = date.fromisoformat(first), date.fromisoformat(last)
        if len(first) != len("2026-10-01") or len(last) != len(first):
            raise ValueError
        following = date.fromordinal(end.toordinal() + 1)
    except (ValueError, OverflowError):
        raise UsageError(_("--from and --to must be days in Japan, such as 2026-10-01")) from None
    if end < begin:
        raise UsageError(_("--from must not be after --to"))
    if begin.isoformat() > jst_day(past.now()):
        raise UsageError(_("--from is in the future: who will be verified then cannot be said"))
    return day_begins(begin.isoformat()), day_begins(following.isoformat())


def statuses(provider: str | None, status: str | None) -> dict[str, str]:
    """The status by provider. Raises `UsageError` for a provider or status that there is not."""
    from honnin.register import VERIFIED
    from honnin.store.overview import STATUSES

    if provider and provider not in STATUSES:
        raise UsageError(_("--provider must be one of {join}").format(join=", ".join(sorted(STATUSES))))
    providers = [provider] if provider else list(STATUSES)
    if not status:
        return {each: VERIFIED[each] for each in providers}
    found = {each: status for each in providers if status in STATUSES[each]}
    if not found:
        known = sorted({name for each in providers for name in STATUSES[each]})
        raise UsageError(_("--status must be one of {join}").format(join=", ".join(known)))
    return found


def form_of(form: str | None, output: Path | None, *, as_json: bool) -> str:
    """The format of a file, by what was typed or by its name. Raises `UsageError` for what is none."""
    by_name = "jsonl" if output and output.suffix == ".jsonl" else "csv"
    found = form or ("jsonl" if as_json and not output else by_name)
    if found not in registers.FORMATS:
        raise UsageError(_("--format must be csv or jsonl"))
    if as_json and not output and found == "csv":
        raise UsageError(_("choose one of --json and --format csv, or add --output FILE"))
    return found


def check_language(language: str) -> None:
    """Raises `UsageError` for a language that a CSV has no headings in."""
    if language not in registers.LANGUAGES:
        raise UsageError(_("--lang must be ja or en"))


def in_language() -> str:
    """The language of the terminal."""
    return choose((), os.environ)
