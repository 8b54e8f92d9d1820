"""A table in memory with users whose moments a test gives: for the register."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

from honnin import commit
from honnin.erasure import Erasure
from honnin.kept_registers import KeptRegisters
from honnin.register import VERIFIED, Register, Row
from honnin.store import Store, UserStatus
from honnin.store.overview import day_begins
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
