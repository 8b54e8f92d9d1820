"""The status model: what a user can be at a provider, and which moves are allowed.

A reading is what the provider answered to a signed question. Readings decide; everything else only starts or
ends a submission of ours.
"""

from enum import StrEnum


class VexoraStatus(StrEnum):
    """A user at Vexora. `FAILED` is ours: Vexora refused the application itself, a new one may be sent."""

    SUBMITTING = "SUBMITTING"
    FAILED = "FAILED"
    PENDING = "PENDING"
    UNDER_REVIEW = "UNDER_REVIEW"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"


# KYC Authentication 2.0, `data.authenticationStatus`: "0: Pending authentication, 1: Under review, 2: Approved,
# 3: Rejected."
BY_AUTHENTICATION_STATUS = {
    "0": VexoraStatus.PENDING,
    "1": VexoraStatus.UNDER_REVIEW,
    "2": VexoraStatus.APPROVED,
    "3": VexoraStatus.REJECTED,
}

# A submission in one of these is still being worked on: it is polled, and a second one is refused.
OPEN = frozenset({VexoraStatus.SUBMITTING, VexoraStatus.PENDING, VexoraStatus.UNDER_REVIEW})

_DECIDED = frozenset({VexoraStatus.APPROVED, VexoraStatus.REJECTED})


def may_submit(current: VexoraStatus | None) -> bool:
    """Whether a new submission may start: nothing so far, refused, or rejected (which needs a new one)."""
    return current in (None, VexoraStatus.FAILED, VexoraStatus.REJECTED)


def after_reading(current: VexoraStatus, reading: VexoraStatus) -> VexoraStatus:
    """The status after a reading that began after the last applied one had ended.

    A decision is not undone by an open state (a provider's replica that lags), but the provider may correct
    one decision into the other. An application is not sent back from review to pending either.
    """
    if current in _DECIDED and reading in OPEN:
        return current
    if current is VexoraStatus.UNDER_REVIEW and reading is VexoraStatus.PENDING:
        return current
    return reading
