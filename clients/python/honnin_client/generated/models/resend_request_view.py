from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

T = TypeVar("T", bound="ResendRequestView")


@_attrs_define
class ResendRequestView:
    """The text of an e-mail that asks PayPay to send the notifications of the missing days again: Japanese, English.

    Attributes:
        ja (str):
        en (str):
    """

    ja: str
    en: str

    def to_dict(self) -> dict[str, Any]:
        ja = self.ja

        en = self.en

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "ja": ja,
                "en": en,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        ja = d.pop("ja")

        en = d.pop("en")

        resend_request_view = cls(
            ja=ja,
            en=en,
        )

        return resend_request_view
