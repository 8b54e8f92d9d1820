from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

from ..models.pay_pay_status import PayPayStatus
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.kyc_view_kyc import KycViewKyc


T = TypeVar("T", bound="KycView")


@_attrs_define
class KycView:
    """The result of a KYC read. `readAt` (UTC) is when PayPay was asked.

    `kyc` is PayPay's `data` object, unchanged. It is personal data, and it is left out if PayPay returned none.

        Attributes:
            status (PayPayStatus): A user's status at PayPay.

                LINK_PENDING: a QR was created, and the user has not returned yet. LINK_DECLINED: the user did not agree.
                LINKED:
                linked, and no KYC was read yet. VERIFIED: PayPay returned KYC data with a status that PayPayVerifiedStatuses
                lists.
                UNCONFIRMED: PayPay answered with success, but with another status or an unknown code, so the user is not
                verified.
                NOT_COMPLETED: the user has not completed the KYC. UPDATE_REQUIRED: the user must update the KYC. RISK_FLAGGED:
                PayPay reports a risk. INACTIVE: the PayPay account or the link is not active. EXPIRED: the authorization has
                expired. UNLINKED: the authorization is no longer valid.
            read_at (datetime.datetime):
            kyc (KycViewKyc | Unset):
    """

    status: PayPayStatus
    read_at: datetime.datetime
    kyc: KycViewKyc | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        status = self.status.value

        read_at = self.read_at.isoformat()

        kyc: dict[str, Any] | Unset = UNSET
        if not isinstance(self.kyc, Unset):
            kyc = self.kyc.to_dict()

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "status": status,
                "readAt": read_at,
            }
        )
        if kyc is not UNSET:
            field_dict["kyc"] = kyc

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.kyc_view_kyc import KycViewKyc  # noqa: PLC0415

        d = dict(src_dict)
        status = PayPayStatus(d.pop("status"))

        read_at = datetime.datetime.fromisoformat(d.pop("readAt"))

        _kyc = d.pop("kyc", UNSET)
        kyc: KycViewKyc | Unset
        if isinstance(_kyc, Unset):
            kyc = UNSET
        else:
            kyc = KycViewKyc.from_dict(_kyc)

        kyc_view = cls(
            status=status,
            read_at=read_at,
            kyc=kyc,
        )

        return kyc_view
