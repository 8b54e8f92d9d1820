from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.vexora_status import VexoraStatus

T = TypeVar("T", bound="VexoraView")


@_attrs_define
class VexoraView:
    """A user at Vexora. `providerStatus` is Vexora's `authenticationStatus`; `readAt` (UTC) is when it was read.

    `stale` is true if the submission is still not decided after 30 days of daily polls. `reason` is why Vexora rejected
    the user, in Vexora's own words (at most 200 characters); it may be personal data. It is null if there is none.
    An event or a webhook about the user at Vexora that has a smaller `version` is of the past.

        Attributes:
            status (VexoraStatus): A user's status at Vexora. PENDING, UNDER_REVIEW, APPROVED and REJECTED are Vexora's
                answers 0 to 3.

                SUBMITTING: the submission is being sent, or Vexora has not answered yet. FAILED: Vexora certainly did not
                accept
                the user's first submission; a new one may be sent.
            provider_status (None | str):
            read_at (datetime.datetime | None):
            submission_id (None | str):
            stale (bool):
            reason (None | str):
            version (int):
    """

    status: VexoraStatus
    provider_status: None | str
    read_at: datetime.datetime | None
    submission_id: None | str
    stale: bool
    reason: None | str
    version: int

    def to_dict(self) -> dict[str, Any]:
        status = self.status.value

        provider_status: None | str
        provider_status = self.provider_status

        read_at: None | str
        if isinstance(self.read_at, datetime.datetime):
            read_at = self.read_at.isoformat()
        else:
            read_at = self.read_at

        submission_id: None | str
        submission_id = self.submission_id

        stale = self.stale

        reason: None | str
        reason = self.reason

        version = self.version

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "status": status,
                "providerStatus": provider_status,
                "readAt": read_at,
                "submissionId": submission_id,
                "stale": stale,
                "reason": reason,
                "version": version,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        status = VexoraStatus(d.pop("status"))

        def _parse_provider_status(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        provider_status = _parse_provider_status(d.pop("providerStatus"))

        def _parse_read_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                read_at_type_0 = datetime.datetime.fromisoformat(data)

                return read_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        read_at = _parse_read_at(d.pop("readAt"))

        def _parse_submission_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        submission_id = _parse_submission_id(d.pop("submissionId"))

        stale = d.pop("stale")

        def _parse_reason(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        reason = _parse_reason(d.pop("reason"))

        version = d.pop("version")

        vexora_view = cls(
            status=status,
            provider_status=provider_status,
            read_at=read_at,
            submission_id=submission_id,
            stale=stale,
            reason=reason,
            version=version,
        )

        return vexora_view
