"""`honnin.paypay.client` over a loopback socket: what is signed and sent, what is tried again, what is raised."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, quote

import pytest

from honnin import http_client
from honnin.errors import (
    MaintenanceError,
    NoLeaseError,
    NotSentError,
    NotUnderstoodError,
    ProviderConfigurationError,
    ProviderError,
    ProviderRefusedError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitedError,
    UserAnswerError,
)
from honnin.http_client import Deadline
from honnin.paypay import client
from honnin.paypay.client import PayPayClient, PayPayPaths
from honnin.paypay.models import AccountLink, KycReading
from honnin.secret_store import PayPayCredentials
from sandbox.paypay.signature import SignedRequest
from tests.fakes import LoopbackServer, Received, Reply
from tests.fakes.pace import FakePace

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

REQUEST_ID = "OPA45F681001AEF4605B2A50939F611F4B8"
PATHS = PayPayPaths("/v1/kyc/info", "/v1/kyc/passport", "/v1/kyc/passport/qr/{codeId}")
OLD = PayPayCredentials("key", "old-secret", "merchant")
ROTATED = PayPayCredentials("key", "new-secret", "merchant")
AUTHORIZATION_ID = "a85fe9e9-b4c9-45cf-a392-834c57d83af7"


@dataclass
class Credentials:
    """Reads PayPay credentials: `cached`, or `stored` once a caller asks to refresh."""

    cached: PayPayCredentials = OLD
    stored: PayPayCredentials = OLD
    refreshes: int = 0

    def __call__(self, *, refresh: bool = False) -> PayPayCredentials:
        if refresh:
            self.refreshes += 1
            self.cached = self.stored
        return self.cached


@dataclass
class World:
    """A client, the server that it speaks to, and the clock that it signs by (a second later each time)."""

    server: LoopbackServer
    credentials: Credentials = field(default_factory=Credentials)
    slept: list[float] = field(default_factory=list)
    seconds: float = 1_774_925_553.7

    def client(
        self, *, tries: int = 1, assume_merchant: str = "", pace: Any = None, total_s: float = 24.0
    ) -> PayPayClient:
        return PayPayClient(
            self.server.url,
            self.credentials,
            paths=PATHS,
            assume_merchant=assume_merchant,
            tries=tries,
            total_s=total_s,
            pace=pace,
            epoch=self._epoch,
            sleep=self.slept.append,
        )

    def _epoch(self) -> float:
        self.seconds += 1
        return self.seconds

    @property
    def last(self) -> Received:
        return self.server.received[-1]


@pytest.fixture
def world() -> Any:
    with LoopbackServer(success()) as server:
        yield World(server)
        http_client.session().close()


def success(data: object = None, status: int = 200) -> Reply:
    return reply("SUCCESS", status, {"status": "COMPLETED"} if data is None else data)


def reply(code: str, status: int, data: object = None, **more: Any) -> Reply:
    body = {"resultInfo": {"code": code, "message": "sorry", "codeId": "08100000"}, "data": data}
    return Reply(status, json.dumps(body).encode(), {"X-REQUEST-ID": REQUEST_ID}, **more)


def answers(world: World, *replies: Reply) -> None:
    world.server.replies.clear()
    world.server.replies.extend(replies)


def is_signed(received: Received, credentials: PayPayCredentials = OLD) -> bool:
    """By the sandbox's independent code, over what came over the wire."""
    scheme, api_key, mac, nonce, epoch, digest = received.headers["authorization"].split(":")
    path = received.path.partition("?")[0]
    signed = SignedRequest(received.method, path, received.headers.get("content-type", ""), received.body)
    return (scheme, api_key, digest, mac) == (
        "hmac OPA-Auth",
        credentials.api_key,
        signed.body_hash(),
        signed.mac(credentials.api_secret, nonce, epoch, digest),
    )


def signature_parts(received: Received) -> tuple[str, str, str]:
    """mac, nonce and epoch."""
    _, _, mac, nonce, epoch, _ = received.headers["authorization"].split(":")
    return mac, nonce, epoch


# --- the calls ---


def test_create_account_link_signs_the_very_bytes_that_it_sends(world: World) -> None:
    answers(world, success({"linkQRCodeURL": "https://qr.example/1", "codeId": "code-1"}, status=201))
    request = {"scopes": ["get_kyc_info"], "kycData": {"lastName": "架空", "b": 1, "a": 2}}
    made = world.client().create_account_link(request)

    assert made == AccountLink("https://qr.example/1", "code-1", REQUEST_ID)
    assert (world.last.method, world.last.path) == ("POST", "/v1/qr/sessions")
    assert world.last.headers["content-type"] == "application/json;charset=UTF-8"
    assert json.loads(world.last.body) == request
    assert "架空".encode() in world.last.body
    assert is_signed(world.last)


def test_kyc_info_names_the_user_in_the_query_which_is_not_signed(world: World) -> None:
    assert world.client().kyc_info("u+1 &=/日", "EKYC") == KycReading({"status": "COMPLETED"}, REQUEST_ID)

    path, _, query = world.last.path.partition("?")
    assert (world.last.method, path, world.last.body) == ("GET", "/v1/kyc/info", b"")
    assert parse_qs(query) == {"userAuthorizationId": ["u+1 &=/日"], "requiredKycType": ["EKYC"]}
    assert "content-type" not in world.last.headers
    assert is_signed(world.last)


def test_kyc_info_without_a_required_type_sends_none(world: World) -> None:
    world.client().kyc_info(AUTHORIZATION_ID)

    assert world.last.path == f"/v1/kyc/info?userAuthorizationId={AUTHORIZATION_ID}"


def test_kyc_passport_names_the_user_in_a_header(world: World) -> None:
    world.client().kyc_passport(AUTHORIZATION_ID)

    assert (world.last.method, world.last.path) == ("GET", "/v1/kyc/passport")
    assert world.last.headers["x-user-authorization-id"] == AUTHORIZATION_ID
    assert is_signed(world.last)


@pytest.mark.parametrize(
    ("code_id", "encoded"),
    [("code-1", "code-1"), ("a/b", "a%2Fb"), ("a b?c#d", "a%20b%3Fc%23d"), ("日", "%E6%97%A5"), ("%2F", "%252F")],
)
def test_the_completed_qr_is_signed_by_its_encoded_path(world: World, code_id: str, encoded: str) -> None:
    world.client().completed_kyc_passport_qr(code_id, "v" * 64, AUTHORIZATION_ID)

    assert (world.last.method, world.last.path) == ("POST", f"/v1/kyc/passport/qr/{encoded}")
    assert json.loads(world.last.body) == {"codeVerifier": "v" * 64, "userAuthorizationId": AUTHORIZATION_ID}
    assert is_signed(world.last)


@pytest.mark.parametrize("user", [AUTHORIZATION_ID, "a/b c", "日本", "x:y@z", "100%", "~a.b_c-d", "a'b(c)*!"])
def test_unlink_signs_what_stands_in_the_request_line(world: World, user: str) -> None:
    assert world.client().unlink(user) == REQUEST_ID

    assert world.last.method == "DELETE"
    assert world.last.path.startswith("/v2/user/authorizations/")
    assert world.last.path.count("/") == 4
    assert is_signed(world.last)


def test_user_authorization_is_read_by_its_documented_names(world: World) -> None:
    data = {"userAuthorizationId": "u", "referenceIds": ["user-1"], "status": "ACTIVE", "scopes": ["a"], "expireAt": 9}
    answers(world, success(data | {"issuedAt": 1, "new": None}))
    reading = world.client().user_authorization(AUTHORIZATION_ID)
    read = reading.found

    assert (reading.http_status, bool(reading.request_id)) == (200, True)
    assert world.last.path == f"/v2/user/authorizations?userAuthorizationId={AUTHORIZATION_ID}"
    assert (read.user_authorization_id, read.reference_ids, read.status) == ("u", ["user-1"], "ACTIVE")
    assert (read.scopes, read.expire_at) == (["a"], 9)
    assert is_signed(world.last)


@pytest.mark.parametrize("merchant", ["", "900000000000000001"])
def test_the_assumed_merchant_is_a_header_or_absent(world: World, merchant: str) -> None:
    world.client(assume_merchant=merchant).kyc_passport(AUTHORIZATION_ID)

    assert world.last.headers.get("x-assume-merchant", "") == merchant
    assert is_signed(world.last)


@pytest.mark.parametrize(
    ("call", "seconds"),
    [
        (lambda paypay: paypay.create_account_link({}), 10.0),
        (lambda paypay: paypay.user_authorization("u"), 15.0),
        (lambda paypay: paypay.unlink("u"), 15.0),
        (lambda paypay: paypay.kyc_info("u"), 15.0),
        (lambda paypay: paypay.kyc_passport("u"), 15.0),
        (lambda paypay: paypay.completed_kyc_passport_qr("c", "v", "u"), 15.0),
    ],
    ids=["link", "authorization", "unlink", "kyc_info", "kyc_passport", "kyc_passport_qr"],
)
def test_each_call_has_its_own_time_out_inside_the_total(
    world: World, monkeypatch: pytest.MonkeyPatch, call: Callable[[PayPayClient], object], seconds: float
) -> None:
    seen: list[tuple[float, float]] = []

    def send(provider: str, _request: object, *, deadline: http_client.Deadline, read_timeout_s: float) -> None:
        seen.append((read_timeout_s, deadline.remaining_s))
        raise ProviderRefusedError(provider, "enough")

    monkeypatch.setattr(http_client, "send", send)
    with pytest.raises(ProviderRefusedError):
        call(world.client())

    assert seen[0][0] == seconds
    # API Gateway ends the call after 29 s.
    assert 15 < seen[0][1] <= 25


# --- answers ---


@pytest.mark.parametrize("status", [200, 201, 203])
def test_a_2xx_with_success_is_a_success(world: World, status: int) -> None:
    answers(world, reply("SUCCESS", status, {"status": "COMPLETED"}))

    assert world.client().kyc_info("u").data == {"status": "COMPLETED"}


@pytest.mark.parametrize(
    ("code", "status"), [("REQUEST_ACCEPTED", 202), ("REQUEST_ACCEPTED", 200), ("SUCCESS", 202), ("A_NEW_CODE", 202)]
)
@pytest.mark.parametrize(
    "call",
    [
        lambda paypay: paypay.kyc_info("u"),
        lambda paypay: paypay.unlink("u"),
        lambda paypay: paypay.user_authorization("u"),
        lambda paypay: paypay.create_account_link({}),
    ],
    ids=["kyc_info", "unlink", "authorization", "link"],
)
def test_what_was_only_accepted_is_not_done(
    world: World, call: Callable[[PayPayClient], object], code: str, status: int
) -> None:
    answers(world, reply(code, status, {"status": "ACTIVE", "linkQRCodeURL": "https://qr.example/1"}))

    with pytest.raises(ProviderUnavailableError):
        call(world.client())


@pytest.mark.parametrize("code", ["KYC ok", None, True, ["SUCCESS"], {}, "", "x" * 65])
def test_a_success_with_what_is_no_code_is_not_understood(world: World, code: Any) -> None:
    answers(world, reply(code, 200, {"status": "COMPLETED"}))

    with pytest.raises(NotUnderstoodError):
        world.client().kyc_info("u")


@pytest.mark.parametrize("code", ["KYC_UNDER_REVIEW", "A_NEW_CODE", 4711, "success"])
def test_a_success_with_a_code_of_no_table_is_what_paypay_says_of_a_kyc(world: World, code: Any) -> None:
    answers(world, reply(code, 200, {"status": "COMPLETED"}))
    read = world.client().kyc_info("u")
    assert (read.http_status, read.code, read.data) == (200, str(code), {"status": "COMPLETED"})

    answers(world, reply(code, 200, {"status": "ACTIVE"}))
    with pytest.raises(NotUnderstoodError):
        world.client().user_authorization("u")


@pytest.mark.parametrize("code", ["REQUEST_ACCEPTED", "SUCCESS", "A_NEW_CODE"])
@pytest.mark.parametrize(
    "call",
    [
        lambda paypay: paypay.kyc_info("u"),
        lambda paypay: paypay.kyc_passport("u"),
        lambda paypay: paypay.completed_kyc_passport_qr("c", "v", "u"),
        lambda paypay: paypay.user_authorization("u"),
        lambda paypay: paypay.unlink("u"),
    ],
)
def test_accepted_is_not_done(world: World, call: Callable[[PayPayClient], object], code: str) -> None:
    answers(world, reply(code, 202, {"status": "COMPLETED"}))

    with pytest.raises(ProviderUnavailableError):
        call(world.client())


@pytest.mark.parametrize("data", [None, [], "text", 1, True, [{"status": "COMPLETED"}], {}])
@pytest.mark.parametrize(
    "call",
    [
        lambda paypay: paypay.user_authorization("u"),
        lambda paypay: paypay.create_account_link({}),
    ],
    ids=["authorization", "link"],
)
def test_data_of_another_type_is_not_understood(
    world: World, call: Callable[[PayPayClient], object], data: object
) -> None:
    answers(world, reply("SUCCESS", 200, data))

    with pytest.raises(NotUnderstoodError):
        call(world.client())


@pytest.mark.parametrize("data", [None, [], "text", 1, True, [{"status": "COMPLETED"}], {}])
def test_a_kyc_without_an_object_comes_back_as_one_without_data(world: World, data: object) -> None:
    answers(world, reply("SUCCESS", 200, data))
    assert world.client().kyc_info("u").data == {}


@pytest.mark.parametrize("data", [None, [], "text", {}])
def test_an_unlink_needs_no_data(world: World, data: object) -> None:
    answers(world, reply("SUCCESS", 200, data))

    assert world.client().unlink("u") == REQUEST_ID


@pytest.mark.parametrize(
    ("code_id", "kept"), [("c", "c"), (17, "17"), (None, None), ("", None), ({"a": 1}, None), (["c"], None)]
)
def test_a_code_id_is_a_text(world: World, code_id: object, kept: str | None) -> None:
    answers(world, success({"linkQRCodeURL": "https://qr.example/1", "codeId": code_id}))

    assert world.client().create_account_link({}).code_id == kept


@pytest.mark.parametrize(
    ("expire_at", "read"),
    [
        (1_774_925_553, 1_774_925_553),
        ("1774925553", 1_774_925_553),
        (1_774_925_553_123, 1_774_925_553),
        (1_774_925_553.0, 1_774_925_553),
        (1_774_925_553_123.5, 1_774_925_553),
        (None, None),
        ("never", None),
        (0, None),
        (-1, None),
        (10**40, None),
        (True, None),
        ({}, None),
    ],
)
def test_an_expiry_that_is_no_time_does_not_spoil_the_reading(
    world: World, expire_at: object, read: int | None
) -> None:
    answers(world, success({"status": "ACTIVE", "userAuthorizationId": 7, "scopes": None, "expireAt": expire_at}))
    found = world.client().user_authorization("u").found

    assert (found.status, found.user_authorization_id, found.scopes, found.expire_at) == ("ACTIVE", "7", [], read)


_UNCLEAN = [
    pytest.param("\ufeff%s".encode(), b"ok", id="BOM"),
    pytest.param(b"%s", "認証".encode("shift_jis"), id="Shift_JIS"),
    pytest.param(b"%s", "表".encode("shift_jis"), id="Shift_JIS with a backslash"),
    pytest.param(b"%s", "成".encode()[:-1], id="cut in a character"),
    pytest.param(b"%s", b"\\ud800", id="half a pair"),
    pytest.param(b"%s", b"a\nb", id="a line break"),
]


@pytest.mark.parametrize(("form", "message"), _UNCLEAN)
def test_what_decides_is_read_beside_a_message_that_is_not_clean(world: World, form: bytes, message: bytes) -> None:
    def answer(status: int, code: bytes) -> Reply:
        body = b'{"resultInfo":{"message":"' + message + b'","code":"' + code + b'"},"data":{"name":"\\udc00x"}}'
        return Reply(status, form.replace(b"%s", body), {"X-REQUEST-ID": REQUEST_ID})

    answers(world, answer(200, b"SUCCESS"), answer(400, b"KYC_UPDATE_REQUIRED"))
    read = world.client().kyc_info("u")
    assert json.dumps(read.data, ensure_ascii=False).encode()
    assert read.data == {"name": "\ufffdx"}
    with pytest.raises(UserAnswerError) as caught:
        world.client().kyc_info("u")
    assert caught.value.code == "KYC_UPDATE_REQUIRED"


@pytest.mark.parametrize(
    "body",
    [
        b'{"resultInfo":{"code":"SUCCESS","code":"CANCELED_USER"},"data":{"status":"x"}}',
        b'{"resultInfo":{"code":"SUCCESS"},"resultInfo":{"code":"CANCELED_USER"},"data":{"status":"x"}}',
    ],
)
def test_an_answer_that_contradicts_itself_is_not_understood(world: World, body: bytes) -> None:
    answers(world, Reply(200, body))
    with pytest.raises(NotUnderstoodError):
        world.client().kyc_info("u")


def test_a_kyc_that_is_given_twice_is_none(world: World) -> None:
    answers(world, Reply(200, b'{"resultInfo":{"code":"SUCCESS"},"data":{"status":"x"},"data":{"status":"y"}}'))
    assert world.client().kyc_info("u").data == {}


def test_the_data_comes_back_as_it_came(world: World) -> None:
    data = {"unknown": [1, None, {"é": "架空"}], "status": None, "expiryDate": "2029-03-31"}
    answers(world, success(data))

    assert world.client().kyc_info("u").data == data


def test_a_code_of_the_document_is_taken_whatever_the_http_status(world: World) -> None:
    answers(world, reply("UNACCEPTABLE_OP", 200, {"status": "x"}))

    with pytest.raises(UserAnswerError):
        world.client().kyc_passport("u")


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"null", b'{"data": {}}', b'{"resultInfo": null}', b'{"resultInfo": {}}', b'{"resultInfo"'],
)
def test_a_success_that_is_not_the_documented_json_is_retryable(world: World, body: bytes) -> None:
    answers(world, Reply(200, body, {"X-REQUEST-ID": REQUEST_ID}))
    with pytest.raises(ProviderUnavailableError) as caught:
        world.client().kyc_info("u")

    assert caught.value.request_id == REQUEST_ID
    assert body.decode() not in str(caught.value) or not body


@pytest.mark.parametrize("data", [{}, {"linkQRCodeURL": ""}, {"linkQRCodeURL": None}, {"linkQRCodeURL": 1}])
def test_a_success_without_the_qr_url_is_retryable(world: World, data: object) -> None:
    answers(world, success(data))
    with pytest.raises(NotUnderstoodError, match="linkQRCodeURL"):
        world.client().create_account_link({})


def test_an_authorization_without_a_status_is_retryable(world: World) -> None:
    answers(world, success({"scopes": []}))
    with pytest.raises(ProviderUnavailableError):
        world.client().user_authorization("u")


def test_the_request_id_is_kept_on_an_error_cut_to_its_documented_length(world: World) -> None:
    answers(world, replace(reply("KYC_NOT_COMPLETED", 400), headers={"x-request-id": "R" * 80}))
    with pytest.raises(UserAnswerError) as caught:
        world.client().kyc_info("u")

    assert (caught.value.http_status, caught.value.code, caught.value.request_id) == (
        400,
        "KYC_NOT_COMPLETED",
        "R" * 64,
    )


def test_an_error_without_a_request_id_says_so(world: World) -> None:
    answers(world, replace(reply("KYC_NOT_COMPLETED", 400), headers={}))
    with pytest.raises(UserAnswerError) as caught:
        world.client().kyc_info("u")

    assert caught.value.request_id is None


@pytest.mark.parametrize("code", ["A_NEW_CODE", 4711])
def test_an_unknown_code_is_kept_verbatim(world: World, code: Any) -> None:
    answers(world, reply(code, 400))
    with pytest.raises(ProviderRefusedError) as caught:
        world.client().kyc_info("u")

    assert (type(caught.value), caught.value.code) == (ProviderRefusedError, str(code))


def test_a_redirect_is_not_followed(world: World) -> None:
    answers(world, Reply(302, b"", {"Location": world.server.url + "/elsewhere"}))
    with pytest.raises(ProviderUnavailableError):
        world.client().kyc_info("u")

    assert len(world.server.received) == 1


# --- tries ---

RETRYABLE = [
    (reply("SERVICE_ERROR", 500), ProviderUnavailableError),
    (reply("INTERNAL_SERVER_ERROR", 500), ProviderUnavailableError),
    (Reply(502, b"Bad Gateway"), ProviderUnavailableError),
    (Reply(503, b"Unavailable"), ProviderUnavailableError),
    (Reply(504, b"Gateway Timeout"), ProviderUnavailableError),
    (Reply(instead="reset"), ProviderTimeoutError),
    (Reply(instead="close"), ProviderTimeoutError),
    (Reply(200, b'{"resultInfo": {"code": "SUCC'), NotUnderstoodError),
]
RETRYABLE_IDS = ["service_error", "internal", "502", "503", "504", "reset", "closed", "malformed"]


@pytest.mark.parametrize(("failing", "kind"), RETRYABLE, ids=RETRYABLE_IDS)
def test_a_retryable_failure_is_tried_three_times_in_all(
    world: World, failing: Reply, kind: type[ProviderError]
) -> None:
    answers(world, failing)
    with pytest.raises(kind) as caught:
        world.client(tries=3).kyc_info("u")

    assert type(caught.value) is kind
    assert len(world.server.received) == 3
    assert len(world.slept) == 2
    # Jitter: half to one and a half of 0.4 s, then of 0.8 s.
    assert 0.2 <= world.slept[0] <= 0.6 <= world.slept[1] + 0.2 <= 1.4


@pytest.mark.parametrize(("failing", "kind"), RETRYABLE, ids=RETRYABLE_IDS)
def test_a_success_on_the_third_try_is_a_success(world: World, failing: Reply, kind: type[ProviderError]) -> None:
    answers(world, failing, failing, success())

    assert world.client(tries=3).kyc_info("u").data == {"status": "COMPLETED"}


@pytest.mark.parametrize(
    "refused", [reply("RATE_LIMIT", 429), Reply(429, b"<html>slow down</html>"), reply("SUCCESS", 429, {})]
)
def test_too_many_requests_are_told_and_not_made_more(world: World, refused: Reply) -> None:
    pace = FakePace()
    answers(world, Reply(refused.status, refused.body, {"Retry-After": "7"}))
    with pytest.raises(RateLimitedError) as caught:
        world.client(tries=3, pace=pace).kyc_info("u")

    assert (pace.calls, pace.reported, caught.value.retry_after) == (1, ["7"], "7")
    assert len(world.server.received) == 1


def test_every_try_takes_its_turn_and_other_failures_slow_nobody_down(world: World) -> None:
    pace = FakePace()
    answers(world, reply("SERVICE_ERROR", 500))
    with pytest.raises(ProviderUnavailableError):
        world.client(tries=3, pace=pace).kyc_info("u")

    assert (pace.calls, pace.reported) == (3, [])


def test_a_turn_is_no_part_of_the_time_for_the_call(world: World) -> None:
    pace = FakePace(waits_s=0.5)
    answers(world, success())
    assert world.client(pace=pace, total_s=0.4).kyc_info("u").code == "SUCCESS"


def test_without_a_turn_nothing_is_sent(world: World) -> None:
    pace = FakePace(error=NoLeaseError("paypay", "no room"))
    with pytest.raises(NotSentError):
        world.client(tries=3, pace=pace).kyc_info("u")

    assert (pace.calls, len(world.server.received)) == (1, 0)


def test_every_try_is_signed_anew(world: World) -> None:
    answers(world, reply("SERVICE_ERROR", 500))
    with pytest.raises(ProviderUnavailableError):
        world.client(tries=3).completed_kyc_passport_qr("c", "v", "u")

    parts = [signature_parts(received) for received in world.server.received]
    assert all(is_signed(received) for received in world.server.received)
    assert [len({part[index] for part in parts}) for index in range(3)] == [3, 3, 3]
    assert [int(epoch) for _, _, epoch in parts] == [1_774_925_554, 1_774_925_555, 1_774_925_556]
    assert all(len(nonce) == 8 and nonce.isalnum() for _, nonce, _ in parts)


@pytest.mark.parametrize(
    "call",
    [
        lambda paypay: paypay.kyc_info("u"),
        lambda paypay: paypay.unlink("u"),
        lambda paypay: paypay.completed_kyc_passport_qr("c", "v", "u"),
    ],
    ids=["kyc_info", "unlink", "kyc_passport_qr"],
)
@pytest.mark.parametrize("death", ["reset", "close"])
def test_one_dead_connection_is_survived_by_a_request_signed_anew(
    world: World, call: Callable[[PayPayClient], object], death: Any
) -> None:
    answers(world, success(), Reply(instead=death), success())
    world.client().kyc_info("first")
    call(world.client())

    dead, sent_again = world.server.received[1:]
    assert (dead.connection, sent_again.connection) == (1, 2)
    assert is_signed(dead)
    assert is_signed(sent_again)
    assert not set(signature_parts(dead)) & set(signature_parts(sent_again))


def test_a_last_try_that_was_not_sent_does_not_undo_the_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(world, Reply(instead="reset"))

    def unknown(*_: object, **__: object) -> object:
        raise OSError("no such name")

    paypay = world.client(tries=2)
    monkeypatch.setattr(paypay, "_sleep", lambda _: monkeypatch.setattr("socket.getaddrinfo", unknown))
    with pytest.raises(ProviderTimeoutError):
        paypay.create_account_link({})

    with pytest.raises(NotSentError):
        paypay.create_account_link({})


def test_one_try_means_one_call(world: World) -> None:
    answers(world, reply("SERVICE_ERROR", 500))
    with pytest.raises(ProviderUnavailableError):
        world.client(tries=1).kyc_info("u")

    assert (len(world.server.received), world.slept) == (1, [])


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply("MAINTENANCE_MODE", 503), MaintenanceError),
        (reply("KYC_NOT_COMPLETED", 400), UserAnswerError),
        (reply("INVALID_PARAMS", 400), ProviderRefusedError),
        (reply("OP_OUT_OF_SCOPE", 401), ProviderConfigurationError),
        (reply("A_NEW_CODE", 403), ProviderRefusedError),
    ],
    ids=["maintenance", "about the user", "refused", "out of scope", "unknown"],
)
def test_what_no_repeat_can_mend_is_asked_once(world: World, answer: Reply, kind: type[ProviderError]) -> None:
    answers(world, answer)
    with pytest.raises(kind):
        world.client(tries=3).kyc_info("u")

    assert (len(world.server.received), world.slept) == (1, [])


# --- the deadline ---


def test_a_silent_peer_ends_at_the_total_deadline_and_is_not_asked_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "Deadline", lambda _seconds: Deadline(0.5))
    answers(world, Reply(wait_s=20))
    begun = time.monotonic()
    with pytest.raises(ProviderTimeoutError):
        world.client(tries=3).kyc_info("u")

    assert time.monotonic() - begun < 1.5
    assert len(world.server.received) == 1


def test_no_further_try_begins_without_time_for_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "Deadline", lambda _seconds: Deadline(1.1))
    answers(world, reply("SERVICE_ERROR", 500))
    with pytest.raises(ProviderUnavailableError):
        world.client(tries=3).kyc_info("u")

    assert (len(world.server.received), world.slept) == (1, [])


# --- credentials ---


@pytest.mark.parametrize("refusal", [reply("UNAUTHORIZED", 401), Reply(401, b"")], ids=["code", "no body"])
def test_a_rotated_secret_is_read_again_once_and_used(world: World, refusal: Reply) -> None:
    world.credentials.stored = ROTATED
    answers(world, refusal, success())
    world.client(tries=3).kyc_info("u")

    assert world.credentials.refreshes == 1
    assert [is_signed(received, ROTATED) for received in world.server.received] == [False, True]
    assert signature_parts(world.server.received[0])[1] != signature_parts(world.server.received[1])[1]


def test_the_new_secret_refused_as_well_is_a_fault(world: World) -> None:
    world.credentials.stored = ROTATED
    answers(world, reply("UNAUTHORIZED", 401))
    with pytest.raises(ProviderConfigurationError):
        world.client(tries=3).kyc_info("u")

    assert (world.credentials.refreshes, len(world.server.received)) == (1, 2)


def test_the_same_secret_is_not_sent_twice(world: World) -> None:
    answers(world, reply("UNAUTHORIZED", 401))
    with pytest.raises(ProviderConfigurationError):
        world.client(tries=3).kyc_info("u")

    assert (world.credentials.refreshes, len(world.server.received)) == (1, 1)


@pytest.mark.parametrize("code", ["OP_OUT_OF_SCOPE", "EXPIRED_USER_AUTHORIZATION_ID", "EXPECTATION_FAILED"])
def test_other_refusals_do_not_read_the_secret_again(world: World, code: str) -> None:
    world.credentials.stored = ROTATED
    answers(world, reply(code, 401))
    with pytest.raises(ProviderRefusedError):
        world.client(tries=3).kyc_info("u")

    assert (world.credentials.refreshes, len(world.server.received)) == (0, 1)


def test_every_failure_is_logged_with_its_request_id_and_without_its_text(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    said = f"{AUTHORIZATION_ID} of 架空 花子 is not ready"
    body = json.dumps({"resultInfo": {"code": "SERVICE_ERROR", "message": said}}, ensure_ascii=False).encode()
    answers(world, Reply(500, body, {"x-ReQuEsT-iD": "OPA77\t" + "7" * 90}), success())
    world.client(tries=2).kyc_info(AUTHORIZATION_ID)
    out = capsys.readouterr().out
    (line,) = [json.loads(each) for each in out.splitlines()]

    assert (line["http_status"], line["code"]) == (500, "SERVICE_ERROR")
    assert line["request_id"] == "OPA77" + "7" * 59
    assert AUTHORIZATION_ID not in out
    assert "架空" not in out


def test_no_error_repeats_an_id_a_secret_or_a_signature(world: World) -> None:
    for answer in (reply("UNAUTHORIZED", 401), reply("SERVICE_ERROR", 500), Reply(instead="reset"), Reply(200, b"x")):
        answers(world, answer)
        with pytest.raises(ProviderError) as caught:
            world.client().kyc_info(AUTHORIZATION_ID)
        printed = f"{caught.value} {caught.value!r} {caught.value.facts()}"
        marks = (AUTHORIZATION_ID, OLD.api_secret, signature_parts(world.last)[0])
        assert not [mark for mark in marks if mark in printed]


@pytest.mark.parametrize(
    "call",
    [
        lambda client, named: client.user_authorization(named),
        lambda client, named: client.unlink(named),
        lambda client, named: client.kyc_info(named),
        lambda client, named: client.kyc_passport(named),
        lambda client, named: client.completed_kyc_passport_qr("code-1", "v-e-r-i-f-i-e-r", named),
    ],
)
@pytest.mark.parametrize("named", [AUTHORIZATION_ID, "uaid/of:hanako", "AUTHORIZATIONWITHOUTDIGITS"])
def test_a_message_never_repeats_the_authorization(
    world: World, call: Callable[[PayPayClient, str], object], named: str
) -> None:
    said = f"bad: [{named}] [{quote(named, safe='')}] verifier v-e-r-i-f-i-e-r"
    answers(world, Reply(400, json.dumps({"resultInfo": {"code": "INVALID_PARAMS", "message": said}}).encode()))
    with pytest.raises(ProviderRefusedError) as caught:
        call(world.client(), named)
    assert caught.value.message.startswith("bad: [***] [***]")
    assert not [each for each in (named, quote(named, safe="")) if each in caught.value.message]


def test_a_message_never_repeats_the_code_verifier(world: World) -> None:
    answers(
        world, Reply(400, b'{"resultInfo": {"code": "INVALID_PARAMS", "message": "codeVerifier abcDEFgh-ijk is bad"}}')
    )
    with pytest.raises(ProviderRefusedError) as caught:
        world.client().completed_kyc_passport_qr("code-1", "abcDEFgh-ijk", AUTHORIZATION_ID)
    assert caught.value.message == "codeVerifier *** is bad"
