from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.entry_view_detail import EntryViewDetail


T = TypeVar("T", bound="EntryView")


@_attrs_define
class EntryView:
    """One entry of the timeline. `from` is the status before (null if there was none), `to` the status after.

    `cause` is what led to the entry: `user` (the user's browser returned from PayPay), `api`, `webhook`, `recon`,
    `poll`, `settle` (another read shortly after a webhook) or `operator` (`honninctl reread`).

        Attributes:
            at (datetime.datetime):
            event_id (str):
            provider (str):
            what (str):
            cause (str):
            from_ (None | str):
            to (str):
            detail (EntryViewDetail):
    """

    at: datetime.datetime
    event_id: str
    provider: str
    what: str
    cause: str
    from_: None | str
    to: str
    detail: EntryViewDetail

    def to_dict(self) -> dict[str, Any]:
        at = self.at.isoformat()

        event_id = self.event_id

        provider = self.provider

        what = self.what

        cause = self.cause

        from_: None | str
        from_ = self.from_

        to = self.to

        detail = self.detail.to_dict()

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "at": at,
                "eventId": event_id,
                "provider": provider,
                "what": what,
                "cause": cause,
                "from": from_,
                "to": to,
                "detail": detail,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.entry_view_detail import EntryViewDetail  # noqa: PLC0415

        d = dict(src_dict)
        at = datetime.datetime.fromisoformat(d.pop("at"))

        event_id = d.pop("eventId")

        provider = d.pop("provider")

        what = d.pop("what")

        cause = d.pop("cause")

        def _parse_from_(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        from_ = _parse_from_(d.pop("from"))

        to = d.pop("to")

        detail = EntryViewDetail.from_dict(d.pop("detail"))

        entry_view = cls(
            at=at,
            event_id=event_id,
            provider=provider,
            what=what,
            cause=cause,
            from_=from_,
            to=to,
            detail=detail,
        )

        return entry_view
