"""Outbound HTTP against a peer on 127.0.0.1 that misbehaves in each way that a provider can."""

import gzip
import time

import pytest
import requests
from requests.structures import CaseInsensitiveDict

from honnin import http_client
from honnin.errors import NotSentError, ProviderTimeoutError, ProviderUnavailableError
from honnin.http_client import MAX_ANSWER_BYTES, Answer, Deadline
from tests.fakes import FakeClock, LoopbackServer, Reply
from tests.fakes.http_calls import send

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


def test_an_answer_is_read_whole() -> None:
    with LoopbackServer(Reply(201, b'{"a": 1}', {"X-REQUEST-ID": "r-1"})) as peer:
        answer = send(peer)
    assert (answer.status, answer.body, answer.headers["x-request-id"]) == (201, b'{"a": 1}', "r-1")
    (request,) = peer.received
    assert (request.method, request.path, request.body) == ("POST", "/japan/call", b"body")
    assert request.headers["merchantno"] == "1"


def test_the_connection_is_kept_alive() -> None:
    with LoopbackServer() as peer:
        send(peer)
        send(peer)
        assert peer.connections == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_returned_and_not_followed(status: int) -> None:
    with LoopbackServer() as elsewhere, LoopbackServer(Reply(status, headers={"Location": elsewhere.url})) as peer:
        assert send(peer).status == status
        assert elsewhere.received == []


def test_a_connection_that_is_refused_is_not_sent() -> None:
    with LoopbackServer() as peer:
        url = peer.url
    with pytest.raises(NotSentError, match="ConnectionError"):
        send(url)


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(instead="reset"), id="reset before the answer"),
        pytest.param(Reply(instead="close"), id="closed without an answer"),
        pytest.param(Reply(body=b"x" * 100, short_by=50), id="closed in the middle of the body"),
        pytest.param(
            Reply(body=b"not gzip", headers={"Content-Encoding": "gzip"}), id="a body that is not its encoding"
        ),
        pytest.param(Reply(headers={"X-Long": "x" * 70_000}), id="a header line without end"),
    ],
)
def test_a_broken_answer_is_a_timeout_because_the_effect_is_unknown(reply: Reply) -> None:
    with LoopbackServer(reply) as peer, pytest.raises(ProviderTimeoutError) as caught:
        send(peer)
    assert caught.value.retryable
    assert len(peer.received) == 1, "one try a call"


def test_a_silent_peer_ends_at_the_read_timeout() -> None:
    with LoopbackServer(Reply(wait_s=30)) as peer, pytest.raises(ProviderTimeoutError, match="ReadTimeout"):
        send(peer, read_timeout_s=0.2)


def test_a_silent_peer_ends_at_the_deadline_when_that_is_sooner() -> None:
    begun = time.monotonic()
    with LoopbackServer(Reply(wait_s=30)) as peer, pytest.raises(ProviderTimeoutError):
        send(peer, total_s=0.2)
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(body=b"x" * 60, drip_s=0.05), id="body"),
        pytest.param(Reply(headers={"X-Slow": "x" * 60}, drip_s=0.05, drips="headers"), id="headers"),
    ],
)
def test_a_slow_drip_ends_at_the_deadline(reply: Reply) -> None:
    # Each byte comes well inside the read time-out; all of them take three seconds.
    begun = time.monotonic()
    with LoopbackServer(reply) as peer, pytest.raises(ProviderTimeoutError):
        send(peer, total_s=0.5, read_timeout_s=1.0)
    assert time.monotonic() - begun < 1.5


def test_nothing_is_sent_after_the_deadline() -> None:
    clock = FakeClock()
    deadline = Deadline(1.0, clock.monotonic)
    clock.advance(seconds=1)
    with LoopbackServer() as peer:
        with pytest.raises(NotSentError, match="before the call"):
            http_client.send("vexora", lambda: requests.Request("POST", peer.url), deadline=deadline)
        assert peer.connections == 0


def test_the_deadline_counts_down() -> None:
    clock = FakeClock()
    deadline = Deadline(20.0, clock.monotonic)
    clock.advance(seconds=21.5)
    assert deadline.remaining_s == -1.5


def test_one_mebibyte_is_read() -> None:
    with LoopbackServer(Reply(body=b"x" * MAX_ANSWER_BYTES)) as peer:
        assert len(send(peer).body) == MAX_ANSWER_BYTES


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(500, b"x" * (MAX_ANSWER_BYTES + 1)), id="plain"),
        pytest.param(
            Reply(500, gzip.compress(b"x" * 50 * MAX_ANSWER_BYTES), {"Content-Encoding": "gzip"}), id="unpacked"
        ),
    ],
)
def test_a_larger_answer_is_refused(reply: Reply) -> None:
    with LoopbackServer(reply) as peer, pytest.raises(ProviderUnavailableError) as caught:
        send(peer)
    assert caught.value.message == "the answer is larger than 1 MiB"
    assert caught.value.http_status == 500
    assert not isinstance(caught.value, ProviderTimeoutError)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(429, b"short", short_by=2, close=True),
        Reply(503, b"short", short_by=2, close=True),
        Reply(500, b"plain", {"Content-Encoding": "gzip"}),
        Reply(429, b"plain", {"Content-Encoding": "gzip"}),
    ],
)
def test_a_status_that_says_enough_is_an_answer_whatever_becomes_of_its_body(reply: Reply) -> None:
    with LoopbackServer(reply) as peer:
        assert (send(peer).status, send(peer, fresh=True).body) == (reply.status, b"")


@pytest.mark.parametrize("status", [102, 103, 199])
def test_an_interim_answer_is_none_and_what_follows_it_is_for_nobody_else(status: int) -> None:
    with LoopbackServer(Reply(status), Reply(200, b"of the next")) as peer:
        with pytest.raises(ProviderTimeoutError):
            send(peer)
        assert send(peer).body == b"of the next"
        assert peer.connections == 2


def test_after_a_broken_answer_the_next_call_works() -> None:
    with LoopbackServer(Reply(instead="reset"), Reply()) as peer:
        with pytest.raises(ProviderTimeoutError):
            send(peer)
        assert send(peer).status == 200


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with LoopbackServer() as peer:
        assert send(peer).status == 200


def test_no_cookie_of_a_provider_is_sent_back() -> None:
    with LoopbackServer(Reply(headers={"Set-Cookie": "JSESSIONID=abc; Path=/"})) as peer:
        send(peer)
        send(peer)
    assert "cookie" not in peer.received[1].headers


def test_an_error_names_the_kind_of_failure_and_no_url() -> None:
    with LoopbackServer(Reply(instead="reset")) as peer, pytest.raises(ProviderTimeoutError) as caught:
        send(peer)
    assert str(caught.value) == "vexora: no answer (ConnectionError)"
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("name", ["X-REQUEST-ID", "x-request-id", "X-Request-Id"])
@pytest.mark.parametrize(
    ("given", "kept"),
    [("OPA45F6", "OPA45F6"), ("R" * 80, "R" * 64), ("a\r\nb\x00\x1b[31mé\u30c6c", "ab[31mc"), ("", None), (" ", None)],
)
def test_the_request_id_is_found_in_any_case_and_printable(name: str, given: str, kept: str | None) -> None:
    assert Answer(500, CaseInsensitiveDict({name: given}), b"").request_id == kept
