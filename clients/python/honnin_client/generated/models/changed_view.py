from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

T = TypeVar("T", bound="ChangedView")


@_attrs_define
class ChangedView:
    """A user whose status changed because of the comparison.

    Attributes:
        user_authorization_id (str):
        user_id (None | str):
        from_ (None | str):
        to (None | str):
        applied_at (datetime.datetime | None):
    """

    user_authorization_id: str
    user_id: None | str
    from_: None | str
    to: None | str
    applied_at: datetime.datetime | None

    def to_dict(self) -> dict[str, Any]:
        user_authorization_id = self.user_authorization_id

        user_id: None | str
        user_id = self.user_id

        from_: None | str
        from_ = self.from_

        to: None | str
        to = self.to

        applied_at: None | str
        if isinstance(self.applied_at, datetime.datetime):
            applied_at = self.applied_at.isoformat()
        else:
            applied_at = self.applied_at

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "userAuthorizationId": user_authorization_id,
                "userId": user_id,
                "from": from_,
                "to": to,
                "appliedAt": applied_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        user_authorization_id = d.pop("userAuthorizationId")

        def _parse_user_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        user_id = _parse_user_id(d.pop("userId"))

        def _parse_from_(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        from_ = _parse_from_(d.pop("from"))

        def _parse_to(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        to = _parse_to(d.pop("to"))

        def _parse_applied_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                applied_at_type_0 = datetime.datetime.fromisoformat(data)

                return applied_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        applied_at = _parse_applied_at(d.pop("appliedAt"))

        changed_view = cls(
            user_authorization_id=user_authorization_id,
            user_id=user_id,
            from_=from_,
            to=to,
            applied_at=applied_at,
        )

        return changed_view
