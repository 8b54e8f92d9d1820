from typing import Any
from urllib.parse import quote

from ...models.certificate_view import CertificateView
from ...models.erasure_body import ErasureBody
from ...types import UNSET, Unset


def request(
    user_id: str,
    *,
    body: ErasureBody | Unset = UNSET,
    unlink: bool | Unset = False,
) -> dict[str, Any]:
    """The parts of the request: `method`, `url` (the path), `params`, `json`, `headers`."""
    headers: dict[str, Any] = {}

    params: dict[str, Any] = {}

    params["unlink"] = unlink

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "delete",
        "url": "/users/{user_id}/personal-data".format(
            user_id=quote(str(user_id), safe=""),
        ),
        "params": params,
    }

    if not isinstance(body, Unset):
        _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"
    _kwargs["headers"] = headers
    return _kwargs


def parse(body: Any) -> CertificateView:
    """The answer of a call that succeeded, from its JSON."""
    return CertificateView.from_dict(body)
