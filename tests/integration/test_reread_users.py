"""The functions of `RereadUsers` on moto, as the state machine of the template invokes them."""

import json
from typing import Any

import boto3
import pytest

from honnin.reread import listing, plan
from honnin.store import Effect, Reread
from honnin.store.overview import PLACES
from honnin.store.rereads import Kind
from tests.fakes.deployment import Deployment, sample
from tests.fakes.merchant import Merchant
from tests.fakes.paypay_user import paypay_user

AT = "2026-03-01T00:00:00.000Z"
NAME = sample("reread_plan")["reread"]["name"]


def begin(stack: Deployment, kind: Kind = Kind.STATUS, **facts: Any) -> None:
    """Record the reread that the sample events are about."""
    facts = {"provider": "paypay", "status": "VERIFIED"} | facts if kind is Kind.STATUS else facts
    assert stack.store.rereads.begin(Reread(NAME, kind, AT, executions=1, **facts))


def link(stack: Deployment, user_id: str, status: str = "VERIFIED") -> None:
    """A linked user."""
    after = paypay_user(user_id, status, linked=f"auth-{user_id}", at=AT)
    stack.store.events.apply(Effect(f"link:{user_id}", "linked", "api", AT, None, after, {}, links=True))


def read(place: dict[str, Any]) -> Any:
    """A list, as the state machine reads it."""
    return json.loads(boto3.client("s3").get_object(Bucket=place["bucket"], Key=place["key"])["Body"].read())


def run(stack: Deployment) -> list[str]:
    """Plan, list and plan again; returns the parts."""
    planned, sample_input = stack.function("reread_plan"), sample("reread_plan")
    sources = planned(sample_input)
    for source in read(sources):
        assert stack.function("reread_list")({**sample_input, "source": source}) is None
    parts = planned({**sample_input, "sources": sources})
    found: list[str] = read(parts)
    assert parts["any"] is bool(found)
    return found


def process(stack: Deployment) -> None:
    """The processor takes what is on the rereads queue."""
    processor = stack.function("event_processor")
    while stack.receive("RereadQueue"):
        assert stack.work(processor, "RereadQueue", 120_000) == []


def send(stack: Deployment, parts: list[str]) -> list[bool]:
    """Send each part, or look what has come of it."""
    sample_input = sample("reread_send")
    return [stack.function("reread_send")({**sample_input, "part": each})["settled"] for each in parts]


def test_the_sample_events_are_those_of_one_reread(stack: Deployment) -> None:
    begin(stack)
    user_id = next(each for each in map("user-{}".format, range(1000)) if _in_the_first_shard(stack, each))

    sources = stack.function("reread_plan")(sample("reread_plan"))
    assert read(sources)[0] == sample("reread_list")["source"]
    assert stack.function("reread_list")(sample("reread_list")) is None
    assert stack.function("reread_send")(sample("reread_send")) == {"settled": False}

    events = stack.drain("RereadQueue")
    assert [(each["subject"], each["kind"]) for each in events] == [
        (f"auth-{user_id}", "account_status"),
        (f"auth-{user_id}", "kyc"),
    ]


def _in_the_first_shard(stack: Deployment, user_id: str) -> bool:
    link(stack, user_id)
    return bool(list(stack.store.overview.of_shard("paypay", "VERIFIED", PLACES[0])))


def test_a_user_of_each_provider_is_read_and_what_came_of_it_is_counted(stack: Deployment) -> None:
    merchant = Merchant(stack)
    merchant.link("user-0001")
    begin(stack, Kind.ALL, segments=3)

    parts = run(stack)
    assert send(stack, parts) == [False] * len(parts)
    process(stack)
    assert send(stack, parts) == [True] * len(parts)

    done = stack.store.rereads.get(NAME)
    assert done is not None
    assert (done.users, done.sent, done.read, done.left) == (1, 1, 1, 0)
    entries, _ = stack.store.users.timeline("user-0001", 100)
    asked = [each for each in entries if each.cause == "operator"]
    assert len(asked) == 2
    assert {each.detail["reread"] for each in asked} == {NAME}
    assert run(stack) == []


@pytest.mark.parametrize("kind", list(Kind))
def test_whoever_there_is_is_listed_once(stack: Deployment, monkeypatch: pytest.MonkeyPatch, kind: Kind) -> None:
    """More users than a part takes, and a file of more than one range."""
    monkeypatch.setattr(listing.run, "__defaults__", (2,))
    monkeypatch.setattr(plan.sources, "__defaults__", (4,))
    names = [f"user-{number}" for number in range(11)]
    for each in names:
        link(stack, each)
    link(stack, "other", "RISK_FLAGGED")
    if kind is Kind.FILE:
        body = "\r\n".join(names).encode()
        boto3.client("s3").put_object(Bucket=_bucket(stack), Key=f"rereads/{NAME}/ids.txt", Body=body)
    begin(stack, kind, **({"segments": 3} if kind is Kind.ALL else {}))

    parts = run(stack)
    assert run(stack) == parts
    keys = [f"rereads/{NAME}/parts/{each}.json" for each in parts]
    listed = [each for key in keys for each in read({"bucket": _bucket(stack), "key": key})["users"]]

    assert sorted(listed) == sorted([*names, "other"] if kind is Kind.ALL else names)
    found = stack.store.rereads.get(NAME)
    assert found is not None
    assert found.users == len(listed)


def _bucket(stack: Deployment) -> str:
    stack.enter("reread_plan")
    from honnin.config import settings

    return settings().recon_bucket
