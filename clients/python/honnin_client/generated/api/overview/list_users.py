from typing import Any

from ...models.provider_name import ProviderName
from ...models.users_view import UsersView
from ...types import UNSET, Unset


def request(
    *,
    provider: ProviderName,
    status: str,
    since: str | Unset = UNSET,
    limit: int | Unset = 50,
    cursor: str | Unset = UNSET,
) -> dict[str, Any]:
    """The parts of the request: `method`, `url` (the path), `params`, `json`, `headers`."""

    params: dict[str, Any] = {}

    json_provider = provider.value
    params["provider"] = json_provider

    params["status"] = status

    params["since"] = since

    params["limit"] = limit

    params["cursor"] = cursor

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/overview/users",
        "params": params,
    }
    return _kwargs


def parse(body: Any) -> UsersView:
    """The answer of a call that succeeded, from its JSON."""
    return UsersView.from_dict(body)
