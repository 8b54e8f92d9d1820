"""One call through `honnin.http_client`, as the tests of it make it."""

import requests

from honnin import http_client
from honnin.http_client import Answer, Deadline
from tests.fakes import LoopbackServer


def send(
    peer: LoopbackServer | str, *, total_s: float = 5.0, read_timeout_s: float = 5.0, fresh: bool = False
) -> Answer:
    url = peer if isinstance(peer, str) else peer.url

    def make_request() -> requests.Request:
        return requests.Request("POST", f"{url}/japan/call", data=b"body", headers={"merchantNo": "1"})

    return http_client.send(
        "vexora", make_request, deadline=Deadline(total_s), read_timeout_s=read_timeout_s, fresh=fresh
    )
