"""The two halves of the end-to-end tests, each on a stack of its own (conftest.py)."""

HALVES = (FIRST, SECOND) = ("first", "second")

# Both halves take about as long; `pytest --durations=0` says what each module takes.
_OF_THE_SECOND = frozenset({"test_documented_commands", "test_erasure", "test_main_job", "test_paypay_webhooks"})


def half_of(module: str) -> str:
    """The half that a test module is of."""
    return SECOND if module in _OF_THE_SECOND else FIRST
