from typing import Any

from ...models.counts_view import CountsView


def request() -> dict[str, Any]:
    """The parts of the request: `method`, `url` (the path), `params`, `json`, `headers`."""

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/overview/counts",
    }
    return _kwargs


def parse(body: Any) -> CountsView:
    """The answer of a call that succeeded, from its JSON."""
    return CountsView.from_dict(body)
