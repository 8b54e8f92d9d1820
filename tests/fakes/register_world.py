"""A table in memory with users whose moments a test gives: for the register."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

from honnin import commit
from honnin.domain_events import KYC_STATUS_CHANGED
from honnin.erasure import Erasure
from honnin.kept_registers import KeptRegisters
from honnin.register import VERIFIED, Register, Row
from honnin.store import Store, TimelineEntry, UserStatus
from honnin.store.keys import entry_key, status_key
from honnin.store.overview import day_begins, placed
from honnin.store.table import attributes, encode
from honnin.times import utc_text
from honnin.vault import Vault
from tests.fakes.memory import dynamodb, s3
from tests.tables import create_table

SHA = "ab" * 32
FIRST, END = day_begins("2026-10-01"), day_begins("2026-11-01")
STATUSES = {
    "paypay": ["LINK_PENDING", "LINKED", "VERIFIED", "VERIFIED", "RISK_FLAGGED", "UNLINKED"],
    "vexora": ["PENDING", "APPROVED", "REJECTED"],
}


class World:
    """A table in memory, and what moves its users, at the moments that a test gives."""

    def __init__(self, timeline_days: int = 0) -> None:
        self.now = datetime(2026, 9, 1, 3, tzinfo=UTC)
        self.db = dynamodb()
        self.store = Store(
            create_table(self.db, "StateTable"), self.db, timeline_days=timeline_days, now=lambda: self.now
        )
        self.registers = KeptRegisters("recon", s3("recon"), lambda: self.now)
        self.number = 0

    def move(self, user_id: str, status: str, provider: str = "paypay", at: str | None = None) -> str:
        """One event that takes a user to a status, with an answer in the vault where it verifies; its moment."""
        self.number += 1
        self.now = datetime.fromisoformat(at) if at else self.now + timedelta(seconds=1)
        before = self.store.users.status(user_id, provider)
        moment = utc_text(self.now)
        after = replace(before or UserStatus(user_id, provider, status, 0), status=status, read_at=moment)
        detail = {"requestId": f"req-{self.number}"}
        if status == VERIFIED[provider]:
            key = f"{provider}/{user_id}/kyc_info/{moment}-{SHA}.json"
            detail |= {"snapshot": key, "sha256": SHA}
            after = replace(after, kept={"kyc_info": {"snapshot": key}})
        made = commit.effect(f"e-{self.number}", "kyc_read", before, after, detail, at=self.now, cause="webhook")
        self.store.events.apply(made)
        return made.at

    def erase(self, user_id: str) -> None:
        """Erase a user, as one request would."""
        self.now += timedelta(seconds=60)
        Erasure(
            store=self.store,
            vault=Vault("vault", s3("vault")),
            registers=self.registers,
            paypay=mock.Mock(),
            sweep_later=mock.Mock(),
            publish=mock.Mock(),
            now=lambda: self.now,
        ).erase(user_id, unlink=False)

    def rows(self, first: str = FIRST, end: str = END, **more: Any) -> list[Row]:
        """The register of a period."""
        return list(Register(self.store, more.pop("wanted", VERIFIED), first, end).rows(**more))


def crowd(world: World, users: int, seed: int) -> None:
    """Users with random timelines and the status that these end in, written as the transactions would write them."""
    chance = random.Random(seed)
    begin = datetime(2026, 8, 1, tzinfo=UTC)
    for number in range(users):
        user_id, items = f"user-{number}", []
        for provider in chance.choice([("paypay",), ("vexora",), ("paypay", "vexora")]):
            moment, before, since = begin + timedelta(seconds=chance.random() * 86_400 * 60), None, ""
            for step in range(chance.randint(1, 7)):
                status = chance.choice(STATUSES[provider])
                at = utc_text(moment)
                since = at if status != before else since
                told = (KYC_STATUS_CHANGED,) if status != before else ()
                entry = TimelineEntry(at, f"{provider}-{step}", provider, "read", "webhook", before, status, told=told)
                items.append(placed(entry_key(user_id, at, entry.event_id) | attributes(entry)))
                before, moment = status, moment + timedelta(seconds=1 + chance.random() * 86_400 * 25)
            last = UserStatus(user_id, provider, str(before), 1, since=since)
            items.append(placed(status_key(user_id, provider) | attributes(last)))
        for item in items:
            world.db.put_item(TableName="StateTable", Item=encode(item))
    world.now = datetime(2027, 6, 1, tzinfo=UTC)
