from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.provider_name import ProviderName

T = TypeVar("T", bound="ChangeView")


@_attrs_define
class ChangeView:
    """One change of a user's status. `from` is null if the user had no status before. The event `KycStatusChanged` for
    this change has the same `eventId`.

        Attributes:
            at (datetime.datetime):
            user_id (str):
            provider (ProviderName): A provider.
            from_ (None | str):
            to (str):
            cause (str):
            event_id (str):
    """

    at: datetime.datetime
    user_id: str
    provider: ProviderName
    from_: None | str
    to: str
    cause: str
    event_id: str

    def to_dict(self) -> dict[str, Any]:
        at = self.at.isoformat()

        user_id = self.user_id

        provider = self.provider.value

        from_: None | str
        from_ = self.from_

        to = self.to

        cause = self.cause

        event_id = self.event_id

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "at": at,
                "userId": user_id,
                "provider": provider,
                "from": from_,
                "to": to,
                "cause": cause,
                "eventId": event_id,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        at = datetime.datetime.fromisoformat(d.pop("at"))

        user_id = d.pop("userId")

        provider = ProviderName(d.pop("provider"))

        def _parse_from_(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        from_ = _parse_from_(d.pop("from"))

        to = d.pop("to")

        cause = d.pop("cause")

        event_id = d.pop("eventId")

        change_view = cls(
            at=at,
            user_id=user_id,
            provider=provider,
            from_=from_,
            to=to,
            cause=cause,
            event_id=event_id,
        )

        return change_view
