"""Certificates of erasures: who was erased, how much of whom, when, and who asked for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from honnin.store.footprint import counts_of
from honnin.store.keys import Item, certificate_key
from honnin.store.table import UNSTORED, Table, read, without_none


@dataclass(frozen=True)
class Certificate:
    """The record that a user was erased: how much was erased, and from when to when (UTC).

    From `counted_at` on, only the list of what was erased is left. `vault_left` is the number of objects that still had
    to be deleted at the last check.

    `requested_by`, `reason` and `ticket` are those of the request that began the erasure. People write them, so they
    may contain personal data by mistake: they are in no event and in no log.
    """

    certificate_id: str
    user_id: str
    begun_at: str = field(metadata=UNSTORED)
    completed_at: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict, metadata=UNSTORED)
    counted_at: str | None = None
    vault_left: int | None = None
    requested_by: str | None = field(default=None, repr=False)
    reason: str | None = field(default=None, repr=False)
    ticket: str | None = field(default=None, repr=False)

    @property
    def report_id(self) -> str:
        """The id of the event that reports it. It is not the id of the later event that empties the vault again."""
        return f"erased:{self.certificate_id}"

    @property
    def report(self) -> Mapping[str, Any]:
        """The content of `UserErased`, once completed. Versions are milliseconds of the epoch (`honnin.commit`)."""
        at = self.completed_at or ""
        version = int(datetime.fromisoformat(at).timestamp() * 1000)
        return {"userId": self.user_id, "certificateId": self.certificate_id, "version": version, "completedAt": at}


def certificates(table: Table, user_id: str) -> list[Certificate]:
    """The certificates of a user's erasures, finished or not, the oldest first."""
    return [certificate_of(item) for item in table.under(f"USER#{user_id}", "ERASURE#")]


def key_of(certificate: Certificate) -> Item:
    """The key of a certificate's item."""
    return certificate_key(certificate.user_id, certificate.begun_at)


def request_of(certificate: Certificate) -> Item:
    """Who asked for the erasure, and why, as attributes."""
    asked = (certificate.requested_by, certificate.reason, certificate.ticket)
    return without_none(dict(zip(("requested_by", "reason", "ticket"), asked, strict=True)))


def certificate_of(item: Item) -> Certificate:
    """The certificate of an item."""
    return read(Certificate, item, begun_at=item["sk"].removeprefix("ERASURE#"), counts=counts_of(item))
