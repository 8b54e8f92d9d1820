from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.end_view import EndView


T = TypeVar("T", bound="ExpiringView")


@_attrs_define
class ExpiringView:
    """One page of account links and residence periods that end until `until` (UTC), the earliest first.

    Pass `cursor` to get the next page; it is null on the last page.

        Attributes:
            expiring (list[EndView]):
            until (datetime.datetime):
            cursor (None | str):
    """

    expiring: list[EndView]
    until: datetime.datetime
    cursor: None | str

    def to_dict(self) -> dict[str, Any]:
        expiring = []
        for expiring_item_data in self.expiring:
            expiring_item = expiring_item_data.to_dict()
            expiring.append(expiring_item)

        until = self.until.isoformat()

        cursor: None | str
        cursor = self.cursor

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "expiring": expiring,
                "until": until,
                "cursor": cursor,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.end_view import EndView  # noqa: PLC0415

        d = dict(src_dict)
        expiring = []
        _expiring = d.pop("expiring")
        for expiring_item_data in _expiring:
            expiring_item = EndView.from_dict(expiring_item_data)

            expiring.append(expiring_item)

        until = datetime.datetime.fromisoformat(d.pop("until"))

        def _parse_cursor(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        cursor = _parse_cursor(d.pop("cursor"))

        expiring_view = cls(
            expiring=expiring,
            until=until,
            cursor=cursor,
        )

        return expiring_view
