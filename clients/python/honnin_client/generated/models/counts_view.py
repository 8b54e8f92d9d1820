from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.provider_counts_view import ProviderCountsView


T = TypeVar("T", bound="CountsView")


@_attrs_define
class CountsView:
    """How many users have each status, by provider. `countedAt` (UTC) is when the counting began.

    A user whose status changes during the counting may be counted in both statuses or in neither. If `approximate` is
    true, there were too many users to count within one call, and the numbers are estimated from a sample. If
    `rebuilding` is true, the index for the numbers is being rebuilt, and users may be missing.

        Attributes:
            counts (ProviderCountsView): The number of users with each status, at each provider.
            approximate (bool):
            counted_at (datetime.datetime):
            rebuilding (bool):
    """

    counts: ProviderCountsView
    approximate: bool
    counted_at: datetime.datetime
    rebuilding: bool

    def to_dict(self) -> dict[str, Any]:
        counts = self.counts.to_dict()

        approximate = self.approximate

        counted_at = self.counted_at.isoformat()

        rebuilding = self.rebuilding

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "counts": counts,
                "approximate": approximate,
                "countedAt": counted_at,
                "rebuilding": rebuilding,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.provider_counts_view import ProviderCountsView  # noqa: PLC0415

        d = dict(src_dict)
        counts = ProviderCountsView.from_dict(d.pop("counts"))

        approximate = d.pop("approximate")

        counted_at = datetime.datetime.fromisoformat(d.pop("countedAt"))

        rebuilding = d.pop("rebuilding")

        counts_view = cls(
            counts=counts,
            approximate=approximate,
            counted_at=counted_at,
            rebuilding=rebuilding,
        )

        return counts_view
