"""`honninctl trigger` against the sandbox itself, over a real socket; and whom it refuses to call."""

import json
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from typer.testing import Result

from honninctl import command, roles
from sandbox import delivery
from sandbox.app import SandboxConfig
from sandbox.paypay.account import PayPayAccount
from sandbox.server import RunningSandbox, running
from tests.fakes import cli
from tests.fakes.cli import FakeDeployment

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

NOW = 1_774_925_553.0
HOOK = "http://127.0.0.1:9/webhooks/"
ALL = (
    ("kyc", "mika"),
    ("risk", "mika"),
    ("account-status", "mika"),
    ("vexora-result", "mika"),
    ("recon-night",),
)


@pytest.fixture
def box() -> Iterator[RunningSandbox]:
    """A sandbox whose webhooks are taken at once; mika has linked an account, and has applied to Vexora."""
    urls = {kind: HOOK + kind for kind in ("kyc", "risk", "account_status", "recon")}
    with running(SandboxConfig(paypay=PayPayAccount(webhook_urls=urls))) as started:
        sandbox = started.sandbox
        sandbox.core.clock._time_source = lambda: NOW  # no test crosses a midnight
        sandbox.core.courier.transport = lambda *_: delivery.Answer(200, "OK")
        sandbox.paypay.changes.link({"users": ["mika", "a b/é"], "scopes": ["get_kyc_info"]})
        sandbox.vexora.register.apply("mika", HOOK + "vexora")
        yield started


def _run(
    monkeypatch: pytest.MonkeyPatch, parameters: Mapping[str, str], *arguments: str, stage: str = "local"
) -> Result:
    fake = FakeDeployment({}, {"Stage": stage, **parameters})
    monkeypatch.setattr(command, "Deployment", lambda _where: fake)
    return cli.run("trigger", *arguments)


def _of(box: RunningSandbox) -> dict[str, str]:
    return {"PayPayBaseUrl": box.paypay_base_url, "VexoraBaseUrl": box.vexora_base_url}


def _state(box: RunningSandbox, user: str = "mika") -> dict[str, Any]:
    return {"paypay": box.paypay.register.view(user), "vexora": box.vexora.register.view(user)}


def _is_all(box: RunningSandbox, name: str) -> bool:
    """Whether everything of a kind that was to be sent is taken; it is sent in threads of its own."""
    deadline = time.monotonic() + 20
    while box.sandbox.core.schedule.pending() and time.monotonic() < deadline:
        time.sleep(0.01)
    while time.monotonic() < deadline:
        notices = _state(box)["paypay"]["notifications"]
        if all(each["outcome"] == "delivered" for each in notices if each["type"] == name):
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize(
    ("arguments", "fact", "said"),
    [
        (["kyc", "mika"], ("kyc", "completed", True), "PayPay has updated the KYC of mika."),
        (["kyc", "mika", "--not-completed"], ("kyc", "completed", False), "PayPay has updated the KYC of mika."),
        (["risk", "mika"], ("risk_flag", "UNACCEPTABLE_OP"), "PayPay has flagged mika: UNACCEPTABLE_OP."),
        (
            ["risk", "mika", "--flag", "KYC_UPDATE_REQUIRED"],
            ("risk_flag", "KYC_UPDATE_REQUIRED"),
            "PayPay has flagged mika: KYC_UPDATE_REQUIRED.",
        ),
        (["risk", "mika", "--clear"], ("risk_flag", None), "PayPay has cleared the risk flag of mika."),
        (["account-status", "mika"], ("account_status", "canceled"), "PayPay's account of mika: canceled."),
        (
            ["account-status", "mika", "--status", "inactive"],
            ("account_status", "inactive"),
            "PayPay's account of mika: inactive.",
        ),
        (
            ["account-status", "mika", "--status", "unlinked"],
            ("authorizations", 0, "unlinked", True),
            "mika has ended the link in the PayPay app.",
        ),
    ],
)
def test_what_happens_at_paypay(
    box: RunningSandbox, monkeypatch: pytest.MonkeyPatch, arguments: list[str], fact: tuple[Any, ...], said: str
) -> None:
    ended = _run(monkeypatch, _of(box), *arguments)
    assert ended.exit_code == 0, ended.stderr
    value = _state(box)["paypay"]
    *places, expected = fact
    for place in places:
        value = value[place]
    assert value == expected
    assert len(_state(box)["paypay"]["notifications"]) == 1
    assert ended.stdout.splitlines() == [
        f"{said} The webhook is sent.",
        "Next: Honnin asks PayPay, within seconds",
        "Look: honninctl timeline mika",
    ]


@pytest.mark.parametrize(("outcome", "status"), [("approve", "2"), ("reject", "3"), ("again", "0")])
def test_what_a_reviewer_of_vexora_does(
    box: RunningSandbox, monkeypatch: pytest.MonkeyPatch, outcome: str, status: str
) -> None:
    ended = _run(monkeypatch, _of(box), "vexora-result", "mika", "--outcome", outcome)
    assert ended.exit_code == 0, ended.stderr
    assert _state(box)["vexora"]["status"] == status
    assert len(_state(box)["vexora"]["callbacks"]) == 1


@pytest.mark.parametrize(
    ("option", "count", "states", "said"),
    [
        ("--lost", 1, {"dropped"}, "is lost."),
        ("--twice", 2, {"waiting", "delivered", "accepted"}, "is sent twice."),
        ("--late", 1, {"waiting"}, f"is sent in {delivery.LATE_S:.0f} seconds."),
    ],
)
@pytest.mark.parametrize("name", [each[0] for each in ALL[:-1]])
def test_the_webhook_is_lost_twice_or_late(
    box: RunningSandbox,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    option: str,
    count: int,
    states: set[str],
    said: str,
) -> None:
    ended = _run(monkeypatch, _of(box), name, "mika", option)
    assert ended.exit_code == 0, ended.stderr
    assert f"The webhook {said}" in ended.stdout
    state = _state(box)
    sent = state["vexora"]["callbacks"] if name == "vexora-result" else state["paypay"]["notifications"]
    assert len(sent) == count
    assert {each.get("outcome", each["state"]) for each in sent} <= states
    [following] = [each for each in ended.stdout.splitlines() if each.startswith("Next: ")]
    if option == "--lost":
        assert ("honninctl reread mika" if name == "vexora-result" else "trigger recon-night mika") in following


@pytest.mark.parametrize("arguments", [["risk", "mika", "--clear"], ["account-status", "mika", "--status", "unlinked"]])
def test_what_no_recon_file_lists_is_not_said_to_be_found_by_one(
    box: RunningSandbox, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    ended = _run(monkeypatch, _of(box), *arguments, "--lost")
    assert "no recon file lists this" in ended.stdout
    assert "honninctl reread mika" in ended.stdout
    night = _run(monkeypatch, _of(box), "recon-night", "mika")
    assert night.exit_code == 1
    assert "They do not name mika" in night.stdout


def test_the_night_finds_what_was_lost(box: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    _run(monkeypatch, _of(box), "risk", "mika", "--lost")
    ended = _run(monkeypatch, _of(box), "recon-night", "mika")
    assert ended.exit_code == 0, ended.stderr
    files = box.paypay.recon.views()
    day = files[0]["day"]
    assert [each["rows"] for each in files if each["fileType"] == "kyc_passport_risk_sync_recon"] == [1]
    assert f"Look: honninctl recon {day}" in ended.stdout
    assert "They name mika: risk." in ended.stdout
    assert "kyc_passport_risk_sync_recon" in ended.stdout
    assert _is_all(box, "recon")


@pytest.mark.parametrize(
    ("option", "said"), [("--lost", "is lost."), ("--twice", "is sent twice."), ("--late", "is sent in")]
)
def test_a_nights_notifications(box: RunningSandbox, monkeypatch: pytest.MonkeyPatch, option: str, said: str) -> None:
    ended = _run(monkeypatch, _of(box), "recon-night", option, "--day", "2026-11-20")
    assert ended.exit_code == 0, ended.stderr
    assert f"The webhook {said}" in ended.stdout
    assert {each["day"] for each in box.paypay.recon.views()} == {"2026-11-20"}


def test_a_dial_that_drops_the_webhook_is_told(box: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    box.paypay.dials.put({"webhook_drop": "all"}, "mika")
    assert "The webhook is lost." in _run(monkeypatch, _of(box), "kyc", "mika").stdout
    box.vexora.dials.put({"callback": "dropped"}, "mika")
    assert "The webhook is lost." in _run(monkeypatch, _of(box), "vexora-result", "mika").stdout


def test_json(box: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = json.loads(_run(monkeypatch, _of(box), "risk", "mika", "--twice", "--json").stdout)
    assert shown.pop("next")
    look = "honninctl timeline mika"
    assert shown == {"trigger": "risk", "user": "mika", "delivery": "twice", "look": look}
    night = json.loads(_run(monkeypatch, _of(box), "recon-night", "mika", "--json").stdout)
    assert night["named"] == ["risk"]
    assert {*night} == {"trigger", "user", "delivery", "day", "files", "named", "next", "look"}
    assert {*night["files"][0]} == {"fileType", "day", "rows", "notification"}
    assert night["day"] == box.paypay.recon.today().isoformat()


def test_no_command_shows_a_person_or_an_authorization_id(box: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    user = _state(box)["paypay"]
    for arguments in ALL:
        for form in ((), ("--json",)):
            ended = _run(monkeypatch, _of(box), *arguments, *form)
            for secret in (user["authorizations"][0]["id"], user["kyc"]["data"]["lastName"], "signature="):
                assert secret not in ended.stdout + ended.stderr


def test_a_users_id_is_sent_as_it_is(box: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _run(monkeypatch, _of(box), "risk", "a b/é").exit_code == 3  # no id of Honnin's holds a slash
    box.sandbox.paypay.changes.link({"users": ["a b?é#%2F"], "scopes": ["get_kyc_info"]})
    assert _run(monkeypatch, _of(box), "risk", "a b?é#%2F").exit_code == 0
    assert box.paypay.register.view("a b?é#%2F")["risk_flag"] == "UNACCEPTABLE_OP"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["risk", "nobody"], 3, "nobody has no PayPay account linked in the sandbox"),
        (["kyc", ".."], 3, ".. has no PayPay account linked in the sandbox"),
        (["account-status", "nobody", "--status", "unlinked"], 3, "nobody has no PayPay account linked"),
        (["recon-night", "nobody"], 3, "nobody has no PayPay account linked in the sandbox"),
        (["vexora-result", "nobody"], 3, "nobody has not applied to Vexora in the sandbox"),
        (["risk", "mika", "--lost", "--twice"], 2, "give one of --lost, --twice and --late"),
        (["recon-night", "--day", "20th"], 2, "'20th' is not a day"),
        (["risk", "mika", "--flag", "BAD"], 2, ""),
        (["vexora-result", "mika", "--outcome", "none"], 2, ""),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    box: RunningSandbox, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, said: str
) -> None:
    before = _state(box)
    ended = _run(monkeypatch, _of(box), *arguments)
    assert (ended.exit_code, ended.stdout) == (code, "")
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert _state(box) == before


def test_a_decided_application_is_decided_once(box: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _run(monkeypatch, _of(box), "vexora-result", "mika").exit_code == 0
    ended = _run(monkeypatch, _of(box), "vexora-result", "mika", "--outcome", "reject")
    assert ended.exit_code == 1
    assert "--outcome again" in ended.stderr
    assert _run(monkeypatch, _of(box), "vexora-result", "mika", "--outcome", "again").exit_code == 0


# --- whom it calls ---


@pytest.mark.parametrize(
    "address",
    [
        "https://api.paypay.ne.jp",
        "https://stg-api.sandbox.paypay.ne.jp",
        "https://sandbox-api.vexora.com/japan",
        "https://127.0.0.1:9100",
        "http://127.0.0.1.evil.example:9100",
        "http://127.0.0.1@evil.example:9100",
        "http://user@127.0.0.1:9100",
        "http://127.0.0.1",
        "http://127.0.0.1:x",
        "http://192.168.0.1:9100",
        "http://[::1",
        "ftp://127.0.0.1:9100",
        "",
    ],
)
@pytest.mark.parametrize("arguments", ALL)
def test_an_address_that_is_not_the_sandboxs_is_never_called(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], address: str
) -> None:
    def called(*_: object, **__: object) -> None:
        raise AssertionError("something was sent")

    monkeypatch.setattr("honninctl.trigger.send", called)
    ended = _run(monkeypatch, {"PayPayBaseUrl": address, "VexoraBaseUrl": address}, *arguments)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "is not the address of the sandbox on this machine" in ended.stderr
    assert "nothing was sent" in ended.stderr


@pytest.mark.parametrize("arguments", ALL)
def test_a_stack_that_is_not_local_is_refused_though_its_addresses_are(
    box: RunningSandbox, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    before = _state(box)
    ended = _run(monkeypatch, _of(box), *arguments, stage="prod")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "honnin-test is not the stack of `make run`" in ended.stderr
    assert _state(box) == before


@pytest.mark.parametrize("arguments", ALL)
def test_what_listens_there_and_is_not_the_sandbox_gets_no_more_than_a_question(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    asked = []

    class Other(BaseHTTPRequestHandler):
        """Redirects every question to somewhere else."""

        def do_GET(self) -> None:
            asked.append((self.command, self.path))
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")  # type: ignore[attr-defined]
            self.end_headers()

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        ended = _run(monkeypatch, {"PayPayBaseUrl": url, "VexoraBaseUrl": f"{url}/japan"}, *arguments)
        server.shutdown()
    assert ended.exit_code == 1
    assert "is not the sandbox of `make run`: nothing was sent to it" in ended.stderr
    assert asked == [("GET", "/_sandbox/health")]


def test_a_sandbox_that_has_ended(box: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        url = f"http://127.0.0.1:{server.server_port}"
    ended = _run(monkeypatch, {"PayPayBaseUrl": url}, "kyc", "mika")
    assert ended.exit_code == 5
    assert f"the sandbox at {url} does not answer: is `make run` still running?" in ended.stderr


def test_a_proxy_of_the_environment_is_not_asked(box: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert _run(monkeypatch, _of(box), "kyc", "mika").exit_code == 0


def test_every_role_may_for_it_asks_aws_for_the_stack_only() -> None:
    for name, *_ in ALL:
        assert len(roles.ALLOWED_BY[f"trigger {name}"]) == 4


def test_the_cli_and_the_sandbox_mean_the_same_by_their_words() -> None:
    from honninctl import trigger
    from sandbox.paypay.register import ACCOUNT_STATES, RISK_FLAGS
    from sandbox.vexora.provider import AGAIN
    from sandbox.vexora.register import OUTCOMES

    assert tuple(trigger.Delivery) == delivery.DELIVERIES
    assert trigger.LATE_S == delivery.LATE_S
    assert {*trigger.Outcome} == {*OUTCOMES, AGAIN}
    assert {*trigger.AccountStatus} == {*ACCOUNT_STATES, "unlinked"}
    assert {*trigger.RiskFlag} == {*RISK_FLAGS}
