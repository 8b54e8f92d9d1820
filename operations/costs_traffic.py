"""What one webhook asks of AWS: counted, measured, and derived from a stated traffic. A part of docs/costs.md.

What is counted is counted anew by `tests/unit/test_costs_counted.py`, which works off webhooks and fails if a number
here is another one.
"""

from dataclasses import dataclass, replace

from operations.costs_counted import Counted


@dataclass(frozen=True)
class Work:
    """What a run of the event processor asks of AWS for one event, alone in its batch.

    `calls` are calls of AWS that wait for each other. `log_bytes` is what is charged: a line, and 26 bytes for it.
    `stored_bytes` is what stays in the table and its indexes, without the 100 bytes that AWS adds to each item.
    """

    writes: float = 0
    index_writes: float = 0
    reads: float = 0
    sqs: int = 0
    calls: int = 0
    log_bytes: int = 0
    stored_bytes: int = 0
    items: int = 0
    cpu_s: float = 0


# A webhook after which a user's status is another one: all that can happen to it. Writes: the record, the timeline
# entry, the status and a check of the other provider's status in one transaction (2 each), the mark that it is
# published; once for each batch the rate towards the provider and the webhooks of the day.
CHANGE = Work(
    writes=11,
    index_writes=3,
    reads=6,
    sqs=1,
    calls=10,
    log_bytes=100,
    stored_bytes=1500,
    items=3,
    cpu_s=0.0165,
)
# A webhook after which everything is as it was: no change to publish or to check, and the same answer.
NO_CHANGE = Work(
    writes=8,
    reads=5,
    sqs=1,
    calls=6,
    log_bytes=100,
    stored_bytes=800,
    items=2,
    cpu_s=0.013,
)
# The same in a full batch: what is done once for a batch costs each event less of the CPU.
BATCHED = replace(NO_CHANGE, cpu_s=0.0066)
# A reading some time later that finds nothing new. What is asked once for a batch is shared by its events.
SETTLE = Work(reads=3, calls=5, cpu_s=0.004)
SETTLE_BATCH = Work(writes=2, reads=1, log_bytes=120)

# The access log and the line of the acknowledgement, each with 26 bytes.
ACK_LOG_BYTES = 450
# How long the provider takes, as in `make bench`, and a call of AWS within a region.
_PROVIDER_S = 0.3
_AWS_CALL_S = 0.01
# How long a call waits for its turn at the provider, if few wait: until the other threads of its batch have asked for
# theirs, and then half of the time from one slot to the next (`honnin.pace`).
_LIVE_TURN_S = 0.02
_LATER_TURN_S = 0.07
# How many calls that can wait get their slots with one write: they only get slots of the next tenth of a second.
_SLOTS_OF_A_WRITE = 3.5
# SQS hands over and deletes at most so many messages in one call.
_MOST_OF_A_CALL = 10
# Lambda gives a whole CPU with 1,769 MB.
_CPU_GB = 1769 / 1024
# A million webhooks a month, spread over 22 working days of 10 hours.
_PER_S = 1_000_000 / (22 * 10 * 3600)
# Lambda reads a queue with five pollers; each gathers a batch of its own.
_POLLERS = 5


# How many of the webhooks lead to a write of the readings of the hour: ten together, or once a minute in each
# environment (`honnin.mass_change`), as many environments as there are pollers.
READINGS = max(1 / 10, _POLLERS / (_PER_S * 60))


def seconds(work: Work, gb: float, turn_s: float = _LIVE_TURN_S) -> float:
    """How long one event takes: it waits for its turn, the provider and AWS, and the CPU is a share of a whole one."""
    return turn_s + _PROVIDER_S + work.calls * _AWS_CALL_S + work.cpu_s * _CPU_GB / gb


def settle_batch(stack: Counted) -> float:
    """How many settle events share a batch, at the traffic above: those that a poller gathers in its window."""
    gathered = 1 + stack.settle_reads * _PER_S * stack.window_s / _POLLERS
    return min(stack.batch_size, gathered)


def settle_seconds(stack: Counted) -> float:
    """How long such a batch takes: each of its calls has a slot of its own."""
    events = settle_batch(stack)
    return batch_seconds(SETTLE, events, stack.processor_gb) + (events - 1) / stack.calls_per_s


def settle_writes(stack: Counted) -> float:
    """How many units such a batch writes: the readings of the hour, and the rate as often as slots are taken."""
    return SETTLE_BATCH.writes + max(0, settle_batch(stack) / _SLOTS_OF_A_WRITE - 1)


def sqs_calls(events: float) -> int:
    """How many calls it takes to delete the messages of a batch, or to receive them if all are there."""
    return -(-round(events) // _MOST_OF_A_CALL)


def batch_seconds(work: Work, events: float, gb: float) -> float:
    """How long a batch of events that can wait takes: they wait side by side, and share the CPU."""
    return seconds(work, gb, _LATER_TURN_S) + (events - 1) * work.cpu_s * _CPU_GB / gb


def events_per_s(stack: Counted) -> float:
    """How many events about users who have not changed one environment processes in a second, in full batches."""
    return stack.batch_size / batch_seconds(BATCHED, stack.batch_size, stack.processor_gb)
