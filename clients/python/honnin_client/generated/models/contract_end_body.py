from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="ContractEndBody")


@_attrs_define
class ContractEndBody:
    """The last day of a user's contract, in Japan; not in the future. `reason` is one line without personal data.

    Attributes:
        ended_on (str):
        reason (None | str | Unset):
    """

    ended_on: str
    reason: None | str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        ended_on = self.ended_on

        reason: None | str | Unset
        if isinstance(self.reason, Unset):
            reason = UNSET
        else:
            reason = self.reason

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "endedOn": ended_on,
            }
        )
        if reason is not UNSET:
            field_dict["reason"] = reason

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        ended_on = d.pop("endedOn")

        def _parse_reason(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        reason = _parse_reason(d.pop("reason", UNSET))

        contract_end_body = cls(
            ended_on=ended_on,
            reason=reason,
        )

        return contract_end_body
