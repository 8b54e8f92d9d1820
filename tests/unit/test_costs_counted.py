"""What docs/costs.md says a webhook asks of AWS is what the event processor asks of it: units counted by size."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from bench import process, process_worker, stand_in
from bench.process_stand_in import ProcessServices
from bench.stand_in import Json
from honnin import config
from operations import costs_traffic
from operations.costs_traffic import Work
from tests.handlers import load

_USERS = 3
_CHARGED_FOR_A_LINE = 26  # CloudWatch's, for each log event


@dataclass
class Asked:
    """What was asked of AWS by one run of the function."""

    events: int
    units: Counter[str] = field(default_factory=Counter)
    stored: int = 0
    items: int = 0
    calls: int = 0
    log_bytes: int = 0


def _size(item: Mapping[str, Any]) -> int:
    """Bytes of an item as DynamoDB counts them (its guide, "DynamoDB item sizes and formats")."""
    return sum(len(name.encode()) + _value(value) for name, value in item.items())


def _value(value: Mapping[str, Any]) -> int:
    [(kind, of)] = value.items()
    match kind:
        case "S":
            return len(of.encode())
        case "N":
            return 1 + (len(of) + 1) // 2
        case "BOOL" | "NULL":
            return 1
        case "M":
            return 3 + sum(len(name.encode()) + _value(each) + 1 for name, each in of.items())
        case "L":
            return 3 + sum(_value(each) + 1 for each in of)
        case _:
            return sum(len(each.encode()) for each in of)


class Counting(ProcessServices):
    """Counts what each call would be charged for."""

    def __init__(self) -> None:
        self.charged = Asked(0)
        super().__init__(0.0)

    def call(self, operation: str, body: Json) -> bytes:
        """Count the call, and answer it."""
        asked, units = self.charged, self.charged.units
        asked.calls += 1
        match operation:
            case "BatchGetItem":
                [wanted] = body["RequestItems"].values()
                if wanted["ConsistentRead"]:
                    units["reads"] += len(wanted["Keys"])
                else:
                    asked.calls -= 1  # the bench's own
            case "GetItem":
                units["reads"] += 1
            case "TransactWriteItems":
                for write in body["TransactItems"]:
                    [(kind, request)] = write.items()
                    self._write(kind, request, 2)
            case "UpdateItem":
                units["writes"] += 1
            case "PutItem":
                self._write("Put", body, 1)
            case "SendMessageBatch" | "SendMessage":
                units["sqs"] += 1
            case "PutEvents":
                units["events"] += len(body["Entries"])
            case _:
                asked.calls -= 1  # a secret, once for many
        return super().call(operation, body)

    def _write(self, kind: str, request: Json, each: int) -> None:
        asked, units = self.charged, self.charged.units
        if kind == "ConditionCheck":
            units["writes"] += each
            return
        item = request["Item"]
        units["writes"] += each * -(-_size(item) // 1024)
        before = self.table.find(item["pk"]["S"], item["sk"]["S"]) or {}
        if not before:
            asked.items += 1
            asked.stored += _size(item)
        for partition in ("due_kind", "overview_pk"):
            # The bench makes its users without their place in the index.
            old = before.get(partition, "a place" if before and partition == "overview_pk" else None)
            new = item.get(partition)
            units["index_writes"] += (old is not None and old != new) + (new is not None and old != new)
            if new is not None and old is None:
                asked.items += 1
                asked.stored += 300  # what `overview` projects of a timeline entry


@pytest.fixture
def runs(
    monkeypatch: pytest.MonkeyPatch, aws_environment: None, fresh_caches: None, capsys: pytest.CaptureFixture[str]
) -> Iterator[list[Asked]]:
    """Each run of the function: webhooks one by one, and at the end what is read later."""
    services = Counting()
    with stand_in.serving(services) as url:
        variables = process.variables(url, lambda name: f"{url}/000000000000/{name}")
        for name, value in {**variables, "AWS_ENDPOINT_URL": url}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
        config.settings.cache_clear()
        handler, found = load("event_processor").lambda_handler, list[Asked]()

        def counting(batch: dict[str, Any], context: Any) -> Any:
            capsys.readouterr()
            services.charged = Asked(len(batch["Records"]))
            found.append(services.charged)
            answer = handler(batch, context)
            lines = capsys.readouterr().out.splitlines()
            services.charged.log_bytes = sum(len(each) + _CHARGED_FOR_A_LINE for each in lines)
            return answer

        process_worker.run(counting, _USERS, 1)
        yield found


def _is(asked: Asked, work: Work, objects: int) -> None:
    counted = {name: asked.units[name] for name in ("reads", "writes", "index_writes", "sqs")}
    assert counted == {name: getattr(work, name) for name in counted}
    assert (asked.calls + objects, asked.items) == (work.calls, work.items)
    assert asked.stored == pytest.approx(work.stored_bytes, abs=200)
    assert asked.log_bytes == pytest.approx(work.log_bytes, abs=60)


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_webhook_asks_as_much_of_aws_as_the_costs_say(runs: list[Asked]) -> None:
    # The first run is the warm-up, and a run for each user follows.
    changed, unchanged = runs[2], runs[2 + _USERS]
    _is(changed, costs_traffic.CHANGE, objects=1)
    assert changed.units["events"] == 1
    _is(unchanged, costs_traffic.NO_CHANGE, objects=0)
    assert unchanged.units["events"] == 0


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_settle_event_asks_as_much_of_aws_as_the_costs_say(runs: list[Asked]) -> None:
    settled = [each for each in runs if each.units["reads"] and not each.units["sqs"] and each.events == 1]
    once, each = costs_traffic.SETTLE_BATCH, costs_traffic.SETTLE
    assert settled
    # The last ones read the provider; the others belong to webhooks that a later one followed.
    counted = settled[-1].units
    assert counted["reads"] == once.reads + each.reads
    assert counted["writes"] == once.writes + each.writes
    assert counted["sqs"] == once.sqs + each.sqs
    assert (settled[-1].calls, settled[-1].items) == (once.calls + each.calls, once.items + each.items)
    assert settled[-1].log_bytes == pytest.approx(once.log_bytes + each.log_bytes, abs=60)


def test_a_line_of_the_access_log_and_of_the_acknowledgement_fit_what_the_costs_say() -> None:
    access = {
        "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
        "time": "1775012400000",
        "ip": "203.0.113.199",
        "method": "POST",
        "route": "/webhooks/paypay/account-status",
        "status": "200",
        "latencyMs": 20,
        "integrationStatus": "200",
        "integrationError": "-",
    }
    line = {
        "counted": "EventQueued",
        "value": 1,
        "provider": "paypay",
        "event_id": "paypay:kyc:" + "0" * 36 + ":" + "0" * 16,
    }
    written = len(json.dumps(access)) + len(json.dumps(line)) + 2 * _CHARGED_FOR_A_LINE
    assert written <= costs_traffic.ACK_LOG_BYTES
