"""Schedules of the template that fire while something else waits for what they do."""

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from local import deployment
from local.stack import Stack

# On a busy machine a run takes some seconds, and each that begins meanwhile is one more cold start.
_PAUSE_S = 5.0


@contextlib.contextmanager
def firing(stack: Stack, logical_id: str) -> Iterator[None]:
    """Have a schedule fire at once, and again every five seconds while the block lasts."""
    over = threading.Event()

    def fire() -> None:
        stack.fire(logical_id)
        while not over.wait(_PAUSE_S):
            stack.fire(logical_id)

    with ThreadPoolExecutor(1) as beside:
        fired = beside.submit(fire)
        try:
            yield
        finally:
            over.set()
        fired.result()  # an error of the thread is one of the test


@contextlib.contextmanager
def all_paused(stack: Stack) -> Iterator[None]:
    """Have no schedule of the stack fire by itself while the block lasts."""
    found = stack.client("cloudformation").describe_stack_resources(StackName=deployment.STACK_NAME)["StackResources"]
    with contextlib.ExitStack() as all_of_them:
        for each in found:
            if each["ResourceType"] == "AWS::Scheduler::Schedule":
                all_of_them.enter_context(paused(stack, each["LogicalResourceId"]))
        yield


@contextlib.contextmanager
def paused(stack: Stack, logical_id: str) -> Iterator[None]:
    """Have a schedule not fire by itself while the block lasts."""
    scheduler = stack.client("scheduler")
    whole = scheduler.get_schedule(Name=stack.physical_id(logical_id))
    asked = ("Name", "GroupName", "ScheduleExpression", "ScheduleExpressionTimezone", "FlexibleTimeWindow", "Target")
    kept = {name: whole[name] for name in asked if name in whole}
    scheduler.update_schedule(**kept, State="DISABLED")
    try:
        yield
    finally:
        scheduler.update_schedule(**kept, State="ENABLED")
