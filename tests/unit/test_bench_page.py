"""docs/performance.md: its table is written from the figures, and whatever has a target is explained."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench import ack, page, process, recon
from bench.contestants import ALL
from bench.figures import Figure
from bench.process import Part
from bench.recon import Compared, Download, Measured, Race, Read
from local.errors import LocalError

_FIGURES: list[dict[str, Any]] = [
    {"name": "a.rows", "value": 21000.4, "unit": "rows/s", "target": 21000, "at_least": True, "holds": True},
    {"name": "a.memory", "value": 130.0, "unit": "MiB", "target": 128, "at_least": False, "holds": False},
    {"name": "a.ratio", "value": 0.1234, "unit": "ratio", "target": None, "at_least": False, "holds": None},
    {"name": "a.time", "value": 3.0, "unit": "s", "target": None, "at_least": False, "holds": None},
]


def test_the_table_has_whatever_has_a_target_and_the_ratios() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    once = page.with_figures(text, _FIGURES, "2 CPUs")

    assert "| `a.rows` | 21,000 rows/s | at least 21,000: holds |" in once
    assert "| `a.memory` | 130 MiB | at most 128: **missed** |" in once
    assert "| `a.ratio` | 0.123 ratio |  |" in once
    assert "a.time" not in once
    assert page.with_figures(once, _FIGURES, "2 CPUs") == once
    assert page.with_figures(once, _FIGURES[:1], "2 CPUs").count("| `a.") == 1
    assert once.endswith(text[-200:])


def test_without_a_run_there_is_nothing_to_write(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="make bench"):
        page.write(tmp_path / "bench.json", tmp_path / "performance.md")


def test_a_run_is_written(tmp_path: Path) -> None:
    copy = tmp_path / "performance.md"
    copy.write_text(page.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "bench.json").write_text(json.dumps({"figures": _FIGURES}), encoding="utf-8")
    page.write(tmp_path / "bench.json", copy)
    assert "`a.rows`" in copy.read_text(encoding="utf-8")


def test_whatever_has_a_target_is_explained() -> None:
    text = page.PAGE.read_text(encoding="utf-8").partition("## An acknowledgement")[2]
    named = {each.name for each in _all_figures() if each.target is not None}
    ranged = {f"recon.parse_{size}_rss_mib" for size in ("100k", "1m")}
    assert {name for name in named - ranged if f"`{name}`" not in text} == set()


def _all_figures() -> list[Figure]:
    measured = Measured(1.0, 1.0, 40.0, 90.0)
    compared = Compared(1000, [measured], {"half_read_units": 2000})
    read = [Read(rows, measured) for rows in recon.SIZES]
    planned = [Read(rows, measured) for rows in (1_000_000, 36_000_000)]
    race = Race(1, {name: [(1.0, 2.0)] for name in ("csv_reader", "dictreader", "polars")})
    found = recon.Findings(race, read, [Download(1, 1, measured)], planned, measured, compared, compared, compared)
    part = Part(1, 1.0, {}, 1)
    # No two alike: their difference is divided by.
    summaries = {each.name: ack.Summary(1, 1, 1, number + 1, 1, 1) for number, each in enumerate(ALL)}
    return [
        *recon.figures(found),
        *process.figures(process.Findings(10, part, part, part, part, 90.0)),
        *ack.figures(summaries),
    ]
