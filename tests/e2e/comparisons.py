"""Executions of the state machine `ReconComparison` on the deployed stack, and what they keep in the bucket."""

from typing import Any

from local import demo
from local.stack import Stack


def executions(stack: Stack, file_type: str, day: str) -> dict[int, str]:
    """The comparisons of the files of a type and JST day, by number: the ARNs of their executions."""
    pages = stack.client("stepfunctions").get_paginator("list_executions")
    found = {}
    for page in pages.paginate(stateMachineArn=stack.outputs["ReconComparisonArn"]):
        for each in page["executions"]:
            if each["name"].startswith(f"{file_type}-{day}-"):
                found[int(each["name"].rpartition("-")[2])] = str(each["executionArn"])
    return dict(sorted(found.items()))


def state(stack: Stack, arn: str) -> str:
    """The state of an execution: RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED."""
    return str(stack.client("stepfunctions").describe_execution(executionArn=arn)["status"])


def wait_for_end(stack: Stack, arn: str, deadline_s: float) -> str:
    """Wait until an execution is over, for so many seconds at most; returns its state."""
    demo.wait_for(lambda: state(stack, arn) != "RUNNING", deadline_s)
    return state(stack, arn)


def wait_for_ranges(stack: Stack, arn: str, deadline_s: float) -> bool:
    """Whether nothing of the ranges of an execution is at work any more, within so many seconds.

    The emulator goes on with the ranges of an execution that was stopped, and calls it FAILED when one of them fails;
    AWS stops them.
    """

    def are_over() -> bool:
        states = stack.client("stepfunctions")
        runs = states.list_map_runs(executionArn=arn)["mapRuns"]
        return all(states.describe_map_run(mapRunArn=each["mapRunArn"])["status"] != "RUNNING" for each in runs)

    return demo.wait_for(are_over, deadline_s)


def stop(stack: Stack, arn: str) -> None:
    """Stop an execution, as an operator does."""
    stack.client("stepfunctions").stop_execution(executionArn=arn)


def parts(stack: Stack, file_type: str, day: str, name: str, number: int) -> set[str]:
    """The names of the objects that a comparison of a file has kept by now."""
    prefix = f"reports/{file_type}/{day.replace('-', '/')}/{name}/{number}/"
    pages = stack.client("s3").get_paginator("list_objects_v2")
    found: list[Any] = []
    for page in pages.paginate(Bucket=stack.outputs["ReconBucketName"], Prefix=prefix):
        found += page.get("Contents", [])
    return {str(each["Key"]).removeprefix(prefix) for each in found}
