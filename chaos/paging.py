"""Pages of an operation, as botocore's paginators give them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any


class Paginator:
    """Calls an operation until its answer names no next page. `tokens`: answer's names, and the request's for them."""

    def __init__(self, operation: Callable[..., Any], tokens: Mapping[str, str]) -> None:
        self.operation = operation
        self.tokens = tokens

    def paginate(self, **request: Any) -> Iterator[Any]:
        """Yield page after page, each when it is asked for."""
        while True:
            page = self.operation(**request)
            yield page
            following = {asked: page[token] for token, asked in self.tokens.items() if token in page}
            if not following:
                return
            request = {**request, **following}
