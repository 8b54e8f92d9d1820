from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from attrs import define as _attrs_define

from ..models.account_link_request_redirect_type_type_0 import AccountLinkRequestRedirectTypeType0
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.account_link_request_kyc_data_type_0 import AccountLinkRequestKycDataType0
    from ..models.account_link_request_kyc_passport_type_0 import AccountLinkRequestKycPassportType0


T = TypeVar("T", bound="AccountLinkRequest")


@_attrs_define
class AccountLinkRequest:
    """The user to link, the scopes to ask for, and `returnUrl`, to which the browser is sent at the end.

    `returnUrl` must be covered by the parameter ReturnUrlAllowlist. `kycData` and `kycPassport` are passed on to PayPay
    unchanged, because PayPay does not publish their fields. `kycPassport` is required if `accountLinkFlow` is
    KYC_PASSPORT, and not allowed otherwise.

        Attributes:
            user_id (str):
            scopes (list[str]):
            return_url (str):
            redirect_type (AccountLinkRequestRedirectTypeType0 | None | Unset):
            phone_number (None | str | Unset):
            user_agent (None | str | Unset):
            kyc_data (AccountLinkRequestKycDataType0 | None | Unset):
            account_link_flow (Literal['KYC_PASSPORT'] | None | Unset):
            kyc_passport (AccountLinkRequestKycPassportType0 | None | Unset):
    """

    user_id: str
    scopes: list[str]
    return_url: str
    redirect_type: AccountLinkRequestRedirectTypeType0 | None | Unset = UNSET
    phone_number: None | str | Unset = UNSET
    user_agent: None | str | Unset = UNSET
    kyc_data: AccountLinkRequestKycDataType0 | None | Unset = UNSET
    account_link_flow: Literal["KYC_PASSPORT"] | None | Unset = UNSET
    kyc_passport: AccountLinkRequestKycPassportType0 | None | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        from ..models.account_link_request_kyc_data_type_0 import AccountLinkRequestKycDataType0  # noqa: PLC0415
        from ..models.account_link_request_kyc_passport_type_0 import AccountLinkRequestKycPassportType0  # noqa: PLC0415

        user_id = self.user_id

        scopes = self.scopes

        return_url = self.return_url

        redirect_type: None | str | Unset
        if isinstance(self.redirect_type, Unset):
            redirect_type = UNSET
        elif isinstance(self.redirect_type, AccountLinkRequestRedirectTypeType0):
            redirect_type = self.redirect_type.value
        else:
            redirect_type = self.redirect_type

        phone_number: None | str | Unset
        if isinstance(self.phone_number, Unset):
            phone_number = UNSET
        else:
            phone_number = self.phone_number

        user_agent: None | str | Unset
        if isinstance(self.user_agent, Unset):
            user_agent = UNSET
        else:
            user_agent = self.user_agent

        kyc_data: dict[str, Any] | None | Unset
        if isinstance(self.kyc_data, Unset):
            kyc_data = UNSET
        elif isinstance(self.kyc_data, AccountLinkRequestKycDataType0):
            kyc_data = self.kyc_data.to_dict()
        else:
            kyc_data = self.kyc_data

        account_link_flow: Literal["KYC_PASSPORT"] | None | Unset
        if isinstance(self.account_link_flow, Unset):
            account_link_flow = UNSET
        else:
            account_link_flow = self.account_link_flow

        kyc_passport: dict[str, Any] | None | Unset
        if isinstance(self.kyc_passport, Unset):
            kyc_passport = UNSET
        elif isinstance(self.kyc_passport, AccountLinkRequestKycPassportType0):
            kyc_passport = self.kyc_passport.to_dict()
        else:
            kyc_passport = self.kyc_passport

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "userId": user_id,
                "scopes": scopes,
                "returnUrl": return_url,
            }
        )
        if redirect_type is not UNSET:
            field_dict["redirectType"] = redirect_type
        if phone_number is not UNSET:
            field_dict["phoneNumber"] = phone_number
        if user_agent is not UNSET:
            field_dict["userAgent"] = user_agent
        if kyc_data is not UNSET:
            field_dict["kycData"] = kyc_data
        if account_link_flow is not UNSET:
            field_dict["accountLinkFlow"] = account_link_flow
        if kyc_passport is not UNSET:
            field_dict["kycPassport"] = kyc_passport

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.account_link_request_kyc_data_type_0 import AccountLinkRequestKycDataType0  # noqa: PLC0415
        from ..models.account_link_request_kyc_passport_type_0 import AccountLinkRequestKycPassportType0  # noqa: PLC0415

        d = dict(src_dict)
        user_id = d.pop("userId")

        scopes = cast(list[str], d.pop("scopes"))

        return_url = d.pop("returnUrl")

        def _parse_redirect_type(data: object) -> AccountLinkRequestRedirectTypeType0 | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                redirect_type_type_0 = AccountLinkRequestRedirectTypeType0(data)

                return redirect_type_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(AccountLinkRequestRedirectTypeType0 | None | Unset, data)

        redirect_type = _parse_redirect_type(d.pop("redirectType", UNSET))

        def _parse_phone_number(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        phone_number = _parse_phone_number(d.pop("phoneNumber", UNSET))

        def _parse_user_agent(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        user_agent = _parse_user_agent(d.pop("userAgent", UNSET))

        def _parse_kyc_data(data: object) -> AccountLinkRequestKycDataType0 | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                kyc_data_type_0 = AccountLinkRequestKycDataType0.from_dict(data)

                return kyc_data_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(AccountLinkRequestKycDataType0 | None | Unset, data)

        kyc_data = _parse_kyc_data(d.pop("kycData", UNSET))

        def _parse_account_link_flow(data: object) -> Literal["KYC_PASSPORT"] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            account_link_flow_type_0 = cast(Literal["KYC_PASSPORT"], data)
            if account_link_flow_type_0 != "KYC_PASSPORT":
                raise ValueError(
                    f"accountLinkFlow_type_0 must match const 'KYC_PASSPORT', got '{account_link_flow_type_0}'"
                )
            return account_link_flow_type_0
            return cast(Literal["KYC_PASSPORT"] | None | Unset, data)

        account_link_flow = _parse_account_link_flow(d.pop("accountLinkFlow", UNSET))

        def _parse_kyc_passport(data: object) -> AccountLinkRequestKycPassportType0 | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                kyc_passport_type_0 = AccountLinkRequestKycPassportType0.from_dict(data)

                return kyc_passport_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(AccountLinkRequestKycPassportType0 | None | Unset, data)

        kyc_passport = _parse_kyc_passport(d.pop("kycPassport", UNSET))

        account_link_request = cls(
            user_id=user_id,
            scopes=scopes,
            return_url=return_url,
            redirect_type=redirect_type,
            phone_number=phone_number,
            user_agent=user_agent,
            kyc_data=kyc_data,
            account_link_flow=account_link_flow,
            kyc_passport=kyc_passport,
        )

        return account_link_request
