"""`local up`, `down`, `status`, `reset` and `events`: the local stack of a checkout of Honnin's repository.

What they do is in the checkout (`local/`), with the tools that `make setup` has put there; a honninctl that was
installed elsewhere passes the call on.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from honninctl.command import Cli, command, group
from honninctl.failures import CommandError, UsageError
from honninctl.language import _

_MARKS = ("template.yaml", "local/stack.py")

NameOption = Annotated[str, typer.Option("--name", metavar="NAME", help="Which one, if several run side by side.")]
PortOption = Annotated[
    int | None,
    typer.Option(
        "--port", help="Of the AWS emulator. 0: any free one. Default: 4566; with another --name any free one."
    ),
]
SandboxPortOption = Annotated[
    int | None,
    typer.Option(
        "--sandbox-port", help="Of the sandbox. 0: any free one. Default: 9100; with another --name any free one."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    made = group(
        app,
        "local",
        "Start and end the local stack in the background, empty it, and see its domain events.\n\n"
        "Works within a checkout of Honnin's repository only; needs no AWS account and no credentials.",
    )
    command(made, "up", example="honninctl local up --name mine --json")(up)
    command(made, "down", example="honninctl local down")(down)
    command(made, "status", example="honninctl local status --json")(status)
    command(made, "reset", example="honninctl local reset")(reset)
    command(made, "events", example="honninctl local events --follow")(events)


def up(
    cli: Cli,
    name: NameOption = "run",
    port: PortOption = None,
    sandbox_port: SandboxPortOption = None,
    host: Annotated[
        str | None, typer.Option("--host", help="The address to listen on: 127.0.0.1, or in a container 0.0.0.0.")
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", metavar="NAME=VALUE", help="A parameter of the template; may be repeated."),
    ] = None,
    sandbox: Annotated[
        bool, typer.Option("--sandbox/--no-sandbox", help="Without: the parameters name another simulator.")
    ] = True,
) -> None:
    """Start a local stack and the sandbox in the background; returns when they are ready.

    JSON: the description of the stack (docs/tutorial.md#in-the-background). One that runs already with these settings
    is left as it is. Exit code 1 when it does not get ready.
    """
    given = {"--port": port, "--sandbox-port": sandbox_port, "--host": host}
    arguments = [f"{option}={value}" for option, value in given.items() if value is not None]
    arguments += [f"--parameter={each}" for each in parameter or ()]
    _passed_on(cli, "up", name, *arguments, f"--sandbox={'on' if sandbox else 'off'}")


def down(cli: Cli, name: NameOption = "run") -> None:
    """End a local stack, and all that it started; also that of `make run`.

    JSON: {"name", "stopped"}. Exit code 0 also when there was none.
    """
    _passed_on(cli, "down", name)


def status(cli: Cli, name: NameOption = "run") -> None:
    """Say where a local stack is: its addresses, and the lines that make a shell ready for it.

    JSON: {"state"}, and the description of the stack if it is ready. Exit code 0 when it is ready, 1 when it is
    starting or does not answer, 3 when there is none.
    """
    _passed_on(cli, "status", name)


def reset(cli: Cli, name: NameOption = "run") -> None:
    """Empty a local stack and its sandbox: tables, buckets, queues, what is under way.

    JSON: {"name", "seconds"}.
    """
    _passed_on(cli, "reset", name)


def events(
    cli: Cli,
    name: NameOption = "run",
    follow: Annotated[bool, typer.Option("--follow", help="Until Ctrl-C; without it, the next event only.")] = False,
    timeout: Annotated[
        float | None, typer.Option("--timeout", metavar="SECONDS", help="How long to wait at most.")
    ] = None,
) -> None:
    """Print the domain events on the bus of a local stack from now on, each as a line of JSON.

    They come through a rule and a queue of their own, so nobody else misses one. Exit code 1 when no event comes
    within --timeout; with --follow, --timeout ends it with 0.
    """
    arguments = ["--follow"] if follow else []
    if timeout is not None:
        arguments.append(f"--timeout={timeout}")
    _passed_on(cli, "events", name, *arguments)


def _passed_on(cli: Cli, name: str, stack: str, *arguments: str) -> None:
    """Become `python -m local` of the checkout: signals reach it, and its exit code is ours."""
    checkout = _checkout()
    python = checkout / ".venv" / "bin" / "python"
    if not python.exists():
        raise CommandError(
            _("the tools of {checkout} are not installed: run `make setup` there").format(checkout=checkout)
        )
    as_json = ["--json"] if cli.screen.as_json and name != "events" else []  # events are JSON always
    _become(python, ["-m", "local", name, f"--name={stack}", *arguments, *as_json], checkout)


def _checkout() -> Path:
    """The checkout that this is run in. Raises `UsageError` elsewhere."""
    here = Path.cwd()
    for each in (here, *here.parents):
        if all((each / mark).is_file() for mark in _MARKS):
            return each
    raise UsageError(
        _(
            "`honninctl local` works within a checkout of Honnin's repository only: change to its directory and try "
            "again"
        )
    )


def _become(python: Path, arguments: Sequence[str], directory: Path) -> NoReturn:
    # As `make` sets it: bytecode beside the layer's sources would get into the next deployment.
    env = {**os.environ, "PYTHONPYCACHEPREFIX": str(directory / "build" / "pycache")}
    sys.stdout.flush()
    os.chdir(directory)
    os.execve(python, [str(python), *arguments], env)  # noqa: S606 (no shell is what is wanted)
