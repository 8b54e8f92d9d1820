from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="ReconCounts")


@_attrs_define
class ReconCounts:
    """The numbers of one comparison of a recon file.

    `rows` is the number of rows in the file. A file is compared in ranges of 100,000 rows, and a user is counted once
    in each range. `upToDate`: users whose data was read after PayPay had sent the file's notification. `reRead`: users
    whose data is read again because of this file. `leftOut`: users who are not read again because their webhook was
    received (only with the parameter ReconRecheck=missed). `notLinkedHere`: ids that belong to no linked user of this
    deployment. `erased`: users whose personal data was erased. `duplicates`: further rows with the id of a user who is
    already counted. `malformed`: rows that are not an id. `webhookNeverReceived`: linked users in the file for whom no
    webhook was received since the beginning of the day.

    After the users in `reRead` were read: `changed` is how many of them have another status than before, `notRead` is
    how many could not be read.

        Attributes:
            rows (int):
            duplicates (int | Unset):  Default: 0.
            up_to_date (int | Unset):  Default: 0.
            re_read (int | Unset):  Default: 0.
            left_out (int | Unset):  Default: 0.
            changed (int | Unset):  Default: 0.
            not_read (int | Unset):  Default: 0.
            webhook_never_received (int | Unset):  Default: 0.
            not_linked_here (int | Unset):  Default: 0.
            erased (int | Unset):  Default: 0.
            malformed (int | Unset):  Default: 0.
            warnings (int | Unset):  Default: 0.
    """

    rows: int
    duplicates: int | Unset = 0
    up_to_date: int | Unset = 0
    re_read: int | Unset = 0
    left_out: int | Unset = 0
    changed: int | Unset = 0
    not_read: int | Unset = 0
    webhook_never_received: int | Unset = 0
    not_linked_here: int | Unset = 0
    erased: int | Unset = 0
    malformed: int | Unset = 0
    warnings: int | Unset = 0

    def to_dict(self) -> dict[str, Any]:
        rows = self.rows

        duplicates = self.duplicates

        up_to_date = self.up_to_date

        re_read = self.re_read

        left_out = self.left_out

        changed = self.changed

        not_read = self.not_read

        webhook_never_received = self.webhook_never_received

        not_linked_here = self.not_linked_here

        erased = self.erased

        malformed = self.malformed

        warnings = self.warnings

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "rows": rows,
            }
        )
        if duplicates is not UNSET:
            field_dict["duplicates"] = duplicates
        if up_to_date is not UNSET:
            field_dict["upToDate"] = up_to_date
        if re_read is not UNSET:
            field_dict["reRead"] = re_read
        if left_out is not UNSET:
            field_dict["leftOut"] = left_out
        if changed is not UNSET:
            field_dict["changed"] = changed
        if not_read is not UNSET:
            field_dict["notRead"] = not_read
        if webhook_never_received is not UNSET:
            field_dict["webhookNeverReceived"] = webhook_never_received
        if not_linked_here is not UNSET:
            field_dict["notLinkedHere"] = not_linked_here
        if erased is not UNSET:
            field_dict["erased"] = erased
        if malformed is not UNSET:
            field_dict["malformed"] = malformed
        if warnings is not UNSET:
            field_dict["warnings"] = warnings

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        rows = d.pop("rows")

        duplicates = d.pop("duplicates", UNSET)

        up_to_date = d.pop("upToDate", UNSET)

        re_read = d.pop("reRead", UNSET)

        left_out = d.pop("leftOut", UNSET)

        changed = d.pop("changed", UNSET)

        not_read = d.pop("notRead", UNSET)

        webhook_never_received = d.pop("webhookNeverReceived", UNSET)

        not_linked_here = d.pop("notLinkedHere", UNSET)

        erased = d.pop("erased", UNSET)

        malformed = d.pop("malformed", UNSET)

        warnings = d.pop("warnings", UNSET)

        recon_counts = cls(
            rows=rows,
            duplicates=duplicates,
            up_to_date=up_to_date,
            re_read=re_read,
            left_out=left_out,
            changed=changed,
            not_read=not_read,
            webhook_never_received=webhook_never_received,
            not_linked_here=not_linked_here,
            erased=erased,
            malformed=malformed,
            warnings=warnings,
        )

        return recon_counts
