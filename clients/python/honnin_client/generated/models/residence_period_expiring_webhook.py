from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.residence_period_expiring_webhook_data import ResidencePeriodExpiringWebhookData


T = TypeVar("T", bound="ResidencePeriodExpiringWebhook")


@_attrs_define
class ResidencePeriodExpiringWebhook:
    """A user's residence period ends soon. Only with the parameter `WatchResidencePeriod`; once for each end date.

    Attributes:
        type_ (Literal['residence.period.expiring']):
        timestamp (datetime.datetime): When the event happened (UTC)
        data (ResidencePeriodExpiringWebhookData): A user's residence period ends soon. Only with the parameter
            `WatchResidencePeriod`; once for each end date.
    """

    type_: Literal["residence.period.expiring"]
    timestamp: datetime.datetime
    data: ResidencePeriodExpiringWebhookData
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        type_ = self.type_

        timestamp = self.timestamp.isoformat()

        data = self.data.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "type": type_,
                "timestamp": timestamp,
                "data": data,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.residence_period_expiring_webhook_data import ResidencePeriodExpiringWebhookData  # noqa: PLC0415

        d = dict(src_dict)
        type_ = cast(Literal["residence.period.expiring"], d.pop("type"))
        if type_ != "residence.period.expiring":
            raise ValueError(f"type must match const 'residence.period.expiring', got '{type_}'")

        timestamp = datetime.datetime.fromisoformat(d.pop("timestamp"))

        data = ResidencePeriodExpiringWebhookData.from_dict(d.pop("data"))

        residence_period_expiring_webhook = cls(
            type_=type_,
            timestamp=timestamp,
            data=data,
        )

        residence_period_expiring_webhook.additional_properties = d
        return residence_period_expiring_webhook

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
