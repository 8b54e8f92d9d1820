"""docs/costs.md: up to date, and made of what the template has."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from honnin import aws, mass_change
from honnin.recon import plan
from honnin.reread import listing
from honnin.store import keys, overview
from operations import costs, costs_counted, costs_nights, costs_traffic
from operations.state_machines import transitions
from tests.tables import template
from tests.template.transformed import resources


def _made(kind: str) -> list[dict[str, Any]]:
    """The resources of a kind that the defaults of the parameters make."""
    return [each for each in resources(kind).values() if costs_counted.is_made(template(), each.get("Condition"))]


def test_the_page_is_what_prices_and_template_say() -> None:
    assert costs.PLACE.read_text(encoding="utf-8") == costs.page(), "stale: run make costs and commit the page"


def test_what_is_paid_by_the_month_is_counted_in_the_template() -> None:
    counted = costs_counted.counted()
    alarms = _made("AWS::CloudWatch::Alarm")
    metrics = [each["Properties"].get("Metrics", [{"MetricStat": {}}]) for each in alarms]
    assert counted.keys == len(_made("AWS::KMS::Key"))
    assert counted.secrets == len(_made("AWS::SecretsManager::Secret"))
    assert counted.polled_queues == len(_made("AWS::Lambda::EventSourceMapping"))
    off = resources("AWS::CloudWatch::Alarm")["PayPaySilenceAlarm"]
    assert off["Condition"] == "HasSilenceAlarm"
    assert counted.alarmed_metrics == sum("MetricStat" in metric for alarm in metrics for metric in alarm)


def test_every_metric_of_our_own_is_counted_as_if_it_was_reported_in_the_month() -> None:
    alarms = [each["Properties"] for each in _made("AWS::CloudWatch::Alarm")]
    ours = {each["MetricName"] for each in alarms if "Honnin" in str(each.get("Namespace"))}
    filters = [each["Properties"]["MetricTransformations"] for each in resources("AWS::Logs::MetricFilter").values()]
    assert {each["MetricName"] for written in filters for each in written} <= ours
    assert costs_counted.counted().own_metrics == len(ours)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [(None, True), ("IsDeployed", True), ("IsLocal", False), ("HasSilenceAlarm", False), ("HasVpc", False)],
)
def test_what_a_condition_leaves_out_by_default_is_not_counted(condition: str | None, holds: bool) -> None:
    assert costs_counted.is_made(template(), condition) is holds


def test_every_condition_of_a_resource_can_be_counted() -> None:
    for each in template()["Resources"].values():
        costs_counted.is_made(template(), each.get("Condition"))


def test_an_idle_stack_and_a_million_webhooks_cost_no_more_than_this() -> None:
    """Who makes either dearer must say so here. The third is what a million cost that change nothing."""
    prices, counted = costs_counted.prices(), costs_counted.counted()

    def usd(lines: Sequence[costs_counted.Line], times: float = 1) -> float:
        return times * sum(prices.usd(line) for line in lines)

    assert usd(costs.idle(counted)) <= 15
    assert usd(costs.webhook(counted), costs_nights.MILLION) <= 31.1
    assert usd(costs.webhook(counted, changes=False), costs_nights.MILLION) <= 20


def test_settle_events_are_gathered_as_far_as_the_stated_traffic_goes() -> None:
    counted = costs_counted.counted()
    assert costs_traffic.settle_batch(counted) == counted.batch_size == aws.CONNECTIONS == 16
    # 1.26 webhooks a second, two readings each, a fifth of them in each poller's window of 30 s, and the first one.
    assert costs_traffic.settle_batch(replace(counted, batch_size=100)) == pytest.approx(16.15, abs=0.01)
    assert costs_traffic.settle_batch(replace(counted, window_s=0)) == 1
    assert int(costs_traffic.events_per_s(counted)) == costs_counted.EVENTS_PER_S


def test_one_environment_processes_20_events_a_second() -> None:
    """Binding, at 300 ms of provider latency: no memory size may go below it to save money."""
    assert costs_traffic.events_per_s(costs_counted.counted()) >= 20


def test_a_message_is_received_by_itself_and_deleted_with_nine_others_at_most() -> None:
    """A long poll of SQS ends with the first message; its calls carry ten messages at most."""
    assert [costs_traffic.sqs_calls(events) for events in (1, 10, 11, 16, 20)] == [1, 1, 2, 2, 2]
    settling = [line for line in costs.webhook(costs_counted.counted()) if "deleted by ten" in line.why]
    assert [line.quantity for line in settling] == [1 + 2 + 2 * 2 / 16]


def test_a_key_costs_a_dollar_more_after_each_of_its_first_two_rotations() -> None:
    counted = costs_counted.counted()
    assert all(each["Properties"]["EnableKeyRotation"] for each in resources("AWS::KMS::Key").values())
    [lines] = [lines for title, lines in costs.extras(counted) if "rotation" in title]
    assert sum(costs_counted.prices().usd(line) for line in lines) == 2 * counted.keys


def test_what_is_off_by_default_is_in_no_sum_but_its_own() -> None:
    counted = costs_counted.counted()
    usual = [*costs.idle(counted), *costs.webhook(counted), *costs.user(counted)]
    assert not [line for line in usual if line.price == "xray_trace" or "MetricsEnabled" in line.why]


def test_memory_is_counted_in_the_template() -> None:
    counted = costs_counted.counted()
    assert counted.ack_gb == 1
    assert counted.warm_gb == 4 * 1 + 0.5


def test_a_line_costs_quantity_times_price() -> None:
    prices = costs_counted.Prices("x", "X", "2026", {"letter": costs_counted.Price(0.5, 1000, "letter")})
    assert prices.usd(costs_counted.Line("letter", 3_000, "")) == pytest.approx(1.5)


def test_every_price_is_used_and_every_line_has_a_price() -> None:
    counted = costs_counted.counted()
    groups = [costs.idle(counted), costs.webhook(counted), costs.user(counted)]
    groups += [costs.overview(), *(lines for _, lines in (*costs_nights.nights(counted), *costs.extras(counted)))]
    assert {line.price for lines in groups for line in lines} == set(costs_counted.prices().prices)


def _quantity(lines: Sequence[costs_counted.Line], price: str) -> float:
    return sum(line.quantity for line in lines if line.price == price)


def test_a_night_counts_the_transitions_of_the_machine() -> None:
    counted = costs_counted.counted()
    # Plan, Compare, SumUp, IsSettled, Compared; for each range a child and its one step; for each wait four steps more
    # (WaitForTheQueues, CountOutcomes, SumUp, IsSettled), and again a child and its one step for each range.
    for rows, ranges in ((100_000, 2), (1_000_000, 11)):
        lines = costs_nights.night(counted, rows)
        waits = -(-rows // round(counted.rereads_per_s * 300))
        assert _quantity(lines, "state_transition") == 5 + 2 * ranges + waits * (4 + 2 * ranges)


def test_who_is_left_out_of_a_night_costs_nothing() -> None:
    counted = costs_counted.counted()
    everybody, some = (costs_nights.night(counted, costs_nights.MILLION, recheck_all=each) for each in (True, False))
    # What the comparison itself reads stays.
    assert _quantity(some, "dynamodb_read") == pytest.approx(costs_nights.MILLION, rel=0.02)
    assert _quantity(some, "dynamodb_write") == pytest.approx(_quantity(everybody, "dynamodb_write") / 1000)
    assert _quantity(everybody, "dynamodb_read") > 5 * costs_nights.MILLION


def test_the_engine_cuts_a_file_as_the_costs_say() -> None:
    assert plan.write.__defaults__ == (costs_nights.RANGE_ROWS,)


def test_shards_parts_and_waits_are_those_of_the_code_and_of_the_template() -> None:
    assert len(overview.PLACES) == costs_nights._SOURCES
    assert len(keys.DUE_SHARDS) * 0.5 == costs._SHARD_READ
    assert costs_nights.PART_USERS == listing._USERS
    [wait] = _named(costs_counted.counted().machines["ReconComparison"], "WaitForTheQueues")
    assert wait["Seconds"] == costs_nights._LOOK_S
    assert costs_traffic.READINGS == 1 / mass_change._MOST_KEPT


def _named(value: Any, name: str) -> list[Any]:
    found = [value[name]] if isinstance(value, dict) and name in value else []
    each = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [*found, *(state for part in each for state in _named(part, name))]


@pytest.mark.parametrize(
    ("schedule", "runs"),
    [("rate(10 minutes)", 4380), ("rate(1 hour)", 730), ("rate(2 days)", 730 / 48), ("cron(15 10 * * ? *)", 730 / 24)],
)
def test_the_runs_of_a_schedule_are_counted(schedule: str, runs: float) -> None:
    assert costs_counted.runs_a_month(schedule) == pytest.approx(runs)


@pytest.mark.parametrize("schedule", ["cron(15 10 ? * MON *)", "at(2026-11-20T03:00:00)", "rate(5 weeks)"])
def test_a_schedule_that_cannot_be_counted_is_an_error(schedule: str) -> None:
    with pytest.raises(ValueError, match="cannot be counted"):
        costs_counted.runs_a_month(schedule)


def test_every_schedule_of_the_template_is_in_the_idle_stack() -> None:
    made = [name for name, each in template()["Resources"].items() if "ScheduleV2" in str(each)]
    assert set(costs_counted.counted().runs) == set(made) - {"MerchantWebhookFunction"}
    assert set(costs_counted.counted(MerchantWebhookUrl="https://a.example").runs) == set(made)


def test_merchant_webhooks_cost_a_secret_a_queue_a_probe_and_their_alarms_more() -> None:
    [lines] = [lines for title, lines in costs.extras(costs_counted.counted()) if "MerchantWebhookUrl" in title]
    found = {line.price: line.quantity for line in lines}
    assert found["secret"] == 1
    assert found["scheduler_invocation"] == pytest.approx(730 * 60)
    assert found["sqs_request"] == 5 * 730 * 3600 / 20
    alarms = [
        each for each in resources("AWS::CloudWatch::Alarm").values() if each.get("Condition") == "HasMerchantWebhooks"
    ]
    assert found["cloudwatch_alarm_metric"] == len(alarms) > 0


def test_a_reread_of_many_users_is_counted_where_there_is_a_machine_for_it() -> None:
    counted = costs_counted.counted()
    part = {
        "StartAt": "Look",
        "States": {
            "Look": {"Type": "Task", "Next": "IsRead"},
            "IsRead": {"Type": "Choice", "Choices": [{"Next": "PartRead"}], "Default": "WaitForTheQueue"},
            "WaitForTheQueue": {"Type": "Wait", "Seconds": 60, "Next": "Look"},
            "PartRead": {"Type": "Succeed"},
        },
    }
    parts = {"Type": "Map", "Label": "Parts", "MaxConcurrency": 20, "ItemProcessor": part}
    machine = {"StartAt": "ReadParts", "States": {"ReadParts": parts}}
    machines = {"ReconComparison": counted.machines["ReconComparison"]}
    without, given = (
        replace(counted, machines=each, rereads_per_s=100.0) for each in (machines, machines | {"RereadUsers": machine})
    )
    assert [title for title, _ in costs_nights.nights(without) if "reread" in title] == []
    [lines] = [lines for title, lines in costs_nights.nights(given) if "reread" in title]
    # 10,000 users are on the queue at a time, so a part waits two minutes: it is looked at three times.
    assert _quantity(lines, "state_transition") == 1 + 2000 * (1 + 3 * 2 + 2 + 1)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"ProcessorConcurrency": 10}, 200.0),
        ({"ProcessorConcurrency": 10, "PayPayMaxCallsPerSecond": 50, "RereadShare": 40}, 20.0),
        ({"ProcessorConcurrency": 2, "PayPayMaxCallsPerSecond": 1000, "RereadShare": 50}, 40.0),
    ],
)
def test_reads_that_can_wait_keep_to_the_pace_and_to_what_works_them_off(
    parameters: dict[str, int], expected: float
) -> None:
    assert costs_counted.rereads_per_s({name: {"Default": value} for name, value in parameters.items()}) == expected


_LOOP: dict[str, Any] = {
    "StartAt": "Work",
    "States": {
        "Work": {"Type": "Task", "Next": "IsDone"},
        "IsDone": {"Type": "Choice", "Choices": [{"Next": "Each"}], "Default": "Wait"},
        "Wait": {"Type": "Wait", "Next": "Work"},
        "Each": {
            "Type": "Map",
            "Label": "Items",
            "ItemProcessor": {"StartAt": "One", "States": {"One": {"Type": "Task", "End": True}}},
            "Next": "Done",
        },
        "Done": {"Type": "Succeed"},
    },
}


@pytest.mark.parametrize(("items", "waits", "steps"), [(0, 0, 4), (3, 0, 10), (0, 2, 10), (3, 2, 16)])
def test_transitions_are_counted_by_walking_through_the_machine(items: int, waits: int, steps: int) -> None:
    assert transitions(_LOOP, {"Items": items}, {"Wait": waits}) == steps


def test_a_map_or_a_wait_that_nobody_counts_is_an_error() -> None:
    with pytest.raises(KeyError):
        transitions(_LOOP, {}, {"Wait": 0})
    with pytest.raises(KeyError):
        transitions(_LOOP, {"Items": 1}, {})


def test_the_sums_add_up() -> None:
    prices, counted = costs_counted.prices(), costs_counted.counted()
    text = costs.page()
    for lines, times in ((costs.idle(counted), 1), (costs.webhook(counted), costs_nights.MILLION)):
        total = sum(prices.usd(line) for line in lines) * times
        assert f"| **total** | | | **{total:,.2f}** | |" in text
