"""What `honninctl delete-stack` says before it deletes: everything that stays, with a way to remove it."""

import json
import shlex
from collections.abc import Iterator

import boto3
import pytest
from typer.testing import Result

from honninctl import stack_deletion
from honninctl.screen import Screen
from honninctl.stack_deletion import REMOVAL, REMOVAL_OF, Resource, explanation
from tests.fakes.cli import run
from tests.moto_state import moto
from tests.permissions import POLICIES
from tests.template.transformed import REGION, transformed

STACK = "honnin-prod"
_TEMPLATE = """
Resources:
  Waiting: { Type: AWS::SQS::Queue, DeletionPolicy: Retain }
  Other: { Type: AWS::SQS::Queue }
"""


def _deployed() -> list[Resource]:
    """Every resource of the template, with a physical id."""
    return [
        Resource(
            name,
            f"id-of-{name}",
            each["Type"],
            stays=each.get("DeletionPolicy") == "Retain" and each["Type"] not in stack_deletion._GOES_ANYWAY,
        )
        for name, each in transformed()["Resources"].items()
    ]


def test_each_resource_that_stays_is_named_with_a_way_to_remove_it() -> None:
    text = "\n".join(explanation(STACK, _deployed(), {}))
    stays = [each for each in _deployed() if each.stays]
    assert {each.kind for each in stays} == set(REMOVAL), "no more and no fewer types than the template retains"
    for each in stays:
        assert f"{each.logical_id} ({each.kind}): {each.physical_id}" in text
    assert "no command is known" not in text


def test_the_role_that_deletes_expired_backups_goes_after_them() -> None:
    text = "\n".join(explanation(STACK, _deployed(), {}))
    removal = "aws iam delete-role-policy --role-name id-of-BackupRole --policy-name BackUpTheStateTable"
    assert (
        text.index("delete-backup-vault") < text.index(removal) < text.index("delete-role --role-name id-of-BackupRole")
    )
    [policy] = transformed()["Resources"]["BackupRole"]["Properties"]["Policies"]
    assert policy["PolicyName"] in removal
    assert "id-of-BackupRole --policy-arn" not in text


def test_keys_go_last() -> None:
    lines = explanation(STACK, _deployed(), {})
    commands = [line for line in lines if line.strip().startswith("aws ")]
    keys = [place for place, line in enumerate(commands) if "schedule-key-deletion" in line]
    assert keys == list(range(len(commands) - 2, len(commands)))


@pytest.mark.parametrize(
    "command", [each for commands in (*REMOVAL.values(), *REMOVAL_OF.values()) for each in commands]
)
def test_a_command_is_one_that_a_shell_can_read(command: str) -> None:
    written = command.format(id="x")
    words = shlex.split(written, comments=True)
    assert not words or words[0] == "aws"
    assert "{id}" not in written


def test_what_goes_is_counted_and_waiting_messages_are_told() -> None:
    resources = [Resource("A", "a", "AWS::SQS::Queue", False), Resource("B", "b", "AWS::SQS::Queue", False)]
    text = "\n".join(explanation(STACK, resources, {"A": 7}))
    assert "removes 2 resources" in text
    assert "A has about 7 messages" in text
    assert "Nothing stays after the deletion." in text


def test_domains_of_your_own_keep_their_urls() -> None:
    domain = Resource("WebhookDomain", "kyc.example.jp", "AWS::ApiGateway::DomainName", stays=False)
    assert "the same URLs under kyc.example.jp, if" in "\n".join(explanation(STACK, [domain], {}))
    assert "the same URLs" not in "\n".join(explanation(STACK, [], {}))


def test_the_policies_that_must_be_detached_first_are_named() -> None:
    text = "\n".join(explanation(STACK, _deployed(), {}))
    assert "Detach these first:" in text
    for policy in POLICIES:
        assert f"\n  id-of-{policy}\n" in text
    assert "Detach" not in "\n".join(explanation(STACK, [], {}))


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with moto():
        yield


@pytest.fixture
def stack(aws: None) -> None:
    cloudformation, sqs = boto3.client("cloudformation"), boto3.client("sqs")
    cloudformation.create_stack(StackName=STACK, TemplateBody=_TEMPLATE)
    for each in cloudformation.list_stack_resources(StackName=STACK)["StackResourceSummaries"]:
        if each["LogicalResourceId"] == "Waiting":
            sqs.send_message(QueueUrl=each["PhysicalResourceId"], MessageBody="{}")


def _run(monkeypatch: pytest.MonkeyPatch, typed: str | None, *arguments: str) -> Result:
    monkeypatch.setattr(Screen, "ask", lambda _screen, _question: typed)
    return run("delete-stack", *arguments, env={"HONNIN_STACK": STACK})


def _is_there() -> bool:
    summaries = boto3.client("cloudformation").list_stacks()["StackSummaries"]
    return any(each["StackName"] == STACK and each["StackStatus"] != "DELETE_COMPLETE" for each in summaries)


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize("typed", ["", "honnin-dev", "y", None])
def test_nothing_is_deleted_unless_the_name_is_typed(monkeypatch: pytest.MonkeyPatch, typed: str | None) -> None:
    ended = _run(monkeypatch, typed)
    assert ended.exit_code == 1
    assert _is_there()
    assert "Waiting has about 1 messages" in ended.stdout
    assert "aws sqs delete-queue --queue-url" in ended.stdout


@pytest.mark.usefixtures("stack")
def test_the_stack_is_deleted_after_it_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = _run(monkeypatch, STACK)
    assert ended.exit_code == 0
    assert not _is_there()
    assert ended.stdout.index("stay after the deletion") < ended.stdout.index("is deleted")


@pytest.mark.usefixtures("stack")
def test_a_script_gets_json_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = _run(monkeypatch, None, "--yes", "--json")
    said = json.loads(ended.stdout)
    assert said["goes"] == {"AWS::SQS::Queue": 1}
    assert [each["logicalId"] for each in said["stays"]] == ["Waiting"]
    assert "stay after the deletion" in ended.stderr
    assert not _is_there()


@pytest.mark.usefixtures("aws")
def test_a_stack_that_is_not_there_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = _run(monkeypatch, STACK)
    assert ended.exit_code == 3
    assert STACK in ended.stderr
