"""Runs a module as a program that cannot outlive the process that started it.

    python leash.py [--append-path DIRECTORY] [--first FILE ...] MODULE [ARGUMENT ...]

Standard input is the leash: a pipe that only the starter holds. When it closes, be it that the starter was killed
with SIGKILL, the whole process group is killed, Lambda workers and pip included.

`--append-path` makes more packages importable in this process only. ministack needs the SAM translator, but the
functions that it runs (fresh interpreters) must not see it or anything that it brings along.

`--first` (as often as need be) runs a Python file in this process before the module: it may change what the module
imports.

Only the standard library is imported: this file also runs in the emulator's environment, by its path.
"""

import os
import runpy
import signal
import sys
import threading


def _hold(leash: int) -> None:
    """Wait for the end of the leash, then kill the process group that this process leads."""
    while os.read(leash, 1024):
        pass
    os.killpg(0, signal.SIGKILL)


def main(arguments: list[str]) -> None:
    """Hold the leash in a thread and run the module in this one."""
    if os.getpgrp() != os.getpid():
        sys.exit("leash.py must be started as the leader of a process group")
    leash = os.dup(0)
    # The program itself gets an empty standard input: nothing may wait for an answer.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    threading.Thread(target=_hold, args=(leash,), name="leash", daemon=True).start()

    del sys.path[0]  # the directory of this file: its neighbours must not shadow any module
    if arguments[0] == "--append-path":
        sys.path.append(arguments[1])
        arguments = arguments[2:]
    while arguments[0] == "--first":
        runpy.run_path(arguments[1], run_name="__main__")
        arguments = arguments[2:]
    sys.argv = arguments
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
