"""Plays a case twice and compares the answers."""

from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any

from chaos.dynamodb import MemoryDynamoDB
from chaos.s3 import MemoryS3
from chaos.sqs import MemorySQS, Queue
from tests.contract.recorder import Case, Recorder


def differing(case: Case, ours: Recorder, theirs: Recorder) -> list[dict[str, Any]]:
    """Where the two answer otherwise."""
    case(ours)
    try:
        case(theirs)
    except (KeyError, ValueError, IndexError) as error:
        # The case goes on from an answer that it did not get.
        theirs.answers.append(repr(error))
    pairs = zip_longest(ours.answers, theirs.answers)
    return [{"ours": mine, "theirs": its} for mine, its in pairs if mine != its]


def memory_table() -> Recorder:
    """The table in memory."""
    return Recorder(MemoryDynamoDB(), "TableName", "StateTable")


def memory_queue() -> Recorder:
    """A queue in memory, at the real time."""

    def now() -> datetime:
        return datetime.now(UTC)

    return Recorder(MemorySQS(now, {"contract": Queue("contract", now)}), "QueueUrl", "contract")


def memory_bucket() -> Recorder:
    """A bucket in memory."""
    return Recorder(MemoryS3(), "Bucket", "contract")
