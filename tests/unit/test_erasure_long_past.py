"""Erasing a user with a very long past, by runs that are killed: each goes on, and the certificate is right."""

import random
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, cast
from unittest import mock

import pytest

import honnin.erasure
from chaos.dynamodb import MemoryDynamoDB
from honnin.erasure import Erasure
from honnin.event import Event
from honnin.store import Certificate, Store
from honnin.store.keys import former_key, link_key, status_key, submission_key, waiting_key
from honnin.store.table import encode
from honnin.vault import Vault

USER = "user-1"
AT = "2026-03-01T00:00:00.000Z"
SUBMISSIONS = [f"submission-{number:05}" for number in range(1_250)]
AUTHORIZATIONS = [f"auth-{number:034}" for number in range(250)]
OBJECTS = 3_000
WAITING = 250  # under one authorization: more than a transaction holds
# Calls that a run gets at most, so that some ten are needed. In production one has time for twenty-five times more.
BUDGET = 100


class Killed(BaseException):
    """The execution environment is gone."""


class Killable(MemoryDynamoDB):
    """A table in memory that is gone after so many calls, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 10**9
        self.calls = 0
        self.longest_filter = 0

    def passes(self) -> None:
        """One call."""
        if self.left <= 0:
            raise Killed
        self.left -= 1
        self.calls += 1

    def get_item(self, **request: Any) -> dict[str, Any]:
        """Read one item."""
        self.passes()
        return super().get_item(**request)

    def query(self, **request: Any) -> dict[str, Any]:
        """Read a page of a partition."""
        self.passes()
        self.longest_filter = max(self.longest_filter, len(request.get("FilterExpression", "")))
        return super().query(**request)

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        """Read up to 100 items."""
        self.passes()
        return super().batch_get_item(**request)

    def update_item(self, **request: Any) -> dict[str, Any]:
        """Change one item."""
        self.passes()
        return super().update_item(**request)

    def delete_item(self, **request: Any) -> dict[str, Any]:
        """Delete one item."""
        self.passes()
        return super().delete_item(**request)

    def batch_write_item(self, **request: Any) -> dict[str, Any]:
        """Put or delete up to 25 items."""
        self.passes()
        return super().batch_write_item(**request)

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        """Write up to 100 items, all or nothing."""
        self.passes()
        return super().transact_write_items(**request)


class Bucket:
    """The vault: a number of objects, of which a thousand go with each call."""

    def __init__(self, killable: Killable) -> None:
        self.objects = OBJECTS
        self._killable = killable

    def erase(self, _: str, __: str, ___: Collection[str], *, found: Callable[[int], object]) -> int:
        """Delete all; the run may end between two calls."""
        number = self.objects
        if number:
            found(number)
        while self.objects:
            self._killable.passes()
            self.objects -= 1_000
        return number


@pytest.fixture
def killable(monkeypatch: pytest.MonkeyPatch) -> Killable:
    monkeypatch.setattr(honnin.erasure, "_RUN_S", 3_600)
    made = Killable()
    for item in past():
        made.put_item(TableName="StateTable", Item=encode(item))
    made.journal.clear()
    made.calls = 0
    return made


def past() -> list[dict[str, Any]]:
    """The user: applied 1,250 times, linked 250 times, with an entry on the timeline for each."""
    entry = {"pk": f"USER#{USER}", "at": AT, "what": "x", "cause": "api", "to_status": "x", "detail": {"a": "b"}}
    items: list[dict[str, Any]] = []
    for number, name in enumerate(SUBMISSIONS):
        submission = {"submission_id": name, "user_id": USER, "status": "REJECTED", "submitted_at": AT, "polls": 0}
        items.append(submission_key(name) | submission)
        event_id = f"api:{name}:started"
        items.append(entry | {"sk": f"AT#{AT}#{event_id}", "event_id": event_id, "provider": "vexora"})
        if number:
            items.append(former_key(USER, "vexora", name) | {"left_at": AT})
    for number, name in enumerate(AUTHORIZATIONS):
        items.append(link_key(name) | {"user_id": USER})
        event_id = f"recon:x:2026-03-01:{name}:1"
        items.append(entry | {"sk": f"AT#{AT}#{event_id}", "event_id": event_id, "provider": "paypay"})
        if number:
            items.append(former_key(USER, "paypay", name) | {"left_at": AT})
    for number in range(WAITING):
        event_id = f"paypay:kyc:{number}"
        items.append(waiting_key(AUTHORIZATIONS[7], AT, event_id) | {"event_id": event_id, "detail": {}})
    status = {"user_id": USER, "status": "X", "version": 7}
    vexora = {"provider": "vexora", "submission_id": SUBMISSIONS[0]}
    paypay = {"provider": "paypay", "user_authorization_id": AUTHORIZATIONS[0]}
    return [*items, *(status_key(USER, each["provider"]) | status | each for each in (vexora, paypay))]


def erased(killable: Killable, budgets: Callable[[], int]) -> tuple[Certificate, int]:
    """Erase the user by as many runs as it takes; the certificate, and how many there were."""
    bucket, later = Bucket(killable), list[Event]()
    clock = count(0, 31)  # the claim of the run before has ended
    store = Store("StateTable", cast("Any", killable), now=lambda: datetime.now(UTC))
    for run in count(1):
        assert run <= 40, "it does not come to an end"
        now = datetime(2026, 4, 1, tzinfo=UTC) + timedelta(seconds=next(clock))
        erasure = Erasure(
            store=store,
            vault=cast("Vault", bucket),
            registers=mock.Mock(),
            paypay=lambda: pytest.fail("PayPay is not asked"),
            sweep_later=later.append,
            publish=lambda _: None,
            now=lambda now=now: now,  # type: ignore[misc]
        )
        killable.left = budgets()
        try:
            certificate = erasure.erase(USER, unlink=False)
        except Killed:
            continue
        killable.left = 10**9
        assert store.erasure.certificates(USER) == [certificate]
        assert erasure.erase(USER, unlink=False) == certificate
        return certificate, run
    raise AssertionError("unreachable")


def assert_right(killable: Killable, certificate: Certificate) -> None:
    """Everything is gone, everything is counted, and nothing was written twice."""
    assert certificate.counts == {
        "links": len(AUTHORIZATIONS),
        "waitingEvents": WAITING,
        "submissions": len(SUBMISSIONS),
        "timelineEntries": len(SUBMISSIONS) + len(AUTHORIZATIONS),
        "statuses": 2,
        "vaultObjects": OBJECTS,
    }
    left = {item["pk"]["S"].partition("#")[0] for item in killable.items()}
    # The event is that which reports the erasure.
    assert left == {"USER", "SUBMISSION", "ERASED", "EVENT"}
    assert [item["pk"]["S"] for item in killable.items() if item["sk"]["S"] == "EVENT"] == [
        f"EVENT#erased:{certificate.certificate_id}"
    ]
    assert not [item for item in killable.items() if "auth-" in str(item)]
    assert not [item for item in killable.items() if item.get("user_id") == {"S": USER} and "SUBM" in str(item)]
    # One file may name many authorizations of a user at the same moment.
    assert sum(item["sk"]["S"].startswith("AT#") for item in killable.items()) == 1_501
    written = [item["pk"]["S"] for commit in killable.journal for item in commit.puts]
    assert sum(each.startswith("SUBMISSION#") for each in written) == len(SUBMISSIONS)
    assert sum(each.startswith("ERASED#") for each in written) == len(AUTHORIZATIONS)
    assert killable.longest_filter < 4_000


def test_a_user_with_a_very_long_past_is_erased_in_a_few_calls_that_are_killed(killable: Killable) -> None:
    certificate, runs = erased(killable, lambda: BUDGET)

    assert_right(killable, certificate)
    assert runs <= 12
    assert killable.calls < 12 * BUDGET


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_any_call_it_goes_on_and_the_certificate_is_right(killable: Killable, seed: int) -> None:
    numbers = random.Random(seed)

    certificate, _ = erased(killable, lambda: numbers.randint(40, 2 * BUDGET))

    assert_right(killable, certificate)
