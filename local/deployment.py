"""The real `sam build` and `sam deploy`, against the emulator."""

import contextlib
import fcntl
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from local import environment
from local.bytecode import compile_layers
from local.differences import Setting, settings
from local.errors import LocalError
from local.paths import ROOT, TOOLS, run_directory
from local.processes import LeashedProcess
from local.steps import Steps

STACK_NAME = "honnin-local"
_SAM_CONFIG = ("--config-env", "local")
_TIMEOUT_S = 900.0


def build_and_deploy(
    name: str, endpoint: str, given: Sequence[Setting], steps: Steps, *, run_id: str | None = None
) -> None:
    """Build the application and deploy it to `endpoint`, with the parameters `given` (`differences.settings`).

    Of the stacks with one `run_id`, the first builds for all; they deploy side by side. LocalError with the last line
    that sam said, and where the rest is, when a step fails.
    """
    with _built(name, steps, run_id), steps.step("Deploying the stack (sam deploy --config-env local)"):
        _sam(name, "deploy", _deploy_arguments(given), env=environment.sam(endpoint=endpoint))


def build(name: str, steps: Steps) -> None:
    """`sam build` for this machine's architecture, and the layer's bytecode. Hold `build_lock` meanwhile."""
    with steps.step("Building the functions and the layer (sam build)"):
        _sam(name, "build", _build_arguments(), env=environment.sam())
    with steps.step("Compiling the layer's bytecode"):
        compile_layers()


@contextlib.contextmanager
def build_lock() -> Iterator[None]:
    """One at a time: `make run` and `make test` side by side share .aws-sam."""
    with _lock_file("lock") as building, _lock_file("users") as users:
        fcntl.flock(building, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_EX)
        building.truncate(0)  # whoever deploys next builds anew
        yield


@contextlib.contextmanager
def _built(name: str, steps: Steps, run_id: str | None) -> Iterator[None]:
    """Nobody builds while this lasts, and what was built is this run's."""
    with _lock_file("users") as users:
        with _lock_file("lock") as building:
            fcntl.flock(building, fcntl.LOCK_EX)
            if run_id is None or building.read() != run_id:
                fcntl.flock(users, fcntl.LOCK_EX)
                building.truncate(0)
                build(name, steps)
                building.write(run_id or "")
            fcntl.flock(users, fcntl.LOCK_SH)
        yield


def _lock_file(name: str) -> IO[str]:
    """A file in which the last run writes its id; its locks end with the one who has opened it."""
    file = (run_directory("build") / name).open("a+", encoding="utf-8")
    file.seek(0)
    return file


def _build_arguments() -> list[str]:
    # Without the parameters that differ from run to run: the layer only depends on the architecture.
    return [*_SAM_CONFIG, "--cached", "--parallel", "--parameter-overrides", *_overrides(settings([]))]


def _deploy_arguments(given: Sequence[Setting]) -> list[str]:
    return [
        *(*_SAM_CONFIG, "--stack-name", STACK_NAME, "--region", environment.REGION),
        *("--resolve-s3", "--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"),
        *("--parameter-overrides", *_overrides(given)),
    ]


def _overrides(given: Sequence[Setting]) -> list[str]:
    return [each.override() for each in given]


def _sam(name: str, command: str, arguments: Sequence[str], *, env: Mapping[str, str]) -> None:
    log = run_directory(name) / f"sam-{command}.log"
    python: Path = TOOLS / "bin" / "python"
    with LeashedProcess(python, ["samcli", command, *arguments], env=env, log=log, cwd=ROOT) as sam:
        if sam.wait(_TIMEOUT_S) != 0:
            raise LocalError(f"`sam {command}` failed ({sam.last_words()}): read {log}.")
