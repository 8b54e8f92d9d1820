"""What both providers' statuses of a user come to, and that the other one is still so when a change is written."""

from collections.abc import Iterable, Mapping
from typing import Any

from honnin.event import Provider
from honnin.status import Flag, PayPayStatus, VerifiedNeeds, VerifiedReason, VexoraStatus, verified
from honnin.store.keys import Item, status_key
from honnin.store.table import Table, encode, read
from honnin.store.users import UserStatus


class Beside:
    """The user's status at the other provider, as it must still be when a change here takes effect.

    Whether the user is verified depends on both, and a change tells it.
    """

    def __init__(self, table: Table, user_id: str, provider: str) -> None:
        other = Provider.VEXORA if provider == Provider.PAYPAY else Provider.PAYPAY
        self._table = table
        self._key = status_key(user_id, other)
        item = table.get(self._key)
        self.statuses = [read(UserStatus, item)] if item else []

    def unchanged(self) -> Item:
        """The check that it is still so."""
        if not self.statuses:
            return self._table.absent(self._key)
        return {
            "TableName": self._table.name,
            "Key": encode(self._key),
            "ConditionExpression": "version = :version",
            "ExpressionAttributeValues": encode({":version": self.statuses[0].version}),
        }

    def verdict(self, after: UserStatus, needs: VerifiedNeeds) -> Mapping[str, Any]:
        """What both statuses come to, by the names of `KycStatusChanged`."""
        reason = verified_reason([after, *self.statuses], needs)
        return {"verified": reason.is_verified, "verifiedReason": reason}


def verified_reason(statuses: Iterable[UserStatus], needs: VerifiedNeeds) -> VerifiedReason:
    """Why a user with these statuses counts as verified, or why not.

    A flag of PayPay's stands although the link has ended.
    """
    paypay: PayPayStatus | None = None
    vexora: VexoraStatus | None = None
    for each in statuses:
        if each.provider == Provider.PAYPAY:
            flag = flag_of(each)
            paypay = PayPayStatus(each.status if flag == Flag.NONE else flag)
        elif each.provider == Provider.VEXORA:
            vexora = VexoraStatus(each.status)
    return verified(paypay, vexora, needs)


def flag_of(status: UserStatus) -> str:
    """What PayPay holds against the user."""
    return (status.facets or {}).get("flag", Flag.NONE)
