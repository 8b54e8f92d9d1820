from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.provider_counts_view_paypay import ProviderCountsViewPaypay
    from ..models.provider_counts_view_vexora import ProviderCountsViewVexora


T = TypeVar("T", bound="ProviderCountsView")


@_attrs_define
class ProviderCountsView:
    """The number of users with each status, at each provider.

    Attributes:
        vexora (ProviderCountsViewVexora):
        paypay (ProviderCountsViewPaypay):
    """

    vexora: ProviderCountsViewVexora
    paypay: ProviderCountsViewPaypay

    def to_dict(self) -> dict[str, Any]:
        vexora = self.vexora.to_dict()

        paypay = self.paypay.to_dict()

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "vexora": vexora,
                "paypay": paypay,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.provider_counts_view_paypay import ProviderCountsViewPaypay  # noqa: PLC0415
        from ..models.provider_counts_view_vexora import ProviderCountsViewVexora  # noqa: PLC0415

        d = dict(src_dict)
        vexora = ProviderCountsViewVexora.from_dict(d.pop("vexora"))

        paypay = ProviderCountsViewPaypay.from_dict(d.pop("paypay"))

        provider_counts_view = cls(
            vexora=vexora,
            paypay=paypay,
        )

        return provider_counts_view
