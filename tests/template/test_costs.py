"""docs/costs.md: up to date, and made of what the template has."""

import pytest

from operations import costs
from tests.template.transformed import resources


def test_the_page_is_what_prices_and_template_say() -> None:
    assert costs.PLACE.read_text(encoding="utf-8") == costs.page(), "stale: run make costs and commit the page"


def test_what_is_paid_by_the_month_is_counted_in_the_template() -> None:
    counted = costs.counted()
    alarms = resources("AWS::CloudWatch::Alarm").values()
    metrics = [each["Properties"].get("Metrics", [{"MetricStat": {}}]) for each in alarms]
    assert counted.keys == len(resources("AWS::KMS::Key"))
    assert counted.secrets == len(resources("AWS::SecretsManager::Secret"))
    assert counted.polled_queues == len(resources("AWS::Lambda::EventSourceMapping"))
    assert counted.alarmed_metrics == sum("MetricStat" in metric for alarm in metrics for metric in alarm)
    filters = [each["Properties"]["MetricTransformations"] for each in resources("AWS::Logs::MetricFilter").values()]
    assert counted.filtered_metrics == len({each["MetricName"] for written in filters for each in written}) == 4


def test_a_key_costs_a_dollar_more_after_each_of_its_first_two_rotations() -> None:
    counted = costs.counted()
    assert all(each["Properties"]["EnableKeyRotation"] for each in resources("AWS::KMS::Key").values())
    [lines] = [lines for title, lines in costs.extras(counted) if "rotation" in title]
    assert sum(costs.prices().usd(line) for line in lines) == 2 * counted.keys


def test_what_is_off_by_default_is_in_no_sum_but_its_own() -> None:
    counted = costs.counted()
    usual = [*costs.idle(counted), *costs.webhook(counted), *costs.user(counted)]
    assert not [line for line in usual if line.price == "xray_trace" or "MetricsEnabled" in line.why]


def test_memory_is_counted_in_the_template() -> None:
    counted = costs.counted()
    assert counted.ack_gb == 1
    assert counted.warm_gb == 4 * 1 + 0.5


def test_a_line_costs_quantity_times_price() -> None:
    prices = costs.Prices("x", "X", "2026", {"letter": costs.Price(0.5, 1000, "letter")})
    assert prices.usd(costs.Line("letter", 3_000, "")) == pytest.approx(1.5)


def test_every_price_is_used_and_every_line_has_a_price() -> None:
    counted = costs.counted()
    groups = [costs.idle(counted), costs.webhook(counted), costs.user(counted)]
    groups += [costs.overview(), *(lines for _, lines in costs.extras(counted))]
    assert {line.price for lines in groups for line in lines} == set(costs.prices().prices)


def test_the_sums_add_up() -> None:
    prices, counted = costs.prices(), costs.counted()
    text = costs.page()
    for lines, times in ((costs.idle(counted), 1), (costs.webhook(counted), costs.MILLION)):
        total = sum(prices.usd(line) for line in lines) * times
        assert f"| **total** | | | **{total:,.2f}** | |" in text
