"""`sam deploy --guided` with Enter at each question: a trial stack that works, and says what it still needs."""

import json
import os
import pty
import re
import select
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import requests
from samcli.yamlhelper import yaml_dump, yaml_parse  # type: ignore[import-untyped]

from local import deployment, emulator, environment, ports
from local.paths import ROOT, SAM_DIRECTORY, TOOLS
from local.stack import AccessKey, Merchant
from local.steps import QuietSteps
from tests.e2e.program import forked
from tests.tables import template

pytestmark = pytest.mark.e2e

_NAME = "guided"
_STACK = "honnin-dev"  # what SAM proposes
_DEPLOYED_S = 300
_REQUEST_TIMEOUT_S = 35
_NO_PROVIDER = "http://127.0.0.1:9"  # a proxy that is not there: the doctor asks no real provider for the time
_QUESTION = re.compile(r"^\t(.+?)(?: \[([^\n]*)\])?: $", re.MULTILINE)
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True)
class Trial:
    """What SAM asked (each question with its default), all that it said, and the stack that it deployed."""

    asked: Mapping[str, str]
    said: str
    endpoint: str
    outputs: Mapping[str, str]

    def client(self, service: str) -> Any:
        """A boto3-like client of the one who has deployed."""
        return botocore.session.Session().create_client(
            service,
            region_name=environment.REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id=environment.DEPLOYER_KEY_ID,
            aws_secret_access_key=environment.DEPLOYER_SECRET,
        )

    def reachable(self, url: str) -> str:
        """A URL of the outputs, at the emulator: the trial does not know that it is on one."""
        api, _, path = url.removeprefix("https://").partition(f".execute-api.{environment.REGION}.amazonaws.com/v1")
        return f"{self.endpoint}/restapis/{api}/v1/_user_request_{path}"

    def invoke(self, logical_id: str, event: Mapping[str, object]) -> Any:
        """What a function of the template answers to an event."""
        found = self.client("cloudformation").describe_stack_resource(StackName=_STACK, LogicalResourceId=logical_id)
        name = found["StackResourceDetail"]["PhysicalResourceId"]
        return json.loads(self.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))["Payload"].read())


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    """`sam deploy --guided` on an emulator of its own, in a folder with what `sam build` made and samconfig.toml."""
    folder = tmp_path_factory.mktemp("guided")
    shutil.copy(ROOT / "samconfig.toml", folder)
    command = [str(TOOLS / "bin" / "python"), "-m", "samcli", "deploy", "--guided"]
    with emulator.running(_NAME, ports.free_port()) as endpoint:
        with deployment.build_lock():
            deployment.build(_NAME, QuietSteps())
            _copy_build(folder)
            code, said = _press_enter(command, folder, endpoint)
        assert code == 0, said[-3000:]
        deployed = Trial(dict(_QUESTION.findall(said)), said, endpoint, {})
        [stack] = deployed.client("cloudformation").describe_stacks(StackName=_STACK)["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        yield replace(deployed, outputs={each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]})


def test_it_asks_for_the_parameters_of_samconfig_and_the_template(trial: Trial) -> None:
    parameters = template()["Parameters"]
    asked = {name.removeprefix("Parameter "): value for name, value in trial.asked.items() if "Parameter " in name}
    assert asked == {name: str(each["Default"]) for name, each in parameters.items()}
    others = {name: value for name, value in trial.asked.items() if "Parameter " not in name}
    assert (others["Stack Name"], others["AWS Region"]) == (_STACK, "ap-northeast-1")
    assert "has no authentication" not in trial.said
    assert "Deploy this changeset?" not in trial.said
    assert "Saved arguments to config file" in trial.said


@pytest.fixture(scope="module")
def merchant(trial: Trial) -> Merchant:
    """A back end with the policy that docs/deploying.md attaches, and no other."""
    iam = trial.client("iam")
    iam.create_user(UserName="back-end")
    iam.attach_user_policy(UserName="back-end", PolicyArn=trial.outputs["BackendPolicyArn"])
    key = iam.create_access_key(UserName="back-end")["AccessKey"]
    url = trial.reachable(trial.outputs["MerchantApiUrl"])
    return Merchant(url, environment.REGION, AccessKey(key["AccessKeyId"], key["SecretAccessKey"]))


def test_the_first_calls_get_precise_answers(trial: Trial, merchant: Merchant) -> None:
    unknown = merchant.request("GET", "/users/x")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "user-unknown")
    submission = {"userId": "trial", "usernameFurigana": "テスト タロウ"}
    without_secret = merchant.request("POST", "/vexora/submissions", json=submission)
    assert (without_secret.status_code, without_secret.json()["code"]) == (500, "deployment-incomplete")
    secret = f"--secret-id {trial.outputs['ProvidersSecretArn']} "
    assert f"aws secretsmanager put-secret-value {secret}" in without_secret.json()["detail"]
    wanted = {"userId": "trial", "scopes": ["get_kyc_info"], "returnUrl": "https://shop.example.jp"}
    link = merchant.request("POST", "/paypay/account-links", json=wanted)
    assert (link.status_code, link.json()["errors"][0]["field"]) == (422, "returnUrl")
    assert "ReturnUrlAllowlist" in link.json()["detail"]
    unsigned = requests.get(f"{merchant.url}/users/x", timeout=_REQUEST_TIMEOUT_S)
    assert (unsigned.status_code, unsigned.json()["code"]) == (403, "not-signed-or-no-route")


def test_the_webhooks_refuse_strangers(trial: Trial) -> None:
    """PayPay's by the address, Vexora's, which have no list of addresses by default, by the token in the URL."""
    urls = {name: url for name, url in trial.outputs.items() if name.endswith("WebhookUrl")}
    answers = {
        name: requests.post(trial.reachable(url), json={}, timeout=_REQUEST_TIMEOUT_S) for name, url in urls.items()
    }
    of_paypay = (403, "this address is not allowed to call this URL")
    assert {name: (each.status_code, each.text) for name, each in answers.items()} == {
        "VexoraResultWebhookUrl": (403, "the token does not match this URL"),
        "PayPayKycWebhookUrl": of_paypay,
        "PayPayRiskWebhookUrl": of_paypay,
        "PayPayAccountStatusWebhookUrl": of_paypay,
        "PayPayReconWebhookUrl": of_paypay,
    }


@pytest.mark.parametrize("kind", ["Kyc", "Risk", "AccountStatus", "Recon"])
def test_the_webhooks_take_what_comes_from_an_address_of_paypay(trial: Trial, kind: str) -> None:
    """The sample events are from such an address; the emulator cannot send from one."""
    file = {"AccountStatus": "account_status"}.get(kind, kind.lower())
    event = json.loads((ROOT / "events" / f"paypay_{file}_webhook.json").read_text(encoding="utf-8"))
    assert trial.invoke(f"PayPay{kind}WebhookFunction", event)["statusCode"] == 200


def test_the_doctor_says_what_to_do_next(trial: Trial) -> None:
    """In the order of docs/deploying.md. The clocks are among it only because no provider can be asked here."""
    env = environment.sam(endpoint=trial.endpoint) | {"https_proxy": _NO_PROVIDER}
    ended = forked(["doctor", "--json", "--stack", _STACK, "--endpoint", trial.endpoint], env)
    found = [each for each in ended.json["checks"] if each["verdict"] != "ok"]
    assert list(dict.fromkeys(each["topic"] for each in found)) == ["secret", "clock", "egress", "alarms", "parameters"]
    assert [(each["found"], each["advice"]) for each in found if each["verdict"] == "fail"] == [
        ("no provider is set up", "fill the secret with put-secret-value (docs/deploying.md)")
    ]
    assert ended.code == 1
    advice = {each["topic"]: each["advice"] for each in found}
    assert "register" in advice["egress"]
    assert "set AlarmEmail and deploy" in advice["alarms"]
    assert any("ReturnUrlAllowlist" in each["found"] for each in found)


def _copy_build(folder: Path) -> None:
    """What `sam build` made, without the resources that the emulator cannot make or live with."""
    built, copy = SAM_DIRECTORY / "build", folder / ".aws-sam" / "build"
    copy.mkdir(parents=True)
    (folder / "operations").symlink_to(ROOT / "operations")  # the dashboard, which the template includes
    for each in built.iterdir():
        (copy / each.name).symlink_to(each)
    (copy / "template.yaml").unlink()
    made = yaml_parse((built / "template.yaml").read_text(encoding="utf-8"))
    made["Resources"] = {name: each for name, each in made["Resources"].items() if not _is_beyond_the_emulator(each)}
    (copy / "template.yaml").write_text(yaml_dump(made), encoding="utf-8")


def _is_beyond_the_emulator(resource: Mapping[str, Any]) -> bool:
    kind, properties = resource["Type"], resource["Properties"]
    return (
        kind == "AWS::Logs::QueryDefinition"  # it has no Logs Insights
        or (kind == "AWS::CloudWatch::Alarm" and "Metrics" in properties)  # its alarms cannot add metrics up
        # The policies that refuse plain HTTP: on the loopback address it has nothing else.
        or (kind in ("AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy") and "aws:SecureTransport" in str(properties))
    )


def _press_enter(command: list[str], folder: Path, endpoint: str) -> tuple[int, str]:
    """Run a command in a terminal and press Enter at each question; its exit code, and all that it said."""
    ours, its = pty.openpty()
    env = environment.sam(endpoint=endpoint) | {"TERM": "dumb", "COLUMNS": "200"}
    process = subprocess.Popen(command, cwd=folder, env=env, stdin=its, stdout=its, stderr=its, close_fds=True)
    os.close(its)
    said, deadline = b"", time.monotonic() + _DEPLOYED_S
    try:
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 1)[0]:
                continue
            try:
                said += os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if said.endswith(b": "):
                os.write(ours, b"\n")
        return process.wait(30), _COLOURS.sub("", said.decode(errors="replace")).replace("\r", "")
    finally:
        process.kill()
        os.close(ours)
