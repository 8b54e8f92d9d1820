from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.submission_stale_webhook_data import SubmissionStaleWebhookData


T = TypeVar("T", bound="SubmissionStaleWebhook")


@_attrs_define
class SubmissionStaleWebhook:
    """A submission at Vexora is still not decided after 30 days of daily polls. Published once for each submission.

    Attributes:
        type_ (Literal['submission.stale']):
        timestamp (datetime.datetime): When the event happened (UTC)
        data (SubmissionStaleWebhookData): A submission at Vexora is still not decided after 30 days of daily polls.
            Published once for each submission.
    """

    type_: Literal["submission.stale"]
    timestamp: datetime.datetime
    data: SubmissionStaleWebhookData
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        type_ = self.type_

        timestamp = self.timestamp.isoformat()

        data = self.data.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "type": type_,
                "timestamp": timestamp,
                "data": data,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.submission_stale_webhook_data import SubmissionStaleWebhookData  # noqa: PLC0415

        d = dict(src_dict)
        type_ = cast(Literal["submission.stale"], d.pop("type"))
        if type_ != "submission.stale":
            raise ValueError(f"type must match const 'submission.stale', got '{type_}'")

        timestamp = datetime.datetime.fromisoformat(d.pop("timestamp"))

        data = SubmissionStaleWebhookData.from_dict(d.pop("data"))

        submission_stale_webhook = cls(
            type_=type_,
            timestamp=timestamp,
            data=data,
        )

        submission_stale_webhook.additional_properties = d
        return submission_stale_webhook

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
