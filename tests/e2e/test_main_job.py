"""The main job of `make run`, through the deployed APIs, queue, table and bus."""

import json
import time
import uuid
from dataclasses import replace
from typing import Any

import pytest

from local import demo
from local.demo_paypay import PAYPAY_SCENES
from local.stack import Stack
from local.steps import QuietSteps

pytestmark = pytest.mark.e2e

# What is published about a change, but for the provider's word.
_TOLD = frozenset(
    {
        *("userId", "provider", "from", "to", "submissionId", "verified", "verifiedReason"),
        *("cause", "version", "occurredAt", "eventId"),
    }
)


def _user(stem: str = "user") -> str:
    return f"{stem}.{uuid.uuid4().hex[:12]}"


def _submit(stack: Stack, user_id: str, **headers: str) -> Any:
    body = {"userId": user_id, "usernameFurigana": "テスト ハナコ"}
    return stack.merchant.request("POST", "/vexora/submissions", json=body, headers=headers)


@pytest.mark.timeout(400)
def test_every_user_of_the_demo_ends_as_expected(stack: Stack) -> None:
    # Other tests may have linked users of these names: who links the same authorization again is verified at once.
    scenes = [replace(each, user_id=_user(each.user_id)) for each in (*demo.VEXORA_SCENES, *PAYPAY_SCENES)]
    results = demo.perform(stack, QuietSteps(), scenes)
    assert [(each.user_id, each.got) for each in results] == [(each.user_id, each.expected) for each in results]


def test_user_ids_with_every_allowed_character_work_in_paths(stack: Stack) -> None:
    user_id = f"A-z_0.9:{uuid.uuid4().hex[:8]}@shop"
    assert _submit(stack, user_id).status_code == 201
    answer = stack.merchant.request("GET", f"/users/{user_id.replace('@', '%40').replace(':', '%3A')}")
    assert answer.status_code == 200
    assert answer.json()["userId"] == user_id


def test_the_read_side_has_the_stable_shapes(stack: Stack) -> None:
    user_id = _user()
    stack.sandbox("PUT", f"/dials/vexora/{user_id}", json={"review": "none"})
    made = _submit(stack, user_id).json()
    assert made.keys() == {"submissionId", "userId", "status"}
    user = stack.merchant.request("GET", f"/users/{user_id}").json()
    assert user["providers"]["vexora"] == {
        "status": "PENDING",
        "providerStatus": "0",
        "readAt": user["providers"]["vexora"]["readAt"],
        "submissionId": made["submissionId"],
        "stale": False,
        "reason": None,
        "version": user["providers"]["vexora"]["version"],
    }
    page = stack.merchant.request("GET", f"/users/{user_id}/timeline?limit=1").json()
    assert page["entries"][0].keys() >= {"at", "eventId", "provider", "what", "cause", "from", "to"}
    following = stack.merchant.request("GET", f"/users/{user_id}/timeline?limit=1&cursor={page['cursor']}").json()
    assert [page["entries"][0]["to"], following["entries"][0]["to"]] == ["PENDING", "SUBMITTING"]


def test_idempotency_key_repeats_the_answer_and_refuses_another_body(stack: Stack) -> None:
    user_id, key = _user(), uuid.uuid4().hex
    first = _submit(stack, user_id, **{"Idempotency-Key": key})
    again = _submit(stack, user_id, **{"Idempotency-Key": key})
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert stack.sandbox("GET", f"/vexora/users/{user_id}")["apply_calls"] == 1
    other = _submit(stack, _user(), **{"Idempotency-Key": key})
    assert other.status_code == 409
    assert other.headers["Content-Type"] == "application/problem+json"


def test_bad_input_is_a_problem_that_never_repeats_the_value(stack: Stack) -> None:
    body = {"userId": _user(), "usernameFurigana": "山田花子"}
    answer = stack.merchant.request("POST", "/vexora/submissions", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "usernameFurigana"
    assert "山田" not in answer.text
    assert stack.merchant.request("GET", f"/users/{body['userId']}").status_code == 404


def test_a_timed_out_application_stays_submitting_until_the_poll_asks(stack: Stack) -> None:
    user_id = _user()
    stack.sandbox(
        "PUT",
        f"/dials/vexora/{user_id}",
        json={
            "review": "approve",
            "review_delay_s": 0.1,
            "callback": "dropped",
            "apply_fault": {"kind": "reset", "when": "after", "times": 1},
        },
    )
    answer = _submit(stack, user_id)
    assert (answer.status_code, answer.json()["status"]) == (202, "SUBMITTING")

    def approved() -> bool:
        stack.invoke("VexoraStatusPollFunction")
        return demo.status(stack, user_id) == "APPROVED"

    assert demo.wait_for(approved)
    assert stack.sandbox("GET", f"/vexora/users/{user_id}")["apply_calls"] == 1


def test_status_changes_reach_the_bus_without_personal_data(stack: Stack) -> None:
    sqs, events = stack.client("sqs"), stack.client("events")
    queue = sqs.create_queue(QueueName="bus-listener")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    bus = stack.outputs["EventBusName"]
    events.put_rule(Name="listen", EventBusName=bus, EventPattern='{"source":["honnin"]}')
    events.put_targets(Rule="listen", EventBusName=bus, Targets=[{"Id": "listener", "Arn": arn}])
    user_id = _user()
    stack.sandbox("PUT", f"/dials/vexora/{user_id}", json={"review": "approve", "review_delay_s": 0.1})
    _submit(stack, user_id)
    assert demo.wait_for(lambda: demo.status(stack, user_id) == "APPROVED")
    moves: list[tuple[str | None, str, bool, str]] = []
    deadline = time.monotonic() + 10
    while len(moves) < 3 and time.monotonic() < deadline:
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            assert "テスト" not in message["Body"]
            detail = json.loads(message["Body"])["detail"]
            if detail["userId"] == user_id:
                # Before Vexora has answered there is no word of Vexora's.
                assert detail.keys() - {"providerStatus"} == _TOLD
                moves.append((detail["from"], detail["to"], detail["verified"], detail["verifiedReason"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    assert sorted(moves, key=str) == sorted(
        [
            (None, "SUBMITTING", False, "NOT_VERIFIED"),
            ("SUBMITTING", "PENDING", False, "NOT_VERIFIED"),
            ("PENDING", "APPROVED", True, "VEXORA_APPROVED"),
        ],
        key=str,
    )


def test_a_poison_message_is_dead_lettered_while_others_go_on(stack: Stack) -> None:
    sqs = stack.client("sqs")
    dead_letters = stack.outputs["DeadLetterQueueUrl"]
    poison = '{"not":"an event"}'
    sqs.send_message(QueueUrl=stack.outputs["EventQueueUrl"], MessageBody=poison)
    user_id = _user()
    stack.sandbox("PUT", f"/dials/vexora/{user_id}", json={"review": "approve", "review_delay_s": 0.1})
    _submit(stack, user_id)
    assert demo.wait_for(lambda: demo.status(stack, user_id) == "APPROVED")
    found: list[Any] = []

    def dead_lettered() -> bool:
        # Other tests leave dead letters, too.
        received = sqs.receive_message(QueueUrl=dead_letters, MessageAttributeNames=["All"], VisibilityTimeout=1)
        found.extend(each for each in received.get("Messages", []) if each["Body"] == poison)
        return bool(found)

    assert demo.wait_for(dead_lettered, 60)
    assert found[0]["MessageAttributes"]["errorType"]["StringValue"] == "MalformedEventError"
