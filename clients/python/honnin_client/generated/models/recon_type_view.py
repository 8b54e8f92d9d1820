from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.recon_day_view import ReconDayView
    from ..models.resend_request_view import ResendRequestView


T = TypeVar("T", bound="ReconTypeView")


@_attrs_define
class ReconTypeView:
    """The last seven days of a file type, as in the daily report. `week` has the day of the report and the six days
    before it, the newest first.

    `everAnnounced` is false if no notification for this file type was ever received. `lastWebhookAt` is when the last
    webhook of the same kind was received (null: none in the last 40 days). `resendRequest` is null if no day is missing
    that PayPay can still send.

        Attributes:
            file_type (str):
            ever_announced (bool):
            last_webhook_at (datetime.datetime | None):
            week (list[ReconDayView]):
            resend_request (None | ResendRequestView):
    """

    file_type: str
    ever_announced: bool
    last_webhook_at: datetime.datetime | None
    week: list[ReconDayView]
    resend_request: None | ResendRequestView

    def to_dict(self) -> dict[str, Any]:
        from ..models.resend_request_view import ResendRequestView  # noqa: PLC0415

        file_type = self.file_type

        ever_announced = self.ever_announced

        last_webhook_at: None | str
        if isinstance(self.last_webhook_at, datetime.datetime):
            last_webhook_at = self.last_webhook_at.isoformat()
        else:
            last_webhook_at = self.last_webhook_at

        week = []
        for week_item_data in self.week:
            week_item = week_item_data.to_dict()
            week.append(week_item)

        resend_request: dict[str, Any] | None
        if isinstance(self.resend_request, ResendRequestView):
            resend_request = self.resend_request.to_dict()
        else:
            resend_request = self.resend_request

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "fileType": file_type,
                "everAnnounced": ever_announced,
                "lastWebhookAt": last_webhook_at,
                "week": week,
                "resendRequest": resend_request,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.recon_day_view import ReconDayView  # noqa: PLC0415
        from ..models.resend_request_view import ResendRequestView  # noqa: PLC0415

        d = dict(src_dict)
        file_type = d.pop("fileType")

        ever_announced = d.pop("everAnnounced")

        def _parse_last_webhook_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                last_webhook_at_type_0 = datetime.datetime.fromisoformat(data)

                return last_webhook_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        last_webhook_at = _parse_last_webhook_at(d.pop("lastWebhookAt"))

        week = []
        _week = d.pop("week")
        for week_item_data in _week:
            week_item = ReconDayView.from_dict(week_item_data)

            week.append(week_item)

        def _parse_resend_request(data: object) -> None | ResendRequestView:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                resend_request_type_0 = ResendRequestView.from_dict(data)

                return resend_request_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | ResendRequestView, data)

        resend_request = _parse_resend_request(d.pop("resendRequest"))

        recon_type_view = cls(
            file_type=file_type,
            ever_announced=ever_announced,
            last_webhook_at=last_webhook_at,
            week=week,
            resend_request=resend_request,
        )

        return recon_type_view
