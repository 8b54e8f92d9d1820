from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.change_view import ChangeView


T = TypeVar("T", bound="ChangesView")


@_attrs_define
class ChangesView:
    """One page of changes, the latest first.

    Pass `cursor` to get the next page; it is null on the last page. A page may have fewer entries than `limit`, or
    none, although another page follows. If `rebuilding` is true, the index for this list is being rebuilt, and changes
    may be missing.

        Attributes:
            changes (list[ChangeView]):
            cursor (None | str):
            rebuilding (bool):
    """

    changes: list[ChangeView]
    cursor: None | str
    rebuilding: bool

    def to_dict(self) -> dict[str, Any]:
        changes = []
        for changes_item_data in self.changes:
            changes_item = changes_item_data.to_dict()
            changes.append(changes_item)

        cursor: None | str
        cursor = self.cursor

        rebuilding = self.rebuilding

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "changes": changes,
                "cursor": cursor,
                "rebuilding": rebuilding,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.change_view import ChangeView  # noqa: PLC0415

        d = dict(src_dict)
        changes = []
        _changes = d.pop("changes")
        for changes_item_data in _changes:
            changes_item = ChangeView.from_dict(changes_item_data)

            changes.append(changes_item)

        def _parse_cursor(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        cursor = _parse_cursor(d.pop("cursor"))

        rebuilding = d.pop("rebuilding")

        changes_view = cls(
            changes=changes,
            cursor=cursor,
            rebuilding=rebuilding,
        )

        return changes_view
