"""That the emulator really enforces IAM, and that the roles of the template are as narrow as they say."""

import uuid
from collections.abc import Callable
from typing import Any

import boto3
import pytest
import requests
from botocore.exceptions import ClientError

from local.stack import Merchant, Stack
from tests.e2e.roles import without

pytestmark = pytest.mark.e2e


def test_an_unsigned_call_to_the_merchant_api_is_refused(stack: Stack) -> None:
    url = stack.outputs["MerchantApiUrl"]
    routes = [
        ("POST", "/vexora/submissions"),
        ("GET", "/users/x"),
        ("GET", "/users/x/timeline"),
        ("GET", "/recon/reports/2026-03-31"),
        ("DELETE", "/users/x/personal-data"),
        ("POST", "/paypay/account-links"),
        ("GET", "/paypay/users/x/kyc"),
        ("GET", "/paypay/users/x/kyc-passport"),
        ("POST", "/paypay/kyc-passport-qr/x"),
    ]
    for method, path in routes:
        assert requests.request(method, url + path, json={}, timeout=10).status_code == 403, path


def test_a_user_without_the_policy_is_refused(stack: Stack) -> None:
    iam = stack.client("iam")
    name = f"stranger-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    stranger = Merchant(
        stack.merchant.url, stack.region, type(stack.deployer)(key["AccessKeyId"], key["SecretAccessKey"])
    )
    assert stranger.request("GET", "/users/x").status_code == 403


def test_a_function_that_lacks_a_permission_fails(stack: Stack) -> None:
    def submit() -> int:
        body = {"userId": uuid.uuid4().hex, "usernameFurigana": "テスト ハナコ"}
        return stack.merchant.request("POST", "/vexora/submissions", json=body).status_code

    assert submit() == 201
    with without(stack, "VexoraSubmissionFunction", "dynamodb:PutItem"):
        assert submit() == 500
    assert submit() == 201


# What each role may do, and by leaving it out, what it may not.
_MAY: dict[str, set[str]] = {
    "VexoraSubmissionFunction": {
        "keep Vexora's answer",
        "read table",
        "write table",
        "publish",
        "read provider secret",
        "read callback key",
    },
    "VexoraResultWebhookFunction": {"send event", "read provider secret", "read callback key"},
    "PayPayAccountLinkFunction": {"read table", "write table", "publish", "read provider secret"},
    "PayPayKycFunction": {"read table", "write table", "write vault", "publish", "read provider secret"},
    "PayPayKycWebhookFunction": {"send event", "send notification"},
    "PayPayRiskWebhookFunction": {"send event", "send notification"},
    "PayPayAccountStatusWebhookFunction": {"send event", "send notification"},
    "PayPayReconWebhookFunction": {"send event", "send notification"},
    "EventProcessorFunction": {
        "read table",
        "write table",
        "write vault",
        "keep Vexora's answer",
        "delete from vault",
        "delete Vexora's answer",
        "publish",
        "read provider secret",
        "receive event",
        "receive notification",
        "receive repair",
        "receive reread",
        "send reread",
        "send event",
        "send notification",
        "send dead letter",
        "tell people",
        "read the ids of the mappings",
        "change the mapping of repairs",
        "change the mapping of rereads",
    },
    "VexoraStatusPollFunction": {"write table", "send event", "publish"},
    "ExpiryWatchFunction": {"write table", "send event"},
    "MerchantWebhookFunction": {
        "read table",
        "write table",
        "receive merchant webhook",
        "send dead letter of merchant webhooks",
        "read webhook key",
        "read the id of the webhooks' mapping",
        "look at the mapping of merchant webhooks",
        "change the mapping of merchant webhooks",
    },
    "ReconDownloadFunction": {
        "read table",
        "write table",
        "read provider secret",
        "read recon file",
        "write recon file",
        "list recon",
        "tell people",
    },
    "ReconPlanFunction": {"read recon file", "write report"},
    "ReconCompareFunction": {
        "read table",
        "send repair",
        "send reread",
        "read recon file",
        "write report",
        "list recon",
    },
    "ReconSummaryFunction": {"read table", "write table", "publish", "write report", "list recon"},
    "RereadPlanFunction": {"read table", "write reread", "list recon"},
    "RereadListFunction": {"read table", "write table", "scan table", "write reread", "list recon"},
    "RereadSendFunction": {"read table", "write table", "send reread"},
    "ReconDeadlineFunction": {"read table", "write table", "read provider secret", "tell people"},
    "KycStatusFunction": {"read table"},
    "OverviewFunction": {"read table"},
    "ErasureFunction": {
        "read table",
        "write table",
        "delete from table",
        "send event",
        "read provider secret",
        "delete from vault",
        "delete Vexora's answer",
        "read register",
        "write register",
        "publish",
    },
}


def _attempts(stack: Stack) -> dict[str, Callable[[Callable[[str], Any]], Any]]:
    out = stack.outputs
    bucket, recon, table = out["PersonalDataBucketName"], out["ReconBucketName"], out["StateTableName"]
    callback_key, live, repairs, rereads, mappings = map(
        stack.physical_id,
        ("CallbackKeySecret", "EventProcessorSource", "RepairSource", "RereadSource", "RepairMappings"),
    )
    webhook_key, webhooks, webhook_mapping, webhook_queue, webhook_dead_letters = map(
        stack.physical_id,
        (
            "MerchantWebhookSecret",
            "MerchantWebhookSource",
            "MerchantWebhookMapping",
            "MerchantWebhookQueue",
            "MerchantWebhookDeadLetterQueue",
        ),
    )
    entry = {"EventBusName": out["EventBusName"], "Source": "test", "DetailType": "Probe", "Detail": "{}"}
    key = {"pk": {"S": "PROBE"}, "sk": {"S": "PROBE"}}
    return {
        "read table": lambda c: c("dynamodb").get_item(TableName=table, Key=key),
        "write table": lambda c: c("dynamodb").update_item(
            TableName=table, Key=key, UpdateExpression="SET a = :a", ExpressionAttributeValues={":a": {"S": "probe"}}
        ),
        "delete from table": lambda c: c("dynamodb").delete_item(TableName=table, Key=key),
        "scan table": lambda c: c("dynamodb").scan(TableName=table, Limit=1),
        "read vault": lambda c: c("s3").get_object(Bucket=bucket, Key="paypay/probe"),
        "list vault": lambda c: c("s3").list_objects_v2(Bucket=bucket),
        "write vault": lambda c: c("s3").put_object(Bucket=bucket, Key="paypay/probe", Body=b"{}"),
        "delete from vault": lambda c: c("s3").delete_object(Bucket=bucket, Key="paypay/probe"),
        "keep Vexora's answer": lambda c: c("s3").put_object(Bucket=bucket, Key="vexora/probe", Body=b"{}"),
        "delete Vexora's answer": lambda c: c("s3").delete_object(Bucket=bucket, Key="vexora/probe"),
        "read recon file": lambda c: c("s3").get_object(Bucket=recon, Key="recon/probe"),
        # Not with a key that the comparison would take up.
        "write recon file": lambda c: c("s3").put_object(Bucket=recon, Key="recon/probe", Body=b""),
        "write report": lambda c: c("s3").put_object(Bucket=recon, Key="reports/probe", Body=b"{}"),
        "write reread": lambda c: c("s3").put_object(Bucket=recon, Key="rereads/probe", Body=b"{}"),
        "read register": lambda c: c("s3").get_object(Bucket=recon, Key="registers/00/probe"),
        "write register": lambda c: c("s3").put_object(Bucket=recon, Key="registers/00/probe", Body=b"closed"),
        "delete recon file": lambda c: c("s3").delete_object(Bucket=recon, Key="recon/probe"),
        "list recon": lambda c: c("s3").list_objects_v2(Bucket=recon, MaxKeys=1),
        "tell people": lambda c: c("sns").publish(TopicArn=out["AlarmTopicArn"], Message="probe"),
        "send event": lambda c: c("sqs").send_message(QueueUrl=out["EventQueueUrl"], MessageBody="probe"),
        "send notification": lambda c: c("sqs").send_message(QueueUrl=out["ReconNoticeQueueUrl"], MessageBody="probe"),
        "send repair": lambda c: c("sqs").send_message(QueueUrl=out["RepairQueueUrl"], MessageBody="probe"),
        "receive repair": lambda c: c("sqs").get_queue_attributes(QueueUrl=out["RepairQueueUrl"]),
        "send reread": lambda c: c("sqs").send_message(QueueUrl=out["RereadQueueUrl"], MessageBody="probe"),
        "receive reread": lambda c: c("sqs").get_queue_attributes(QueueUrl=out["RereadQueueUrl"]),
        "receive notification": lambda c: c("sqs").get_queue_attributes(QueueUrl=out["ReconNoticeQueueUrl"]),
        "receive event": lambda c: c("sqs").get_queue_attributes(QueueUrl=out["EventQueueUrl"]),
        "send dead letter": lambda c: c("sqs").send_message(QueueUrl=out["DeadLetterQueueUrl"], MessageBody="probe"),
        "read dead letters": lambda c: c("sqs").receive_message(QueueUrl=out["DeadLetterQueueUrl"]),
        "publish": lambda c: c("events").put_events(Entries=[entry]),
        "read provider secret": lambda c: c("secretsmanager").get_secret_value(SecretId=out["ProvidersSecretArn"]),
        "write provider secret": lambda c: c("secretsmanager").put_secret_value(
            SecretId=out["ProvidersSecretArn"], SecretString="{}"
        ),
        "read the ids of the mappings": lambda c: c("ssm").get_parameter(Name=mappings),
        # They are enabled as it is.
        "change the mapping of live events": lambda c: c("lambda").update_event_source_mapping(UUID=live, Enabled=True),
        "change the mapping of repairs": lambda c: c("lambda").update_event_source_mapping(UUID=repairs, Enabled=True),
        "change the mapping of rereads": lambda c: c("lambda").update_event_source_mapping(UUID=rereads, Enabled=True),
        "send merchant webhook": lambda c: c("sqs").send_message(QueueUrl=webhook_queue, MessageBody="probe"),
        "receive merchant webhook": lambda c: c("sqs").get_queue_attributes(QueueUrl=webhook_queue),
        "send dead letter of merchant webhooks": lambda c: c("sqs").send_message(
            QueueUrl=webhook_dead_letters, MessageBody="probe"
        ),
        "read webhook key": lambda c: c("secretsmanager").get_secret_value(SecretId=webhook_key),
        "read the id of the webhooks' mapping": lambda c: c("ssm").get_parameter(Name=webhook_mapping),
        "look at the mapping of merchant webhooks": lambda c: c("lambda").get_event_source_mapping(UUID=webhooks),
        "change the mapping of merchant webhooks": lambda c: c("lambda").update_event_source_mapping(
            UUID=webhooks, Enabled=True
        ),
        "read callback key": lambda c: c("secretsmanager").get_secret_value(SecretId=callback_key),
    }


@pytest.mark.parametrize("logical_id", _MAY)
def test_a_role_may_do_what_its_function_needs_and_nothing_else(stack: Stack, logical_id: str) -> None:
    arn = stack.client("lambda").get_function_configuration(FunctionName=stack.function_name(logical_id))["Role"]
    session = stack.client("sts").assume_role(RoleArn=arn, RoleSessionName="probe")["Credentials"]

    make: Any = boto3.client  # its overloads want literal names

    def client(service: str) -> Any:
        return make(
            service,
            endpoint_url=stack.endpoint,
            region_name=stack.region,
            aws_access_key_id=session["AccessKeyId"],
            aws_secret_access_key=session["SecretAccessKey"],
            aws_session_token=session["SessionToken"],
        )

    allowed = set()
    for name, attempt in _attempts(stack).items():
        try:
            attempt(client)
        except ClientError as error:
            # Denied, or let through to something that is not there.
            if error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException", "AuthorizationError"):
                continue
        allowed.add(name)
    assert allowed == _MAY[logical_id]


def test_a_webhook_that_cannot_queue_answers_503_so_that_the_provider_tries_again(stack: Stack) -> None:
    user_id = uuid.uuid4().hex
    stack.sandbox("PUT", f"/dials/vexora/{user_id}", json={"review": "none"})
    body = {"userId": user_id, "usernameFurigana": "テスト ハナコ"}
    assert stack.merchant.request("POST", "/vexora/submissions", json=body).status_code == 201
    with without(stack, "VexoraResultWebhookFunction", "sqs:SendMessage"):
        sent = stack.sandbox("POST", f"/vexora/users/{user_id}/callback", json={"claims": "2"})
        assert sent["attempts"][-1]["status"] == 503
    sent = stack.sandbox("POST", f"/vexora/users/{user_id}/callback", json={"claims": "2"})
    assert sent["attempts"][-1]["status"] == 200
