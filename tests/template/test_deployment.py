"""Deploying for real: traffic shifting, warm webhooks, VPC, permissions boundary, retention, samconfig.toml."""

import copy
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import click
import pytest
from samcli.cli.types import CfnParameterOverridesType  # type: ignore[import-untyped]
from samtranslator.model.preferences.deployment_preference_collection import (  # type: ignore[import-untyped]
    CODEDEPLOY_PREDEFINED_CONFIGURATIONS_LIST,
)

from tests.tables import TEMPLATE, template
from tests.template.transformed import (
    invoked,
    logical_id,
    resources,
    source_functions,
    statements,
    transform,
    transformed,
)

CANARY = ("Canary", "Canary10Percent10Minutes")
READ_SIDE = logical_id("kyc_status")
# Of the merchant API, those that write.
WRITING = {logical_id(each) for each in ("vexora_submission", "paypay_account_link", "paypay_kyc", "erasure")}
MERCHANT = WRITING | {READ_SIDE, logical_id("overview")}
PAYPAY_WEBHOOKS = {logical_id(f"paypay_{each}_webhook") for each in ("kyc", "risk", "account_status", "recon")}
WEBHOOKS = PAYPAY_WEBHOOKS | {logical_id("vexora_result_webhook")}
PROCESSOR = logical_id("event_processor")
ALIASED = MERCHANT | WEBHOOKS | {PROCESSOR}
# What calls a provider. An erasure unlinks.
OUTBOUND = WRITING | {PROCESSOR, logical_id("recon_download"), logical_id("merchant_webhook")}


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
_NOT_IN_A_VERSION = {"Canary", "WebhookProvisionedConcurrency", "WebhookReservedConcurrency", "Stage"}


@pytest.mark.parametrize("name", sorted(ALIASED))
def test_every_parameter_of_a_function_publishes_a_new_version(name: str) -> None:
    """SAM names a version after the function's text, and `!Ref X` is the same text whatever the value of X."""
    function = source_functions()[name]
    assert function["AutoPublishAliasAllProperties"] is True
    named = {each["Ref"] for each in function["Environment"]["Variables"]["PUBLISHED_WITH"]["Fn::ToJsonString"]}
    read = {key: each for key, each in function.items() if key not in ("Events", "Policies", "DeploymentPreference")}
    missing = set(_parameters_in(read)) - _NOT_IN_A_VERSION - named
    assert not missing, f"template.yaml: add to PUBLISHED_WITH (&published_with): {sorted(missing)}"


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
        assert any("Errors" in alarm or alarm == "WebhookApi5xxAlarm" for alarm in alarms), name
        assert "DEPLOYMENT_STOP_ON_ALARM" in properties["AutoRollbackConfiguration"]["Events"]
        assert properties["DeploymentConfigName"]["Fn::Sub"][1] == {"ConfigName": CANARY[1]}


def test_paypays_webhooks_alone_roll_back_when_they_answer_too_slowly() -> None:
    for name in ALIASED:
        group = _properties("AWS::CodeDeploy::DeploymentGroup", f"{name}DeploymentGroup", CANARY)
        alarms = [each["Name"] for each in group["AlarmConfiguration"]["Alarms"]]
        assert ({"Ref": "AckLatencyAlarm"} in alarms) is (name in PAYPAY_WEBHOOKS), name


def test_codedeploy_has_our_role_and_not_one_of_sams() -> None:
    assert "CodeDeployServiceRole" not in transformed(CANARY)["Resources"]
    # Without a condition: cfn-lint, like CloudFormation, must find a group's role whatever the conditions say.
    assert "Condition" not in transformed(CANARY)["Resources"]["CodeDeployRole"]
    for group in resources("AWS::CodeDeploy::DeploymentGroup", CANARY).values():
        assert group["Properties"]["ServiceRoleArn"] == {"Fn::GetAtt": ["CodeDeployRole", "Arn"]}


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


def test_webhooks_alone_can_have_concurrency_of_their_own_and_have_none_by_default() -> None:
    reserved = {
        name: each["Properties"]["ReservedConcurrentExecutions"]
        for name, each in resources("AWS::Lambda::Function").items()
        if "ReservedConcurrentExecutions" in each["Properties"]
    }
    assert set(reserved) == WEBHOOKS
    for value in reserved.values():
        assert value == {
            "Fn::If": ["HasReservedWebhooks", {"Ref": "WebhookReservedConcurrency"}, {"Ref": "AWS::NoValue"}]
        }
    assert template()["Parameters"]["WebhookReservedConcurrency"]["Default"] == 0
    # 0 written out would be no concurrency at all: every webhook would be refused.
    assert template()["Conditions"]["HasReservedWebhooks"] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": "WebhookReservedConcurrency"}, 0]}]
    }


# --- recursion ---


def _loops() -> set[str]:
    """The functions that may send to a queue that invokes them."""
    queues = {
        (invoked(each["Properties"]["FunctionName"]), each["Properties"]["EventSourceArn"]["Fn::GetAtt"][0])
        for each in resources("AWS::Lambda::EventSourceMapping").values()
    }
    sends = {
        (role.removesuffix("Role"), statement["Resource"]["Fn::GetAtt"][0])
        for role, statement in statements()
        if "sqs:SendMessage" in statement["Action"] and "Fn::GetAtt" in statement["Resource"]
    }
    return {function for function, queue in queues & sends}


def test_lambda_lets_a_function_send_to_its_own_queue_where_it_means_to_and_nowhere_else() -> None:
    allowed = {
        name: each["Properties"]["RecursiveLoop"]
        for name, each in resources("AWS::Lambda::Function").items()
        if "RecursiveLoop" in each["Properties"]
    }
    assert allowed == {}
    # The processor splits an array of notifications: each element goes round once, and Lambda stops after 16 rounds.
    assert _loops() == {*allowed, "EventProcessorFunction"}


# --- X-Ray ---


@pytest.mark.parametrize(("value", "on"), [("Disabled", False), ("Active", True)])
def test_tracing_is_off_by_default_with_its_permissions_and_never_on_the_webhook_api(value: str, on: bool) -> None:
    assert template()["Parameters"]["Tracing"]["Default"] == "Disabled"
    parameters = () if value == "Disabled" else (("Tracing", value),)
    for name, each in resources("AWS::Lambda::Function", *parameters).items():
        assert each["Properties"].get("TracingConfig") == ({"Mode": {"Ref": "Tracing"}} if on else None), name
    roles = [each for name, each in resources("AWS::IAM::Role", *parameters).items() if name.endswith("FunctionRole")]
    assert {any("XRay" in str(arn) or "Xray" in str(arn) for arn in each["Properties"]["ManagedPolicyArns"])
            for each in roles} == {on}  # fmt: skip
    tracing = {
        each["Properties"]["RestApiId"]["Ref"]: each["Properties"]["TracingEnabled"]
        for each in resources("AWS::ApiGateway::Stage", *parameters).values()
    }
    assert tracing == {"MerchantApi": {"Fn::If": ["IsTraced", True, False]}, "WebhookApi": False}


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
        "PersonalDataVersionDays",
        "ReconRetentionDays",
        "TimelineRetentionDays",
        "DeadLetterRetentionDays",
        "LogRetentionDays",
        "WaitingEventDays",
    }


def test_who_writes_timelines_knows_how_long_they_are_kept() -> None:
    told = {
        name
        for name, each in source_functions().items()
        if each["Environment"]["Variables"].get("TIMELINE_RETENTION_DAYS") == {"Ref": "TimelineRetentionDays"}
    }
    assert told == WRITING | {PROCESSOR}


# --- the values of parameters ---


def _refusal(name: str, value: str) -> str:
    """Why CloudFormation would refuse a parameter's value; empty if it takes it.

    On a `CommaDelimitedList` it trims each entry and matches the pattern against each of them.
    """
    parameter = template()["Parameters"][name]
    entries = [each.strip() for each in value.split(",")] if parameter["Type"] == "CommaDelimitedList" else [value]
    if "AllowedValues" in parameter and value not in [str(each) for each in parameter["AllowedValues"]]:
        return "is not one of the allowed values"
    if "AllowedPattern" in parameter and not all(re.fullmatch(parameter["AllowedPattern"], each) for each in entries):
        return "does not match the pattern"
    if parameter["Type"] == "Number":
        if not re.fullmatch("[0-9]+", value):
            return "is no number"
        if not parameter.get("MinValue", 0) <= int(value) <= parameter.get("MaxValue", 10**12):
            return "is too small or too large"
    return ""


_LISTS = [name for name, each in template()["Parameters"].items() if each["Type"] == "CommaDelimitedList"]


@pytest.mark.parametrize("name", template()["Parameters"])
def test_a_default_is_taken_and_a_list_has_no_spaces(name: str) -> None:
    default = str(template()["Parameters"][name]["Default"])
    assert not _refusal(name, default)
    assert name not in _LISTS or " " not in default, "SAM writes a list into a policy as it stands"


def test_every_list_says_what_an_entry_looks_like() -> None:
    assert not [name for name in _LISTS if "AllowedPattern" not in template()["Parameters"][name]]


_NETWORKS = ["203.0.113.0/24", "203.0.113.7", "203.0.113.7/24", "0.0.0.0/0", "::/0", "2001:db8::/32", "255.1.10.100/9",
             "::1", "2001:db8:0:0:0:0:0:1/128", "2001:DB8:1:2:3:4:5::/112", "::2:3:4:5:6:7:8"]  # fmt: skip
_NO_NETWORKS = [
    "", "203.0.113.0/24,", ",203.0.113.0/24", "a,,b", "203.0.113.0/33", "203.0.113.0/0", "2001:db8::/0", "256.0.0.1/32",
    "203.0.113/24", "203.0.113.1-203.0.113.9", "*", "paypay.ne.jp", "fe80::1%eth0/64", "203.0.113.0/24 198.51.100.0/24",
    "013.0.0.1", "203.0.113.0/", "2001:db8::/129", "https://203.0.113.1", "203.0.113.0/255.255.255.0",
    ":", "beef:", "2001:db8", "20010:db8::/32", "1:2:3:4:5:6:7:8:9:a/64",
]  # fmt: skip


@pytest.mark.parametrize("name", ["PayPaySourceCidrs", "VexoraSourceCidrs"])
def test_networks_are_checked_before_anything_is_deployed(name: str) -> None:
    for value in [*_NETWORKS, ",".join(_NETWORKS), "203.0.113.0/24, 198.51.100.0/24"]:
        assert not _refusal(name, value), value
    for value in [*_NO_NETWORKS, *(f"203.0.113.0/24,{each}" for each in _NO_NETWORKS)]:
        assert _refusal(name, value), value


@pytest.mark.parametrize(
    ("name", "taken", "refused"),
    [
        (
            "SelfieAllowedHosts",
            [".paypay.ne.jp", "img.paypay.ne.jp,.x.jp"],
            ["*.paypay.ne.jp", "https://x.jp", ".x.jp,"],
        ),
        ("ReconAllowedHosts", ["a.s3.amazonaws.com", ".x_y.jp"], ["x.jp:443", "x.jp/", "", ".", "x..jp"]),
        ("ReturnUrlAllowlist", ["", "https://shop.example.jp/kyc,shopapp://kyc"], ["shop.example.jp", "https://", "*"]),
        ("VexoraPollDelays", ["600", "600, 3600"], ["600,", "", "0,600", "ten", "-1", "1.5"]),
        ("SettleDelays", ["", "1", "60,900", "99,100,899"], ["0", "901", "60;900", "-1", "1.5", "1000", "060", "ten"]),
        ("VexoraUnknownUserCodes", ["", "2001,2002"], ["2001;2002", "'2001'"]),
        ("ReconFileTypes", ["kyc_passport_sync_recon"], ["kyc_passport_sync_recon,", "other", "kyc_sync_recon"]),
        ("VpcSubnetIds", ["", "subnet-0a1b,subnet-2c"], ["0a1b", "vpc-1"]),
        ("VpcSecurityGroupIds", ["", "sg-0a1b"], ["default"]),
    ],
)
def test_entries_of_the_other_lists_are_checked(name: str, taken: list[str], refused: list[str]) -> None:
    assert not [value for value in taken if _refusal(name, value)]
    assert not [value for value in refused if not _refusal(name, value)]


# --- samconfig.toml ---

_SAMCONFIG = (TEMPLATE.parent / "samconfig.toml").read_text(encoding="utf-8")
_ENVIRONMENTS = ("default", "local", "prod")


def _every_line() -> dict[str, Any]:
    """samconfig.toml with each commented setting put in force."""
    return tomllib.loads(re.sub(r"^(\s*)# (?=[\"'])", r"\1", _SAMCONFIG, flags=re.MULTILINE))


def _overrides(environment: str) -> list[str]:
    found: list[str] = _every_line()[environment]["deploy"]["parameters"]["parameter_overrides"]
    return found


_LINES = [(environment, line) for environment in _ENVIRONMENTS for line in _overrides(environment)]


@pytest.mark.parametrize(("environment", "line"), _LINES)
def test_every_line_of_samconfig_is_read_by_sam_and_taken_by_the_template(environment: str, line: str) -> None:
    """SAM's own reader: it cuts an unquoted value at a space, and takes an empty one only as `""`."""
    name, _, value = line.partition("=")
    read = CfnParameterOverridesType().convert((line,), None, None)
    assert read == {name: value.strip('"')}
    assert not _refusal(name, read[name]), line
    assert name not in _LISTS or " " not in value


@pytest.mark.parametrize("environment", _ENVIRONMENTS)
def test_all_lines_of_a_section_together_are_read_once_each(environment: str) -> None:
    read = CfnParameterOverridesType().convert(tuple(_overrides(environment)), None, None)
    assert len(read) == len(_overrides(environment))


@pytest.mark.parametrize(
    "line", ["PayPaySourceCidrs=192.0.2.0/24, 198.51.100.0/24", "PayPayAssumeMerchant=", "RunbookUrl=a b"]
)
def test_lines_that_sam_would_cut_or_refuse_do_not_pass(line: str) -> None:
    with pytest.raises((AssertionError, click.BadParameter)):
        test_every_line_of_samconfig_is_read_by_sam_and_taken_by_the_template("prod", line)


def test_every_commented_setting_was_put_in_force() -> None:
    names = set(re.findall(r"[\"'](\w+)=", _SAMCONFIG.partition("[prod.deploy.parameters]")[2]))
    assert {line.partition("=")[0] for line in _overrides("prod")} == names
    assert len(names) > 30


def test_prod_names_every_parameter_that_a_provider_must_confirm() -> None:
    """Set, or as a comment. Every other parameter may be left out: docs/configuration.md lists them all."""
    groups = template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    of_providers = [name for each in groups if "confirm" in each["Label"]["default"] for name in each["Parameters"]]
    named = {line.partition("=")[0] for line in _overrides("prod")}
    assert len(of_providers) > 15
    assert not set(of_providers) - named, "samconfig.toml: [prod] neither sets nor mentions them"


def test_a_number_that_is_commented_out_is_the_default() -> None:
    in_force = tomllib.loads(_SAMCONFIG)["prod"]["deploy"]["parameters"]["parameter_overrides"]
    parameters = template()["Parameters"]
    commented = dict(line.split("=", 1) for line in _overrides("prod") if line not in in_force)
    numbers = {name: value for name, value in commented.items() if parameters[name]["Type"] == "Number"}
    assert len(numbers) > 10
    assert numbers == {name: str(parameters[name]["Default"]) for name in numbers}, "correct or delete the line"


def test_the_vault_alone_keeps_deleted_objects_and_for_seven_calendar_years_before() -> None:
    parameters, resources = template()["Parameters"], template()["Resources"]
    rules = resources["PersonalDataBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    assert [each["NoncurrentVersionExpiration"]["NoncurrentDays"] for each in rules] == [
        {"Ref": "PersonalDataVersionDays"}
    ]
    others = resources["ReconBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    assert {each["NoncurrentVersionExpiration"]["NoncurrentDays"] for each in others if each["Id"] == "Leftovers"} == {
        1
    }
    # Any seven calendar years have at most two leap days.
    longest = max((date(year + 7, 3, 1) - date(year, 3, 1)).days for year in range(2000, 2100))
    assert parameters["PersonalDataRetentionDays"]["Default"] == longest
