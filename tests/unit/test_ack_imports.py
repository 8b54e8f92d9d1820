"""The import budget of PayPay's webhooks: each function, loaded and invoked once in a fresh interpreter.

PayPay waits 1.5 s, a cold start included. What is not loaded costs nothing.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import LoopbackServer, Reply

ROOT = Path(__file__).resolve().parents[2]
LAYER = ROOT / "layers" / "honnin"

FUNCTIONS = (
    "paypay_kyc_webhook",
    "paypay_risk_webhook",
    "paypay_account_status_webhook",
    "paypay_recon_webhook",
)
ALLOWED_OF_OURS = {"app", "honnin", "honnin.event", "honnin.sqs_send", "honnin.times", "honnin.webhook"}

# Measured with 3.13: 82 modules more than a bare interpreter has, most of them http.client's (email, ssl, socket).
# The rest is room for a patch release of Python.
BUDGET = 86

# What one import more of the standard library would bring along, for 3 to 30 ms each on a cold start.
TOO_HEAVY = {"asyncio", "concurrent", "ctypes", "dataclasses", "inspect", "logging", "multiprocessing", "typing"}

# `-S` keeps site-packages out, so that anything else could not even be found; `-B` writes no bytecode.
PROBE = """
import sys
before = set(sys.modules)
sys.path[:0] = sys.argv[1].split(":")
import os
os.environ.update({
    "AWS_REGION": "ap-northeast-1",
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI",
    "AWS_ENDPOINT_URL": sys.argv[2],
    "EVENT_QUEUE_URL": "https://sqs.ap-northeast-1.amazonaws.com/000000000000/events",
    "RECON_NOTICE_QUEUE_URL": "https://sqs.ap-northeast-1.amazonaws.com/000000000000/notifications",
    "PAYPAY_SOURCE_CIDRS": "13.112.237.64/32",
})
import app
answer = app.lambda_handler(sys.modules["json"].loads(sys.argv[3]), None)
loaded = sorted(set(sys.modules) - before)
print(sys.modules["json"].dumps({"answer": answer, "loaded": loaded}))
"""


def invoke(path: list[Path], event: str, endpoint: str) -> dict[str, Any]:
    """What the function answered, and which modules it took; `path` goes before the standard library's."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", PROBE, ":".join(map(str, path)), endpoint, event],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def foreign(loaded: list[str]) -> set[str]:
    """The modules that are neither of the standard library nor ours."""
    return {name for name in loaded if name.partition(".")[0] not in sys.stdlib_module_names} - ALLOWED_OF_OURS


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_one_answer_takes_the_standard_library_and_four_modules_of_ours(name: str) -> None:
    event = (ROOT / "events" / f"{name}.json").read_text()
    with LoopbackServer(Reply(200, b'{"MessageId": "m-1"}')) as sqs:
        said = invoke([LAYER, ROOT / "functions" / name], event, sqs.url)
    assert said["answer"]["body"] == "OK"
    assert len(sqs.received) == 1
    loaded = said["loaded"]
    assert foreign(loaded) == set()
    assert set(loaded) >= ALLOWED_OF_OURS
    assert {each.partition(".")[0] for each in loaded} & TOO_HEAVY == set()
    assert len(loaded) <= BUDGET


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("extra", ["import stranger", "import honnin.events_extra"])
def test_the_probe_would_see_another_module(tmp_path: Path, extra: str) -> None:
    (tmp_path / "honnin").mkdir()
    for source in (LAYER / "honnin").glob("[!_]*.py"):
        if f"honnin.{source.stem}" in ALLOWED_OF_OURS:
            (tmp_path / "honnin" / source.name).write_text(source.read_text())
    (tmp_path / "honnin" / "__init__.py").touch()
    (tmp_path / "honnin" / "events_extra.py").touch()
    (tmp_path / "stranger.py").touch()
    handler = (ROOT / "functions" / "paypay_kyc_webhook" / "app.py").read_text()
    (tmp_path / "app.py").write_text(f"{handler}\n{extra}\n")
    event = (ROOT / "events" / "paypay_kyc_webhook.json").read_text()
    with LoopbackServer(Reply(200, b'{"MessageId": "m-1"}')) as sqs:
        said = invoke([tmp_path], event, sqs.url)
    assert foreign(said["loaded"]) == {extra.removeprefix("import ")}
