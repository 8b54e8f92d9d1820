from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.user_view import UserView


T = TypeVar("T", bound="LookupView")


@_attrs_define
class LookupView:
    """The known users in the order of the request, each once. `unknown` lists the other ids.

    Attributes:
        users (list[UserView]):
        unknown (list[str]):
    """

    users: list[UserView]
    unknown: list[str]

    def to_dict(self) -> dict[str, Any]:
        users = []
        for users_item_data in self.users:
            users_item = users_item_data.to_dict()
            users.append(users_item)

        unknown = self.unknown

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "users": users,
                "unknown": unknown,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.user_view import UserView  # noqa: PLC0415

        d = dict(src_dict)
        users = []
        _users = d.pop("users")
        for users_item_data in _users:
            users_item = UserView.from_dict(users_item_data)

            users.append(users_item)

        unknown = cast(list[str], d.pop("unknown"))

        lookup_view = cls(
            users=users,
            unknown=unknown,
        )

        return lookup_view
