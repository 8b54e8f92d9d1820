"""The real `sam build` and `sam deploy`, against the emulator."""

import contextlib
import fcntl
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from local import environment
from local.bytecode import compile_layers
from local.differences import Setting, settings
from local.errors import LocalError
from local.paths import ROOT, SAM_DIRECTORY, TOOLS, run_directory
from local.processes import LeashedProcess
from local.steps import Steps

STACK_NAME = "honnin-local"
_SAM_CONFIG = ("--config-env", "local")
_TIMEOUT_S = 900.0
# What a build is made of; bytecode beside the sources is not.
_SOURCES = ("template.yaml", "samconfig.toml", "functions", "layers", "local/bytecode.py")


def build_and_deploy(name: str, endpoint: str, given: Sequence[Setting], steps: Steps) -> None:
    """Build the application and deploy it to `endpoint`, with the parameters `given` (`differences.settings`).

    Of several stacks that start at once, the first builds for all; they deploy side by side. LocalError with the last
    line that sam said, and where the rest is, when a step fails.
    """
    with _built(name, steps), steps.step("Deploying the stack (sam deploy --config-env local)"):
        _sam(name, "deploy", _deploy_arguments(given), env=environment.sam(endpoint=endpoint))


def build(name: str, steps: Steps) -> None:
    """`sam build` for this machine's architecture, and the layer's bytecode. Hold `build_lock` meanwhile."""
    if _is_built():
        return
    _stamp().unlink(missing_ok=True)
    with steps.step("Building the functions and the layer (sam build)"):
        _sam(name, "build", _build_arguments(), env=environment.sam())
    with steps.step("Compiling the layer's bytecode"):
        compile_layers()
    _stamp().write_text(_made())


def _is_built() -> bool:
    """Whether the last build was of these sources, and nobody has changed what it made.

    `sam build --cached` takes seconds to find that out.
    """
    return _stamp().exists() and _stamp().read_text() == _made()


def _stamp() -> Path:
    return run_directory("build") / "made"


def _made() -> str:
    """A digest of the contents of what is built from, and of names, sizes and times of what was built."""
    said = hashlib.sha256(repr(_build_arguments()).encode())
    for top in _SOURCES:
        for path in _files(ROOT / top):
            if path.parent.name == "__pycache__":
                continue
            said.update(f"{path.relative_to(ROOT)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    for path in _files(SAM_DIRECTORY / "build"):
        known = path.stat()
        said.update(f"{path.relative_to(SAM_DIRECTORY)} {known.st_size} {known.st_mtime_ns}\n".encode())
    return said.hexdigest()


def _files(top: Path) -> list[Path]:
    return sorted(each for each in (top, *top.rglob("*")) if each.is_file())


@contextlib.contextmanager
def build_lock() -> Iterator[None]:
    """One at a time: `make run` and `make test` side by side share .aws-sam."""
    with _lock_file("lock") as building, _lock_file("users") as users:
        fcntl.flock(building, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _built(name: str, steps: Steps) -> Iterator[None]:
    """Nobody builds while this lasts, and what was built is of the sources as they are."""
    with _lock_file("users") as users:
        with _lock_file("lock") as building:
            fcntl.flock(building, fcntl.LOCK_EX)
            if not _is_built():
                fcntl.flock(users, fcntl.LOCK_EX)
                build(name, steps)
            fcntl.flock(users, fcntl.LOCK_SH)
        yield


def _lock_file(name: str) -> IO[str]:
    """An empty file, whose locks end with the one who has opened it."""
    return (run_directory("build") / name).open("w", encoding="utf-8")


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
