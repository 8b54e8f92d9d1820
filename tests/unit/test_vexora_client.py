"""`VexoraClient` against a peer on 127.0.0.1: every class of outcome, and what really goes over the wire."""

import json
import re
from email import message_from_bytes
from typing import Any

import pytest

from honnin.errors import (
    NoLeaseError,
    NotSentError,
    NotUnderstoodError,
    ProviderError,
    ProviderRefusedError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitedError,
)
from honnin.http_client import Deadline
from honnin.secret_store import VexoraCredentials
from honnin.vexora import client as client_module
from honnin.vexora.client import VexoraClient
from honnin.vexora.models import Reading
from sandbox.vexora.signature import is_signed
from tests.fakes import FakeClock, FakeCredentials, LoopbackServer, Received, Reply
from tests.fakes.pace import FakePace

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

USER = "user-1"
CALLBACK = "https://merchant.example.com/webhooks/vexora/kyc-result/sub-1/token"
OLD = VexoraCredentials("1027749636", "old-secret")
NEW = VexoraCredentials("1027749636", "new-secret")


def answer(status: object = "0", *, user_id: object = USER, http: int = 200, **members: Any) -> Reply:
    body = {
        "msg": "success",
        "code": "0000",
        "timestamp": 1728609277476,
        "success": True,
        "data": {"userId": user_id, "authenticationStatus": status, "message": "ok"},
        **members,
    }
    return Reply(http, json.dumps(body).encode(), {"Content-Type": "application/json", "X-REQUEST-ID": "r-1"})


def vexora(peer: LoopbackServer, credentials: FakeCredentials | None = None) -> VexoraClient:
    return VexoraClient(f"{peer.url}/japan", credentials or FakeCredentials(), FakeClock().epoch_ms)


def reading(*replies: Reply) -> Reading:
    with LoopbackServer(*replies) as peer:
        return vexora(peer).query_status(USER)


def query(*replies: Reply) -> str:
    return reading(*replies).status


def failure(*replies: Reply) -> ProviderError:
    """The error of a query; `apply` goes through the same code."""
    with pytest.raises(ProviderError) as caught:
        query(*replies)
    assert caught.value.provider == "vexora"
    return caught.value


def form(request: Received) -> dict[str, str]:
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    parts: dict[str, str] = {}
    for part in message_from_bytes(head + request.body).walk():
        if part.get_content_maintype() == "multipart":
            continue
        disposition = str(part["Content-Disposition"])
        assert "filename" not in disposition
        name = re.search(r'name="([^"]+)"', disposition)
        payload = part.get_payload(decode=True)
        assert name
        assert isinstance(payload, bytes)
        assert name[1] not in parts
        parts[name[1]] = payload.decode("utf-8")
    return parts


# What is sent


def test_apply_sends_a_signed_multipart_form_without_empty_fields() -> None:
    with LoopbackServer(answer("0")) as peer:
        found = vexora(peer).apply(user_id=USER, username_furigana="テスト ハナコ", callback_url=CALLBACK)
    assert found == Reading("0", None, "r-1")
    (request,) = peer.received
    assert (request.method, request.path) == ("POST", "/japan/v1/vexora/kycApplyFor")
    assert request.headers["merchantno"] == "1027749636"
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
    fields = form(request)
    sign = fields["sign"]
    assert fields == {
        "userId": USER,
        "callBackUrl": CALLBACK,
        "usernameFurigana": "テスト ハナコ",
        "timestamp": str(FakeClock().epoch_ms()),
        "sign": sign,
    }
    assert all(fields.values())
    # The sandbox's code was written from the provider's document alone.
    assert is_signed(fields, "test_app_secret")


def test_query_sends_signed_json() -> None:
    with LoopbackServer(answer("1")) as peer:
        assert vexora(peer).query_status(USER).status == "1"
    (request,) = peer.received
    assert (request.method, request.path) == ("POST", "/japan/v1/vexora/kycStatusQuery")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["merchantno"] == "1027749636"
    fields = json.loads(request.body)
    assert set(fields) == {"sign", "timestamp", "userId"}
    assert all(isinstance(value, str) and value for value in fields.values())
    assert re.fullmatch(r"\d{13}", fields["timestamp"])
    assert is_signed(fields, "test_app_secret")


def test_the_app_secret_and_the_merchant_number_are_not_in_the_body() -> None:
    with LoopbackServer(answer()) as peer:
        vexora(peer).apply(user_id=USER, username_furigana="テスト", callback_url=CALLBACK)
    assert b"test_app_secret" not in peer.received[0].body
    assert b"1027749636" not in peer.received[0].body


def test_the_real_clock_counts_milliseconds() -> None:
    with LoopbackServer(answer()) as peer:
        VexoraClient(peer.url, FakeCredentials()).query_status(USER)
    assert re.fullmatch(r"1[0-9]{12}", json.loads(peer.received[0].body)["timestamp"])


# What is read


@pytest.mark.parametrize("status", ["0", "1", "2", "3"])
@pytest.mark.parametrize("kind", [str, int])
def test_a_status_as_text_or_number(status: str, kind: type) -> None:
    assert query(answer(kind(status))) == status


def test_any_2xx_is_a_success() -> None:
    assert query(answer("2", http=201)) == "2"


def test_a_user_id_of_digits_may_come_as_a_number() -> None:
    with LoopbackServer(answer("2", user_id=100008)) as peer:
        assert vexora(peer).query_status("100008").status == "2"


def refusal(code: object = "4004", *, http: int = 200, **members: Any) -> Reply:
    """As the sandbox refuses."""
    return answer(http=http, **{"code": code, "msg": "user not found", "success": False, "data": None, **members})


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(answer("4"), id="a status of 4"),
        pytest.param(answer(-1), id="a negative status"),
        pytest.param(answer(""), id="an empty status"),
        pytest.param(answer(None), id="a null status"),
        pytest.param(answer(True), id="a boolean status"),
        pytest.param(answer("APPROVED"), id="a word as status"),
        pytest.param(answer(data=None), id="no data"),
        pytest.param(answer(data=[]), id="data of another shape"),
        pytest.param(answer(data={"userId": USER}), id="data without a status"),
    ],
)
def test_a_success_that_does_not_say_this_users_status_is_not_understood(reply: Reply) -> None:
    error = failure(reply)
    assert type(error) is NotUnderstoodError
    assert (error.http_status, error.code, error.request_id) == (200, "0000", "r-1")


CONTRADICTIONS = {
    "success false": answer("2", success=False),
    "success as the text false": answer("2", success="false"),
    "success as 0": answer("2", success=0),
    "success that is neither": answer("2", success={}),
    "a msg that says failure": answer("2", msg="fail"),
    "a failing code with success": answer("2", code="4004", msg="no"),
    "a failing code with msg success": answer("2", code="4004", success=None),
    "two statuses": answer("2", authenticationStatus="3"),
    "approved with a failReason": answer(data={"authenticationStatus": "2", "failReason": "another face"}),
    "a 500 with code 0000": answer("2", http=500),
    "a 404 with code 0000": answer("2", http=404),
    "a 302 with code 0000": answer("2", http=302),
    "a 302 with a failing code": refusal(http=302),
}


@pytest.mark.parametrize("reply", CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_an_answer_that_contradicts_itself_is_not_understood_and_raises_nobody(reply: Reply) -> None:
    error = failure(reply)
    assert type(error) is NotUnderstoodError
    assert error.retryable


def test_the_published_answer_to_the_query_is_a_reading() -> None:
    assert reading(answer(data={"authenticationStatus": "2"})) == Reading("2", None, "r-1")
    rejected = answer(data={"authenticationStatus": "3", "failReason": "the picture is blurred"})
    assert reading(rejected) == Reading("3", "the picture is blurred", "r-1")


@pytest.mark.parametrize(
    ("named", "differs"), [(USER, False), (None, False), ("user-2", True), ("USER-1", True), (7, True), ([], False)]
)
def test_another_user_in_the_answer_is_counted_and_no_failure(
    named: object, differs: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert query(answer("2", user_id=named)) == "2"
    assert ("AnsweredUserDiffers" in capsys.readouterr().out) is differs


def test_the_reason_is_in_no_log_and_no_repr(capsys: pytest.CaptureFixture[str]) -> None:
    found = reading(answer(data={"authenticationStatus": "3", "failReason": "marked", "userId": "other"}))
    assert "marked" not in repr(found) + "".join(capsys.readouterr())


@pytest.mark.parametrize("code", ["8000", 8000])
def test_a_system_error_is_unclear(code: object) -> None:
    error = failure(refusal(code, msg="system error"))
    assert type(error) is ProviderUnavailableError
    assert (error.code, error.message, error.request_id) == ("8000", "system error", "r-1")


@pytest.mark.parametrize("code", ["4004", "1001", 4004, "ERR"])
@pytest.mark.parametrize("success", [False, "false", 0, None])
def test_every_other_code_is_a_refusal_with_the_providers_own_words(code: object, success: object) -> None:
    error = failure(refusal(code, success=success))
    assert type(error) is ProviderRefusedError
    assert not error.retryable
    assert (error.http_status, error.code, error.message) == (200, str(code), "user not found")


def test_an_approval_inside_a_refusal_is_not_read() -> None:
    assert type(failure(refusal(data={"authenticationStatus": "2"}))) is ProviderRefusedError


@pytest.mark.parametrize("body", [b'{"code": "0000"}', b'{"code": "4000", "msg": "no"}', b"<html>no</html>", b""])
def test_429_is_a_rate_limit_whatever_its_body(body: bytes) -> None:
    error = failure(Reply(429, body))
    assert type(error) is RateLimitedError
    assert error.http_status == 429


def test_a_long_message_is_cut() -> None:
    assert failure(refusal(msg="x" * 5000)).message == "x" * 200


@pytest.mark.parametrize("status", [400, 404, 405, 409, 413, 415, 422])
@pytest.mark.parametrize("body", [b'{"code": "4000", "msg": "no"}', b"<html>no</html>", b""])
def test_a_4xx_is_a_refusal_whatever_its_body(status: int, body: bytes) -> None:
    error = failure(Reply(status, body))
    assert type(error) is ProviderRefusedError
    assert error.http_status == status


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
@pytest.mark.parametrize("body", [b'{"code": "4000", "msg": "no"}', b"<html>no</html>", b""])
def test_overload_and_server_errors_are_unclear_whatever_their_body(status: int, body: bytes) -> None:
    error = failure(Reply(status, body))
    assert type(error) is ProviderUnavailableError
    assert error.http_status == status


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="broken"),
        pytest.param(b"OK", id="not JSON"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"{}", id="no code"),
        pytest.param(b'{"code": "0000", "data": {"userId": "\xff"}}', id="not UTF-8"),
        pytest.param(b"[" * 100_000, id="nested without end"),
    ],
)
def test_a_200_that_cannot_be_read_is_not_understood(body: bytes) -> None:
    error = failure(Reply(200, body))
    assert type(error) is NotUnderstoodError
    assert error.http_status == 200


def test_a_huge_answer_is_unclear() -> None:
    assert type(failure(Reply(200, b" " * (1024 * 1024 + 1)))) is ProviderUnavailableError


def test_a_redirect_is_unclear_and_the_signed_request_goes_nowhere_else() -> None:
    with LoopbackServer(answer("2")) as elsewhere:
        error = failure(Reply(302, b"", {"Location": elsewhere.url}))
        assert elsewhere.received == []
    assert type(error) is NotUnderstoodError


def test_a_reset_is_a_timeout_and_not_repeated() -> None:
    with LoopbackServer(Reply(instead="reset")) as peer:
        with pytest.raises(ProviderTimeoutError):
            vexora(peer).apply(user_id=USER, username_furigana="テスト", callback_url=CALLBACK)
        assert len(peer.received) == 1


def test_silence_is_a_timeout_within_the_total_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "Deadline", lambda _seconds: Deadline(0.2))
    assert type(failure(Reply(wait_s=30))) is ProviderTimeoutError


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_failing_apply_is_tried_once_only(status: int) -> None:
    with LoopbackServer(Reply(status)) as peer:
        with pytest.raises(ProviderUnavailableError):
            vexora(peer).apply(user_id=USER, username_furigana="テスト", callback_url=CALLBACK)
        assert len(peer.received) == 1


# Rotated credentials


@pytest.mark.parametrize("status", [401, 403])
def test_after_a_401_the_secret_is_read_anew_and_the_call_signed_anew(status: int) -> None:
    clock = FakeClock()
    moments = iter([clock.epoch_ms(), clock.epoch_ms() + 7])
    credentials = FakeCredentials(cached=OLD, stored=NEW)
    with LoopbackServer(Reply(status), answer("2")) as peer:
        client = VexoraClient(peer.url, credentials, lambda: next(moments))
        assert client.query_status(USER).status == "2"
    first, second = (json.loads(request.body) for request in peer.received)
    assert is_signed(first, "old-secret")
    assert is_signed(second, "new-secret")
    assert int(second["timestamp"]) - int(first["timestamp"]) == 7
    assert credentials.reads == [False, True]


def test_a_rotated_merchant_number_goes_into_the_header() -> None:
    credentials = FakeCredentials(cached=OLD, stored=VexoraCredentials("2000000000", "old-secret"))
    with LoopbackServer(Reply(401), answer("2")) as peer:
        vexora(peer, credentials).query_status(USER)
    assert [request.headers["merchantno"] for request in peer.received] == ["1027749636", "2000000000"]


@pytest.mark.parametrize("status", [401, 403])
def test_with_the_same_secret_the_call_is_not_repeated(status: int) -> None:
    credentials = FakeCredentials(cached=OLD, stored=OLD)
    with LoopbackServer(Reply(status, b'{"code": "1001", "msg": "sign error"}')) as peer:
        with pytest.raises(ProviderRefusedError) as caught:
            vexora(peer, credentials).query_status(USER)
        assert len(peer.received) == 1
    assert (caught.value.http_status, caught.value.code) == (status, "1001")


def test_the_secret_is_read_anew_once_only() -> None:
    credentials = FakeCredentials(cached=OLD, stored=NEW)
    with LoopbackServer(Reply(401)) as peer:
        with pytest.raises(ProviderRefusedError):
            vexora(peer, credentials).query_status(USER)
        assert len(peer.received) == 2
    assert credentials.reads == [False, True]


def test_check_configuration_reads_the_credentials_and_sends_nothing() -> None:
    credentials = FakeCredentials()
    with LoopbackServer() as peer:
        vexora(peer, credentials).check_configuration()
        assert peer.connections == 0
    assert credentials.reads == [False]


def test_a_refusal_with_a_null_message_is_a_refusal() -> None:
    assert type(failure(refusal(msg=None))) is ProviderRefusedError


def test_a_system_error_inside_a_4xx_is_unclear() -> None:
    assert type(failure(refusal("8000", http=400))) is ProviderUnavailableError


# Not sent


def test_an_application_that_meets_nobody_is_not_sent() -> None:
    with LoopbackServer() as peer:
        url = peer.url
    with pytest.raises(NotSentError):
        VexoraClient(url, FakeCredentials()).apply(user_id=USER, username_furigana="テスト", callback_url=CALLBACK)


def test_an_application_goes_out_on_a_connection_of_its_own() -> None:
    with LoopbackServer(answer(), answer(), answer()) as peer:
        client = vexora(peer)
        client.query_status(USER)
        client.apply(user_id=USER, username_furigana="テスト", callback_url=CALLBACK)
        before = peer.connections
        client.apply(user_id=USER, username_furigana="テスト", callback_url=CALLBACK)
        assert peer.connections == before + 1


# Its turn


def paced(peer: LoopbackServer, pace: FakePace) -> VexoraClient:
    return VexoraClient(f"{peer.url}/japan", FakeCredentials(), FakeClock().epoch_ms, pace=pace)  # type: ignore[arg-type]


def test_each_call_takes_its_turn_and_too_many_requests_are_told() -> None:
    pace = FakePace()
    with LoopbackServer(answer("1"), Reply(429, b"", {"Retry-After": "3"}), Reply(503, b"")) as peer:
        paced(peer, pace).query_status(USER)
        with pytest.raises(RateLimitedError):
            paced(peer, pace).apply(user_id=USER, username_furigana="テスト", callback_url=CALLBACK)
        with pytest.raises(ProviderUnavailableError):
            paced(peer, pace).query_status(USER)
    assert (pace.calls, pace.reported) == (3, ["3"])


def test_without_a_turn_nothing_is_sent() -> None:
    pace = FakePace(error=NoLeaseError("vexora", "no room"))
    with LoopbackServer(answer("1")) as peer, pytest.raises(NotSentError):
        paced(peer, pace).query_status(USER)
    assert peer.received == []
