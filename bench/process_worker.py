"""One environment of the event processor, working off batches: `python -m bench.process_worker USERS BATCH`.

The handler is the built function's own, with the variables that template.yaml gives it, and gets batches in the form in
which SQS hands them over. AWS is where AWS_ENDPOINT_URL points; calls to it are counted as botocore sends them. The
last line of the output has, for each part, `events`, `wall_s`, `calls` by name, and `reads`, PayPay's calls:

- `changed`: a webhook for each of USERS users who have linked and were not read yet;
- `unchanged`: another one for each of them, which finds nothing new;
- `one_user`: 120 webhooks about one user, all received before the first is worked off;
- `settled`: what these have left to be read later, as if its time had come.
"""

import http.client
import importlib
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import batched
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3

from bench import users
from honnin import webhook
from honnin.config import settings
from honnin.store import Store
from honnin.store.table import Table

_EVENTS = Path(__file__).resolve().parent.parent / "events"
_HINTS = 120
_TIMEOUT_MS = 120_000
_VERIFIED = "VERIFIED"

type Handler = Callable[[dict[str, Any], Any], Any]


class _Context:
    """As much of a Lambda context as a worker asks for."""

    function_name = "bench"
    function_version = "$LATEST"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:ap-northeast-1:000000000000:function:bench"
    aws_request_id = "bench"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        """The function has just begun."""
        return _TIMEOUT_MS


class Environment:
    """The handler, warm after its first batch, and what it asks of AWS."""

    def __init__(self, handler: Handler, batch_size: int) -> None:
        self._handler = handler
        self._batch_size = batch_size
        self._calls: Counter[str] = Counter()
        boto3.setup_default_session()
        # Every client of ours is made by the default session, and every try of every call passes here.
        boto3.DEFAULT_SESSION.events.register("before-send", self._count)  # type: ignore[union-attr]
        self._sample: dict[str, Any] = json.loads((_EVENTS / "event_processor.json").read_text(encoding="utf-8"))[
            "Records"
        ][0]

    def work(self, bodies: Sequence[str], queue_url: str) -> dict[str, Any]:
        """Work off messages of a queue, a batch after the other; what it took. ValueError when one is to come again."""
        ask("DELETE")
        self._calls.clear()
        begun = time.perf_counter()
        for some in batched(bodies, self._batch_size, strict=False):
            records = [self._record(body, number, queue_url) for number, body in enumerate(some)]
            answer = self._handler({"Records": records}, _Context())
            if answer["batchItemFailures"]:
                raise ValueError(f"{len(answer['batchItemFailures'])} messages are to come again")
        wall_s = time.perf_counter() - begun
        tally = ask("GET")
        return {"events": len(bodies), "wall_s": wall_s, "calls": dict(self._calls), "reads": tally["reads"]}

    def _count(self, event_name: str, **_: Any) -> None:
        self._calls[event_name.removeprefix("before-send.")] += 1

    def _record(self, body: str, number: int, queue_url: str) -> dict[str, Any]:
        sent = str(int(time.time() * 1000))
        result: dict[str, Any] = {
            "messageId": f"{number:08}-0000-4000-8000-{time.monotonic_ns() % 10**12:012}",
            "body": body,
            "attributes": self._sample["attributes"] | {"SentTimestamp": sent},
            "eventSourceARN": f"arn:aws:sqs:ap-northeast-1:000000000000:{queue_url.rpartition('/')[2]}",
        }
        return self._sample | result


def ask(method: str) -> dict[str, Any]:
    """Read (GET) or forget (DELETE) what was asked of the stand-in; the table stays."""
    server = urlsplit(os.environ["AWS_ENDPOINT_URL"])
    connection = http.client.HTTPConnection(str(server.hostname), server.port, timeout=60)
    try:
        connection.request(method, "/tally")
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        return answer
    finally:
        connection.close()


class Hints:
    """Webhooks as PayPay sends them, and as the webhook's function puts them on the queue."""

    def __init__(self) -> None:
        self._sample = json.loads((_EVENTS / "paypay_kyc_webhook.json").read_text(encoding="utf-8"))
        self._address = self._sample["requestContext"]["identity"]["sourceIp"]
        self._serial = 0

    def about(self, authorization: str) -> str:
        """The body of one more message about a user."""
        self._serial += 1
        result = {"notification_id": f"bench-{self._serial}", "user_authorization_id": authorization}
        body = json.loads(self._sample["body"]) | result
        bodies: list[str] = []

        def send(text: str) -> str:
            bodies.append(text)
            return "1"

        networks = (f"{self._address}/32",)
        event = self._sample | {"body": json.dumps(body)}
        answer = webhook.acknowledge_paypay(event, source_cidrs=networks, send=send, send_recon_file=send)
        if answer["statusCode"] != 200 or len(bodies) != 1:
            raise ValueError(f"the webhook was not accepted: {answer}")
        return bodies[0]


def run(handler: Handler, number: int, batch_size: int) -> dict[str, Any]:
    """All parts. ValueError when somebody ends as something else than verified."""
    # Before any client is made, for each is counted.
    hints, environment = Hints(), Environment(handler, batch_size)
    names = [f"bench-authorization-{each:04}" for each in range(number + batch_size + 1)]
    table = Table(settings().state_table)
    table.put(item for each in names for item in users.items(users.linked(f"user-of-{each}", each)))
    one, warm_up, many = names[0], names[1 : batch_size + 1], names[batch_size + 1 :]
    live, later = settings().event_queue_url, settings().reread_queue_url
    environment.work([hints.about(each) for each in warm_up], live)
    found = {
        "changed": environment.work([hints.about(each) for each in many], live),
        "unchanged": environment.work([hints.about(each) for each in many], live),
        "one_user": environment.work([hints.about(one) for _ in range(_HINTS)], live),
    }
    left = ask("GET")["sent"].get(later.rpartition("/")[2], [])
    found["settled"] = environment.work(left, later)
    ids = [f"user-of-{each}" for each in names]
    statuses = Store(settings().state_table).users.statuses_of(ids, "paypay")
    if [each.status for each in statuses.values()] != [_VERIFIED] * len(names):
        raise ValueError("a user is not verified")
    return found


def peak_rss_mib() -> float:
    """The highest resident set of this program so far, in MiB (`VmHWM`)."""
    kib = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if kib is None:
        raise OSError("/proc/self/status has no VmHWM")
    return int(kib[1]) / 1024


if __name__ == "__main__":
    done = run(importlib.import_module("app").lambda_handler, int(sys.argv[1]), int(sys.argv[2]))
    print(json.dumps({**done, "peak_rss_mib": peak_rss_mib()}))
