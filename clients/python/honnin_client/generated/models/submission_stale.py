from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.vexora_status import VexoraStatus

T = TypeVar("T", bound="SubmissionStale")


@_attrs_define
class SubmissionStale:
    """A submission at Vexora is still not decided after 30 days of daily polls. Published once for each submission.

    Attributes:
        user_id (str): Your own id of the user.
        submission_id (str): The id of the submission.
        status (VexoraStatus): A user's status at Vexora. PENDING, UNDER_REVIEW, APPROVED and REJECTED are Vexora's
            answers 0 to 3.

            SUBMITTING: the submission is being sent, or Vexora has not answered yet. FAILED: Vexora certainly did not
            accept
            the user's first submission; a new one may be sent.
        submitted_at (datetime.datetime): When it was submitted (UTC).
        version (int): Grows with each change of this user at this provider, also from before an erasure to after it. Of
            two events, the one with the greater version is the later.
        occurred_at (datetime.datetime): When Honnin found that it is still not decided (UTC).
        event_id (str): The id of the event. The same event may be delivered more than once: ignore repeats of this id.
    """

    user_id: str
    submission_id: str
    status: VexoraStatus
    submitted_at: datetime.datetime
    version: int
    occurred_at: datetime.datetime
    event_id: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        user_id = self.user_id

        submission_id = self.submission_id

        status = self.status.value

        submitted_at = self.submitted_at.isoformat()

        version = self.version

        occurred_at = self.occurred_at.isoformat()

        event_id = self.event_id

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "userId": user_id,
                "submissionId": submission_id,
                "status": status,
                "submittedAt": submitted_at,
                "version": version,
                "occurredAt": occurred_at,
                "eventId": event_id,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        user_id = d.pop("userId")

        submission_id = d.pop("submissionId")

        status = VexoraStatus(d.pop("status"))

        submitted_at = datetime.datetime.fromisoformat(d.pop("submittedAt"))

        version = d.pop("version")

        occurred_at = datetime.datetime.fromisoformat(d.pop("occurredAt"))

        event_id = d.pop("eventId")

        submission_stale = cls(
            user_id=user_id,
            submission_id=submission_id,
            status=status,
            submitted_at=submitted_at,
            version=version,
            occurred_at=occurred_at,
            event_id=event_id,
        )

        submission_stale.additional_properties = d
        return submission_stale

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
