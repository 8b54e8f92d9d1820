"""honnin_client.testing: finding and starting a stack of a checkout that is made up, and what its parts say and do.

The fixtures on a real stack are in tests/e2e/test_merchant_example.py.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import httpx
import pytest
from botocore.credentials import Credentials
from standardwebhooks import Webhook

from honnin_client import Honnin, models
from honnin_client.testing import (
    AwaitStatus,
    Events,
    HonninStack,
    MerchantWebhooks,
    Sandbox,
    SandboxError,
    StackError,
    TooLateError,
    stacks,
)
from honnin_client.testing.stacks import Wanted
from sandbox.app import SandboxConfig
from sandbox.server import RunningSandbox, running
from tests.documents import ROOT
from tests.fakes.loopback import LoopbackServer
from tests.fakes.merchant_api import Shop, good, problem
from tests.fakes.sandbox_vexora import ACCOUNT

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

_SECRET = "whsec_" + "A" * 64
_KEY = {"accessKeyId": "AKIDEXAMPLE", "secretAccessKey": "secret"}
_MAKEFILE = """
up:
\t@echo 'up $(NAME) $(SANDBOX) $(PARAMETERS)' >>calls
\t@for number in $$(seq 30); do echo "step $$number"; done
\t@test ! -e broken || { echo 'Port 4566 of 127.0.0.1, meant for the emulator, cannot be used'; exit 1; }
\t@mkdir -p build/local/$(NAME) && cp told.json build/local/$(NAME)/stack.json
down:
\t@echo 'down $(NAME)' >>calls
\t@rm build/local/$(NAME)/stack.json
"""
_TESTS = """
import pytest

@pytest.mark.parametrize("number", range(4))
def test_it(honnin_stack, honnin, number):
    assert honnin_stack.name == "ours"
"""


def _told(endpoint: str, **changes: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": "ours",
        "region": "ap-northeast-1",
        "endpoint": endpoint,
        "merchantApiUrl": f"{endpoint}/v1",
    }
    told |= {"webhookApiUrl": None, "sandboxUrl": endpoint, "merchantKey": _KEY, "operatorKey": _KEY}
    told |= {"eventBus": "bus", "queues": {}, "outputs": {}, "parameters": {"SettleDelays": "2,10"}}
    return {**told, "merchantWebhookSecret": _SECRET, **changes}


class Checkout:
    """A checkout whose `make up` starts nothing, but describes a stack that answers."""

    def __init__(self, home: Path, endpoint: str) -> None:
        self.home = home
        for name in ("template.yaml", "local/stack.py", ".venv/bin/honninctl"):
            home.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
            home.joinpath(name).touch()
        (home / "Makefile").write_text(_MAKEFILE)
        self.tells(endpoint)

    def tells(self, endpoint: str, place: str = "told.json", **changes: Any) -> None:
        """Say what a description holds."""
        self.home.joinpath(place).parent.mkdir(parents=True, exist_ok=True)
        self.home.joinpath(place).write_text(json.dumps(_told(endpoint, **changes)))

    def has_up(self, endpoint: str, **changes: Any) -> None:
        """Describe a stack that somebody has started."""
        self.tells(endpoint, "build/local/ours/stack.json", **changes)

    def calls(self) -> list[str]:
        """What `make` was asked for."""
        asked = self.home / "calls"
        return [line.strip() for line in asked.read_text().splitlines()] if asked.exists() else []


@pytest.fixture
def answering() -> Iterator[str]:
    """An address at which everything is answered with 200."""
    with LoopbackServer() as server:
        yield server.url


@pytest.fixture
def checkout(tmp_path: Path, answering: str) -> Checkout:
    """A checkout of Honnin."""
    return Checkout(tmp_path / "honnin", answering)


def _pytest(
    checkout: Checkout, folder: Path, *options: str, test: str = _TESTS, **variables: str
) -> "subprocess.CompletedProcess[str]":
    (folder / "test_one.py").write_text(test)
    (folder / "test_two.py").write_text(test)
    (folder / "pytest.ini").write_text(
        "[pytest]\nhonnin_name = ours\nfilterwarnings = error\nnorecursedirs = packages\n"
    )
    # The package alone: with the metadata of a build beside it, pytest would load the plugin a second time.
    packages = folder / "packages"
    packages.mkdir(exist_ok=True)
    for name in ("honnin_client", "honnin_pytest.py"):
        if not (packages / name).exists():
            (packages / name).symlink_to(ROOT / "clients" / "python" / name)
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(packages), "TMPDIR": str(folder)}
    env |= {"HONNIN_HOME": str(checkout.home), **variables}
    plugins = ["-p", "honnin_pytest", "-p", "no:schemathesis", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "-q", *plugins, *options]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=100, check=False)


# --- finding and starting ---


@pytest.mark.parametrize("workers", ["0", "2"])
def test_one_stack_is_started_for_all_workers_and_ended(checkout: Checkout, tmp_path: Path, workers: str) -> None:
    done = _pytest(checkout, tmp_path, "-n", workers, "--honnin-parameters", "SettleDelays=2,10")
    assert done.returncode == 0, done.stdout
    assert "8 passed" in done.stdout
    assert checkout.calls() == ["up ours on SettleDelays=2,10", "down ours"]
    assert "step 30" in done.stderr  # while it goes on, although pytest captures
    assert not list(tmp_path.glob("honnin-*"))


def test_a_stack_that_is_up_is_used_and_left_up(checkout: Checkout, tmp_path: Path, answering: str) -> None:
    checkout.has_up(answering)
    done = _pytest(checkout, tmp_path, "-n", "0")
    assert "8 passed" in done.stdout
    assert checkout.calls() == []


def test_what_is_wrong_is_a_sentence_and_no_traceback(checkout: Checkout, tmp_path: Path) -> None:
    done = _pytest(checkout, tmp_path, "-n", "0", HONNIN_HOME="")
    assert done.returncode == 1
    assert "set HONNIN_HOME" in done.stdout
    assert "Traceback" not in done.stdout
    assert "stacks.py" not in done.stdout


def _wanted(checkout: Checkout, **changes: Any) -> Wanted:
    return replace(Wanted(checkout.home, "ours"), **changes)


def test_a_stack_that_was_killed_is_started_anew(checkout: Checkout) -> None:
    checkout.has_up("http://127.0.0.1:1")
    lines: list[str] = []
    stack, is_ours = stacks.found_or_started(_wanted(checkout), lines.append)
    assert is_ours
    assert stack.merchant_api_url.endswith("/v1")
    assert stack.merchant_key.access_key == "AKIDEXAMPLE"
    assert "secret" not in repr(stack)
    assert _SECRET not in repr(stack)
    assert lines[1:] == [f"step {number}" for number in range(1, 31)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"parameters": "SettleDelays=2,10 VexoraPollDelays=1"}, "another value of VexoraPollDelays"),
        ({"sandbox": False}, "running with the sandbox"),
    ],
)
def test_a_stack_with_other_settings_is_left_alone(
    checkout: Checkout, answering: str, changes: dict[str, Any], said: str
) -> None:
    checkout.has_up(answering)
    with pytest.raises(StackError, match=said):
        stacks.found_or_started(_wanted(checkout, **changes), print)
    assert checkout.calls() == []


def test_a_start_that_fails_shows_the_last_lines(checkout: Checkout) -> None:
    (checkout.home / "broken").touch()
    with pytest.raises(StackError) as error:
        stacks.found_or_started(_wanted(checkout), print)
    text = str(error.value)
    assert "Port 4566 of 127.0.0.1" in text
    assert "step 30" in text
    assert "step 10" not in text


def test_a_stack_that_was_started_and_is_silent_is_no_stack(checkout: Checkout) -> None:
    checkout.tells("http://127.0.0.1:1")
    with pytest.raises(StackError, match="does not answer"):
        stacks.found_or_started(_wanted(checkout), print)


def test_a_machine_without_make(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(StackError, match="which is not installed"):
        stacks.found_or_started(_wanted(checkout), print)


def test_pytest_loads_the_plugin_also_where_no_stack_can_be_started() -> None:
    code = "import sys; sys.modules['fcntl'] = None; import honnin_pytest, honnin_client.testing"
    env = {"PYTHONPATH": str(ROOT / "clients" / "python")}
    subprocess.run([sys.executable, "-c", code], env=env, check=True, timeout=60)


def test_a_project_that_uses_no_fixture_pays_nothing_for_the_plugin() -> None:
    """pytest loads it in each project of an environment that has the client."""
    code = "import sys, pytest; known = {*sys.modules}; import honnin_pytest; print(*{*sys.modules} - known)"
    env = {"PYTHONPATH": str(ROOT / "clients" / "python")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=env, check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout.split() == ["honnin_pytest"]


def test_a_folder_that_is_no_checkout(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="has no Makefile"):
        stacks.checkout(tmp_path)


def test_a_test_can_have_the_stack_emptied(checkout: Checkout, answering: str, tmp_path: Path) -> None:
    checkout.has_up(answering)
    python = checkout.home / ".venv" / "bin" / "python"
    python.write_text("#!/bin/sh\necho \"$@\" >>calls\ntest ! -e broken || { echo 'It is not ready.' >&2; exit 1; }\n")
    python.chmod(0o755)
    test = "def test_it(honnin_reset):\n    honnin_reset()\n"
    done = _pytest(checkout, tmp_path, "-n", "0", test=test)
    assert done.returncode == 0, done.stdout
    assert checkout.calls() == ["-m local reset --name ours"] * 4  # before each of two tests, and in it
    assert "run with -n0" in _pytest(checkout, tmp_path, "-n", "2", test=test).stdout
    (checkout.home / "broken").touch()
    stack = stacks.found(_wanted(checkout))
    assert stack
    with pytest.raises(StackError, match="not emptied: It is not ready"):
        stack.reset()


def test_honnins_programs_get_nothing_of_the_tests_python_and_make(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "PYTHONWARNINGS", "MAKEFLAGS", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, "NAME=wrong")
    assert "NAME=wrong" not in stacks.environment(ROOT).values()


# --- waiting ---


def test_a_status_that_does_not_come_is_told_with_what_came_instead() -> None:
    entry: dict[str, Any] = {
        "at": "2026-04-01T03:00:00.000Z",
        "eventId": "e",
        "provider": "vexora",
        "what": "result_read",
    }
    entry |= {"cause": "poll", "from": "PENDING", "to": "APPROVED", "detail": {}}
    shop = Shop(*[good()] * 50, good({"entries": [entry], "cursor": None}))
    waiting = AwaitStatus(_answering(shop, good({"entries": [entry], "cursor": None})))
    with pytest.raises(TooLateError) as late:
        waiting("user-0001", status="REJECTED", verified=False, timeout=0)
    assert str(late.value).splitlines() == [
        "user-0001 had not status='REJECTED', verified=False after 0 s.",
        "It is: vexora APPROVED, paypay VERIFIED; verified=True (BOTH_VERIFIED).",
        "The timeline, newest first:",
        "  03:00:00 vexora result_read, cause poll: PENDING -> APPROVED",
    ]


def test_a_user_whom_honnin_does_not_know_may_still_come() -> None:
    unknown, known = problem("user-unknown"), good()
    found = AwaitStatus(Shop(unknown, unknown, known).honnin())("user-0001", verified=True)
    assert found.user_id == "user-0001"
    with pytest.raises(TooLateError, match="does not know this user"):
        AwaitStatus(Shop(*[problem("user-unknown")] * 9).honnin())("user-0001", status="LINKED", timeout=0)


@pytest.mark.parametrize(
    ("asked", "holds"),
    [
        ({"status": "APPROVED"}, True),
        ({"status": "VERIFIED"}, True),
        ({"status": "VERIFIED", "provider": "vexora"}, False),
        ({"provider": "paypay"}, True),
        ({"status": "VERIFIED", "verified": False}, False),
    ],
)
def test_what_is_asked_for_is_looked_at(asked: dict[str, Any], holds: bool) -> None:
    waiting = AwaitStatus(_answering(Shop(*[good()] * 9), good({"entries": [], "cursor": None})))
    if holds:
        assert waiting("user-0001", **asked, timeout=0).user_id == "user-0001"
    else:
        with pytest.raises(TooLateError):
            waiting("user-0001", **asked, timeout=0)


def _answering(shop: Shop, timeline: httpx.Response) -> Honnin:
    honnin = shop.honnin()
    honnin.get_timeline = Mock(return_value=models.TimelineView.from_dict(timeline.json()))  # type: ignore[method-assign]
    return honnin


# --- the sandbox ---


@pytest.fixture
def box() -> Iterator[RunningSandbox]:
    """The real sandbox."""
    with running(SandboxConfig(vexora=ACCOUNT)) as box:
        yield box


@pytest.fixture
def sandbox(box: RunningSandbox, tmp_path: Path) -> Iterator[Sandbox]:
    """The plugin's hand on it."""
    made = Sandbox(_stack(tmp_path, box.url), Mock())
    yield made
    made.close()


def _stack(home: Path, sandbox_url: str | None) -> HonninStack:
    key = Credentials("AKIDEXAMPLE", "secret")
    return HonninStack(
        wanted=Wanted(home, "ours"),
        name="ours",
        region="ap-northeast-1",
        endpoint="http://127.0.0.1:1",
        merchant_api_url="http://127.0.0.1:1/v1",
        webhook_api_url=None,
        sandbox_url=sandbox_url,
        event_bus="bus",
        queues={},
        outputs={},
        parameters={},
        merchant_key=key,
        operator_key=key,
        merchant_webhook_secret=_SECRET,
    )


def _applied(box: RunningSandbox, user_id: str) -> None:
    box.vexora._plan_review(box.vexora.register.apply(user_id, "http://127.0.0.1:1/callback/token"))


def _status(box: RunningSandbox, user_id: str) -> object:
    return box.vexora.register.view(user_id)["status"]


def test_an_application_of_a_named_user_waits_for_the_test(box: RunningSandbox, sandbox: Sandbox) -> None:
    user = sandbox.user("shop:1@a")
    _applied(box, user.user_id)
    box.sandbox.core.advance(60)
    assert _status(box, user.user_id) == "0"
    user.approve(delivery="lost")
    user.approve()  # nothing more to do
    assert _status(box, user.user_id) == "2"
    assert [each.state for each in box.vexora.register._user(user.user_id).callbacks] == ["dropped"]
    with pytest.raises(SandboxError, match="before the submission"):
        user.reject()


def test_a_decision_can_be_made_before_the_application_comes(box: RunningSandbox, sandbox: Sandbox) -> None:
    user = sandbox.user("user-1")
    user.reject(reason="氏名が違います", delivery="twice")
    sandbox.user("user-1")  # named once more: the decision stands
    _applied(box, user.user_id)
    box.sandbox.core.schedule.run_due()
    assert _status(box, user.user_id) == "3"
    assert len(box.vexora.register._user(user.user_id).callbacks) == 2
    assert box.vexora.dials.text("reason", "user-1") == "氏名が違います"
    user.approve()
    _applied(box, user.user_id)
    box.sandbox.core.schedule.run_due()
    assert _status(box, user.user_id) == "2"


def test_what_a_user_of_paypay_does(box: RunningSandbox, sandbox: Sandbox) -> None:
    box.paypay.changes.link({"users": ["user-1"], "scopes": ["get_kyc_info"]})
    user = sandbox.user("user-1")
    sandbox.lose_next_webhook()
    sandbox.lose_next_webhook("user-1")
    user.flag(delivery="twice")
    user.clear_flag()
    user.update_kyc(completed=False, data={"lastName": "見本"})
    user.set_kyc(completed=True)
    user.account_status("inactive")
    user.cancel_link()
    view: Any = box.paypay.register.view("user-1")
    kinds = [each["type"] for each in view["notifications"]]
    assert kinds == ["risk", "risk", "kyc", "account_status", "account_status"]
    assert view["account_status"] == "inactive"
    user.expire_link()
    with sandbox.maintenance():
        assert box.paypay.dials.text("maintenance") == "on"
    assert box.paypay.dials.text("maintenance") == "off"


def test_a_poll_is_over_when_vexora_was_asked(
    box: RunningSandbox, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoked: list[str] = []

    def invoke(_: HonninStack, output: str) -> None:
        invoked.append(output)
        if len(invoked) == 2:  # the first one came too early
            box.vexora.register.count_query("user-1")

    monkeypatch.setattr(HonninStack, "invoke", invoke)
    user = sandbox.user("user-1")
    user.poll()
    assert invoked == ["VexoraStatusPollFunctionName"] * 2
    with pytest.raises(TooLateError, match="is a submission open"):
        user.poll(timeout=0)


def test_a_night_is_over_when_its_own_files_are_compared(
    box: RunningSandbox, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.paypay.urls.put(dict.fromkeys(["recon"], f"{box.url}/shop/webhooks"))
    states = ["STORED", "STORED", "COMPARED"]

    def report(_: str) -> Any:
        state = states.pop(0) if len(states) > 1 else states[0]
        mine = {each["sha256"] for each in sandbox.call("GET", "/paypay/recon-files")["files"]}
        return Mock(files=[Mock(sha256=each, state=state) for each in mine])

    monkeypatch.setattr(sandbox._honnin, "get_recon_report", report)
    monkeypatch.setattr(HonninStack, "invoke", lambda *_: None)
    assert sandbox.recon_night() == str(box.paypay.recon.today())
    assert states == ["COMPARED"]
    states[:] = ["STORED"]
    with pytest.raises(TooLateError, match="STORED"):
        sandbox.recon_night(timeout=0)
    box.paypay.dials.put({"recon_notification": "missing"}, "kyc_passport_sync_recon")
    sandbox.lose_next_webhook()
    sandbox.lose_next_webhook()
    sandbox.recon_night()  # nothing is announced: nothing to wait for


def test_a_refusal_of_the_sandbox_is_its_own_sentence(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match="The user 'nobody' has not linked"):
        sandbox.user("nobody").flag()
    with pytest.raises(SandboxError, match="There is no dial 'speed'"):
        sandbox.dials("paypay", speed=1)


def test_a_stack_without_the_sandbox_says_so(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="without the sandbox"):
        Sandbox(_stack(tmp_path, None), Mock())


# --- events and webhooks ---


def test_a_webhook_reaches_the_test_and_a_failing_one_honnin(box: RunningSandbox, sandbox: Sandbox) -> None:
    with MerchantWebhooks(sandbox, _SECRET) as receiver:
        assert _hook(box, "user-1", "PENDING") == 204
        receiver.answer = 503
        assert _hook(box, "user-1", "APPROVED") == 503
        assert _hook(box, "user-1", "APPROVED", secret="whsec_" + "B" * 64) == 401
        receiver.answer = 204
        assert _hook(box, "user-2", "APPROVED") == 204
        assert [each.raw["to"] for each in receiver.received("user-1")] == ["PENDING"]
        found = receiver.wait("kyc.status.changed", to="APPROVED")
        assert isinstance(found.data, models.KycStatusChangedWebhookData)
        assert found.data.user_id == "user-2"
        with pytest.raises(TooLateError, match=r"but: kyc.status.changed PENDING\."):
            receiver.wait("kyc.status.changed", user_id="user-1", to="APPROVED", timeout=0)
    assert _hook(box, "user-1", "PENDING") == 204  # nobody receives it any more
    assert len(receiver.received()) == 2


def test_a_stack_that_sends_no_webhooks_says_so(sandbox: Sandbox) -> None:
    with pytest.raises(StackError, match="sends no webhooks"):
        MerchantWebhooks(sandbox, None)


def _hook(box: RunningSandbox, user_id: str, to: str, secret: str = _SECRET) -> int:
    data: dict[str, Any] = {
        "userId": user_id,
        "provider": "vexora",
        "from": None,
        "to": to,
        "verified": False,
        "version": 1,
    }
    data |= {"verifiedReason": "NOT_VERIFIED", "cause": "api", "occurredAt": "2026-04-01T03:00:00Z"}
    now = datetime.now(UTC)
    body = json.dumps({"type": "kyc.status.changed", "timestamp": now.isoformat(), "data": data})
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(now.timestamp()))}
    headers["webhook-signature"] = Webhook(secret).sign("msg_1", now, body)
    return httpx.post(f"{box.url}/shop/webhooks", content=body, headers=headers, trust_env=False).status_code


def _honninctl(home: Path, script: str) -> HonninStack:
    program = home / ".venv" / "bin" / "honninctl"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return _stack(home, None)


def test_events_arrive_from_the_first_act_on(tmp_path: Path) -> None:
    event = {"detail-type": "KycStatusChanged", "source": "honnin", "detail": {"userId": "user-1", "to": "APPROVED"}}
    other = {"detail-type": "ReconCompleted", "source": "honnin", "detail": {}}
    script = (
        f"echo 'Listening to the bus b.' >&2; echo '{json.dumps(other)}'; echo '{json.dumps(event)}'; exec sleep 60"
    )
    with Events(_honninctl(tmp_path, script)) as events:
        found = events.wait("KycStatusChanged", user_id="user-1", to="APPROVED")
        assert str(found) == "KycStatusChanged user-1 APPROVED"
        assert [each.type for each in events()] == ["ReconCompleted", "KycStatusChanged"]
        assert events("user-1") == [found]
        with pytest.raises(TooLateError, match=r"but: KycStatusChanged user-1 APPROVED\."):
            events.wait("UserErased", user_id="user-1", timeout=0)


def test_events_that_cannot_be_received_are_an_error(tmp_path: Path) -> None:
    stack = _honninctl(tmp_path, "echo 'No local stack called ours is running.' >&2; exit 1")
    with pytest.raises(StackError, match="No local stack called ours"), Events(stack):
        pass


def test_a_listener_that_says_nothing_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("honnin_client.testing.events._START_S", 0.2)
    with pytest.raises(StackError, match=r"no answer in 0\.2 s"), Events(_honninctl(tmp_path, "exec sleep 60")):
        pass
