"""Stores the result of a KYC read: PayPay's object in the vault, and its selfie with it."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from honnin.errors import RemoteFileError
from honnin.event import Provider
from honnin.observability import count
from honnin.paypay.models import KycReading
from honnin.paypay.selfie import Selfies
from honnin.status import KycProduct
from honnin.store import UserStatus
from honnin.vault import Evidence, Vault, selfie


class KycArchive:
    """Makes the evidence of each successful read, whoever requested it.

    It is written together with the read's effect.
    """

    def __init__(self, vault: Vault, selfies: Selfies) -> None:
        self._vault = vault
        self._selfies = selfies

    def keep(
        self, before: UserStatus, product: KycProduct, read_at: datetime, reading: KycReading, *, again: bool = False
    ) -> Evidence:
        """The object and its selfie, or those already in the vault. Pass the result to `commit.effect`.

        `again`: the object also counts as the same if only the signature in the selfie's address is different, because
        that changes with every read.

        If a selfie cannot be fetched, it is lost, because its address expires. The object is stored all the same.
        """
        evidence = self._vault.evidence(
            provider=Provider.PAYPAY,
            user_id=before.user_id,
            product=product,
            read_at=read_at,
            body=_bytes(reading.data),
            kept=before.kept,
            content=_bytes(_without_signature(reading.data)),
            by_content=again,
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
            why = {"selfieError": type(error).__name__, "selfieReason": str(error)}
            evidence.facts |= {"selfie": "not_fetched", **why}
            return
        evidence.add("selfie", selfie(evidence.facts["snapshot"], image, content_type))


def _bytes(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def _without_signature(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object without the query of the selfie's address. The query expires, so each read gives another one."""
    url = data.get("selfieImageUrl")
    return {**data, "selfieImageUrl": url.partition("?")[0]} if isinstance(url, str) else data
