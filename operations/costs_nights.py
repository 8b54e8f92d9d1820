"""What it costs to read many users again: a recon night, and `RereadUsers`. A part of docs/costs.md."""

from operations import costs_traffic
from operations.costs_counted import Counted, Line
from operations.state_machines import transitions

MILLION = 1_000_000

# As `honnin.recon.plan` cuts a file, and as many users as `RereadUsers` has in a part.
RANGE_ROWS = 100_000
PART_USERS = 500
# A range on a whole CPU (`make bench`, recon.range_100k_lambda_s: at most, with room for a slower CPU).
_RANGE_S = 120
# The part of the users whose webhook never came; the same as in the bench.
_MISSED = 0.001
# How long `ReconComparison` waits between two looks.
_LOOK_S = 300
# Shards of the index `overview`, each a source of a reread.
_SOURCES = 16
# A status in the index: keys of both, user id, provider, status, since (tests/unit/test_store_overview.py).
INDEXED_BYTES = 250


def night(stack: Counted, rows: int, *, recheck_all: bool = True) -> list[Line]:
    """One recon file of so many rows, all of linked users: it is compared, and users are read again.

    With `recheck_all` all users are read, otherwise only those whose webhook never came. PayPay's calls cost nothing.
    """
    ranges = -(-(rows + 1) // RANGE_ROWS)
    read = rows if recheck_all else round(rows * _MISSED)
    looks = -(-read // round(stack.rereads_per_s * _LOOK_S))
    steps = transitions(
        stack.machines["ReconComparison"], {"Ranges": ranges, "Outcomes": ranges}, {"WaitForTheQueues": looks}
    )
    half = 0.5  # of a unit: an item of less than 4 kB, read eventually consistent
    return [
        Line(
            "state_transition",
            steps,
            f"counted in `ReconComparison`: {ranges:,} ranges, {looks:,} waits of {_LOOK_S // 60} minutes "
            f"at {stack.rereads_per_s:,.0f} reads a second",
        ),
        Line("lambda_request", 2 + ranges + looks * (1 + ranges), "the plan, each range, the summaries"),
        Line(
            "lambda_arm64_gb_second",
            (ranges + 1) * _RANGE_S * stack.range_gb,
            f"the plan and each range, {_RANGE_S} s at most",
        ),
        Line("lambda_arm64_gb_second", looks * (1 + ranges) * 10 * 0.5, "the summaries, 10 s at 0.5 GB"),
        Line("dynamodb_read", 2 * half * rows, "a link and a status for each row"),
        Line(
            "dynamodb_read",
            half * read * (looks + 1) / 2,
            "at each look, the records of users who are not read yet: half of all on average",
        ),
        *_reads(stack, read),
        Line("s3_put", 3 * ranges + looks * (2 + ranges), "the lists of each range, the counts, the report"),
    ]


def reread(stack: Counted, users: int) -> list[Line]:
    """`RereadUsers` over so many users with one provider: listed in parts, and each part read."""
    machine = stack.machines["RereadUsers"]
    parts = -(-users // PART_USERS)
    at_once = int(machine["States"]["ReadParts"]["MaxConcurrency"])
    wait_s = int(machine["States"]["ReadParts"]["ItemProcessor"]["States"]["WaitForTheQueue"]["Seconds"])
    # Each part that is in progress waits for its turn on the queue.
    looks = -(-(at_once * PART_USERS) // round(stack.rereads_per_s * wait_s))
    items = {"Sources": _SOURCES, "Parts": parts}
    return [
        Line(
            "state_transition",
            transitions(machine, items, {"WaitForTheQueue": looks}),
            f"counted in `RereadUsers`: {parts:,} parts of {PART_USERS}, {looks} waits of {wait_s} s each "
            f"at {stack.rereads_per_s:,.0f} reads a second",
        ),
        Line("lambda_request", 2 + _SOURCES + parts * (1 + looks), "two plans, each source, each look at a part"),
        Line("lambda_arm64_gb_second", (_SOURCES * 60 + parts * (1 + looks) * 2) * 0.5, "60 s a source, 2 s a look"),
        Line("dynamodb_read", users * INDEXED_BYTES / 8192, "the index `overview`, 8 kB for one unit"),
        Line("dynamodb_read", 0.5 * users * (1 + looks), "a status for each user, and at each look the records"),
        Line("dynamodb_write", 2 * parts + _SOURCES, "the marks of the steps: listed, sent, done"),
        *_reads(stack, users),
        Line("s3_put", 2 * parts, "the parts"),
    ]


def _reads(stack: Counted, events: int) -> list[Line]:
    """Events that read users again and find nothing new. Each is still recorded, because its reread waits for it."""
    # As many environments as may run are busy all the time, and wait for the rate inside the function.
    busy_s = stack.concurrency * events / stack.rereads_per_s
    return [
        Line(
            "sqs_request",
            events / 10 + 2 * events * costs_traffic.sqs_calls(stack.batch_size) / stack.batch_size,
            "sent in tens, received, deleted",
        ),
        Line("lambda_request", events / stack.batch_size, f"{stack.batch_size} events in a batch"),
        Line(
            "lambda_arm64_gb_second",
            busy_s * stack.processor_gb,
            f"{stack.concurrency:,.0f} environments (`ProcessorConcurrency`) share {stack.rereads_per_s:,.0f} reads a "
            "second, and wait for their turn",
        ),
        Line("dynamodb_read", 5 * events, "event, erased, link, both statuses"),
        Line("dynamodb_write", 8 * events, "record, timeline entry, and the status of up to 2 kB, in one transaction"),
        Line("dynamodb_storage", 1e-6 * events, "1 kB, the first month"),
        Line("dynamodb_backup", 1e-6 * events, "1 kB, the first month"),
        Line("logs_ingested", 1e-6 * events, "1 kB"),
    ]


def nights(stack: Counted) -> list[tuple[str, list[Line]]]:
    """Nights by the number of users in the file, with both settings of `ReconRecheck`."""
    found = []
    for users in (MILLION // 10, MILLION):
        named = f"a recon file that names {users:,} users"
        found.append((f"A night with {named} (`ReconRecheck=all`)", night(stack, users)))
        found.append((f"A night with {named} (`ReconRecheck=missed`)", night(stack, users, recheck_all=False)))
    if stack.has_rereads:
        found.append(("`honninctl reread`, one million users", reread(stack, MILLION)))
    return found
