"""The two halves of the end-to-end tests, each on a stack of its own (conftest.py)."""

from pathlib import PurePath

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

HALVES = (FIRST, SECOND) = ("first", "second")

# Both halves take about as long; `pytest --durations=0` says what each module takes.
_OF_THE_SECOND = frozenset(
    {
        *(
            "test_documented_commands",
            "test_domains",
            "test_main_job",
            "test_overtaking",
            "test_paypay_webhooks",
        ),
        *("test_reread", "test_roles", "test_settling"),
    }
)


def half_of(test: str) -> str:
    """The half that a test is of, by its id: that of its module, or the one in whose name it runs."""
    file, _, name = test.partition("::")
    for half in HALVES:
        if name.endswith(f"[{half}]"):
            return half
    return SECOND if PurePath(file).stem in _OF_THE_SECOND else FIRST


class Halves(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives each half to one worker, in order."""

    def _split_scope(self, nodeid: str) -> str:
        return half_of(nodeid)
