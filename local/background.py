"""A local stack in the background: started by a process of its own, which holds it until it is ended.

That process (`python -m local keep`) does what `make run` does (`stack.running`), without the demonstration. It is no
child of the terminal, so it outlives the shell that asked for it.
"""

import contextlib
import os
import signal
import subprocess
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from local import stack
from local.errors import LocalError
from local.paths import ROOT, TOOLS, description_file, run_directory

_START_S = 900.0
_STOP_S = 30.0
_POLL_S = 0.05


def up(name: str, arguments: Sequence[str], progress: IO[str]) -> None:
    """Start the stack `name` with `arguments` of `python -m local keep`; return when it is ready.

    What it does is written to `progress` meanwhile. LocalError, with what it said last, when it does not get ready; a
    signal while it starts ends it again.
    """
    if stack.holder(name) is None:
        description_file(name).unlink(missing_ok=True)  # of a run that was killed: it would be taken for this one's
    log = run_directory(name) / "keep.log"
    with log.open("w", encoding="utf-8") as output:
        keeper = subprocess.Popen(
            [TOOLS / "bin" / "python", "-m", "local", "keep", "--name", name, *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_ready(name, keeper, log, progress)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            keeper.terminate()
        keeper.wait()
        raise
    with warnings.catch_warnings():  # that nobody waits for it is what is wanted
        warnings.simplefilter("ignore", ResourceWarning)
        del keeper


def down(name: str) -> bool:
    """End the stack `name`, however it was started; whether there was one. LocalError when it does not end."""
    holder = stack.holder(name)
    if holder is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(holder, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_S
    while stack.holder(name) is not None:
        if time.monotonic() > deadline:
            raise LocalError(f"The local stack {name!r} (process {holder}) did not end within {_STOP_S:.0f} s.")
        time.sleep(_POLL_S)
    return True


def _wait_until_ready(name: str, keeper: "subprocess.Popen[bytes]", log: Path, progress: IO[str]) -> None:
    deadline = time.monotonic() + _START_S
    last = ""  # not shown until another line comes: of a process that ends, it says why
    with log.open(encoding="utf-8") as said:
        while True:
            ended, ready = keeper.poll() is not None, description_file(name).exists()
            *before, last = (last + said.read()).splitlines(keepends=True) or [""]
            progress.writelines(before)
            progress.flush()
            if ended:
                raise LocalError(last.strip() or f"The local stack {name!r} ended without a word: read {log}.")
            if ready:
                progress.write(last)
                return
            if time.monotonic() > deadline:
                raise LocalError(f"The local stack {name!r} was not ready within {_START_S:.0f} s: read {log}.")
            time.sleep(_POLL_S)
