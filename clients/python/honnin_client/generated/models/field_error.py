from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

T = TypeVar("T", bound="FieldError")


@_attrs_define
class FieldError:
    """A field of the request that breaks a rule.

    Attributes:
        field (str):
        rule (str):
    """

    field: str
    rule: str

    def to_dict(self) -> dict[str, Any]:
        field = self.field

        rule = self.rule

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "field": field,
                "rule": rule,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        field = d.pop("field")

        rule = d.pop("rule")

        field_error = cls(
            field=field,
            rule=rule,
        )

        return field_error
