"""Whether repairs and rereads are processed. `doctor` shows this first."""

from honninctl import repairs
from honninctl.deployment import Deployment
from honninctl.language import _


def look(deployment: Deployment) -> tuple[str, str]:
    """The state, and what to do (empty if there is nothing to do)."""
    state = repairs.look(deployment)
    if stop := state.counted.stop:
        lost = sum(stop.losses.values())
        why = stop.reason or _("{lost} of {readings} readings took users out of their status").format(
            lost=lost, readings=stop.readings
        )
        return _("repairs and rereads are stopped since {at} ({why})").format(at=stop.at, why=why), _advice()
    if not state.is_running:
        return _("a mapping of repairs or rereads is disabled, so they are not processed"), _advice()
    return _("repairs and rereads are processed"), ""


def _advice() -> str:
    return _(
        "check keys, X-ASSUME-MERCHANT and base URLs, then run honninctl repairs resume "
        "(docs/runbook.md#repairs-stopped)"
    )
