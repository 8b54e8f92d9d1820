from typing import Any
from urllib.parse import quote

from ...models.kyc_view import KycView


def request(
    user_id: str,
) -> dict[str, Any]:
    """The parts of the request: `method`, `url` (the path), `params`, `json`, `headers`."""

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/paypay/users/{user_id}/kyc-passport".format(
            user_id=quote(str(user_id), safe=""),
        ),
    }
    return _kwargs


def parse(body: Any) -> KycView:
    """The answer of a call that succeeded, from its JSON."""
    return KycView.from_dict(body)
