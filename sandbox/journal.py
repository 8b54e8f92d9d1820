"""What came in from the merchant and what went out to it. No secrets, no bodies, no names of people."""

import threading
from collections import deque
from dataclasses import asdict, dataclass
from typing import Literal

from flask import g

from sandbox.clock import SandboxClock
from sandbox.explained import Explanation

# Enough for any test run; a sandbox that is left running for days must not grow without bound.
MAX_ENTRIES = 10_000
MAX_RECENT = 100


@dataclass(frozen=True)
class Entry:
    """One request: `in` is one that the merchant sent, `out` is a request of ours.

    `at` is UTC ISO 8601 on the sandbox clock; `status` is None where no HTTP answer was given;
    `signature_ok` is None where no signature was looked at.
    """

    at: str
    direction: Literal["in", "out"]
    method: str
    path: str
    status: int | None = None
    user_id: str | None = None
    signature_ok: bool | None = None
    code: str | None = None
    fault: str | None = None
    unkind: str | None = None
    detail: str | None = None


@dataclass(frozen=True)
class Recent:
    """One of the last requests, for the page: its entry, how its signature came about, and its path without ids."""

    entry: Entry
    path: str
    explanation: Explanation | None = None


@dataclass
class RequestNotes:
    """What the handler of the current request wants its journal entry to say."""

    user_id: str | None = None
    signature_ok: bool | None = None
    code: str | None = None
    fault: str | None = None
    unkind: str | None = None
    detail: str | None = None


def request_notes() -> RequestNotes:
    """Return the notes of the request being handled (one object per request)."""
    if "sandbox_notes" not in g:
        g.sandbox_notes = RequestNotes()
    notes: RequestNotes = g.sandbox_notes
    return notes


class Journal:
    """The entries in the order in which they were made."""

    def __init__(self, clock: SandboxClock, lock: threading.RLock) -> None:
        self._clock = clock
        self._lock = lock
        self._entries: deque[Entry] = deque(maxlen=MAX_ENTRIES)
        self._recent: deque[Recent] = deque(maxlen=MAX_RECENT)

    def received(
        self,
        method: str,
        path: str,
        status: int | None,
        notes: RequestNotes,
        *,
        rule: str = "",
        explanation: Explanation | None = None,
    ) -> None:
        """Write down a request of the merchant; `status` is None when it got no answer.

        `rule` is the path with names in the places of its ids.
        """
        self._add(Entry(self._clock.now_iso(), "in", method, path, status, **asdict(notes)), rule, explanation)

    def sent(
        self,
        url: str,
        *,
        user_id: str | None,
        status: int | None,
        signature_ok: bool | None,
        detail: str,
        method: str = "POST",
    ) -> None:
        """Write down a request of ours; `url` must already be masked where it carries a token."""
        self._add(Entry(self._clock.now_iso(), "out", method, url, status, user_id, signature_ok, detail=detail), url)

    def entries(self) -> list[Entry]:
        """Return a copy of the entries, oldest first."""
        with self._lock:
            return list(self._entries)

    def recent(self) -> list[Recent]:
        """Return the last requests, newest first."""
        with self._lock:
            return list(self._recent)[::-1]

    def clear(self) -> None:
        """Forget all entries."""
        with self._lock:
            self._entries.clear()
            self._recent.clear()

    def _add(self, entry: Entry, path: str, explanation: Explanation | None = None) -> None:
        with self._lock:
            self._entries.append(entry)
            self._recent.append(Recent(entry, path, explanation))
