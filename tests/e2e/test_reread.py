"""Many users are read again on the deployed stack: those of a status, once each, also when it is stopped in between.

Most of the users stand in the table only: PayPay knows nothing of their authorizations, and says so. None of them is
VERIFIED, for many who cease to be that within an hour are taken for a mistake of ours.
"""

import uuid
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from honnin.store import Effect, Store, TimelineEntry
from honnin.times import utc_text
from local import demo
from local.demo_paypay import account_link, press_allow
from local.stack import Stack
from tests.e2e.program import honninctl, ok
from tests.fakes.paypay_user import paypay_user

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

RUN = uuid.uuid4().hex[:8]
NUMBERS = {"NOT_COMPLETED": 120, "UNCONFIRMED": 20, "RISK_FLAGGED": 10}
SCOPES = ("mini_app_kyc_passport",)

# A part is looked at every minute, and a busy machine takes its time for the events.
_ENDS_S = 400.0


@pytest.fixture(scope="module")
def store(stack: Stack) -> Store:
    """The state table, with the deployer's credentials."""
    return Store(stack.outputs["StateTableName"], stack.client("dynamodb"))


@pytest.fixture(scope="module")
def users(store: Store) -> dict[str, list[str]]:
    """150 users, by status."""
    found = {
        status: [f"reread.{RUN}.{status.lower()}.{number}" for number in range(most)]
        for status, most in NUMBERS.items()
    }
    at = utc_text(datetime.now(UTC) - timedelta(days=3))

    def put(named: tuple[str, str]) -> None:
        user_id, status = named
        after = paypay_user(user_id, status, linked=str(uuid.uuid4()), scopes=SCOPES, at=at)
        store.events.apply(Effect(f"link:{user_id}", "linked", "api", at, None, after, {}, links=True))

    with ThreadPoolExecutor(8) as some:
        list(some.map(put, [(user_id, status) for status, ids in found.items() for user_id in ids]))
    return found


def _asked(store: Store, user_ids: Sequence[str], name: str) -> dict[str, list[TimelineEntry]]:
    """What stands on the timelines of users because of a reread."""

    def of(user_id: str) -> list[TimelineEntry]:
        entries, _ = store.users.timeline(user_id, 100)
        return [each for each in entries if each.cause == "operator" and each.detail.get("reread") == name]

    with ThreadPoolExecutor(8) as some:
        return dict(zip(user_ids, some.map(of, user_ids), strict=True))


def _shown(stack: Stack, name: str) -> dict[str, Any]:
    ended = honninctl(stack, "rereads", "show", name, "--json")
    assert ended.code in (0, 1), ended.stderr
    found: dict[str, Any] = ended.json
    return found


def _ended(stack: Stack, name: str) -> dict[str, Any]:
    assert demo.wait_for(lambda: _shown(stack, name)["state"] != "running", _ENDS_S), _shown(stack, name)
    return _shown(stack, name)


def test_a_status_is_read_once_each_although_it_is_stopped_in_between(
    stack: Stack, store: Store, users: dict[str, list[str]]
) -> None:
    asked = users["NOT_COMPLETED"]
    before = store.overview.count("paypay", "NOT_COMPLETED")
    assert before >= len(asked)
    name = ok(stack, "reread", "--status", "NOT_COMPLETED", "--provider", "paypay", "--yes")["name"]
    assert demo.wait_for(lambda: _shown(stack, name)["sent"] > 0, 200)

    paused = ok(stack, "rereads", "pause", name)
    assert paused["state"] == "paused"
    assert honninctl(stack, "rereads", "pause", name).code == 1
    # What was being sent at that moment is sent; then nothing is any more, though the emulator stops no child.
    sent: list[int] = []

    def stands_still() -> bool:
        sent.append(_shown(stack, name)["sent"])
        return len(sent) > 5 and len(set(sent[-5:])) == 1

    assert demo.wait_for(stands_still, 60)

    assert ok(stack, "rereads", "resume", name)["execution"] == f"{name}-2"
    progress = _ended(stack, name)

    assert progress["state"] == "done", progress
    assert progress["users"] == progress["sent"] + progress["skipped"] >= len(asked)
    assert (progress["done"], progress["open"], progress["left"]) == (progress["sent"], 0, 0)
    # For the authorization and for the KYC, once each.
    entries = _asked(store, asked, name)
    assert Counter(len(each) for each in entries.values()) == Counter({2: len(asked)})
    ids = [each.event_id for some in entries.values() for each in some]
    assert len(set(ids)) == len(ids)
    others = _asked(store, [*users["UNCONFIRMED"], *users["RISK_FLAGGED"]], name)
    assert not any(others.values())
    # PayPay knows none of them.
    assert store.users.statuses_of(asked[:5], "paypay")[asked[0]].status != "NOT_COMPLETED"
    assert honninctl(stack, "rereads", "resume", name).code == 1


def test_a_file_is_read_and_the_watcher_sees_its_end(
    stack: Stack, store: Store, users: dict[str, list[str]], tmp_path: Path
) -> None:
    verified = f"reread.{RUN}.verified"
    press_allow(account_link(stack, verified))
    assert stack.merchant.request("GET", f"/paypay/users/{verified}/kyc-passport").json()["status"] == "VERIFIED"
    named = [verified, *users["RISK_FLAGGED"][:3]]
    path = tmp_path / "ids.txt"
    path.write_text("\r\n".join([*named, "nobody"]), encoding="utf-8")

    name = ok(stack, "reread", "--file", str(path), "--yes")["name"]
    progress = _ended(stack, name)

    assert (progress["state"], progress["users"], progress["sent"], progress["skipped"]) == ("done", 5, 4, 1), progress
    assert {len(each) for each in _asked(store, named, name).values()} == {2}
    assert demo.status(stack, verified, "paypay") == "VERIFIED"
    assert not any(_asked(store, users["RISK_FLAGGED"][3:], name).values())
    watched = honninctl(stack, "rereads", "show", name, "--watch")
    assert "done" in watched.stdout
    assert name in [each["name"] for each in ok(stack, "rereads", "list")["rereads"]]


def test_a_status_that_nobody_has_ends_without_an_event(stack: Stack) -> None:
    ended = honninctl(stack, "reread", "--status", "LINK_DECLINED", "--yes", "--watch", "--json")
    assert ended.code == 0, ended.stderr
    assert (ended.json["state"], ended.json["sent"]) == ("done", 0)


def test_all_users_of_a_provider(stack: Stack, store: Store, users: dict[str, list[str]]) -> None:
    """The last one here: the others count what stands on these timelines."""
    everybody = [each for some in users.values() for each in some]
    name = ok(stack, "reread", "--all", "--provider", "paypay", "--yes")["name"]
    progress = _ended(stack, name)

    assert progress["state"] == "done", progress
    assert progress["users"] >= len(everybody)
    assert Counter(len(each) for each in _asked(store, everybody, name).values()) == Counter({2: len(everybody)})
