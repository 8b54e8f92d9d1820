from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.provider_name import ProviderName
from ..models.status import Status
from ..models.verified_reason import VerifiedReason
from ..types import UNSET, Unset

T = TypeVar("T", bound="KycStatusChanged")


@_attrs_define
class KycStatusChanged:
    """The status of a user at a provider changed.

    Attributes:
        user_id (str): Your own id of the user.
        provider (ProviderName): A provider.
        from_ (None | Status): The status before; null if the user had none. It equals `to` if only `verified` has
            changed.
        to (Status): A status at Vexora or at PayPay.
        verified (bool): Whether the user counts as verified, considering both providers (docs/api.md).
        verified_reason (VerifiedReason): Why a user counts as verified, or why not.
        cause (str): What led to the change: user, api, webhook, poll, recon, settle or operator. More may be added.
        version (int): Grows with each change of this user at this provider, also from before an erasure to after it. Of
            two events, the one with the greater version is the later.
        occurred_at (datetime.datetime): When the change took effect (UTC).
        event_id (str): The id of the event. The same event may be delivered more than once: ignore repeats of this id.
        provider_status (str | Unset): The value in the provider's answer (a status or a result code) from which the
            status was derived.
        submission_id (str | Unset): The id of the submission; only for Vexora.
    """

    user_id: str
    provider: ProviderName
    from_: None | Status
    to: Status
    verified: bool
    verified_reason: VerifiedReason
    cause: str
    version: int
    occurred_at: datetime.datetime
    event_id: str
    provider_status: str | Unset = UNSET
    submission_id: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        user_id = self.user_id

        provider = self.provider.value

        from_: None | str
        if isinstance(self.from_, Status):
            from_ = self.from_.value
        else:
            from_ = self.from_

        to = self.to.value

        verified = self.verified

        verified_reason = self.verified_reason.value

        cause = self.cause

        version = self.version

        occurred_at = self.occurred_at.isoformat()

        event_id = self.event_id

        provider_status = self.provider_status

        submission_id = self.submission_id

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "userId": user_id,
                "provider": provider,
                "from": from_,
                "to": to,
                "verified": verified,
                "verifiedReason": verified_reason,
                "cause": cause,
                "version": version,
                "occurredAt": occurred_at,
                "eventId": event_id,
            }
        )
        if provider_status is not UNSET:
            field_dict["providerStatus"] = provider_status
        if submission_id is not UNSET:
            field_dict["submissionId"] = submission_id

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        user_id = d.pop("userId")

        provider = ProviderName(d.pop("provider"))

        def _parse_from_(data: object) -> None | Status:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                from_type_0 = Status(data)

                return from_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Status, data)

        from_ = _parse_from_(d.pop("from"))

        to = Status(d.pop("to"))

        verified = d.pop("verified")

        verified_reason = VerifiedReason(d.pop("verifiedReason"))

        cause = d.pop("cause")

        version = d.pop("version")

        occurred_at = datetime.datetime.fromisoformat(d.pop("occurredAt"))

        event_id = d.pop("eventId")

        provider_status = d.pop("providerStatus", UNSET)

        submission_id = d.pop("submissionId", UNSET)

        kyc_status_changed = cls(
            user_id=user_id,
            provider=provider,
            from_=from_,
            to=to,
            verified=verified,
            verified_reason=verified_reason,
            cause=cause,
            version=version,
            occurred_at=occurred_at,
            event_id=event_id,
            provider_status=provider_status,
            submission_id=submission_id,
        )

        kyc_status_changed.additional_properties = d
        return kyc_status_changed

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
