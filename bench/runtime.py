"""One Lambda runtime: awslambdaric under the runtime interface emulator, and what the emulator's log says of it."""

import http.client
import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from bench.artifacts import Artifacts
from bench.rie import Emulator
from local import environment
from local.errors import LocalError
from local.paths import ROOT, TOOLS
from local.ports import LOOPBACK, free_port
from local.processes import LeashedProcess

_INVOKE_PATH = "/2015-03-31/functions/function/invocations"
_START_TIMEOUT_S = 20.0
_INVOKE_TIMEOUT_S = 60.0

_INIT = re.compile(r"INIT REPORT\(durationMs: ([0-9.]+)\)")
_INVOKE = re.compile(r"INVOKE RTDONE\(status: (\w+), [^)]*duration: ([0-9.]+)ms\)")


@dataclass(frozen=True)
class Measured:
    """What one runtime process took, in milliseconds; the first of `invokes_ms` is the cold one."""

    init_ms: float
    invokes_ms: list[float]

    @property
    def cold_ms(self) -> float:
        """Init and first invoke: what the caller of a cold function waits for."""
        return self.init_ms + self.invokes_ms[0]


class Runtime:
    """A function in its own emulator; a context manager. The process of the function starts with the first invoke."""

    def __init__(self, artifacts: Artifacts, name: str, settings: Mapping[str, str], log: Path) -> None:
        self.name = name
        self._invoked = 0
        self._address = (LOOPBACK, free_port())
        self._runtime_api = f"{LOOPBACK}:{free_port()}"
        emulator = Emulator(
            arguments=[
                *("--runtime-interface-emulator-address", "{}:{}".format(*self._address)),
                *("--runtime-api-address", self._runtime_api),
                *(str(artifacts.python), "-m", "awslambdaric", "app.lambda_handler"),
            ],
            environment=_environment(artifacts, name) | dict(settings),
            directory=str(artifacts.task(name)),
        )
        self._process = LeashedProcess(
            TOOLS / "bin" / "python",
            ["bench.rie", emulator.to_json()],
            env=environment.bare(log.parent, venv=TOOLS) | {"PYTHONPATH": str(ROOT)},
            log=log,
            cwd=ROOT,
        )

    def __enter__(self) -> Self:
        try:
            self._await_listening()
        except BaseException:
            self._process.stop()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self._process.stop()

    def invoke(self, event: Mapping[str, Any]) -> None:
        """Invoke once; LocalError unless the function answers with status 200."""
        connection = http.client.HTTPConnection(*self._address, timeout=_INVOKE_TIMEOUT_S)
        try:
            connection.request("POST", _INVOKE_PATH, json.dumps(event), {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise LocalError(f"{self.name} did not answer ({error!r}): read {self._process.log}.") from None
        finally:
            connection.close()
        if not isinstance(answer, dict) or answer.get("statusCode") != 200:
            raise LocalError(f"{self.name} answered {str(answer)[:200]}: read {self._process.log}.")
        self._invoked += 1

    def peak_rss_mib(self) -> float:
        """The highest resident set of the function's process so far, in MiB."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes()
                is_ours = f"AWS_LAMBDA_RUNTIME_API={self._runtime_api}".encode() in (process / "environ").read_bytes()
                status = (process / "status").read_text()
            except OSError:  # it ended, or belongs to somebody else
                continue
            if is_ours and b"\0awslambdaric\0" in command:
                kib = re.search(r"VmHWM:\s+(\d+) kB", status)
                if kib:
                    return int(kib[1]) / 1024
        raise LocalError(f"The process of {self.name} is gone: read {self._process.log}.")

    def measured(self) -> Measured:
        """What the emulator wrote in its log. To be called after the end: the log is complete then."""
        text = self._process.log.read_text(encoding="utf-8", errors="replace")
        inits = _INIT.findall(text)
        invokes = _INVOKE.findall(text)
        failed = [status for status, _ in invokes if status != "success"]
        if len(inits) != 1 or len(invokes) != self._invoked or failed:
            raise LocalError(
                f"{self.name}: {len(inits)} inits, {len(invokes)} of {self._invoked} invokes, {len(failed)} failed, "
                f"where one init and no failure was expected: read {self._process.log}."
            )
        return Measured(float(inits[0]), [float(duration) for _, duration in invokes])

    def _await_listening(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while self._process.exit_code is None and time.monotonic() < deadline:
            # Not an invoke, and a path that the emulator does not know: nothing starts by it.
            probe = http.client.HTTPConnection(*self._address, timeout=1)
            try:
                probe.request("GET", "/ping")
                probe.getresponse().read()
                return
            except OSError:
                time.sleep(0.01)
            finally:
                probe.close()
        raise LocalError(f"The runtime interface emulator did not start: read {self._process.log}.")


def _environment(artifacts: Artifacts, name: str) -> dict[str, str]:
    """The variables that Lambda sets."""
    task = artifacts.task(name)
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "TZ": ":UTC",
        # The order of Lambda: the task, then the layers; the runtime's own packages are the interpreter's.
        "PYTHONPATH": f"{task}:{artifacts.layer}",
        # /var/task and /opt are read-only there.
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "LAMBDA_TASK_ROOT": str(task),
    }
