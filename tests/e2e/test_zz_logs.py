"""Run last (by its name), on the stack of each part: nothing personal, and no secret, is in any log group of it."""

import re

import pytest

from local import providers
from local.stack import Stack
from tests.e2e.parts import PARTS

pytestmark = pytest.mark.e2e


def _records(stack: Stack) -> list[str]:
    logs = stack.client("logs")
    messages = []
    for group in logs.describe_log_groups()["logGroups"]:
        token: dict[str, str] = {}
        while True:
            page = logs.filter_log_events(logGroupName=group["logGroupName"], **token)
            messages += [each["message"] for each in page.get("events", [])]
            if "nextToken" not in page:
                break
            token = {"nextToken": page["nextToken"]}
    return messages


def _authorization_ids(stack: Stack) -> set[str]:
    found = set()
    for page in stack.client("dynamodb").get_paginator("scan").paginate(TableName=stack.outputs["StateTableName"]):
        found |= {each["user_authorization_id"]["S"] for each in page["Items"] if "user_authorization_id" in each}
    return found


@pytest.mark.parametrize("part", PARTS)
def test_no_log_record_of_the_run_holds_a_person_a_token_a_signature_or_an_authorization_id(
    stack: Stack, part: str
) -> None:
    text = "\n".join(_records(stack))
    assert "EventQueued" in text, "the net holds: what the webhooks say is in it"
    assert not [each for each in _authorization_ids(stack) if each in text]
    secrets = {value for name, value in providers.CREDENTIALS.items() if "secret" in name}
    users = stack.sandbox("GET", "/paypay/users")["users"]
    people = {"テスト", "ハナコ", "ジロウ", "サブロウ", *_personal_values(stack, users)}
    for mark in people | secrets | {"OPA-Auth", "responseToken", "eyJ", "linkQRCode"}:
        assert mark not in text, mark
    # A callback's token and a `sign` are 64 and 32 hexadecimal digits; hashes of ids in event ids are 32 as well, and
    # stand behind a colon.
    assert not re.search(r"(?<![:0-9a-f-])[0-9a-f]{64}(?![0-9a-f])", text)


def _personal_values(stack: Stack, users: list[str]) -> set[str]:
    values = set()
    for name in users:
        for value in stack.sandbox("GET", f"/paypay/users/{name}")["kyc"]["data"].values():
            # Words such as "true" or a status are no marks; names, birthdays, addresses and numbers are.
            if isinstance(value, str) and (len(value) >= 8 or not value.isascii()):
                values.add(value)
    return values
