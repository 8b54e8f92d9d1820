"""Outbound connections: dead ones, ones that never stand, and calls that are given up, on real loopback sockets."""

import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from honnin import http_client
from honnin.errors import NotSentError, ProviderTimeoutError
from honnin.http_client import Deadline
from tests.fakes import LoopbackServer, Reply
from tests.fakes.http_calls import send

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


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


@contextmanager
def tls_peer(folder: Path) -> Iterator[tuple[str, str]]:
    """A peer with a certificate of its own, which answers each request with `{}`; gives its URL and the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "peer.pem"
    pem.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    def answer(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            while secure.recv(65536):
                secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with raw_peer(answer) as port:
        yield f"https://localhost:{port}", str(pem)


def test_over_tls_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tls_peer(tmp_path) as (url, certificate):
        with pytest.raises(NotSentError, match="SSLError"):
            send(url)  # nobody vouches for the certificate
        http_client.session().verify = certificate
        assert send(url).status == 200
        thawed, begin = threading.Event(), http_client._Call.begin

        def late(*arguments: Any, **named: Any) -> None:
            thawed.wait(5)
            begin(*arguments, **named)

        monkeypatch.setattr(http_client._Call, "begin", late)
        with pytest.raises(NotSentError):
            send(url, total_s=0.2)
        thawed.set()
        _outbound_threads_end()


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
        time.sleep(connecting_s)

    monkeypatch.setattr(http_client.Connection, "connect", slow)
    ends = {"not sent": 0, "no answer": 0, "answer": 0}
    with LoopbackServer(Reply(wait_s=0.001)) as peer:
        for number in range(150):
            make_request = partial(requests.Request, "POST", f"{peer.url}/{number}")
            # Most give up about when the writing begins; some certainly before it, some not at all.
            drawn = draw.uniform(0, 0.004), 0.006
            connecting_s, allowed_s = {0: (0.3, 0.005), 1: (0.0, 9.0)}.get(number % 15, drawn)
            try:
                http_client.send("vexora", make_request, deadline=Deadline(allowed_s), fresh=True)
                ends["answer"] += 1
            except NotSentError:
                ends["not sent"] += 1
                time.sleep(0.003)
                assert f"/{number}" not in [each.path for each in peer.received]
            except ProviderTimeoutError:
                ends["no answer"] += 1
        _outbound_threads_end()
        assert len(peer.received) <= ends["answer"] + ends["no answer"]
    assert ends["not sent"] >= 5
    assert ends["answer"] >= 5


def _outbound_threads_end() -> None:
    for thread in threading.enumerate():
        if thread.name == "outbound":
            thread.join(5)
            assert not thread.is_alive()
