from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

T = TypeVar("T", bound="ReconDayView")


@_attrs_define
class ReconDayView:
    """The state of one file type on one day in Japan. `state` is one of:

    `due` (the file may still come), `announced` (the notification was received), `stored` (the file was downloaded),
    `compared`, `repairing` (`open` users still have to be read again), `repaired` (the status of `changed` users was
    corrected), `late` (compared after 10:15 of the next morning, Japan time), `none` (nothing is known).

    For `missing` (no notification was received), `expired` (the file was not downloaded in time) and `doubtful` (a file
    was received, but it cannot be accepted as the file of this day), ask PayPay to send the notification again.
    `reason` says why no file is accepted for the day.

        Attributes:
            day (str):
            state (str):
            late (bool):
            changed (int):
            open_ (int):
            webhook_never_received (int):
            reason (None | str):
    """

    day: str
    state: str
    late: bool
    changed: int
    open_: int
    webhook_never_received: int
    reason: None | str

    def to_dict(self) -> dict[str, Any]:
        day = self.day

        state = self.state

        late = self.late

        changed = self.changed

        open_ = self.open_

        webhook_never_received = self.webhook_never_received

        reason: None | str
        reason = self.reason

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "day": day,
                "state": state,
                "late": late,
                "changed": changed,
                "open": open_,
                "webhookNeverReceived": webhook_never_received,
                "reason": reason,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        day = d.pop("day")

        state = d.pop("state")

        late = d.pop("late")

        changed = d.pop("changed")

        open_ = d.pop("open")

        webhook_never_received = d.pop("webhookNeverReceived")

        def _parse_reason(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        reason = _parse_reason(d.pop("reason"))

        recon_day_view = cls(
            day=day,
            state=state,
            late=late,
            changed=changed,
            open_=open_,
            webhook_never_received=webhook_never_received,
            reason=reason,
        )

        return recon_day_view
