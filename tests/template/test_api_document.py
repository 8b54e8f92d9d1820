"""The tables of docs/api.md are those of the code, row by row."""

import re
from pathlib import Path

from honnin.problem_codes import ProblemCode
from honnin.problems import OUTCOMES

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


def _rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    part = re.split(r"^#+ ", TEXT.partition(f"### {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_code_is_listed_with_its_status_and_its_wait() -> None:
    listed = [(code, status, wait) for code, status, wait, _meaning, _advice in _rows("Codes")]
    assert listed == [(each.value, str(each.status), str(each.retry_after_s or "")) for each in ProblemCode]


def test_every_code_is_explained() -> None:
    assert [code for code, _status, _wait, meaning, _advice in _rows("Codes") if not meaning.endswith(".")] == []


def test_the_outcomes_are_those_of_the_code() -> None:
    listed = [row[1:] for row in _rows("What a provider's failure becomes")]
    assert listed == [
        [
            kind.__name__,
            str(http_status or "any"),
            code.value,
            str(code.status),
            str(code.retry_after_s or ""),
        ]
        for kind, http_status, code in OUTCOMES
    ]
