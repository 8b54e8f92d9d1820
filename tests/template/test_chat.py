"""The chat channel that gets the alarms: who may do what through it."""

import re
from typing import Any

import pytest

from tests.template.axes import AXES
from tests.template.deployed import deployed, of_type

CHAT = AXES["chat"]["chat"]
SLACK, TEAMS = CHAT[:2], CHAT[2:]
KINDS = {"SlackChannel": "SlackChannelConfiguration", "TeamsChannel": "MicrosoftTeamsChannelConfiguration"}


@pytest.mark.parametrize(
    ("parameters", "channels"),
    [((), set()), (SLACK, {"SlackChannel"}), (TEAMS, {"TeamsChannel"}), (CHAT, set(KINDS))],
)
def test_a_channel_and_its_role_are_made_only_if_they_are_set(parameters: Any, channels: set[str]) -> None:
    found = {name for name, kind in KINDS.items() if of_type(parameters, f"AWS::Chatbot::{kind}")}
    assert found == channels
    assert ({"ChatRole", "ChatPolicy"} <= deployed(parameters)["Resources"].keys()) is bool(channels)


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_a_channel_hears_the_alarm_topic_and_may_do_no_more_than_the_guardrail(name: str, kind: str) -> None:
    channel = of_type(CHAT, f"AWS::Chatbot::{kind}")[name]
    assert channel["SnsTopicArns"] == [{"Ref": "AlarmTopic"}]
    assert channel["IamRoleArn"] == {"Fn::GetAtt": ["ChatRole", "Arn"]}
    # Without one AWS takes AdministratorAccess.
    assert channel["GuardrailPolicies"] == [{"Ref": "ChatPolicy"}]
    role = deployed(CHAT)["Resources"]["ChatRole"]["Properties"]
    assert role["ManagedPolicyArns"] == [{"Ref": "ChatPolicy"}]
    assert "Policies" not in role


def test_no_two_channels_of_an_account_have_one_name() -> None:
    """The service is global: stacks of one name in two regions, and Slack beside Teams, would take the same name."""
    names = [of_type(CHAT, f"AWS::Chatbot::{kind}")[name]["ConfigurationName"] for name, kind in KINDS.items()]
    assert len({each["Fn::Sub"] for each in names}) == 2
    assert all("AWS::Region" in str(each) for each in names)


@pytest.mark.parametrize(("name", "replaced"), [("SlackChannel", "SlackWorkspaceId"), ("TeamsChannel", "TeamsTeamId")])
def test_a_channel_of_another_workspace_has_another_name(name: str, replaced: str) -> None:
    """AWS changes only the channel's id. For all else CloudFormation makes a new one while the old one has its name."""
    channel = of_type(CHAT, f"AWS::Chatbot::{KINDS[name]}")[name]
    assert channel["ConfigurationName"]["Fn::Sub"].endswith(f"-{dict(CHAT)[replaced]}")


def test_the_channel_may_only_read_alarms_and_metrics() -> None:
    policy = of_type(CHAT, "AWS::IAM::ManagedPolicy")["ChatPolicy"]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert statement["Effect"] == "Allow"
    assert all(re.fullmatch(r"cloudwatch:(Describe|Get)\w+", each) for each in statement["Action"])
    assert "Roles" not in policy


def test_the_role_is_the_chat_services_alone() -> None:
    [trust] = deployed(CHAT)["Resources"]["ChatRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "chatbot.amazonaws.com"}


def test_who_publishes_to_the_topic_may_use_its_key() -> None:
    """SNS decrypts before it delivers: the chat needs nothing of the key, but CloudWatch does."""
    resources = deployed(CHAT)["Resources"]
    assert resources["AlarmTopic"]["Properties"]["KmsMasterKeyId"] == {"Fn::GetAtt": ["StateKey", "Arn"]}
    [publisher] = [
        each
        for each in resources["StateKey"]["Properties"]["KeyPolicy"]["Statement"]
        if each["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    ]
    assert {"kms:Decrypt", "kms:GenerateDataKey"} <= set(publisher["Action"])
