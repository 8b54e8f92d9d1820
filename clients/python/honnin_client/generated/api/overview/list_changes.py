from typing import Any

from ...models.changes_view import ChangesView
from ...models.provider_name import ProviderName
from ...types import UNSET, Unset


def request(
    *,
    from_: str | Unset = UNSET,
    to: str | Unset = UNSET,
    provider: ProviderName | Unset = UNSET,
    to_status: str | Unset = UNSET,
    limit: int | Unset = 50,
    cursor: str | Unset = UNSET,
) -> dict[str, Any]:
    """The parts of the request: `method`, `url` (the path), `params`, `json`, `headers`."""

    params: dict[str, Any] = {}

    params["from"] = from_

    params["to"] = to

    json_provider: str | Unset = UNSET
    if not isinstance(provider, Unset):
        json_provider = provider.value

    params["provider"] = json_provider

    params["toStatus"] = to_status

    params["limit"] = limit

    params["cursor"] = cursor

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/overview/changes",
        "params": params,
    }
    return _kwargs


def parse(body: Any) -> ChangesView:
    """The answer of a call that succeeded, from its JSON."""
    return ChangesView.from_dict(body)
