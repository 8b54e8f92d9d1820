"""What `make run` shows, of answers as docs/openapi.json has them."""

import json
import subprocess
from typing import Any

from rich.console import Console

from local import description, screen
from local.demo import Result, TimelineEntry
from local.stack import AccessKey, Merchant, Stack
from tests.documents import ROOT


def _example() -> dict[str, Any]:
    document = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    [example] = document["components"]["schemas"]["ReconReportView"]["examples"]
    found: dict[str, Any] = example
    return found


def test_the_recon_report_shows_counts_and_whose_status_changed() -> None:
    console = Console(record=True, width=200, force_terminal=False)
    [file] = _example()["files"]

    screen.show_recon(console, [file, {**file, "state": "ANNOUNCED", "counts": None, "changed": []}])

    shown = console.export_text()
    assert "user-0001: VERIFIED → RISK_FLAGGED" in shown
    assert "COMPARED" in shown
    assert "nobody" in shown


def test_all_of_it_fits_80_columns_and_what_is_copied_is_whole() -> None:
    console = Console(record=True, width=80, force_terminal=False)
    moves = (("webhook", "PENDING", "APPROVED"), ("account_status", "VERIFICATION_REQUIRED", "RISK_FLAGGED"))
    entries = tuple(TimelineEntry("2026-11-20T03:00:00.000Z", "result_read", *each) for each in moves)
    said = "callback answered 200, Vexora asked, still PENDING"
    endpoint, hosted = "http://127.0.0.1:45660", "http://127.0.0.1:45660/restapis/0a1b2c3d/v1/_user_request_"
    queue = f"{endpoint}/000000000000/honnin-local-DeadLetterQueue-0DD5C7270CC0D"
    outputs = {"WebhookApiUrl": hosted, "DeadLetterQueueUrl": queue, "EventBusName": "honnin-local-events"}
    key = AccessKey("AKIA6ACC855F4C5547A8", "e" * 40)
    merchant = Merchant(hosted, "ap-northeast-1", key)
    stack = Stack("run", "ap-northeast-1", endpoint, outputs, key, merchant, "http://127.0.0.1:9100", 1, ())
    [file] = _example()["files"]

    screen.show_results(console, [Result("goro", said, said, "no error [x]", ok=False, timeline=entries)])
    screen.show_recon(console, [{**file, "fileName": "kyc_passport_account_status_a_Client_20261128_20261128.csv"}])
    screen.show_differences(console, stack)
    screen.show_addresses(console, description.of(stack, "honnin-local", "whsec_key"))

    shown = console.export_text()
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert queue in shown
    assert "no error [x]" in shown.replace("│", "")
    exports = shown[shown.index("unset AWS") : shown.index("Look at it")]
    said_by_shell = subprocess.run(
        ["bash", "-c", f'{exports}\necho "$MERCHANT_KEY $EVENT_BUS"'], capture_output=True, text=True, check=True
    )
    assert said_by_shell.stdout == f"{key.key_id}:{key.secret} honnin-local-events\n"
