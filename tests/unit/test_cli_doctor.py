"""`doctor`: one test per thing that may be wrong; nothing of it needs AWS or a provider."""

import json
import re
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from honnin.store import Counted, Loss, Stop
from honninctl import command, concurrency, confirmations, dead_letters, doctor, doctor_clocks, doctor_queues, egress
from honninctl.checks import Check, Verdict
from honninctl.confirmations import Unconfirmed
from honninctl.failures import NotFoundError
from tests.fakes import LoopbackServer, Reply
from tests.fakes.cli import FakeDeployment, Service, client_error, run
from tests.permissions import rows
from tests.tables import template

SECRET = {
    "vexora_merchant_no": "1",
    "vexora_app_secret": "a",
    "paypay_api_key": "k",
    "paypay_api_secret": "c2VjcmV0",
    "paypay_merchant_id": "m",
}
OUTPUTS = {
    "StateTableName": "state",
    "PersonalDataBucketName": "vault",
    "ReconBucketName": "recon",
    "IdempotencyTableName": "idempotency",
    "EventQueueUrl": "https://sqs/events",
    "ReconNoticeQueueUrl": "https://sqs/notifications",
    "RepairQueueUrl": "https://sqs/repairs",
    "RereadQueueUrl": "https://sqs/rereads",
    "DeadLetterQueueUrl": "https://sqs/dead",
    "ScheduleDeadLetterQueueUrl": "https://sqs/dead-schedule",
    "ReconDownloadDeadLetterQueueUrl": "https://sqs/dead-download",
    "EventBusName": "bus",
    "AlarmTopicArn": "arn:topic",
    "ProvidersSecretArn": "arn:secret",
    "WebhookApiUrl": "https://hooks.example.jp/v1",
    "PayPayKycWebhookUrl": "https://hooks.example.jp/v1/webhooks/paypay/kyc",
}
PARAMETERS = {
    "Stage": "prod",
    "AlarmEmail": "ops@example.jp",
    "PayPayKycInfoPath": "/v2/kyc",
    "VexoraSourceCidrs": "a, b",
}
SUMMARY = [
    {"ParameterKey": "PayPayKycInfoPath", "DefaultValue": "/v1/kyc/info", "Description": "Not published; a guess."},
    {"ParameterKey": "VexoraSourceCidrs", "DefaultValue": "0.0.0.0/0", "Description": "Not published; ask."},
    {"ParameterKey": "LogRetentionDays", "DefaultValue": "90", "Description": "Days that logs are kept."},
]


def _queue(**request: Any) -> dict[str, Any]:
    return {"Attributes": dict.fromkeys(request["AttributeNames"], "0")}


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> FakeDeployment:
    """A production stack with nothing wrong but for the clocks, which `_on_time` answers."""
    made = FakeDeployment(OUTPUTS, PARAMETERS)
    cloudformation = made.services["cloudformation"]
    cloudformation.answers |= {
        "get_template_summary": {"Parameters": SUMMARY},
        "describe_stack_resource": {"StackResourceDetail": {"PhysicalResourceId": "kyc-function"}},
    }
    made.services |= {
        "sts": Service(get_caller_identity=lambda: {"Arn": "arn:me", "ResponseMetadata": {"HTTPHeaders": {}}}),
        "secretsmanager": Service(get_secret_value={"SecretString": json.dumps(SECRET)}),
        "dynamodb": Service(describe_table={"Table": {"TableStatus": "ACTIVE"}}, get_item={}),
        "sqs": Service(get_queue_attributes=_queue),
        "s3": Service(get_bucket_location={}),
        "events": Service(describe_event_bus={}),
        "sns": Service(list_subscriptions_by_topic={"Subscriptions": [_subscription("arn:1")]}),
        "lambda": Service(
            get_function_configuration={"VpcConfig": {"SubnetIds": ["s-1", "s-2"], "VpcId": "v"}},
            get_account_settings=_account(1000, 1000),
            get_event_source_mapping={"State": "Enabled"},
        ),
        "ec2": Service(describe_route_tables=_routes, describe_nat_gateways=_gateways),
    }
    monkeypatch.setattr(command, "Deployment", lambda _where: made)
    monkeypatch.setattr("honnin.store.users.Users.words", lambda *_: {})
    monkeypatch.setattr(doctor_clocks, "_clock_offset", lambda *_: 0.3)
    return made


def _subscription(arn: str, endpoint: str = "ops@example.jp") -> dict[str, str]:
    return {"SubscriptionArn": arn, "Endpoint": endpoint, "Protocol": "email"}


def _account(limit: int, unreserved: int) -> dict[str, Any]:
    return {"AccountLimit": {"ConcurrentExecutions": limit, "UnreservedConcurrentExecutions": unreserved}}


def _routes(**request: Any) -> dict[str, Any]:
    """Subnet s-1 has a table of its own, the others take the main one."""
    [condition] = request["Filters"]
    if condition["Name"] == "vpc-id":
        main = {"Associations": [{"Main": True}], "Routes": [_default_route("nat-main")]}
        return {"RouteTables": [{"Associations": [{"Main": False}], "Routes": []}, main]}
    own = {"s-1": "nat-1"}.get(condition["Values"][0])
    return {"RouteTables": [{"Associations": [], "Routes": [_default_route(own)]}] if own else []}


def _default_route(gateway: str) -> dict[str, str]:
    return {"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": gateway}


def _gateways(**request: Any) -> dict[str, Any]:
    addresses = {"nat-1": "203.0.113.10", "nat-main": "203.0.113.11"}
    return {
        "NatGateways": [
            {"NatGatewayId": each, "NatGatewayAddresses": [{"PublicIp": addresses[each]}]}
            for each in request["NatGatewayIds"]
        ]
    }


def _checks(deployment: FakeDeployment, topic: str, *registered: str) -> list[Check]:
    return [each for each in doctor.examine(deployment, registered) if each.topic == topic]


def _verdicts(checks: list[Check]) -> list[tuple[Verdict, str]]:
    return [(each.verdict, each.found) for each in checks]


def test_a_word_that_verifies_nobody_is_named_with_its_parameter(
    deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = {"KYC_DONE": "2026-11-20T03:00:00.000Z", "COMPLETED": "2026-11-20T03:00:00.000Z", "(absent)": "2026"}
    monkeypatch.setattr("honnin.store.users.Users.words", lambda *_: words)
    deployment.description["Parameters"].append(
        {"ParameterKey": "PayPayVerifiedStatuses", "ParameterValue": "COMPLETED, VERIFIED"}
    )
    checks = _checks(deployment, "words")
    assert [each.verdict for each in checks] == [Verdict.WARN] * 2
    assert "(absent)" in checks[0].found
    assert "KYC_DONE" in checks[1].found
    assert all("PayPayVerifiedStatuses" in each.advice for each in checks)


@pytest.mark.parametrize(
    ("stop", "mapping", "found"),
    [
        (
            Stop("2026-04-01T03:00:00.000Z", "", 212, {Loss("paypay", "VERIFIED", "UNLINKED", "recon"): 20}, None),
            "Disabled",
            "since 2026-04-01T03:00:00.000Z (20 of 212 readings",
        ),
        # A deployment may make a mapping anew: the mark still holds.
        (Stop("2026-04-01T03:00:00.000Z", "a new key", 0, {}, None), "Enabled", "(a new key)"),
        (None, "Disabled", "a mapping of repairs or rereads is disabled"),
    ],
)
def test_stopped_repairs_are_said_before_anything_else_that_is_wrong(
    deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch, stop: Stop | None, mapping: str, found: str
) -> None:
    monkeypatch.setattr("honnin.store.mass_change.MassChange.read", lambda _: Counted(100, {}, stop, None))
    deployment.services["lambda"].answers["get_event_source_mapping"] = {"State": mapping}
    checks = list(doctor.examine(deployment, []))
    first = next(each for each in checks if each.verdict is not Verdict.OK)
    assert (first.topic, first.verdict) == ("repairs", Verdict.FAIL)
    assert found in first.found
    assert "honninctl repairs resume" in first.advice


def test_a_sound_deployment_has_nothing_but_ok(deployment: FakeDeployment) -> None:
    ended = run("doctor", "--registered-ip", "203.0.113.10", "--registered-ip", "203.0.113.11", "--json")
    said = json.loads(ended.stdout)
    assert ended.exit_code == 0
    assert [each for each in said["checks"] if each["verdict"] != "ok"] == []
    assert said["summary"] == {"ok": len(said["checks"]), "warn": 0, "fail": 0}
    assert {each["topic"] for each in said["checks"]} == {
        *("credentials", "stack", "secret", "clock", "egress", "table", "queues", "buckets", "bus", "webhooks"),
        *("concurrency", "parameters", "repairs", "words", "alarms"),
    }


def test_the_lines_for_people_say_what_to_do(deployment: FakeDeployment) -> None:
    deployment.services["s3"] = Service(get_bucket_location=client_error("AccessDenied", "GetBucketLocation"))
    ended = run("doctor", "--registered-ip", "203.0.113.10")
    assert ended.exit_code == 1
    assert "FAIL  buckets" in ended.stdout
    assert "→ the stack's OperatorPolicy allows this command (docs/security.md#roles)" in ended.stdout
    assert "FAIL  egress" in ended.stdout


def test_doctor_speaks_japanese_to_people_and_english_to_scripts(deployment: FakeDeployment) -> None:
    deployment.services["s3"] = Service(get_bucket_location=client_error("AccessDenied", "GetBucketLocation"))
    line = ("doctor", "--registered-ip", "203.0.113.10")
    english, japanese = (json.loads(run(*line, "--json", "--lang", each).stdout) for each in ("en", "ja"))
    assert [each["found"] for each in japanese["checks"]] == [each["found"] for each in english["checks"]]
    assert [each["advice"] for each in japanese["checks"]] == [each["advice"] for each in english["checks"]]
    shown = run(*line, "--lang", "ja")
    assert shown.exit_code == 1
    assert "このコマンドは、スタックの OperatorPolicy で許可されます" in shown.stdout
    assert "お使いの認証情報では許可されていません" in shown.stdout
    assert not re.search(r"[a-z]{3,} (is|are|the|of|not|with) [a-z]", shown.stdout)


def test_without_credentials_nothing_is_checked(deployment: FakeDeployment) -> None:
    deployment.services["sts"] = Service(get_caller_identity=client_error("ExpiredToken", "GetCallerIdentity"))
    assert run("doctor", "--json").exit_code == 4


def test_without_a_stack_nothing_is_checked(deployment: FakeDeployment) -> None:
    deployment.services["cloudformation"].answers["describe_stacks"] = client_error("ValidationError")
    with pytest.raises(NotFoundError):
        list(doctor.examine(deployment, ()))
    assert run("doctor").exit_code == 3


@pytest.mark.parametrize(
    ("status", "verdict"),
    [("CREATE_COMPLETE", "ok"), ("UPDATE_IN_PROGRESS", "warn"), ("UPDATE_ROLLBACK_FAILED", "fail")],
)
def test_the_stacks_status(deployment: FakeDeployment, status: str, verdict: str) -> None:
    deployment.given["StackStatus"] = status
    assert [each.verdict for each in _checks(deployment, "stack")] == [verdict]


@pytest.mark.parametrize(
    ("email", "subscriptions", "verdict", "found"),
    [
        ("ops@example.jp", [_subscription("arn:1")], Verdict.OK, "confirmed subscribers of the alarm topic: 1"),
        ("Ops@example.jp", [_subscription("arn:1")], Verdict.OK, "confirmed subscribers of the alarm topic: 1"),
        ("ops@example.jp", [_subscription("PendingConfirmation")], Verdict.FAIL, "AlarmEmail is not confirmed"),
        # AWS has forgotten it after 48 hours, or somebody has unsubscribed it.
        ("ops@example.jp", [], Verdict.FAIL, "AlarmEmail is not confirmed"),
        ("ops@example.jp", [_subscription("Deleted")], Verdict.FAIL, "AlarmEmail is not confirmed"),
        ("ops@example.jp", [_subscription("arn:1", "other@example.jp")], Verdict.WARN, "AlarmEmail is not confirmed"),
        ("", [], Verdict.WARN, "the alarm topic has no subscriber"),
        ("", [_subscription("PendingConfirmation", "x@example.jp")], Verdict.WARN, "the alarm topic has no subscriber"),
        ("", [_subscription("arn:1", "https://pager")], Verdict.OK, "confirmed subscribers of the alarm topic: 1"),
    ],
)
def test_whether_anybody_is_told_of_an_alarm(
    deployment: FakeDeployment, email: str, subscriptions: list[dict[str, str]], verdict: Verdict, found: str
) -> None:
    deployment.given["Parameters"] = [{"ParameterKey": "AlarmEmail", "ParameterValue": email}]
    # Of many subscribers, the one that counts may be on a later page.
    first, last = {"Subscriptions": [], "NextToken": "2"}, {"Subscriptions": subscriptions}
    deployment.services["sns"] = Service(
        list_subscriptions_by_topic=lambda **asked: last if "NextToken" in asked else first
    )
    [check] = _checks(deployment, "alarms")
    assert check.verdict is verdict
    assert check.found.startswith(found)
    assert bool(check.advice) is (verdict is not Verdict.OK)


def test_locally_no_mail_is_sent(deployment: FakeDeployment) -> None:
    deployment.given["Parameters"] = [{"ParameterKey": "Stage", "ParameterValue": "local"}]
    assert _verdicts(_checks(deployment, "alarms")) == [(Verdict.OK, "local: no mail is sent")]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"vexora_app_secret": "REPLACE_ME"}, (Verdict.FAIL, "no usable value for vexora_app_secret")),
        ({"vexora_app_secret": " "}, (Verdict.FAIL, "no usable value for vexora_app_secret")),
        ({"vexora_app_secret": "１"}, (Verdict.FAIL, "no usable value for vexora_app_secret")),
        ({"vexora_app_secret": "REPLACE_ME", "vexora_merchant_no": ""}, (Verdict.WARN, "Vexora is not set up")),
        ({"paypay_api_secret": "not base64!"}, (Verdict.FAIL, "paypay_api_secret is not base64")),
        ({"paypay_merchant_id": "REPLACE_ME"}, (Verdict.WARN, "paypay_merchant_id is not set")),
        ({"paypay_apikey": "x"}, (Verdict.WARN, "unknown: paypay_apikey")),
    ],
)
def test_the_secret(deployment: FakeDeployment, changes: dict[str, str], expected: tuple[Verdict, str]) -> None:
    deployment.services["secretsmanager"] = Service(
        get_secret_value={"SecretString": json.dumps({**SECRET, **changes})}
    )
    found = [each for each in _verdicts(_checks(deployment, "secret")) if each[0] is not Verdict.OK]
    assert [(verdict, text[: len(expected[1])]) for verdict, text in found] == [expected]
    shown = run("doctor", "--json").stdout
    for value in changes.values():
        assert value.strip() in ("", "x", "REPLACE_ME") or value not in shown


@pytest.mark.parametrize(
    "secret", [dict.fromkeys(SECRET, "REPLACE_ME"), {}, {"paypay_merchant_id": "m", "vexora_app_secret": " "}]
)
def test_a_secret_without_any_provider_fails(deployment: FakeDeployment, secret: dict[str, str]) -> None:
    deployment.services["secretsmanager"] = Service(get_secret_value={"SecretString": json.dumps(secret)})
    first, *others = _checks(deployment, "secret")
    assert (first.verdict, first.found) == (Verdict.FAIL, "no provider is set up")
    assert first.advice == "fill the secret with put-secret-value (docs/deploying.md)"
    assert "fine" not in str(others)


def test_a_misspelled_name_is_named_without_any_provider_too(deployment: FakeDeployment) -> None:
    deployment.services["secretsmanager"] = Service(get_secret_value={"SecretString": '{"paypay_apikey": "x"}'})
    assert (Verdict.WARN, "unknown: paypay_apikey") in _verdicts(_checks(deployment, "secret"))


def test_a_secret_that_is_no_json_fails(deployment: FakeDeployment) -> None:
    deployment.services["secretsmanager"] = Service(get_secret_value={"SecretString": "vexora: x"})
    assert [each.verdict for each in _checks(deployment, "secret")] == [Verdict.FAIL]


# Clocks


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize(("off_s", "verdict"), [(0, "ok"), (-20, "ok"), (60, "warn"), (-100, "warn"), (180, "fail")])
def test_this_machines_clock_against_the_providers(
    deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch, off_s: int, verdict: str
) -> None:
    monkeypatch.undo()
    theirs = format_datetime(datetime.now(UTC) - timedelta(seconds=off_s), usegmt=True)
    with LoopbackServer(Reply(404, b"{}", {"Date": theirs})) as provider:
        deployment.given["Parameters"] = [
            {"ParameterKey": f"{name}BaseUrl", "ParameterValue": provider.url} for name in ("PayPay", "Vexora")
        ] + [{"ParameterKey": "Stage", "ParameterValue": "local"}]
        checks = list(doctor_clocks.check(deployment))
    assert [each.verdict for each in checks] == [verdict, verdict]
    assert provider.received[0].method == "HEAD"


def test_awss_clock_is_what_the_functions_sign_with(
    deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This machine is right with AWS and three minutes behind the provider: so are the functions."""
    date = format_datetime(datetime.now(UTC), usegmt=True)
    deployment.services["sts"] = Service(
        get_caller_identity=lambda: {"Arn": "a", "ResponseMetadata": {"HTTPHeaders": {"date": date}}}
    )
    monkeypatch.setattr(doctor_clocks, "_clock_offset", lambda *_: -180.0)
    checks = _checks(deployment, "clock")
    assert [each.verdict for each in checks] == [Verdict.FAIL] * 4
    assert [each.found.startswith("AWS") for each in checks] == [False, True, False, True]


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_provider_that_does_not_answer_is_a_warning(
    deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    with LoopbackServer(Reply(instead="reset")) as provider:
        deployment.given["Parameters"] = [
            {"ParameterKey": "PayPayBaseUrl", "ParameterValue": provider.url},
            {"ParameterKey": "VexoraBaseUrl", "ParameterValue": provider.url},
            {"ParameterKey": "Stage", "ParameterValue": "local"},
        ]
        assert [each.verdict for each in doctor_clocks.check(deployment)] == [Verdict.WARN, Verdict.WARN]


# Egress


def test_the_addresses_of_all_subnets_are_found(deployment: FakeDeployment) -> None:
    assert egress.find(deployment) == egress.Egress(in_vpc=True, addresses=("203.0.113.10", "203.0.113.11"))


@pytest.mark.parametrize(
    ("registered", "verdicts"),
    [
        ((), [Verdict.WARN]),
        (("203.0.113.10", "203.0.113.11"), [Verdict.OK]),
        (("203.0.113.10",), [Verdict.FAIL]),
        (("203.0.113.10", "203.0.113.11", "198.51.100.1"), [Verdict.OK, Verdict.WARN]),
    ],
)
def test_our_addresses_against_what_paypay_was_told(
    deployment: FakeDeployment, registered: tuple[str, ...], verdicts: list[Verdict]
) -> None:
    assert [each.verdict for each in _checks(deployment, "egress", *registered)] == verdicts


def test_a_subnet_without_a_nat_gateway_fails(deployment: FakeDeployment) -> None:
    deployment.services["ec2"].answers["describe_route_tables"] = {"RouteTables": []}
    checks = _checks(deployment, "egress")
    assert [each.verdict for each in checks] == [Verdict.FAIL]
    assert "s-1, s-2" in checks[0].found


def test_while_our_addresses_are_not_all_known_none_is_called_not_ours(deployment: FakeDeployment) -> None:
    """The way out is a Transit Gateway: a registered address may be its address."""
    deployment.services["ec2"].answers["describe_route_tables"] = {
        "RouteTables": [{"Routes": [{"DestinationCidrBlock": "0.0.0.0/0", "TransitGatewayId": "tgw-1"}]}]
    }
    missing, registered = _checks(deployment, "egress", "203.0.113.10")
    assert (missing.verdict, registered.verdict) == (Verdict.WARN, Verdict.WARN)
    assert "Transit Gateway" in missing.advice
    assert "not an address of this stack" not in registered.found
    assert "ask PayPay to remove it" not in missing.advice + registered.advice
    assert "keep it registered" in registered.advice


def test_of_two_subnets_one_may_be_known(deployment: FakeDeployment) -> None:
    def routes(**request: Any) -> dict[str, Any]:
        [condition] = request["Filters"]
        return _routes(**request) if condition["Values"] == ["s-1"] else {"RouteTables": []}

    deployment.services["ec2"].answers["describe_route_tables"] = routes
    assert _verdicts(_checks(deployment, "egress", "203.0.113.10", "198.51.100.1")) == [
        (Verdict.WARN, "no NAT gateway behind s-2: its address is not known here"),
        (Verdict.OK, "registered with PayPay: 203.0.113.10"),
        (Verdict.WARN, "registered with PayPay: 198.51.100.1; it is not known whether this stack uses it"),
    ]


def test_without_a_vpc_there_is_no_fixed_address(deployment: FakeDeployment) -> None:
    deployment.services["lambda"] = Service(get_function_configuration={})
    assert [each.verdict for each in _checks(deployment, "egress")] == [Verdict.WARN]


def test_without_a_vpc_what_paypay_was_told_cannot_be_right(deployment: FakeDeployment) -> None:
    deployment.services["lambda"] = Service(get_function_configuration={})
    [check] = _checks(deployment, "egress", "203.0.113.10")
    assert check.verdict is Verdict.FAIL
    assert "do not call from 203.0.113.10" in check.found


def test_a_registered_ip_must_be_an_address(deployment: FakeDeployment) -> None:
    assert run("doctor", "--registered-ip", "api.example.jp").exit_code == 2


# Resources, URLs, parameters


def test_every_queue_is_counted_and_dead_letters_are_a_warning(deployment: FakeDeployment) -> None:
    visible = {"https://sqs/notifications": 7, "https://sqs/dead-schedule": 2}

    def attributes(**request: Any) -> dict[str, Any]:
        counts = {"ApproximateNumberOfMessages": str(visible.get(request["QueueUrl"], 0))}
        return {"Attributes": dict.fromkeys(request["AttributeNames"], "0") | counts}

    deployment.services["sqs"] = Service(get_queue_attributes=attributes)
    checks = _checks(deployment, "queues")
    assert _verdicts(checks) == [
        (Verdict.OK, "events: 0 waiting"),
        (Verdict.OK, "recon notifications: 7 waiting"),
        (Verdict.OK, "repairs: 0 waiting"),
        (Verdict.OK, "rereads: 0 waiting"),
        (Verdict.OK, "dead letters, events: none"),
        (Verdict.WARN, "dead letters, schedule: 2"),
        (Verdict.OK, "dead letters, recon-download: none"),
    ]
    assert checks[5].advice == "honninctl deadletters list --queue schedule"


def test_both_tables_are_looked_at(deployment: FakeDeployment) -> None:
    def describe(TableName: str) -> dict[str, Any]:  # noqa: N803
        return {"Table": {"TableStatus": "ACTIVE" if TableName == "state" else "DELETING"}}

    deployment.services["dynamodb"] = Service(describe_table=describe)
    assert _verdicts(_checks(deployment, "table")) == [
        (Verdict.OK, "state is ACTIVE"),
        (Verdict.FAIL, "idempotency is DELETING"),
    ]


@pytest.mark.parametrize(
    ("service", "operation", "refused", "topic", "count"),
    [
        ("sqs", "get_queue_attributes", "https://sqs/events", "queues", 7),
        ("sqs", "get_queue_attributes", "https://sqs/dead", "queues", 7),
        ("s3", "get_bucket_location", "vault", "buckets", 2),
        ("dynamodb", "describe_table", "state", "table", 2),
    ],
)
def test_one_that_is_refused_does_not_hide_the_others(
    deployment: FakeDeployment, service: str, operation: str, refused: str, topic: str, count: int
) -> None:
    works = deployment.services[service].answers[operation]

    def answer(**request: Any) -> Any:
        if refused in request.values():
            raise client_error("AccessDenied", operation)
        return works(**request) if callable(works) else works

    deployment.services[service].answers[operation] = answer
    checks = _checks(deployment, topic)
    assert len(checks) == count
    [failed] = [each for each in checks if each.verdict is not Verdict.OK]
    assert failed.verdict is Verdict.FAIL
    assert failed.advice == "the stack's OperatorPolicy allows this command (docs/security.md#roles)"
    names = {"https://sqs/events": "events: ", "https://sqs/dead": "dead letters, events: ", "vault": "PersonalData: "}
    assert failed.found.startswith(names.get(refused, refused))


def test_the_table_of_roles_names_every_action_that_it_needs(deployment: FakeDeployment) -> None:
    list(doctor.examine(deployment, ()))
    asked = {
        f"{name}:{''.join(word.capitalize() for word in operation.split('_'))}"
        for name, service in deployment.services.items()
        for operation, _ in service.calls
    }
    named = {need.action for row in rows() if "doctor" in row.text for need in row.needs}
    # No permission is needed to ask who one is, every command asks for the stack, and the words are made up above.
    assert asked - {"sts:GetCallerIdentity"} == named - {"dynamodb:Query"} | {"cloudformation:DescribeStacks"}


def test_an_output_that_an_older_version_lacks_is_a_line_and_the_rest_goes_on(deployment: FakeDeployment) -> None:
    newer = ("IdempotencyTableName", "ReconNoticeQueueUrl", "ReconDownloadDeadLetterQueueUrl")
    deployment.given["Outputs"] = [
        {"OutputKey": key, "OutputValue": value} for key, value in OUTPUTS.items() if key not in newer
    ]
    checks = [*_checks(deployment, "table"), *_checks(deployment, "queues")]
    lacking = [each for each in checks if each.verdict is not Verdict.OK]
    assert _verdicts(lacking) == [(Verdict.WARN, f"not looked at: honnin-test has no output {key}") for key in newer]
    assert {each.advice for each in lacking} == {"the stack has an older version: deploy the current one"}
    assert len(checks) == 2 + 7


def test_an_output_that_every_version_has_fails(deployment: FakeDeployment) -> None:
    deployment.given["Outputs"] = []
    failed = {each.found.split()[-1] for each in doctor.examine(deployment, ()) if "no output" in each.found}
    assert failed >= {"StateTableName", "EventQueueUrl", "DeadLetterQueueUrl"}


def test_what_is_looked_at_is_all_that_the_template_has() -> None:
    """Every queue and table of the template has an output that a check reads, or is known by its name."""
    outputs = template()["Outputs"]
    read = {"StateTableName", "IdempotencyTableName", *doctor_queues._QUEUES.values(), *dead_letters.OUTPUTS.values()}
    named = {outputs[key]["Value"]["Ref"] for key in read} | {*doctor_queues.WEBHOOK_QUEUES.values()}
    kinds = ("AWS::SQS::Queue", "AWS::DynamoDB::Table")
    assert named == {name for name, each in template()["Resources"].items() if each["Type"] in kinds}


def test_the_queues_of_the_merchant_webhooks_are_looked_at_where_there_are_any(deployment: FakeDeployment) -> None:
    resource = Service(describe_stack_resource={"StackResourceDetail": {"PhysicalResourceId": "https://sqs/q"}})
    deployment.services["cloudformation"].answers |= resource.answers
    without = [each.found for each in doctor_queues.check(deployment)]
    deployment.given["Parameters"] = [{"ParameterKey": "MerchantWebhookUrl", "ParameterValue": "https://shop.example/"}]
    deployment.__dict__.pop("parameters", None)
    added = [each for each in doctor_queues.check(deployment) if each.found not in without]
    assert [each.found.partition(":")[0] for each in added] == ["merchant webhooks", "dead letters, webhooks"]


@pytest.mark.parametrize(
    ("service", "operation", "topic"),
    [
        ("dynamodb", "describe_table", "table"),
        ("sqs", "get_queue_attributes", "queues"),
        ("s3", "get_bucket_location", "buckets"),
        ("events", "describe_event_bus", "bus"),
        ("sns", "list_subscriptions_by_topic", "alarms"),
        ("lambda", "get_function_configuration", "egress"),
        ("lambda", "get_account_settings", "concurrency"),
    ],
)
def test_what_cannot_be_reached_fails_and_the_rest_goes_on(
    deployment: FakeDeployment, service: str, operation: str, topic: str
) -> None:
    deployment.services[service].answers[operation] = client_error("AccessDeniedException", operation)
    checks = list(doctor.examine(deployment, ("203.0.113.10", "203.0.113.11")))
    assert {each.topic for each in checks if each.verdict is Verdict.FAIL} == {topic}
    assert checks[-1].topic == "parameters"


def test_an_operator_may_not_read_the_secret_and_the_rest_is_looked_at(deployment: FakeDeployment) -> None:
    refused = client_error("AccessDeniedException", "GetSecretValue")
    deployment.services["secretsmanager"].answers["get_secret_value"] = refused
    checks = list(doctor.examine(deployment, ("203.0.113.10", "203.0.113.11")))
    [told] = [each for each in checks if each.topic == "secret"]
    assert told.verdict is Verdict.WARN
    assert "OperatorPolicy leaves it out on purpose" in told.advice
    assert not [each for each in checks if each.verdict is Verdict.FAIL]
    assert checks[-1].topic == "parameters"


def test_a_secret_that_cannot_be_had_for_another_reason_is_a_fault(deployment: FakeDeployment) -> None:
    for code in ("ResourceNotFoundException", "ExpiredTokenException"):
        deployment.services["secretsmanager"].answers["get_secret_value"] = client_error(code, "GetSecretValue")
        checks = list(doctor.examine(deployment, ()))
        assert [each.verdict for each in checks if each.topic == "secret"] == [Verdict.FAIL]


OF_CONCURRENCY = ("ProcessorConcurrency", "WebhookReservedConcurrency", "WebhookProvisionedConcurrency")


@pytest.mark.parametrize(
    ("limit", "unreserved", "asked", "verdicts", "said"),
    [
        pytest.param(1000, 1000, (10, 0, 0), ["ok"], "may be 180", id="the usual quota"),
        pytest.param(1000, 900, (10, 20, 2), ["ok"], "20 kept for each", id="with concurrency of their own"),
        pytest.param(10, 10, (10, 0, 0), ["fail"], "ProcessorConcurrency=2", id="a fresh account of 10"),
        pytest.param(50, 50, (4, 0, 0), ["warn"], "cannot be set", id="a fresh account of 50"),
        pytest.param(1000, 104, (2, 0, 0), ["warn"], "cannot be set", id="another application reserves nearly all"),
        pytest.param(1000, 105, (2, 0, 0), ["ok"], "may be 1", id="just enough to keep one for each"),
        pytest.param(50, 50, (60, 0, 0), ["fail"], "webhooks are refused", id="one of 50, and many batches"),
        pytest.param(50, 50, (14, 0, 0), ["warn"], "quota", id="one of 50, just enough"),
        pytest.param(50, 50, (4, 0, 1), ["fail"], "needs 105 unreserved", id="warm webhooks that do not deploy"),
        pytest.param(1000, 100, (200, 180, 0), ["fail"], "the merchant API fails", id="others starve"),
        pytest.param(1000, 975, (10, 5, 10), ["fail"], "less than", id="fewer reserved than warm"),
        pytest.param(400, 150, (7, 0, 20), ["fail"], "needs 200 unreserved", id="another application reserves"),
    ],
)
def test_what_the_account_runs_at_once_is_held_against_what_the_stack_asks_for(
    deployment: FakeDeployment,
    limit: int,
    unreserved: int,
    asked: tuple[int, int, int],
    verdicts: list[str],
    said: str,
) -> None:
    deployment.services["lambda"].answers["get_account_settings"] = _account(limit, unreserved)
    deployment.given["Parameters"] = [
        {"ParameterKey": name, "ParameterValue": str(value)} for name, value in zip(OF_CONCURRENCY, asked, strict=True)
    ]
    found = _checks(deployment, "concurrency")
    assert [each.verdict.value for each in found] == verdicts
    assert any(said in f"{each.found} {each.advice}" for each in found)


def test_concurrency_of_a_stack_of_an_older_version_is_that_of_the_defaults(deployment: FakeDeployment) -> None:
    [check] = _checks(deployment, "concurrency")
    assert check.verdict is Verdict.OK


def test_the_numbers_about_concurrency_are_the_templates() -> None:
    functions = template()["Resources"].values()
    assert (
        sum("ReservedConcurrentExecutions" in each.get("Properties", {}) for each in functions) == concurrency._WEBHOOKS
    )
    source = template()["Resources"]["ReconNoticeSource"]["Properties"]["ScalingConfig"]["Fn::If"][2]
    assert source == {"MaximumConcurrency": concurrency._NOTIFICATIONS}
    assert template()["Parameters"]["ProcessorConcurrency"]["Default"] == 10
    limit = {"MaximumConcurrency": {"Ref": "ProcessorConcurrency"}}
    sources = [each["Properties"].get("ScalingConfig", {}) for each in functions if "Source" in each["Type"]]
    assert sum(limit in each.get("Fn::If", []) for each in sources) == concurrency._QUEUES


def test_a_webhook_url_without_tls_fails_outside_the_local_stack(deployment: FakeDeployment) -> None:
    deployment.given["Outputs"] = [
        {"OutputKey": key, "OutputValue": value.replace("https://hooks", "http://hooks")}
        for key, value in OUTPUTS.items()
    ]
    assert [each.verdict for each in _checks(deployment, "webhooks")] == [Verdict.FAIL, Verdict.FAIL]
    deployment.given["Parameters"] = [{"ParameterKey": "Stage", "ParameterValue": "local"}]
    deployment.__dict__.pop("parameters")
    assert [each.verdict for each in _checks(deployment, "webhooks")] == [Verdict.OK, Verdict.OK]


@pytest.mark.parametrize(
    ("known", "in_urls", "verdict", "said"),
    [
        (True, "true", Verdict.OK, "DNS knows it"),
        (True, "false", Verdict.WARN, "deploy with DomainInUrls=true"),
        (False, "false", Verdict.WARN, "make a CNAME to {target}"),
        (False, "true", Verdict.FAIL, "make a CNAME to {target}"),
    ],
)
@pytest.mark.parametrize(
    "names",
    [
        {"Webhook": "kyc.example.jp", "Merchant": "kyc.example.jp"},
        {"Webhook": "kyc.example.jp", "Merchant": "api.example.jp"},
        {"Webhook": "", "Merchant": "api.example.jp"},
    ],
)
def test_a_domain_is_looked_up_before_the_urls_have_it(
    deployment: FakeDeployment,
    monkeypatch: pytest.MonkeyPatch,
    names: dict[str, str],
    known: bool,
    in_urls: str,
    verdict: Verdict,
    said: str,
) -> None:
    """Once for each name; PayPay must know the one of the webhooks."""

    def look_up(name: str, _: int) -> list[str]:
        assert name in names.values()
        if not known:
            raise socket.gaierror(8, "not known")
        return ["192.0.2.1"]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    given = {f"{api}DomainName": name for api, name in names.items()} | {"DomainInUrls": in_urls}
    deployment.given["Parameters"] = [
        {"ParameterKey": key, "ParameterValue": value} for key, value in (PARAMETERS | given).items()
    ]
    targets = {"kyc.example.jp": "d-1.example", "api.example.jp": "d-2.example"}
    outputs = {"WebhookDomainTarget": "d-1.example", "MerchantDomainTarget": "d-2.example"}
    deployment.given["Outputs"] = [
        {"OutputKey": key, "OutputValue": value} for key, value in (OUTPUTS | outputs).items()
    ]
    checks = _checks(deployment, "webhooks")
    for name in filter(None, set(names.values())):
        [found] = [each for each in checks if each.found.startswith(name)]
        assert found.verdict is verdict
        assert said.format(target=targets[name]) in found.found + found.advice
        asks_paypay = name == names["Webhook"] and known and in_urls == "false"
        assert ("register its URLs with PayPay" in found.advice) is asks_paypay


def test_a_parameter_at_its_unconfirmed_default_is_a_warning(deployment: FakeDeployment) -> None:
    deployment.given["Parameters"] = [
        {"ParameterKey": "VexoraSourceCidrs", "ParameterValue": "0.0.0.0/0"},
        {"ParameterKey": "PayPayKycInfoPath", "ParameterValue": "/v2/kyc"},
        {"ParameterKey": "LogRetentionDays", "ParameterValue": "90"},
    ]
    assert confirmations.unconfirmed(deployment) == [Unconfirmed("VexoraSourceCidrs", "0.0.0.0/0", "Vexora")]
    [check] = _checks(deployment, "parameters")
    assert (check.verdict, check.advice) == (Verdict.WARN, "ask Vexora, set it and deploy")


def test_the_label_of_a_group_asks_for_confirmation_too(deployment: FakeDeployment) -> None:
    groups = [
        {"Label": {"default": "PayPay (confirm each with your contact there)"}, "Parameters": ["LogRetentionDays"]},
        {"Label": {"default": "Limits"}, "Parameters": ["Other"]},
    ]
    deployment.services["cloudformation"].answers["get_template_summary"] = {
        "Parameters": SUMMARY,
        "Metadata": json.dumps({"AWS::CloudFormation::Interface": {"ParameterGroups": groups}}),
    }
    assert confirmations.unconfirmed(deployment) == [Unconfirmed("LogRetentionDays", "90", None)]


def test_the_templates_own_words_mark_what_providers_do_not_publish() -> None:
    """Against template.yaml itself: the unpublished facts of docs/providers.md, and nothing of our own choosing."""
    marked = {
        name
        for name, each in template()["Parameters"].items()
        if confirmations._UNCONFIRMED.search(each.get("Description", ""))
    }
    assert marked >= {
        *("VexoraBaseUrl", "VexoraSourceCidrs", "VexoraUnknownUserCodes", "PayPayKycInfoPath", "PayPayKycPassportPath"),
        *("PayPayKycPassportQrPath", "PayPayAssumeMerchant", "PayPayTokenAudience", "PayPayPkceField"),
        *("PayPaySourceCidrs", "SelfieAllowedHosts"),
    }
    assert marked & {"Stage", "Architecture", "AlarmEmail", "LogRetentionDays", "ProcessorConcurrency"} == set()
