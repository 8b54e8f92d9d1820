"""One `SendMessage`: the signature equals botocore's, and every failure ends in `SendError` inside one second."""

import json
import time
from datetime import UTC, datetime

import botocore.auth
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from honnin import sqs_send
from honnin.sqs_send import SendError, send_message, signed_headers
from tests.fakes import LoopbackServer, Reply

TAKEN = Reply(200, b'{"MessageId": "m-1", "MD5OfMessageBody": "x"}')
QUEUE = "https://sqs.ap-northeast-1.amazonaws.com/000000000000/events"


# The signature


def botocore_signature(
    *,
    host: str,
    path: str,
    body: bytes,
    region: str,
    access_key: str,
    secret_key: str,
    session_token: str,
    amz_date: str,
) -> str:
    """What botocore's `SigV4Auth` puts into Authorization for the same request at the same moment."""
    request = AWSRequest(
        method="POST",
        url=f"https://{host}{path}",
        data=body,
        headers={
            "Content-Type": "application/x-amz-json-1.0",
            "Host": host,
            "X-Amz-Target": "AmazonSQS.SendMessage",
        },
    )
    moment = datetime.strptime(amz_date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda: moment)
        SigV4Auth(Credentials(access_key, secret_key, session_token or None), "sqs", region).add_auth(request)
    return str(request.headers["Authorization"])


printable = st.text(st.characters(codec="ascii", min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=60)
tokens = st.one_of(st.just(""), printable, st.from_regex(r"[A-Za-z0-9+/]{100,400}={0,2}", fullmatch=True))
moments = st.one_of(
    st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)),  # noqa: DTZ001 -- formatted as UTC below
    st.sampled_from(
        [
            datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC),
            datetime(2027, 1, 1, 0, 0, 0, tzinfo=UTC),
            datetime(2028, 2, 29, 0, 0, 0, tzinfo=UTC),
            datetime(2026, 1, 1, 9, 5, 3, tzinfo=UTC),
        ]
    ),
)
# Everything that may stand in a URL path as it is on the wire; dot segments and // are looked at below.
pieces = st.one_of(
    st.characters(codec="ascii", categories=["L", "N"]), st.sampled_from([*"-_.~!$&'()*+,;=:@", "%E3", "%2F", "%25"])
)
segments = st.lists(pieces, min_size=1, max_size=12).map("".join).filter(lambda segment: segment not in {".", ".."})
paths = st.one_of(
    st.just("/"),
    st.builds(
        lambda parts, end: "/" + "/".join(parts) + end,
        st.lists(segments, min_size=1, max_size=4),
        st.sampled_from(["", "/"]),
    ),
)
hosts = st.one_of(
    st.sampled_from(["sqs.ap-northeast-1.amazonaws.com", "127.0.0.1:4566", "localhost:80", "[::1]:4566"]),
    st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z]{2,6}){1,2}(:[1-9][0-9]{1,3})?", fullmatch=True),
)
bodies = st.builds(
    lambda text, ascii_only: json.dumps({"QueueUrl": QUEUE, "MessageBody": text}, ensure_ascii=ascii_only).encode(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=200),
    st.booleans(),
)
regions = st.sampled_from(["ap-northeast-1", "ap-northeast-3", "us-east-1", "eu-central-1"])


@settings(max_examples=300)
@given(
    host=hosts,
    path=paths,
    body=bodies,
    region=regions,
    access_key=st.from_regex(r"(AKIA|ASIA)[A-Z0-9]{16}", fullmatch=True),
    secret_key=printable,
    session_token=tokens,
    moment=moments,
)
def test_the_signature_is_botocores(
    host: str,
    path: str,
    body: bytes,
    region: str,
    access_key: str,
    secret_key: str,
    session_token: str,
    moment: datetime,
) -> None:
    amz_date = moment.strftime("%Y%m%dT%H%M%SZ")
    mine = signed_headers(
        host=host,
        path=path,
        body=body,
        region=region,
        access_key=access_key,
        secret_key=secret_key,
        session_token=session_token,
        amz_date=amz_date,
    )
    assert mine["authorization"] == botocore_signature(
        host=host,
        path=path,
        body=body,
        region=region,
        access_key=access_key,
        secret_key=secret_key,
        session_token=session_token,
        amz_date=amz_date,
    )
    assert mine["x-amz-date"] == amz_date
    assert mine["host"] == host
    assert mine.get("x-amz-security-token", "") == session_token


KEYS = {
    "region": "ap-northeast-1",
    "access_key": "AKIDEXAMPLE",
    "secret_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "session_token": "",
    "amz_date": "20260401T030000Z",
    "host": "127.0.0.1:4566",
}


@pytest.mark.parametrize("path", ["/a//b", "/a/./b", "/a/../b", "//", "/.", "/a/b/.."])
def test_paths_that_botocore_normalises_are_signed_as_they_are_sent(path: str) -> None:
    # The one known difference. No endpoint has such a path; this fails when botocore changes its mind.
    mine = signed_headers(path=path, body=b"{}", **KEYS)
    assert mine["authorization"] != botocore_signature(path=path, body=b"{}", **KEYS)


# The wire


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> LoopbackServer:
    """A peer that is what AWS_ENDPOINT_URL names; the test starts it and says what it answers."""
    made = LoopbackServer(TAKEN)
    monkeypatch.setenv("AWS_ENDPOINT_URL", made.url)
    return made


loopback = pytest.mark.allow_hosts(["127.0.0.1"])


@loopback
def test_a_message_is_taken(peer: LoopbackServer) -> None:
    with peer:
        assert send_message(QUEUE, '{"v":1,"n":"テスト"}') == "m-1"
    (request,) = peer.received
    assert (request.method, request.path) == ("POST", "/")
    assert json.loads(request.body) == {"QueueUrl": QUEUE, "MessageBody": '{"v":1,"n":"テスト"}'}
    assert request.headers["x-amz-target"] == "AmazonSQS.SendMessage"
    assert request.headers["content-type"] == "application/x-amz-json-1.0"
    assert request.headers["x-amz-security-token"] == "test-session-token"


@loopback
def test_what_goes_over_the_wire_is_what_was_signed(peer: LoopbackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"{peer.url}/base/path")
    with peer:
        send_message(QUEUE, "text")
    (request,) = peer.received
    assert request.path == "/base/path"
    assert request.headers["authorization"] == botocore_signature(
        host=request.headers["host"],
        path=request.path,
        body=request.body,
        region="ap-northeast-1",
        access_key="AKIDEXAMPLE",
        secret_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        session_token="test-session-token",
        amz_date=request.headers["x-amz-date"],
    )


@loopback
def test_the_time_is_utc_and_now(peer: LoopbackServer) -> None:
    with peer:
        send_message(QUEUE, "text")
    sent = datetime.strptime(peer.received[0].headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - sent).total_seconds()) < 10


@loopback
def test_without_a_session_token_there_is_no_such_header(peer: LoopbackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    with peer:
        send_message(QUEUE, "text")
    assert "x-amz-security-token" not in peer.received[0].headers


@loopback
def test_the_connection_is_kept_alive(peer: LoopbackServer) -> None:
    with peer:
        for _ in range(3):
            send_message(QUEUE, "text")
        assert peer.connections == 1


@loopback
def test_after_connection_close_a_new_one_is_opened(peer: LoopbackServer) -> None:
    peer.replies.clear()
    peer.replies.append(Reply(200, TAKEN.body, {"Connection": "close"}, close=True))
    with peer:
        send_message(QUEUE, "text")
        send_message(QUEUE, "text")
        assert peer.connections == 2


@loopback
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_stale_connection_is_reopened_and_that_is_no_try(peer: LoopbackServer, how: str) -> None:
    # The second request finds the kept connection gone, the third is refused once, the fourth is taken.
    gone = Reply(instead="close") if how == "close" else Reply(instead="reset")
    peer.replies.clear()
    peer.replies.extend([TAKEN, gone, Reply(500), TAKEN])
    with peer:
        send_message(QUEUE, "first")
        assert send_message(QUEUE, "second") == "m-1"
        assert [request.connection for request in peer.received] == [1, 1, 2, 2]


@loopback
def test_a_peer_that_closed_while_idle_is_not_noticed_by_the_caller(peer: LoopbackServer) -> None:
    peer.replies.clear()
    peer.replies.append(Reply(200, TAKEN.body, close=True))
    with peer:
        send_message(QUEUE, "first")
        time.sleep(0.05)
        assert send_message(QUEUE, "second") == "m-1"


@loopback
@pytest.mark.parametrize("bad", [Reply(500), Reply(503), Reply(429), Reply(instead="reset"), Reply(200, b"{")])
def test_one_failure_is_tried_again(peer: LoopbackServer, bad: Reply) -> None:
    peer.replies.appendleft(bad)
    with peer:
        assert send_message(QUEUE, "text") == "m-1"
        assert len(peer.received) == 2


def failure(peer: LoopbackServer, reply: Reply) -> str:
    peer.replies.clear()
    peer.replies.append(reply)
    begun = time.monotonic()
    with peer:
        with pytest.raises(SendError) as caught:
            send_message(QUEUE, "a marked text")
        assert time.monotonic() - begun < 1.2, "one second, and what a busy machine adds"
        assert len(peer.received) <= 2
    assert "a marked text" not in str(caught.value)
    return str(caught.value)


@loopback
@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        pytest.param(Reply(500), "SQS answered 500", id="500 twice"),
        pytest.param(Reply(403, b'{"__type": "AccessDenied"}'), "SQS answered 403", id="AccessDenied"),
        pytest.param(Reply(302, headers={"Location": "http://127.0.0.1:9/"}), "SQS answered 302", id="a redirect"),
        pytest.param(Reply(instead="reset"), "ConnectionResetError", id="reset"),
        pytest.param(Reply(instead="close"), "RemoteDisconnected", id="closed unanswered"),
        pytest.param(Reply(200, TAKEN.body, short_by=5), "IncompleteRead", id="broken off"),
        pytest.param(Reply(200, b"OK"), "JSONDecodeError", id="not JSON"),
        pytest.param(Reply(200, b"{}"), "KeyError", id="no message id"),
        pytest.param(Reply(wait_s=5), "TimeoutError", id="silence"),
    ],
)
def test_two_failures_are_an_error_inside_one_second(peer: LoopbackServer, reply: Reply, reason: str) -> None:
    assert failure(peer, reply) == f"SQS did not accept the message: {reason}"


@loopback
@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"'])
def test_an_answer_that_is_no_object_is_an_error(peer: LoopbackServer, body: bytes) -> None:
    failure(peer, Reply(200, body))


@loopback
def test_a_slow_first_try_leaves_room_for_the_second(peer: LoopbackServer) -> None:
    peer.replies.appendleft(Reply(wait_s=5))
    begun = time.monotonic()
    with peer:
        assert send_message(QUEUE, "text") == "m-1"
    assert time.monotonic() - begun < 1.0


@loopback
def test_a_broken_connection_is_not_kept(peer: LoopbackServer) -> None:
    failure(peer, Reply(wait_s=5))
    assert sqs_send._connections == {}


@loopback
def test_a_dripping_answer_ends_inside_one_second(peer: LoopbackServer) -> None:
    failure(peer, Reply(200, TAKEN.body, drip_s=0.05))


@loopback
def test_a_stale_connection_that_takes_its_time_ends_inside_one_second(peer: LoopbackServer) -> None:
    peer.replies.clear()
    peer.replies.extend([TAKEN, Reply(wait_s=0.55, instead="reset"), Reply(wait_s=5)])
    with peer:
        send_message(QUEUE, "first")
        begun = time.monotonic()
        with pytest.raises(SendError):
            send_message(QUEUE, "second")
        assert time.monotonic() - begun < 1.1


@loopback
def test_nobody_listens(peer: LoopbackServer) -> None:
    with peer:
        pass
    with pytest.raises(SendError, match="ConnectionRefusedError"):
        send_message(QUEUE, "text")


def test_missing_credentials_are_an_error_that_names_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(SendError) as caught:
        send_message(QUEUE, "text")
    assert "wJalrXUtnFEMI" not in str(caught.value)


@pytest.mark.parametrize("value", [None, ""])
def test_without_an_endpoint_it_is_the_regional_one_over_https(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    asked: list[tuple[str, str]] = []

    def exchange(key: tuple[str, str], *_: object) -> tuple[int, bytes]:
        asked.append(key)
        return 200, TAKEN.body

    monkeypatch.setattr(sqs_send, "_exchange", exchange)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    if value is not None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", value)
    send_message(QUEUE, "text")
    assert asked == [("https", "sqs.ap-northeast-1.amazonaws.com")]
