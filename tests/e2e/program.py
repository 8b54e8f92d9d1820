"""honninctl as an operator runs it: a process of its own, with credentials and a stack name."""

import json
import os
import subprocess
from dataclasses import dataclass
from typing import Any

from local import environment
from local.deployment import STACK_NAME
from local.paths import TOOLS
from local.stack import Stack


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
    """Run the installed command."""
    done = subprocess.run(
        [TOOLS / "bin" / "honninctl", *arguments],
        env=of_an_operator(stack) | env,
        input=given,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def ok(stack: Stack, *arguments: str) -> Any:
    """The JSON of a command that must succeed, with nothing else on stdout."""
    ended = honninctl(stack, *arguments, "--json")
    assert ended.code == 0, ended.stderr
    return ended.json
