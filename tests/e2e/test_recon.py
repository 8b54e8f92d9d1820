"""Recon on the deployed stack, with the Scheduler really firing: the night's files find what webhooks did not tell.

A schedule of the template fires when a test asks (`Stack.fire`).
"""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

from local import demo
from local.demo_paypay import account_link, flag_unnoticed, press_allow
from local.demo_recon import is_settled, play_night, report
from local.stack import Stack
from tests.e2e import schedules

pytestmark = pytest.mark.e2e

_RISK = "kyc_passport_risk_sync_recon"
_NIGHT_S = 200
_DAY_S = 86_400


@contextmanager
def _ahead(stack: Stack, days: int) -> Iterator[None]:
    """The sandbox's clock, some days ahead. Not for longer than needed: our signatures are made by the real time."""
    stack.sandbox("POST", "/clock", json={"advance_s": days * _DAY_S})
    try:
        yield
    finally:
        stack.sandbox("POST", "/clock", json={"advance_s": -days * _DAY_S})


def _link(stack: Stack) -> str:
    user_id = f"recon.{uuid.uuid4().hex[:12]}"
    press_allow(account_link(stack, user_id))
    assert stack.merchant.request("GET", f"/paypay/users/{user_id}/kyc-passport").json()["status"] == "VERIFIED"
    return user_id


def _by_recon(stack: Stack, user_id: str) -> list[tuple[str, str | None]]:
    return [(entry.what, entry.moved_to) for entry in demo.timeline(stack, user_id) if entry.cause == "recon"]


def _items(stack: Stack, file_type: str) -> list[dict[str, Any]]:
    answer = stack.client("dynamodb").query(
        TableName=stack.outputs["StateTableName"],
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"RECON#{file_type}"}},
        ConsistentRead=True,
    )
    items: list[dict[str, Any]] = answer["Items"]
    return items


@pytest.fixture
def mails(stack: Stack) -> Iterator[Callable[[], list[dict[str, str]]]]:
    """What a subscriber of the alarm topic gets."""
    sqs, sns = stack.client("sqs"), stack.client("sns")
    queue = sqs.create_queue(QueueName=f"mails-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allowed = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [allowed | {"Resource": arn}]}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
    subscribed = sns.subscribe(TopicArn=stack.outputs["AlarmTopicArn"], Protocol="sqs", Endpoint=arn)

    def received() -> list[dict[str, str]]:
        found = []
        while batch := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            for message in batch:
                found.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return found

    yield received
    sns.unsubscribe(SubscriptionArn=subscribed["SubscriptionArn"])


@pytest.mark.timeout(600)
def test_the_scheduled_night_finds_and_repairs_every_lost_webhook(stack: Stack) -> None:
    notified, flagged, closed, updated = (_link(stack) for _ in range(4))
    stack.sandbox("POST", f"/paypay/users/{notified}/risk", json={"flag": "UNACCEPTABLE_OP"})
    assert demo.wait_for(lambda: demo.status(stack, notified, "paypay") == "RISK_FLAGGED")
    flag_unnoticed(stack, flagged)
    stack.sandbox("POST", f"/paypay/users/{closed}/account", json={"status": "canceled", "delivery": "lost"})
    stack.sandbox("POST", f"/paypay/users/{updated}/kyc-updated", json={"delivery": "lost"})
    day = play_night(stack)

    # Nobody invokes anything: the Scheduler does. (Another test may have had a night of this day before.)
    lost = (flagged, closed, updated)

    def named() -> dict[str, Any]:
        return {each["userId"]: each for file in report(stack, day) for each in file["changed"]}

    with schedules.firing(stack, "ReconDownloadFunctionEvery5Minutes"):
        assert demo.wait_for(lambda: all(_by_recon(stack, each) for each in lost), _NIGHT_S), report(stack, day)
    # Files of that earlier night may be settled while these are not.
    assert demo.wait_for(lambda: is_settled(report(stack, day)) and {flagged, closed} <= {*named()}), report(stack, day)

    assert _by_recon(stack, flagged) == [("kyc_read", "RISK_FLAGGED")]
    assert _by_recon(stack, closed) == [("account_read", "INACTIVE")]
    assert _by_recon(stack, updated) == [("kyc_read", "VERIFIED")]
    # Whose webhook came is read again all the same, and nothing has changed.
    assert _by_recon(stack, notified) == [("kyc_read", "RISK_FLAGGED")]
    assert (named()[flagged]["from"], named()[flagged]["to"]) == ("VERIFIED", "RISK_FLAGGED")
    assert notified not in named()

    for file in report(stack, day):
        assert stack.client("s3").head_object(Bucket=stack.outputs["ReconBucketName"], Key=file["reportKey"])
        whole = stack.client("s3").get_object(Bucket=stack.outputs["ReconBucketName"], Key=file["reportKey"])
        assert json.loads(whole["Body"].read())["counts"] == file["counts"]
    assert all("url" not in item for item in _items(stack, _RISK) if item["state"]["S"] == "COMPARED")


def test_a_resent_file_with_other_rows_is_a_revision_and_the_same_one_nothing(stack: Stack) -> None:
    user_id = _link(stack)
    # Some days ahead, where no other test has files; its notification comes the morning after.
    day = (_today() + timedelta(days=4)).isoformat()
    name = _name(day)

    def states() -> list[tuple[str, str]]:
        stack.invoke("ReconDownloadFunction")
        return [(each["fileName"], each["state"]) for each in report(stack, day) if name in each["fileName"]]

    def put_and_send(text: str) -> None:
        # A notification is known by its URL and its second.
        time.sleep(1)
        _put(stack, name, day, text)
        before = _received(stack, name)
        with _ahead(stack, days=5):
            stack.sandbox("POST", f"/paypay/recon-files/{name}/resend", json={})
        # Not its URL: the Scheduler may have had the file fetched before anybody looks.
        assert demo.wait_for(lambda: _received(stack, name) != before)

    put_and_send("userAuthorizationId\r\n")
    assert demo.wait_for(lambda: states() == [(name, "COMPARED")]), states()
    put_and_send("userAuthorizationId\r\n")
    assert demo.wait_for(lambda: states() == [(name, "COMPARED")] and not _urls(stack, name))
    authorization = stack.sandbox("GET", f"/paypay/users/{user_id}")["authorizations"][-1]["id"]
    flag_unnoticed(stack, user_id)
    put_and_send(f"userAuthorizationId\r\n{authorization}\r\n")
    assert demo.wait_for(lambda: [state for _, state in states()] == ["COMPARED", "COMPARED"]), states()
    assert demo.wait_for(lambda: _by_recon(stack, user_id) == [("kyc_read", "RISK_FLAGGED")])


def _more(received: list[dict[str, str]], mails: Callable[[], list[dict[str, str]]]) -> int:
    received += mails()
    return len(received)


def _today() -> date:
    return datetime.now(timezone(timedelta(hours=9))).date()


def _name(day: str) -> str:
    compact = day.replace("-", "")
    return f"kyc_passport_risk_a_client-{uuid.uuid4().hex[:6]}_{compact}_{compact}.csv"


def _put(stack: Stack, name: str, day: str, text: str) -> None:
    stack.sandbox("PUT", f"/paypay/recon-files/{name}", json={"fileType": _RISK, "day": day, "text": text})


def _notifications(stack: Stack, name: str) -> list[dict[str, Any]]:
    """The notifications of files whose name holds this."""
    found = stack.client("dynamodb").scan(
        TableName=stack.outputs["StateTableName"],
        FilterExpression="begins_with(pk, :pk) AND contains(file_name, :name)",
        ExpressionAttributeValues={":pk": {"S": "NOTIFICATION#"}, ":name": {"S": name}},
    )
    return list(found["Items"])


def _received(stack: Stack, name: str) -> list[str]:
    """When the newest notification of each URL came."""
    return [item["received_at"]["S"] for item in _notifications(stack, name)]


def _urls(stack: Stack, name: str) -> list[str]:
    return [item["url"]["S"] for item in _notifications(stack, name) if "url" in item]


def test_a_notification_that_points_elsewhere_is_never_fetched(stack: Stack) -> None:
    with_metadata = "http://169.254.169.254/latest/meta-data/kyc_passport_risk_x_20261103_20261103.csv"
    elsewhere = "https://recon.example.jp/kyc_passport_risk_y_20261103_20261103.csv"
    for path in (with_metadata, elsewhere):
        body = {"fileType": _RISK, "path": path}
        stack.sandbox("POST", "/paypay/recon-notification", json=body)

    assert demo.wait_for(lambda: len(report(stack, "2026-11-03")) == 2)

    stack.invoke("ReconDownloadFunction")
    reasons = {each["reason"] for each in report(stack, "2026-11-03")}
    assert reasons == {"the URL is not https", "the host is not on the list of allowed hosts"}
    assert {each["state"] for each in report(stack, "2026-11-03")} == {"ANNOUNCED"}


def test_a_file_that_cannot_be_fetched_is_tried_on_until_it_can(stack: Stack) -> None:
    day = (_today() - timedelta(days=1)).isoformat()
    name = _name(day)
    _put(stack, name, day, "userAuthorizationId\r\n")
    stack.sandbox("PUT", f"/dials/paypay/{name}", json={"recon_transfer": "forbidden"})
    stack.sandbox("POST", f"/paypay/recon-files/{name}/resend", json={})

    def state() -> str:
        stack.invoke("ReconDownloadFunction")
        return "".join(each["state"] for each in report(stack, day) if each["fileName"] == name)

    def reason() -> str:
        state()
        return "".join(each["reason"] or "" for each in report(stack, day) if each["fileName"] == name)

    assert demo.wait_for(lambda: reason() == "the response was HTTP 403")
    assert state() == "ANNOUNCED"
    stack.sandbox("PUT", f"/dials/paypay/{name}", json={"recon_transfer": "whole"})
    assert demo.wait_for(lambda: state() == "COMPARED")


def test_two_downloads_at_once_store_a_file_once(stack: Stack) -> None:
    body = {"day": "today", "types": ["kyc_passport_sync_recon"]}
    files = stack.sandbox("POST", "/paypay/recon-night", json=body)["files"]
    day, name = str(files[0]["day"]), str(files[0]["name"])

    assert demo.wait_for(lambda: len(_urls(stack, name)) > 0)
    with ThreadPoolExecutor(2) as both:
        runs = [both.submit(stack.invoke, "ReconDownloadFunction") for _ in range(2)]
        outcomes = [each.result() for each in runs]

    assert demo.wait_for(lambda: "COMPARED" in [each["state"] for each in report(stack, day)])
    assert sum(each.get(kind, 0) for each in outcomes for kind in ("stored", "revision", "unchanged")) <= 1
    assert [each for each in report(stack, day) if each["fileName"] == name]


def test_the_daily_report_is_one_mail_with_every_missing_day(
    stack: Stack, mails: Callable[[], list[dict[str, str]]]
) -> None:
    missing = {kind: days for kind, days in stack.invoke("ReconDeadlineFunction").items() if days}

    received: list[dict[str, str]] = []
    assert demo.wait_for(lambda: _more(received, mails) >= 1, 15)
    [mail] = received
    assert mail["Subject"].startswith("Honnin daily report ")
    for file_type, days in missing.items():
        assert file_type in mail["Message"]
        assert all(day in mail["Message"] for day in days)
