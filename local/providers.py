"""The provider sandbox as a process, and the credentials that it and the deployed stack share."""

import contextlib
import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from local import environment
from local.errors import LocalError
from local.paths import ROOT, TOOLS, run_directory
from local.ports import LOOPBACK
from local.processes import LeashedProcess

CREDENTIALS = {
    "vexora_merchant_no": "sandbox-merchant-0001",
    "vexora_app_secret": "sandbox-vexora-app-secret",
    "paypay_api_key": "sandbox-paypay-api-key",
    # PayPay's secret must be decodable base64: this one says "sandbox-paypay-api-secret-32byte".
    "paypay_api_secret": "c2FuZGJveC1wYXlwYXktYXBpLXNlY3JldC0zMmJ5dGU=",
    "paypay_merchant_id": "100000000000000001",
}
"""The provider secret (docs/decisions.md#1), with invented values."""

PAYPAY_CLIENT_ID = "a_SandboxClient1"
"""Our client id at PayPay: the `aud` of its response tokens (parameter PayPayTokenAudience)."""

_START_DEADLINE_S = 30.0
_READY_POLL_S = 0.05


SEED_VARIABLE = "HONNIN_SANDBOX_SEED"


def seed() -> int | None:
    """The seed by which the sandbox is unkind: $HONNIN_SANDBOX_SEED (`none`: it is kind), or any."""
    given = os.environ.get(SEED_VARIABLE, "")
    if given == "none":
        return None
    if given and not given.isdecimal():
        raise LocalError(f"{SEED_VARIABLE} must be a whole number, or none.")
    return int(given) if given else random.getrandbits(32)


@contextlib.contextmanager
def running(name: str, port: int, *, seed: int | None = None, host: str = LOOPBACK) -> Iterator[str]:
    """The sandbox on `port` (0: any free one); yields its base URL on this machine and stops it at the end.

    Without a `seed` it is kind: its answers are the documents' examples. It listens on the address `host`.
    """
    home = run_directory(name) / "sandbox"
    shutil.rmtree(home, ignore_errors=True)
    env = environment.bare(home, venv=TOOLS)
    ready = home / "ready"
    command = ["sandbox", "--host", host, "--port", str(port), "--ready-file", str(ready)]
    command += ["--seed", "none" if seed is None else str(seed)]
    command += ["--vexora-merchant-no", CREDENTIALS["vexora_merchant_no"]]
    command += ["--vexora-app-secret", CREDENTIALS["vexora_app_secret"]]
    for option in ("paypay_api_key", "paypay_api_secret", "paypay_merchant_id"):
        command += [f"--{option.replace('_', '-')}", CREDENTIALS[option]]
    command += ["--paypay-client-id", PAYPAY_CLIENT_ID]
    process = LeashedProcess(
        TOOLS / "bin" / "python",
        command,
        env=env,
        log=run_directory(name) / "sandbox.log",
        cwd=ROOT,
        append_path=ROOT,
    )
    try:
        with process:
            yield _base_url(process, ready)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _base_url(process: LeashedProcess, ready: Path) -> str:
    """What the sandbox writes into its ready file once it listens."""
    deadline = time.monotonic() + _START_DEADLINE_S
    while not ready.exists():
        if process.exit_code is not None:
            raise LocalError(f"The provider sandbox ended while starting: read {process.log}.")
        if time.monotonic() > deadline:
            raise LocalError(
                f"The provider sandbox was not ready within {_START_DEADLINE_S:.0f} s: read {process.log}."
            )
        time.sleep(_READY_POLL_S)
    return ready.read_text().strip().rstrip("/")
