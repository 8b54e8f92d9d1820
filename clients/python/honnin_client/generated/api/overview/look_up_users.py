from typing import Any

from ...models.lookup_request import LookupRequest
from ...models.lookup_view import LookupView


def request(
    *,
    body: LookupRequest,
) -> dict[str, Any]:
    """The parts of the request: `method`, `url` (the path), `params`, `json`, `headers`."""
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/overview/lookup",
    }
    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"
    _kwargs["headers"] = headers
    return _kwargs


def parse(body: Any) -> LookupView:
    """The answer of a call that succeeded, from its JSON."""
    return LookupView.from_dict(body)
