"""All users at a glance, as `/overview/` of the merchant API gives them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from honninctl.deployment import Deployment

_LARGEST_PAGE = "100"

Seen = Callable[[int], object]


def users(deployment: Deployment, query: Mapping[str, str | None], seen: Seen) -> tuple[list[dict[str, Any]], bool]:
    """`GET /overview/users`, all pages; and whether the index is being rebuilt. `seen`: so many more were read."""
    return _all_pages(deployment, "/overview/users", "users", query, seen)


def changes(deployment: Deployment, query: Mapping[str, str | None], seen: Seen) -> tuple[list[dict[str, Any]], bool]:
    """`GET /overview/changes`, all pages; and whether the index is being rebuilt. `seen`: so many more were read."""
    return _all_pages(deployment, "/overview/changes", "changes", query, seen)


def expiring(deployment: Deployment, within: str, seen: Seen) -> list[dict[str, Any]]:
    """`GET /overview/expiring`, all pages. `seen`: so many more were read."""
    return _all_pages(deployment, "/overview/expiring", "expiring", {"within": within}, seen)[0]


def counts(deployment: Deployment) -> dict[str, Any]:
    """`GET /overview/counts`."""
    return deployment.merchant("GET", "/overview/counts")


def count_rows(found: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    """Provider, status and number, of what `counts` gives."""
    for provider, by_status in sorted(found["counts"].items()):
        for status, number in by_status.items():
            yield provider, status, number


def _all_pages(
    deployment: Deployment, path: str, name: str, query: Mapping[str, str | None], seen: Seen
) -> tuple[list[dict[str, Any]], bool]:
    given = {key: value for key, value in query.items() if value} | {"limit": _LARGEST_PAGE}
    found: list[dict[str, Any]] = []
    rebuilding = False
    while True:
        page = deployment.merchant("GET", path, given)
        found += page[name]
        # Somebody may be missing from the page that says so, even where a later one does not.
        rebuilding |= page.get("rebuilding", False)
        seen(len(page[name]))
        if page["cursor"] is None:
            return found, rebuilding
        given["cursor"] = page["cursor"]
