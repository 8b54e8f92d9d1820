"""`/users/{userId}/contract-end` and the function `retention`, as the template has them."""

import json
from dataclasses import replace
from typing import Any

import pytest

from honnin import contract_ends
from honnin.store import Certificate
from honnin.times import jst_day, utc_text
from sandbox.server import RunningSandbox
from tests.fakes.deployment import Deployment, sample, utc_now
from tests.fakes.shop import USER, Shop


@pytest.fixture
def shop(stack: Deployment, box: RunningSandbox) -> Shop:
    return Shop(stack, box)


def report(shop: Shop, body: str | None, user_id: str = USER) -> tuple[int, dict[str, Any]]:
    """`POST /users/{userId}/contract-end`."""
    shop.functions["POST"] = shop.functions["DELETE"]
    return shop.call("POST", f"/users/{user_id}/contract-end", user_id, body)


def show(shop: Shop, user_id: str = USER) -> tuple[int, dict[str, Any]]:
    """`GET /users/{userId}/contract-end`, of the function that has the route."""
    others, shop.functions["GET"] = shop.functions["GET"], shop.functions["DELETE"]
    shown = shop.call("GET", f"/users/{user_id}/contract-end", user_id)
    shop.functions["GET"] = others
    return shown


def test_an_end_is_reported_shown_cancelled_and_reported_again(shop: Shop, stack: Deployment) -> None:
    shop.live()
    today = jst_day(utc_now())
    said = json.dumps({"endedOn": today, "reason": "解約"})
    status, first = report(shop, said)
    assert status == 200
    assert (first["endedOn"], first["reason"]) == (today, "解約")
    assert first["keptUntil"] > today
    assert report(shop, said) == (200, first)
    assert show(shop) == (200, first)
    path = f"/users/{USER}/contract-end"
    nothing = {"userId": USER, "endedOn": None, "reportedAt": None, "reason": None, "keptUntil": None}
    assert shop.call("DELETE", path) == (200, nothing)
    assert shop.call("DELETE", path) == (200, nothing)
    assert not [item for item in stack.items() if "due_kind" in item and item["sk"] == "CONTRACT"]
    assert show(shop) == (200, nothing)
    assert report(shop, said)[0] == 200


# Each body with the field of the answer.
NOT_VALID: list[tuple[str | None, str]] = [
    (None, "body"),
    ("{}", "endedOn"),
    ('{"endedOn": "2026-02-30"}', "endedOn"),
    ('{"endedOn": "4711"}', "endedOn"),
    ('{"endedOn": "4711-01-01"}', "endedOn"),
    ('{"endedOn": "2026-01-01T00:00:00Z"}', "endedOn"),
    ('{"endedOn": "２０２６-01-01"}', "endedOn"),
    ('{"endedOn": 20260101}', "endedOn"),
    ('{"endedOn": "2026-01-01", "reason": ""}', "reason"),
    ('{"endedOn": "2026-01-01", "4711": "x"}', "?"),
]


def test_what_is_not_valid_is_refused_by_field_and_rule(
    shop: Shop, stack: Deployment, subtests: pytest.Subtests
) -> None:
    # One user for all of them, who takes longer to make than the rest.
    shop.live()
    before = stack.items()
    for body, field in NOT_VALID:
        with subtests.test(body):
            answered, problem = report(shop, body)
            assert answered == 422
            assert [each["field"] for each in problem["errors"]] == [field]
            assert "4711" not in json.dumps(problem)
            assert stack.items() == before


def test_nobody_is_a_404_and_an_earlier_contract_a_409(shop: Shop) -> None:
    assert report(shop, '{"endedOn": "2026-01-01"}', "nobody")[0] == 404
    assert shop.call("DELETE", "/users/nobody/contract-end", "nobody")[0] == 404
    assert show(shop, "nobody")[0] == 404
    shop.live()
    status, problem = report(shop, '{"endedOn": "2001-01-01"}')
    assert (status, problem["code"]) == (409, "contract-started-again")


def test_a_cancellation_after_the_erasure_has_begun_is_a_409(shop: Shop, stack: Deployment) -> None:
    shop.live()
    stack.store.erasure.begin(Certificate("c-1", USER, utc_text(utc_now())))
    status, problem = shop.call("DELETE", f"/users/{USER}/contract-end")
    assert (status, problem["code"]) == (409, "erasure-begun")
    assert stack.function("retention")(sample("retention"), 900_000)["erased"] == 1
    assert stack.store.users.statuses(USER) == []


def test_the_hourly_run_erases_and_unlinks_who_is_due(
    shop: Shop, stack: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.live()
    shop.live("user-0002")
    retention = stack.function("retention")
    assert report(shop, json.dumps({"endedOn": jst_day(utc_now())}))[0] == 200
    assert retention(sample("retention"), 900_000)["erased"] == 0
    # As if it had been reported seven years ago.
    item = stack.store.contracts.get(USER)
    monkeypatch.setattr(contract_ends, "due_at", lambda *_: "2026-01-01T00:00:00.000Z")
    stack.store.contracts.change(item, replace(item, due_at="2026-01-01T00:00:00.000Z"))
    monkeypatch.setattr(contract_ends, "_UNLINK_FOR", utc_now() - utc_now().replace(year=2000))
    stack.published()

    assert retention(sample("retention"), 900_000) == {"erased": 1, "moved": 0, "cancelled": 0, "later": 0, "failed": 0}

    assert (shop.versions(), shop.unlink_calls()) == ([], 2)
    assert shop.versions("user-0002")
    assert [each["detail-type"] for each in stack.published()] == ["UserErased"]
    [certificate] = stack.store.erasure.certificates(USER)
    assert certificate.completed_at
    assert (certificate.requested_by or "").startswith("arn:")
    assert (certificate.reason or "").startswith("the contract ended on ")
    assert utc_text(utc_now()) > certificate.begun_at
