from typing import Any

from ...models.account_link_answer import AccountLinkAnswer
from ...models.account_link_request import AccountLinkRequest


def request(
    *,
    body: AccountLinkRequest,
) -> dict[str, Any]:
    """The parts of the request: `method`, `url` (the path), `params`, `json`, `headers`."""
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/paypay/account-links",
    }
    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"
    _kwargs["headers"] = headers
    return _kwargs


def parse(body: Any) -> AccountLinkAnswer:
    """The answer of a call that succeeded, from its JSON."""
    return AccountLinkAnswer.from_dict(body)
