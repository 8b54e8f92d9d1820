"""The ledger: which authorizations PayPay's webhooks named on each JST day. Recon compares its files with it."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from honnin.errors import ConcurrentUpdateError
from honnin.store.keys import Item, ledger_key
from honnin.store.table import Table, Write, encode

# Recon looks back over 7 days; the ledger outlives every resent file.
LEDGER_KEPT = timedelta(days=40)

# The ledger of a day has this many partitions, by the first hexadecimal digit of the id's SHA-256.
SHARDS = "0123456789abcdef"

# The kinds of webhooks whose users PayPay also lists in a recon file: each has a ledger.
LEDGERS = ("kyc", "risk", "account_status")


@dataclass(frozen=True)
class Heard:
    """A webhook's line in the ledger: this authorization was named on that JST day (`yyyy-mm-dd`).

    `late_for` is the day before, when the webhook came so soon after midnight that it may have been meant for that.
    """

    ledger: str
    day: str
    user_authorization_id: str = field(repr=False)
    at: str
    late_for: str | None = None


@dataclass(frozen=True)
class LedgerLine:
    """That an authorization was named on a JST day; a shard `late-…` is that of the hour after the day."""

    ledger: str
    day: str
    shard: str
    first_seen: str


class Ledger:
    """Reads the ledger. A line is written together with its event."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def received(self, ledger: str, day: str, shard: str) -> Iterator[list[str]]:
        """The authorizations that webhooks named on a JST day, in one shard, page by page (up to 1 MB each).

        The shard `late-<hex>` holds those that came within the hour after that day.
        """
        pages = self._table.db.get_paginator("query").paginate(
            TableName=self._table.name,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=encode({":pk": f"LEDGER#{ledger}#{day}#{shard}", ":now": self._table.epoch}),
            # The id alone, and what has expired left out by DynamoDB: a ledger of ten million lines has to be read
            # within one run.
            FilterExpression="expires_at > :now",
            ProjectionExpression="sk",
        )
        for page in pages:
            yield [item["sk"]["S"] for item in page["Items"]]

    def lines(self, user_authorization_id: str, until: str) -> list[LedgerLine]:
        """An authorization's lines in the ledgers, as far back as they are kept from that moment (UTC)."""
        items = self._table.batch(ledger_keys(user_authorization_id, until))
        named = [(*str(item["pk"]).split("#"), item["first_seen"]) for item in items]
        lines = [LedgerLine(ledger, day, shard, first_seen) for _, ledger, day, shard, first_seen in named]
        return sorted(lines, key=lambda line: (line.day, line.ledger, line.shard))


def ledger_shard(user_authorization_id: bytes) -> str:
    """The ledger's shard of an id, 0 to f: by the id itself, so that a day of a million users is no hot partition."""
    return hashlib.sha256(user_authorization_id).hexdigest()[0]


def ledger_keys(user_authorization_id: str, until: str) -> list[Item]:
    """Where lines of an authorization can be that are kept until then (UTC)."""
    shard = ledger_shard(user_authorization_id.encode())
    first = datetime.fromisoformat(until) - LEDGER_KEPT - timedelta(days=1)
    days = [(first + timedelta(days=number)).date().isoformat() for number in range(LEDGER_KEPT.days + 3)]
    return [
        ledger_key(ledger, day, each, user_authorization_id)
        for ledger in LEDGERS
        for day in days
        for each in (shard, f"late-{shard}")
    ]


def ledger_writes(table: Table, heard: Heard) -> list[Write]:
    """The line that a webhook leaves, and the one that it leaves for the day before."""
    shard = ledger_shard(heard.user_authorization_id.encode())
    lines = [(heard.day, shard)] + ([(heard.late_for, f"late-{shard}")] if heard.late_for else [])
    return [({"Update": _line(table, heard, *line)}, ConcurrentUpdateError) for line in lines]


def _line(table: Table, heard: Heard, day: str, shard: str) -> Item:
    expires = max(datetime.fromisoformat(heard.at), table.now()) + LEDGER_KEPT
    return {
        "TableName": table.name,
        "Key": encode(ledger_key(heard.ledger, day, shard, heard.user_authorization_id)),
        "UpdateExpression": "SET first_seen = if_not_exists(first_seen, :at), expires_at = :expires",
        "ExpressionAttributeValues": encode({":at": heard.at, ":expires": int(expires.timestamp())}),
    }
