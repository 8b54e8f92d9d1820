"""What doctor says of each thing that it looks at."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """One line of the report. `advice` says what to do; empty where there is nothing to do."""

    topic: str
    verdict: Verdict
    found: str
    advice: str = ""
