"""Outbound HTTP against a peer on 127.0.0.1 that misbehaves in each way that a provider can."""

import gzip
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import pytest
import requests
from requests.structures import CaseInsensitiveDict

from honnin import http_client
from honnin.errors import NotSentError, ProviderTimeoutError, ProviderUnavailableError
from honnin.http_client import MAX_ANSWER_BYTES, Answer, Deadline
from tests.fakes import FakeClock, LoopbackServer, Reply

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


def send(
    peer: LoopbackServer | str, *, total_s: float = 5.0, read_timeout_s: float = 5.0, fresh: bool = False
) -> Answer:
    url = peer if isinstance(peer, str) else peer.url

    def make_request() -> requests.Request:
        return requests.Request("POST", f"{url}/japan/call", data=b"body", headers={"merchantNo": "1"})

    return http_client.send(
        "vexora", make_request, deadline=Deadline(total_s), read_timeout_s=read_timeout_s, fresh=fresh
    )


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


# --- kept-alive connections that are dead ---


def test_a_call_survives_one_dead_connection_by_a_request_made_anew() -> None:
    made: list[str] = []

    def make_request() -> requests.Request:
        made.append(f"signature-{len(made)}")
        return requests.Request("GET", peer.url, headers={"Authorization": made[-1]})

    for death in ("reset", "close"):
        made.clear()
        with LoopbackServer(Reply(), Reply(instead=death), Reply(201)) as peer:
            http_client.send("paypay", make_request, deadline=Deadline(5))
            assert http_client.send("paypay", make_request, deadline=Deadline(5)).status == 201
        assert [each.headers["authorization"] for each in peer.received] == made
        assert [each.connection for each in peer.received] == [1, 1, 2]


def test_a_connection_that_was_closed_while_idle_costs_nothing() -> None:
    with LoopbackServer(Reply(close=True), Reply()) as peer:
        send(peer)
        time.sleep(0.05)
        assert send(peer).status == 200
    assert len(peer.received) == 2


def test_a_second_dead_connection_is_no_answer() -> None:
    with LoopbackServer(Reply(), Reply(instead="reset")) as peer:
        send(peer)
        with pytest.raises(ProviderTimeoutError):
            send(peer)
    assert len(peer.received) == 3, "sent again once"


def test_the_first_may_have_arrived_when_the_second_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with LoopbackServer(Reply(), Reply(instead="reset")) as peer:
        send(peer)
        monkeypatch.setattr(socket, "getaddrinfo", _unknown_host)
        with pytest.raises(ProviderTimeoutError):
            send(peer)
    assert len(peer.received) == 2


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(wait_s=30), id="silent"),
        pytest.param(Reply(body=b"x" * 100, short_by=50), id="broken off in the answer"),
    ],
)
def test_a_slow_or_broken_answer_is_no_dead_connection(reply: Reply) -> None:
    with LoopbackServer(Reply(), reply) as peer:
        send(peer)
        with pytest.raises(ProviderTimeoutError):
            send(peer, read_timeout_s=0.2)
    assert len(peer.received) == 2


def test_what_must_not_be_repeated_has_a_connection_of_its_own_and_is_sent_once() -> None:
    with LoopbackServer(Reply(), Reply(), Reply(instead="reset")) as peer:
        send(peer)
        send(peer, fresh=True)
        with pytest.raises(ProviderTimeoutError):
            send(peer, fresh=True)
        assert [each.connection for each in peer.received] == [1, 2, 3]
        peer.replies[0] = Reply()
        send(peer)
    assert peer.received[-1].connection == 1, "and leaves the kept-alive one alone"


@pytest.mark.parametrize(
    ("monotonic_s", "wall_s", "kept"),
    [
        pytest.param(14, 14, True, id="used a moment ago"),
        pytest.param(15, 15, False, id="idle"),
        pytest.param(0.1, 7200, False, id="frozen for two hours, and the monotonic clock with it"),
        pytest.param(400, 0, False, id="the wall clock stood still"),
        pytest.param(1, -3600, False, id="the wall clock was set back"),
    ],
)
def test_an_idle_connection_is_not_used_again(
    monkeypatch: pytest.MonkeyPatch, monotonic_s: float, wall_s: float, kept: bool
) -> None:
    now = (100.0, 1_774_925_553.0)
    monkeypatch.setattr(http_client, "_clocks", lambda: now)
    with LoopbackServer() as peer:
        send(peer)
        now = (now[0] + monotonic_s, now[1] + wall_s)
        send(peer)
        assert peer.connections == (1 if kept else 2)


def test_idle_is_far_from_what_a_nat_gateway_forgets() -> None:
    assert 5 <= http_client.IDLE_S <= 60


# --- not sent ---


def _unknown_host(*_: Any, **__: Any) -> Any:
    raise socket.gaierror(-2, "Name or service not known")


@contextmanager
def raw_peer(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """A TCP peer on 127.0.0.1 that does `handle` with each connection; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def one(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                handle(connection)

        def serve() -> None:
            with suppress(OSError):  # the end of the test
                while True:
                    threading.Thread(target=one, args=(listening.accept()[0],), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def _silent(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def _closing(connection: socket.socket) -> None:
    connection.recv(4096)


def _no_tls(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize("handle", [_silent, _closing, _no_tls])
@pytest.mark.parametrize("total_s", [5.0, 0.2])
def test_a_handshake_that_fails_or_hangs_is_not_sent(handle: Callable[[socket.socket], None], total_s: float) -> None:
    with raw_peer(handle) as port, pytest.raises(NotSentError):
        http_client.send(
            "vexora",
            lambda: requests.Request("POST", f"https://127.0.0.1:{port}/x", data=b"body"),
            deadline=Deadline(total_s),
            connect_timeout_s=0.3,
        )


def test_a_name_that_is_unknown_or_impossible_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    for url in (f"http://{'x' * 64}.example.com", "http://[::1", "nothing://example.com"):
        with pytest.raises(NotSentError):
            send(url)
    monkeypatch.setattr(socket, "getaddrinfo", _unknown_host)
    with pytest.raises(NotSentError):
        send("http://provider.example.com")


# --- given up ---


@pytest.mark.parametrize("fresh", [False, True])
def test_a_name_that_resolves_after_the_caller_gave_up_leads_to_no_request(
    monkeypatch: pytest.MonkeyPatch, fresh: bool
) -> None:
    thawed, real = threading.Event(), socket.getaddrinfo

    def hangs(*args: Any, **more: Any) -> Any:
        thawed.wait(5)
        return real(*args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    with LoopbackServer() as peer:
        with pytest.raises(NotSentError):
            send(peer, total_s=0.2, fresh=fresh)
        thawed.set()
        _outbound_threads_end()
        assert peer.received == []


def test_a_connection_that_stands_after_the_caller_gave_up_carries_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    thawed, real = threading.Event(), http_client.Connection.connect

    def slow(self: http_client.Connection) -> None:
        real(self)
        thawed.wait(5)

    monkeypatch.setattr(http_client.Connection, "connect", slow)
    with LoopbackServer() as peer:
        with pytest.raises(NotSentError):
            send(peer, total_s=0.2)
        thawed.set()
        _outbound_threads_end()
        assert (peer.connections, peer.received) == (1, [])


def test_a_kept_alive_connection_is_not_written_to_either(monkeypatch: pytest.MonkeyPatch) -> None:
    thawed, real = threading.Event(), http_client.Connection.send
    with LoopbackServer() as peer:
        send(peer)

        def slow(self: http_client.Connection, data: Any) -> None:
            thawed.wait(5)
            real(self, data)

        monkeypatch.setattr(http_client.Connection, "send", slow)
        with pytest.raises(NotSentError):
            send(peer, total_s=0.2)
        thawed.set()
        _outbound_threads_end()
        assert len(peer.received) == 1


def test_what_had_begun_is_cut_off_and_is_no_answer() -> None:
    took: list[int] = []
    given_up = threading.Event()

    def slow(connection: socket.socket) -> None:
        connection.recv(1)
        given_up.wait(5)
        while piece := connection.recv(1 << 20):
            took.append(len(piece))

    body = bytes(32 << 20)  # more than all the buffers between
    with raw_peer(slow) as port:
        with pytest.raises(ProviderTimeoutError):
            http_client.send(
                "vexora",
                lambda: requests.Request("POST", f"http://127.0.0.1:{port}", data=body),
                deadline=Deadline(0.5),
            )
        given_up.set()
        _outbound_threads_end()
    assert sum(took) < len(body)


def test_not_sent_means_not_received_whenever_the_caller_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    draw, real = random.Random(11), http_client.Connection.connect

    def slow(self: http_client.Connection) -> None:
        real(self)
        time.sleep(draw.uniform(0, 0.004))

    monkeypatch.setattr(http_client.Connection, "connect", slow)
    ends = {"not sent": 0, "no answer": 0, "answer": 0}
    with LoopbackServer(Reply(wait_s=0.001)) as peer:
        for number in range(150):
            make_request = partial(requests.Request, "POST", f"{peer.url}/{number}")
            try:
                http_client.send("vexora", make_request, deadline=Deadline(0.006), fresh=True)
                ends["answer"] += 1
            except NotSentError:
                ends["not sent"] += 1
                time.sleep(0.003)
                assert f"/{number}" not in [each.path for each in peer.received]
            except ProviderTimeoutError:
                ends["no answer"] += 1
        _outbound_threads_end()
        assert len(peer.received) <= ends["answer"] + ends["no answer"]
    assert ends["not sent"]
    assert ends["answer"] + ends["no answer"]


def _outbound_threads_end() -> None:
    for thread in threading.enumerate():
        if thread.name == "outbound":
            thread.join(5)
            assert not thread.is_alive()
