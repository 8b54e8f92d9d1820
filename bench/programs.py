"""A module of the bench under the Lambda runtime's interpreter, with a function's built artifact and the layer."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bench.artifacts import Artifacts
from local import environment
from local.errors import LocalError
from local.paths import ROOT, TOOLS
from local.processes import LeashedProcess

# What a run may take at most; far more than it does, so that a busy machine spoils nothing.
_TIMEOUT_S = 900.0

_SETTINGS = {
    "AWS_DEFAULT_REGION": environment.REGION,
    "AWS_REGION": environment.REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "POWERTOOLS_SERVICE_NAME": "honnin",
}


class Program:
    """A running module; a context manager."""

    def __init__(
        self,
        artifacts: Artifacts,
        module: str,
        arguments: Sequence[str],
        *,
        function: str,
        settings: Mapping[str, str] | None = None,
        log: str = "run",
    ) -> None:
        path = f"{artifacts.task(function)}:{artifacts.layer}:{ROOT}"
        bare = environment.bare(artifacts.directory, venv=TOOLS) | _SETTINGS
        self._module = module
        self._process = LeashedProcess(
            artifacts.python,
            [module, *arguments],
            env=bare | dict(settings or {}) | {"PYTHONPATH": path},
            log=artifacts.directory / f"{log}.log",
            cwd=ROOT,
        )

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_exception: object) -> None:
        self._process.stop()

    def said(self) -> dict[str, Any]:
        """The JSON that it ends with. LocalError when it fails."""
        exit_code = self._process.wait(_TIMEOUT_S)
        if exit_code:
            raise LocalError(f"{self._module} failed ({self._process.last_words()}): read {self._process.log}.")
        said: dict[str, Any] = json.loads(self._process.log.read_text(encoding="utf-8").splitlines()[-1])
        return said


def run(artifacts: Artifacts, module: str, arguments: Sequence[str], **how: Any) -> dict[str, Any]:
    """Run a module to its end; the JSON that it ends with. LocalError when it fails."""
    with Program(artifacts, module, arguments, **how) as program:
        return program.said()
