from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

T = TypeVar("T", bound="SubmissionRequest")


@_attrs_define
class SubmissionRequest:
    """The user to submit. The furigana is sent to Vexora and is not stored.

    `usernameFurigana` may have katakana, digits, `・`, `ー` and spaces, at most 100 characters. Hiragana and half-width
    katakana are converted to katakana.

        Attributes:
            user_id (str):
            username_furigana (str):
    """

    user_id: str
    username_furigana: str

    def to_dict(self) -> dict[str, Any]:
        user_id = self.user_id

        username_furigana = self.username_furigana

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "userId": user_id,
                "usernameFurigana": username_furigana,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        user_id = d.pop("userId")

        username_furigana = d.pop("usernameFurigana")

        submission_request = cls(
            user_id=user_id,
            username_furigana=username_furigana,
        )

        return submission_request
