"""Runs the runtime interface emulator as a child: `python -m bench.rie EMULATOR` (an `Emulator` as JSON).

A module of its own because what is on a leash (local/processes.py) is a Python module: when the bench dies, however it
does, the leash ends the emulator, and the runtime below it ends by itself when the emulator no longer answers.
"""

import importlib.util
import json
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from local.errors import LocalError


@dataclass(frozen=True)
class Emulator:
    """How the emulator is started. Its environment is the function's: it hands on all of it."""

    arguments: list[str]
    environment: dict[str, str]
    directory: str

    def to_json(self) -> str:
        """The argument of this module."""
        return json.dumps(asdict(self))

    def run(self) -> int:
        """Run it to its end; the exit code."""
        return subprocess.call([binary(), *self.arguments], env=self.environment, cwd=self.directory)


def binary() -> Path:
    """The emulator inside the aws-sam-cli package; LocalError where there is none for this machine."""
    if sys.platform != "linux":
        raise LocalError("The Lambda runtime interface emulator is a Linux program: run `make bench` on Linux.")
    package = importlib.util.find_spec("samcli")
    if package is None or package.origin is None:
        raise LocalError("aws-sam-cli is not installed in this environment: run `make setup`.")
    architecture = "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x86_64"
    path = Path(package.origin).parent / "local" / "rapid" / f"aws-lambda-rie-{architecture}"
    if not path.is_file():
        raise LocalError(f"This aws-sam-cli carries no {path.name}: `make bench` needs 1.160 or later.")
    return path


if __name__ == "__main__":
    sys.exit(Emulator(**json.loads(sys.argv[1])).run())
