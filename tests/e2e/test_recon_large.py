"""A large recon file on the deployed stack: several ranges, a comparison that is stopped, and the next one."""

from collections import Counter
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from local import demo
from local.demo_paypay import flag_unnoticed
from local.demo_recon import report
from local.stack import Stack
from tests.e2e import comparisons, crowds, schedules
from tests.e2e.roles import without

pytestmark = pytest.mark.e2e

_RISK = "kyc_passport_risk_sync_recon"
_ROWS = 100_000
_LINKED = 100
# Within the ranges 1 and 3 of those that template.yaml makes locally.
_PLACES = (30_000, 90_000)
# Long: ranges side by side are a lot of work for a busy machine.
_LONG_S = 400.0


def _day(back: int) -> str:
    today: date = datetime.now(ZoneInfo("Asia/Tokyo")).date()
    return (today - timedelta(days=back)).isoformat()


def _rows(authorizations: list[str]) -> list[str]:
    """As many rows as the file has: most are unknown here, and the linked ones are in two ranges."""
    rows = crowds.unknown(_ROWS - len(authorizations))
    half = len(authorizations) // 2
    for place, some in zip(_PLACES, (authorizations[:half], authorizations[half:]), strict=True):
        rows[place:place] = some
    return rows


@pytest.mark.timeout(1800)
def test_a_comparison_that_was_stopped_is_made_anew_and_reads_everybody_once(stack: Stack) -> None:
    users = crowds.linked(stack, _LINKED)
    lost = list(users)[::5]
    for each in lost:
        flag_unnoticed(stack, each)
    day = _day(5)

    def parts(number: int) -> set[str]:
        return comparisons.parts(stack, _RISK, day, name, number)

    def file() -> dict[str, Any]:
        return next((each for each in report(stack, day) if each["fileName"] == name), {})

    with schedules.paused(stack, "ReconDownloadFunctionEvery5Minutes"):
        name = crowds.notify(stack, _RISK, day, _rows([*users.values()]))
        assert demo.wait_for(lambda: file().get("state") == "ANNOUNCED")
        # The ranges in which somebody is linked cannot send their events: they write down whom, and fail.
        with without(stack, "ReconCompareFunction", "sqs:SendMessage"):
            stack.invoke("ReconDownloadFunction")
            [first] = comparisons.executions(stack, _RISK, day).values()
            assert demo.wait_for(lambda: any(each.endswith(".json") for each in parts(1) - {"plan.json"}), _LONG_S)
            comparisons.stop(stack, first)
            assert comparisons.state(stack, first) == "ABORTED"
            assert comparisons.wait_for_ranges(stack, first, _LONG_S)
        done = {each for each in parts(1) if each.endswith(".done")}
        assert done == {"00000.done", "00002.done", "00004.done"}
        assert file()["state"] == "STORED"

        stack.invoke("ReconDownloadFunction")

    numbers = comparisons.executions(stack, _RISK, day)
    assert list(numbers) == [1, 2]
    assert comparisons.wait_for_end(stack, numbers[2], _LONG_S) == "SUCCEEDED"
    shown = file()
    assert (shown["state"], shown["comparison"], shown["repairsOpen"]) == ("COMPARED", 2, 0)
    counts = Counter(shown["counts"])
    assert counts["rows"] == _ROWS
    assert (counts["reRead"], counts["changed"], counts["notRead"]) == (_LINKED, len(lost), 0)
    assert (counts["notLinkedHere"], counts["malformed"]) == (_ROWS - _LINKED, 0)
    # Each row is one of these.
    rows = ("upToDate", "reRead", "leftOut", "notLinkedHere", "erased", "duplicates")
    assert sum(counts[each] for each in rows) == _ROWS

    once = {user: [f"recon:{_RISK}:{day}:{authorization}:2"] for user, authorization in users.items()}
    assert {user: crowds.recon_events(stack, user) for user in users} == once
    assert crowds.statuses(stack, list(users)) == crowds.at_paypay(stack, list(users))
    assert [*crowds.statuses(stack, lost).values()] == ["RISK_FLAGGED"] * len(lost)
