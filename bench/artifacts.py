"""Builds the application and lays it out as Lambda does: task directories, the layer, the interpreter."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from local import deployment
from local.errors import LocalError
from local.paths import ROOT, SAM_DIRECTORY, run_directory
from local.steps import Steps

RUNTIME = ROOT / ".venv-runtime"
"""What the Lambda runtime brings: the runtime interface client and boto3; made by `make bench`."""

_NAME = "bench"


@dataclass(frozen=True)
class Artifacts:
    """Where the copies are. They are copies because another `sam build` may begin while the bench runs."""

    directory: Path

    @property
    def layer(self) -> Path:
        """What is `/opt/python` in Lambda."""
        return self.directory / "opt" / "python"

    def task(self, name: str) -> Path:
        """What is `/var/task` in Lambda, of the contestant called `name`."""
        return self.directory / "task" / name

    @property
    def python(self) -> Path:
        """The interpreter with the runtime's packages."""
        return RUNTIME / "bin" / "python"

    @property
    def public_authorities(self) -> Path:
        """A certificate bundle of the usual size: the one that botocore carries."""
        return next(RUNTIME.glob("lib/python*/site-packages/botocore/cacert.pem"))


def build(functions: list[str], peers: list[str], steps: Steps) -> Artifacts:
    """Run `sam build`, compile the layer, copy `functions` (logical ids) and `peers` (folders of bench/).

    LocalError, one plain sentence, when the build fails or the runtime's environment is missing.
    """
    artifacts = Artifacts(run_directory(_NAME))
    if not artifacts.python.exists():
        raise LocalError("There is no .venv-runtime: run `make bench`, which makes it.")
    with deployment.build_lock():
        deployment.build(_NAME, steps)
        with steps.step("Copying what was built"):
            _copy(SAM_DIRECTORY / "build" / "HonninLayer" / "python", artifacts.layer)
            for name in functions:
                _copy(SAM_DIRECTORY / "build" / name, artifacts.task(name))
    for name in peers:
        _copy(Path(__file__).parent / name, artifacts.task(name))
        # As `sam build` leaves a function: without bytecode of its own.
        shutil.rmtree(artifacts.task(name) / "__pycache__", ignore_errors=True)
    return artifacts


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
