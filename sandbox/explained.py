"""How a request's signature came about, piece by piece, for the page. It holds nothing that a log must not hold.

Where a name, a token, an authorization id or a secret is signed, only its number of bytes is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from flask import g

# Bytes that are shown, or the number of those that are not.
type Run = bytes | int


class Origin(StrEnum):
    """Where a piece comes from (`sandbox/page/texts` has the words)."""

    PATH = "path"
    METHOD = "method"
    NONCE = "nonce"
    EPOCH = "epoch"
    CONTENT_TYPE = "content_type"
    BODY_HASH = "body_hash"
    FIELD = "field"
    SECRET = "secret"


class Verdict(StrEnum):
    """What came of the comparison."""

    MATCHES = "matches"
    DIFFERS = "differs"
    OTHER_KEY = "other_key"
    OTHER_HASH = "other_hash"
    MISSING = "missing"


@dataclass(frozen=True)
class Piece:
    """One piece of the string to sign, in its order. `name` is the field's, where the origin is a field."""

    origin: Origin
    runs: tuple[Run, ...]
    name: str = ""

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return sum(run if isinstance(run, int) else len(run) for run in self.runs)


@dataclass(frozen=True)
class Explanation:
    """The string to sign of one request, and whether the signature that it carried is the right one."""

    provider: str
    pieces: tuple[Piece, ...]
    verdict: Verdict


def shown(text: str, hidden: Sequence[str] = ()) -> tuple[Run, ...]:
    """Return a text as runs, in which every occurrence of a `hidden` text is only counted."""
    for each in sorted(filter(None, hidden), key=len, reverse=True):
        before, found, after = text.partition(each)
        if found:
            return (*shown(before, hidden), len(each.encode("utf-8", "replace")), *shown(after, hidden))
    return (text.encode("utf-8", "replace"),) if text else ()


def joined(*runs: Run) -> tuple[Run, ...]:
    """Return the runs with neighbours put together where both are shown."""
    made: list[Run] = []
    for run in runs:
        last = made[-1] if made else None
        if isinstance(run, bytes) and isinstance(last, bytes):
            made[-1] = last + run
        else:
            made.append(run)
    return tuple(made)


def explain(explanation: Explanation) -> None:
    """Keep the explanation of the request being handled, for the page."""
    g.sandbox_explanation = explanation


def explanation() -> Explanation | None:
    """Return the explanation of the request being handled; None where no signature was looked at."""
    found: Explanation | None = g.get("sandbox_explanation")
    return found
