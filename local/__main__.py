"""`python -m local …`: the deployed local stack, in front of you with the main job shown on it or in the background."""

# ruff: noqa: E402
from local import interrupts

interrupts.end_at_once()  # until all is imported, which takes a second: there is nothing to stop yet

import argparse
import contextlib
import os
import re
import shlex
import sys
import traceback

from honninctl import streams
from local import commands
from local.errors import LocalError
from local.paths import DEFAULT_NAME, run_directory
from local.ports import LOOPBACK

_PORTS = {"port": ("HONNIN_PORT", 4566), "sandbox_port": ("HONNIN_SANDBOX_PORT", 9100)}
_HOST = "HONNIN_HOST"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


def main() -> int:
    """Run the command; the exit code is 0 (all as expected), 1 (not), 3 (no such stack), or 128 + the signal."""
    streams.prepare()
    options = _parser().parse_args()
    interrupts.install()
    try:
        code: int = options.command(options)
        sys.stdout.flush()
        return code
    except interrupts.StopRequestedError as stopped:
        with contextlib.suppress(OSError):  # whoever would read it may have gone before
            print("Stopped: everything that was started has ended.", file=sys.stderr)
        return stopped.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nothing more can be said there, also not at the exit
        return 141
    except LocalError as error:
        print(error, file=sys.stderr)
    except Exception as error:  # the reader gets a sentence; the traceback is kept for a developer
        report = run_directory(options.name) / "error.log"
        report.write_text(traceback.format_exc())
        print(f"An unexpected error occurred ({type(error).__name__}): read {report}.", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    parsers = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, about: str) -> argparse.ArgumentParser:
        made = parsers.add_parser(name, help=about, description=about)
        made.set_defaults(command=getattr(commands, name))
        made.add_argument(
            "--name", type=_name, default=DEFAULT_NAME, help="which stack, where several run side by side"
        )
        return made

    run = command("run", "start, build, deploy, show the main job")
    run.add_argument(
        "--once", action="store_true", help="stop after the demo; exit 0 only if every scene ended as expected"
    )
    up, keep = command("up", "start a stack in the background"), command("keep", "hold a stack (started by `up`)")
    for each in (run, up, keep):
        _add_start(each)
    answering = (
        up,
        command("down", "end a stack"),
        command("status", "where a running stack is; 0: ready, 1: starting or not answering, 3: none"),
        command("reset", "empty a running stack and its sandbox"),
    )
    for each in answering:
        each.add_argument("--json", action="store_true", help="JSON on stdout")
    events = command("events", "print domain events of a running stack, each as a line of JSON")
    events.add_argument("--follow", action="store_true", help="until Ctrl-C, not only the next one")
    events.add_argument("--timeout", type=float, default=None, metavar="SECONDS", help="how long to wait; then exit 1")
    return parser


def _add_start(parser: argparse.ArgumentParser) -> None:
    for name, (variable, port) in _PORTS.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=_port,
            default=os.environ.get(variable) or None,
            help=f"0: any free one; default ${variable}, or {port}, or of a stack with another --name a free one",
        )
    parser.add_argument(
        "--host",
        choices=(LOOPBACK, "0.0.0.0"),
        default=os.environ.get(_HOST) or LOOPBACK,
        help=f"the address to listen on; 0.0.0.0 only in a container (default ${_HOST} or {LOOPBACK})",
    )
    parser.add_argument(
        "--parameter", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the template"
    )
    parser.add_argument(
        "--parameters", type=shlex.split, default=[], metavar="'NAME=VALUE …'", help="several, as in a shell"
    )
    parser.add_argument("--sandbox", choices=("on", "off"), default="on", help="off: the parameters name another one")


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a name: take letters, digits, - and _")
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (1 to 65535, or 0 for any free one)")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
