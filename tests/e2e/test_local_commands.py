"""`make up`, `honninctl local …` and `make down` as they are typed, on a stack of their own beside that of the tests.

Started with a parameter, emptied, listened to, and ended; what each says is in tests/unit/test_local_commands.py.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from local import stack as local_stack
from local.demo import status, submit, wait_for
from local.paths import ROOT, env_file
from local.stack import Stack

pytestmark = pytest.mark.e2e

_START_S = 400
_RESET_S = 20  # two seconds, on a machine that does nothing else
_USER = "user:a@example.jp"


def _ran(*command: str, env: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    here = {"PATH": os.defpath, "HOME": "/nonexistent", "LANG": "C.UTF-8", **(env or {})}
    return subprocess.run(command, cwd=ROOT, env=here, capture_output=True, text=True, timeout=_START_S, check=False)


def _local(command: str, name: str, *options: str) -> Any:
    done = _ran(".venv/bin/honninctl", "local", command, "--name", name, "--json", *options)
    assert done.returncode == 0, done
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def second() -> Iterator[Stack]:
    """A stack of another name, ended at the end by the other command than in the test."""
    name = f"up-{os.environ.get('PYTEST_XDIST_WORKER', 'one')}"
    path = f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    # The variables of a shell that has read an `env` file are no settings of `make`.
    env = {"PATH": path, "NAME": "wrong", "SANDBOX_URL": "http://127.0.0.1:1"}
    began = _ran("make", "up", f"NAME={name}", "PARAMETERS=SettleDelays=3,11", env=env)
    assert began.returncode == 0, began
    assert "Ready in" in began.stdout.splitlines()[-2], began
    assert began.stdout.splitlines()[-1] == f"In your shell: . {env_file(name).relative_to(ROOT)}"
    yield local_stack.found(name)
    _ran("make", "down", f"NAME={name}", env=env)


@pytest.mark.timeout(_START_S + 200)
def test_a_stack_in_the_background_is_used_emptied_and_ended(stack: Stack, second: Stack) -> None:
    """Beside another stack, whose users and ports are not touched."""
    told = _local("status", second.name)
    assert told["state"] == "ready"
    assert told["parameters"]["SettleDelays"] == "3,11"
    assert second.endpoint != stack.endpoint

    with subprocess.Popen(
        [".venv/bin/honninctl", "local", "events", "--name", second.name, "--follow"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as following:
        assert following.stdout is not None
        assert following.stderr is not None
        try:
            assert "Listening to the bus" in following.stderr.readline()
            submit(second, _USER, "テスト ハナコ")
            assert wait_for(lambda: status(second, _USER) == "APPROVED")
            events = [json.loads(following.stdout.readline())]
            while events[-1]["detail"]["to"] != "APPROVED":
                events.append(json.loads(following.stdout.readline()))
        finally:
            following.terminate()
    assert {(each["source"], each["detail"]["userId"]) for each in events} == {("honnin", _USER)}
    assert following.returncode == 128 + 15
    # Nothing of it is left on the bus.
    rules = second.client("events").list_rules(EventBusName=second.outputs["EventBusName"])["Rules"]
    assert not [each for each in rules if each["Name"].startswith("follow-")]

    begun = time.monotonic()
    assert _local("reset", second.name)["name"] == second.name
    assert time.monotonic() - begun < _RESET_S
    assert status(second, _USER) is None
    assert second.client("dynamodb").scan(TableName=second.outputs["StateTableName"])["Items"] == []
    for bucket in ("PersonalDataBucketName", "ReconBucketName"):
        assert "Versions" not in second.client("s3").list_object_versions(Bucket=second.outputs[bucket])
    # It works as it did, webhooks of both providers included.
    submit(second, _USER, "テスト ハナコ")
    assert wait_for(lambda: status(second, _USER) == "APPROVED")
    assert all(second.sandbox("GET", "/paypay/webhooks").values())

    assert _local("down", second.name) == {"name": second.name, "stopped": True}
    gone = _ran(".venv/bin/honninctl", "local", "status", "--name", second.name)
    assert gone.returncode == 3
    assert status(stack, _USER) is None
