"""Keeping what a KYC read gave: PayPay's object in the vault, and its selfie beside it."""

import json
from datetime import datetime

from honnin.errors import RemoteFileError
from honnin.event import Provider
from honnin.observability import count
from honnin.paypay.models import KycReading
from honnin.paypay.selfie import Selfies
from honnin.status import KycProduct
from honnin.store import UserStatus
from honnin.vault import Evidence, Vault, selfie


class KycArchive:
    """Makes the evidence of each successful read, whoever asked for it; it is written with the effect of the read."""

    def __init__(self, vault: Vault, selfies: Selfies) -> None:
        self._vault = vault
        self._selfies = selfies

    def keep(self, before: UserStatus, product: KycProduct, read_at: datetime, reading: KycReading) -> Evidence:
        """The object and its selfie, or those that the vault has already. Pass it to `commit.effect`.

        A selfie that cannot be fetched is lost, because its address expires; the object is stored all the same.
        """
        evidence = self._vault.evidence(
            provider=Provider.PAYPAY,
            user_id=before.user_id,
            product=product,
            read_at=read_at,
            body=json.dumps(reading.data, ensure_ascii=False, separators=(",", ":")).encode(),
            kept=before.kept,
        )
        url = reading.data.get("selfieImageUrl")
        if isinstance(url, str) and url and "selfie" not in evidence.facts:
            self._add_selfie(evidence, url)
        return evidence

    def _add_selfie(self, evidence: Evidence, url: str) -> None:
        try:
            image, content_type = self._selfies.fetch(url)
        except RemoteFileError as error:
            count("SelfieNotFetched")
            evidence.facts |= {"selfie": "not_fetched", "selfieReason": str(error)}
            return
        evidence.add("selfie", selfie(evidence.facts["snapshot"], image, content_type))
