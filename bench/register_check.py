"""The register of random users against a recomputation of it. `python -m bench.register_check USERS`.

The users have random timelines, kept answers, flags and ends of links. Some are erased by Honnin's own erasure, and
some of these came back. The recomputation reads every item of the table, one user after the other, and follows
docs/overview.md ("The register") and docs/erasure.md. It uses neither the index nor any function of the register.
"""

import contextlib
import io
import random
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from chaos.dynamodb import MemoryDynamoDB
from chaos.s3 import MemoryS3
from honnin.domain_events import KYC_STATUS_CHANGED
from honnin.erasure import Erasure
from honnin.kept_registers import KeptRegisters
from honnin.register import VERIFIED, Register, Row
from honnin.store import Store, TimelineEntry, UserStatus
from honnin.store.keys import entry_key, status_key
from honnin.store.overview import day_begins, placed
from honnin.store.table import attributes, decode, encode
from honnin.times import utc_text
from honnin.vault import Vault

_FIRST, _END = day_begins("2026-10-01"), day_begins("2026-11-01")
_NOW = datetime(2027, 8, 1, tzinfo=UTC)
_STATUSES = {
    "paypay": [
        "LINK_PENDING",
        "LINKED",
        "VERIFIED",
        "VERIFIED",
        "VERIFIED",
        "RISK_FLAGGED",
        "UPDATE_REQUIRED",
        "UNLINKED",
    ],
    "vexora": ["PENDING", "APPROVED", "APPROVED", "REJECTED"],
}
_PRODUCTS = {"paypay": ["kyc_info", "kyc_passport"], "vexora": ["kyc_status_query"]}
_FLAGS = ("RISK_FLAGGED", "UPDATE_REQUIRED")


class World:
    """A table in memory with random users; every fiftieth is erased, and half of these came back."""

    def __init__(self, users: int, seed: int) -> None:
        self.db, self._s3, self._chance, self._now = MemoryDynamoDB(), MemoryS3(), random.Random(seed), _NOW
        self.store = Store("StateTable", cast("Any", self.db), now=lambda: self._now)
        begin = datetime(2026, 7, 15, tzinfo=UTC)
        for number in range(users):
            user_id = f"user-{number}"
            if number % 50:
                self._live(user_id, begin, 60, 7)
                continue
            self._now = datetime(2026, 10, 1, tzinfo=UTC) + timedelta(days=31 * self._chance.random())
            self._live(user_id, begin, 30, 4)
            self._erase(user_id)
            back, self._now = self._now + timedelta(days=1), _NOW
            if number % 100:
                self._live(user_id, back, 10, 4)
        self._now = _NOW

    def _live(self, user_id: str, begin: datetime, days: int, most: int) -> None:
        chance = self._chance
        for provider in chance.choice([("paypay",), ("vexora",), ("paypay", "vexora")]):
            moment, before, since = begin + timedelta(days=days * chance.random()), None, ""
            for step in range(chance.randint(1, most)):
                status = chance.choice(_STATUSES[provider])
                at, name = utc_text(moment), f"{provider}-{user_id}-{begin.day}-{step}"
                since = at if status != before else since
                detail = {"requestId": f"r-{name}"} if chance.random() < 0.9 else {}
                if status == VERIFIED[provider]:
                    sha, product = f"{chance.getrandbits(256):064x}", chance.choice(_PRODUCTS[provider])
                    key = f"{provider}/{user_id}/{product}/{at}-{sha}.json"
                    detail |= {"snapshot": key, "sha256": sha, "product": product}
                told = (KYC_STATUS_CHANGED,) if status != before else ()
                cause = chance.choice(["webhook", "recon", "api"])
                entry = TimelineEntry(at, name, provider, "kyc_read", cause, before, status, detail=detail, told=told)
                self._put(placed(entry_key(user_id, at, name) | attributes(entry)))
                before, moment = status, moment + timedelta(seconds=1 + chance.random() * 86_400 * 25)
                if moment >= self._now:
                    break
            last = UserStatus(user_id, provider, str(before), 1, since=since)
            self._put(placed(status_key(user_id, provider) | attributes(last)))

    def _put(self, item: Any) -> None:
        self.db.put_item(TableName="StateTable", Item=encode(item))

    def _erase(self, user_id: str) -> None:
        Erasure(
            store=self.store,
            vault=Vault("vault", cast("Any", self._s3)),
            registers=KeptRegisters("recon", cast("Any", self._s3), lambda: self._now),
            paypay=lambda: cast("Any", SimpleNamespace()),
            sweep_later=lambda _: None,
            publish=lambda _: None,
            now=lambda: self._now,
        ).erase(user_id, unlink=False)


def recomputed(items: Iterable[Mapping[str, Any]]) -> Counter[tuple[Any, ...]]:
    """Every row that there must be, from the items of a table alone."""
    timelines: dict[str, list[Mapping[str, Any]]] = {}
    for item in items:
        if str(item["pk"]).startswith("USER#") and str(item["sk"]).startswith("AT#"):
            timelines.setdefault(item["pk"][len("USER#") :], []).append(item)
    found: Counter[tuple[Any, ...]] = Counter()
    for user_id, entries in timelines.items():
        life: list[Mapping[str, Any]] = []
        for entry in sorted(entries, key=lambda each: (each["at"], each["event_id"])):
            life.append(entry)
            if entry["what"] == "erased":
                found.update(_rows(None, life, entry["at"]))
                life = []
        found.update(_rows(user_id, life, None))
    return found


def _rows(user_id: str | None, life: list[Mapping[str, Any]], erased_at: str | None) -> Iterable[tuple[Any, ...]]:
    for provider, wanted in VERIFIED.items():
        own = [each for each in life if each["provider"] == provider]
        for place, entry in enumerate(own):
            if entry["to_status"] != wanted or (place and own[place - 1]["to_status"] == wanted):
                continue
            next_one = next((each for each in own[place:] if each["to_status"] != wanted), None)
            until = next_one["at"] if next_one else erased_at
            ended_by = next_one["to_status"] if next_one else "ERASED" if erased_at else None
            if entry["at"] >= _END or (until is not None and until <= _FIRST):
                continue
            if erased_at:
                yield None, provider, wanted, entry["at"], until, ended_by, entry["cause"], erased_at
                continue
            answer = next(each["detail"] for each in reversed(own[: place + 1]) if "snapshot" in each["detail"])
            yield (
                *(user_id, provider, wanted, entry["at"], until, ended_by, entry["cause"], entry["event_id"]),
                *(answer["product"], entry["detail"].get("requestId") or answer.get("requestId")),
                *(answer["snapshot"], answer["sha256"], tuple(_flags(own, place))),
            )


def _flags(own: list[Mapping[str, Any]], begin: int) -> Iterable[tuple[str, str]]:
    """What PayPay has set since; the end of a link hides a flag and does not clear it."""
    shown = ""
    for place, entry in enumerate(own):
        if entry["provider"] != "paypay" or entry["to_status"] == "UNLINKED":
            continue
        if entry["to_status"] in _FLAGS and entry["to_status"] != shown and place >= begin:
            yield entry["at"], entry["to_status"]
        shown = entry["to_status"] if entry["to_status"] in _FLAGS else ""


def _of(row: Row) -> tuple[Any, ...]:
    shared = (row.user_id, row.provider, row.status, row.since, row.until, row.ended_by, row.cause)
    if row.erased_at:
        return (*shared, row.erased_at)
    flags = tuple((at, str(flag)) for at, flag in row.flags)
    return (*shared, row.event_id, row.product, row.request_id, row.object, row.sha256, flags)


def difference(users: int, seed: int = 1) -> tuple[int, int, list[tuple[Any, ...]]]:
    """The number of rows, of those of erased users among them, and the rows that only one of the two gives."""
    world = World(users, seed)
    rows = Counter(map(_of, Register(world.store, VERIFIED, _FIRST, _END).rows(erased=True)))
    pages = world.db.get_paginator("scan").paginate(TableName="StateTable")
    wanted = recomputed(decode(item) for page in pages for item in page["Items"])
    erased = sum(number for row, number in rows.items() if row[0] is None)
    return rows.total(), erased, [*(rows - wanted), *(wanted - rows)]


if __name__ == "__main__":
    with contextlib.redirect_stdout(io.StringIO()):  # each erasure writes its lines of log
        number, of_erased, differing = difference(int(sys.argv[1]))
    print(f"{number} rows, {of_erased} of them of erased users; {len(differing)} differ")
    for each in differing[:10]:
        print(each)
    sys.exit(bool(differing))
