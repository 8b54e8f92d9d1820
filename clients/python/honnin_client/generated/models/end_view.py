from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

from ..models.end_view_what import EndViewWhat
from ..models.provider_name import ProviderName

T = TypeVar("T", bound="EndView")


@_attrs_define
class EndView:
    """An account link or a residence period that ends soon.

    `what` is `link` (the account link at PayPay) or `residence` (the user's residence period; only with the parameter
    WatchResidencePeriod). `endsAt` (UTC) is the first moment at which it is no longer valid.

        Attributes:
            user_id (str):
            provider (ProviderName): A provider.
            what (EndViewWhat):
            ends_at (datetime.datetime):
    """

    user_id: str
    provider: ProviderName
    what: EndViewWhat
    ends_at: datetime.datetime

    def to_dict(self) -> dict[str, Any]:
        user_id = self.user_id

        provider = self.provider.value

        what = self.what.value

        ends_at = self.ends_at.isoformat()

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "userId": user_id,
                "provider": provider,
                "what": what,
                "endsAt": ends_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        user_id = d.pop("userId")

        provider = ProviderName(d.pop("provider"))

        what = EndViewWhat(d.pop("what"))

        ends_at = datetime.datetime.fromisoformat(d.pop("endsAt"))

        end_view = cls(
            user_id=user_id,
            provider=provider,
            what=what,
            ends_at=ends_at,
        )

        return end_view
