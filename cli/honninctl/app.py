"""The program: its commands, and what its own help says."""

import sys

import typer

from honninctl import dead_letter_commands, doctor_command, people_commands, recon_commands, sign_commands
from honninctl.command import connection
from honninctl.console import command as console_command

_HELP = """Honnin for the people who run it.

Works on a deployed stack (--stack or HONNIN_STACK) with your own AWS credentials; on the stack of `make run` with
--endpoint or HONNIN_ENDPOINT. Personal data is shown with --reveal only.
"""

_EPILOG = (
    "Exit codes: 0 all right; 1 something was found, or failed; 2 wrong usage; 3 not found; "
    "4 no credentials or no permission; 5 AWS does not answer; 130 interrupted."
)


def program() -> typer.Typer:
    """The program with all its commands."""
    app = typer.Typer(
        name="honninctl",
        help=_HELP,
        epilog=_EPILOG,
        add_completion=False,
        no_args_is_help=True,
        # Tracebacks of the library would print local variables: ids and secrets.
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(connection)
    for module in (
        people_commands,
        recon_commands,
        dead_letter_commands,
        sign_commands,
        doctor_command,
        console_command,
    ):
        module.register(app)
    return app


def main() -> None:
    """The console script."""
    # From here on the layer's modules are imported: bytecode beside them would get into the next deployment.
    sys.dont_write_bytecode = True
    program()(prog_name="honninctl")
