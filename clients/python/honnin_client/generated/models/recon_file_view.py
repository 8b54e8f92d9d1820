from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.changed_view import ChangedView
    from ..models.malformed_row_view import MalformedRowView
    from ..models.recon_counts import ReconCounts


T = TypeVar("T", bound="ReconFileView")


@_attrs_define
class ReconFileView:
    """One recon file. Times are UTC; `day` is a day in Japan.

    `counts` is null until the file was compared. `changed` lists up to 20 users whose status changed; the object
    `reportKey` in the recon bucket lists all of them. `comparison` is the number of the latest comparison for this
    file type and day. `repairsOpen` is how many users still have to be read again. `doneAt` is an estimate of when the
    last of them will be read. `completedAt` is when all of them had been read. `repairsStoppedAt` is set if reading
    again was stopped then; the remaining users are read after an operator has resumed it. `doubt` is the reason why the
    file was compared but is not accepted as the file of its day. `warnings` lists what was unexpected in the file when
    it was stored.

        Attributes:
            file_type (str):
            day (str):
            file_name (str):
            revision_of (None | str):
            state (str):
            reason (None | str):
            warnings (list[str]):
            doubt (None | str):
            requested_at (datetime.datetime | None):
            deadline (datetime.datetime | None):
            stored_at (datetime.datetime | None):
            compared_at (datetime.datetime | None):
            completed_at (datetime.datetime | None):
            comparison (int | None):
            sha256 (None | str):
            bytes_ (int | None):
            counts (None | ReconCounts):
            malformed_rows (list[MalformedRowView]):
            changed (list[ChangedView]):
            repairs_open (int | None):
            done_at (datetime.datetime | None):
            repairs_stopped_at (datetime.datetime | None):
            report_key (None | str):
    """

    file_type: str
    day: str
    file_name: str
    revision_of: None | str
    state: str
    reason: None | str
    warnings: list[str]
    doubt: None | str
    requested_at: datetime.datetime | None
    deadline: datetime.datetime | None
    stored_at: datetime.datetime | None
    compared_at: datetime.datetime | None
    completed_at: datetime.datetime | None
    comparison: int | None
    sha256: None | str
    bytes_: int | None
    counts: None | ReconCounts
    malformed_rows: list[MalformedRowView]
    changed: list[ChangedView]
    repairs_open: int | None
    done_at: datetime.datetime | None
    repairs_stopped_at: datetime.datetime | None
    report_key: None | str

    def to_dict(self) -> dict[str, Any]:
        from ..models.recon_counts import ReconCounts  # noqa: PLC0415

        file_type = self.file_type

        day = self.day

        file_name = self.file_name

        revision_of: None | str
        revision_of = self.revision_of

        state = self.state

        reason: None | str
        reason = self.reason

        warnings = self.warnings

        doubt: None | str
        doubt = self.doubt

        requested_at: None | str
        if isinstance(self.requested_at, datetime.datetime):
            requested_at = self.requested_at.isoformat()
        else:
            requested_at = self.requested_at

        deadline: None | str
        if isinstance(self.deadline, datetime.datetime):
            deadline = self.deadline.isoformat()
        else:
            deadline = self.deadline

        stored_at: None | str
        if isinstance(self.stored_at, datetime.datetime):
            stored_at = self.stored_at.isoformat()
        else:
            stored_at = self.stored_at

        compared_at: None | str
        if isinstance(self.compared_at, datetime.datetime):
            compared_at = self.compared_at.isoformat()
        else:
            compared_at = self.compared_at

        completed_at: None | str
        if isinstance(self.completed_at, datetime.datetime):
            completed_at = self.completed_at.isoformat()
        else:
            completed_at = self.completed_at

        comparison: int | None
        comparison = self.comparison

        sha256: None | str
        sha256 = self.sha256

        bytes_: int | None
        bytes_ = self.bytes_

        counts: dict[str, Any] | None
        if isinstance(self.counts, ReconCounts):
            counts = self.counts.to_dict()
        else:
            counts = self.counts

        malformed_rows = []
        for malformed_rows_item_data in self.malformed_rows:
            malformed_rows_item = malformed_rows_item_data.to_dict()
            malformed_rows.append(malformed_rows_item)

        changed = []
        for changed_item_data in self.changed:
            changed_item = changed_item_data.to_dict()
            changed.append(changed_item)

        repairs_open: int | None
        repairs_open = self.repairs_open

        done_at: None | str
        if isinstance(self.done_at, datetime.datetime):
            done_at = self.done_at.isoformat()
        else:
            done_at = self.done_at

        repairs_stopped_at: None | str
        if isinstance(self.repairs_stopped_at, datetime.datetime):
            repairs_stopped_at = self.repairs_stopped_at.isoformat()
        else:
            repairs_stopped_at = self.repairs_stopped_at

        report_key: None | str
        report_key = self.report_key

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "fileType": file_type,
                "day": day,
                "fileName": file_name,
                "revisionOf": revision_of,
                "state": state,
                "reason": reason,
                "warnings": warnings,
                "doubt": doubt,
                "requestedAt": requested_at,
                "deadline": deadline,
                "storedAt": stored_at,
                "comparedAt": compared_at,
                "completedAt": completed_at,
                "comparison": comparison,
                "sha256": sha256,
                "bytes": bytes_,
                "counts": counts,
                "malformedRows": malformed_rows,
                "changed": changed,
                "repairsOpen": repairs_open,
                "doneAt": done_at,
                "repairsStoppedAt": repairs_stopped_at,
                "reportKey": report_key,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.changed_view import ChangedView  # noqa: PLC0415
        from ..models.malformed_row_view import MalformedRowView  # noqa: PLC0415
        from ..models.recon_counts import ReconCounts  # noqa: PLC0415

        d = dict(src_dict)
        file_type = d.pop("fileType")

        day = d.pop("day")

        file_name = d.pop("fileName")

        def _parse_revision_of(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        revision_of = _parse_revision_of(d.pop("revisionOf"))

        state = d.pop("state")

        def _parse_reason(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        reason = _parse_reason(d.pop("reason"))

        warnings = cast(list[str], d.pop("warnings"))

        def _parse_doubt(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        doubt = _parse_doubt(d.pop("doubt"))

        def _parse_requested_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                requested_at_type_0 = datetime.datetime.fromisoformat(data)

                return requested_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        requested_at = _parse_requested_at(d.pop("requestedAt"))

        def _parse_deadline(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                deadline_type_0 = datetime.datetime.fromisoformat(data)

                return deadline_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        deadline = _parse_deadline(d.pop("deadline"))

        def _parse_stored_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                stored_at_type_0 = datetime.datetime.fromisoformat(data)

                return stored_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        stored_at = _parse_stored_at(d.pop("storedAt"))

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

        def _parse_completed_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                completed_at_type_0 = datetime.datetime.fromisoformat(data)

                return completed_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        completed_at = _parse_completed_at(d.pop("completedAt"))

        def _parse_comparison(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        comparison = _parse_comparison(d.pop("comparison"))

        def _parse_sha256(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        sha256 = _parse_sha256(d.pop("sha256"))

        def _parse_bytes_(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        bytes_ = _parse_bytes_(d.pop("bytes"))

        def _parse_counts(data: object) -> None | ReconCounts:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                counts_type_0 = ReconCounts.from_dict(data)

                return counts_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | ReconCounts, data)

        counts = _parse_counts(d.pop("counts"))

        malformed_rows = []
        _malformed_rows = d.pop("malformedRows")
        for malformed_rows_item_data in _malformed_rows:
            malformed_rows_item = MalformedRowView.from_dict(malformed_rows_item_data)

            malformed_rows.append(malformed_rows_item)

        changed = []
        _changed = d.pop("changed")
        for changed_item_data in _changed:
            changed_item = ChangedView.from_dict(changed_item_data)

            changed.append(changed_item)

        def _parse_repairs_open(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        repairs_open = _parse_repairs_open(d.pop("repairsOpen"))

        def _parse_done_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                done_at_type_0 = datetime.datetime.fromisoformat(data)

                return done_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        done_at = _parse_done_at(d.pop("doneAt"))

        def _parse_repairs_stopped_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                repairs_stopped_at_type_0 = datetime.datetime.fromisoformat(data)

                return repairs_stopped_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        repairs_stopped_at = _parse_repairs_stopped_at(d.pop("repairsStoppedAt"))

        def _parse_report_key(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        report_key = _parse_report_key(d.pop("reportKey"))

        recon_file_view = cls(
            file_type=file_type,
            day=day,
            file_name=file_name,
            revision_of=revision_of,
            state=state,
            reason=reason,
            warnings=warnings,
            doubt=doubt,
            requested_at=requested_at,
            deadline=deadline,
            stored_at=stored_at,
            compared_at=compared_at,
            completed_at=completed_at,
            comparison=comparison,
            sha256=sha256,
            bytes_=bytes_,
            counts=counts,
            malformed_rows=malformed_rows,
            changed=changed,
            repairs_open=repairs_open,
            done_at=done_at,
            repairs_stopped_at=repairs_stopped_at,
            report_key=report_key,
        )

        return recon_file_view
