from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

T = TypeVar("T", bound="ContractEndView")


@_attrs_define
class ContractEndView:
    """What is known of the end of a user's contract; null where no end is known.

    `reportedAt` (UTC) is when it was reported. `keptUntil` is the last day (in Japan) on which the user's data is kept;
    the user is erased after it.

        Attributes:
            user_id (str):
            ended_on (None | str):
            reported_at (datetime.datetime | None):
            reason (None | str):
            kept_until (None | str):
    """

    user_id: str
    ended_on: None | str
    reported_at: datetime.datetime | None
    reason: None | str
    kept_until: None | str

    def to_dict(self) -> dict[str, Any]:
        user_id = self.user_id

        ended_on: None | str
        ended_on = self.ended_on

        reported_at: None | str
        if isinstance(self.reported_at, datetime.datetime):
            reported_at = self.reported_at.isoformat()
        else:
            reported_at = self.reported_at

        reason: None | str
        reason = self.reason

        kept_until: None | str
        kept_until = self.kept_until

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "userId": user_id,
                "endedOn": ended_on,
                "reportedAt": reported_at,
                "reason": reason,
                "keptUntil": kept_until,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        user_id = d.pop("userId")

        def _parse_ended_on(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        ended_on = _parse_ended_on(d.pop("endedOn"))

        def _parse_reported_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                reported_at_type_0 = datetime.datetime.fromisoformat(data)

                return reported_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        reported_at = _parse_reported_at(d.pop("reportedAt"))

        def _parse_reason(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        reason = _parse_reason(d.pop("reason"))

        def _parse_kept_until(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        kept_until = _parse_kept_until(d.pop("keptUntil"))

        contract_end_view = cls(
            user_id=user_id,
            ended_on=ended_on,
            reported_at=reported_at,
            reason=reason,
            kept_until=kept_until,
        )

        return contract_end_view
