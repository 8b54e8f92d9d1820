"""Erasure on the deployed stack: afterwards nothing that was the user's is found anywhere, however one looks."""

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from honnin.times import jst_day
from local import demo
from local.demo_paypay import account_link, flag_unnoticed, press_allow
from local.demo_recon import play_night
from local.stack import Merchant, Stack
from tests.e2e.program import honninctl, ok
from tests.e2e.roles import without

pytestmark = pytest.mark.e2e

FURIGANA = "ケシジルシ ヨミガナヌヲ"


@dataclass(frozen=True)
class Person:
    """A user with a past at both providers, what PayPay calls him or her, and values that nobody else has."""

    user_id: str
    authorizations: tuple[str, ...]
    values: tuple[str, ...]


def live(stack: Stack) -> Person:
    """Link, be read, be notified about, link anew, submit."""
    user_id, mark = f"erased.{uuid.uuid4().hex[:12]}", uuid.uuid4().hex[:10]
    names = {"lastName": f"ケシ印{mark}", "firstName": f"名{mark}", "lastNameKana": f"カナ{mark}"}
    address = {"postalCode": f"000-{mark}", "street": f"八丁目{mark}"}
    data = {**names, "birthday": f"1908-08-08-{mark}", "address": address}
    stack.sandbox("PUT", f"/paypay/users/{user_id}/kyc", json={"data": data})
    # What is searched for must have come here: none of these keys is promised.
    stack.sandbox("PUT", f"/dials/paypay/{user_id}", json={"unkind": {"kyc_keys": False, "kyc_proven": False}})
    stack.sandbox("PUT", f"/dials/vexora/{user_id}", json={"review": "approve", "review_delay_s": 0.1})
    body = {"userId": user_id, "usernameFurigana": FURIGANA}
    assert stack.merchant.request("POST", "/vexora/submissions", json=body).status_code == 201
    for _ in range(2):
        press_allow(account_link(stack, user_id))
        read = stack.merchant.request("GET", f"/paypay/users/{user_id}/kyc-passport").json()
        assert read["kyc"]["lastName"] == names["lastName"]
        received = len(_received(stack, user_id))
        stack.sandbox("POST", f"/paypay/users/{user_id}/kyc-updated", json={})
        stack.sandbox("POST", f"/paypay/users/{user_id}/account", json={"status": "active"})
        assert demo.wait_for(lambda received=received: len(_received(stack, user_id)) >= received + 2)  # type: ignore[misc]
        stack.sandbox("POST", f"/paypay/users/{user_id}/authorization", json={"state": "unlinked"})
        # PayPay sends a notification of it; else that notification would come to the link after this one.
        assert demo.wait_for(lambda: demo.status(stack, user_id, "paypay") == "INACTIVE")
    press_allow(account_link(stack, user_id))
    assert stack.merchant.request("GET", f"/paypay/users/{user_id}/kyc").status_code == 200
    assert demo.wait_for(lambda: demo.status(stack, user_id) == "APPROVED")
    links = stack.sandbox("GET", f"/paypay/users/{user_id}")["authorizations"]
    assert len(links) == 3
    return Person(user_id, tuple(each["id"] for each in links), (mark, FURIGANA))


def _received(stack: Stack, user_id: str) -> list[str]:
    found = [each for each in demo.timeline(stack, user_id) if each.cause == "webhook"]
    return [each.what for each in found if each.what in ("kyc_read", "account_read")]


@pytest.fixture
def person(stack: Stack) -> Person:
    return live(stack)


def erase(stack: Stack, user_id: str, query: str = "") -> requests.Response:
    """`DELETE /users/{userId}/personal-data`."""
    return stack.merchant.request("DELETE", f"/users/{user_id}/personal-data{query}")


# Everything there is, as pairs of a place and what stands there


def tables(stack: Stack) -> Iterator[tuple[str, str]]:
    """Every item of every table."""
    db = stack.client("dynamodb")
    for name in db.list_tables()["TableNames"]:
        for page in db.get_paginator("scan").paginate(TableName=name):
            for item in page["Items"]:
                yield f"table {name} {item.get('pk')} {item.get('sk')}", str(item)


def buckets(stack: Stack) -> Iterator[tuple[str, str]]:
    """Every version of every object, with its name, and every delete marker."""
    s3 = stack.client("s3")
    for bucket in s3.list_buckets()["Buckets"]:
        name = bucket["Name"]
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
            for each in page.get("DeleteMarkers", []):
                yield f"bucket {name} {each['Key']} (delete marker)", each["Key"]
            for each in page.get("Versions", []):
                # What SAM uploads to deploy is no data of anybody's, and large.
                if each["Key"].startswith(("recon/", "reports/", "results/", "paypay/")) or each["Size"] < 65_536:
                    found = s3.get_object(Bucket=name, Key=each["Key"], VersionId=each["VersionId"])
                    yield (
                        f"bucket {name} {each['Key']}",
                        f"{each['Key']} {found['Body'].read().decode('utf-8', 'replace')}",
                    )


def queues(stack: Stack) -> Iterator[tuple[str, str]]:
    """Every message that can be received."""
    sqs = stack.client("sqs")
    for url in sqs.list_queues().get("QueueUrls", []):
        for _ in range(100):
            batch = sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=2, MessageAttributeNames=["All"]
            ).get("Messages", [])
            if not batch:
                break
            for message in batch:
                yield f"queue {url}", f"{message['Body']} {message.get('MessageAttributes')}"


def logs(stack: Stack) -> Iterator[tuple[str, str]]:
    """Every record of every log group."""
    client = stack.client("logs")
    for page in client.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            name = group["logGroupName"]
            for records in client.get_paginator("filter_log_events").paginate(logGroupName=name):
                for record in records["events"]:
                    yield f"log {name}", record["message"]


def holding(found: Iterator[tuple[str, str]], marks: tuple[str, ...]) -> list[str]:
    """The places where one of the marks stands, as itself or as JSON escapes it."""
    spelled = {*marks, *(json.dumps(each)[1:-1] for each in marks)}
    return [place for place, text in found if any(mark in text for mark in spelled)]


def missed_and_repaired(stack: Stack, person: Person) -> None:
    """A night: the person's risk notification was lost, and the file repairs it."""
    flag_unnoticed(stack, person.user_id)
    play_night(stack)

    def repaired() -> bool:
        # The notification of the file is worked by the queue: the first download may come before it.
        stack.invoke("ReconDownloadFunction")
        return "recon" in {each.cause for each in demo.timeline(stack, person.user_id)}

    assert demo.wait_for(repaired, 60)


def assert_gone(stack: Stack, person: Person) -> None:
    """Nothing of the person is found anywhere, and no authorization id in the tables or the logs."""
    assert holding(tables(stack), (*person.values, *person.authorizations)) == []
    assert holding(buckets(stack), (*person.values, person.user_id)) == []
    assert holding(queues(stack), person.values) == []
    assert holding(logs(stack), (*person.values, *person.authorizations)) == []


def test_only_who_may_call_the_api_may_erase(stack: Stack) -> None:
    user_id = f"erased.{uuid.uuid4().hex[:12]}"
    press_allow(account_link(stack, user_id))
    url = f"{stack.outputs['MerchantApiUrl'].rstrip('/')}/users/{user_id}/personal-data"
    assert requests.delete(url, timeout=10).status_code == 403  # not signed
    iam, name = stack.client("iam"), f"stranger-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    stranger = Merchant(
        stack.merchant.url, stack.region, type(stack.deployer)(key["AccessKeyId"], key["SecretAccessKey"])
    )
    assert stranger.request("DELETE", f"/users/{user_id}/personal-data").status_code == 403
    assert stack.merchant.request("GET", f"/users/{user_id}").status_code == 200


def test_after_erasure_a_scan_of_everything_finds_nothing_of_the_user(stack: Stack, person: Person) -> None:
    assert holding(buckets(stack), person.values), "the net holds: the vault is in it"
    assert holding(tables(stack), person.authorizations), "and so are the tables"
    assert holding(logs(stack), ("EventQueued",))
    sqs = stack.client("sqs")
    planted = sqs.create_queue(QueueName=f"planted-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    sqs.send_message(QueueUrl=planted, MessageBody=json.dumps(person.values))
    assert holding(queues(stack), person.values), "and the queues"
    sqs.delete_queue(QueueUrl=planted)
    other = live(stack)
    missed_and_repaired(stack, person)

    answer = erase(stack, person.user_id, "?unlink=true")

    assert answer.status_code == 200
    certificate = answer.json()
    assert certificate["erased"]["unlinkedAtPayPay"] == 3
    assert certificate["erased"]["statuses"] == 2
    assert certificate["erased"]["vaultObjects"] >= 3
    assert_gone(stack, person)
    links = stack.sandbox("GET", f"/paypay/users/{person.user_id}")["authorizations"]
    assert all(each["unlinked"] for each in links)
    assert stack.merchant.request("GET", f"/users/{person.user_id}").status_code == 404
    assert demo.timeline(stack, person.user_id)[0].what == "erased"
    assert erase(stack, person.user_id, "?unlink=true").json() == certificate
    # Another user is as before.
    read = stack.merchant.request("GET", f"/paypay/users/{other.user_id}/kyc-passport").json()
    assert read["status"] == "VERIFIED"
    assert holding(buckets(stack), other.values)


def test_unlinking_after_an_erasure_without_it_is_a_409(stack: Stack, person: Person) -> None:
    certificate = erase(stack, person.user_id).json()

    refused = erase(stack, person.user_id, "?unlink=true")

    assert (refused.status_code, refused.headers["Content-Type"]) == (409, "application/problem+json")
    assert erase(stack, person.user_id).json() == certificate
    links = stack.sandbox("GET", f"/paypay/users/{person.user_id}")["authorizations"]
    assert not links[-1]["unlinked"], "PayPay was not asked"


def test_two_calls_at_once_make_one_certificate(stack: Stack, person: Person) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: erase(stack, person.user_id), range(4)))

    assert {each.status_code for each in answers} <= {200, 503}
    assert all(each.headers["Retry-After"] for each in answers if each.status_code == 503)
    certificates = [each.json() for each in answers if each.status_code == 200]
    assert len({each["certificateId"] for each in certificates}) == 1
    assert erase(stack, person.user_id).json() == certificates[0]
    assert_gone(stack, person)


def test_what_comes_later_brings_nothing_back(stack: Stack, person: Person) -> None:
    assert erase(stack, person.user_id).status_code == 200

    # PayPay still holds the authorization to be good, and names our user for it.
    for authorization in person.authorizations:
        for kind in ("kyc", "risk", "account_status"):
            notified = {"type": kind, "user_authorization_id": authorization}
            stack.sandbox("POST", f"/paypay/users/{person.user_id}/notify", json=notified)
    stack.sandbox("POST", f"/vexora/users/{person.user_id}/callback", json={"claims": "3"})
    idle = stack.client("sqs")

    def queue_is_empty() -> bool:
        counts = idle.get_queue_attributes(QueueUrl=stack.outputs["EventQueueUrl"], AttributeNames=["All"])[
            "Attributes"
        ]
        return all(int(counts[name]) == 0 for name in counts if name.endswith(("Messages", "MessagesNotVisible")))

    assert demo.wait_for(queue_is_empty, 60)
    assert_gone(stack, person)
    assert stack.merchant.request("GET", f"/users/{person.user_id}").status_code == 404


def test_honninctl_erases_and_unlinks(stack: Stack, person: Person) -> None:
    certificate = ok(stack, "erase", person.user_id, "--reason", "a test", "--yes", "--unlink")

    assert certificate["userId"] == person.user_id
    assert certificate["completedAt"]
    assert certificate["erased"]["unlinkedAtPayPay"] == 3
    assert_gone(stack, person)
    assert ok(stack, "erase", person.user_id, "--reason", "a test", "--yes", "--unlink") == certificate
    assert honninctl(stack, "erase", f"never-{uuid.uuid4().hex[:8]}", "--reason", "a test", "--yes", "--json").code == 3


def test_more_versions_than_one_page_holds(stack: Stack, person: Person) -> None:
    s3, bucket = stack.client("s3"), stack.outputs["PersonalDataBucketName"]
    for number in range(1_010):
        s3.put_object(Bucket=bucket, Key=f"paypay/{person.user_id}/kyc_info/{number % 2}.json", Body=b"{}")

    assert erase(stack, person.user_id).status_code == 200

    assert holding(buckets(stack), (person.user_id,)) == []


def test_who_is_due_because_the_contract_ended_is_erased_by_the_hourly_run(stack: Stack, person: Person) -> None:
    """As in seven years: only the days are put back. The run has its own role, and IAM is enforced."""
    path = f"/users/{person.user_id}/contract-end"
    today = jst_day(datetime.now(UTC))
    reported = stack.merchant.request("POST", path, json={"endedOn": today, "reason": "cancelled"})
    assert (reported.status_code, reported.json()["endedOn"]) == (200, today)
    assert stack.merchant.request("GET", path).json() == reported.json()
    put_back = {"started_at": "2018-04-01", "reported_at": "2019-04-01", "due_at": "2026-04-02"}
    stack.client("dynamodb").update_item(
        TableName=stack.outputs["StateTableName"],
        Key={"pk": {"S": f"USER#{person.user_id}"}, "sk": {"S": "CONTRACT"}},
        UpdateExpression="SET ended_on = :ended_on, " + ", ".join(f"{name} = :{name}" for name in put_back),
        ConditionExpression="attribute_exists(due_at)",
        ExpressionAttributeValues={
            ":ended_on": {"S": "2019-03-31"},
            **{f":{name}": {"S": f"{day}T00:00:00.000Z"} for name, day in put_back.items()},
        },
    )

    stack.fire("RetentionFunctionEveryHour")

    assert demo.wait_for(lambda: stack.merchant.request("GET", f"/users/{person.user_id}").status_code == 404, 60)
    assert stack.merchant.request("DELETE", path).status_code == 404
    certificate = erase(stack, person.user_id).json()
    assert certificate["reason"] == "the contract ended on 2019-03-31: cancelled"
    assert certificate["requestedBy"].startswith("arn:")
    assert certificate["erased"]["unlinkedAtPayPay"] == 3
    links = stack.sandbox("GET", f"/paypay/users/{person.user_id}")["authorizations"]
    assert all(each["unlinked"] for each in links)
    assert_gone(stack, person)


@pytest.mark.parametrize(
    "action", ["s3:ListBucketVersions", "s3:DeleteObject", "dynamodb:BatchGetItem", "sqs:SendMessage"]
)
def test_without_a_permission_it_fails_and_with_it_it_is_completed(stack: Stack, action: str) -> None:
    user_id = f"erased.{uuid.uuid4().hex[:12]}"
    press_allow(account_link(stack, user_id))
    assert stack.merchant.request("GET", f"/paypay/users/{user_id}/kyc-passport").status_code == 200

    with without(stack, "ErasureFunction", action):
        assert erase(stack, user_id).status_code >= 500

    certificate: dict[str, Any] = erase(stack, user_id).json()
    assert certificate["completedAt"]
    assert certificate["erased"]["vaultObjects"] == 1
    assert holding(buckets(stack), (user_id,)) == []
