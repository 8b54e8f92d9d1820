"""`honnin.remote_file`: every rule with its hostile case. Nothing leaves the machine: names lead to loopback."""

import gzip
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, Literal

import pytest

from honnin import remote_file
from honnin.errors import FileGoneError, FileNotFetchedError, FileTooLargeError, RemoteFileError, UrlRefusedError
from honnin.http_client import Deadline
from tests.fakes import LoopbackServer, Reply

HOSTS = ("files.paypay.ne.jp", ".cdn.example.jp")


def fetch(url: str, *, loopback: bool = False, seconds: float = 3.0, max_bytes: int = 1000) -> bytes:
    deadline = Deadline(seconds)
    with remote_file.opened(
        url, allowed_hosts=HOSTS, loopback=loopback, deadline=deadline, read_timeout_s=seconds
    ) as answer:
        return remote_file.read_all(answer, max_bytes=max_bytes)


# --- the address ---


@pytest.mark.parametrize(
    "url",
    [
        "https://files.paypay.ne.jp/x.csv?signature=a%2Fb",
        "https://FILES.paypay.ne.jp",
        "https://files.paypay.ne.jp:443/x",
        "https://a.cdn.example.jp/x",
        "https://a.b.cdn.example.jp/x",
    ],
)
def test_an_allowed_address(url: str) -> None:
    remote_file.check_url(url, allowed_hosts=HOSTS)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "//files.paypay.ne.jp/x",
        "https:files.paypay.ne.jp",
        "https:///x",
        "https://",
        # scheme
        "http://files.paypay.ne.jp/x",
        "ftp://files.paypay.ne.jp/x",
        "file:///etc/passwd",
        "gopher://files.paypay.ne.jp/x",
        # another host
        "https://evil.example/x",
        "https://files.paypay.ne.jp.evil.example/x",
        "https://xfiles.paypay.ne.jp/x",
        "https://x.files.paypay.ne.jp/x",
        "https://paypay.ne.jp/x",
        "https://evil.example/files.paypay.ne.jp",
        "https://evil.example?files.paypay.ne.jp",
        "https://evil.example#files.paypay.ne.jp",
        # a suffix
        "https://cdn.example.jp/x",
        "https://xcdn.example.jp/x",
        "https://a.cdn.example.jp.evil.example/x",
        "https://files.paypay.ne.jp./x",
        # credentials
        "https://user@files.paypay.ne.jp/x",
        "https://user:secret@files.paypay.ne.jp/x",
        "https://@files.paypay.ne.jp/x",
        "https://files.paypay.ne.jp@evil.example/x",
        "https://evil.example\\@files.paypay.ne.jp/x",
        "https://files.paypay.ne.jp%40evil.example/x",
        # port
        "https://files.paypay.ne.jp:80/x",
        "https://files.paypay.ne.jp:8443/x",
        "https://files.paypay.ne.jp:0/x",
        "https://files.paypay.ne.jp:99999/x",
        "https://files.paypay.ne.jp:x/x",
        # addresses in every spelling
        "https://127.0.0.1/x",
        "https://169.254.169.254/latest/meta-data/",
        "https://2130706433/x",
        "https://0x7f000001/x",
        "https://0177.0.0.1/x",
        "https://127.1/x",
        "https://0/x",
        "https://[::1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://[::ffff:a9fe:a9fe]/x",
        "https://[fd00:ec2::254]/x",
        "https://[::1",
        "https://localhost/x",
        # letters that become others
        "https://ﬁles.paypay.ne.jp/x",
        "https://files。paypay.ne.jp/x",
        "https://fi\u00adles.paypay.ne.jp/x",
        "https://files.paypay.ne.jp\u2100/x",
        # characters
        "https://files.paypay.ne.jp /x",
        "https://files.paypay.ne.jp/\r\nHost: evil.example",
        "https://files.paypay.ne.jp/\n",
        "https://files.paypay.ne.jp/\t",
        "\x00https://files.paypay.ne.jp/",
    ],
)
def test_a_refused_address(url: str) -> None:
    with pytest.raises(UrlRefusedError) as caught:
        remote_file.check_url(url, allowed_hosts=HOSTS)

    assert not url or url not in str(caught.value)


def test_an_empty_list_allows_nothing() -> None:
    with pytest.raises(UrlRefusedError):
        remote_file.check_url("https://files.paypay.ne.jp/x", allowed_hosts=())


def test_the_loopback_switch_allows_plain_http_there_and_nothing_else() -> None:
    remote_file.check_url("http://127.0.0.1:9100/x", allowed_hosts=(), loopback=True)
    for url in (
        "http://127.0.0.2:9100/x",
        "http://localhost:9100/x",
        "http://127.0.0.1.evil.example/x",
        "http://user@127.0.0.1/x",
        "http://169.254.169.254/x",
        "http://[::1]/x",
        "http://2130706433/x",
        "https://127.0.0.1/x",
    ):
        with pytest.raises(UrlRefusedError):
            remote_file.check_url(url, allowed_hosts=HOSTS, loopback=True)


def test_without_the_switch_loopback_is_refused() -> None:
    with pytest.raises(UrlRefusedError):
        fetch("http://127.0.0.1:9/x")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "8.8.8.8",
        "2130706433",
        "017700000001",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.0.0.01",
        "127.1",
        "127.0.1",
        "1",
        "[::1]",
        "[::]",
        "[::7f00:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::169.254.169.254]",
        "[2002:7f00:1::1]",
        "[fe80::1%eth0]",
        "[fe80::1%25eth0]",
        "[2001:4860:4860::8888]",
    ],
)
def test_an_address_is_refused_even_where_the_list_names_it(host: str) -> None:
    """Only a name has a certificate that says whose it is."""
    with pytest.raises(UrlRefusedError, match="an IP address, not a name"):
        remote_file.check_url(f"https://{host}/x", allowed_hosts=(host.strip("[]").lower(),))


@pytest.mark.parametrize("host", ["evilpaypay.ne.jp", "paypay.ne.jp", "paypay.ne.jp.evil.example"])
def test_a_look_alike_is_not_under_the_suffix(host: str) -> None:
    with pytest.raises(UrlRefusedError):
        remote_file.check_url(f"https://{host}/x", allowed_hosts=(".paypay.ne.jp",))


@pytest.mark.parametrize("host", ["recon.paypay.ne.jp", "a.b.paypay.ne.jp", "evilpaypay.paypay.ne.jp"])
def test_what_is_under_the_suffix_is_allowed(host: str) -> None:
    remote_file.check_url(f"https://{host}/x", allowed_hosts=(".paypay.ne.jp",))


def test_an_exact_name_on_the_list_is_no_suffix() -> None:
    for host in ("a.paypay.ne.jp", "xpaypay.ne.jp"):
        with pytest.raises(UrlRefusedError, match="not on the list"):
            remote_file.check_url(f"https://{host}/x", allowed_hosts=("paypay.ne.jp",))


# --- where the name leads ---


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "169.254.170.2",
        "100.64.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
        "192.0.2.1",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "ff02::1",
        "ff0e::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:10.0.0.1",
        "2001:db8::1",
        "64:ff9b:1::7f00:1",
    ],
)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(UrlRefusedError, match="not public"):
        remote_file._refuse_private(address)


@pytest.mark.parametrize("address", ["64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"])
def test_a_private_address_behind_nat64_is_refused(address: str) -> None:
    """RFC 6052: the last 32 bits are an IPv4 address, which a gateway on the way would unpack."""
    with pytest.raises(UrlRefusedError):
        remote_file._refuse_private(address)


@pytest.mark.parametrize("address", ["2002:7f00:1::1", "2002:a9fe:a9fe::1"])
def test_a_private_address_inside_a_translated_one_is_refused(address: str) -> None:
    """6to4 (RFC 3056) carries an IPv4 address; a gateway on the way would unpack it."""
    with pytest.raises(UrlRefusedError):
        remote_file._refuse_private(address)


@pytest.mark.parametrize("address", ["::7f00:1", "::a9fe:a9fe", "::ffff:0:7f00:1", "fec0::1", "4000::1", "5f00::1"])
def test_a_reserved_address_is_refused(address: str) -> None:
    """IPv4-compatible (RFC 4291) and -translated (RFC 2765) ones hold an IPv4 address; fec0::/10 was site-local."""
    with pytest.raises(UrlRefusedError):
        remote_file._refuse_private(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "52.68.128.8", "2001:4860:4860::8888", "::ffff:8.8.8.8"])
def test_a_public_address_is_let_through(address: str) -> None:
    remote_file._refuse_private(address)


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(Reply(200, b"content")) as made:
        yield made


def leads_to(monkeypatch: pytest.MonkeyPatch, address: str, port: int) -> list[str]:
    """Every name leads to one address from now on; returns the names that were looked up."""
    asked: list[str] = []

    def getaddrinfo(host: Any, *_args: Any, **_named: Any) -> list[Any]:
        asked.append(str(host))
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("host", ["files.paypay.ne.jp", "a.cdn.example.jp"])
def test_an_allowed_name_that_leads_to_loopback_gets_no_byte(
    server: LoopbackServer, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """DNS rebinding: the check is on the open socket, so no second look-up can differ from the first."""
    asked = leads_to(monkeypatch, "127.0.0.1", int(server.url.rpartition(":")[2]))
    with pytest.raises(UrlRefusedError, match="not public"):
        fetch(f"https://{host}/x?signature=secret")

    assert asked == [host]
    assert server.received == []


# A test that patches getaddrinfo is marked as well: pytest-socket's own patch would come back after it.


class Wires:
    """Sockets that connect to nothing: where each had to connect to, and whether it was closed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: str, really: str = "") -> None:
        self.connected: list[str] = []
        self.closed = 0
        wires = self

        class Wire:
            def __init__(self, *_: object) -> None:
                self.address = ""

            def settimeout(self, _: float) -> None: ...

            def connect(self, address: tuple[str, int]) -> None:
                self.address = address[0]
                wires.connected.append(self.address)

            def getpeername(self) -> tuple[str, int]:
                return really or self.address, 443

            def close(self) -> None:
                wires.closed += 1

        def getaddrinfo(*_: object, **__: object) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 443)) for each in answers]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        monkeypatch.setattr(socket, "socket", Wire)


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("addresses", [("169.254.169.254",), ("10.0.0.1", "127.0.0.1"), ("::1", "fd00:ec2::254")])
def test_an_allowed_name_that_leads_to_private_addresses_is_not_even_connected(
    monkeypatch: pytest.MonkeyPatch, addresses: tuple[str, ...]
) -> None:
    wires = Wires(monkeypatch, *addresses)
    with pytest.raises(UrlRefusedError, match="not public"):
        fetch("https://files.paypay.ne.jp/x")

    assert (wires.connected, wires.closed) == ([], len(addresses))


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_one_private_address_among_public_ones_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    wires = Wires(monkeypatch, "10.0.0.1", "8.8.8.8")
    sock = remote_file._first_that_answers("files.paypay.ne.jp", 443, Deadline(3), public_only=True)

    assert (sock.getpeername()[0], wires.connected, wires.closed) == ("8.8.8.8", ["8.8.8.8"], 1)


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_the_address_that_is_really_connected_to_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    wires = Wires(monkeypatch, "8.8.8.8", really="169.254.169.254")
    with pytest.raises(UrlRefusedError, match="not public"):
        fetch("https://files.paypay.ne.jp/x")

    assert wires.closed == 1


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that were looked up; nobody knows any of them."""
    asked: list[str] = []

    def getaddrinfo(host: Any, *_args: object, **_named: object) -> None:
        asked.append(str(host))
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_name_that_nobody_knows_is_not_fetched(looked_up: list[str]) -> None:
    with pytest.raises(FileNotFetchedError) as caught:
        fetch("https://files.paypay.ne.jp/x?signature=secret")

    assert looked_up == ["files.paypay.ne.jp"]
    assert "secret" not in str(caught.value)


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("host", [".cdn.example.jp", "a..cdn.example.jp", "a" * 64 + ".cdn.example.jp"])
def test_a_name_that_cannot_be_one_is_an_error_of_the_file(looked_up: list[str], host: str) -> None:
    with pytest.raises(RemoteFileError):
        fetch(f"https://{host}/x")


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_proxy_of_the_environment_is_not_used(looked_up: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would make the connection for us, and nobody would look at where it leads."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    with pytest.raises(FileNotFetchedError):
        fetch("https://files.paypay.ne.jp/x")

    assert looked_up == ["files.paypay.ne.jp"]


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_what_was_given_up_is_not_asked_for_later(server: LoopbackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    thawed, real = threading.Event(), socket.getaddrinfo

    def hangs(*args: Any, **named: Any) -> Any:
        thawed.wait(5)
        return real(*args, **named)

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    with pytest.raises(FileNotFetchedError, match="deadline"):
        fetch(server.url + "/x", loopback=True, seconds=0.2)
    thawed.set()
    for thread in threading.enumerate():
        if thread.name == "outbound":
            thread.join(5)

    assert server.received == []


# --- the transfer ---


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_file_is_fetched_as_it_is(server: LoopbackServer) -> None:
    assert fetch(server.url + "/x?signature=a%2Fb", loopback=True) == b"content"

    request = server.received[0]
    assert (request.method, request.path) == ("GET", "/x?signature=a%2Fb")
    assert request.headers["accept-encoding"] == "identity"
    assert not {"authorization", "cookie"} & set(request.headers)


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server: LoopbackServer, status: int) -> None:
    server.replies[0] = Reply(status, b"", {"Location": server.url + "/elsewhere"})
    with pytest.raises(FileNotFetchedError, match=str(status)):
        fetch(server.url + "/x", loopback=True)

    assert [request.path for request in server.received] == ["/x"]


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("body", [b"", b"{}", "利用者".encode(), bytes(100_000)], ids=len)
def test_a_body_is_posted_with_its_length(server: LoopbackServer, body: bytes) -> None:
    server.replies[0] = Reply(202, b"ok")
    with remote_file.opened(
        server.url, allowed_hosts=None, loopback=True, deadline=Deadline(3), read_timeout_s=3, body=body,
        accepted=range(200, 300),
    ) as answer:  # fmt: skip
        assert answer.status == 202
    [request] = server.received
    assert (request.method, request.body, request.headers["content-length"]) == ("POST", body, str(len(body)))


def test_without_a_list_any_name_is_allowed_and_the_other_rules_hold() -> None:
    remote_file.check_url("https://anything.example.org/x", allowed_hosts=None)
    for url in ("http://anything.example.org/", "https://10.0.0.1/", "https://a:b@example.org/", "https://a.b:8443/"):
        with pytest.raises(UrlRefusedError):
            remote_file.check_url(url, allowed_hosts=None)


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_other_statuses_may_be_accepted_and_headers_sent(server: LoopbackServer) -> None:
    server.replies[0] = Reply(206, b"tent")
    deadline = Deadline(3)
    with remote_file.opened(
        server.url,
        allowed_hosts=(),
        loopback=True,
        deadline=deadline,
        read_timeout_s=3,
        headers={"Range": "bytes=3-"},
        accepted=(200, 206),
    ) as answer:
        assert answer.status == 206
        assert b"".join(answer.pieces()) == b"tent"
    headers = server.received[0].headers
    assert (headers["range"], headers["accept-encoding"]) == ("bytes=3-", "identity")


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_file_that_is_gone_is_told_from_one_that_did_not_come(server: LoopbackServer, status: int) -> None:
    server.replies[0] = Reply(status, b"")
    with pytest.raises(FileGoneError, match=str(status)):
        fetch(server.url, loopback=True)


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("reply", [Reply(401), Reply(302), Reply(500), Reply(instead="close")])
def test_any_other_failure_is_no_sign_that_it_is_gone(server: LoopbackServer, reply: Reply) -> None:
    server.replies[0] = reply
    with pytest.raises(FileNotFetchedError) as caught:
        fetch(server.url, loopback=True)
    assert not isinstance(caught.value, FileGoneError)


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_body_is_never_decoded(server: LoopbackServer) -> None:
    """A gzip bomb stays as small as it came."""
    packed = gzip.compress(bytes(1_000_000))
    server.replies[0] = Reply(200, packed, {"Content-Encoding": "gzip"})
    assert fetch(server.url, loopback=True, max_bytes=2000) == packed


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_a_body_without_end_is_given_up_at_the_limit(
    server: LoopbackServer, framing: Literal["length", "chunked", "close"]
) -> None:
    server.replies[0] = Reply(200, b"x" * 100, framing=framing, says_length=3 * 2**30, forever=True)
    with pytest.raises(FileTooLargeError, match="larger than 1000"):
        fetch(server.url, loopback=True)


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("status", [201, 204, 206, 304, 401, 403, 404, 410, 500, 503])
def test_only_a_200_is_a_file(server: LoopbackServer, status: int) -> None:
    server.replies[0] = Reply(status, b"")
    with pytest.raises(FileNotFetchedError, match=str(status)):
        fetch(server.url, loopback=True)


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_the_size_limit_is_exact_and_nothing_is_cut(server: LoopbackServer) -> None:
    server.replies[0] = Reply(200, b"x" * 1000)
    assert len(fetch(server.url, loopback=True, max_bytes=1000)) == 1000
    with pytest.raises(FileNotFetchedError, match="larger than 999"):
        fetch(server.url, loopback=True, max_bytes=999)


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("broken", [Reply(instead="reset"), Reply(instead="close"), Reply(200, b"x" * 9, short_by=4)])
def test_a_transfer_that_breaks_off_is_no_file(server: LoopbackServer, broken: Reply) -> None:
    server.replies[0] = broken
    with pytest.raises(FileNotFetchedError):
        fetch(server.url, loopback=True)


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize(
    "slow",
    [
        Reply(wait_s=20),
        Reply(200, b"x" * 500, drip_s=0.05),
        pytest.param(
            Reply(200, b"", {"X-Long": "x" * 60}, drip_s=0.05, drips="headers"),
        ),
    ],
    ids=["silent", "body", "headers"],
)
def test_a_slow_peer_ends_at_the_deadline(server: LoopbackServer, slow: Reply) -> None:
    server.replies[0] = slow
    begun = time.monotonic()
    with pytest.raises(FileNotFetchedError):
        fetch(server.url, loopback=True, seconds=0.5)

    assert time.monotonic() - begun < 2
