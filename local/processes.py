"""Child processes on a leash: started in a group of their own, stopped as a group, never left behind."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Self

from local.errors import LocalError

_LEASH = Path(__file__).with_name("leash.py")
_GRACE_S = 3.0
_POLL_S = 0.02


class LeashedProcess:
    """One module run as a program (`python -m`), with its output in a log file.

    It leads a process group of its own, so a Ctrl-C in the terminal does not reach it: its starter decides when
    and in which order things stop.
    """

    def __init__(
        self,
        python: Path,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        log: Path,
        cwd: Path,
        append_path: Path | None = None,
        first: Sequence[Path] = (),
    ) -> None:
        """Start `command` (a module and its arguments) with the interpreter `python`; `leash.py` has the other two."""
        extra = ["--append-path", str(append_path)] if append_path else []
        for each in first:
            extra += ["--first", str(each)]
        self.log = log
        self._log: IO[bytes] = log.open("wb")
        self._child = subprocess.Popen(
            [str(python), str(_LEASH), *extra, *command],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    @property
    def exit_code(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._child.poll()

    def wait(self, timeout_s: float) -> int:
        """The exit code, once it has ended by itself; LocalError after `timeout_s` seconds."""
        try:
            return self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise LocalError(f"It did not end within {timeout_s:.0f} s; its output is in {self.log}.") from None

    def last_words(self) -> str:
        """The last line of its output that starts with `Error`, or else the last one; 300 characters at most."""
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("Error")]
        return ["", *lines[-1:], *errors[-1:]][-1][:300]

    def stop(self) -> None:
        """End the whole group: SIGTERM, and SIGKILL for what is left after the grace time. Safe to repeat."""
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_S
        while self._group_alive() and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        self._signal(signal.SIGKILL)
        self._child.wait()
        while self._group_alive() and time.monotonic() < deadline + _GRACE_S:
            time.sleep(_POLL_S)
        if self._child.stdin:
            self._child.stdin.close()
        self._log.close()

    def _group_alive(self) -> bool:
        self._child.poll()  # reaps the leader: a zombie would count as alive
        try:
            os.killpg(self._child.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, number)
