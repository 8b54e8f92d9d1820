from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.pay_pay_view import PayPayView
    from ..models.vexora_view import VexoraView


T = TypeVar("T", bound="ProvidersView")


@_attrs_define
class ProvidersView:
    """The providers that know the user: `vexora`, `paypay` or both. A provider that does not know the user is left
    out.

        Attributes:
            vexora (VexoraView | Unset): A user at Vexora. `providerStatus` is Vexora's `authenticationStatus`; `readAt`
                (UTC) is when it was read.

                `stale` is true if the submission is still not decided after 30 days of daily polls. `reason` is why Vexora
                rejected
                the user, in Vexora's own words (at most 200 characters); it may be personal data. It is null if there is none.
                An event or a webhook about the user at Vexora that has a smaller `version` is of the past.
            paypay (PayPayView | Unset): A user at PayPay. `providerStatus` is the value in PayPay's answer from which the
                status was derived (a result
                code or a status); `readAt` (UTC) is when it was read.

                `scopes` are the scopes that the user has agreed to. `linkExpiresAt` (UTC) is when the account link expires;
                null if
                PayPay has not given a date. An event or a webhook about the user at PayPay that has a smaller `version` is of
                the
                past.
    """

    vexora: VexoraView | Unset = UNSET
    paypay: PayPayView | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        vexora: dict[str, Any] | Unset = UNSET
        if not isinstance(self.vexora, Unset):
            vexora = self.vexora.to_dict()

        paypay: dict[str, Any] | Unset = UNSET
        if not isinstance(self.paypay, Unset):
            paypay = self.paypay.to_dict()

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if vexora is not UNSET:
            field_dict["vexora"] = vexora
        if paypay is not UNSET:
            field_dict["paypay"] = paypay

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.pay_pay_view import PayPayView  # noqa: PLC0415
        from ..models.vexora_view import VexoraView  # noqa: PLC0415

        d = dict(src_dict)
        _vexora = d.pop("vexora", UNSET)
        vexora: VexoraView | Unset
        if isinstance(_vexora, Unset):
            vexora = UNSET
        else:
            vexora = VexoraView.from_dict(_vexora)

        _paypay = d.pop("paypay", UNSET)
        paypay: PayPayView | Unset
        if isinstance(_paypay, Unset):
            paypay = UNSET
        else:
            paypay = PayPayView.from_dict(_paypay)

        providers_view = cls(
            vexora=vexora,
            paypay=paypay,
        )

        return providers_view
