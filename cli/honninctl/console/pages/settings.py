"""The page of settings: what `doctor` finds, and what the providers still have to confirm."""

from honninctl import confirmations, doctor
from honninctl.checks import Check, Verdict
from honninctl.console.page import Page, View, asking

# The worst first; a page that is all right is read in one line.
_ORDER = (Verdict.FAIL, Verdict.WARN, Verdict.OK)


def page(view: View) -> Page:
    """Runs all checks: some seconds."""
    checks = asking(lambda: list(doctor.examine(view.deployment, [])))
    found = checks.value or []
    groups = [(verdict, [each for each in found if _is(each, verdict)]) for verdict in _ORDER]
    return view.paint(
        "settings.html",
        trouble=checks.trouble,
        groups=[(verdict.value, some) for verdict, some in groups if some],
        open_ones=asking(lambda: confirmations.unconfirmed(view.deployment)),
    )


def _is(check: Check, verdict: Verdict) -> bool:
    # Parameters to confirm have their own list, with each provider's name.
    return check.verdict is verdict and not (check.topic == "parameters" and verdict is Verdict.WARN)
