"""`registers`: those that `register --keep` keeps in the recon bucket for 30 days."""

from typing import TYPE_CHECKING, Annotated

import typer

from honninctl import moments
from honninctl import register as registers
from honninctl.command import Cli, command, group
from honninctl.failures import NotFoundError
from honninctl.language import _
from honninctl.recorded import Action
from honninctl.register_commands import FormOption, LanguageOption, OutputOption, check_language, form_of, in_language

if TYPE_CHECKING:
    from honnin.kept_registers import KeptRegisters


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    made = group(app, "registers", "Registers that were kept with `register --keep`: list them, get one.")
    command(made, "list", example="honninctl registers list")(list_all)
    example = "honninctl registers get 20261101T000000Z-1a2b3c --output october.csv"
    command(made, "get", example=example)(get)


def list_all(cli: Cli) -> None:
    """The registers that are kept, the oldest first. Each is kept for 30 days.

    JSON: {"registers": [{"name", "from", "to", "asOf", "rows", "statuses", "erased", "versions"}]}.
    """
    cli.record(Action.LISTED)
    kept = _kept(cli)
    found = [about for name in kept.names() if (about := kept.about(name))]
    if cli.screen.as_json:
        cli.screen.json({"registers": found})
        return
    rows = [[each["name"], each["from"], each["to"], moments.shown(each["asOf"]), each["rows"]] for each in found]
    cli.screen.table(
        (_("name"), _("from"), _("to"), _("as known at (JST)"), _("rows")), rows, title=_("Kept registers")
    )


def get(
    cli: Cli,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, as `registers list` shows it.")],
    form: FormOption = None,
    lang: LanguageOption = None,
    output: OutputOption = None,
) -> None:
    """A kept register as a file, without the rows of users who were erased since.

    JSON (with --output): {"name", "from", "to", "asOf", "rows", "sha256", "file", "takenOut"}; without, JSON lines.
    `takenOut` is the number of rows of users who were erased since. Exit code 3 when there is none of that name.
    """
    from honnin.kept_registers import RegisterEndedError

    form = form_of(form, output, as_json=cli.screen.as_json)
    check_language(language := lang or in_language())
    cli.record(Action.LISTED)
    kept = _kept(cli)
    about = kept.about(name) if name in kept.names() else None
    if about is None:
        raise NotFoundError(_ended(name))
    with registers.target(output) as stream, cli.screen.progress(_("Rows"), about["rows"]) as seen:
        writer = registers.Writer(stream, form, language)
        try:
            for row in kept.rows(name):
                writer.row(row)
                seen(1)
        except RegisterEndedError:
            raise NotFoundError(_ended(name)) from None
    out = about["rows"] - writer.rows
    if cli.screen.as_json and output:
        said = {key: about[key] for key in ("name", "from", "to", "asOf")}
        cli.screen.json({**said, "rows": writer.rows, "sha256": writer.sha256, "file": str(output), "takenOut": out})
    else:
        cli.screen.note(
            _("{rows} rows, as known at {asOf}. SHA-256: {sha256}").format(
                rows=writer.rows, asOf=about["asOf"], sha256=writer.sha256
            )
        )
    if out:
        cli.screen.note(_("{out} rows were taken out since, because their users were erased.").format(out=out))


def _kept(cli: Cli) -> "KeptRegisters":
    from honnin.kept_registers import KeptRegisters

    deployment = cli.deployment
    return KeptRegisters(deployment.output("ReconBucketName"), deployment.client("s3"))


def _ended(name: str) -> str:
    return _("there is no kept register {name!r}: registers list shows those of the last 30 days").format(name=name)
