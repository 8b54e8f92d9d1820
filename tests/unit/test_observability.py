"""What may be logged, and what a count looks like."""

import json
from typing import Any

import pytest

from honnin.observability import NAMESPACE, count, loggable, logger

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


def test_a_count_is_a_metric_in_embedded_format(capsys: pytest.CaptureFixture[str]) -> None:
    count("ReconMissed", 3, kind="kyc")

    [record] = records(capsys)
    assert record["ReconMissed"] == [3.0]
    assert record["kind"] == "kyc"
    [directive] = record["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == NAMESPACE == "Honnin"
    assert directive["Metrics"] == [{"Name": "ReconMissed", "Unit": "Count"}]
    assert set(directive["Dimensions"][0]) == {"kind", "service"}
    assert record["service"] == "honnin"


def test_a_count_is_one_unless_said_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    count("UserErased")

    [record] = records(capsys)
    assert record["UserErased"] == [1.0]


def test_counts_do_not_accumulate_between_calls(capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("kyc", "risk"):
        count("ReconCompared", kind=kind)

    assert [(each["kind"], each["ReconCompared"]) for each in records(capsys)] == [("kyc", [1.0]), ("risk", [1.0])]


def test_the_logger_writes_json_with_rfc3339_times(capsys: pytest.CaptureFixture[str]) -> None:
    logger().info("recon file compared", extra={"file_type": "kyc_passport_sync_recon"})

    [record] = records(capsys)
    assert (record["message"], record["file_type"]) == ("recon file compared", "kyc_passport_sync_recon")
    assert record["service"] == "honnin"
    assert "T" in record["timestamp"]
