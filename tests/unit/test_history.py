"""`honnin.history`: what a timeline says of any moment is what the table held then."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import permutations
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from chaos import paypay_generate, recon_generate, vexora_generate
from chaos.checks import Row, plain
from chaos.dynamodb import Commit
from chaos.environment import prepared
from chaos.generate import Game
from chaos.paypay_world import PayPayWorld
from chaos.recon_world import ReconWorld
from chaos.vexora_world import VexoraWorld
from honnin import history
from honnin.history import FoundLater
from honnin.status import Flag, PayPayStatus, VerifiedNeeds, VerifiedReason
from honnin.store import TimelineEntry
from honnin.store.table import read
from honnin.times import utc_text

NIGHT = "2026-10-31T14:59:59.999Z"  # the end of October 31 in Japan


def entry(
    at: str, to: str, before: str | None = None, *, event: str = "", provider: str = "paypay", **detail: str
) -> TimelineEntry:
    """An entry of an invented user's timeline."""
    return TimelineEntry(at, event or f"e-{at}-{to}", provider, "kyc_read", "webhook", before, to, detail)


LIFE = [
    entry("2026-10-01T03:00:00.000Z", "LINK_PENDING"),
    entry("2026-10-02T03:00:00.000Z", "VERIFIED", "LINK_PENDING", snapshot="paypay/u/kyc_info/x.json", sha256="abc"),
    entry("2026-10-20T03:00:00.000Z", "VERIFIED", "VERIFIED"),
    entry("2026-11-03T03:00:00.000Z", "RISK_FLAGGED", "VERIFIED", event="recon:kyc:2026-10-31:a1:1"),
]


# --- against the table ---


def _check(journal: Sequence[Commit], provider: str) -> Counter[str]:
    """For each write of a status: the whole timeline, replayed to that moment, gives this status."""
    seen: Counter[str] = Counter()
    timeline: dict[str, list[TimelineEntry]] = {}
    stored: dict[tuple[str, str], Row] = {}
    for commit in journal:
        rows = list(map(plain, commit.puts))
        for row in rows:
            if row["pk"].startswith("USER#") and row["sk"].startswith("AT#"):
                timeline.setdefault(row["pk"], []).append(read(TimelineEntry, row))
        for row in rows:
            if row["sk"] == f"STATUS#{provider}":
                stored[row["pk"], timeline[row["pk"]][-1].at] = row
    for (pk, moment), status in stored.items():
        known = history.known_at(timeline[pk], moment)[provider]
        assert known.status == status["status"], (pk, moment)
        # The answer to an application is written without reading `since` again: it is then a moment too late.
        assert known.since == status["since"] or known.status == "SUBMITTING", (pk, moment)
        assert known.flag == (status.get("facets") or {}).get("flag", Flag.NONE), (pk, moment)
        seen[known.status] += 1
        seen["flag under an ended link"] += known.flag not in (known.status, Flag.NONE)
    return seen


def _played(
    game: Game,
    world: Callable[[Any], Any],
    provider: str,
    count: int,
    check: Callable[[Sequence[Commit], str], Counter[str]] = _check,
) -> Counter[str]:
    seen: Counter[str] = Counter()

    def play(schedule: Any) -> None:
        made = world(schedule)
        made.play(lambda _: None, lambda _: None)
        seen.update(check(made.table.journal, provider))

    chosen = settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    with prepared():
        play(game.life(()))
        chosen(seed(7)(given(game.schedules())(play)))()
    return seen


@pytest.mark.timeout(300)
def test_replaying_a_paypay_timeline_to_a_moment_gives_the_status_that_was_stored_then() -> None:
    seen = _played(paypay_generate.PAYPAY, PayPayWorld, "paypay", 60)
    assert {"LINK_PENDING", "NOT_COMPLETED", "VERIFIED", "RISK_FLAGGED", "INACTIVE", "EXPIRED"} <= seen.keys()


@pytest.mark.timeout(300)
def test_replaying_a_vexora_timeline_to_a_moment_gives_the_status_that_was_stored_then() -> None:
    seen = _played(vexora_generate.VEXORA, VexoraWorld, "vexora", 60)
    assert {"SUBMITTING", "PENDING", "APPROVED", "REJECTED"} <= seen.keys()


@pytest.mark.timeout(300)
def test_what_a_recon_file_moved_was_found_out_only_after_the_day_of_the_file() -> None:
    seen: Counter[str] = Counter()

    def check(journal: Sequence[Commit], provider: str) -> Counter[str]:
        timeline: dict[str, list[TimelineEntry]] = {}
        for row in (plain(item) for commit in journal for item in commit.puts):
            if row["pk"].startswith("USER#") and row["sk"].startswith("AT#"):
                timeline.setdefault(row["pk"], []).append(read(TimelineEntry, row))
        for entries in timeline.values():
            for each in entries:
                if each.cause == "recon" and each.from_status != each.to_status:
                    day = history.recon_day(each)
                    assert day
                    ends = utc_text(datetime.fromisoformat(f"{day}T23:59:59.999+09:00"))
                    assert each.at > ends
                    found = history.found_later(entries, ends)
                    assert FoundLater("recon", each, day=day) in found
                    seen[each.to_status] += 1
        return _check(journal, provider)

    _played(recon_generate.RECON, ReconWorld, "paypay", 20, check)
    assert sum(seen.values()) >= 3


# --- one moment ---


@pytest.mark.parametrize(
    ("moment", "status", "since", "until"),
    [
        ("2026-10-01T02:59:59.999Z", None, None, None),
        ("2026-10-01T03:00:00.000Z", "LINK_PENDING", LIFE[0].at, LIFE[1].at),
        ("2026-10-02T02:59:59.999Z", "LINK_PENDING", LIFE[0].at, LIFE[1].at),
        ("2026-10-02T03:00:00.000Z", "VERIFIED", LIFE[1].at, LIFE[3].at),
        (NIGHT, "VERIFIED", LIFE[1].at, LIFE[3].at),
        ("2027-10-31T14:59:59.999Z", "RISK_FLAGGED", LIFE[3].at, None),
    ],
)
def test_a_moment_has_the_status_that_had_begun_and_not_ended(
    moment: str, status: str | None, since: str | None, until: str | None
) -> None:
    known = history.known_at(LIFE, moment).get("paypay")
    assert (known and known.status, known and known.since, known and known.until) == (status, since, until)


def test_what_confirmed_the_status_by_then_is_the_last_entry_before_the_moment() -> None:
    known = history.known_at(LIFE, NIGHT)["paypay"]
    assert known.confirmed == LIFE[2]
    assert known.evidence == LIFE[1]


def test_a_status_whose_beginning_is_not_kept_any_more_is_known_and_its_beginning_is_not() -> None:
    known = history.known_at(LIFE[2:], "2026-10-02T00:00:00.000Z")["paypay"]
    assert (known.status, known.since, known.began, known.until) == ("VERIFIED", "", None, LIFE[3].at)


def test_nobody_is_known_before_a_first_entry_that_began_with_nothing() -> None:
    assert history.known_at(LIFE, "2026-09-30T00:00:00.000Z") == {}
    assert history.known_at([], NIGHT) == {}


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_entries_of_one_millisecond_are_put_in_the_order_in_which_they_follow_each_other(order: Sequence[int]) -> None:
    at = "2026-10-02T03:00:00.000Z"
    names = [f"e{place}" for place in order]
    same = [
        entry(at, "LINKED", "LINK_PENDING", event=names[0]),
        entry(at, "LINKED", "LINKED", event=names[1]),
        entry(at, "VERIFIED", "LINKED", event=names[2]),
    ]
    entries = [LIFE[0], *same]
    assert history.in_order(reversed(entries)) == entries
    assert history.known_at(entries, at)["paypay"].status == "VERIFIED"


def test_the_providers_are_told_apart() -> None:
    vexora = entry("2026-10-05T00:00:00.000Z", "APPROVED", provider="vexora")
    known = history.known_at([*LIFE, vexora], NIGHT)
    assert {name: each.status for name, each in known.items()} == {"paypay": "VERIFIED", "vexora": "APPROVED"}
    assert history.verified_at(known.values(), VerifiedNeeds.BOTH) == VerifiedReason.BOTH_VERIFIED


def test_a_flag_under_a_link_that_has_ended_still_counts() -> None:
    left = entry("2026-11-04T00:00:00.000Z", "UNLINKED", "RISK_FLAGGED", providerCode="INVALID_USER_AUTHORIZATION_ID")
    vexora = entry("2026-10-05T00:00:00.000Z", "APPROVED", provider="vexora")
    known = history.known_at([*LIFE, left, vexora], "2026-11-05T00:00:00.000Z")
    assert (known["paypay"].status, known["paypay"].flag) == ("UNLINKED", Flag.RISK_FLAGGED)
    assert history.verified_at(known.values(), VerifiedNeeds.ANY) == VerifiedReason.PAYPAY_RISK_FLAGGED


def test_an_erasure_ends_every_status_and_what_comes_after_is_another_life() -> None:
    erased = TimelineEntry("2026-11-10T00:00:00.000Z", "erase:c-1", "honnin", "erased", "api", None, "ERASED")
    again = entry("2026-11-12T00:00:00.000Z", "LINK_PENDING")
    entries = [*LIFE, erased, again]
    assert history.known_at(entries, "2026-11-11T00:00:00.000Z") == {}
    assert history.known_at(entries, NIGHT)["paypay"].status == "VERIFIED"
    assert history.known_at(entries, "2026-11-13T00:00:00.000Z")["paypay"].status == "LINK_PENDING"
    lives, present = history.lives(entries)
    assert (lives, present) == ([[*LIFE, erased]], [again])


# --- what was found out later ---


def test_a_recon_file_of_that_day_or_before_that_moved_the_user_was_found_later() -> None:
    assert history.found_later(LIFE, NIGHT) == [FoundLater("recon", LIFE[3], day="2026-10-31")]
    assert history.found_later(LIFE, "2026-10-30T14:59:59.999Z") == []
    assert history.found_later(LIFE, LIFE[3].at) == []


def test_a_recon_file_that_moved_nobody_tells_nothing_new() -> None:
    same = replace(LIFE[3], to_status="VERIFIED")
    assert history.found_later([*LIFE[:3], same], NIGHT) == []


def test_a_link_that_had_ended_before_was_found_later() -> None:
    expired = entry("2026-10-31T15:40:00.000Z", "EXPIRED", "VERIFIED", providerCode="EXPIRED_USER_AUTHORIZATION_ID")
    ended = "2026-10-31T14:50:00.000Z"
    assert history.found_later([*LIFE[:3], expired], NIGHT, link_ended_at=ended) == [
        FoundLater("link_ended", expired, ended_at=ended)
    ]
    assert history.found_later([*LIFE[:3], expired], NIGHT, link_ended_at="2026-10-31T15:10:00.000Z") == []


@pytest.mark.parametrize(
    ("event", "day"),
    [
        ("recon:kyc_passport_sync_recon:2026-10-31:a:b:1", "2026-10-31"),
        ("recon:x", None),
        ("paypay:kyc:2026-10-31:1", None),
    ],
)
def test_the_day_of_a_recon_file_is_read_from_the_events_id(event: str, day: str | None) -> None:
    assert history.recon_day(entry(NIGHT, "LINKED", event=event)) == day


# --- flags, products ---


def test_flags_are_those_set_since_then_also_under_a_link_that_has_ended() -> None:
    left = entry("2026-11-04T00:00:00.000Z", "UNLINKED", "RISK_FLAGGED", providerCode="INVALID_USER_AUTHORIZATION_ID")
    raised = entry("2026-11-05T00:00:00.000Z", "UNLINKED", "UNLINKED", providerCode="KYC_UPDATE_REQUIRED")
    entries = [*LIFE, left, raised]
    assert list(history.flags_since(entries, "paypay", LIFE[1].at)) == [
        (LIFE[3].at, Flag.RISK_FLAGGED),
        (raised.at, Flag.UPDATE_REQUIRED),
    ]
    assert list(history.flags_since(entries, "paypay", left.at)) == [(raised.at, Flag.UPDATE_REQUIRED)]
    assert list(history.flags_since(entries, "vexora", "")) == []


def test_the_product_is_named_or_is_in_the_key_of_the_kept_answer() -> None:
    assert history.product(LIFE[1]) == "kyc_info"
    assert history.product(entry(NIGHT, "VERIFIED", product="kyc_passport")) == "kyc_passport"
    assert history.product(LIFE[0]) is None


@given(st.lists(st.sampled_from(list(PayPayStatus)), min_size=1, max_size=12), st.data())
def test_periods_cover_the_time_from_the_first_entry_on_without_gap_or_overlap(
    statuses: Sequence[PayPayStatus], data: st.DataObject
) -> None:
    before: Mapping[int, str | None] = {0: None} | {number + 1: each for number, each in enumerate(statuses)}
    entries = [
        entry(f"2026-10-{number + 1:02}T00:00:00.000Z", each, before[number]) for number, each in enumerate(statuses)
    ]
    found = history.periods(data.draw(st.permutations(entries)))
    assert found[0].since == entries[0].at
    assert found[-1].until is None
    assert [each.until for each in found[:-1]] == [each.since for each in found[1:]]
    for number, each in enumerate(entries):
        assert history.known_at(entries, each.at)["paypay"].status == statuses[number]
