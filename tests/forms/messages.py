"""Messages of every queue, and every domain event with its merchant webhook, as today's code sends them."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any, cast

from honnin import settling, webhook
from honnin.domain_events import EVENTS, SOURCE
from honnin.erasure import Erasure
from honnin.event import Event
from honnin.merchant_webhook.message import Message
from honnin.paypay import expiry
from honnin.publish import Publisher
from honnin.store import Certificate, Submission
from honnin.store.expiries import Expiry
from honnin.vexora import poll
from tests.documents import ROOT
from tests.fakes.aws import FakeBus
from tests.forms.table import AT, LATER, NOW, items, store_of
from tests.forms.worlds import recon, reread

_PAYPAY = ("kyc", "risk", "account_status", "recon")
_ANYWHERE = ("0.0.0.0/0",)


@cache
def messages() -> dict[str, list[Any]]:
    """The bodies of messages, by the logical id of their queue, as JSON."""
    queues: dict[str, list[Any]] = {"EventQueue": [], "ReconNoticeQueue": []}

    def to(queue: str) -> Callable[[str], str]:
        def send(body: str) -> str:
            queues[queue].append(json.loads(body))
            return ""

        return send

    paypay: dict[str, Any] = {
        "source_cidrs": _ANYWHERE,
        "send": to("EventQueue"),
        "send_recon_file": to("ReconNoticeQueue"),
    }
    requests = [_request(f"paypay_{each}_webhook") for each in _PAYPAY]
    bodies = [json.loads(each["body"]) for each in requests]
    customer = {**bodies[0], "notification_type": "customer.authorization.canceled"}
    for body in (*bodies, customer, {"of": "another kind"}, [bodies[0], bodies[3]]):
        webhook.acknowledge_paypay({**requests[0], "body": json.dumps(body)}, **paypay)
    vexora = _request("vexora_result_webhook")
    path = {"submissionId": "sub-1", "token": webhook.callback_token("sub-1", "key")}
    webhook.acknowledge_vexora_result(
        {**vexora, "pathParameters": path},
        source_cidrs=_ANYWHERE,
        callback_keys=lambda: ["key"],
        verify_sign=lambda *_: True,
        send=to("EventQueue"),
    )
    end = Expiry("link", "user-1", "paypay", "auth-1", LATER, is_reported=False, due_at=LATER)
    hint = Event.from_json(json.dumps(queues["EventQueue"][0]))
    own = [
        poll._event(Submission("sub-1", "user-1", "PENDING", AT, due_at=AT), NOW),
        expiry._question(end, NOW),
        expiry._question(end, NOW + timedelta(days=60)),
        Erasure._sweep(cast("Any", SimpleNamespace(_now=lambda: NOW)), Certificate("cert-1", "user-1", AT)),
    ]
    queues["EventQueue"] += [json.loads(each.to_json()) for each in own]
    queues["RepairQueue"] = _bodies(recon().sent["repairs"])
    settle = settling._settle_event(hint, 60)
    queues["RereadQueue"] = _bodies([*recon().sent["rereads"], *reread().events, settle])
    queues["MerchantWebhookQueue"] = list(domain_events().values())
    return queues


@cache
def domain_events() -> dict[str, Any]:
    """One domain event of each type, in the envelope in which EventBridge puts it on a queue."""
    bus, store = FakeBus(), store_of(*(each for each in items()["event"] if "change" in each))
    publisher = Publisher("bus", store, bus.client)
    for each in sorted(store.events.unpublished("9999"), key=lambda record: record.event_id):
        publisher.publish(each)
    publisher.recon_completed(cast("Any", recon().published[0]))
    envelope = {"version": "0", "id": "b-1", "source": SOURCE, "time": "2026-11-28T03:00:00Z"}
    entries = {each["DetailType"]: json.loads(each["Detail"]) for each in bus.entries}
    return {kind: {**envelope, "detail-type": kind, "detail": entries[kind]} for kind in EVENTS if kind in entries}


def merchant_webhooks(events: Mapping[str, Any]) -> dict[str, Any]:
    """What the merchant's endpoint gets of each domain event: the id of the message, and its body."""
    found = {kind: Message.from_event(json.dumps(event)) for kind, event in events.items()}
    return {kind: {"webhook-id": each.message_id, "body": json.loads(each.body)} for kind, each in found.items()}


def _request(function: str) -> dict[str, Any]:
    request: dict[str, Any] = json.loads((ROOT / "events" / f"{function}.json").read_text(encoding="utf-8"))
    return request


def _bodies(events: list[Event]) -> list[Any]:
    by_form = {(each.provider, each.kind, each.cause, *sorted(each.detail)): each for each in events}
    return [json.loads(each.to_json()) for each in by_form.values()]
