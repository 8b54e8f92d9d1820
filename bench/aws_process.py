"""A stand-in for AWS (`bench.stand_in`) in a process of its own, and what is asked of it."""

import contextlib
import http.client
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from local import environment
from local.errors import LocalError
from local.paths import ROOT, TOOLS
from local.ports import LOOPBACK, free_port
from local.processes import LeashedProcess

_START_TIMEOUT_S = 60.0

ACCOUNT = "000000000000"


class Aws:
    """The stand-in, running."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.endpoint = f"http://{LOOPBACK}:{port}"

    def queue_url(self, name: str) -> str:
        """The URL of a queue."""
        return f"{self.endpoint}/{ACCOUNT}/{name}"

    def settings(self) -> dict[str, str]:
        """The variables by which a process reaches it; any credentials do."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "ASIABENCHBENCHBENCH0",
            "AWS_SECRET_ACCESS_KEY": "a-key-of-the-usual-length-for-the-bench-",
        }

    def ask(self, method: str) -> dict[str, Any]:
        """Read (GET) or forget (DELETE) what was asked of it."""
        connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=60)
        try:
            connection.request(method, "/tally")
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer
        finally:
            connection.close()


@contextlib.contextmanager
def running(directory: Path, module: str, arguments: Sequence[str]) -> Iterator[Aws]:
    """A module of the bench that serves at the port it is given first. LocalError when it does not start."""
    aws = Aws(port := free_port())
    process = LeashedProcess(
        TOOLS / "bin" / "python",
        [module, str(port), *arguments],
        env=environment.bare(directory, venv=TOOLS) | {"PYTHONPATH": f"{ROOT}:{ROOT / 'layers' / 'honnin'}"},
        log=directory / f"{module}.log",
        cwd=ROOT,
    )
    with process:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                aws.ask("GET")
                break
            except OSError:
                if process.exit_code is not None or time.monotonic() > deadline:
                    raise LocalError(f"The stand-in for AWS did not start: read {process.log}.") from None
                time.sleep(0.1)
        yield aws
