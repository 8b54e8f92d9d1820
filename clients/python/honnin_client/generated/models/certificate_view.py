from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.certificate_view_erased import CertificateViewErased


T = TypeVar("T", bound="CertificateView")


@_attrs_define
class CertificateView:
    """The certificate that a user's personal data was erased. Times are UTC.

    `erased` has the number of erased items of each kind: versions of objects in the personal-data bucket, links,
    waiting events, submissions, statuses, and timeline entries whose details were removed. With `unlink=true` it also
    has the number of authorizations that were ended at PayPay. `requestedBy`, `reason` and `ticket` are those of the
    request that began the erasure.

        Attributes:
            certificate_id (str):
            user_id (str):
            begun_at (datetime.datetime):
            completed_at (datetime.datetime):
            erased (CertificateViewErased):
            requested_by (None | str):
            reason (None | str):
            ticket (None | str):
    """

    certificate_id: str
    user_id: str
    begun_at: datetime.datetime
    completed_at: datetime.datetime
    erased: CertificateViewErased
    requested_by: None | str
    reason: None | str
    ticket: None | str

    def to_dict(self) -> dict[str, Any]:
        certificate_id = self.certificate_id

        user_id = self.user_id

        begun_at = self.begun_at.isoformat()

        completed_at = self.completed_at.isoformat()

        erased = self.erased.to_dict()

        requested_by: None | str
        requested_by = self.requested_by

        reason: None | str
        reason = self.reason

        ticket: None | str
        ticket = self.ticket

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "certificateId": certificate_id,
                "userId": user_id,
                "begunAt": begun_at,
                "completedAt": completed_at,
                "erased": erased,
                "requestedBy": requested_by,
                "reason": reason,
                "ticket": ticket,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.certificate_view_erased import CertificateViewErased  # noqa: PLC0415

        d = dict(src_dict)
        certificate_id = d.pop("certificateId")

        user_id = d.pop("userId")

        begun_at = datetime.datetime.fromisoformat(d.pop("begunAt"))

        completed_at = datetime.datetime.fromisoformat(d.pop("completedAt"))

        erased = CertificateViewErased.from_dict(d.pop("erased"))

        def _parse_requested_by(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        requested_by = _parse_requested_by(d.pop("requestedBy"))

        def _parse_reason(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        reason = _parse_reason(d.pop("reason"))

        def _parse_ticket(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        ticket = _parse_ticket(d.pop("ticket"))

        certificate_view = cls(
            certificate_id=certificate_id,
            user_id=user_id,
            begun_at=begun_at,
            completed_at=completed_at,
            erased=erased,
            requested_by=requested_by,
            reason=reason,
            ticket=ticket,
        )

        return certificate_view
