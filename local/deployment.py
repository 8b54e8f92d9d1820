"""The real `sam build` and `sam deploy`, against the emulator."""

import contextlib
import fcntl
import platform
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from local import environment
from local.bytecode import compile_layers
from local.errors import LocalError
from local.paths import ROOT, TOOLS, run_directory
from local.processes import LeashedProcess
from local.steps import Steps

STACK_NAME = "honnin-local"
_CONFIG_ENV = "local"
_SAM_CONFIG = ("--config-env", _CONFIG_ENV)
_TIMEOUT_S = 900.0


def build_and_deploy(name: str, endpoint: str, parameters: Mapping[str, str], steps: Steps) -> None:
    """Build the application and deploy it to `endpoint`, with `parameters` added to those of samconfig's [local].

    LocalError with the last line that sam said, and where the rest is, when a step fails.
    """
    with build_lock():
        build(name, steps)
        with steps.step("Deploying the stack (sam deploy --config-env local)"):
            deploying = environment.sam(endpoint=endpoint)
            _sam(name, "deploy", _deploy_arguments(parameters), env=deploying)


def build(name: str, steps: Steps) -> None:
    """`sam build` for this machine's architecture, and the layer's bytecode. Hold `build_lock` meanwhile."""
    with steps.step("Building the functions and the layer (sam build)"):
        _sam(name, "build", _build_arguments(), env=environment.sam())
    with steps.step("Compiling the layer's bytecode"):
        compile_layers()


@contextlib.contextmanager
def build_lock() -> Iterator[None]:
    """One at a time: `make run` and `make test` side by side share .aws-sam."""
    path = run_directory("build") / "lock"
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build_arguments() -> list[str]:
    # Without the parameters that differ from run to run: the layer only depends on the architecture.
    return [*_SAM_CONFIG, "--cached", "--parallel", "--parameter-overrides", *_overrides({})]


def _deploy_arguments(parameters: Mapping[str, str]) -> list[str]:
    return [
        *(*_SAM_CONFIG, "--stack-name", STACK_NAME, "--region", environment.REGION),
        *("--resolve-s3", "--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"),
        *("--parameter-overrides", *_overrides(parameters)),
    ]


def _overrides(parameters: Mapping[str, str]) -> list[str]:
    """samconfig's overrides for [local], the machine's architecture, and `parameters`, which win."""
    ours = {"Architecture": _architecture(), **parameters}
    kept = [each for each in _configured_overrides() if each.partition("=")[0] not in ours]
    return kept + [f"{key}={value}" for key, value in ours.items()]


def _architecture() -> str:
    """This machine's, by Lambda's name for it: ministack runs the functions on it."""
    return "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x86_64"


def _configured_overrides() -> list[str]:
    """samconfig's own overrides for [local]: `--parameter-overrides` replaces them, so they are repeated."""
    path = ROOT / "samconfig.toml"
    if not path.exists():
        return []
    configuration = tomllib.loads(path.read_text(encoding="utf-8")).get(_CONFIG_ENV, {})
    overrides = configuration.get("deploy", {}).get("parameters", {}).get("parameter_overrides", [])
    return overrides.split() if isinstance(overrides, str) else [str(each) for each in overrides]


def _sam(name: str, command: str, arguments: Sequence[str], *, env: Mapping[str, str]) -> None:
    log = run_directory(name) / f"sam-{command}.log"
    python: Path = TOOLS / "bin" / "python"
    with LeashedProcess(python, ["samcli", command, *arguments], env=env, log=log, cwd=ROOT) as sam:
        if sam.wait(_TIMEOUT_S) != 0:
            raise LocalError(f"`sam {command}` failed ({sam.last_words()}): read {log}.")
