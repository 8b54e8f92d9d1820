"""The status model: every pair of a current status and a reading."""

from itertools import product

import pytest

from honnin import status
from honnin.status import (
    BY_AUTHENTICATION_STATUS,
    OPEN,
    PayPayStatus,
    VerifiedNeeds,
    VerifiedReason,
    VexoraStatus,
    after_reading,
    may_submit,
    verified,
)
from tests import verified_rules

S = VexoraStatus
READINGS = (S.PENDING, S.UNDER_REVIEW, S.APPROVED, S.REJECTED)

# What stands against a reading; in every other pair the reading is what counts.
STANDS = {
    (S.UNDER_REVIEW, S.PENDING),
    (S.APPROVED, S.PENDING),
    (S.APPROVED, S.UNDER_REVIEW),
    (S.REJECTED, S.PENDING),
    (S.REJECTED, S.UNDER_REVIEW),
}


def test_the_documented_numbers() -> None:
    assert BY_AUTHENTICATION_STATUS == {"0": "PENDING", "1": "UNDER_REVIEW", "2": "APPROVED", "3": "REJECTED"}


@pytest.mark.parametrize(("current", "reading"), list(product(S, READINGS)))
def test_a_reading_counts_unless_it_would_undo_a_later_stage(current: S, reading: S) -> None:
    assert after_reading(current, reading) is (current if (current, reading) in STANDS else reading)


@pytest.mark.parametrize(("current", "reading"), list(product(S, READINGS)))
def test_the_same_reading_again_changes_nothing(current: S, reading: S) -> None:
    once = after_reading(current, reading)
    assert after_reading(once, reading) is once


@pytest.mark.parametrize("current", [None, *S])
def test_a_new_submission_is_allowed_only_when_nothing_is_open_or_approved(current: S | None) -> None:
    assert may_submit(current) is (current in {None, S.FAILED, S.REJECTED})


def test_what_is_open_is_polled() -> None:
    assert {S.SUBMITTING, S.PENDING, S.UNDER_REVIEW} == OPEN


# Verified


def test_verified_of_every_status_and_parameter() -> None:
    assert verified_rules.first_fault(status) is None


def test_whatever_speaks_against_a_user_outweighs_the_other_provider() -> None:
    for paypay, vexora, needs in product((None, *PayPayStatus), (None, *VexoraStatus), VerifiedNeeds):
        if paypay in ("RISK_FLAGGED", "UPDATE_REQUIRED") or vexora == "REJECTED":
            assert not verified(paypay, vexora, needs).is_verified


def test_every_reason_is_given() -> None:
    every = product((None, *PayPayStatus), (None, *VexoraStatus), VerifiedNeeds)
    assert {verified(*each) for each in every} == set(VerifiedReason)
