from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

from ..models.vexora_status import VexoraStatus

T = TypeVar("T", bound="SubmissionAnswer")


@_attrs_define
class SubmissionAnswer:
    """The submission and the user's status at Vexora. SUBMITTING: Vexora did not answer in time; Honnin asks Vexora for
    the result later.

        Attributes:
            submission_id (str):
            user_id (str):
            status (VexoraStatus): A user's status at Vexora. PENDING, UNDER_REVIEW, APPROVED and REJECTED are Vexora's
                answers 0 to 3.

                SUBMITTING: the submission is being sent, or Vexora has not answered yet. FAILED: Vexora certainly did not
                accept
                the user's first submission; a new one may be sent.
    """

    submission_id: str
    user_id: str
    status: VexoraStatus

    def to_dict(self) -> dict[str, Any]:
        submission_id = self.submission_id

        user_id = self.user_id

        status = self.status.value

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "submissionId": submission_id,
                "userId": user_id,
                "status": status,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        submission_id = d.pop("submissionId")

        user_id = d.pop("userId")

        status = VexoraStatus(d.pop("status"))

        submission_answer = cls(
            submission_id=submission_id,
            user_id=user_id,
            status=status,
        )

        return submission_answer
