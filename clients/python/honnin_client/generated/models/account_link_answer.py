from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

T = TypeVar("T", bound="AccountLinkAnswer")


@_attrs_define
class AccountLinkAnswer:
    """The QR to show to the user: `linkQRCodeURL` is PayPay's URL, `qrSvg` is the same as an SVG picture.

    `codeId` is the id of the QR in the KYC Passport flow, else null. The user must return
    before `expiresAt` (UTC).

        Attributes:
            link_qr_code_url (str):
            qr_svg (str):
            code_id (None | str):
            expires_at (datetime.datetime):
    """

    link_qr_code_url: str
    qr_svg: str
    code_id: None | str
    expires_at: datetime.datetime

    def to_dict(self) -> dict[str, Any]:
        link_qr_code_url = self.link_qr_code_url

        qr_svg = self.qr_svg

        code_id: None | str
        code_id = self.code_id

        expires_at = self.expires_at.isoformat()

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "linkQRCodeURL": link_qr_code_url,
                "qrSvg": qr_svg,
                "codeId": code_id,
                "expiresAt": expires_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        link_qr_code_url = d.pop("linkQRCodeURL")

        qr_svg = d.pop("qrSvg")

        def _parse_code_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        code_id = _parse_code_id(d.pop("codeId"))

        expires_at = datetime.datetime.fromisoformat(d.pop("expiresAt"))

        account_link_answer = cls(
            link_qr_code_url=link_qr_code_url,
            qr_svg=qr_svg,
            code_id=code_id,
            expires_at=expires_at,
        )

        return account_link_answer
