from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.entry_view import EntryView


T = TypeVar("T", bound="TimelineView")


@_attrs_define
class TimelineView:
    """One page of the timeline, newest first. Pass `cursor` to get the next page; it is null on the last page.

    Attributes:
        entries (list[EntryView]):
        cursor (None | str):
    """

    entries: list[EntryView]
    cursor: None | str

    def to_dict(self) -> dict[str, Any]:
        entries = []
        for entries_item_data in self.entries:
            entries_item = entries_item_data.to_dict()
            entries.append(entries_item)

        cursor: None | str
        cursor = self.cursor

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "entries": entries,
                "cursor": cursor,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.entry_view import EntryView  # noqa: PLC0415

        d = dict(src_dict)
        entries = []
        _entries = d.pop("entries")
        for entries_item_data in _entries:
            entries_item = EntryView.from_dict(entries_item_data)

            entries.append(entries_item)

        def _parse_cursor(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        cursor = _parse_cursor(d.pop("cursor"))

        timeline_view = cls(
            entries=entries,
            cursor=cursor,
        )

        return timeline_view
