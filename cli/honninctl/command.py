"""How a function becomes a command: the options that all share, the deployment it works on, and how it ends."""

import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Annotated, Any

import typer

from honninctl import access, help_page, recorded, roles
from honninctl.deployment import Deployment, Where
from honninctl.failures import CommandError, ExitCode, NotAllowedError, UsageError, explained, show_traceback
from honninctl.language import _
from honninctl.recorded import Action
from honninctl.screen import Screen

PROGRAM = "honninctl"

_CONNECTION = "Which stack"
_DEBUG = "HONNIN_DEBUG"
_UNTOLD = frozenset({"USER", "--reason", "--yes"})
_HALF_CHARACTER = re.compile(r"[\ud800-\udfff]")

# Typer binds an annotation to one option, so a group and its commands share these.
StackOption = Annotated[
    str | None,
    typer.Option(
        "--stack", metavar="NAME", help="CloudFormation stack (env HONNIN_STACK).", rich_help_panel=_CONNECTION
    ),
]
EndpointOption = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        metavar="URL",
        help="AWS endpoint of the local stack (env HONNIN_ENDPOINT).",
        rich_help_panel=_CONNECTION,
    ),
]
RegionOption = Annotated[
    str | None,
    typer.Option(
        "--region", metavar="REGION", help="AWS region; default: yours, or Tokyo.", rich_help_panel=_CONNECTION
    ),
]
ProfileOption = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", help="AWS profile.", rich_help_panel=_CONNECTION),
]
LangOption = Annotated[
    str | None,
    typer.Option("--lang", metavar="LANG", help="Language of the texts: ja or en (env HONNIN_LANG; default: LANG)."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON for scripts, and nothing else on stdout.")]
RevealOption = Annotated[
    bool,
    typer.Option(
        "--reveal", help="Show PayPay's userAuthorizationIds and personal data on the screen; needs --reason."
    ),
]
ReasonOption = Annotated[
    str | None,
    typer.Option(
        "--reason",
        metavar="TEXT",
        help=f"Why (no personal data), for the access record: {access.LONGEST_REASON} characters at most.",
    ),
]


@dataclass(frozen=True)
class Cli:
    """What a command works with. `name` is the command's, `reason` what was typed as --reason.

    `options` are those that were typed, as the access record keeps them.
    """

    deployment: Deployment
    screen: Screen
    name: str = ""
    reason: str | None = None
    options: str | None = None

    def record(self, action: Action, user_id: str | None = None) -> None:
        """Write the access record. A command calls it before it asks for anything about a user.

        `user_id` is None for a list of users. Raises as `access.record`.
        """
        access.record(self.deployment, action, user_id, self.reason, what=self.name, options=self.options)

    def need_reason(self, what: str) -> None:
        """Raises `UsageError` if no --reason was given."""
        if self.reason is None:
            raise UsageError(
                _("{what} needs --reason: it is kept in the access record (no personal data in it)").format(what=what)
            )


@dataclass(frozen=True)
class Given:
    """What was typed before the command's name."""

    where: Where = field(default_factory=Where)
    as_json: bool = False


def connection(
    ctx: typer.Context,
    stack: StackOption = None,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
    lang: LangOption = None,  # noqa: ARG001 -- `honninctl.language.choose` took it from the line already
) -> None:
    """Take the shared options before the name of a command, too."""
    above = ctx.obj if isinstance(ctx.obj, Given) else Given()
    typed = Where(stack, endpoint, region, profile)
    ctx.obj = replace(above, where=typed.or_else(above.where), as_json=json or above.as_json)


def _show_version(asked: bool) -> None:
    if asked:
        from honnin import VERSION

        typer.echo(f"{PROGRAM} {VERSION}")
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and exit.")
]


def shared_options(*, of_program: bool = False) -> Callable[..., None]:
    """`connection` as a callback of Typer, with its help in the language that was chosen.

    The one of the program itself takes --version, too.
    """

    @wraps(connection)
    def run(*, version: bool = False, **typed: Any) -> None:  # noqa: ARG001 -- its callback has shown it
        connection(**typed)

    parameters = list(inspect.signature(connection).parameters.values())
    if of_program:
        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters.append(inspect.Parameter("version", keyword, default=False, annotation=VersionOption))
    _sign(run, parameters)
    return run


def group(app: typer.Typer, name: str, about: str, **more: Any) -> typer.Typer:
    """A group of commands of `app`, which takes the shared options, too. `about` is its help, `more` is Typer's."""
    made = typer.Typer(name=name, no_args_is_help=True, help=_(about), **{"cls": help_page.Group, **more})
    made.callback()(shared_options())
    app.add_typer(made, name=name)
    return made


def command(app: typer.Typer, name: str, *, example: str) -> Callable[[Any], Any]:
    """Register `function(cli, …)` as a command of `app`: `example` ends its help, its errors become exit codes.

    If it goes into the access record (honninctl/recorded.py), it gets --reason, and must call `cli.record` first. With
    a `reveal` it needs the reason.
    The function returns None or an `ExitCode`.
    """
    known_as = name if app.info.name == PROGRAM else f"{app.info.name} {name}"
    is_recorded = recorded.is_recorded(known_as)

    def register(function: Callable[..., ExitCode | None]) -> Callable[..., ExitCode | None]:
        own_names = set(inspect.signature(function).parameters)

        @wraps(function)
        def run(
            ctx: typer.Context,
            *,
            stack: str | None,
            endpoint: str | None,
            region: str | None,
            profile: str | None,
            json: bool,
            **own: Any,
        ) -> None:
            above = ctx.obj if isinstance(ctx.obj, Given) else Given()
            if "lang" not in own_names:
                own.pop("lang")
            where = Where(stack, endpoint, region, profile).or_else(above.where).or_else(_environment())
            path = ctx.command_path.partition(" ")[2]
            cli = Cli(Deployment(where), Screen(as_json=json or above.as_json), path)

            def call() -> ExitCode | None:
                typed = {name: _as_typed(value) for name, value in own.items()}
                if not is_recorded:
                    return function(cli, **typed)
                reason = access.checked_reason(typed["reason"] if "reason" in own_names else typed.pop("reason"))
                made = replace(cli, reason=reason, options=_given(ctx, own))
                if typed.get("reveal"):
                    made.need_reason("--reveal")
                return function(made, **typed)

            raise typer.Exit(_ended(cli, path, call))

        _describe(run, function, asks_reason=is_recorded and "reason" not in own_names)
        run.__doc__ = _(unwrapped(function.__doc__ or ""))
        app.command(name, cls=help_page.Command, epilog=_("Example: {example}").format(example=example))(run)
        return function

    return register


def unwrapped(text: str) -> str:
    """A help text without the line ends inside its sentences: Typer keeps them, and a narrow terminal wraps again."""
    return re.sub(r"(?<![.\n])\n(?=\S)", " ", inspect.cleandoc(text))


def _given(ctx: typer.Context, own: Mapping[str, Any]) -> str | None:
    """What was typed for a command's own options and arguments, as the access record keeps it, in their order.

    A USER is what the entry is kept under. --reason has its own place, and --yes says nothing.
    """
    sources = {each.name: ctx.get_parameter_source(str(each.name)) for each in ctx.command.params}
    typed = {
        each.opts[0] if each.opts[0].startswith("-") else str(each.metavar): own[each.name]
        for each in ctx.command.params
        if each.name in own and (source := sources[each.name]) and source.name == "COMMANDLINE"
    }
    return recorded.options({name: value for name, value in typed.items() if name not in _UNTOLD})


def _describe(run: Callable[..., Any], function: Callable[..., Any], *, asks_reason: bool) -> None:
    """Give the wrapper the parameters of the function and of `connection`, which Typer reads off the signature."""
    own = list(inspect.signature(function).parameters.values())[1:]
    if asks_reason:
        own.append(inspect.Parameter("reason", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=ReasonOption))
    context, *shared = inspect.signature(connection).parameters.values()
    names = {each.name for each in own}
    _sign(run, [context, *own, *(each for each in shared if each.name not in names)])


def _sign(run: Callable[..., Any], wanted: list[inspect.Parameter]) -> None:
    parameters = [
        each.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=_in_language(each.annotation)) for each in wanted
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}


def _in_language(annotation: Any) -> Any:
    """The annotation of a parameter, whose help is English as it is written, with the help of the chosen language."""
    translated = []
    for each in getattr(annotation, "__metadata__", ()):
        copied = copy(each)
        for name in ("help", "rich_help_panel"):
            if getattr(copied, name, None):
                setattr(copied, name, _(getattr(copied, name)))
        translated.append(copied)
    return Annotated[annotation.__origin__, *translated] if translated else annotation


def _environment() -> Where:
    # Region, profile and keys are botocore's to read.
    return Where(
        stack=os.environ.get("HONNIN_STACK"),
        endpoint=os.environ.get("HONNIN_ENDPOINT") or os.environ.get("AWS_ENDPOINT_URL"),
    )


def _ended(cli: Cli, name: str, call: Callable[[], ExitCode | None]) -> int:
    try:
        code = call() or ExitCode.OK
        # What is still to be written may fail, too: a full disk, a reader who has gone.
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        cli.screen.note(_("Interrupted."))
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # `… | head`: not worth a word.
        return ExitCode.OUTPUT_CLOSED
    except Exception as error:
        explanation: CommandError = explained(error)
        if os.environ.get(_DEBUG):
            show_traceback(error)
        message = " ".join(str(explanation).split())
        if isinstance(explanation, NotAllowedError):
            message = _("{error}; {advice}").format(error=message, advice=roles.advice(name))
        cli.screen.note(f"honninctl: {message}")
        return explanation.exit_code


def _as_typed(value: Any) -> Any:
    """An argument as text. Where the locale cannot hold it (LC_ALL=C), Python hands its bytes over as half characters.

    Raises `UsageError` when it is not UTF-8 either.
    """
    if isinstance(value, list):
        return [_as_typed(each) for each in value]
    if not isinstance(value, str) or not _HALF_CHARACTER.search(value):
        return value
    try:
        return os.fsencode(value).decode()
    except UnicodeError:
        raise UsageError(_("an argument is not text: neither in this terminal's encoding nor in UTF-8")) from None
