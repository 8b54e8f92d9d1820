from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="UserErasedWebhookData")


@_attrs_define
class UserErasedWebhookData:
    """Honnin has erased the personal data of a user. Erase what you have stored about the user from earlier events.

    Attributes:
        user_id (str): Your own id of the user.
        certificate_id (str): The id of the erasure. The same event may be delivered more than once: ignore repeats of
            this id.
        version (int): Erase what has a smaller version. Greater ones belong to a user who came back later.
        completed_at (datetime.datetime): When the erasure was complete (UTC).
    """

    user_id: str
    certificate_id: str
    version: int
    completed_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        user_id = self.user_id

        certificate_id = self.certificate_id

        version = self.version

        completed_at = self.completed_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "userId": user_id,
                "certificateId": certificate_id,
                "version": version,
                "completedAt": completed_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        user_id = d.pop("userId")

        certificate_id = d.pop("certificateId")

        version = d.pop("version")

        completed_at = datetime.datetime.fromisoformat(d.pop("completedAt"))

        user_erased_webhook_data = cls(
            user_id=user_id,
            certificate_id=certificate_id,
            version=version,
            completed_at=completed_at,
        )

        user_erased_webhook_data.additional_properties = d
        return user_erased_webhook_data

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
