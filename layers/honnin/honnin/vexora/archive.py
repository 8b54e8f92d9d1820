"""Stores Vexora's answers as evidence: the bytes of each answer that changed a user's data here."""

from datetime import datetime

from honnin.event import Provider
from honnin.store import UserStatus
from honnin.vault import Evidence, Vault
from honnin.vexora.models import Reading


class VexoraArchive:
    """Makes the evidence of an answer that decides something. It is written together with the answer's effect."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def keep(self, before: UserStatus, after: UserStatus, read_at: datetime, reading: Reading) -> Evidence | None:
        """The answer as it came, with its request id. None if it decided nothing, because its content was known before.

        Pass it to `commit.effect`.
        """
        if _says(before) == _says(after):
            return None
        evidence = self._vault.evidence(
            provider=Provider.VEXORA,
            user_id=after.user_id,
            product=reading.call,
            read_at=read_at,
            body=reading.body,
            kept=before.kept,
        )
        if reading.request_id:
            evidence.facts["requestId"] = reading.request_id
        return evidence


def _says(status: UserStatus) -> tuple[str, str | None, str | None]:
    return status.status, status.provider_status, status.reason
