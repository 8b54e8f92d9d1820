from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

from ..models.flag import Flag
from ..models.kyc import Kyc
from ..models.link import Link

T = TypeVar("T", bound="FacetsView")


@_attrs_define
class FacetsView:
    """The three facts from which the status at PayPay is derived: the account link, the KYC, and a flag set by PayPay.

    They are independent: a user with a flag may have a verified KYC, and after a link has ended, `kyc` keeps its last
    value.

        Attributes:
            link (Link): The facet `link`: the state of the account link. CANCELLED: the user has closed the PayPay account.
            kyc (Kyc): The facet `kyc`: PayPay's last answer to a KYC read of the present authorization. UNREAD: none was
                made yet.
            flag (Flag): The facet `flag`: a problem that PayPay reports (a risk, or a KYC that the user must update), or
                NONE.
    """

    link: Link
    kyc: Kyc
    flag: Flag

    def to_dict(self) -> dict[str, Any]:
        link = self.link.value

        kyc = self.kyc.value

        flag = self.flag.value

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "link": link,
                "kyc": kyc,
                "flag": flag,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        link = Link(d.pop("link"))

        kyc = Kyc(d.pop("kyc"))

        flag = Flag(d.pop("flag"))

        facets_view = cls(
            link=link,
            kyc=kyc,
            flag=flag,
        )

        return facets_view
