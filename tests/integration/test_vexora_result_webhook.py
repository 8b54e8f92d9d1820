"""The result callback: what is acknowledged is on the queue, what is refused is not."""

import base64
import json

import pytest

from sandbox.delivery import Answer
from sandbox.server import RunningSandbox
from sandbox.vexora.signature import expected_sign
from tests.fakes.deployment import PROVIDERS, Deployment, Function, callback, sample

ID = "5f0c9c1e-6f0b-4d52-9d0e-0c6b7e0c2a11"
BODY = json.dumps({"userId": "user-0001", "authenticationStatus": "2"})
LIMIT = 64 * 1024


@pytest.fixture
def webhook(stack: Deployment) -> Function:
    return stack.function("vexora_result_webhook")


def queued(stack: Deployment) -> list[dict[str, object]]:
    return [json.loads(message["Body"]) for message in stack.receive()]


def test_the_sample_event_is_acknowledged_and_queued(stack: Deployment, webhook: Function) -> None:
    answer = webhook(sample("vexora_result_webhook"))

    assert (answer["statusCode"], answer["body"]) == (200, "OK")
    assert answer["headers"]["Content-Type"].startswith("text/plain")
    [event] = queued(stack)
    assert (event["provider"], event["kind"], event["cause"], event["subject"]) == (
        "vexora",
        "kyc_result",
        "webhook",
        ID,
    )
    assert event["detail"] == {"sign": "absent", "claimed": "2"}
    assert stack.items() == []


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", BODY),
        ("application/json; charset=utf-8", BODY),
        ("application/x-www-form-urlencoded", "userId=user-0001&authenticationStatus=2"),
        ("text/plain", BODY),
    ],
)
def test_json_and_forms_are_taken(stack: Deployment, webhook: Function, content_type: str, body: str) -> None:
    assert webhook(callback(ID, body, content_type=content_type))["body"] == "OK"
    assert queued(stack)[0]["detail"] == {"sign": "absent", "claimed": "2"}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"pathParameters": {"submissionId": ID, "token": "0" * 64}}, 403),
        ({"pathParameters": {"submissionId": ID, "token": ""}}, 403),
        ({"pathParameters": {"submissionId": ID, "token": "ト" * 64}}, 403),
        (
            {"pathParameters": {"submissionId": ID[:-1] + "2", "token": callback(ID, "")["pathParameters"]["token"]}},
            403,
        ),
        ({"pathParameters": None}, 403),
        ({"body": json.dumps({"a": "x" * LIMIT})}, 413),
        ({"body": base64.b64encode(b" " * (LIMIT + 1)).decode(), "isBase64Encoded": True}, 413),
    ],
)
def test_what_is_refused_queues_nothing(
    stack: Deployment, webhook: Function, change: dict[str, object], status: int
) -> None:
    answer = webhook(callback(ID, BODY) | change)

    assert answer["statusCode"] == status
    assert answer["body"] != "OK"
    assert stack.receive() == []


@pytest.mark.parametrize(
    "change",
    [
        {"body": "{"},
        {"body": ""},
        {"body": None},
        {"body": "[]"},
        {"body": "<xml/>"},
        {"body": "[" * 50_000},
        {"body": "!", "isBase64Encoded": True},
        {"body": base64.b64encode(b'{"a": "\xff"}').decode(), "isBase64Encoded": True},
    ],
)
def test_whoever_has_the_token_is_queued_whatever_the_body_holds(
    stack: Deployment, webhook: Function, change: dict[str, object]
) -> None:
    assert webhook(callback(ID, BODY) | change)["body"] == "OK"
    [event] = queued(stack)
    assert (event["subject"], event["detail"]) == (ID, {"sign": "unreadable"})


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data; boundary=x"])
def test_a_multipart_callback_is_verified_as_any_other(stack: Deployment, webhook: Function, content_type: str) -> None:
    fields = {"userId": "user-0001", "authenticationStatus": "2", "timestamp": "1775012400000"}
    signed = fields | {"sign": expected_sign(fields, PROVIDERS["vexora_app_secret"]).upper()}
    parts = [f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}' for name, value in signed.items()]

    assert webhook(callback(ID, "\r\n".join([*parts, "--x--"]), content_type=content_type))["body"] == "OK"
    assert queued(stack)[0]["detail"] == {"sign": "valid", "claimed": "2"}


def test_another_source_address_is_refused_whatever_x_forwarded_for_says(stack: Deployment, webhook: Function) -> None:
    event = callback(ID, BODY)
    event["requestContext"]["identity"]["sourceIp"] = "203.0.113.9"
    event["headers"]["X-Forwarded-For"] = "192.0.2.10"

    assert webhook(event)["statusCode"] == 403
    assert stack.receive() == []


def test_a_body_of_just_64_kib_is_taken(stack: Deployment, webhook: Function) -> None:
    body = '{"a":"' + "x" * (LIMIT - 8) + '"}'

    assert webhook(callback(ID, body))["body"] == "OK"
    assert len(queued(stack)) == 1


@pytest.mark.parametrize(("secret", "found"), [(PROVIDERS["vexora_app_secret"], "valid"), ("another", "invalid")])
def test_a_sign_is_verified_and_recorded(stack: Deployment, webhook: Function, secret: str, found: str) -> None:
    fields = {"userId": "user-0001", "authenticationStatus": "2", "timestamp": "1775012400000"}
    body = json.dumps(fields | {"sign": expected_sign(fields, secret)})

    assert webhook(callback(ID, body))["body"] == "OK"
    assert queued(stack)[0]["detail"] == {"sign": found, "claimed": "2"}


def test_without_the_providers_secret_a_callback_is_still_taken(stack: Deployment, webhook: Function) -> None:
    stack.put_providers_secret({"vexora_app_secret": "REPLACE_ME"})

    assert webhook(callback(ID, json.dumps({"sign": "0" * 32})))["body"] == "OK"
    assert queued(stack)[0]["detail"] == {"sign": "unchecked"}


def test_two_callbacks_with_the_same_bytes_are_two_events(stack: Deployment, webhook: Function) -> None:
    for body in (BODY, BODY, BODY + " "):
        webhook(callback(ID, body))

    assert len({each["event_id"] for each in queued(stack)}) == 3


def test_a_queue_that_does_not_take_it_is_a_503_so_that_the_provider_tries_again(
    stack: Deployment, webhook: Function
) -> None:
    stack.stand_in.fail_with = 500
    assert webhook(callback(ID, BODY))["statusCode"] == 503

    stack.stand_in.fail_with = 0
    assert webhook(callback(ID, BODY))["body"] == "OK"
    assert len(stack.receive()) == 1


def test_neither_token_nor_body_is_printed_or_queued(
    stack: Deployment, webhook: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    event = callback(ID, json.dumps({"userId": "user-0001", "name": "ヒミツ", "authenticationStatus": "2"}))
    token = event["pathParameters"]["token"]
    webhook(event)
    webhook(event | {"pathParameters": {"submissionId": ID, "token": token[::-1]}})

    text = capsys.readouterr().out + json.dumps(queued(stack), ensure_ascii=False)
    assert ID in text
    for secret in (token, token[::-1], "ヒミツ", json.dumps("ヒミツ")[1:-1], "user-0001"):
        assert secret not in text


def test_what_the_sandbox_sends_is_acknowledged(stack: Deployment, webhook: Function, box: RunningSandbox) -> None:
    def transport(url: str, body: bytes, content_type: str, _timeout_s: float) -> Answer:
        submission_id, token = url.split("/")[-2:]
        answer = webhook(callback(submission_id, body.decode(), token=token, content_type=content_type))
        return Answer(answer["statusCode"], answer["body"])

    stack.function("vexora_submission")(sample("vexora_submission"))
    courier, real = box.sandbox.core.courier, box.sandbox.core.courier.transport
    courier.transport = transport
    try:
        for overrides in ({"claims": "2"}, {"format": "form", "sign": "none"}):
            assert box.vexora.callback_now("user-0001", overrides).state == "accepted"
        assert box.vexora.callback_now("user-0001", {"forged": True}).attempts[0].status == 403
    finally:
        courier.transport = real
    assert [each["detail"] for each in queued(stack)] == [
        {"sign": "valid", "claimed": "2"},
        {"sign": "absent", "claimed": "0"},
    ]
