from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

T = TypeVar("T", bound="MalformedRowView")


@_attrs_define
class MalformedRowView:
    """A row that is not an id: its line number in the file (the first line is 1) and the reason.

    Attributes:
        line (int):
        reason (str):
    """

    line: int
    reason: str

    def to_dict(self) -> dict[str, Any]:
        line = self.line

        reason = self.reason

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "line": line,
                "reason": reason,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        line = d.pop("line")

        reason = d.pop("reason")

        malformed_row_view = cls(
            line=line,
            reason=reason,
        )

        return malformed_row_view
