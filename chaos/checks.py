"""What must hold after every schedule of any world: nothing lost, nothing applied twice, all published as it was."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from chaos.aws import Bus
from chaos.connections import Connections
from chaos.dynamodb import Commit, MemoryDynamoDB
from chaos.environment import Environment, Injected, ViolationError
from chaos.s3 import MemoryS3
from chaos.schedule import MEANWHILE
from honnin.domain_events import AUTHORIZATION_EXPIRED, AUTHORIZATION_EXPIRING

type Row = dict[str, Any]

# What an event did for which no read was made, or which PayPay refused to read for.
NOT_READ = frozenset({"no_read_fits_scopes", "reading_refused"})


def hold(holds: bool, kind: str, otherwise: str) -> None:
    """Raise `ViolationError` unless it holds."""
    if not holds:
        raise ViolationError(kind, otherwise)


def plain(item: Mapping[str, Any]) -> Row:
    """An item as plain values; boto3's own deserializer takes ten times as long."""
    return {name: _plain(value) for name, value in item.items()}


def _plain(value: Mapping[str, Any]) -> Any:
    ((kind, held),) = value.items()
    match kind:
        case "N":
            return int(held)
        case "M":
            return plain(held)
        case "L":
            return [_plain(each) for each in held]
        case "NULL":
            return None
    return held


def rows_of(table: MemoryDynamoDB) -> list[Row]:
    """Every item of the table that has not expired."""
    now = int(table.now().timestamp())
    return [plain(item) for item in table.items() if int(item.get("expires_at", {"N": now + 1})["N"]) > now]


def played[W: Environment[Any]](
    world: W, at_rest: Callable[[W], None], closed: Callable[[W], None]
) -> tuple[Counter[str], Injected]:
    """Play a world's schedule and check it; returns the calls per service and the injected faults.

    Raises
    ------
    ViolationError
        An invariant does not hold.
    """
    world.play(at_rest, closed)
    return world.boundary.calls, world.boundary.injected


def is_record(row: Row) -> bool:
    """Whether it is the record of an event. What is published beside it about an end has a record without an entry."""
    return row["sk"] == "EVENT" and row.get("detail_type") not in (AUTHORIZATION_EXPIRING, AUTHORIZATION_EXPIRED)


def check_dead_letters(world: Environment[Any]) -> None:
    """Nothing is moved to the dead-letter queue that time mends; a bug of ours may be."""
    injected = any(kind == "unexpected" for _, _, kind in world.boundary.injected)
    dead_letters = set(world.dead_letters) - ({"InjectedBugError"} if injected else set())
    hold(not dead_letters, "lost", f"moved to the dead-letter queue for what time mends: {sorted(dead_letters)}")


def check_not_sent(connections: Connections) -> None:
    """What was reported to a caller as not sent never reached the provider, then or later."""
    late = set(connections.unsent) & {each.number for each in connections.taken}
    hold(not late, "broken", f"reported as not sent, but the provider took it: requests {sorted(late)}")


def check_one_entry(rows: Sequence[Row]) -> Counter[str]:
    """No event has two entries; returns the entries of each."""
    entries = Counter(row["event_id"] for row in rows if row["sk"].startswith("AT#"))
    twice = [event_id for event_id, number in entries.items() if number > 1]
    hold(not twice, "twice", f"two entries each: {twice}")
    return entries


def moves(journal: Sequence[Commit], provider: str) -> Iterator[tuple[Commit, Row]]:
    """Each change of a status at a provider, checked.

    It raises the version, in the same transaction as the event's record and entry, and begins where the one
    before ended. No event has two records.
    """
    status: dict[str, tuple[int, str | None]] = {}
    recorded: Counter[str] = Counter()
    for commit in journal:
        puts = [plain(item) for item in commit.puts if item["sk"]["S"].startswith(("STATUS#", "AT#", "EVENT"))]
        records = [row["event_id"] for row in puts if is_record(row) and "published_at" not in row]
        recorded.update(records)
        for row in puts:
            if row["sk"] == f"STATUS#{provider}":
                status[row["user_id"]] = _check_move(row, puts, records, status.get(row["user_id"], (0, None)))
                yield commit, row
    hold(max(recorded.values(), default=0) <= 1, "twice", f"recorded more than once: {recorded.most_common(1)}")


def _check_move(
    row: Row, puts: Sequence[Row], records: Sequence[str], before: tuple[int, str | None]
) -> tuple[int, str | None]:
    version, current = before
    entries = [each for each in puts if each["sk"].startswith("AT#")]
    apart = len(records) != 1 or [each["event_id"] for each in entries] != list(records)
    hold(not apart, "lost", f"{row['user_id']} moved without a record and an entry in the same transaction")
    # What was decided on an older status than the last one would have taken a smaller step (`honnin.commit`).
    next_version = max(version + 1, int(datetime.fromisoformat(entries[0]["at"]).timestamp() * 1000))
    hold(row["version"] == next_version, "twice", f"{row['user_id']}: version {version} -> {row['version']}")
    chained = entries[0].get("from_status") == current and entries[0]["to_status"] == row["status"]
    hold(chained, "twice", f"{row['user_id']}: {current} -> {row['status']} is published as {entries[0]}")
    return int(row["version"]), str(row["status"])


def check_published(bus: Bus, rows: Sequence[Row]) -> None:
    """Each change of a status in `rows` is on the bus, published as it happened and never before it was in the table.

    So is one that only `verified` follows: PayPay's flag under a link that has ended.
    """
    silent = {change["eventId"] for change in bus.changes if change["from"] == change["to"]}
    changed = {
        row["event_id"]: row
        for row in rows
        if row["sk"].startswith("AT#")
        and row["pk"].startswith("USER#")
        and (row.get("from_status") != row["to_status"] or row["event_id"] in silent)
    }
    published = {change["eventId"] for change in bus.changes}
    hold(set(changed) <= published, "lost", f"changes that were not published: {sorted(set(changed) - published)}")
    hold(published <= set(changed), "broken", f"published, but no change: {sorted(published - set(changed))}")
    hold(not bus.early, "broken", f"published before it was in the table: {bus.early}")
    for change in bus.changes:
        row = changed[change["eventId"]]
        said = (change["userId"], change["from"], change["to"], change["cause"], change["occurredAt"])
        is_so = (row["pk"][5:], row.get("from_status"), row["to_status"], row["cause"], row["at"])
        hold(said == is_so, "broken", f"published {said}, happened {is_so}")
    due = [row["event_id"] for row in rows if row["sk"] == "EVENT" and "due_kind" in row]
    hold(not due, "lost", f"published and still waiting to be published: {due}")


def check_evidence(world: Environment[Any], bucket: MemoryS3, rows: Sequence[Row]) -> None:
    """Whatever names an object of the vault names one that is there. What lost its race has left none.

    Where a call failed or a worker died, one may be left that nothing names.
    """
    entries = [row for row in rows if row["sk"].startswith("AT#") and row["pk"].startswith("USER#")]
    named = {each["detail"][name] for each in entries for name in ("snapshot", "selfie") if name in each["detail"]}
    kept = [row["kept"] for row in rows if row["sk"].startswith("STATUS#") and "kept" in row]
    named |= {key for each in kept for products in each.values() for key in products.values() if "/" in key}
    there = set(bucket.objects)
    hold(named <= there, "lost", f"named, and not in the vault: {sorted(named - there)}")
    if all(kind in MEANWHILE for _, _, kind in world.boundary.injected):
        hold(there <= named, "broken", f"left in the vault, and nothing names it: {sorted(there - named)}")


def places(world: Environment[Any]) -> dict[str, str]:
    """All that was ever written to the table, the queues, the bus and the log."""
    return {
        "table": repr([commit.puts for commit in world.table.journal]),
        "queue": "".join([*world.sent, *world.dead.sent]),
        "bus": repr(world.bus.published),
        "log": world.log.getvalue(),
    }
