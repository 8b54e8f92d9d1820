"""Waiting until nothing of a stack is at work any more: no message waits and no state machine runs."""

from collections.abc import Sequence

from local import demo
from local.stack import Stack

QUEUES = ("EventQueueUrl", "ReconNoticeQueueUrl", "RepairQueueUrl", "RereadQueueUrl")
MACHINES = ("ReconComparisonArn", "RereadUsersArn")
_QUIET_S = 90.0
_DELAYED = "ApproximateNumberOfMessagesDelayed"
_COUNTS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", _DELAYED)


def wait(stack: Stack) -> None:
    """Return once nothing is at work; fail with what still is after 90 seconds."""
    assert demo.wait_for(lambda: not at_work(stack), _QUIET_S), f"still at work: {at_work(stack)}"


def at_work(stack: Stack) -> dict[str, int]:
    """How many messages of each queue wait, and how many executions of each state machine run."""
    found = {each: waiting(stack, each) for each in QUEUES}
    # A quarter of an hour after an erasure, the vault is looked through once more (docs/erasure.md).
    found["EventQueueUrl"] -= waiting(stack, "EventQueueUrl", (_DELAYED,))
    states = stack.client("stepfunctions")
    for each in MACHINES:
        running = states.list_executions(stateMachineArn=stack.outputs[each], statusFilter="RUNNING")
        found[each] = len(running["executions"])
    return {name: number for name, number in found.items() if number > 0}


def waiting(stack: Stack, output: str, names: Sequence[str] = _COUNTS) -> int:
    """How many messages wait in the queue whose URL this output is."""
    asked = {"QueueUrl": stack.outputs[output], "AttributeNames": list(names)}
    found = stack.client("sqs").get_queue_attributes(**asked)["Attributes"]
    return sum(int(found.get(each, 0)) for each in names)
