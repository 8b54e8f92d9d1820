"""Deploying for real: traffic shifting, warm webhooks, VPC, permissions boundary, retention, samconfig.toml."""

import copy
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from samtranslator.model.preferences.deployment_preference_collection import (  # type: ignore[import-untyped]
    CODEDEPLOY_PREDEFINED_CONFIGURATIONS_LIST,
)

from tests.tables import TEMPLATE, template
from tests.template.transformed import invoked, logical_id, resources, source_functions, transform, transformed

CANARY = ("Canary", "Canary10Percent10Minutes")
MERCHANT = {logical_id(each) for each in ("vexora_submission", "paypay_account_link", "paypay_kyc", "kyc_status")}
PAYPAY_WEBHOOKS = {logical_id(f"paypay_{each}_webhook") for each in ("kyc", "risk", "account_status", "recon")}
WEBHOOKS = PAYPAY_WEBHOOKS | {logical_id("vexora_result_webhook")}
PROCESSOR = logical_id("event_processor")
ALIASED = MERCHANT | WEBHOOKS | {PROCESSOR}
# What calls a provider. kyc_status unlinks when a person is erased.
OUTBOUND = MERCHANT | {PROCESSOR, logical_id("recon_download")}


def _properties(kind: str, name: str, *parameters: tuple[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = resources(kind, *parameters)[name]["Properties"]
    return found


def _kinds(*parameters: tuple[str, str]) -> set[str]:
    return {each["Type"] for each in transformed(*parameters)["Resources"].values()}


# --- the alias ---


def test_what_providers_and_the_merchant_reach_is_invoked_by_its_alias() -> None:
    aliases = resources("AWS::Lambda::Alias")
    assert {each["Properties"]["FunctionName"]["Ref"] for each in aliases.values()} == ALIASED
    assert {each["Properties"]["Name"] for each in aliases.values()} == {"live"}


def test_both_apis_call_aliases_only_and_may() -> None:
    aliases = set(resources("AWS::Lambda::Alias"))
    for name, api in resources("AWS::ApiGateway::RestApi").items():
        called = set(re.findall(r"functions/\$\{(\w+)\}/invocations", str(api["Properties"]["Body"])))
        assert called, name
        assert called <= aliases
    permitted = {each["Properties"]["FunctionName"]["Ref"] for each in resources("AWS::Lambda::Permission").values()}
    assert permitted == {name for name in aliases if not name.startswith(PROCESSOR)}


def test_the_events_queue_is_read_by_the_processors_alias() -> None:
    reference = _properties("AWS::Lambda::EventSourceMapping", "EventProcessorSource")["FunctionName"]
    assert reference["Ref"] in resources("AWS::Lambda::Alias")
    assert invoked(reference) == PROCESSOR


def test_what_the_scheduler_calls_has_no_alias_that_its_role_would_not_know() -> None:
    for schedule in resources("AWS::Scheduler::Schedule").values():
        name, attribute = schedule["Properties"]["Target"]["Arn"]["Fn::GetAtt"]
        assert attribute == "Arn"
        assert name not in ALIASED


def _parameters_in(value: Any) -> Iterator[str]:
    match value:
        case {"Ref": str(name)} if name in template()["Parameters"]:
            yield name
        case {"Fn::Sub": str(text)}:
            yield from (name for name in re.findall(r"\$\{(\w+)", text) if name in template()["Parameters"])
        case {"Fn::If": [str(condition), *branches]}:
            yield from _parameters_in(template()["Conditions"][condition])
            yield from _parameters_in(branches)
        case dict():
            for each in value.values():
                yield from _parameters_in(each)
        case list():
            for each in value:
                yield from _parameters_in(each)


# What is no part of a version, or cannot change in a living stack.
_NOT_IN_A_VERSION = {"Canary", "WebhookProvisionedConcurrency", "Stage"}


@pytest.mark.parametrize("name", sorted(ALIASED))
def test_every_parameter_of_a_function_publishes_a_new_version(name: str) -> None:
    """SAM names a version after the function's text, and `!Ref X` is the same text whatever the value of X."""
    function = source_functions()[name]
    assert function["AutoPublishAliasAllProperties"] is True
    named = {each["Ref"] for each in function["Environment"]["Variables"]["PUBLISHED_WITH"]["Fn::ToJsonString"]}
    read = {key: each for key, each in function.items() if key not in ("Events", "Policies", "DeploymentPreference")}
    assert set(_parameters_in(read)) - _NOT_IN_A_VERSION <= named


def _versions(source: Mapping[str, Any]) -> set[str]:
    return {name for name, each in transform(source)["Resources"].items() if each["Type"] == "AWS::Lambda::Version"}


def test_a_new_layer_is_a_new_version_of_every_function() -> None:
    before = _versions(template())
    assert before == _versions(template())
    changed = copy.deepcopy(template())
    changed["Resources"]["HonninLayer"]["Properties"]["ContentUri"] = "s3://bucket/new-layer"
    after = _versions(changed)
    assert len(after) == len(before) == len(ALIASED)
    assert not after & before


def test_a_changed_parameter_is_a_new_version_of_every_function() -> None:
    """What the language extensions make of `PUBLISHED_WITH` before SAM sees it: one text with the values in it."""
    found = []
    for text in ('["10.0.0.0/8"]', '["10.0.0.0/8"]', '["10.0.0.0/9"]'):
        resolved = copy.deepcopy(template())
        for name in ALIASED:
            resolved["Resources"][name]["Properties"]["Environment"]["Variables"]["PUBLISHED_WITH"] = text
        found.append(_versions(resolved))
    assert found[0] == found[1]
    assert len(found[0]) == len(ALIASED)
    assert not found[0] & found[2]


# --- traffic shifting ---


def test_without_a_canary_nothing_of_codedeploy_is_made() -> None:
    assert not [kind for kind in _kinds() if "CodeDeploy" in kind]
    assert not [each for each in resources("AWS::Lambda::Alias").values() if "UpdatePolicy" in each]


def test_with_a_canary_every_alias_is_shifted_and_alarms_roll_it_back() -> None:
    groups = resources("AWS::CodeDeploy::DeploymentGroup", CANARY)
    assert set(groups) == {f"{name}DeploymentGroup" for name in ALIASED}
    for alias in resources("AWS::Lambda::Alias", CANARY).values():
        group = f"{alias['Properties']['FunctionName']['Ref']}DeploymentGroup"
        assert alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]["DeploymentGroupName"] == {"Ref": group}
    for name, each in groups.items():
        properties = each["Properties"]
        alarms = {alarm["Name"]["Ref"] for alarm in properties["AlarmConfiguration"]["Alarms"]}
        assert alarms <= set(resources("AWS::CloudWatch::Alarm"))
        assert any("Errors" in alarm for alarm in alarms), name
        assert "DEPLOYMENT_STOP_ON_ALARM" in properties["AutoRollbackConfiguration"]["Events"]
        assert properties["DeploymentConfigName"]["Fn::Sub"][1] == {"ConfigName": CANARY[1]}


def test_webhooks_roll_back_when_they_answer_too_slowly() -> None:
    for name in WEBHOOKS:
        group = _properties("AWS::CodeDeploy::DeploymentGroup", f"{name}DeploymentGroup", CANARY)
        assert {"Ref": "AckLatencyAlarm"} in [each["Name"] for each in group["AlarmConfiguration"]["Alarms"]]


def test_codedeploy_has_our_role_and_not_one_of_sams() -> None:
    assert "CodeDeployServiceRole" not in transformed(CANARY)["Resources"]
    assert transformed(CANARY)["Resources"]["CodeDeployRole"]["Condition"] == "UsesCodeDeploy"
    for group in resources("AWS::CodeDeploy::DeploymentGroup", CANARY).values():
        [condition, role, _] = group["Properties"]["ServiceRoleArn"]["Fn::If"]
        assert (condition, role) == ("UsesCodeDeploy", {"Fn::GetAtt": ["CodeDeployRole", "Arn"]})


def test_every_choice_of_canary_is_mapped_and_known_to_sam() -> None:
    choices = template()["Parameters"]["Canary"]["AllowedValues"]
    mapped = {name: each["UsesCodeDeploy"] for name, each in template()["Mappings"]["TrafficShift"].items()}
    assert sorted(choices) == sorted(CODEDEPLOY_PREDEFINED_CONFIGURATIONS_LIST)
    assert mapped == {name: "false" if name == "AllAtOnce" else "true" for name in choices}


# --- warm webhooks ---


def test_webhooks_alone_can_be_kept_warm_and_are_not_by_default() -> None:
    warm = {
        each["Properties"]["FunctionName"]["Ref"]: each["Properties"]["ProvisionedConcurrencyConfig"]["Fn::If"]
        for each in resources("AWS::Lambda::Alias").values()
        if "ProvisionedConcurrencyConfig" in each["Properties"]
    }
    assert set(warm) == WEBHOOKS
    for condition, config, otherwise in warm.values():
        assert condition == "HasWarmWebhooks"
        assert config == {"ProvisionedConcurrentExecutions": {"Ref": "WebhookProvisionedConcurrency"}}
        assert otherwise == {"Ref": "AWS::NoValue"}
    assert template()["Parameters"]["WebhookProvisionedConcurrency"]["Default"] == 0


# --- VPC ---


def test_what_calls_a_provider_can_run_in_a_vpc_and_nothing_else() -> None:
    inside = {
        name: each["Properties"]["VpcConfig"]["Fn::If"]
        for name, each in resources("AWS::Lambda::Function").items()
        if "VpcConfig" in each["Properties"]
    }
    assert set(inside) == OUTBOUND
    for condition, vpc, otherwise in inside.values():
        assert condition == "HasVpc"
        assert vpc == {"SubnetIds": {"Ref": "VpcSubnetIds"}, "SecurityGroupIds": {"Ref": "VpcSecurityGroupIds"}}
        assert otherwise == {"Ref": "AWS::NoValue"}


def _has_vpc_policy(role: Mapping[str, Any]) -> bool:
    return any("VPCAccess" in str(arn) for arn in role["Properties"].get("ManagedPolicyArns", []))


def test_who_has_the_managed_policy_for_vpcs_may_not_use_it_from_its_own_code() -> None:
    roles = {name: each for name, each in resources("AWS::IAM::Role").items() if _has_vpc_policy(each)}
    assert set(roles) == {f"{name}Role" for name in OUTBOUND}
    for name, role in roles.items():
        [policy] = [each for each in role["Properties"]["Policies"] if "Deny" in str(each)]
        [deny] = [each for each in policy["PolicyDocument"]["Statement"] if each["Effect"] == "Deny"]
        assert deny["Condition"] == {"Null": {"lambda:SourceFunctionArn": "false"}}, name
        assert {"ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface"} <= set(deny["Action"])
        assert deny["Resource"] == "*"


# --- permissions boundary ---


@pytest.mark.parametrize("parameters", [(), (CANARY,)], ids=["all at once", "canary"])
def test_every_role_takes_the_boundary(parameters: tuple[tuple[str, str], ...]) -> None:
    for name, role in resources("AWS::IAM::Role", *parameters).items():
        assert role["Properties"].get("PermissionsBoundary") == {
            "Fn::If": ["HasPermissionsBoundary", {"Ref": "PermissionsBoundary"}, {"Ref": "AWS::NoValue"}]
        }, name


# --- retention ---


def test_days_are_seconds() -> None:
    mapped = {int(days): each["Seconds"] for days, each in template()["Mappings"]["Days"].items()}
    assert sorted(mapped) == template()["Parameters"]["DeadLetterRetentionDays"]["AllowedValues"]
    assert all(seconds == days * 86_400 for days, seconds in mapped.items())
    assert max(mapped) == 14, "SQS keeps a message no longer"


def test_each_class_of_data_has_a_retention_of_its_own() -> None:
    [group] = [
        each["Parameters"]
        for each in template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        if each["Label"]["default"] == "Retention"
    ]
    assert set(group) == {
        "PersonalDataRetentionDays",
        "ReconRetentionDays",
        "TimelineRetentionDays",
        "DeadLetterRetentionDays",
        "LogRetentionDays",
    }


def test_who_writes_timelines_knows_how_long_they_are_kept() -> None:
    told = {
        name
        for name, each in source_functions().items()
        if each["Environment"]["Variables"].get("TIMELINE_RETENTION_DAYS") == {"Ref": "TimelineRetentionDays"}
    }
    assert told == MERCHANT | {PROCESSOR}


# --- samconfig.toml ---

_SAMCONFIG = tomllib.loads((TEMPLATE.parent / "samconfig.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("environment", ["default", "local", "prod"])
def test_samconfig_sets_parameters_that_exist_to_values_that_they_take(environment: str) -> None:
    for override in _SAMCONFIG[environment]["deploy"]["parameters"]["parameter_overrides"]:
        name, _, value = override.partition("=")
        parameter = template()["Parameters"][name]
        if "AllowedValues" in parameter:
            assert value in [str(each) for each in parameter["AllowedValues"]], override
        if "AllowedPattern" in parameter:
            assert re.fullmatch(parameter["AllowedPattern"], value), override
        if parameter["Type"] == "Number":
            assert value.isdecimal(), override


def test_prod_names_every_parameter_of_the_providers_set_or_to_be_set() -> None:
    text = (TEMPLATE.parent / "samconfig.toml").read_text(encoding="utf-8").partition("[prod.deploy.parameters]")[2]
    groups = template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    local_only = {"LocalEndpoint", "LoopbackFiles"}
    for name in {each for group in groups for each in group["Parameters"]} - local_only:
        assert re.search(rf'"{name}=', text), f"[prod] neither sets nor mentions {name}"
