from typing import Any
from urllib.parse import quote

from ...models.contract_end_body import ContractEndBody
from ...models.contract_end_view import ContractEndView


def request(
    user_id: str,
    *,
    body: ContractEndBody,
) -> dict[str, Any]:
    """The parts of the request: `method`, `url` (the path), `params`, `json`, `headers`."""
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/users/{user_id}/contract-end".format(
            user_id=quote(str(user_id), safe=""),
        ),
    }
    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"
    _kwargs["headers"] = headers
    return _kwargs


def parse(body: Any) -> ContractEndView:
    """The answer of a call that succeeded, from its JSON."""
    return ContractEndView.from_dict(body)
