"""Makes ministack ask for the permissions that AWS asks for. Runs inside the emulator, before it (`leash.py --first`).

- Whoever reads, changes or deletes one event source mapping needs `lambda:GetEventSourceMapping`, `Update…` or
  `Delete…`; ministack lets everybody change and delete. A mass change has the processor disable two of the mappings.

It ends the emulator with a sentence when ministack is no longer made as it expects. tests/e2e/test_permissions.py shows
that it works.
"""

import inspect
import re
import sys
from collections.abc import Callable

type Action = Callable[[str, str], str | None]

_ONE_MAPPING = re.compile(r"/[0-9-]+/event-source-mappings/[^/]+/?")
_VERBS = {"GET": "Get", "PUT": "Update", "DELETE": "Delete"}


def main() -> None:
    """Put this module's function in the place of ministack's."""
    # Not at the top: the tools that check this file have no ministack.
    from ministack.core import iam_actions  # type: ignore[import-not-found]

    found = getattr(iam_actions, "_lambda_action", None)
    if found is None or [*inspect.signature(found).parameters] != ["method", "path"]:
        sys.exit(
            "Error: ministack's _lambda_action is different in this version: adapt local/permissions_as_on_aws.py."
        )
    iam_actions._lambda_action = _of_one_mapping_too(found)


def _of_one_mapping_too(action_of: Action) -> Action:
    def action(method: str, path: str) -> str | None:
        if _ONE_MAPPING.fullmatch(path) and method in _VERBS:
            return f"{_VERBS[method]}EventSourceMapping"
        return action_of(method, path)

    return action


if __name__ == "__main__":
    main()
