"""`python -m local run`: the deployed local stack, with the main job shown on it."""

# ruff: noqa: E402
from local import interrupts

interrupts.end_at_once()  # until all is imported, which takes a second: there is nothing to stop yet

import argparse
import os
import signal
import sys
import traceback

from rich.console import Console

from honninctl import streams
from local import demo, demo_paypay, demo_recon, ports, screen, stack
from local.demo import VEXORA_SCENES
from local.demo_paypay import PAYPAY_SCENES
from local.demo_recon import RECON_SCENES
from local.errors import LocalError
from local.paths import run_directory

_NAME = "run"
_PORTS = {"port": ("HONNIN_PORT", 4566), "sandbox_port": ("HONNIN_SANDBOX_PORT", 9100)}


def main() -> int:
    """Run the command; the exit code is 0 (all as expected), 1 (not), or 128 + the signal that ended it."""
    streams.prepare()
    options = _parser().parse_args()
    terminal = screen.console()
    interrupts.install()
    try:
        return _run(terminal, options)
    except interrupts.StopRequestedError as stopped:
        terminal.print("Stopped: everything that was started has ended.")
        return stopped.exit_code
    except LocalError as error:
        print(error, file=sys.stderr)
    except Exception as error:  # the reader gets a sentence; the traceback is kept for a developer
        report = run_directory(_NAME) / "error.log"
        report.write_text(traceback.format_exc())
        print(f"An unexpected error occurred ({type(error).__name__}): read {report}.", file=sys.stderr)
    return 1


def _run(terminal: Console, options: argparse.Namespace) -> int:
    ports.require_free(options.port, what="the emulator", setting="HONNIN_PORT")
    ports.require_free(options.sandbox_port, what="the provider sandbox", setting="HONNIN_SANDBOX_PORT")
    if options.port == options.sandbox_port:
        raise LocalError("HONNIN_PORT and HONNIN_SANDBOX_PORT are the same port: choose two different ones.")
    steps = screen.ShownSteps(terminal)
    with stack.running(_NAME, port=options.port, sandbox_port=options.sandbox_port, steps=steps) as deployed:
        screen.show_differences(terminal, deployed)
        results = demo.perform(deployed, steps, (*VEXORA_SCENES, *PAYPAY_SCENES, *RECON_SCENES))
        screen.show_results(terminal, results)
        screen.show_recon(terminal, demo_recon.reports(deployed))
        screen.show_addresses(terminal, deployed)
        if not options.once:
            terminal.print(f"Link an account yourself, in a browser: {demo_paypay.account_link(deployed, 'you')}")
            terminal.print("The stack stays up. Ctrl-C stops everything.")
            while True:
                signal.pause()
    return 0 if all(result.ok for result in results) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="run")
    run = commands.add_parser("run", help="start, build, deploy, show the main job")
    run.add_argument(
        "--once", action="store_true", help="stop after the demo; exit 0 only if every scene ended as expected"
    )
    for name, (variable, default) in _PORTS.items():
        value = os.environ.get(variable) or str(default)
        run.add_argument(
            f"--{name.replace('_', '-')}", type=_port, default=value, help=f"default ${variable} or {default}"
        )
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (1 to 65535)")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
