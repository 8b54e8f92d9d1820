"""The parts of the end-to-end tests, each on a stack of its own (conftest.py)."""

from pathlib import PurePath

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

PARTS = ("first", "second", "third")

# All parts take about as long; `pytest --durations=0` says what each module takes. Tests wait more than they work, so
# there are more parts than cores. What is not named here is of the first part.
PART_OF = {
    "test_domains": "second",
    "test_expiry": "second",
    "test_overtaking": "second",
    "test_overview": "second",
    "test_paypay_webhooks": "second",
    "test_recon_large": "second",
    "test_reread": "second",
    "test_settling": "second",
    "test_documented_commands": "third",
    "test_main_job": "third",
    "test_roles": "third",
}


def part_of(test: str) -> str:
    """The part that a test is of, by its id: that of its module, or the one in whose name it runs."""
    file, _, name = test.partition("::")
    for part in PARTS:
        if name.endswith(f"[{part}]"):
            return part
    return PART_OF.get(PurePath(file).stem, PARTS[0])


class Parts(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives each part to one worker, in order."""

    def _split_scope(self, nodeid: str) -> str:
        return part_of(nodeid)
