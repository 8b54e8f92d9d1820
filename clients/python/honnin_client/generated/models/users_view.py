from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.standing_view import StandingView


T = TypeVar("T", bound="UsersView")


@_attrs_define
class UsersView:
    """One page of the users who have a status now, the latest change first.

    Pass `cursor` to get the next page; it is null on the last page. A page may have fewer entries than `limit`, or
    none, although another page follows. A user whose status does not change while you read the pages is listed exactly
    once. If `rebuilding` is true, the index for this list is being rebuilt, and users may be missing.

        Attributes:
            users (list[StandingView]):
            cursor (None | str):
            rebuilding (bool):
    """

    users: list[StandingView]
    cursor: None | str
    rebuilding: bool

    def to_dict(self) -> dict[str, Any]:
        users = []
        for users_item_data in self.users:
            users_item = users_item_data.to_dict()
            users.append(users_item)

        cursor: None | str
        cursor = self.cursor

        rebuilding = self.rebuilding

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "users": users,
                "cursor": cursor,
                "rebuilding": rebuilding,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.standing_view import StandingView  # noqa: PLC0415

        d = dict(src_dict)
        users = []
        _users = d.pop("users")
        for users_item_data in _users:
            users_item = StandingView.from_dict(users_item_data)

            users.append(users_item)

        def _parse_cursor(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        cursor = _parse_cursor(d.pop("cursor"))

        rebuilding = d.pop("rebuilding")

        users_view = cls(
            users=users,
            cursor=cursor,
            rebuilding=rebuilding,
        )

        return users_view
