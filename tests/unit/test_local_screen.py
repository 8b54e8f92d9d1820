"""What `make run` shows, of answers as docs/openapi.json has them."""

import json
from typing import Any

from rich.console import Console

from local import screen
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
