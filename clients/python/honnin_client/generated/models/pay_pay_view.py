from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.pay_pay_status import PayPayStatus

if TYPE_CHECKING:
    from ..models.facets_view import FacetsView


T = TypeVar("T", bound="PayPayView")


@_attrs_define
class PayPayView:
    """A user at PayPay. `providerStatus` is the value in PayPay's answer from which the status was derived (a result
    code or a status); `readAt` (UTC) is when it was read.

    `scopes` are the scopes that the user has agreed to. `linkExpiresAt` (UTC) is when the account link expires; null if
    PayPay has not given a date. An event or a webhook about the user at PayPay that has a smaller `version` is of the
    past.

        Attributes:
            status (PayPayStatus): A user's status at PayPay.

                LINK_PENDING: a QR was created, and the user has not returned yet. LINK_DECLINED: the user did not agree.
                LINKED:
                linked, and no KYC was read yet. VERIFIED: PayPay returned KYC data with a status that PayPayVerifiedStatuses
                lists.
                UNCONFIRMED: PayPay answered with success, but with another status or an unknown code, so the user is not
                verified.
                NOT_COMPLETED: the user has not completed the KYC. UPDATE_REQUIRED: the user must update the KYC. RISK_FLAGGED:
                PayPay reports a risk. INACTIVE: the PayPay account or the link is not active. EXPIRED: the authorization has
                expired. UNLINKED: the authorization is no longer valid.
            provider_status (None | str):
            read_at (datetime.datetime | None):
            scopes (list[str]):
            link_expires_at (datetime.datetime | None):
            facets (FacetsView): The three facts from which the status at PayPay is derived: the account link, the KYC, and
                a flag set by PayPay.

                They are independent: a user with a flag may have a verified KYC, and after a link has ended, `kyc` keeps its
                last
                value.
            version (int):
    """

    status: PayPayStatus
    provider_status: None | str
    read_at: datetime.datetime | None
    scopes: list[str]
    link_expires_at: datetime.datetime | None
    facets: FacetsView
    version: int

    def to_dict(self) -> dict[str, Any]:
        status = self.status.value

        provider_status: None | str
        provider_status = self.provider_status

        read_at: None | str
        if isinstance(self.read_at, datetime.datetime):
            read_at = self.read_at.isoformat()
        else:
            read_at = self.read_at

        scopes = self.scopes

        link_expires_at: None | str
        if isinstance(self.link_expires_at, datetime.datetime):
            link_expires_at = self.link_expires_at.isoformat()
        else:
            link_expires_at = self.link_expires_at

        facets = self.facets.to_dict()

        version = self.version

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "status": status,
                "providerStatus": provider_status,
                "readAt": read_at,
                "scopes": scopes,
                "linkExpiresAt": link_expires_at,
                "facets": facets,
                "version": version,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.facets_view import FacetsView  # noqa: PLC0415

        d = dict(src_dict)
        status = PayPayStatus(d.pop("status"))

        def _parse_provider_status(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        provider_status = _parse_provider_status(d.pop("providerStatus"))

        def _parse_read_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                read_at_type_0 = datetime.datetime.fromisoformat(data)

                return read_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        read_at = _parse_read_at(d.pop("readAt"))

        scopes = cast(list[str], d.pop("scopes"))

        def _parse_link_expires_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                link_expires_at_type_0 = datetime.datetime.fromisoformat(data)

                return link_expires_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        link_expires_at = _parse_link_expires_at(d.pop("linkExpiresAt"))

        facets = FacetsView.from_dict(d.pop("facets"))

        version = d.pop("version")

        pay_pay_view = cls(
            status=status,
            provider_status=provider_status,
            read_at=read_at,
            scopes=scopes,
            link_expires_at=link_expires_at,
            facets=facets,
            version=version,
        )

        return pay_pay_view
