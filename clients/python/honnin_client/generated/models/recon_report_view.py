from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.recon_file_view import ReconFileView
    from ..models.recon_type_view import ReconTypeView


T = TypeVar("T", bound="ReconReportView")


@_attrs_define
class ReconReportView:
    """The recon files of one day in Japan. A file with `state` MISSING is one whose notification was not received.

    Attributes:
        date (str):
        files (list[ReconFileView]):
        types (list[ReconTypeView]):
    """

    date: str
    files: list[ReconFileView]
    types: list[ReconTypeView]

    def to_dict(self) -> dict[str, Any]:
        date = self.date

        files = []
        for files_item_data in self.files:
            files_item = files_item_data.to_dict()
            files.append(files_item)

        types = []
        for types_item_data in self.types:
            types_item = types_item_data.to_dict()
            types.append(types_item)

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "date": date,
                "files": files,
                "types": types,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.recon_file_view import ReconFileView  # noqa: PLC0415
        from ..models.recon_type_view import ReconTypeView  # noqa: PLC0415

        d = dict(src_dict)
        date = d.pop("date")

        files = []
        _files = d.pop("files")
        for files_item_data in _files:
            files_item = ReconFileView.from_dict(files_item_data)

            files.append(files_item)

        types = []
        _types = d.pop("types")
        for types_item_data in _types:
            types_item = ReconTypeView.from_dict(types_item_data)

            types.append(types_item)

        recon_report_view = cls(
            date=date,
            files=files,
            types=types,
        )

        return recon_report_view
