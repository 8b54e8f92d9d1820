"""Whether repairs and rereads are processed. `doctor` shows this first."""

from honninctl import repairs
from honninctl.deployment import Deployment

_ADVICE = (
    "check keys, X-ASSUME-MERCHANT and base URLs, then run honninctl repairs resume (docs/runbook.md#repairs-stopped)"
)


def look(deployment: Deployment) -> tuple[str, str]:
    """The state, and what to do (empty if there is nothing to do)."""
    state = repairs.look(deployment)
    if stop := state.counted.stop:
        why = stop.reason or f"{sum(stop.losses.values())} of {stop.readings} readings took users out of their status"
        return f"repairs and rereads are stopped since {stop.at} ({why})", _ADVICE
    if not state.is_running:
        return "a mapping of repairs or rereads is disabled, so they are not processed", _ADVICE
    return "repairs and rereads are processed", ""
