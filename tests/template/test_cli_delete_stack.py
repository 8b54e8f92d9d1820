"""What `make delete-stack` says before it deletes: everything that stays, with a way to remove it."""

import shlex
import sys
from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from operations import delete_stack
from operations.delete_stack import REMOVAL, Resource, explanation
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
            stays=each.get("DeletionPolicy") == "Retain" and each["Type"] not in delete_stack._GOES_ANYWAY,
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


def test_keys_go_last() -> None:
    lines = explanation(STACK, _deployed(), {})
    commands = [line for line in lines if line.strip().startswith("aws ")]
    keys = [place for place, line in enumerate(commands) if "schedule-key-deletion" in line]
    assert keys == list(range(len(commands) - 2, len(commands)))


@pytest.mark.parametrize("command", [each for commands in REMOVAL.values() for each in commands])
def test_a_command_is_one_that_a_shell_can_read(command: str) -> None:
    written = command.format(id="x")
    words = shlex.split(written, comments=True)
    assert not words or words[0] == "aws"
    assert "{id}" not in written


def test_what_goes_is_counted_and_waiting_messages_are_told() -> None:
    resources = [Resource("A", "a", "AWS::SQS::Queue", False), Resource("B", "b", "AWS::SQS::Queue", False)]
    text = "\n".join(explanation(STACK, resources, {"A": 7}))
    assert "removes 2 resources" in text
    assert "A holds about 7 messages" in text
    assert "Nothing outlives the stack." in text


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        yield


@pytest.fixture
def stack(aws: None) -> None:
    cloudformation, sqs = boto3.client("cloudformation"), boto3.client("sqs")
    cloudformation.create_stack(StackName=STACK, TemplateBody=_TEMPLATE)
    for each in cloudformation.list_stack_resources(StackName=STACK)["StackResourceSummaries"]:
        if each["LogicalResourceId"] == "Waiting":
            sqs.send_message(QueueUrl=each["PhysicalResourceId"], MessageBody="{}")


def _run(monkeypatch: pytest.MonkeyPatch, typed: str | None, *arguments: str) -> int:
    def answer(_prompt: str) -> str:
        if typed is None:
            raise EOFError
        return typed

    monkeypatch.setattr("builtins.input", answer)
    monkeypatch.setattr(sys, "argv", ["delete_stack", "--stack", STACK, *arguments])
    return delete_stack.main()


def _is_there() -> bool:
    summaries = boto3.client("cloudformation").list_stacks()["StackSummaries"]
    return any(each["StackName"] == STACK and each["StackStatus"] != "DELETE_COMPLETE" for each in summaries)


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize("typed", ["", "honnin-dev", "y", None])
def test_nothing_is_deleted_unless_the_name_is_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str
) -> None:
    assert _run(monkeypatch, typed) == 1
    assert _is_there()
    said = capsys.readouterr().out
    assert "Waiting holds about 1 messages" in said
    assert "aws sqs delete-queue --queue-url" in said


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize(("typed", "arguments"), [(STACK, []), (None, ["--yes"])])
def test_the_stack_is_deleted_after_it_was_told(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    typed: str,
    arguments: list[str],
) -> None:
    assert _run(monkeypatch, typed, *arguments) == 0
    assert not _is_there()
    said = capsys.readouterr().out
    assert said.index("outlives the stack") < said.index("is deleted")


@pytest.mark.usefixtures("aws")
def test_a_stack_that_is_not_there_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, STACK) == 1
    assert capsys.readouterr().err.startswith(f"{STACK} could not be deleted: ")
