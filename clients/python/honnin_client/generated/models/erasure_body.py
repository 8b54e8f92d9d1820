from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="ErasureBody")


@_attrs_define
class ErasureBody:
    """Who asks for the erasure, why, and the ticket. Each is one line, and may be left out. Write no personal data.

    They are kept as long as the certificate. Without `requestedBy`, the ARN of the caller stands there.
    The first request of an erasure counts; a repeated one changes nothing.

        Attributes:
            requested_by (None | str | Unset):
            reason (None | str | Unset):
            ticket (None | str | Unset):
    """

    requested_by: None | str | Unset = UNSET
    reason: None | str | Unset = UNSET
    ticket: None | str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        requested_by: None | str | Unset
        if isinstance(self.requested_by, Unset):
            requested_by = UNSET
        else:
            requested_by = self.requested_by

        reason: None | str | Unset
        if isinstance(self.reason, Unset):
            reason = UNSET
        else:
            reason = self.reason

        ticket: None | str | Unset
        if isinstance(self.ticket, Unset):
            ticket = UNSET
        else:
            ticket = self.ticket

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if requested_by is not UNSET:
            field_dict["requestedBy"] = requested_by
        if reason is not UNSET:
            field_dict["reason"] = reason
        if ticket is not UNSET:
            field_dict["ticket"] = ticket

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)

        def _parse_requested_by(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        requested_by = _parse_requested_by(d.pop("requestedBy", UNSET))

        def _parse_reason(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        reason = _parse_reason(d.pop("reason", UNSET))

        def _parse_ticket(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        ticket = _parse_ticket(d.pop("ticket", UNSET))

        erasure_body = cls(
            requested_by=requested_by,
            reason=reason,
            ticket=ticket,
        )

        return erasure_body
