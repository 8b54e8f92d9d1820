from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.authorization_expiring_webhook_data_provider import AuthorizationExpiringWebhookDataProvider
from ..models.pay_pay_status import PayPayStatus

T = TypeVar("T", bound="AuthorizationExpiringWebhookData")


@_attrs_define
class AuthorizationExpiringWebhookData:
    """A user's PayPay account link ends soon. PayPay was asked just before. Published once for each end date.

    Attributes:
        user_id (str): Your own id of the user.
        provider (AuthorizationExpiringWebhookDataProvider): The provider of the account link.
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
        link_expires_at (datetime.datetime): When the link ends (UTC).
        version (int): Grows with each change of this user at this provider, also from before an erasure to after it. Of
            two events, the one with the greater version is the later.
        occurred_at (datetime.datetime): When the event was published (UTC).
    """

    user_id: str
    provider: AuthorizationExpiringWebhookDataProvider
    status: PayPayStatus
    link_expires_at: datetime.datetime
    version: int
    occurred_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        user_id = self.user_id

        provider = self.provider.value

        status = self.status.value

        link_expires_at = self.link_expires_at.isoformat()

        version = self.version

        occurred_at = self.occurred_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "userId": user_id,
                "provider": provider,
                "status": status,
                "linkExpiresAt": link_expires_at,
                "version": version,
                "occurredAt": occurred_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        user_id = d.pop("userId")

        provider = AuthorizationExpiringWebhookDataProvider(d.pop("provider"))

        status = PayPayStatus(d.pop("status"))

        link_expires_at = datetime.datetime.fromisoformat(d.pop("linkExpiresAt"))

        version = d.pop("version")

        occurred_at = datetime.datetime.fromisoformat(d.pop("occurredAt"))

        authorization_expiring_webhook_data = cls(
            user_id=user_id,
            provider=provider,
            status=status,
            link_expires_at=link_expires_at,
            version=version,
            occurred_at=occurred_at,
        )

        authorization_expiring_webhook_data.additional_properties = d
        return authorization_expiring_webhook_data

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
