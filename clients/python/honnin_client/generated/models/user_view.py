from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

from ..models.verified_reason import VerifiedReason

if TYPE_CHECKING:
    from ..models.providers_view import ProvidersView


T = TypeVar("T", bound="UserView")


@_attrs_define
class UserView:
    """A user's status at each provider. `providers` has an entry `vexora`, `paypay` or both.

    `verified` says whether the user counts as verified under the parameter VerifiedNeeds, and `verifiedReason` says why
    or why not.

        Attributes:
            user_id (str):
            providers (ProvidersView): The providers that know the user: `vexora`, `paypay` or both. A provider that does
                not know the user is left
                out.
            verified (bool):
            verified_reason (VerifiedReason): Why a user counts as verified, or why not.
    """

    user_id: str
    providers: ProvidersView
    verified: bool
    verified_reason: VerifiedReason

    def to_dict(self) -> dict[str, Any]:
        user_id = self.user_id

        providers = self.providers.to_dict()

        verified = self.verified

        verified_reason = self.verified_reason.value

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "userId": user_id,
                "providers": providers,
                "verified": verified,
                "verifiedReason": verified_reason,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.providers_view import ProvidersView  # noqa: PLC0415

        d = dict(src_dict)
        user_id = d.pop("userId")

        providers = ProvidersView.from_dict(d.pop("providers"))

        verified = d.pop("verified")

        verified_reason = VerifiedReason(d.pop("verifiedReason"))

        user_view = cls(
            user_id=user_id,
            providers=providers,
            verified=verified,
            verified_reason=verified_reason,
        )

        return user_view
