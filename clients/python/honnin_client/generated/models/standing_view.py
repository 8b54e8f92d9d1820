from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

from ..models.provider_name import ProviderName

T = TypeVar("T", bound="StandingView")


@_attrs_define
class StandingView:
    """A user's status at a provider. `since` (UTC) is when the user got this status.

    Attributes:
        user_id (str):
        provider (ProviderName): A provider.
        status (str):
        since (datetime.datetime):
    """

    user_id: str
    provider: ProviderName
    status: str
    since: datetime.datetime

    def to_dict(self) -> dict[str, Any]:
        user_id = self.user_id

        provider = self.provider.value

        status = self.status

        since = self.since.isoformat()

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "userId": user_id,
                "provider": provider,
                "status": status,
                "since": since,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        user_id = d.pop("userId")

        provider = ProviderName(d.pop("provider"))

        status = d.pop("status")

        since = datetime.datetime.fromisoformat(d.pop("since"))

        standing_view = cls(
            user_id=user_id,
            provider=provider,
            status=status,
            since=since,
        )

        return standing_view
