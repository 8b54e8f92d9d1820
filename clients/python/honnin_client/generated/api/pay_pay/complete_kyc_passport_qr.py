from typing import Any
from urllib.parse import quote

from ...models.kyc_view import KycView


def request(
    code_id: str,
) -> dict[str, Any]:
    """The parts of the request: `method`, `url` (the path), `params`, `json`, `headers`."""

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/paypay/kyc-passport-qr/{code_id}".format(
            code_id=quote(str(code_id), safe=""),
        ),
    }
    return _kwargs


def parse(body: Any) -> KycView:
    """The answer of a call that succeeded, from its JSON."""
    return KycView.from_dict(body)
