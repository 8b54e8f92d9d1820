from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.pay_pay_status import PayPayStatus
from ..models.residence_period_expiring_provider import ResidencePeriodExpiringProvider

T = TypeVar("T", bound="ResidencePeriodExpiring")


@_attrs_define
class ResidencePeriodExpiring:
    """A user's residence period ends soon. Only with the parameter `WatchResidencePeriod`; once for each end date.

    Attributes:
        user_id (str): Your own id of the user.
        provider (ResidencePeriodExpiringProvider): The provider whose KYC answer contained the end date.
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
        residence_ends_on (datetime.date): The last day of the period, in Japan.
        version (int): Grows with each change of this user at this provider, also from before an erasure to after it. Of
            two events, the one with the greater version is the later.
        occurred_at (datetime.datetime): When the event was published (UTC).
        event_id (str): The id of the event. The same event may be delivered more than once: ignore repeats of this id.
    """

    user_id: str
    provider: ResidencePeriodExpiringProvider
    status: PayPayStatus
    residence_ends_on: datetime.date
    version: int
    occurred_at: datetime.datetime
    event_id: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        user_id = self.user_id

        provider = self.provider.value

        status = self.status.value

        residence_ends_on = self.residence_ends_on.isoformat()

        version = self.version

        occurred_at = self.occurred_at.isoformat()

        event_id = self.event_id

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "userId": user_id,
                "provider": provider,
                "status": status,
                "residenceEndsOn": residence_ends_on,
                "version": version,
                "occurredAt": occurred_at,
                "eventId": event_id,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        user_id = d.pop("userId")

        provider = ResidencePeriodExpiringProvider(d.pop("provider"))

        status = PayPayStatus(d.pop("status"))

        residence_ends_on = datetime.date.fromisoformat(d.pop("residenceEndsOn"))

        version = d.pop("version")

        occurred_at = datetime.datetime.fromisoformat(d.pop("occurredAt"))

        event_id = d.pop("eventId")

        residence_period_expiring = cls(
            user_id=user_id,
            provider=provider,
            status=status,
            residence_ends_on=residence_ends_on,
            version=version,
            occurred_at=occurred_at,
            event_id=event_id,
        )

        residence_period_expiring.additional_properties = d
        return residence_period_expiring

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
