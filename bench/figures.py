"""Figures with their targets, and the file that collects them."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from local.paths import ROOT

PATH = ROOT / "build" / "bench.json"


@dataclass(frozen=True)
class Figure:
    """One measured value. `target` is the most that `value` may be (with `at_least`: the least); None without one."""

    name: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = False

    @property
    def holds(self) -> bool | None:
        """Whether the target is kept; None without one."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target


def write(figures: Sequence[Figure], path: Path = PATH) -> None:
    """Put `figures` into the file; those of the same name are replaced, all others stay."""
    ours = {figure.name for figure in figures}
    kept = [each for each in _read(path) if each["name"] not in ours]
    new = [{**asdict(figure), "value": round(figure.value, 4), "holds": figure.holds} for figure in figures]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps({"figures": kept + new}, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)


def _read(path: Path) -> list[dict[str, object]]:
    if not path.exists():
        return []
    figures: list[dict[str, object]] = json.loads(path.read_text(encoding="utf-8"))["figures"]
    return figures
