"""What may be logged, and what a count looks like."""

import json
from typing import Any

import pytest

from honnin.observability import NAMESPACE, Counted, count, count_for_alarm, keeping, loggable, logger, write

LINKED = "a85fe9e9-b4c9-45cf-a392-834c57d83af7"


def records(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("event_id", "logged"),
    [
        (f"recon:kyc_passport_sync_recon:2026-03-31:{LINKED}", "recon:kyc_passport_sync_recon:2026-03-31:…"),
        ("paypay:kyc:evt_aXnbdeFt2Ke", "paypay:kyc:evt_aXnbdeFt2Ke"),
        ("vexora:5f0c9c1e:8d3f1c0a", "vexora:5f0c9c1e:8d3f1c0a"),
        ("heal:0001", "heal:0001"),
        ("", ""),
    ],
)
def test_a_recon_events_id_is_logged_without_the_authorization(event_id: str, logged: str) -> None:
    assert loggable(event_id) == logged


def test_nothing_is_logged_of_an_authorization_id_with_a_colon() -> None:
    logged = loggable("recon:kyc_passport_sync_recon:2026-03-31:left:right")

    assert logged == "recon:kyc_passport_sync_recon:2026-03-31:…"


def test_a_count_for_an_alarm_is_a_metric_in_embedded_format(capsys: pytest.CaptureFixture[str]) -> None:
    count_for_alarm("EventOverdue", queue="events")

    [record] = records(capsys)
    assert record["EventOverdue"] == [1.0]
    assert record["queue"] == "events"
    [directive] = record["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == NAMESPACE == "Honnin"
    assert directive["Metrics"] == [{"Name": "EventOverdue", "Unit": "Count"}]
    assert directive["Dimensions"] == [["service"]], "each further dimension would be a metric with a price"
    assert record["service"] == "honnin"


def test_a_count_for_people_is_one_short_line(capsys: pytest.CaptureFixture[str]) -> None:
    count("ReconMissed", 3, kind="kyc")
    count("UserErased")

    assert records(capsys) == [
        {"counted": "ReconMissed", "value": 3, "kind": "kyc"},
        {"counted": "UserErased", "value": 1},
    ]


def test_counts_that_are_kept_are_added_up_and_those_for_an_alarm_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    kept: list[Counted] = []
    with keeping(kept):
        for cause in ("settle", "webhook", "settle"):
            count("EventApplied", provider="paypay", cause=cause)
        count_for_alarm("NoReadFitsScopes")
        count_for_alarm("NoReadFitsScopes")
    assert records(capsys) == []

    write(kept)
    *alarms, settled, webhook = records(capsys)
    assert [each["NoReadFitsScopes"] for each in alarms] == [[1.0], [1.0]]
    assert (settled["value"], settled["cause"], webhook["value"], webhook["cause"]) == (2, "settle", 1, "webhook")


def test_the_logger_writes_json_with_rfc3339_times(capsys: pytest.CaptureFixture[str]) -> None:
    logger().info("recon file compared", extra={"file_type": "kyc_passport_sync_recon"})

    [record] = records(capsys)
    assert (record["message"], record["file_type"]) == ("recon file compared", "kyc_passport_sync_recon")
    assert record["service"] == "honnin"
    assert "T" in record["timestamp"]
