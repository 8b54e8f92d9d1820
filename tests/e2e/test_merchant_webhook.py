"""Merchant webhooks on the deployed stack, to an endpoint that fails in every way and then works."""

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from standardwebhooks import Webhook

from local import demo
from local.stack import Stack
from tests.e2e.schedules import paused
from tests.fakes.loopback import LoopbackServer, Received, Reply

pytestmark = pytest.mark.e2e

FUNCTION, PROBE = "MerchantWebhookFunction", "MerchantWebhookFunctionEveryMinute"
_WAIT_S = 150.0
_FAULTS = {
    "500": Reply(500),
    "301 to a private address": Reply(301, b"", {"Location": "http://10.0.0.1/latest/meta-data"}),
    "closes": Reply(instead="close"),
    "resets": Reply(instead="reset"),
    "drips": Reply(drip_s=1, drips="headers", headers={"X-Slow": "x" * 500}),
    "slow": Reply(wait_s=60),
    "no http": Reply(600, b"?"),
}


class Back(LoopbackServer):
    """The merchant's back end: `answer` says what it does with a request; `taken` counts what it has taken."""

    def __init__(self) -> None:
        super().__init__()
        self.answer: Callable[[str, dict[str, Any]], Reply] = lambda _, __: Reply(204, b"")
        self.taken: Counter[str] = Counter()
        self.seen: list[tuple[str, dict[str, Any], Received]] = []

    def reply_to(self, request: Received) -> Reply:
        """What the test says."""
        name, event = request.headers["webhook-id"], json.loads(request.body)
        reply = self.answer(name, event)
        self.seen.append((name, event, request))
        if 200 <= reply.status < 300 and not (reply.instead or reply.wait_s or reply.drip_s):
            self.taken[name] += 1
        return reply

    def about(self, user_id: str) -> list[tuple[str, dict[str, Any], Received]]:
        """What came about a user."""
        return [each for each in self.seen if each[1]["data"].get("userId") == user_id]


@pytest.fixture(scope="module")
def endpoint(stack: Stack) -> Iterator[Back]:
    """A back end that the function sends to, and no probe but those that the tests make.

    It is one for the whole file: a new setting ends the function's environments, and a batch that one of them has just
    been given comes again only after the queue's visibility time-out.
    """
    with Back() as server, paused(stack, PROBE), _sending_to(stack, f"{server.url}/hooks"):
        stack.invoke(FUNCTION, {"probe": True})  # from now on there is an environment with the new setting
        yield server


@pytest.fixture
def back(stack: Stack, endpoint: Back) -> Iterator[Back]:
    """The back end, which takes everything until the test says otherwise; afterwards the circuit is closed."""
    endpoint.seen.clear()
    endpoint.taken.clear()
    yield endpoint
    endpoint.answer = lambda _, __: Reply(204, b"")
    stack.invoke(FUNCTION, {"probe": True})
    assert demo.wait_for(lambda: _mapping(stack) == "Enabled", _WAIT_S)


@contextmanager
def _sending_to(stack: Stack, url: str) -> Iterator[None]:
    client, name = stack.client("lambda"), stack.function_name(FUNCTION)
    variables = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]

    def configure(**changed: str) -> None:
        client.update_function_configuration(FunctionName=name, Environment={"Variables": variables | changed})

    configure(MERCHANT_WEBHOOK_URL=url)
    try:
        yield
    finally:
        configure()


def _mapping(stack: Stack) -> str:
    state: str = stack.client("lambda").get_event_source_mapping(UUID=stack.physical_id("MerchantWebhookSource"))[
        "State"
    ]
    return state


def _key(stack: Stack) -> str:
    secret = stack.client("secretsmanager").get_secret_value(SecretId=stack.physical_id("MerchantWebhookSecret"))
    key: str = json.loads(secret["SecretString"])["current"]
    return key


def _submit(stack: Stack, user_id: str) -> None:
    stack.sandbox("PUT", f"/dials/vexora/{user_id}", json={"review": "approve", "review_delay_s": 0.1})
    body = {"userId": user_id, "usernameFurigana": "テスト ハナコ"}
    assert stack.merchant.request("POST", "/vexora/submissions", json=body).status_code == 201


def _tell(stack: Stack, user_id: str) -> None:
    """One domain event about somebody, as Honnin publishes it."""
    at = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    detail = {
        "userId": user_id,
        "submissionId": "sub-1",
        "status": "PENDING",
        "submittedAt": at,
        "version": 1,
        "occurredAt": at,
        "eventId": f"poll:{user_id}",
    }
    entry = {"EventBusName": stack.outputs["EventBusName"], "Source": "honnin", "DetailType": "SubmissionStale"}
    stack.client("events").put_events(Entries=[{**entry, "Detail": json.dumps(detail)}])


def _user(stem: str) -> str:
    return f"{stem}.{uuid.uuid4().hex[:12]}"


def test_the_probe_of_each_minute_enables_a_mapping_whose_circuit_is_closed(stack: Stack) -> None:
    # The first one of the file: for the others this schedule is paused.
    mapping = stack.physical_id("MerchantWebhookSource")
    stack.client("lambda").update_event_source_mapping(UUID=mapping, Enabled=False)
    stack.fire(PROBE)
    assert demo.wait_for(lambda: _mapping(stack) == "Enabled", _WAIT_S)


@pytest.mark.timeout(600)
def test_every_change_of_a_user_comes_signed_and_thin(stack: Stack, back: Back) -> None:
    user_id = _user("hook")
    _submit(stack, user_id)
    assert demo.wait_for(lambda: demo.status(stack, user_id) == "APPROVED")
    assert demo.wait_for(lambda: len(back.about(user_id)) == 3, _WAIT_S), back.about(user_id)
    webhook = Webhook(_key(stack))
    for name, event, request in back.about(user_id):
        assert webhook.verify(request.body, dict(request.headers)) == event
        assert (request.path, request.headers["content-type"]) == ("/hooks", "application/json")
        assert event["type"] == "kyc.status.changed"
        assert "eventId" not in event["data"]
        assert name.startswith("msg_")
    in_order = sorted((each["data"] for _, each, _ in back.about(user_id)), key=lambda data: data["version"])
    assert [(each["from"], each["to"]) for each in in_order] == [
        (None, "SUBMITTING"),
        ("SUBMITTING", "PENDING"),
        ("PENDING", "APPROVED"),
    ]
    assert stack.invoke(FUNCTION, {"test": True})["delivered"]
    assert back.seen[-1][1]["type"] == "honnin.test"


@pytest.mark.timeout(600)
def test_an_endpoint_that_fails_in_every_way_loses_nothing_and_holds_nothing_up(stack: Stack, back: Back) -> None:
    users = {_user("fails"): reply for reply in _FAULTS.values()}
    tried: Counter[str] = Counter()

    def answer(_: str, event: dict[str, Any]) -> Reply:
        user_id = event["data"].get("userId", "")
        tried[user_id] += 1
        return users[user_id] if user_id in users and tried[user_id] == 1 else Reply(204, b"", {"X": "y"})

    back.answer = answer
    for user_id in users:
        _tell(stack, user_id)
    assert demo.wait_for(lambda: set(tried) >= set(users), _WAIT_S)
    # KYC goes on, while some of these hang.
    live = _user("live")
    _submit(stack, live)
    assert demo.wait_for(lambda: demo.status(stack, live) == "APPROVED")

    assert demo.wait_for(lambda: all(_times_taken(back, each) for each in users), _WAIT_S), tried
    assert {each: _times_taken(back, each) for each in users} == dict.fromkeys(users, 1)
    assert demo.wait_for(lambda: len(back.about(live)) == 3, _WAIT_S)
    ids = {each: {name for name, _, _ in back.about(each)} for each in users}
    assert all(len(names) == 1 for names in ids.values()), "a try again has another id"
    assert _mapping(stack) == "Enabled"


@pytest.mark.timeout(600)
def test_410_opens_the_circuit_and_the_probe_closes_it(stack: Stack, back: Back) -> None:
    back.answer = lambda _, __: Reply(410)
    users = [_user("waits") for _ in range(12)]
    _tell(stack, users[0])
    assert demo.wait_for(lambda: _mapping(stack) == "Disabled", _WAIT_S)
    for each in users[1:]:
        _tell(stack, each)
    tried = len(back.seen)
    assert stack.invoke(FUNCTION, {"probe": True}) == {"open": True}
    assert len(back.seen) == tried + 1, "the probe tries one message"
    assert _mapping(stack) == "Disabled"
    assert not stack.invoke(FUNCTION, {"test": True})["delivered"]

    back.answer = lambda _, __: Reply(204, b"x" * 100_000, says_length=100_000_000)
    stack.invoke(FUNCTION, {"probe": True})
    assert demo.wait_for(lambda: _mapping(stack) == "Enabled", _WAIT_S)

    # What failed while the circuit was open is hidden for more than a minute, and stays in the queue.
    def come() -> list[str]:
        return [each for each in users if _times_taken(back, each)]

    assert demo.wait_for(lambda: len(come()) >= len(users) - 2, _WAIT_S)
    assert demo.wait_for(lambda: len(come()) + _waiting(stack) == len(users), _WAIT_S)
    assert {_times_taken(back, each) for each in come()} == {1}
    stack.client("sqs").purge_queue(QueueUrl=stack.physical_id("MerchantWebhookQueue"))


@pytest.mark.timeout(600)
def test_an_erased_user_is_in_no_webhook_after_the_erasure(stack: Stack, back: Back) -> None:
    back.answer = lambda _, __: Reply(410)
    user_id, other = _user("erased"), _user("other")
    _tell(stack, other)
    assert demo.wait_for(lambda: _mapping(stack) == "Disabled", _WAIT_S)
    _submit(stack, user_id)
    assert demo.wait_for(lambda: demo.status(stack, user_id) == "APPROVED")
    assert stack.merchant.request("DELETE", f"/users/{user_id}/personal-data").status_code == 200
    before = len(back.seen)
    back.answer = lambda _, __: Reply(204, b"")
    stack.invoke(FUNCTION, {"probe": True})
    assert demo.wait_for(lambda: _mapping(stack) == "Enabled", _WAIT_S)
    assert demo.wait_for(lambda: _times_taken(back, other) == 1, _WAIT_S)

    def told() -> list[str]:
        return [event["type"] for _, event, _ in back.seen[before:] if event["data"].get("userId") == user_id]

    assert demo.wait_for(lambda: bool(told()), _WAIT_S)
    assert demo.wait_for(lambda: _waiting(stack) == 0, _WAIT_S)
    assert told() == ["user.erased"]


def _times_taken(back: Back, user_id: str) -> int:
    return sum(back.taken[name] for name in {name for name, _, _ in back.about(user_id)})


def _waiting(stack: Stack) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = stack.client("sqs").get_queue_attributes(
        QueueUrl=stack.physical_id("MerchantWebhookQueue"), AttributeNames=names
    )
    return sum(int(answer["Attributes"][each]) for each in names)
