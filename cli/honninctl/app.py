"""The program: its commands, and what its own help says."""

import os
import sys

import typer

from honninctl import (
    access_commands,
    dead_letter_commands,
    doctor_command,
    help_page,
    index_commands,
    local_commands,
    overview_commands,
    people_commands,
    recon_commands,
    register_commands,
    registers_commands,
    repairs_commands,
    reread_command,
    rereads_commands,
    sign_commands,
    stack_commands,
    streams,
    trigger_commands,
    webhook_commands,
)
from honninctl.command import PROGRAM, shared_options, unwrapped
from honninctl.console import command as console_command
from honninctl.failures import ExitCode
from honninctl.language import _, choose, speak

_HELP = """Honnin for the people who run it.

Works on a deployed stack (--stack or HONNIN_STACK) with your own AWS credentials; on the stack of `make run` with
--endpoint or HONNIN_ENDPOINT. Personal data is shown with --reveal only.
"""

_EPILOG = (
    "Exit codes: 0 all right; 1 something was found, or failed; 2 wrong usage, or a setting that is not valid; "
    "3 not found; 4 no usable credentials or no permission; 5 AWS does not answer; 130 interrupted; "
    "141 the reader of the output has ended."
)


def program() -> typer.Typer:
    """The program with all its commands."""
    app = typer.Typer(
        name=PROGRAM,
        cls=help_page.Group,
        help=_(unwrapped(_HELP)),
        epilog=_(_EPILOG),
        add_completion=False,
        no_args_is_help=True,
        # Tracebacks of the library would print local variables: ids and secrets.
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(shared_options(of_program=True))
    for module in (
        people_commands,
        access_commands,
        overview_commands,
        register_commands,
        registers_commands,
        reread_command,
        repairs_commands,
        rereads_commands,
        recon_commands,
        dead_letter_commands,
        webhook_commands,
        index_commands,
        stack_commands,
        sign_commands,
        doctor_command,
        trigger_commands,
        local_commands,
        console_command,
    ):
        module.register(app)
    return app


def main() -> None:
    """The console script."""
    # From here on the layer's modules are imported: bytecode beside them would get into the next deployment.
    sys.dont_write_bytecode = True
    speak(choose(sys.argv[1:], os.environ))
    has_stdout = sys.stdout is not None
    streams.prepare()
    if not has_stdout:
        # Nothing is done either: an erasure's certificate would be lost.
        closed = _("standard output is closed; send it to /dev/null if you do not need it")
        sys.stderr.write(f"honninctl: {closed}\n")
        sys.exit(ExitCode.USAGE)
    with streams.flushed():
        program()(prog_name="honninctl")
