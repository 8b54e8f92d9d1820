from typing import Any
from urllib.parse import quote

from ...models.timeline_view import TimelineView
from ...types import UNSET, Unset


def request(
    user_id: str,
    *,
    limit: int | Unset = 50,
    cursor: str | Unset = UNSET,
) -> dict[str, Any]:
    """The parts of the request: `method`, `url` (the path), `params`, `json`, `headers`."""

    params: dict[str, Any] = {}

    params["limit"] = limit

    params["cursor"] = cursor

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/users/{user_id}/timeline".format(
            user_id=quote(str(user_id), safe=""),
        ),
        "params": params,
    }
    return _kwargs


def parse(body: Any) -> TimelineView:
    """The answer of a call that succeeded, from its JSON."""
    return TimelineView.from_dict(body)
