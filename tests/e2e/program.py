"""honninctl as an operator runs it: a process of its own, with credentials and a stack name."""

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from local import environment
from local.deployment import STACK_NAME
from local.forking import Forked, Forker
from local.paths import ROOT, TOOLS
from local.stack import Stack

_TIMEOUT_S = 100
_PROGRAM = TOOLS / "bin" / "honninctl"


@dataclass(frozen=True)
class Ended:
    """How the program ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """What it printed."""
        return json.loads(self.stdout)


def of_an_operator(stack: Stack) -> dict[str, str]:
    """The environment variables of an operator's shell; nothing of the developer's own AWS settings is in it."""
    return {
        "PATH": os.defpath,
        "HOME": "/nonexistent",
        "LANG": "C.UTF-8",
        "HONNIN_STACK": STACK_NAME,
        "HONNIN_ENDPOINT": stack.endpoint,
        "AWS_ACCESS_KEY_ID": environment.DEPLOYER_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": environment.DEPLOYER_SECRET,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def honninctl(stack: Stack, *arguments: str, given: str = "", **env: str) -> Ended:
    """Run a command in a process that was forked for it (`local/forking.py`)."""
    return forked(arguments, of_an_operator(stack) | env, given=given)


def started(stack: Stack, *arguments: str, **env: str) -> Ended:
    """Start the installed command."""
    done = subprocess.run(
        [_PROGRAM, *arguments],
        env=of_an_operator(stack) | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def forked(arguments: Sequence[str], env: Mapping[str, str], *, given: str = "", stdin: int | None = None) -> Ended:
    """Run a command with these arguments and environment variables, and a text or a descriptor as its input."""
    with _begun(
        [str(_PROGRAM), *arguments],
        cwd=ROOT,
        env=env,
        stdin=subprocess.PIPE if stdin is None else stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            out, err = running.communicate(given if stdin is None else None, timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            running.kill()
            raise
        return Ended(running.returncode, out, err)


def _begun(command: Sequence[str], **more: Any) -> subprocess.Popen[str]:
    """Fork the program, or start it where forking is not possible."""
    if sys.platform == "linux":
        return Forked(_forker(), command, **more)
    return subprocess.Popen(command, **more)


@cache
def _forker() -> Forker:
    env = {"PATH": os.defpath, "HOME": "/nonexistent", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
    made = Forker(TOOLS / "bin" / "python", ("honnin", "honninctl"), env=env)
    atexit.register(made.close)
    return made


def ok(stack: Stack, *arguments: str) -> Any:
    """The JSON of a command that must succeed, with nothing else on stdout."""
    ended = honninctl(stack, *arguments, "--json")
    assert ended.code == 0, ended.stderr
    return ended.json
