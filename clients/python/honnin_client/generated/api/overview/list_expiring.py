from typing import Any

from ...models.expiring_view import ExpiringView
from ...types import UNSET, Unset


def request(
    *,
    within: str | Unset = "30d",
    limit: int | Unset = 50,
    cursor: str | Unset = UNSET,
) -> dict[str, Any]:
    """The parts of the request: `method`, `url` (the path), `params`, `json`, `headers`."""

    params: dict[str, Any] = {}

    params["within"] = within

    params["limit"] = limit

    params["cursor"] = cursor

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/overview/expiring",
        "params": params,
    }
    return _kwargs


def parse(body: Any) -> ExpiringView:
    """The answer of a call that succeeded, from its JSON."""
    return ExpiringView.from_dict(body)
