from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.authorization_expired_webhook_data_provider import AuthorizationExpiredWebhookDataProvider

T = TypeVar("T", bound="AuthorizationExpiredWebhookData")


@_attrs_define
class AuthorizationExpiredWebhookData:
    """A user's PayPay account link has expired. Published once, in addition to `KycStatusChanged`.

    Attributes:
        user_id (str): Your own id of the user.
        provider (AuthorizationExpiredWebhookDataProvider): The provider of the account link.
        expired_at (datetime.datetime): When the link ended (UTC).
        provider_status (None | str): The value in PayPay's answer that says that the link has ended. It is `expireAt`
            if PayPay did not answer after the end date that it had given before; then this date counts.
        version (int): Grows with each change of this user at this provider, also from before an erasure to after it. Of
            two events, the one with the greater version is the later.
        occurred_at (datetime.datetime): When the change of the status took effect (UTC).
    """

    user_id: str
    provider: AuthorizationExpiredWebhookDataProvider
    expired_at: datetime.datetime
    provider_status: None | str
    version: int
    occurred_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        user_id = self.user_id

        provider = self.provider.value

        expired_at = self.expired_at.isoformat()

        provider_status: None | str
        provider_status = self.provider_status

        version = self.version

        occurred_at = self.occurred_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "userId": user_id,
                "provider": provider,
                "expiredAt": expired_at,
                "providerStatus": provider_status,
                "version": version,
                "occurredAt": occurred_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        user_id = d.pop("userId")

        provider = AuthorizationExpiredWebhookDataProvider(d.pop("provider"))

        expired_at = datetime.datetime.fromisoformat(d.pop("expiredAt"))

        def _parse_provider_status(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        provider_status = _parse_provider_status(d.pop("providerStatus"))

        version = d.pop("version")

        occurred_at = datetime.datetime.fromisoformat(d.pop("occurredAt"))

        authorization_expired_webhook_data = cls(
            user_id=user_id,
            provider=provider,
            expired_at=expired_at,
            provider_status=provider_status,
            version=version,
            occurred_at=occurred_at,
        )

        authorization_expired_webhook_data.additional_properties = d
        return authorization_expired_webhook_data

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
