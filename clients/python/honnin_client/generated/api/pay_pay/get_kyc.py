from typing import Any
from urllib.parse import quote

from ...models.get_kyc_required_kyc_type import GetKycRequiredKycType
from ...models.kyc_view import KycView
from ...types import UNSET, Unset


def request(
    user_id: str,
    *,
    required_kyc_type: GetKycRequiredKycType | Unset = UNSET,
) -> dict[str, Any]:
    """The parts of the request: `method`, `url` (the path), `params`, `json`, `headers`."""

    params: dict[str, Any] = {}

    json_required_kyc_type: str | Unset = UNSET
    if not isinstance(required_kyc_type, Unset):
        json_required_kyc_type = required_kyc_type.value

    params["requiredKycType"] = json_required_kyc_type

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/paypay/users/{user_id}/kyc".format(
            user_id=quote(str(user_id), safe=""),
        ),
        "params": params,
    }
    return _kwargs


def parse(body: Any) -> KycView:
    """The answer of a call that succeeded, from its JSON."""
    return KycView.from_dict(body)
