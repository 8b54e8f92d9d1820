"""Whatever an earlier release wrote is read, and whatever it read is still written (docs/upgrading.md).

tests/fixtures/<version>/ holds the forms of that release, frozen. A folder goes when no upgrade begins there any more.
"""

import copy
import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import pytest

from honnin import VERSION
from honnin.domain_events import EVENTS
from honnin.event import Event
from honnin.merchant_webhook.message import Message
from honnin.register import Row
from honnin.store import (
    Access,
    Certificate,
    Comparison,
    Contract,
    EventRecord,
    Expiry,
    Link,
    LinkSession,
    Notification,
    PassportQr,
    ReceivedDay,
    ReconFile,
    Reread,
    Submission,
    TimelineEntry,
    Unattached,
    UserStatus,
    keys,
)
from honnin.store.circuit import Circuit
from honnin.store.pace import PaceSecond, Slowed
from honnin.store.rereads import Mark
from tests.documents import ROOT
from tests.forms import api, messages, objects, readers, table
from tests.forms.__main__ import FOLDER
from tests.forms.kinds import KINDS
from tests.forms.shape import lacks, paths
from tests.tables import template

RELEASES = sorted(each.name for each in FOLDER.iterdir() if re.fullmatch(r"\d+\.\d+\.\d+", each.name))
LATER = "ofALaterRelease"

# The record of each kind that has one: its fields are attributes of the same names, or `store.table.UNSTORED`.
RECORDS: Mapping[str, type[Any]] = {
    "status": UserStatus,
    "expiry": Expiry,
    "contract": Contract,
    "entry": TimelineEntry,
    "certificate": Certificate,
    "submission": Submission,
    "session": LinkSession,
    "code": PassportQr,
    "link": Link,
    "waiting": Unattached,
    "event": EventRecord,
    "received": ReceivedDay,
    "comparison": Comparison,
    "recon": ReconFile,
    "notification": Notification,
    "reread": Reread,
    "mark": Mark,
    "webhook_circuit": Circuit,
    "pace_second": PaceSecond,
    "slowed": Slowed,
    "access": Access,
}


def frozen(release: str, name: str) -> Any:
    return json.loads((FOLDER / release / f"{name}.json").read_text(encoding="utf-8"))


def each(name: str) -> list[Any]:
    """Every frozen form of a file, as the parameters of a test."""
    return [
        pytest.param(release, kind, id=f"{release} {kind}") for release in RELEASES for kind in frozen(release, name)
    ]


# --- nothing is without its form ---


def test_this_release_has_its_forms() -> None:
    assert VERSION in RELEASES, "python -m tests.forms"


def test_every_kind_of_item_is_written() -> None:
    named = {
        name.removesuffix("_key")
        for name, function in inspect.getmembers(keys, inspect.isfunction)
        if name.endswith("_key") and function.__module__ == keys.__name__
    }
    assert named == KINDS.keys() == readers.READERS.keys() == table.items().keys()


@pytest.mark.parametrize("kind", RECORDS)
def test_every_field_of_a_record_is_written(kind: str) -> None:
    wanted = {each.name for each in fields(RECORDS[kind]) if each.metadata.get("stored", True)}
    in_the_key = {"second", "name"} if kind in ("pace_second", "recon") else set()
    assert wanted - in_the_key <= {name for item in table.items()[kind] for name in item}


def test_every_queue_domain_event_and_function_of_a_state_machine_has_its_messages() -> None:
    resources = template()["Resources"]
    queues = {name for name, each in resources.items() if each["Type"] == "AWS::SQS::Queue"}
    # What is in the others was on one of these before, or is made by AWS.
    working = {name for name in queues if not name.endswith("DeadLetterQueue")}
    assert messages.messages().keys() == working
    assert messages.domain_events().keys() == EVENTS.keys()
    called = {
        name
        for each in resources.values()
        if each["Type"] == "AWS::Serverless::StateMachine"
        for name in re.findall(r"(\w+Function)", json.dumps(each["Properties"]["Definition"]))
    }
    assert objects.inputs().keys() == called
    assert objects.objects().keys() == objects.KINDS.keys()


# --- what a release wrote is read today ---


@pytest.mark.parametrize(("release", "kind"), each("table"))
def test_an_item_is_read(release: str, kind: str) -> None:
    for form in frozen(release, "table")[kind]:
        assert not list(lacks(form["read"], readers.read(form["item"])))


@pytest.mark.parametrize(("release", "kind"), each("objects"))
def test_an_object_is_read(release: str, kind: str) -> None:
    form = frozen(release, "objects")[kind]
    assert not list(lacks(form["read"], objects.read(kind, form)))


@pytest.mark.parametrize(("release", "kind"), each("inputs"))
def test_an_input_of_a_running_execution_is_read(release: str, kind: str) -> None:
    for form in frozen(release, "inputs")[kind]:
        assert not list(lacks(form["read"], objects.read_input(kind, form["input"])))


@pytest.mark.parametrize(("release", "queue"), each("messages"))
def test_a_message_on_a_queue_is_read(release: str, queue: str) -> None:
    for body in frozen(release, "messages")[queue]:
        if "detail-type" not in body:
            event = Event.from_json(json.dumps(body))
            assert json.loads(event.to_json()) == body


@pytest.mark.parametrize("release", RELEASES)
def test_a_domain_event_that_waits_becomes_the_webhook_that_it_was(release: str) -> None:
    found = {body["detail-type"]: body for body in frozen(release, "messages")["MerchantWebhookQueue"]}
    webhooks = frozen(release, "webhooks")
    assert found.keys() == webhooks.keys()
    for kind, body in found.items():
        message = Message.from_event(json.dumps(body))
        assert {"webhook-id": message.message_id, "body": json.loads(message.body)} == webhooks[kind]


# --- what a later release adds is passed over today ---


@pytest.mark.parametrize(("release", "kind"), each("table"))
def test_an_attribute_of_a_later_release_is_passed_over(release: str, kind: str) -> None:
    for form in frozen(release, "table")[kind]:
        assert not list(lacks(form["read"], readers.read(form["item"] | {LATER: {"S": "x"}})))


@pytest.mark.parametrize(("release", "queue"), each("messages"))
def test_a_field_of_a_later_release_in_a_message_is_passed_over(release: str, queue: str) -> None:
    for body in frozen(release, "messages")[queue]:
        if "detail-type" in body:
            more = {**body, "detail": {**body["detail"], LATER: "x"}}
            assert Message.from_event(json.dumps(more)) == Message.from_event(json.dumps(body))
        else:
            assert json.loads(Event.from_json(json.dumps({**body, LATER: {"x": 1}})).to_json()) == body


@pytest.mark.parametrize(("release", "kind"), each("objects"))
def test_a_field_of_a_later_release_in_an_object_is_passed_over(release: str, kind: str) -> None:
    form = frozen(release, "objects")[kind]
    if kind == "register":
        body = form["body"].replace('{"user_id"', f'{{"{LATER}":"x","user_id"')
    elif form["contentType"] == "application/json" and kind not in ("reread sources", "reread parts", "vault"):
        body = json.dumps(_with_more(json.loads(form["body"])))
    else:
        return
    assert body != form["body"]
    assert not list(lacks(form["read"], objects.read(kind, {**form, "body": body})))


@pytest.mark.parametrize(("release", "kind"), each("inputs"))
def test_a_field_of_a_later_release_in_an_input_is_passed_over(release: str, kind: str) -> None:
    for form in frozen(release, "inputs")[kind]:
        more = {name: _with_more(value) for name, value in form["input"].items()} | {LATER: "x"}
        assert not list(lacks(form["read"], objects.read_input(kind, more)))


def _with_more(value: Any) -> Any:
    """The same with one more field in each object that code reads as a record."""
    if isinstance(value, list):
        return [_with_more(one) for one in value]
    return {**copy.deepcopy(value), LATER: "x"} if isinstance(value, dict) else value


# --- what is written today has all that a release reads ---


def gone(old: Any, new: list[Any]) -> set[tuple[str, str]]:
    """The fields of a form, each with its type, that no form of today has."""
    return set(paths(old)) - {path for one in new for path in paths(one)}


@pytest.mark.parametrize(("release", "kind"), each("table"))
def test_no_attribute_is_gone_or_of_another_type(release: str, kind: str) -> None:
    for form in frozen(release, "table")[kind]:
        assert not gone(form["item"], table.items()[kind])


@pytest.mark.parametrize(("release", "queue"), each("messages"))
def test_no_field_of_a_message_is_gone(release: str, queue: str) -> None:
    now = messages.messages()[queue]
    for body in frozen(release, "messages")[queue]:
        assert not gone(body, now)
        named = ("v", "provider", "kind", "cause", "source", "detail-type")
        assert {name: body[name] for name in named if name in body} in [
            {name: one[name] for name in named if name in one} for one in now
        ]


@pytest.mark.parametrize(("release", "kind"), each("objects"))
def test_no_field_of_an_object_is_gone(release: str, kind: str) -> None:
    form, now = frozen(release, "objects")[kind], objects.objects()[kind]
    assert (objects.kind_of(form["key"]), form["contentType"]) == (kind, now["contentType"])
    assert not gone(objects.content(form), [objects.content(now)])


@pytest.mark.parametrize(("release", "function"), each("inputs"))
def test_no_field_of_an_input_is_gone(release: str, function: str) -> None:
    for form in frozen(release, "inputs")[function]:
        assert not gone(form["input"], objects.inputs()[function])


@pytest.mark.parametrize("release", RELEASES)
def test_a_program_for_the_api_of_a_release_still_works(release: str) -> None:
    document = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    assert not list(api.broken(frozen(release, "api"), api.outline(document)))


def test_the_register_that_is_kept_has_every_field_of_a_row() -> None:
    [row] = objects.content(objects.objects()["register"])
    assert row.keys() == {each.name for each in fields(Row)}


# --- these tests find what they are for ---


def test_a_renamed_field_and_another_type_are_found() -> None:
    [link, *_] = table.items()["link"]
    renamed = {name.replace("user_id", "owner"): value for name, value in link.items()}
    assert gone(link, [renamed]) == {("user_id", "object"), ("user_id.S", "str")}
    assert gone(link, [link | {"user_id": {"N": "1"}}]) == {("user_id.S", "str")}
    assert list(lacks({"a": [{"b": 1}]}, {"a": [{"b": 2, "c": 3}]})) == [".a[0].b is 2, not 1"]


def test_what_breaks_a_program_for_the_api_is_found() -> None:
    document = api.outline(json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8")))
    later = copy.deepcopy(document)
    del later["paths"]["/overview/counts"]
    schemas = later["components"]["schemas"]
    schemas["UserView"]["properties"]["verified"]["type"] = "string"
    schemas["SubmissionRequest"]["required"].append("extraInfo")
    schemas["PayPayStatus"]["enum"].remove("VERIFIED")
    schemas["UserView"]["properties"]["added"] = {"type": "string"}
    assert set(api.broken(document, later)) == {
        "get /overview/counts is gone",
        "UserView.verified is of another type",
        "SubmissionRequest needs extraInfo",
        "PayPayStatus has no 'VERIFIED' any more",
    }
