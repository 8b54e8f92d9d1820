"""What docs/architecture.md and CONTRIBUTING.md say of the deployed resources, held over the transformed template."""

import contextlib
import json
import re
from collections import Counter
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from samcli.yamlhelper import yaml_dump  # type: ignore[import-untyped]

from honnin.config import Settings
from tests.tables import TEMPLATE, template
from tests.template.transformed import (
    decided,
    invoked,
    logical_id,
    resources,
    source_functions,
    statements,
    transformed,
)

ROOT = TEMPLATE.parent
FOLDERS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/app.py"))
# Set for Powertools and the runtime, which read them by themselves. PUBLISHED_WITH: see test_deployment.py.
FOREIGN = re.compile(r"POWERTOOLS_|AWS_|PYTHON|PUBLISHED_WITH$")


# --- functions ---


def test_folders_are_resources() -> None:
    assert sorted(map(logical_id, FOLDERS)) == sorted(source_functions())
    for folder in FOLDERS:
        assert source_functions()[logical_id(folder)]["CodeUri"].strip("/") == f"functions/{folder}"


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_function_for_which_no_caller_waits_reports_mistakes(folder: str) -> None:
    """Otherwise the runtime logs the message of an error, which may hold a value, and no alarm is raised."""
    events = source_functions()[logical_id(folder)].get("Events", {}).values()
    has_caller = any(each["Type"] == "Api" for each in events)
    handler = (ROOT / "functions" / folder / "app.py").read_text(encoding="utf-8")
    assert ("@reporting\ndef lambda_handler(" in handler) is not has_caller


def test_the_template_is_one_file_that_can_be_read() -> None:
    """Its means are merge keys: neither loops, nor nested stacks, nor included resources.

    2,500 lines were enough before merchant webhooks, domains, chat, roles and saved queries came. The bound is what is
    there, rounded up to the next ten, so that whoever adds a line must look for one to take away.
    """
    text = TEMPLATE.read_text(encoding="utf-8")
    assert text.count("\n") <= 3145
    assert "Fn::ForEach" not in text
    assert text.count("AWS::Include") == 1, "the dashboard alone"
    kinds = {each["Type"] for each in template()["Resources"].values()}
    assert not kinds & {"AWS::CloudFormation::Stack", "AWS::Serverless::Application"}


def test_what_is_built_has_no_aliases() -> None:
    """CloudFormation refuses them ("YAML aliases are not allowed"); `sam build` writes what they stand for."""
    assert yaml.dump(template()).count("&id") > 20, "the template shares nothing: this test would say nothing"
    assert not re.search(r"&id\d|\*id\d|<<", yaml_dump(template()))


def test_what_merge_keys_hand_on_is_not_kept_by_mistake() -> None:
    """A member of a family that forgets to say what is its own would have the first member's."""
    descriptions = Counter(each["Description"] for each in source_functions().values())
    watched = Counter(
        json.dumps({key: alarm.get(key) for key in ("Namespace", "MetricName", "Dimensions", "Metrics", "Statistic")})
        for alarm in (each["Properties"] for each in resources("AWS::CloudWatch::Alarm").values())
    )
    assert set(descriptions.values()) == {1}
    assert set(watched.values()) == {1}


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_folder_has_a_sample_event_and_a_test(folder: str) -> None:
    assert (ROOT / "events" / f"{folder}.json").is_file()
    tests = (ROOT / "tests" / "integration").glob("test_*.py")
    assert any(f'"{folder}"' in each.read_text(encoding="utf-8") for each in tests), "no integration test runs it"


@pytest.mark.parametrize("name", sorted(resources("AWS::Lambda::Function")))
def test_each_function_logs_into_a_group_of_its_own_with_retention(name: str) -> None:
    functions, groups = resources("AWS::Lambda::Function"), resources("AWS::Logs::LogGroup")

    logging = functions[name]["Properties"]["LoggingConfig"]
    group = logging["LogGroup"]["Ref"]

    assert group == name.removesuffix("Function") + "LogGroup"
    assert groups[group]["Properties"]["RetentionInDays"]
    assert groups[group]["Properties"]["KmsKeyId"]
    assert logging["LogFormat"] == "JSON"


def test_every_log_group_has_retention() -> None:
    assert all(each["Properties"].get("RetentionInDays") for each in resources("AWS::Logs::LogGroup").values())


def test_each_function_has_a_role_of_its_own() -> None:
    functions = resources("AWS::Lambda::Function")
    roles = [each["Properties"]["Role"]["Fn::GetAtt"][0] for each in functions.values()]

    assert len(set(roles)) == len(functions)
    assert set(roles) <= set(resources("AWS::IAM::Role"))


def test_managed_policies_are_the_basic_ones_only() -> None:
    # Of the one for VPCs, test_deployment.py says who has it and that the function itself gains nothing by it.
    allowed = re.compile(r".*/(AWSLambdaBasicExecutionRole|AWSXRayDaemonWriteAccess|AWSXrayWriteOnlyAccess"
                         r"|AmazonAPIGatewayPushToCloudWatchLogs|AWSLambdaVPCAccessExecutionRole"
                         r"|AWSCodeDeployRoleForLambdaLimited)$")  # fmt: skip
    for name, role in resources("AWS::IAM::Role").items():
        for arn in role["Properties"].get("ManagedPolicyArns", []):
            if arn == {"Ref": "ChatPolicy"}:  # test_chat.py
                continue
            text = arn if isinstance(arn, str) else arn["Fn::Sub"]
            assert allowed.match(text), (name, text)


def test_each_statement_names_one_resource_and_its_actions() -> None:
    checked = 0
    for role, statement in statements():
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert not [action for action in actions if "*" in action], (role, actions)
        assert "NotAction" not in statement
        assert "NotResource" not in statement
        if statement["Effect"] == "Deny":
            continue
        resource = statement["Resource"]
        assert not isinstance(resource, list), (role, resource)
        text = resource if isinstance(resource, str) else str(resource.get("Fn::Sub", resource))
        # A prefix of one bucket, and the executions of one state machine, are the only places for a star.
        prefixes = "paypay|vexora|recon|reports|rereads|registers"
        allowed = rf"Bucket\.Arn\}}/({prefixes})/\*|:execution:\$\{{ReconComparison\.Name\}}:\*"
        assert "*" not in text or re.search(allowed, text), (role, text)
        checked += 1
    assert checked > len(FOLDERS)


@pytest.mark.parametrize("folder", [each for each in FOLDERS if re.fullmatch(r"paypay_\w+_webhook", each)])
def test_each_webhook_of_paypay_knows_both_queues_and_may_send_to_them(folder: str) -> None:
    # PayPay configures its four URLs by hand: any kind of notification may come to any of them.
    variables = source_functions()[logical_id(folder)]["Environment"]["Variables"]
    known = {name: variables[name]["Ref"] for name in ("EVENT_QUEUE_URL", "RECON_NOTICE_QUEUE_URL")}
    may = [
        statement["Resource"]["Fn::GetAtt"][0]
        for role, statement in statements()
        if role == f"{logical_id(folder)}Role" and statement["Action"] == "sqs:SendMessage"
    ]

    assert known == {"EVENT_QUEUE_URL": "EventQueue", "RECON_NOTICE_QUEUE_URL": "ReconNoticeQueue"}
    assert sorted(may) == ["EventQueue", "ReconNoticeQueue"]


def _allowed_by(name: str) -> set[str]:
    """The actions that a function's role allows."""
    found = [each for role, each in statements() if role == f"{name}Role" and each["Effect"] == "Allow"]
    assert found, name
    actions = [[each["Action"]] if isinstance(each["Action"], str) else each["Action"] for each in found]
    return {action for some in actions for action in some}


def test_of_the_merchant_api_erasure_alone_may_delete() -> None:
    body = str(resources("AWS::ApiGateway::RestApi")["MerchantApi"]["Properties"]["Body"])
    called = {each.removesuffix("Aliaslive") for each in re.findall(r"functions/\$\{(\w+)\}/invocations", body)}
    assert len(called) == 6
    deleting = {name for name in called if any("Delete" in action for action in _allowed_by(name))}
    assert deleting == {logical_id("erasure")}
    assert "dynamodb:BatchWriteItem" not in set().union(*map(_allowed_by, called - deleting)), "it deletes, too"


def test_the_read_side_may_only_read() -> None:
    assert _allowed_by(logical_id("kyc_status")) == {
        "dynamodb:GetItem",
        "dynamodb:Query",
        "dynamodb:BatchGetItem",
        "kms:Decrypt",
    }


def test_the_overview_may_only_read_and_queries_its_indexes_alone() -> None:
    assert _allowed_by(logical_id("overview")) == {
        "dynamodb:GetItem",
        "dynamodb:Query",
        "dynamodb:BatchGetItem",
        "kms:Decrypt",
    }
    queried = [
        each["Resource"]["Fn::Sub"]
        for role, each in statements()
        if role == f"{logical_id('overview')}Role" and each["Action"] == "dynamodb:Query"
    ]
    assert queried == ["${StateTable.Arn}/index/overview", "${StateTable.Arn}/index/due"]


def test_arm64_is_the_default_everywhere() -> None:
    assert template()["Parameters"]["Architecture"]["Default"] == "arm64"
    for function in resources("AWS::Lambda::Function").values():
        assert function["Properties"]["Architectures"] == [{"Ref": "Architecture"}]
        assert function["Properties"]["Runtime"] == "python3.13"
    [layer] = [each for each in template()["Resources"].values() if each["Type"] == "AWS::Serverless::LayerVersion"]
    assert layer["Metadata"]["BuildArchitecture"] == {"Ref": "Architecture"}
    assert layer["Properties"]["CompatibleArchitectures"] == [{"Ref": "Architecture"}]


# --- environment ---


class _Recorder(dict[str, str]):
    """An environment in which everything is set; remembers what was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return "1"

    def __getitem__(self, key: str) -> str:
        self.asked.add(key)
        return "1"


def _settings() -> dict[str, set[str]]:
    """Each property of `Settings` and the variables that it reads."""
    found = {}
    for name, member in vars(Settings).items():
        if not name.startswith("_"):
            recorder = _Recorder()
            # "1" need not be a valid value; by then what was read is noted.
            with contextlib.suppress(Exception):
                getattr(Settings(recorder), name)
            assert recorder.asked, f"Settings.{name} ({member}) reads nothing"
            found[name] = recorder.asked
    return found


def _read_directly() -> set[str]:
    """What the ack path reads by itself, because it loads the standard library only."""
    layer = (ROOT / "layers" / "honnin" / "honnin").rglob("*.py")
    return {name for path in layer for name in re.findall(r'environ\["(\w+)"\]', path.read_text())}


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_variable_is_read_by_a_setting_and_each_setting_of_the_handler_is_there(folder: str) -> None:
    variables = source_functions()[logical_id(folder)]["Environment"]["Variables"]
    known = {variable for asked in _settings().values() for variable in asked} | _read_directly()
    unread = sorted({name for name in variables if not FOREIGN.match(name)} - known)
    assert not unread, f"no setting of honnin/config.py reads {unread}"

    used = set(re.findall(r"settings\(\)\.(\w+)", (ROOT / "functions" / folder / "app.py").read_text()))
    app = (ROOT / "functions" / folder / "app.py").read_text()
    secrets = {"vexora_credentials": "providers_secret_arn", "paypay_credentials": "providers_secret_arn",
               "callback_keys": "callback_key_secret_arn"}  # fmt: skip
    used |= {setting for function, setting in secrets.items() if f"secret_store.{function}" in app}
    for setting in used:
        assert _settings()[setting] <= set(variables), f"{folder} uses {setting}"


def test_each_setting_has_a_variable_of_some_function() -> None:
    variables = {name for each in source_functions().values() for name in each["Environment"]["Variables"]}
    for setting, asked in _settings().items():
        assert asked <= variables, f"Settings.{setting}: template.yaml sets {sorted(asked - variables)} for no function"


def test_the_common_variables_are_not_settings() -> None:
    assert all(FOREIGN.match(name) for name in template()["Globals"]["Function"]["Environment"]["Variables"])


def test_no_secret_is_in_an_environment_variable() -> None:
    for name, function in source_functions().items():
        for variable, value in function["Environment"]["Variables"].items():
            assert "resolve:secretsmanager" not in str(value), (name, variable)


# --- asynchronous sources and their dead letters ---


def _dead_letter_queues() -> set[str]:
    queues = resources("AWS::SQS::Queue")
    redriven = {
        each["Properties"]["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
        for each in queues.values()
        if "RedrivePolicy" in each["Properties"]
    }
    direct = {
        each["Properties"]["DeadLetterConfig"]["TargetArn"]["Fn::GetAtt"][0]
        for each in resources("AWS::Lambda::Function").values()
        if "DeadLetterConfig" in each["Properties"]
    }
    scheduled = {
        each["Properties"]["Target"]["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0]
        for each in resources("AWS::Scheduler::Schedule").values()
    }
    return redriven | direct | scheduled


# How often a message is tried: events for about two days, a recon file for one.
_TRIES = {
    "EventQueue": 200,
    "ReconNoticeQueue": 200,
    "RepairQueue": 200,
    "RereadQueue": 200,
    "MerchantWebhookQueue": 1000,
}


def _deployed(value: Any) -> int:
    return int(value["Fn::If"][2] if isinstance(value, dict) else value)


def test_each_queue_that_feeds_a_function_has_a_dead_letter_queue() -> None:
    tries = {}
    for mapping in resources("AWS::Lambda::EventSourceMapping").values():
        name = mapping["Properties"]["EventSourceArn"]["Fn::GetAtt"][0]
        queue = resources("AWS::SQS::Queue")[name]["Properties"]
        tries[name] = queue["RedrivePolicy"]["maxReceiveCount"]
        assert mapping["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        function = resources("AWS::Lambda::Function")[invoked(mapping["Properties"]["FunctionName"])]
        timeout = function["Properties"]["Timeout"]
        # Six times and the window, as AWS advises for batches; a comparison is alone in its batch, and should go on
        # soon when killed.
        window = _deployed(mapping["Properties"].get("MaximumBatchingWindowInSeconds", 0))
        several = _deployed(mapping["Properties"]["BatchSize"]) > 1
        assert queue["VisibilityTimeout"] == (6 * timeout + window if several else timeout + 60)
    assert tries == _TRIES


def test_each_schedule_and_each_function_that_it_calls_has_a_dead_letter_queue() -> None:
    for name, schedule in resources("AWS::Scheduler::Schedule").items():
        target = schedule["Properties"]["Target"]
        function = resources("AWS::Lambda::Function")[target["Arn"]["Fn::GetAtt"][0]]
        own = "ReconDownloadDeadLetterQueue" if "ReconDownload" in name else "ScheduleDeadLetterQueue"
        assert target["DeadLetterConfig"]["Arn"] == {"Fn::GetAtt": [own, "Arn"]}, name
        assert function["Properties"]["DeadLetterConfig"]["TargetArn"] == {"Fn::GetAtt": [own, "Arn"]}, name


def test_each_dead_letter_queue_has_an_alarm_that_tells_somebody() -> None:
    alarmed = {
        dimension["Value"]["Fn::GetAtt"][0]
        for alarm in resources("AWS::CloudWatch::Alarm").values()
        for dimension in alarm["Properties"].get("Dimensions", [])
        if alarm["Properties"]["MetricName"] == "ApproximateNumberOfMessagesVisible"
        and dimension["Name"] == "QueueName"
    }
    assert _dead_letter_queues() <= alarmed
    for name, alarm in resources("AWS::CloudWatch::Alarm").items():
        assert alarm["Properties"]["AlarmActions"], name
        assert alarm["Properties"]["AlarmDescription"], name


def test_queues_keep_messages_for_14_days_or_as_long_as_the_parameter_says_encrypted() -> None:
    parameter = {"Fn::FindInMap": ["Days", {"Ref": "DeadLetterRetentionDays"}, "Seconds"]}
    for name, queue in resources("AWS::SQS::Queue").items():
        expected = parameter if name in _dead_letter_queues() else 14 * 86_400
        assert queue["Properties"]["MessageRetentionPeriod"] == expected, name
        assert queue["Properties"]["KmsMasterKeyId"] == {"Fn::GetAtt": ["StateKey", "Arn"]}, name


# --- data ---


def test_tables_are_encrypted_recoverable_and_forget() -> None:
    for name, table in resources("AWS::DynamoDB::Table").items():
        properties = table["Properties"]
        key = {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": {"Fn::GetAtt": ["StateKey", "Arn"]}}
        assert properties["SSESpecification"] == key, name
        assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}, name
        assert properties["TimeToLiveSpecification"]["Enabled"] is True, name
        assert properties["BillingMode"] == "PAY_PER_REQUEST", name


def test_the_state_table_forgets_by_expires_at_and_has_the_sparse_indexes() -> None:
    properties = resources("AWS::DynamoDB::Table")["StateTable"]["Properties"]

    assert properties["TimeToLiveSpecification"]["AttributeName"] == "expires_at"
    assert [index["IndexName"] for index in properties["GlobalSecondaryIndexes"]] == ["due", "overview"]
    assert properties["DeletionProtectionEnabled"] is True


# What can be made again from nothing, or lives for hours only.
_DISPOSABLE = {"IdempotencyTable", "ScheduleDeadLetterQueue", "ReconDownloadDeadLetterQueue"}


@pytest.mark.parametrize(
    "kind", ["AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::SecretsManager::Secret", "AWS::SQS::Queue"]
)
def test_data_outlives_the_stack_outside_local_and_not_in_it(kind: str) -> None:
    for name in set(resources(kind)) - _DISPOSABLE:
        resource = resources(kind)[name]
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain"), name
        # Under a condition that may be false, CloudFormation's language extensions fail on a function.
        written = "Retain" if "Condition" in resource else {"Fn::If": ["IsLocal", "Delete", "Retain"]}
        assert template()["Resources"][name]["DeletionPolicy"] == written, name


def test_the_key_rotates() -> None:
    assert all(key["Properties"]["EnableKeyRotation"] for key in resources("AWS::KMS::Key").values())


# --- APIs ---


def _methods(api: str) -> dict[str, Any]:
    body = resources("AWS::ApiGateway::RestApi")[api]["Properties"]["Body"]
    return {
        f"{verb} {path}": method
        for path, methods in body["paths"].items()
        for verb, method in methods.items()
        if verb != "options"
    }


# The browser of a user comes to it: it is protected by the signed `responseToken`.
_PUBLIC = {"get /paypay/account-links/callback"}


def test_every_method_of_the_merchant_api_is_signed() -> None:
    methods = _methods("MerchantApi")

    assert len(methods) >= 3
    for route, method in methods.items():
        if route not in _PUBLIC:
            assert method["security"] == [{"AWS_IAM": []}], route


def test_the_webhook_api_takes_callbacks_of_the_providers_addresses_only() -> None:
    body = resources("AWS::ApiGateway::RestApi")["WebhookApi"]["Properties"]["Body"]
    denials = [each for each in body["x-amazon-apigateway-policy"]["Statement"] if each["Effect"] == "Deny"]

    conditions = {str(each["Resource"]): each["Condition"] for each in denials}
    default = template()["Parameters"]["VexoraSourceCidrs"]["Default"].split(",")
    assert {"NotIpAddress": {"aws:SourceIp": default}} in conditions.values()
    assert any("/POST/webhooks/vexora/*" in resource for resource in conditions)
    assert all(list(each) == ["NotIpAddress"] for each in conditions.values())


def test_every_webhook_route_is_under_a_denied_prefix() -> None:
    body = resources("AWS::ApiGateway::RestApi")["WebhookApi"]["Properties"]["Body"]
    text = str([each for each in body["x-amazon-apigateway-policy"]["Statement"] if each["Effect"] == "Deny"])
    for route in _methods("WebhookApi"):
        if route in _PUBLIC:
            continue
        verb, path = route.split()
        provider = path.split("/")[2]
        assert verb == "post"
        assert f"/POST/webhooks/{provider}/" in text, route


@pytest.mark.parametrize("api", ["MerchantApi", "WebhookApi"])
def test_access_logs_hold_neither_path_nor_query(api: str) -> None:
    stages = [
        each["Properties"]
        for each in resources("AWS::ApiGateway::Stage").values()
        if each["Properties"]["RestApiId"] == {"Ref": api}
    ]
    [stage] = stages

    written = stage["AccessLogSetting"]["Format"]
    variables = set(re.findall(r"\$context\.[\w.]+", written))
    assert variables
    assert not variables & {"$context.path", "$context.requestOverride.path", "$context.protocol"}
    assert "$input" not in written
    assert "querystring" not in written
    assert "header" not in written
    # Execution logs would hold whole requests.
    assert not [
        each for each in stage.get("MethodSettings", []) if each.get("DataTraceEnabled") or each.get("LoggingLevel")
    ]


# --- parameters and outputs ---


def test_each_parameter_is_described() -> None:
    # Its group and its Japanese: test_configuration.py.
    assert all(len(each.get("Description", "")) > 20 for each in template()["Parameters"].values())


@pytest.mark.parametrize("name", ["Stage", "Architecture", "VexoraBaseUrl", "VexoraSourceCidrs", "AlarmEmail"])
def test_the_stable_parameters_are_there(name: str) -> None:
    assert name in template()["Parameters"]


def test_stage_is_one_of_the_three() -> None:
    assert template()["Parameters"]["Stage"]["AllowedValues"] == ["local", "dev", "prod"]


@pytest.mark.parametrize(
    "name",
    [
        "MerchantApiUrl", "WebhookApiUrl", "StateTableName", "EventQueueUrl", "DeadLetterQueueUrl", "EventBusName",
        "ProvidersSecretArn", "VexoraResultWebhookUrl",
    ],
)  # fmt: skip
def test_the_stable_outputs_are_there(name: str) -> None:
    assert template()["Outputs"][name]["Description"]
    assert decided(template()["Outputs"][name]["Value"])


def test_each_reference_resolves() -> None:
    known = set(transformed()["Resources"]) | set(transformed()["Parameters"])
    found: set[str] = set()

    def collect(value: Any) -> None:
        match value:
            case {"Ref": str(name)}:
                found.add(name)
            case {"Fn::GetAtt": [str(name), *_]}:
                found.add(name)
            case dict():
                for each in value.values():
                    collect(each)
            case list():
                for each in value:
                    collect(each)

    collect(transformed()["Resources"])
    collect(transformed()["Outputs"])
    assert {name for name in found if not name.startswith("AWS::")} <= known


def test_no_resource_name_is_hard_coded() -> None:
    names = {"TableName", "QueueName", "FunctionName", "BucketName", "LogGroupName", "RoleName", "TopicName"}
    for logical, resource in template()["Resources"].items():
        for name in names & set(resource["Properties"]):
            assert not isinstance(resource["Properties"][name], str), (logical, name)
