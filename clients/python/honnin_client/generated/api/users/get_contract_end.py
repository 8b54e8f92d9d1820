from typing import Any
from urllib.parse import quote

from ...models.contract_end_view import ContractEndView


def request(
    user_id: str,
) -> dict[str, Any]:
    """The parts of the request: `method`, `url` (the path), `params`, `json`, `headers`."""

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/users/{user_id}/contract-end".format(
            user_id=quote(str(user_id), safe=""),
        ),
    }
    return _kwargs


def parse(body: Any) -> ContractEndView:
    """The answer of a call that succeeded, from its JSON."""
    return ContractEndView.from_dict(body)
