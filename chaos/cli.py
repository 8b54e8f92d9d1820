"""`python -m chaos [--schedules N] [--seed N] [--minutes M] [--world W]`, and `--replay JSON` for one schedule."""

import argparse
import json
import sys
import time
from collections import Counter
from dataclasses import fields
from typing import Any

from chaos import generate
from chaos.environment import Injected, ViolationError, prepared
from chaos.generate import Failure, Game, Tally
from chaos.paypay_generate import PAYPAY
from chaos.recon_generate import RECON
from chaos.schedule import Schedule
from chaos.vexora_generate import VEXORA

_KINDS = ("lost", "twice", "diverged")
_GAMES = (PAYPAY, VEXORA, RECON)


def main() -> int:
    """Run the command: 0 when every schedule of every world held."""
    options = _parser().parse_args()
    if options.replay is not None:
        return _replay(options.replay)
    games = [game for game in _GAMES if options.world in ("all", game.name.lower())]
    for game in games:
        if failed := _play(game, options.schedules, options.seed, float(options.minutes) * 60 / len(games)):
            return failed
    return 0


def _play(game: Game, schedules: int, seed: int, longest_s: float) -> int:
    begun = time.monotonic()
    print(f"--- {game.name} ---")

    def progress(tally: Tally) -> None:
        print(f"  {tally.schedules:,} schedules of a single fault, {time.monotonic() - begun:.0f} s", flush=True)

    swept, failure = generate.sweep(game, progress=progress)
    print(f"{swept.schedules:,} schedules: one life, every fault at every one of its calls")
    _print_injected(swept.injected)
    if failure:
        return _verdict(game, swept, failure, begun)

    def enough(tally: Tally) -> bool:
        spent = time.monotonic() - begun
        print(f"  {tally.schedules:,} of {schedules:,} schedules, {spent:.0f} s", flush=True)
        return spent > longest_s

    tally, failure = generate.explore(game, schedules, seed_number=seed, enough=enough)
    print(f"{tally.schedules:,} schedules ({len(tally.distinct):,} distinct), seed {seed}")
    print(f"calls: {_counts(tally.calls)}")
    _print_injected(tally.injected)
    return _verdict(game, tally, failure, begun)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="chaos", description="Play generated event streams with injected faults.")
    parser.add_argument("--schedules", type=_positive, default=10_000, help="how many of each world (10000)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed plays the same schedules (1)")
    parser.add_argument("--minutes", type=float, default=60, help="stop after so long in all (60)")
    parser.add_argument(
        "--world", choices=("all", *(game.name.lower() for game in _GAMES)), default="all", help="which worlds (all)"
    )
    parser.add_argument("--replay", metavar="JSON", help="play one schedule, as printed for a failure; - reads it")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _replay(text: str) -> int:
    begun = time.monotonic()
    try:
        text = sys.stdin.read() if text == "-" else text
        game, schedule = _read(text)
    except (ValueError, KeyError, TypeError) as error:
        print(f"this is not a schedule: {error}", file=sys.stderr)
        return 2
    tally = Tally(schedules=1)
    try:
        with prepared():
            calls, tally.injected = game.run(schedule)
    except ViolationError as violation:
        return _verdict(game, tally, Failure(schedule, violation), begun)
    print(f"calls: {_counts(calls)}")
    _print_injected(tally.injected)
    return _verdict(game, tally, None, begun)


def _read(text: str) -> tuple[Game, Schedule[Any]]:
    """A schedule, and the world that has schedules of this form."""
    names = set(json.loads(text))
    for game in _GAMES:
        if names == {field.name for field in fields(game.schedule)}:
            return game, game.schedule.from_json(text)
    raise ValueError("the schedule belongs to no world")


def _print_injected(injected: Injected) -> None:
    print(f"faults injected: {sum(injected.values()):,}")
    for service in sorted({service for service, _, _ in injected}):
        mine = {(when, kind): count for (where, when, kind), count in injected.items() if where == service}
        injected_text = ", ".join(f"{kind} {when} {count:,}" for (when, kind), count in sorted(mine.items()))
        print(f"  {service}: {injected_text}")
    kinds: Counter[str] = Counter()
    for (_, _, kind), count in injected.items():
        kinds[kind] += count
    print(f"  in all: {_counts(kinds)}")


def _verdict(game: Game, tally: Tally, failure: Failure | None, begun: float) -> int:
    found = {kind: int(failure is not None and failure.violation.kind == kind) for kind in _KINDS}
    faults, spent = sum(tally.injected.values()), time.monotonic() - begun
    print(
        f"{game.name}: {tally.schedules:,} schedules, {faults:,} faults, "
        f"{found['lost']} lost, {found['twice']} applied twice, {found['diverged']} diverged, {spent:.0f} s"
    )
    if failure is None:
        return 0
    print(f"\n{failure.violation}\nThe smallest schedule found:")
    for step in (*failure.schedule.steps, *failure.schedule.faults):
        print(f"  {step}")
    print(f"Again: python -m chaos --replay '{failure.schedule.to_json()}'")
    return 1


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counter.most_common())
