from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.recon_completed_counts import ReconCompletedCounts


T = TypeVar("T", bound="ReconCompleted")


@_attrs_define
class ReconCompleted:
    """A recon file was compared, and every user who had to be read again was read, or could not be read for a day.

    Attributes:
        file_type (str): The type of the file. Ignore repeats with the same `fileType`, `day` and `comparison`.
        day (datetime.date): The day in Japan that the file is about.
        file_name (str): The name of the file at PayPay.
        comparison (int): The number of the comparison of this day and type. It grows when a file is compared again.
        compared_at (datetime.datetime | None): When the file was compared (UTC).
        sha256 (None | str): The file's SHA-256, in hexadecimal.
        counts (ReconCompletedCounts): The numbers of the comparison, as in the recon report of the API. More may be
            added.
        report_key (str): The key of the full report in the recon bucket.
    """

    file_type: str
    day: datetime.date
    file_name: str
    comparison: int
    compared_at: datetime.datetime | None
    sha256: None | str
    counts: ReconCompletedCounts
    report_key: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        file_type = self.file_type

        day = self.day.isoformat()

        file_name = self.file_name

        comparison = self.comparison

        compared_at: None | str
        if isinstance(self.compared_at, datetime.datetime):
            compared_at = self.compared_at.isoformat()
        else:
            compared_at = self.compared_at

        sha256: None | str
        sha256 = self.sha256

        counts = self.counts.to_dict()

        report_key = self.report_key

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "fileType": file_type,
                "day": day,
                "fileName": file_name,
                "comparison": comparison,
                "comparedAt": compared_at,
                "sha256": sha256,
                "counts": counts,
                "reportKey": report_key,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.recon_completed_counts import ReconCompletedCounts  # noqa: PLC0415

        d = dict(src_dict)
        file_type = d.pop("fileType")

        day = datetime.date.fromisoformat(d.pop("day"))

        file_name = d.pop("fileName")

        comparison = d.pop("comparison")

        def _parse_compared_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                compared_at_type_0 = datetime.datetime.fromisoformat(data)

                return compared_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        compared_at = _parse_compared_at(d.pop("comparedAt"))

        def _parse_sha256(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        sha256 = _parse_sha256(d.pop("sha256"))

        counts = ReconCompletedCounts.from_dict(d.pop("counts"))

        report_key = d.pop("reportKey")

        recon_completed = cls(
            file_type=file_type,
            day=day,
            file_name=file_name,
            comparison=comparison,
            compared_at=compared_at,
            sha256=sha256,
            counts=counts,
            report_key=report_key,
        )

        recon_completed.additional_properties = d
        return recon_completed

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
