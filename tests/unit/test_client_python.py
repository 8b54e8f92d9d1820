"""The hand-written parts of clients/python: signing, retries, errors, webhooks. No network."""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import botocore.auth
import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from standardwebhooks import Webhook

from honnin.merchant_webhook.message import Message
from honnin.users_api import USER_EXAMPLE
from honnin_client import (
    AsyncHonnin,
    Honnin,
    HonninError,
    InvalidWebhookError,
    NoAnswerError,
    NotSentError,
    NotUnderstoodError,
    ProblemCode,
    RefusedError,
    Retries,
    models,
    verify,
)
from tests.fakes.merchant_api import KEY, URL, Answer, Shop, good, problem, status_of

LOCAL = "http://127.0.0.1:9000/restapis/abcde12345/v1/_user_request_"
SUBMISSION = models.SubmissionRequest(user_id="shop:1@a", username_furigana="テスト ハナコ")
ACCEPTED = {"submissionId": "s-1", "userId": "shop:1@a", "status": "PENDING"}


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("honnin_client.client.time.sleep", waited.append)
    monkeypatch.setattr("honnin_client.client.asyncio.sleep", wait)
    return waited


# --- requests ---


@pytest.mark.parametrize(
    ("user_id", "sent"),
    [("user-1", "user-1"), ("shop:1@a", "shop%3A1%40a"), ("a..b", "a..b"), ("...", "..."), ("a_b-c.d", "a_b-c.d")],
)
def test_an_id_is_encoded_in_the_path(user_id: str, sent: str) -> None:
    shop = Shop(good())
    shop.honnin().get_user(user_id)
    assert shop.got[0].url.raw_path == f"/v1/users/{sent}".encode()


@pytest.mark.parametrize("url", [URL, URL + "/", LOCAL, "https://api.shop.example.jp"])
def test_the_path_is_added_to_any_url(url: str) -> None:
    shop = Shop(good())
    shop.honnin(url, region="ap-northeast-1").get_user("u")
    assert str(shop.got[0].url) == url.rstrip("/") + "/users/u"


def test_an_answer_is_typed_and_unknown_fields_are_ignored() -> None:
    user = Shop(good(dict(USER_EXAMPLE) | {"new": 1})).honnin().get_user("user-0001")
    assert user.verified
    assert user.providers.paypay
    assert user.providers.paypay.facets.link is models.Link.ACTIVE
    only_vexora = dict(USER_EXAMPLE) | {"providers": {"vexora": USER_EXAMPLE["providers"]["vexora"]}}  # type: ignore[index, call-overload]
    assert not Shop(good(only_vexora)).honnin().get_user("user-0001").providers.paypay


def test_a_value_that_a_newer_honnin_has_added_is_kept() -> None:
    user = Shop(good(dict(USER_EXAMPLE) | {"verifiedReason": "BRAND_NEW"})).honnin().get_user("user-0001")
    assert user.verified_reason == "BRAND_NEW"
    assert user.to_dict()["verifiedReason"] == "BRAND_NEW"
    assert isinstance(user.verified_reason, models.VerifiedReason)


# --- signatures ---


def _authorization(method: str, url: str, body: bytes, headers: dict[str, str], region: str) -> str:
    """What botocore signs for a request, written out with each part encoded as SigV4 wants it."""
    request = AWSRequest(method=method, url=url, data=body, headers=headers)
    SigV4Auth(KEY, "execute-api", region).add_auth(request)
    return str(request.headers["Authorization"])


@pytest.fixture
def _at_noon() -> Iterator[None]:
    moment = datetime(2026, 11, 28, 12, tzinfo=UTC)
    with patch.object(botocore.auth, "get_current_datetime", lambda *_, **__: moment.replace(tzinfo=None)):
        yield


@pytest.mark.usefixtures("_at_noon")
def test_a_signature_is_botocores_also_for_ids_and_moments_with_a_colon() -> None:
    shop = Shop(good(), good({"users": [], "cursor": None, "rebuilding": False}))
    honnin = shop.honnin()
    honnin.get_user("shop:1@a")
    honnin.list_users(
        provider=models.ProviderName.PAYPAY, status="VERIFIED", since="2026-11-28T00:00:00Z", cursor="a+/="
    )
    host = {"Host": "abcde12345.execute-api.ap-northeast-1.amazonaws.com"}
    first, second = shop.got
    assert first.headers["X-Amz-Date"] == "20261128T120000Z"
    assert first.headers["Authorization"] == _authorization(
        "GET", f"{URL}/users/shop%3A1%40a", b"", host, "ap-northeast-1"
    )
    query = "provider=paypay&status=VERIFIED&since=2026-11-28T00%3A00%3A00Z&limit=50&cursor=a%2B%2F%3D"
    assert second.url.query == query.encode()
    assert second.headers["Authorization"] == _authorization(
        "GET", f"{URL}/overview/users?{query}", b"", host, "ap-northeast-1"
    )


@pytest.mark.usefixtures("_at_noon")
def test_a_known_signature() -> None:
    """Fixed: a change of botocore, of httpx or of ours that changes what is signed shows here."""
    shop = Shop(good(ACCEPTED, 201))
    shop.honnin().submit_to_vexora(body=SUBMISSION, idempotency_key="key-1")
    assert shop.got[0].content == '{"userId":"shop:1@a","usernameFurigana":"テスト ハナコ"}'.encode()
    assert shop.got[0].headers["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261128/ap-northeast-1/execute-api/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=b7812f35c88b7403af9812ab54a0b0a385fd46532ff3fce6f8393f7800fff548"
    )


def test_each_try_is_signed_anew_and_a_session_token_is_sent() -> None:
    shop = Shop(problem("user-busy"), good())
    shop.honnin(credentials=Credentials("AKIDEXAMPLE", "secret", "token")).get_user("u")
    assert [each.headers["X-Amz-Security-Token"] for each in shop.got] == ["token", "token"]
    assert all("x-amz-security-token" in each.headers["Authorization"] for each in shop.got)


def test_without_credentials_or_a_region_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.session.Session.get_credentials", lambda _: None)
    monkeypatch.setattr("botocore.session.Session.get_config_variable", lambda *_: None)
    for url, credentials in ((URL, None), (LOCAL, KEY)):
        shop = Shop()
        with pytest.raises(NotSentError):
            shop.honnin(url, credentials=credentials, retries=Retries(tries=1)).get_user("u")
        assert not shop.got


# --- errors ---

CALLS: dict[str, Callable[[Honnin], object]] = {
    "read": lambda honnin: honnin.get_user("u"),
    "look up": lambda honnin: honnin.look_up_users(body=models.LookupRequest(user_ids=["u"])),
    "erase": lambda honnin: honnin.erase_user("u", unlink=True),
    "submit": lambda honnin: honnin.submit_to_vexora(body=SUBMISSION),
    "link": lambda honnin: honnin.create_account_link(
        body=models.AccountLinkRequest(user_id="u", scopes=["get_kyc_info"], return_url="https://shop.example.jp/")
    ),
}


@pytest.mark.parametrize("code", [each.value for each in ProblemCode])
def test_every_code_is_an_error_of_one_kind_with_its_problem(code: str) -> None:
    with pytest.raises(HonninError) as raised:
        Shop(problem(code)).honnin(retries=Retries(tries=1)).get_user("secret-id")
    error = raised.value
    assert (error.code, error.status) == (code, status_of(code))
    assert error.problem
    assert error.problem.code is ProblemCode(code)
    assert type(error) in (NotSentError, NoAnswerError, RefusedError, NotUnderstoodError)
    assert "secret-id" not in str(error)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.ConnectError("no"), NotSentError),
        (httpx.ConnectTimeout("no"), NotSentError),
        (httpx.ReadTimeout("no"), NoAnswerError),
        (httpx.WriteError("no"), NoAnswerError),
        (httpx.RemoteProtocolError("no"), NoAnswerError),
        (problem("provider-not-reached"), NotSentError),
        (problem("too-many-requests"), NotSentError),
        (problem("provider-timeout"), NoAnswerError),
        (problem("gateway-timeout"), NoAnswerError),
        (problem("provider-refused"), RefusedError),
        (problem("user-unknown"), RefusedError),
        (problem("brand-new", 409), RefusedError),
        (problem("provider-not-understood"), NotUnderstoodError),
        (httpx.Response(502, text="<html>"), NotUnderstoodError),
        (httpx.Response(403, json=["no problem"]), NotUnderstoodError),
        (httpx.Response(302, headers={"Location": "https://example.jp"}), NotUnderstoodError),
        (httpx.Response(200, text="<html>"), NotUnderstoodError),
        (httpx.Response(200, json={"userId": "u"}), NotUnderstoodError),
        (httpx.Response(200, json=dict(USER_EXAMPLE) | {"verifiedReason": None}), NotUnderstoodError),
    ],
)
def test_the_class_says_what_became_of_a_call(answer: Answer, kind: type[HonninError]) -> None:
    with pytest.raises(kind) as raised:
        Shop(answer).honnin(retries=Retries(tries=1)).get_user("u")
    assert type(raised.value) is kind


# --- retries ---


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "answer", [httpx.ConnectError("no"), problem("too-many-requests"), problem("user-busy"), problem("aws-busy")]
)
def test_any_call_is_made_again_if_nothing_has_happened(call: str, answer: Answer) -> None:
    shop = Shop(answer, problem("user-unknown"))
    with pytest.raises(RefusedError, match="user-unknown"):
        CALLS[call](shop.honnin())
    assert len(shop.got) == 2


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "answer", [httpx.ReadTimeout("no"), problem("gateway-timeout"), problem("unexpected"), httpx.Response(502, text="")]
)
def test_only_a_call_that_does_nothing_twice_is_made_again_after_no_answer(call: str, answer: Answer) -> None:
    shop = Shop(answer, problem("user-unknown"))
    with pytest.raises(HonninError):
        CALLS[call](shop.honnin())
    assert len(shop.got) == (1 if call == "link" else 2)


@pytest.mark.parametrize("code", ["user-unknown", "field-invalid", "provider-refused", "provider-maintenance"])
def test_a_refusal_is_final(code: str) -> None:
    shop = Shop(problem(code, headers={"Retry-After": "300"}))
    with pytest.raises(RefusedError):
        shop.honnin().get_user("u")
    assert len(shop.got) == 1


def test_a_wait_is_as_long_as_the_answer_says_and_grows(waits: list[float]) -> None:
    shop = Shop(problem("user-busy", headers={"Retry-After": "2"}), *(problem("user-busy") for _ in range(3)))
    with pytest.raises(RefusedError):
        shop.honnin(retries=Retries(first_wait_s=1.0)).get_user("u")
    assert len(shop.got) == 4
    for seconds, least in zip(waits, [2.0, 2.0, 4.0], strict=True):
        assert least <= seconds <= least * 1.25


@pytest.mark.parametrize(
    ("last", "kind"),
    [
        (httpx.ConnectError("no"), NoAnswerError),
        (problem("user-busy"), NoAnswerError),
        (problem("field-invalid"), RefusedError),
    ],
)
def test_what_comes_after_an_unclear_try_cannot_say_that_nothing_has_happened(
    last: Answer, kind: type[HonninError]
) -> None:
    shop = Shop(httpx.ReadTimeout("no"), last)
    with pytest.raises(kind):
        shop.honnin(retries=Retries(tries=2, first_wait_s=0.0)).submit_to_vexora(body=SUBMISSION)


def test_a_submission_keeps_its_idempotency_key_through_all_tries() -> None:
    shop = Shop(httpx.ReadTimeout("no"), problem("idempotency-in-progress"), good(ACCEPTED, 201))
    honnin = shop.honnin()
    assert honnin.submit_to_vexora(body=SUBMISSION).status is models.VexoraStatus.PENDING
    keys = [each.headers["Idempotency-Key"] for each in shop.got]
    assert len(set(keys)) == 1
    shop.answers = [good(ACCEPTED, 201), good(ACCEPTED, 201)]
    honnin.submit_to_vexora(body=SUBMISSION)
    honnin.submit_to_vexora(body=SUBMISSION, idempotency_key="mine")
    assert shop.got[3].headers["Idempotency-Key"] not in keys
    assert shop.got[4].headers["Idempotency-Key"] == "mine"
    assert "Idempotency-Key" not in _only(Shop(good()), lambda honnin: honnin.get_user("u")).headers


def _only(shop: Shop, call: Callable[[Honnin], object]) -> httpx.Request:
    call(shop.honnin())
    [got] = shop.got
    return got


def test_the_asynchronous_client_does_the_same() -> None:
    shop = Shop(problem("user-busy"), good(), httpx.ReadTimeout("no"))

    async def run() -> None:
        http = httpx.AsyncClient(transport=httpx.MockTransport(shop))
        async with AsyncHonnin(URL, credentials=KEY, http=http, retries=Retries(first_wait_s=0.0)) as honnin:
            assert (await honnin.get_user("shop:1@a")).verified
            with pytest.raises(NoAnswerError):
                await honnin.create_account_link(
                    body=models.AccountLinkRequest(user_id="u", scopes=["a"], return_url="https://shop.example.jp/")
                )

    with pytest.raises(StopIteration):  # without an event loop, which would need a socket
        run().send(None)
    assert shop.got[1].url.raw_path == b"/v1/users/shop%3A1%40a"


# --- webhooks ---

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
CHANGED = {
    "userId": "shop:1@a",
    "provider": "paypay",
    "from": None,
    "to": "VERIFIED",
    "verified": True,
    "verifiedReason": "PAYPAY_VERIFIED",
    "cause": "webhook",
    "version": 1,
    "occurredAt": "2026-11-21T21:42:58.084Z",
    "eventId": "paypay:1",
}


def _signed(body: bytes, at: datetime | None = None) -> dict[str, str]:
    at = at or datetime.now(UTC)
    signature = Webhook(SECRET).sign("msg_1", at, body.decode())
    return {"Webhook-Id": "msg_1", "Webhook-Timestamp": str(int(at.timestamp())), "Webhook-Signature": signature}


def test_a_webhook_of_ours_is_verified_and_typed() -> None:
    event = {"source": "honnin", "detail-type": "KycStatusChanged", "detail": CHANGED}
    body = Message.from_event(json.dumps(event)).body
    webhook = verify(body, _signed(body), SECRET)
    assert (webhook.id, webhook.type) == ("msg_1", "kyc.status.changed")
    assert isinstance(webhook.data, models.KycStatusChangedWebhookData)
    assert (webhook.data.user_id, webhook.data.to, webhook.data.from_) == ("shop:1@a", models.Status.VERIFIED, None)


@pytest.mark.parametrize(
    "content",
    [
        {"type": "brand.new", "data": {"a": 1}},
        {"type": "kyc.status.changed", "data": {"a": 1}},
        {"type": "kyc.status.changed", "data": CHANGED | {"to": 1}},
    ],
)
def test_a_webhook_of_a_newer_honnin_is_verified_with_its_raw_content(content: dict[str, Any]) -> None:
    body = json.dumps(content | {"timestamp": "2026-11-21T21:42:58.084Z"}).encode()
    webhook = verify(body, _signed(body), SECRET)
    assert webhook.data is None
    assert webhook.raw == content["data"]


@pytest.mark.parametrize("fault", ["body", "secret", "old", "headers", "no object"])
def test_anything_else_is_refused(fault: str) -> None:
    body = b"[]" if fault == "no object" else b'{"type": "honnin.test", "timestamp": "", "data": {}}'
    headers = _signed(body, datetime(2026, 1, 1, tzinfo=UTC) if fault == "old" else None)
    secret = "whsec_" + base64.b64encode(b"x" * 32).decode() if fault == "secret" else SECRET
    with pytest.raises(InvalidWebhookError):
        verify(body + b" " if fault == "body" else body, {} if fault == "headers" else headers, secret)
