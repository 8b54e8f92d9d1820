"""Many users at once, who are linked at PayPay and here, and recon files of many rows that name them."""

import json
import uuid
from collections.abc import Mapping, Sequence
from itertools import batched
from typing import Any

from local.demo_paypay import account_link, press_allow
from local.stack import Stack

_SCOPES = ["mini_app_kyc_passport", "get_kyc_info"]
# As many items as one call of DynamoDB writes.
_WRITTEN_AT_ONCE = 25
_LINKED_AT_ONCE = 5000
_LOOKED_UP_AT_ONCE = 100


def linked(stack: Stack, count: int) -> dict[str, str]:
    """New users who are linked and VERIFIED; by user id, their authorization ids.

    One is linked by the API and read. The others are linked at the sandbox, and their items are copies of that one's:
    thousands take seconds.
    """
    model = f"crowd.{uuid.uuid4().hex[:12]}"
    press_allow(account_link(stack, model))
    assert stack.merchant.request("GET", f"/paypay/users/{model}/kyc-passport").json()["status"] == "VERIFIED"
    [own] = stack.sandbox("GET", f"/paypay/users/{model}")["authorizations"]
    items = _items(stack, model, str(own["id"]))
    users = {model: str(own["id"])}
    for some in batched(range(1, count), _LINKED_AT_ONCE, strict=False):
        names = {"users": [f"{model}.{number:05}" for number in some], "scopes": _SCOPES}
        users |= stack.sandbox("POST", "/paypay/links", json=names)["authorizations"]
    copies = [
        json.loads(item.replace(model, user_id).replace(str(own["id"]), authorization))
        for user_id, authorization in users.items()
        for item in items
        if user_id != model
    ]
    _write(stack, copies)
    return users


def removed(stack: Stack, users: Mapping[str, str]) -> None:
    """Take users whom `linked` has made out of the table: whoever reads everybody again has fewer to read."""
    table, db = stack.outputs["StateTableName"], stack.client("dynamodb")
    items = [(f"USER#{user_id}", "STATUS#paypay") for user_id in users]
    items += [(f"PAYPAY#{authorization}", "LINK") for authorization in users.values()]
    for some in batched(items, _WRITTEN_AT_ONCE, strict=False):
        keys = [{"DeleteRequest": {"Key": {"pk": {"S": pk}, "sk": {"S": sk}}}} for pk, sk in some]
        assert not db.batch_write_item(RequestItems={table: keys}).get("UnprocessedItems")


def unknown(count: int) -> list[str]:
    """Authorization ids that are linked to nobody here."""
    return [f"{number:08x}-0000-4000-8000-{uuid.uuid4().hex[:12]}" for number in range(count)]


def notify(stack: Stack, file_type: str, day: str, ids: Sequence[str]) -> str:
    """Have PayPay make a file of a JST day that lists these ids, and send its notification; returns its name.

    The name holds the id of another owner than ours. So PayPay is not asked about those ids that are linked to nobody
    here, which would take hours where there are many.
    """
    compact = day.replace("-", "")
    prefix = file_type.removesuffix("_sync_recon")
    name = f"{prefix}_a_client-{uuid.uuid4().hex[:6]}_{compact}_{compact}.csv"
    text = "".join(f"{each}\r\n" for each in ("userAuthorizationId", *ids))
    stack.sandbox("PUT", f"/paypay/recon-files/{name}", json={"fileType": file_type, "day": day, "text": text})
    stack.sandbox("POST", f"/paypay/recon-files/{name}/resend", json={})
    return name


def statuses(stack: Stack, user_ids: Sequence[str]) -> dict[str, str]:
    """Where each user stands at PayPay, by the merchant API."""
    found = {}
    for some in batched(user_ids, _LOOKED_UP_AT_ONCE, strict=False):
        answer = stack.merchant.request("POST", "/overview/lookup", json={"userIds": some}).json()
        found.update({each["userId"]: each["providers"]["paypay"]["status"] for each in answer["users"]})
    return found


def at_paypay(stack: Stack, user_ids: Sequence[str]) -> dict[str, str]:
    """Where each user should stand, by the sandbox; of those whom `linked` has made."""
    flags = {each: stack.sandbox("GET", f"/paypay/users/{each}")["risk_flag"] for each in user_ids}
    return {each: "RISK_FLAGGED" if flag == "UNACCEPTABLE_OP" else "VERIFIED" for each, flag in flags.items()}


def recon_events(stack: Stack, user_id: str) -> list[str]:
    """The ids of the events about a user that recon has sent and that took effect, oldest first."""
    answer = stack.client("dynamodb").query(
        TableName=stack.outputs["StateTableName"],
        KeyConditionExpression="pk = :pk AND begins_with(sk, :entry)",
        ExpressionAttributeValues={":pk": {"S": f"USER#{user_id}"}, ":entry": {"S": "AT#"}},
        ConsistentRead=True,
    )
    found = (str(item["sk"]["S"]).split("#", 2)[2] for item in answer["Items"])
    return [each for each in found if each.startswith("recon:")]


def _items(stack: Stack, user_id: str, authorization: str) -> list[str]:
    """The status of a user at PayPay, what ends of the user's, and the link, each as JSON."""
    db, table = stack.client("dynamodb"), stack.outputs["StateTableName"]
    keys: list[Mapping[str, Any]] = []
    for pk in (f"USER#{user_id}", f"PAYPAY#{authorization}"):
        keys += db.query(
            TableName=table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": pk}},
            ConsistentRead=True,
        )["Items"]
    kept = ("STATUS#paypay", "EXPIRY#", "LINK")
    found = [json.dumps(item) for item in keys if item["sk"]["S"].startswith(kept)]
    assert len(found) >= 2, "a status and a link"
    return found


def _write(stack: Stack, items: Sequence[Mapping[str, Any]]) -> None:
    table = stack.outputs["StateTableName"]
    for some in batched(items, _WRITTEN_AT_ONCE, strict=False):
        asked = [{"PutRequest": {"Item": item}} for item in some]
        answer = stack.client("dynamodb").batch_write_item(RequestItems={table: asked})
        assert not answer.get("UnprocessedItems")
