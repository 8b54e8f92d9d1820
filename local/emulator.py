"""ministack: AWS on the loopback address, with IAM enforced."""

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import requests

from local import environment
from local.errors import LocalError
from local.paths import EMULATOR, TOOLS, run_directory
from local.ports import LOOPBACK
from local.processes import LeashedProcess

_START_DEADLINE_S = 60.0
_HEALTH_POLL_S = 0.1
# What is run in the emulator before it: each changes it, and says how.
_FIRST = ("gateway_as_on_aws.py", "permissions_as_on_aws.py", "emulator_at_once.py", "emulator_forks.py")


@contextlib.contextmanager
def running(name: str, port: int, host: str = LOOPBACK) -> Iterator[str]:
    """The emulator on `port`; yields its endpoint URL on this machine and stops it, with its workers, at the end.

    It listens on the address `host`.
    """
    home = run_directory(name) / "emulator"
    shutil.rmtree(home, ignore_errors=True)  # a killed run leaves its files; each run starts from nothing
    python = EMULATOR / "bin" / "python"
    if not python.exists():
        raise LocalError(f"The emulator is not installed ({python} is missing): run `make setup`.")
    process = LeashedProcess(
        python,
        ["ministack"],
        env=_environment(home, port, host),
        log=run_directory(name) / "ministack.log",
        cwd=run_directory(name),
        append_path=_tool_packages(),
        first=[Path(__file__).with_name(each) for each in _FIRST],
    )
    endpoint = f"http://{LOOPBACK}:{port}"
    try:
        with process:
            _wait_until_healthy(process, endpoint)
            yield endpoint
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _tool_packages() -> Path:
    """Where the SAM translator lies that ministack's CloudFormation needs (see leash.py)."""
    found = sorted((TOOLS / "lib").glob("python*/site-packages"))
    if not found:
        raise LocalError(f"The tools are not installed ({TOOLS} is missing or empty): run `make setup`.")
    return found[0]


def _environment(home: Path, port: int, host: str) -> dict[str, str]:
    return environment.bare(home, venv=EMULATOR) | {
        "BIND_HOST": host,
        "MINISTACK_HOST": LOOPBACK,  # else queue URLs say localhost, which may resolve to ::1
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": environment.REGION,
        "AUTH": "true",
        "IOT_MTLS_ENABLED": "0",
        "PERSIST_STATE": "0",
        "S3_PERSIST": "0",
        # A comparison of recon looks every 5 minutes who was read: here every second and a half.
        "SFN_WAIT_SCALE": "0.005",
        "STATE_DIR": str(home / "state"),
        "S3_DATA_DIR": str(home / "s3"),
        "AWS_ACCESS_KEY_ID": environment.DEPLOYER_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": environment.DEPLOYER_SECRET,
    }


def _wait_until_healthy(process: LeashedProcess, endpoint: str) -> None:
    deadline = time.monotonic() + _START_DEADLINE_S
    with requests.Session() as session:
        session.trust_env = False
        while time.monotonic() < deadline:
            if process.exit_code is not None:
                raise LocalError(f"The emulator ended while starting: read {process.log}.")
            with contextlib.suppress(requests.RequestException):
                health = session.get(f"{endpoint}/_ministack/health", timeout=2)
                if health.ok and health.json().get("auth") == "enabled":
                    return
            time.sleep(_HEALTH_POLL_S)
    raise LocalError(f"The emulator did not answer within {_START_DEADLINE_S:.0f} s: read {process.log}.")
