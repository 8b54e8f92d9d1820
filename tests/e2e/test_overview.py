"""Everybody at a glance, on the deployed stack with IAM enforced: each route, each command, and the permission."""

import csv
import io
import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from honnin.times import jst_day, utc_text
from local import demo
from local.demo_paypay import account_link, press_allow
from local.stack import AccessKey, Merchant, Stack
from tests.e2e.program import honninctl, ok

pytestmark = pytest.mark.e2e


def _verified(stack: Stack) -> str:
    user_id = f"user.{uuid.uuid4().hex[:12]}"
    press_allow(account_link(stack, user_id))
    assert stack.merchant.request("GET", f"/paypay/users/{user_id}/kyc-passport").json()["status"] == "VERIFIED"
    return user_id


@pytest.fixture(scope="module")
def begun() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def users(stack: Stack, begun: datetime) -> dict[str, str]:
    """Three verified users, one of them flagged since, and one who is erased."""
    found = {name: _verified(stack) for name in ("stays", "flagged", "erased")}
    stack.sandbox("POST", f"/paypay/users/{found['flagged']}/risk", json={"flag": "UNACCEPTABLE_OP"})
    assert demo.wait_for(lambda: demo.status(stack, found["flagged"], "paypay") == "RISK_FLAGGED", 60)
    assert stack.merchant.request("DELETE", f"/users/{found['erased']}/personal-data").status_code == 200
    return found


def _get(stack: Stack, path: str) -> Any:
    answer = stack.merchant.request("GET", path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _all(stack: Stack, path: str, name: str) -> list[dict[str, Any]]:
    """All pages of a list, three entries each."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = _get(stack, f"{path}&limit=3{cursor}")
        assert len(page[name]) <= 3
        found += page[name]
        if page["cursor"] is None:
            return found
        cursor = f"&cursor={page['cursor']}"


# --- the routes ---


def test_users_by_status(stack: Stack, users: dict[str, str]) -> None:
    flagged = _all(stack, "/overview/users?provider=paypay&status=RISK_FLAGGED", "users")
    verified = [each["userId"] for each in _all(stack, "/overview/users?provider=paypay&status=VERIFIED", "users")]

    assert users["flagged"] in [each["userId"] for each in flagged]
    assert [each["since"] for each in flagged] == sorted((each["since"] for each in flagged), reverse=True)
    assert verified.count(users["stays"]) == 1
    assert not {users["flagged"], users["erased"]} & set(verified)


def test_counts_are_those_of_the_lists(stack: Stack, users: dict[str, str]) -> None:
    counts = _get(stack, "/overview/counts")

    assert counts["approximate"] is False
    flagged = _all(stack, "/overview/users?provider=paypay&status=RISK_FLAGGED", "users")
    assert counts["counts"]["paypay"]["RISK_FLAGGED"] == len(flagged) >= 1


def test_lookup(stack: Stack, users: dict[str, str]) -> None:
    asked = [users["flagged"], "nobody", users["erased"], users["stays"]]
    answer = stack.merchant.request("POST", "/overview/lookup", json={"userIds": asked})

    assert answer.status_code == 200
    assert answer.json()["unknown"] == ["nobody", users["erased"]]
    assert [each["userId"] for each in answer.json()["users"]] == [users["flagged"], users["stays"]]
    assert answer.json()["users"][1] == _get(stack, f"/users/{users['stays']}")


def test_changes_by_day(stack: Stack, users: dict[str, str], begun: datetime) -> None:
    days = f"from={jst_day(begun)}&to={jst_day(datetime.now(UTC))}"
    changed = _all(stack, f"/overview/changes?{days}", "changes")
    of_the_flagged = [each for each in changed if each["userId"] == users["flagged"]]

    assert [(each["from"], each["to"]) for each in of_the_flagged] == [
        ("VERIFIED", "RISK_FLAGGED"),
        ("LINKED", "VERIFIED"),
        ("LINK_PENDING", "LINKED"),
        (None, "LINK_PENDING"),
    ]
    assert users["erased"] not in {each["userId"] for each in changed}
    only = _all(stack, f"/overview/changes?{days}&provider=paypay&toStatus=RISK_FLAGGED", "changes")
    assert {each["to"] for each in only} == {"RISK_FLAGGED"}


def test_what_runs_out(stack: Stack, users: dict[str, str]) -> None:
    ends = {each["userId"]: each for each in _all(stack, "/overview/expiring?within=366d", "expiring")}
    shown = _get(stack, f"/users/{users['stays']}")["providers"]["paypay"]["linkExpiresAt"]

    assert users["erased"] not in ends
    # The sandbox does not tell the end of every link.
    assert (users["stays"] in ends) == (shown is not None and shown > utc_text(datetime.now(UTC)))
    if shown:
        assert ends[users["stays"]]["endsAt"] == shown


# --- the permission ---


@pytest.fixture
def narrow(stack: Stack) -> Iterator[Merchant]:
    """A back end that may call all but the lists: the policy of docs/overview.md."""
    iam, name = stack.client("iam"), f"narrow-{uuid.uuid4().hex[:8]}"
    account = stack.client("sts").get_caller_identity()["Account"]
    api_id = stack.outputs["MerchantApiUrl"].partition("/restapis/")[2].partition("/")[0]
    arn = f"arn:aws:execute-api:{stack.region}:{account}:{api_id}"
    statements = [
        {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": f"{arn}/*"},
        {
            "Effect": "Deny",
            "Action": "execute-api:Invoke",
            "Resource": [f"{arn}/*/GET/overview/*", f"{arn}/*/POST/overview/*"],
        },
    ]
    iam.create_user(UserName=name)
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName=name, PolicyName="narrow", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    yield replace(stack.merchant, access_key=AccessKey(key["AccessKeyId"], key["SecretAccessKey"]))
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName=name, PolicyName="narrow")
    iam.delete_user(UserName=name)


def test_a_back_end_can_be_refused_the_lists_alone(stack: Stack, users: dict[str, str], narrow: Merchant) -> None:
    assert narrow.request("GET", f"/users/{users['stays']}").status_code == 200
    for path in (
        "/overview/counts",
        "/overview/users?provider=paypay&status=VERIFIED",
        "/overview/changes",
        "/overview/expiring",
    ):
        assert narrow.request("GET", path).status_code == 403, path
    assert narrow.request("POST", "/overview/lookup", json={"userIds": [users["stays"]]}).status_code == 403


# --- the commands ---


def test_each_command(stack: Stack, users: dict[str, str], begun: datetime) -> None:
    listed = ok(stack, "users", "--provider", "paypay", "--status", "RISK_FLAGGED", "--since", jst_day(begun))
    assert users["flagged"] in [each["userId"] for each in listed["users"]]
    assert ok(stack, "counts")["counts"]["paypay"]["RISK_FLAGGED"] >= 1
    changed = ok(stack, "changes", jst_day(begun), "--to", jst_day(datetime.now(UTC)), "--to-status", "RISK_FLAGGED")
    assert users["flagged"] in [each["userId"] for each in changed["changes"]]
    ends = {each["userId"] for each in _get(stack, "/overview/expiring?limit=100")["expiring"]}
    assert ends <= {each["userId"] for each in ok(stack, "expiring", "--within", "30d")["expiring"]}
    as_csv = honninctl(stack, "users", "--provider", "paypay", "--status", "VERIFIED", "--csv")
    assert users["stays"] in [each["userId"] for each in csv.DictReader(io.StringIO(as_csv.stdout))]
    assert honninctl(stack, "users", "--provider", "paypay", "--status", "APPROVED").code == 2


def test_a_replay_tells_the_bus_again_and_nobody_who_is_erased(
    stack: Stack, users: dict[str, str], begun: datetime
) -> None:
    sqs, events = stack.client("sqs"), stack.client("events")
    url = sqs.create_queue(QueueName=f"replay-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    bus = stack.outputs["EventBusName"]
    since, until = utc_text(begun), utc_text(datetime.now(UTC) + timedelta(minutes=1))
    events.put_rule(Name="replay", EventBusName=bus, EventPattern='{"source":["honnin"]}')
    events.put_targets(Rule="replay", EventBusName=bus, Targets=[{"Id": "replay", "Arn": arn}])
    try:
        would = ok(stack, "events", "replay", "--since", since, "--until", until, "--dry-run")
        done = ok(stack, "events", "replay", "--since", since, "--until", until, "--yes")
        assert would["published"] == done["published"]
        published: list[dict[str, Any]] = []

        def received() -> bool:
            for each in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
                published.append(json.loads(each["Body"]))
            return bool(len(published) >= sum(done["published"].values()))

        assert demo.wait_for(received, 60)
    finally:
        events.remove_targets(Rule="replay", EventBusName=bus, Ids=["replay"])
        events.delete_rule(Name="replay", EventBusName=bus)
    about = [each["detail"] for each in published if each["detail"].get("userId") == users["flagged"]]
    assert [each["to"] for each in about] == ["LINK_PENDING", "LINKED", "VERIFIED", "RISK_FLAGGED"]
    entries = stack.merchant.request("GET", f"/users/{users['flagged']}/timeline").json()["entries"]
    assert {each["eventId"] for each in about} <= {each["eventId"] for each in entries}
    assert users["erased"] not in {each["detail"].get("userId") for each in published}


def test_reindex_makes_the_same_index_again(stack: Stack, users: dict[str, str]) -> None:
    db, table = stack.client("dynamodb"), stack.outputs["StateTableName"]
    key = {"pk": {"S": f"USER#{users['stays']}"}, "sk": {"S": "STATUS#paypay"}}
    path = "/overview/users?provider=paypay&status=VERIFIED"
    before = _all(stack, path, "users")
    db.update_item(TableName=table, Key=key, UpdateExpression="REMOVE overview_pk, overview_sk")
    assert users["stays"] not in [each["userId"] for each in _all(stack, path, "users")]

    assert ok(stack, "reindex", "--segments", "4")["mended"] == 1

    assert _all(stack, path, "users") == before
    assert _get(stack, path)["rebuilding"] is False
