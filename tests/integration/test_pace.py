"""The rate towards a provider on a table of moto's: the conditional writes, and which calls are counted as what."""

from dataclasses import replace
from typing import Any

import pytest

from honnin.errors import NoLeaseError
from honnin.event import Event
from honnin.pace import Pace, Work
from honnin.store.pace import Ask, Paces, PaceSecond, Slowed
from honnin.times import utc_text
from sandbox.server import RunningSandbox
from tests.fakes.deployment import Deployment, Function, utc_now
from tests.fakes.merchant import Merchant

SECOND = 1_775_000_000
FIRST = Ask(SECOND, Work.REPAIR, 3, 50, floor=0, ceiling=47, work_before=7, is_behind=False)


@pytest.fixture
def paces(stack: Deployment) -> Paces:
    return stack.store.paces


def test_slots_are_given_in_their_order_up_to_the_rate_and_the_share(paces: Paces) -> None:
    assert paces.take("paypay", FIRST) == (True, PaceSecond(SECOND, 50, used=3, repairs=3))
    assert paces.take("paypay", FIRST) == (True, PaceSecond(SECOND, 50, used=6, repairs=6))
    # The share: 6 + 3 would be fine, for 7 were allowed before; then not.
    assert paces.take("paypay", replace(FIRST, work_before=5)) == (False, PaceSecond(SECOND, 50, used=6, repairs=6))
    live = replace(FIRST, work=Work.LIVE, number=10, ceiling=40, work_before=None)
    assert paces.take("paypay", live) == (True, PaceSecond(SECOND, 50, used=16, live=10, repairs=6))
    assert paces.take("paypay", replace(live, ceiling=15))[0] is False
    assert paces.take("paypay", replace(live, floor=17, ceiling=40))[0] is False, "its slot would have passed"
    assert paces.take("vexora", FIRST) == (True, PaceSecond(SECOND, 50, used=3, repairs=3)), "a rate of its own"


def test_slots_that_have_passed_are_lost_once(paces: Paces) -> None:
    behind = replace(FIRST, floor=20, is_behind=True)
    assert paces.take("paypay", behind) == (True, PaceSecond(SECOND, 50, used=23, repairs=3))
    assert paces.take("paypay", behind) == (False, PaceSecond(SECOND, 50, used=23, repairs=3))
    on_time = replace(FIRST, floor=20, ceiling=30)
    assert paces.take("paypay", on_time) == (True, PaceSecond(SECOND, 50, used=26, repairs=6))


def test_all_calls_of_a_second_follow_the_rate_that_it_was_given_first(paces: Paces) -> None:
    paces.take("paypay", replace(FIRST, rate=25, ceiling=22))
    assert paces.take("paypay", FIRST) == (False, PaceSecond(SECOND, 25, used=3, repairs=3))


def test_a_call_of_the_api_is_counted_before_and_after_the_others(stack: Deployment, paces: Paces) -> None:
    paces.mark("paypay", SECOND, Work.API)
    assert paces.take("paypay", FIRST) == (True, PaceSecond(SECOND, 50, used=4, api=1, repairs=3))
    paces.mark("paypay", SECOND, Work.API)
    assert paces.second("paypay", SECOND) == PaceSecond(SECOND, 50, used=5, api=2, repairs=3)
    assert paces.second("paypay", SECOND).calls == 5
    [item] = [each for each in stack.everything() if each["pk"].startswith("PACE#")]
    assert item["expires_at"] == SECOND + 300


def test_a_refusal_is_written_by_one_of_several(paces: Paces) -> None:
    first, second = Slowed(50, 1000), Slowed(30, 1001)
    assert paces.slowed("paypay") is None
    assert paces.slow("paypay", first, None)
    assert not paces.slow("paypay", second, None)
    assert paces.slow("paypay", replace(first, until_ms=9000), first)
    assert not paces.slow("paypay", second, first)
    assert paces.slowed("paypay") == Slowed(50, 1000, 9000)


# --- who is counted as what ---


def counted(stack: Deployment, provider: str = "paypay") -> dict[str, int]:
    """The calls so far by kind of work; what was counted is forgotten."""
    found = dict.fromkeys(tuple(Work), 0)
    for item in stack.everything():
        if item["pk"].startswith(f"PACE#{provider}#"):
            for work in Work:
                found[work] += int(item.get(work, 0))
            stack.dynamodb.delete_item(TableName="StateTable", Key={"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}})
    return {str(work): number for work, number in found.items() if number}


def worked(stack: Deployment, processor: Function, linked: str, queue: str, number: int = 1) -> list[str]:
    """Have a hint about the user worked off from a queue; returns what comes again."""
    event_id = f"recon:kyc_passport_sync_recon:2026-03-31:{linked}:{number}"
    event = Event(event_id, "paypay", "kyc", "recon", linked, utc_text(utc_now()))
    stack.send(event.to_json(), queue)
    return stack.work(processor, queue, 120_000)


@pytest.fixture
def linked(stack: Deployment) -> str:
    Merchant(stack).link("user-0001", scopes=["get_kyc_info"])
    authorization = stack.store.users.status("user-0001", "paypay")
    assert authorization
    assert authorization.user_authorization_id
    return authorization.user_authorization_id


def test_each_queues_calls_are_counted_as_its_own_and_those_of_the_api_as_theirs(
    stack: Deployment, linked: str, box: RunningSandbox
) -> None:
    assert set(counted(stack)) == {"api"}
    processor = stack.function("event_processor")
    for number, (queue, work) in enumerate(
        [("EventQueue", "live"), ("RepairQueue", "repairs"), ("RereadQueue", "rereads"), ("EventQueue", "live")]
    ):
        assert worked(stack, processor, linked, queue, number) == []
        assert counted(stack) == {work: 1}


def test_an_answer_429_slows_everybody_down_and_the_event_comes_again(
    stack: Deployment, linked: str, box: RunningSandbox
) -> None:
    box.paypay.dials.put({"kyc_info_fault": {"kind": "RATE_LIMIT"}})
    processor = stack.function("event_processor")
    assert len(worked(stack, processor, linked, "EventQueue")) == 1
    slowed = stack.store.paces.slowed("paypay")
    assert slowed
    assert slowed.rate <= 3, "as many as were called"
    assert stack.store.paces.slowed("vexora") is None


def test_without_the_counter_events_are_worked_off_all_the_same(
    stack: Deployment, linked: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise stack.dynamodb.exceptions.ProvisionedThroughputExceededException({"Error": {"Code": "x"}}, "UpdateItem")

    monkeypatch.setattr(Paces, "take", fail)
    processor = stack.function("event_processor")
    assert worked(stack, processor, linked, "RepairQueue") == []
    assert '"PaceUnshared"' in capsys.readouterr().out


def test_what_gets_no_turn_comes_again_later_and_is_no_dead_letter(
    stack: Deployment, linked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_: Pace) -> None:
        raise NoLeaseError("paypay", "no room")

    monkeypatch.setattr(Pace, "before_call", none)
    processor = stack.function("event_processor")
    for number in range(4):
        assert len(worked(stack, processor, linked, "RepairQueue", number)) == 1
    assert stack.drain("DeadLetterQueue") == []


def test_items_of_the_rate_hold_nothing_of_anybody(stack: Deployment, linked: str) -> None:
    worked(stack, stack.function("event_processor"), linked, "EventQueue")
    items = [each for each in stack.everything() if each["pk"].startswith("PACE#")]
    assert items
    assert linked not in str(items)
    assert "user-0001" not in str(items)
