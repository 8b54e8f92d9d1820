"""A role of the stack, narrowed for a while."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from local.stack import Stack


@contextmanager
def without(stack: Stack, logical_id: str, action: str) -> Iterator[None]:
    """The function's role without one action, for a while."""
    arn = stack.client("lambda").get_function_configuration(FunctionName=stack.function_name(logical_id))["Role"]
    role, iam = arn.rpartition("/")[2], stack.client("iam")
    (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    whole = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    narrowed = json.loads(json.dumps(whole))
    for statement in narrowed["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        statement["Action"] = [each for each in actions if each != action]
    narrowed["Statement"] = [each for each in narrowed["Statement"] if each["Action"]]
    assert narrowed != whole, f"{logical_id} never had {action}"
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(narrowed))
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(whole))
