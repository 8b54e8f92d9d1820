"""The managed policies of template.yaml against the table in docs/security.md, "Roles", and against honninctl."""

import inspect
import json
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import pytest
import typer.main

from honnin.store import keys
from honninctl import roles
from honninctl.app import program
from tests.permissions import EVERYTHING, POLICIES, RESTORED, STACK, Need, Row, rows
from tests.tables import TEMPLATE, template
from tests.template.transformed import resources

# AWS, "IAM and AWS STS quotas": characters of a managed policy, white space not counted.
_LONGEST_POLICY = 6144
# As long a name as docs/deploying.md allows; CloudFormation cuts what would make a resource's name too long.
_STACK_NAME = "honnin-production-shop-in-tokyo"
_REGION, _ACCOUNT = "ap-northeast-1", "111122223333"
_PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": _REGION,
    "AWS::AccountId": _ACCOUNT,
    "AWS::StackName": _STACK_NAME,
    "MerchantApi": "abcde12345",
    "RepairSource": "0a4cc0a5-0000-4000-8000-000000000001",
    "RereadSource": "0a4cc0a5-0000-4000-8000-000000000002",
    "MerchantWebhookSource": "0a4cc0a5-0000-4000-8000-000000000003",
}
# By type: the service and what stands before the name in an ARN, and the longest name that AWS takes.
_ARNS = {
    "AWS::DynamoDB::Table": ("dynamodb", "table/", 255),
    "AWS::SQS::Queue": ("sqs", "", 80),
    "AWS::KMS::Key": ("kms", "key/", 36),
    "AWS::SecretsManager::Secret": ("secretsmanager", "secret:", 64),
    "AWS::Serverless::Function": ("lambda", "function:", 64),
    "AWS::Serverless::StateMachine": ("states", "stateMachine:", 80),
    "AWS::Events::EventBus": ("events", "event-bus/", 256),
    "AWS::SNS::Topic": ("sns", "", 256),
}
# AWS, "Service Authorization Reference": these know no resource.
_WITHOUT_RESOURCE = {
    "cloudwatch:GetMetricStatistics",
    "lambda:GetAccountSettings",
    "ec2:DescribeNatGateways",
    "ec2:DescribeRouteTables",
}
# What the use of an encrypted thing asks of its key, through its service. DynamoDB decrypts its own key in any call.
_KEYS = {
    "dynamodb:": ("kms:Decrypt",),
    "sqs:ReceiveMessage": ("kms:Decrypt",),
    "sqs:SendMessage": ("kms:Decrypt", "kms:GenerateDataKey"),
    "s3:GetObject": ("kms:Decrypt",),
    "s3:PutObject": ("kms:GenerateDataKey",),
    "secretsmanager:GetSecretValue": ("kms:Decrypt",),
    "secretsmanager:PutSecretValue": ("kms:Decrypt", "kms:GenerateDataKey"),
}
_OF_ANYBODY = {"sign vexora", "sign paypay", *(f"local {each}" for each in ("up", "down", "status", "reset", "events"))}
_FOR_ADMINISTRATORS = {"delete-stack"}


def _arn(name: str) -> str:
    """The ARN of a resource of the template, as long as it may be for such a stack."""
    kind = template()["Resources"][name]["Type"]
    if kind == "AWS::S3::Bucket":
        return f"arn:aws:s3:::{f'{_STACK_NAME}-{name}'.lower()[:50]}-0a1b2c3d4e5f"
    service, before, longest = _ARNS[kind]
    physical = f"{f'{_STACK_NAME}-{name}'[: longest - 13]}-0A1B2C3D4E5F"
    if kind == "AWS::Serverless::StateMachine":
        physical = f"{_STACK_NAME}-{name}"
    return f"arn:aws:{service}:{_REGION}:{_ACCOUNT}:{before}{physical}"


def _text(value: Any) -> str:
    match value:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), _]}:
            return _arn(name)
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{([^}]+)\}", lambda found: _in_sub(found[1]), text)
    return str(value)


def _in_sub(name: str) -> str:
    if name in _PSEUDO:
        return _PSEUDO[name]
    logical, _, attribute = name.partition(".")
    return _arn(logical).rpartition(":")[2] if attribute == "Name" else _arn(logical)


def _resolved(value: Any) -> Any:
    match value:
        case {"Fn::If": [_, on, {"Ref": "AWS::NoValue"}]}:
            return _resolved(on)  # everything is switched on: the longest that a policy can become
        case {"Ref": _} | {"Fn::GetAtt": _} | {"Fn::Sub": _}:
            return _text(value)
        case dict():
            return {key: _resolved(each) for key, each in value.items()}
        case list():
            return [_resolved(each) for each in value]
    return value


@cache
def _document(policy: str) -> dict[str, Any]:
    """A policy as IAM gets it."""
    found: dict[str, Any] = _resolved(resources("AWS::IAM::ManagedPolicy")[policy]["Properties"]["PolicyDocument"])
    return found


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _allows(policy: str, action: str, resource: str, via: str | None = None) -> bool:
    for statement in _document(policy)["Statement"]:
        services = _listed(statement.get("Condition", {}).get("StringEquals", {}).get("kms:ViaService", via))
        if (
            action in _listed(statement["Action"])
            and any(fnmatchcase(resource, each) for each in _listed(statement["Resource"]))
            and via in services
        ):
            return True
    return False


def _place(resource: str) -> str:
    """The ARN of a resource in the table's words."""
    if " /" in resource:
        method, _, path = resource.partition(" ")
        called = re.sub(r"\{\w+\}", "a%2Fb", path)
        return f"arn:aws:execute-api:{_REGION}:{_ACCOUNT}:{_PSEUDO['MerchantApi']}/v1/{method}{called}"
    name, slash, rest = resource.partition("/")
    name, colon, _ = name.partition(":")
    if resource == STACK:
        # AWS asks so for a stack that is called by its name.
        return f"arn:aws:cloudformation:{_REGION}:{_ACCOUNT}:stack/{_STACK_NAME}/*"
    if resource == RESTORED:
        return f"arn:aws:dynamodb:{_REGION}:{_ACCOUNT}:table/{_STACK_NAME}-restored"
    if resource == EVERYTHING:
        return "*"
    if name in ("RepairSource", "RereadSource", "MerchantWebhookSource"):
        return f"arn:aws:lambda:{_REGION}:{_ACCOUNT}:event-source-mapping:{_PSEUDO[name]}"
    if colon:
        return f"{_arn(name).replace(':stateMachine:', ':execution:')}:an-execution"
    return _arn(name) + slash + rest.replace("*", "an/object")


def _keys(need: Need) -> Iterator[tuple[str, str, str]]:
    """What a need asks of a key: the action, the key and the service."""
    service = need.action.partition(":")[0]
    actions = next((asked for begin, asked in _KEYS.items() if need.action.startswith(begin)), ())
    if need.action == "dynamodb:DescribeTable" or need.action == "s3:ListBucketVersions":
        return
    key = "PersonalDataKey" if need.resource.startswith("PersonalDataBucket") else "StateKey"
    for action in actions:
        yield action, _arn(key), f"{service}.{_REGION}.amazonaws.com"


def _allowed(policy: str, row: Row) -> bool:
    needs = row.needs if row.is_route else row.needs | {Need("cloudformation:DescribeStacks", STACK)}
    return all(
        _allows(policy, need.action, _place(need.resource)) and all(_allows(policy, *each) for each in _keys(need))
        for need in needs
    )


def _shown(row: Row) -> str:
    return " ".join(row.names)


@pytest.mark.parametrize("row", [each for each in rows() if "delete-stack" not in each.names], ids=_shown)
def test_a_policy_allows_what_the_table_says_and_no_other_command(row: Row) -> None:
    assert row.needs
    assert {policy for policy in POLICIES if _allowed(policy, row)} == row.allowed_by


def test_nobody_may_delete_the_stack() -> None:
    [row] = [each for each in rows() if "delete-stack" in each.names]
    assert not row.allowed_by
    for policy in POLICIES:
        assert not _allows(policy, "cloudformation:DeleteStack", _place(STACK))


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_allows_nothing_that_none_of_its_commands_asks_for(policy: str) -> None:
    needs = {need for row in rows() if policy in row.allowed_by for need in row.needs}
    asked = {(need.action, _place(need.resource)) for need in needs}
    asked |= {(action, key) for need in needs for action, key, _ in _keys(need)}
    asked.add(("cloudformation:DescribeStacks", _place(STACK)))
    for statement in _document(policy)["Statement"]:
        for action in _listed(statement["Action"]):
            for resource in _listed(statement["Resource"]):
                assert any(action == what and fnmatchcase(place, resource) for what, place in asked), (action, resource)


def _commands() -> set[str]:
    found = set()

    def walk(group: Any, before: str) -> None:
        for name, each in group.commands.items():
            if hasattr(each, "commands"):
                walk(each, f"{before}{name} ")
            else:
                found.add(f"{before}{name}")

    walk(typer.main.get_command(program()), "")
    return found


def _commands_of(row: Row) -> set[str]:
    return (
        set()
        if row.is_route
        else {each for each in _commands() if any(f"{n} ".startswith(f"{each} ") for n in row.names)}
    )


def test_the_table_names_every_command_and_honninctl_the_policies_that_allow_it() -> None:
    said: dict[str, set[str]] = {}
    for row in rows():
        for each in _commands_of(row):
            said.setdefault(each, set(POLICIES)).intersection_update(row.allowed_by)
    assert _commands() - said.keys() <= _OF_ANYBODY
    assert {name: set(allowed) for name, allowed in roles.ALLOWED_BY.items()} == {
        name: allowed for name, allowed in said.items() if allowed
    }
    assert _commands() - roles.ALLOWED_BY.keys() == _FOR_ADMINISTRATORS | _OF_ANYBODY


def test_the_table_names_every_route_of_the_merchant_api() -> None:
    routes = {
        f"{event['Properties']['Method']} {event['Properties']['Path']}"
        for function in template()["Resources"].values()
        for event in function.get("Properties", {}).get("Events", {}).values()
        if event["Type"] == "Api" and event["Properties"]["RestApiId"] == {"Ref": "MerchantApi"}
    }
    assert {row.names[0] for row in rows() if row.is_route} == routes


# What boto3 and IAM call differently.
_SERVICES = {"stepfunctions": "states"}
_ACTIONS = {"lambda:Invoke": "lambda:InvokeFunction", "s3:ListObjectVersions": "s3:ListBucketVersions"}
_ANYBODY = {"sts:GetCallerIdentity"}  # AWS asks for no right


def _calls_written_in_honninctl() -> set[str]:
    """The actions of the calls that its modules make on `deployment.client(...)` themselves."""
    found = set()
    for path in sorted((TEMPLATE.parent / "cli" / "honninctl").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        calls = re.findall(r'client\("([\w-]+)"\)\s*\.(?:get_paginator\("(\w+)"\)|(\w+)\()', text)
        for service, paged, called in calls:
            operation = "".join(each.capitalize() for each in (paged or called).split("_"))
            action = f"{_SERVICES.get(service, service)}:{operation}"
            found.add(_ACTIONS.get(action, action))
    return found


def test_the_table_asks_for_every_call_that_honninctl_makes() -> None:
    found = _calls_written_in_honninctl()
    assert {"s3:ListBucketVersions", "sqs:SendMessage", "cloudformation:DescribeStacks"} <= found
    asked = {need.action for row in rows() for need in row.needs} | {"cloudformation:DescribeStacks"}
    assert found - asked <= _ANYBODY


def test_the_page_says_who_can_tell_the_back_end_what_did_not_happen() -> None:
    """Whatever reaches the sender of merchant webhooks is signed, and nothing compares it with the table."""
    ways = {
        "events:PutEvents": "EventBus",
        "sqs:SendMessage": "MerchantWebhookQueue",
        "lambda:InvokeFunction": "MerchantWebhookFunction",
    }
    for action, resource in ways.items():
        assert [each for each in POLICIES if _allows(each, action, _arn(resource))] == ["OperatorPolicy"]
    page = (TEMPLATE.parent / "docs" / "security.md").read_text(encoding="utf-8")
    shared = page.partition("What the roles do not separate:")[2].partition("\n## ")[0]
    [said] = [each for each in shared.splitlines() if "operator can" in each and "signed" in each]
    assert all(f"`{each}`" in said for each in ("events replay", "webhooks redrive", "webhooks test"))
    assert "`GET /users/{userId}`" in said


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_is_no_longer_than_iam_takes(policy: str) -> None:
    assert len(re.sub(r"\s", "", json.dumps(_document(policy)))) <= _LONGEST_POLICY


def test_the_page_says_how_long_the_name_of_a_stack_may_be_and_before_it_is_deployed() -> None:
    before, _, _ = (TEMPLATE.parent / "docs" / "deploying.md").read_text(encoding="utf-8").partition("[prod.deploy")
    assert f"The name of the stack has at most {len(_STACK_NAME)} characters" in before


@pytest.mark.parametrize("policy", POLICIES)
def test_a_statement_names_this_stack_and_allows_no_pattern_of_actions(policy: str) -> None:
    for statement in _document(policy)["Statement"]:
        assert statement["Effect"] == "Allow"
        actions = _listed(statement["Action"])
        assert not [each for each in actions if "*" in each]
        if "*" in _listed(statement["Resource"]):
            assert set(actions) <= _WITHOUT_RESOURCE
        if any(each.startswith("kms:") for each in actions):
            assert statement["Condition"]["StringEquals"]["kms:ViaService"]


def test_they_have_neither_name_nor_description_and_are_attached_to_nothing_here() -> None:
    """A name needs CAPABILITY_NAMED_IAM, and another description replaces the policy with its ARN."""
    found = resources("AWS::IAM::ManagedPolicy")
    assert found.pop("ChatPolicy")
    assert set(found) == set(POLICIES)
    assert all(set(each["Properties"]) == {"PolicyDocument"} for each in found.values())
    for policy in POLICIES:
        assert template()["Outputs"][f"{policy}Arn"]["Value"] == {"Ref": policy}


def test_what_each_role_must_never_do() -> None:
    vault = f"{_arn('PersonalDataBucket')}/paypay/user/kyc.json"
    for action in ("s3:GetObject", "s3:GetObjectVersion"):
        assert [each for each in POLICIES if _allows(each, action, vault)] == (
            ["OfficerPolicy"] if action.endswith("Version") else []
        )
    for policy in POLICIES:
        assert not _allows(policy, "secretsmanager:GetSecretValue", _arn("ProvidersSecret"))
        assert not _allows(policy, "kms:Decrypt", _arn("PersonalDataKey"), None)
    touches_queues = {"sqs:ReceiveMessage", "sqs:SendMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
    for policy in ("ReaderPolicy", "OfficerPolicy", "MaintenancePolicy", "BackendPolicy"):
        assert not touches_queues & {a for s in _document(policy)["Statement"] for a in _listed(s["Action"])}


# The beginnings of keys (honnin/store/keys.py) of the items that a policy may write; None: of all.
_WRITES = {
    ("OperatorPolicy", "dynamodb:PutItem"): {"READINGS", "REREADS", "COMPARISON#x", "COMPARISONS#x"},
    ("OperatorPolicy", "dynamodb:UpdateItem"): {"READINGS", "REREADS", "COMPARISON#x", "COMPARISONS#x"},
    ("MaintenancePolicy", "dynamodb:PutItem"): None,  # restore
    ("MaintenancePolicy", "dynamodb:UpdateItem"): {"USER#x", "OVERVIEW"},  # reindex
    ("MaintenancePolicy", "dynamodb:BatchWriteItem"): {"OVERVIEW"},
    ("MaintenancePolicy", "dynamodb:DeleteItem"): {"OVERVIEW"},
}


def test_which_items_may_be_written() -> None:
    """By the beginning of each item's key; `_allows` takes no notice of it, the local stack does."""
    families = {_of_anything(each)["pk"] for name, each in vars(keys).items() if name.endswith("_key")}
    found: dict[tuple[str, str], set[str] | None] = {}
    for policy in POLICIES:
        for statement in _document(policy)["Statement"]:
            limit = statement.get("Condition", {}).get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys")
            for action in _listed(statement["Action"]):
                if action.startswith("dynamodb:") and not re.search("GetItem|Query|Scan|Describe", action):
                    may = {pk for pk in families if any(fnmatchcase(pk, each) for each in limit or ())}
                    found[policy, action] = may if limit else None
    assert found == _WRITES


def _of_anything(function: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return function(*("x" for _ in inspect.signature(function).parameters))


def test_a_shadow_of_a_statement_is_not_taken_for_it() -> None:
    """The evaluation itself: no other method, no other user's path outside, no key without its service."""
    assert not _allows("ReaderPolicy", "execute-api:Invoke", _place("DELETE /users/{userId}/personal-data"))
    assert not _allows("ReaderPolicy", "execute-api:Invoke", _place("GET /paypay/users/{userId}/kyc"))
    assert not _allows("OperatorPolicy", "kms:Decrypt", _arn("StateKey"), "ec2.ap-northeast-1.amazonaws.com")
    assert _allows("OperatorPolicy", "kms:Decrypt", _arn("StateKey"), "sqs.ap-northeast-1.amazonaws.com")
