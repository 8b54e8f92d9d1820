from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

T = TypeVar("T", bound="LookupRequest")


@_attrs_define
class LookupRequest:
    """The users to look up.

    Attributes:
        user_ids (list[str]): Your own ids of 1 to 100 users
    """

    user_ids: list[str]

    def to_dict(self) -> dict[str, Any]:
        user_ids = self.user_ids

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "userIds": user_ids,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        user_ids = cast(list[str], d.pop("userIds"))

        lookup_request = cls(
            user_ids=user_ids,
        )

        return lookup_request
