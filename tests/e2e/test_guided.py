"""`sam deploy --guided` with Enter at each question: a trial stack that works, and says what it still needs."""

import os
import pty
import re
import select
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from samcli.yamlhelper import yaml_dump, yaml_parse  # type: ignore[import-untyped]

from local import deployment, emulator, environment, ports
from local.paths import ROOT, SAM_DIRECTORY, TOOLS
from local.stack import AccessKey, Merchant
from local.steps import QuietSteps
from tests.tables import template

pytestmark = pytest.mark.e2e

_NAME = "guided"
_DEPLOYED_S = 600
_QUESTION = re.compile(r"^\t(.+?)(?: \[([^\n]*)\])?: $", re.MULTILINE)
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True)
class Trial:
    """The deployed stack: where it is, and what SAM asked (each question with its default)."""

    endpoint: str
    asked: Mapping[str, str]
    said: str
    outputs: Mapping[str, str]


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    """`sam deploy --guided` on an emulator of its own, in a folder with what `sam build` made and samconfig.toml."""
    folder = tmp_path_factory.mktemp("guided")
    shutil.copy(ROOT / "samconfig.toml", folder)
    with emulator.running(_NAME, ports.free_port()) as endpoint:
        with deployment.build_lock():
            deployment.build(_NAME, QuietSteps())
            _copy_build(folder)
            code, said = _press_enter(
                [str(TOOLS / "bin" / "python"), "-m", "samcli", "deploy", "--guided"], folder, endpoint
            )
        assert code == 0, said[-3000:]
        asked = dict(_QUESTION.findall(said))
        yield Trial(endpoint, asked, said, _outputs(endpoint))


def test_it_asks_for_the_parameters_of_samconfig_and_the_template(trial: Trial) -> None:
    parameters = template()["Parameters"]
    asked = {name.removeprefix("Parameter "): value for name, value in trial.asked.items() if "Parameter " in name}
    assert asked == {name: str(each["Default"]) for name, each in parameters.items()}
    others = {name: value for name, value in trial.asked.items() if "Parameter " not in name}
    assert (others["Stack Name"], others["AWS Region"]) == ("honnin-dev", "ap-northeast-1")
    assert "has no authentication" not in trial.said
    assert "Deploy this changeset?" not in trial.said


def test_the_first_calls_get_precise_answers(trial: Trial) -> None:
    merchant = _merchant(trial)
    unknown = merchant.request("GET", "/users/nobody")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "user-unknown")
    submission = {"userId": "trial", "usernameFurigana": "テスト タロウ"}
    without_secret = merchant.request("POST", "/vexora/submissions", json=submission).json()
    assert without_secret["code"] == "deployment-incomplete"
    assert "aws secretsmanager put-secret-value" in without_secret["detail"]
    wanted = {"userId": "trial", "scopes": ["get_kyc_info"], "returnUrl": "https://shop.example.jp"}
    link = merchant.request("POST", "/paypay/account-links", json=wanted).json()
    assert (link["code"], link["errors"][0]["field"]) == ("field-invalid", "returnUrl")


def test_the_doctor_says_what_is_to_be_done(trial: Trial) -> None:
    done = subprocess.run(
        [TOOLS / "bin" / "honninctl", "doctor", "--stack", "honnin-dev", "--endpoint", trial.endpoint],
        env=environment.sam(endpoint=trial.endpoint),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "put-secret-value" in done.stdout or "providers.json" in done.stdout, done.stdout


def _copy_build(folder: Path) -> None:
    """What `sam build` made, without the one type of resource that the emulator does not have."""
    built, copy = SAM_DIRECTORY / "build", folder / ".aws-sam" / "build"
    copy.mkdir(parents=True)
    for each in built.iterdir():
        (copy / each.name).symlink_to(each)
    (copy / "template.yaml").unlink()
    made = yaml_parse((built / "template.yaml").read_text(encoding="utf-8"))
    made["Resources"] = {
        name: each for name, each in made["Resources"].items() if each["Type"] != "AWS::Logs::QueryDefinition"
    }
    (copy / "template.yaml").write_text(yaml_dump(made), encoding="utf-8")


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


def _client(service: str, endpoint: str) -> Any:
    session = botocore.session.Session()
    return session.create_client(
        service,
        region_name=environment.REGION,
        endpoint_url=endpoint,
        aws_access_key_id=environment.DEPLOYER_KEY_ID,
        aws_secret_access_key=environment.DEPLOYER_SECRET,
    )


def _outputs(endpoint: str) -> dict[str, str]:
    [stack] = _client("cloudformation", endpoint).describe_stacks(StackName="honnin-dev")["Stacks"]
    return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}


def _merchant(trial: Trial) -> Merchant:
    """A back end that has the policy which docs/deploying.md attaches, at the emulator's address of the API."""
    iam = _client("iam", trial.endpoint)
    iam.create_user(UserName="back-end")
    iam.attach_user_policy(UserName="back-end", PolicyArn=trial.outputs["BackendPolicyArn"])
    key = iam.create_access_key(UserName="back-end")["AccessKey"]
    api = trial.outputs["MerchantApiUrl"].removeprefix("https://").partition(".")[0]
    url = f"{trial.endpoint}/restapis/{api}/v1/_user_request_"
    return Merchant(url, environment.REGION, AccessKey(key["AccessKeyId"], key["SecretAccessKey"]))
