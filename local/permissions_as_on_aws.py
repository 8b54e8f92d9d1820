"""Makes ministack ask for the permissions that AWS asks for. Runs inside the emulator, before it (`leash.py --first`).

- Whoever reads, changes or deletes one event source mapping needs `lambda:GetEventSourceMapping`, `Update…` or
  `Delete…`, and for the account's limits `lambda:GetAccountSettings`; ministack lets everybody do these. A mass change
  has the processor disable two of the mappings.
- A batch of SQS needs the permission of its single action, such as `sqs:SendMessage` (Amazon SQS developer guide,
  "Amazon SQS API permissions"); ministack asks for actions that AWS does not know.
- An event bus that is described is the resource of that call; ministack takes it for a rule.
- `dynamodb:LeadingKeys` holds the partition keys of a call ("Using IAM policy conditions for fine-grained access
  control"); ministack does not know it. Here a partition key is always called `pk` (or `id`, in the table of answers).
- `*` of a policy is any combination of characters (IAM user guide, "Resource"); that of ministack is none with the end
  of a line, which a path may hold.

It ends the emulator with a sentence when ministack is no longer made as it expects. tests/e2e/test_permissions.py and
tests/e2e/test_roles.py show that it works.
"""

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

type Action = Callable[[str, str], str | None]

_ONE_MAPPING = re.compile(r"/[0-9-]+/event-source-mappings/[^/]+/?")
_ACCOUNT_SETTINGS = re.compile(r"/[0-9-]+/account-settings/?")
_VERBS = {"GET": "Get", "PUT": "Update", "DELETE": "Delete"}
_PARTITION_KEYS = ("pk", "id")
# Every query of Honnin's says the partition first.
_PARTITION = re.compile(r"\s*#?\w+\s*=\s*(:\w+)")


def main() -> None:
    """Put this module's functions in the place of ministack's."""
    # Not at the top: the tools that check this file have no ministack.
    from ministack.core import iam_actions, iam_evaluator  # type: ignore[import-not-found]

    request = ["service", "method", "path", "headers", "body", "query_params"]
    wrapped: dict[str, tuple[Any, list[str], Callable[[Any], Any]]] = {
        "_lambda_action": (iam_actions, ["method", "path"], _of_one_mapping_too),
        "extract_iam_action": (iam_actions, request, _batches_as_single),
        "extract_resource_arn": (iam_actions, [*request, "region", "account_id"], _described_buses),
        "dynamodb_service_context": (iam_actions, ["body"], _with_leading_keys),
        "_fnmatch_compile": (iam_evaluator, ["pattern", "ignore_case"], _of_any_characters),
    }
    for name, (module, parameters, wrap) in wrapped.items():
        found = getattr(module, name, None)
        if found is None or [*inspect.signature(found).parameters] != parameters:
            sys.exit(f"Error: ministack's {name} is different in this version: adapt local/permissions_as_on_aws.py.")
        setattr(module, name, wrap(found))


def _of_one_mapping_too(action_of: Action) -> Action:
    def action(method: str, path: str) -> str | None:
        if _ONE_MAPPING.fullmatch(path) and method in _VERBS:
            return f"{_VERBS[method]}EventSourceMapping"
        if _ACCOUNT_SETTINGS.fullmatch(path):
            return "GetAccountSettings"
        return action_of(method, path)

    return action


def _batches_as_single(action_of: Callable[..., str | None]) -> Callable[..., str | None]:
    def action(*request: Any, **named: Any) -> str | None:
        found = action_of(*request, **named)
        return found.removesuffix("Batch") if found and found.startswith("sqs:") else found

    return action


def _described_buses(arn_of: Callable[..., str]) -> Callable[..., str]:
    def arn(*request: Any) -> str:
        service, _, _, headers, body, _, region, account_id = request
        if service == "events" and str(headers.get("x-amz-target", "")).endswith(".DescribeEventBus"):
            name = _json(body).get("Name") or "default"
            return name if name.startswith("arn:") else f"arn:aws:events:{region}:{account_id}:event-bus/{name}"
        return arn_of(*request)

    return arn


def _with_leading_keys(context_of: Callable[[bytes], dict[str, Any]]) -> Callable[[bytes], dict[str, Any]]:
    def context(body: bytes) -> dict[str, Any]:
        named = [key.get(name, {}) for key in _keys(_json(body)) for name in _PARTITION_KEYS]
        found = sorted({value for each in named for value in each.values()})
        return {**context_of(body), **({"dynamodb:LeadingKeys": found} if found else {})}

    return context


def _keys(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The items of one call, whether it is of one item, of a batch or of a transaction; of a query its partition.

    A partition of an index is one, too. A scan has none, as on AWS.
    """
    yield from (request[name] for name in ("Key", "Item") if name in request)
    if queried := _PARTITION.match(request.get("KeyConditionExpression", "")):
        yield {"pk": request.get("ExpressionAttributeValues", {}).get(queried[1], {})}
    for each in request.get("TransactItems", ()):
        for part in each.values():
            yield from _keys(part)
    for asked in request.get("RequestItems", {}).values():
        if isinstance(asked, dict):
            yield from asked["Keys"]
            continue
        for each in asked:
            for part in each.values():
                yield from _keys(part)


def _of_any_characters(compile_of: Callable[[str, bool], re.Pattern[str]]) -> Callable[[str, bool], re.Pattern[str]]:
    @cache
    def compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:
        made = compile_of(pattern, ignore_case)
        return re.compile(made.pattern, made.flags | re.DOTALL)

    return compiled


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


if __name__ == "__main__":
    main()
