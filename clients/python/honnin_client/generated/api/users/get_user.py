from typing import Any
from urllib.parse import quote

from ...models.user_view import UserView


def request(
    user_id: str,
) -> dict[str, Any]:
    """The parts of the request: `method`, `url` (the path), `params`, `json`, `headers`."""

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/users/{user_id}".format(
            user_id=quote(str(user_id), safe=""),
        ),
    }
    return _kwargs


def parse(body: Any) -> UserView:
    """The answer of a call that succeeded, from its JSON."""
    return UserView.from_dict(body)
