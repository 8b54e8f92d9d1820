"""A local stack of Honnin: found where `make up` describes it, or started and ended with `make` in a checkout."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import botocore.session
import httpx
from botocore.config import Config
from botocore.credentials import Credentials

_MARKS = ("Makefile", "template.yaml", "local/stack.py")
_HEALTH = {"endpoint": "/_ministack/health", "sandboxUrl": "/_sandbox/health"}
_HEALTH_S = 5.0
_SHOWN_LINES = 20
_RESET_S = 60.0


class StackError(Exception):
    """There is no stack to test with. The text says why, and what to do."""


@dataclass(frozen=True)
class Wanted:
    """Which stack: the checkout of Honnin, the stack's name, parameters as `make up` takes them, and the sandbox."""

    home: Path
    name: str = "run"
    parameters: str = ""
    sandbox: bool = True

    @property
    def directory(self) -> Path:
        """Where the stack's files are."""
        return self.home / "build" / "local" / self.name


@dataclass(frozen=True)
class HonninStack:
    """A local stack that answers. `sandbox_url` is None without the sandbox.

    `queues`, `outputs` and `parameters` are those of the template; `merchant_key` may call the merchant API and nothing
    else, `operator_key` may do everything. `merchant_webhook_secret` is what `verify` takes, None where no webhooks are
    sent.
    """

    wanted: Wanted = field(repr=False)
    name: str
    region: str
    endpoint: str
    merchant_api_url: str
    webhook_api_url: str | None
    sandbox_url: str | None
    event_bus: str
    queues: Mapping[str, str] = field(repr=False)
    outputs: Mapping[str, str] = field(repr=False)
    parameters: Mapping[str, str] = field(repr=False)
    merchant_key: Credentials = field(repr=False)
    operator_key: Credentials = field(repr=False)
    merchant_webhook_secret: str | None = field(repr=False)

    def invoke(self, output: str) -> Any:
        """Run a function now, without its schedule, and return its result.

        `output` is the output that names it: `VexoraStatusPollFunctionName`, `ReconDownloadFunctionName`, ….
        """
        client: Any = botocore.session.Session().create_client(
            "lambda",
            region_name=self.region,
            endpoint_url=self.endpoint,
            aws_access_key_id=self.operator_key.access_key,
            aws_secret_access_key=self.operator_key.secret_key,
            config=Config(proxies={}),
        )
        answer = client.invoke(FunctionName=self.outputs[output], Payload=b"{}")
        with answer["Payload"] as body:
            result = json.loads(body.read() or b"null")
        client.close()
        if "FunctionError" in answer:
            raise StackError(f"The function of {output} failed: its log is in {self.wanted.directory}.")
        return result

    def reset(self) -> None:
        """Empty the stack and its sandbox. Wait first for what your test has begun."""
        command = [str(self.wanted.home / ".venv" / "bin" / "python"), "-m", "local", "reset", "--name", self.name]
        done = subprocess.run(
            command,
            cwd=self.wanted.home,
            env=environment(self.wanted.home),
            capture_output=True,
            text=True,
            timeout=_RESET_S,
            check=False,
        )
        if done.returncode:
            raise StackError(f"The stack was not emptied: {done.stderr.strip()}")


def checkout(home: Path | None) -> Path:
    """`home`, if it is a checkout of Honnin. Raises `StackError`."""
    if home is None:
        raise StackError(
            "It is not said where Honnin is: set HONNIN_HOME, the option --honnin-home or honnin_home in pytest's "
            "settings to a checkout of its repository."
        )
    missing = [each for each in _MARKS if not (home / each).is_file()]
    if missing:
        raise StackError(f"HONNIN_HOME is no checkout of Honnin: {home} has no {missing[0]}.")
    return home.resolve()


def found(wanted: Wanted) -> HonninStack | None:
    """The stack, if it is there and answers. Raises `StackError` if it has other settings than are wanted."""
    try:
        told = json.loads((wanted.directory / "stack.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if not all(_answers(f"{told[key]}{path}") for key, path in _HEALTH.items() if told[key]):
        return None  # of one that was killed
    _require_the_same(wanted, told)
    return HonninStack(
        wanted=wanted,
        name=told["name"],
        region=told["region"],
        endpoint=told["endpoint"],
        merchant_api_url=told["merchantApiUrl"],
        webhook_api_url=told["webhookApiUrl"],
        sandbox_url=told["sandboxUrl"],
        event_bus=told["eventBus"],
        queues=told["queues"],
        outputs=told["outputs"],
        parameters=told["parameters"],
        merchant_key=_key(told["merchantKey"]),
        operator_key=_key(told["operatorKey"]),
        merchant_webhook_secret=told["merchantWebhookSecret"],
    )


def found_or_started(wanted: Wanted, say: Callable[[str], None]) -> tuple[HonninStack, bool]:
    """The stack, and whether it was started for this call. `say` is given each line that `make` prints.

    Processes that call this at the same time get the same stack; one of them starts it. Raises `StackError`.
    """
    with _one_at_a_time(wanted):
        stack = found(wanted)
        if stack is not None:
            return stack, False
        _start(wanted, say)
        stack = found(wanted)
    if stack is None:
        raise StackError(f"`make up` has started the stack {wanted.name!r}, but it does not answer.")
    return stack, True


def end(wanted: Wanted) -> None:
    """End the stack that was started. Raises `StackError`."""
    lines: list[str] = []
    if _make(wanted, ["down", f"NAME={wanted.name}"], lines.append):
        raise StackError(f"The stack {wanted.name!r} was not ended: {' '.join(lines[-1:])}")


def environment(home: Path) -> dict[str, str]:
    """The environment for Honnin's own programs: nothing of the tests' Python, nor of a `make` that runs the tests."""
    foreign = ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON") and name not in foreign}
    return {**kept, "PYTHONPYCACHEPREFIX": str(home / "build" / "pycache")}


def _start(wanted: Wanted, say: Callable[[str], None]) -> None:
    if shutil.which("make") is None:
        raise StackError("Honnin's stack is started with `make`, which is not installed.")
    say(f"Starting Honnin's local stack {wanted.name!r} (the first time this takes minutes)")
    last: deque[str] = deque(maxlen=_SHOWN_LINES)

    def both(line: str) -> None:
        last.append(line)
        say(line)

    arguments = ["up", f"NAME={wanted.name}", f"SANDBOX={'on' if wanted.sandbox else 'off'}"]
    if wanted.parameters:
        arguments.append(f"PARAMETERS={wanted.parameters}")
    if _make(wanted, arguments, both):
        said = "\n".join(f"  {line}" for line in last)
        raise StackError(f"Honnin's local stack {wanted.name!r} did not start. The last lines of `make up`:\n{said}")


def _make(wanted: Wanted, arguments: list[str], say: Callable[[str], None]) -> int:
    with subprocess.Popen(
        ["make", "--no-print-directory", *arguments],
        cwd=wanted.home,
        env=environment(wanted.home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as running:
        assert running.stdout is not None
        try:
            for line in running.stdout:
                say(line.rstrip())
        except BaseException:  # Ctrl-C, say: `make up` then ends what it has begun
            running.terminate()
            raise
    return running.returncode


@contextmanager
def _one_at_a_time(wanted: Wanted) -> Iterator[None]:
    import fcntl  # not on Windows, where pytest loads this plugin too, and `make up` does not work

    wanted.directory.mkdir(parents=True, exist_ok=True)
    with (wanted.directory / "testing.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _require_the_same(wanted: Wanted, told: Mapping[str, Any]) -> None:
    for each in shlex.split(wanted.parameters):
        name, _, value = each.partition("=")
        if told["parameters"].get(name) != value:
            raise StackError(
                f"The stack {wanted.name!r} is running with another value of {name}: end it "
                f"(make down NAME={wanted.name}), or choose another name with --honnin-name."
            )
    if (told["sandboxUrl"] is not None) != wanted.sandbox:
        raise StackError(
            f"The stack {wanted.name!r} is running {'without' if wanted.sandbox else 'with'} the sandbox: end it "
            f"(make down NAME={wanted.name}), or choose another name with --honnin-name."
        )


def _answers(url: str) -> bool:
    with httpx.Client(trust_env=False, timeout=_HEALTH_S) as client:
        try:
            return client.get(url).is_success
        except httpx.HTTPError:
            return False


def _key(told: Mapping[str, str]) -> Credentials:
    return Credentials(told["accessKeyId"], told["secretAccessKey"])
