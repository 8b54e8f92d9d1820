"""Keeping what a KYC read gave: PayPay's object in the vault, and its selfie beside it."""

from datetime import datetime

from honnin.errors import RemoteFileError
from honnin.event import Provider
from honnin.observability import count
from honnin.paypay.models import KycReading
from honnin.paypay.selfie import Selfies
from honnin.status import KycProduct
from honnin.times import utc_text
from honnin.vault import Vault


class KycArchive:
    """Stores each successful read once, whoever asked for it."""

    def __init__(self, vault: Vault, selfies: Selfies) -> None:
        self._vault = vault
        self._selfies = selfies

    def keep(self, user_id: str, product: KycProduct, read_at: datetime, reading: KycReading) -> dict[str, str]:
        """Store the object and its selfie; returns what the timeline says of it.

        A selfie that cannot be fetched is lost, because its address expires; the object is stored all the same.
        """
        key = self._vault.put_snapshot(
            provider=Provider.PAYPAY, user_id=user_id, product=product, read_at=utc_text(read_at), data=reading.data
        )
        return {"snapshot": key, **self._selfie(key, reading.data.get("selfieImageUrl"))}

    def _selfie(self, snapshot: str, url: object) -> dict[str, str]:
        if not isinstance(url, str) or not url:
            return {}
        try:
            image, content_type = self._selfies.fetch(url)
        except RemoteFileError as error:
            count("SelfieNotFetched")
            return {"selfie": "not_fetched", "selfieReason": str(error)}
        return {"selfie": self._vault.put_selfie(snapshot, image, content_type)}
