"""The status model: which statuses a user can have at a provider, and which changes are allowed.

A reading is a provider's answer to a signed question. Only readings decide. Everything else only starts or ends a
submission of ours.
"""

from collections.abc import Mapping
from enum import StrEnum


class VexoraStatus(StrEnum):
    """A user's status at Vexora. PENDING, UNDER_REVIEW, APPROVED and REJECTED are Vexora's answers 0 to 3.

    SUBMITTING: the submission is being sent, or Vexora has not answered yet. FAILED: Vexora certainly did not accept
    the user's first submission; a new one may be sent.
    """

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

# A submission with one of these statuses is not decided yet: it is polled, and a second submission is refused.
OPEN = frozenset({VexoraStatus.SUBMITTING, VexoraStatus.PENDING, VexoraStatus.UNDER_REVIEW})

_DECIDED = frozenset({VexoraStatus.APPROVED, VexoraStatus.REJECTED})


def may_submit(current: VexoraStatus | None) -> bool:
    """Whether a new submission may start: there was none, or it was refused or rejected (then a new one is needed)."""
    return current in (None, VexoraStatus.FAILED, VexoraStatus.REJECTED)


def after_reading(current: VexoraStatus, reading: VexoraStatus) -> VexoraStatus:
    """The status after a reading that began after the end of the last applied reading.

    An open status does not undo a decision, because it may come from a provider's replica that is behind. But the
    provider may change one decision into the other. An application does not go back from review to pending either.
    """
    if current in _DECIDED and reading in OPEN:
        return current
    if current is VexoraStatus.UNDER_REVIEW and reading is VexoraStatus.PENDING:
        return current
    return reading


class PayPayStatus(StrEnum):
    """A user's status at PayPay.

    LINK_PENDING: a QR was created, and the user has not returned yet. LINK_DECLINED: the user did not agree. LINKED:
    linked, and no KYC was read yet. VERIFIED: PayPay returned KYC data with a status that PayPayVerifiedStatuses lists.
    UNCONFIRMED: PayPay answered with success, but with another status or an unknown code, so the user is not verified.
    NOT_COMPLETED: the user has not completed the KYC. UPDATE_REQUIRED: the user must update the KYC. RISK_FLAGGED:
    PayPay reports a risk. INACTIVE: the PayPay account or the link is not active. EXPIRED: the authorization has
    expired. UNLINKED: the authorization is no longer valid.
    """

    LINK_PENDING = "LINK_PENDING"
    LINK_DECLINED = "LINK_DECLINED"
    LINKED = "LINKED"
    VERIFIED = "VERIFIED"
    UNCONFIRMED = "UNCONFIRMED"
    NOT_COMPLETED = "NOT_COMPLETED"
    UPDATE_REQUIRED = "UPDATE_REQUIRED"
    RISK_FLAGGED = "RISK_FLAGGED"
    INACTIVE = "INACTIVE"
    EXPIRED = "EXPIRED"
    UNLINKED = "UNLINKED"


class CallOutcome(StrEnum):
    """An answer of PayPay's that says nothing about the user: what it means for the call."""

    REQUEST_WRONG = "REQUEST_WRONG"  # repeating it is of no use
    DEPLOYMENT_WRONG = "DEPLOYMENT_WRONG"  # our credentials, scopes or contract: a person must act
    QR_SESSION_GONE = "QR_SESSION_GONE"
    QR_NOT_COMPLETED = "QR_NOT_COMPLETED"
    LATER = "LATER"
    RATE_LIMITED = "RATE_LIMITED"
    MAINTENANCE = "MAINTENANCE"


class Link(StrEnum):
    """The facet `link`: the state of the account link. CANCELLED: the user has closed the PayPay account."""

    PENDING = "PENDING"
    DECLINED = "DECLINED"
    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"
    EXPIRED = "EXPIRED"
    UNLINKED = "UNLINKED"
    CANCELLED = "CANCELLED"


# Replaces PayPay's word for a link that has expired at the end date from PayPay, if nothing newer was read.
EXPIRE_AT = "expireAt"


class Kyc(StrEnum):
    """The facet `kyc`: PayPay's last answer to a KYC read of the present authorization. UNREAD: none was made yet."""

    UNREAD = "UNREAD"
    VERIFIED = "VERIFIED"
    UNCONFIRMED = "UNCONFIRMED"
    NOT_COMPLETED = "NOT_COMPLETED"


class Flag(StrEnum):
    """The facet `flag`: a problem that PayPay reports (a risk, or a KYC that the user must update), or NONE."""

    NONE = "NONE"
    UPDATE_REQUIRED = "UPDATE_REQUIRED"
    RISK_FLAGGED = "RISK_FLAGGED"


# Every code of the base document except SUCCESS ("Response code list", the tables under it, and docs/providers.md §1.2)
# and its meaning. An answer about the user gives the value of one facet; any other answer is about the call.
RESULT_CODES: Mapping[str, Link | Kyc | Flag | CallOutcome] = {
    "INVALID_REQUEST_PARAMS": CallOutcome.REQUEST_WRONG,
    "MISSING_REQUEST_PARAMS": CallOutcome.REQUEST_WRONG,
    "INVALID_PARAMS": CallOutcome.REQUEST_WRONG,
    "UNAUTHORIZED": CallOutcome.DEPLOYMENT_WRONG,
    "OP_OUT_OF_SCOPE": CallOutcome.DEPLOYMENT_WRONG,
    "EXPECTATION_FAILED": CallOutcome.DEPLOYMENT_WRONG,
    "KYC_NOT_COMPLETED": Kyc.NOT_COMPLETED,
    "NON_EKYC_USER": Kyc.NOT_COMPLETED,
    "UNACCEPTABLE_OP": Flag.RISK_FLAGGED,
    "KYC_UPDATE_REQUIRED": Flag.UPDATE_REQUIRED,
    "CANCELED_USER": Link.CANCELLED,
    "USER_STATE_IS_NOT_ACTIVE": Link.INACTIVE,
    "INVALID_USER_AUTHORIZATION_ID": Link.UNLINKED,
    "EXPIRED_USER_AUTHORIZATION_ID": Link.EXPIRED,
    "SESSION_NOT_FOUND": CallOutcome.QR_SESSION_GONE,
    "KYC_PASSPORT_NOT_COMPLETED": CallOutcome.QR_NOT_COMPLETED,
    # 202: it only says that something will be done later.
    "REQUEST_ACCEPTED": CallOutcome.LATER,
    "SERVICE_ERROR": CallOutcome.LATER,
    "INTERNAL_SERVER_ERROR": CallOutcome.LATER,
    "RATE_LIMIT": CallOutcome.RATE_LIMITED,
    "MAINTENANCE_MODE": CallOutcome.MAINTENANCE,
}


class KycProduct(StrEnum):
    """The three KYC reads of PayPay, with their names in the vault."""

    KYC_INFO = "kyc_info"
    KYC_PASSPORT = "kyc_passport"
    KYC_PASSPORT_QR = "kyc_passport_qr"


class VerifiedNeeds(StrEnum):
    """The parameter `VerifiedNeeds`: which provider must confirm a user, so that the user counts as verified."""

    ANY = "any"
    PAYPAY = "paypay"
    VEXORA = "vexora"
    BOTH = "both"


class VerifiedReason(StrEnum):
    """Why a user counts as verified, or why not."""

    PAYPAY_VERIFIED = "PAYPAY_VERIFIED"
    VEXORA_APPROVED = "VEXORA_APPROVED"
    BOTH_VERIFIED = "BOTH_VERIFIED"
    PAYPAY_RISK_FLAGGED = "PAYPAY_RISK_FLAGGED"
    VEXORA_REJECTED = "VEXORA_REJECTED"
    PAYPAY_UPDATE_REQUIRED = "PAYPAY_UPDATE_REQUIRED"
    PAYPAY_NOT_VERIFIED = "PAYPAY_NOT_VERIFIED"
    VEXORA_NOT_APPROVED = "VEXORA_NOT_APPROVED"
    NOT_VERIFIED = "NOT_VERIFIED"

    @property
    def is_verified(self) -> bool:
        """The `verified` that belongs to this reason."""
        return self in (self.PAYPAY_VERIFIED, self.VEXORA_APPROVED, self.BOTH_VERIFIED)


# (PayPay verified, Vexora approved) -> the reason under each parameter value, if no provider reports a problem.
_REASONS: Mapping[tuple[bool, bool], Mapping[VerifiedNeeds, VerifiedReason]] = {
    (True, True): {
        VerifiedNeeds.ANY: VerifiedReason.BOTH_VERIFIED,
        VerifiedNeeds.PAYPAY: VerifiedReason.PAYPAY_VERIFIED,
        VerifiedNeeds.VEXORA: VerifiedReason.VEXORA_APPROVED,
        VerifiedNeeds.BOTH: VerifiedReason.BOTH_VERIFIED,
    },
    (True, False): {
        VerifiedNeeds.ANY: VerifiedReason.PAYPAY_VERIFIED,
        VerifiedNeeds.PAYPAY: VerifiedReason.PAYPAY_VERIFIED,
        VerifiedNeeds.VEXORA: VerifiedReason.VEXORA_NOT_APPROVED,
        VerifiedNeeds.BOTH: VerifiedReason.VEXORA_NOT_APPROVED,
    },
    (False, True): {
        VerifiedNeeds.ANY: VerifiedReason.VEXORA_APPROVED,
        VerifiedNeeds.PAYPAY: VerifiedReason.PAYPAY_NOT_VERIFIED,
        VerifiedNeeds.VEXORA: VerifiedReason.VEXORA_APPROVED,
        VerifiedNeeds.BOTH: VerifiedReason.PAYPAY_NOT_VERIFIED,
    },
    (False, False): {
        VerifiedNeeds.ANY: VerifiedReason.NOT_VERIFIED,
        VerifiedNeeds.PAYPAY: VerifiedReason.PAYPAY_NOT_VERIFIED,
        VerifiedNeeds.VEXORA: VerifiedReason.VEXORA_NOT_APPROVED,
        VerifiedNeeds.BOTH: VerifiedReason.NOT_VERIFIED,
    },
}


def verified(paypay: PayPayStatus | None, vexora: VexoraStatus | None, needs: VerifiedNeeds) -> VerifiedReason:
    """Why the user counts as verified or not (see its `is_verified`).

    A status is None if the provider does not know the user. A problem at one provider outweighs a confirmation by the
    other provider.
    """
    if paypay is PayPayStatus.RISK_FLAGGED:
        return VerifiedReason.PAYPAY_RISK_FLAGGED
    if vexora is VexoraStatus.REJECTED:
        return VerifiedReason.VEXORA_REJECTED
    if paypay is PayPayStatus.UPDATE_REQUIRED:
        return VerifiedReason.PAYPAY_UPDATE_REQUIRED
    return _REASONS[paypay is PayPayStatus.VERIFIED, vexora is VexoraStatus.APPROVED][needs]
