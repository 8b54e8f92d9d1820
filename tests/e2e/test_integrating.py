"""docs/integrating.md: the first call, and the template, deployed beside the local stack: a queue of one's own."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator

import pytest

from local import demo
from local.paths import ROOT
from local.stack import Stack
from tests import documents

pytestmark = pytest.mark.e2e


def test_the_first_call_of_the_python_client(stack: Stack) -> None:
    [text] = [each.text for each in documents.blocks(ROOT / "docs" / "integrating.md") if "Credentials(" in each.text]
    access = stack.merchant.access_key
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "clients" / "python"),
        "MERCHANT_API": stack.merchant.url,
        "MERCHANT_KEY": f"{access.key_id}:{access.secret}",
        "AWS_REGION": stack.region,
    }
    command = [sys.executable, "-c", text.replace("user-201", f"first-{uuid.uuid4().hex[:12]}")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr


@pytest.fixture
def queue(stack: Stack) -> Iterator[str]:
    """The URL of the queue that the documents' template makes."""
    [text] = [each.text for each in documents.blocks(ROOT / "docs" / "integrating.md") if each.language == "yaml"]
    cloudformation, name = stack.client("cloudformation"), f"shop-{uuid.uuid4().hex[:8]}"
    bus = {"ParameterKey": "Bus", "ParameterValue": stack.outputs["EventBusName"]}
    cloudformation.create_stack(StackName=name, TemplateBody=text, Parameters=[bus])
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    [made] = cloudformation.describe_stacks(StackName=name)["Stacks"]
    yield made["Outputs"][0]["OutputValue"]
    cloudformation.delete_stack(StackName=name)


def test_a_change_and_an_erasure_arrive_in_the_merchants_queue(stack: Stack, queue: str) -> None:
    user_id = f"shop:{uuid.uuid4().hex[:12]}@example"
    submission = {"userId": user_id, "usernameFurigana": "テスト ハナコ"}
    assert stack.merchant.request("POST", "/vexora/submissions", json=submission).status_code in (200, 201, 202)
    assert demo.wait_for(lambda: demo.status(stack, user_id, "vexora") == "APPROVED", 60)
    assert stack.merchant.request("DELETE", f"/users/{user_id}/personal-data").status_code == 200
    found: list[tuple[str, str | None]] = []

    def arrived() -> bool:
        answer = stack.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in answer.get("Messages", []):
            event = json.loads(message["Body"])
            if event["detail"]["userId"] == user_id:
                found.append((event["detail-type"], event["detail"].get("to")))
        return {("KycStatusChanged", "APPROVED"), ("UserErased", None)} <= set(found)

    assert demo.wait_for(arrived, 60), found
