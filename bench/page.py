"""The table of figures in docs/performance.md, written from `build/bench.json`: `python -m bench page`."""

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.figures import PATH
from local.errors import LocalError
from local.paths import ROOT

PAGE = ROOT / "docs" / "performance.md"

_BEGIN = "<!-- Figures, written by `python -m bench page` -->"
_END = "<!-- End of the figures -->"


def write(figures: Path = PATH, page: Path = PAGE) -> None:
    """Put the figures of the last runs in the place of those that are there. LocalError when nothing was run."""
    if not figures.exists():
        raise LocalError("There are no figures yet: run `make bench`.")
    found = json.loads(figures.read_text(encoding="utf-8"))["figures"]
    page.write_text(with_figures(page.read_text(encoding="utf-8"), found, _machine()), encoding="utf-8")


def with_figures(text: str, figures: Sequence[Mapping[str, Any]], machine: str) -> str:
    """A page with these figures: those that have a target, and ratios."""
    shown = [each for each in figures if each["target"] is not None or each["unit"] in ("ratio", "times as fast")]
    rows = [f"| `{each['name']}` | {_value(each['value'])} {each['unit']} | {_target(each)} |" for each in shown]
    table = [f"Measured on {machine}.", "", "| figure | value | target |", "|---|---:|---|", *rows]
    before, _, rest = text.partition(_BEGIN)
    after = rest.partition(_END)[2]
    return "\n".join([f"{before}{_BEGIN}", *table, f"{_END}{after}"])


def _value(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _target(figure: Mapping[str, Any]) -> str:
    if figure["target"] is None:
        return ""
    bound = "at least" if figure.get("at_least") else "at most"
    return f"{bound} {figure['target']:,g}: {'holds' if figure['holds'] else '**missed**'}"


def _machine() -> str:
    cpus = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("processor")]
    return f"{len(cpus)} CPUs ({platform.machine()}), Python {platform.python_version()}"
