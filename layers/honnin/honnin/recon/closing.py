"""Whether a file closes its day: a pure function of what the comparison found and of facts from when it was stored.

A file that proves nothing is compared, kept and shown all the same; its day stays open, and its URL is tried on.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Found:
    """What is in a file: how many of its rows are `linked` here; for the rest as `recon.rows.Rows` has it."""

    size: int
    ids: int
    linked: int
    looks_like_ids: bool
    names_nobody_on_purpose: bool


@dataclass(frozen=True)
class StoredFacts:
    """Facts about a file from the moment when it was stored, which nothing changes afterwards.

    `own_name`: its name carries our own merchant id or client id. `webhooks`: webhooks of its kind were received on its
    day.
    """

    own_name: bool = False
    webhooks: bool = False


def doubt(found: Found, facts: StoredFacts) -> str | None:
    """Why a file does not close its day; None where it does (docs/architecture.md)."""
    if found.linked:
        return None
    if not found.size:
        return "the file is empty"
    if found.names_nobody_on_purpose:
        return "the file names nobody, and webhooks were received on its day" if facts.webhooks else None
    if not found.looks_like_ids:
        return "the file is no list of ids: it may be a page or a message"
    return None if facts.own_name else "nobody in the file is linked here, and its name does not hold our own id"
