"""What the bus tells: the content of each domain event. Ids, statuses, moments and counts, nothing personal.

`docs/events/` is generated from here (`make event-schemas`). The texts beside the types are its descriptions; an
enumeration beside them lists the values.
"""

from typing import Annotated, Literal, NotRequired, TypedDict

from honnin.status import PayPayStatus, VerifiedReason, VexoraStatus

SOURCE = "honnin"

# How a schema names a moment: JSON Schema's format `date-time`.
MOMENT = "date-time"

KYC_STATUS_CHANGED = "KycStatusChanged"
SUBMISSION_STALE = "SubmissionStale"
USER_ERASED = "UserErased"
RECON_COMPLETED = "ReconCompleted"
AUTHORIZATION_EXPIRING = "AuthorizationExpiring"
AUTHORIZATION_EXPIRED = "AuthorizationExpired"
RESIDENCE_PERIOD_EXPIRING = "ResidencePeriodExpiring"

# A user's events at one provider are in the order of their versions, whatever order they arrive in.
Version = Annotated[
    int,
    "Grows with each change of this user at this provider, also from before an erasure to after it. Of two events, the "
    "one with the greater version is the later.",
]

KycStatusChanged = TypedDict(
    "KycStatusChanged",
    {
        "userId": Annotated[str, "Your own id of the user."],
        "provider": Annotated[Literal["vexora", "paypay"], "Whose status changed."],
        "from": Annotated[
            str | None,
            "The status before; null at the first status of a user. It equals `to` where `verified` alone has changed.",
            VexoraStatus,
            PayPayStatus,
        ],
        "to": Annotated[str, "The status now.", VexoraStatus, PayPayStatus],
        "providerStatus": NotRequired[Annotated[str, "The provider's own word or code that the status comes from."]],
        "submissionId": NotRequired[Annotated[str, "Vexora: the submission that the status is about."]],
        "verified": Annotated[bool, "Whether the user counts as verified, over both providers (docs/api.md)."],
        "verifiedReason": Annotated[str, "Why, or why not.", VerifiedReason],
        "cause": Annotated[
            str, "Who caused it: user, api, webhook, poll, recon, settle or operator. More may be added."
        ],
        "version": Version,
        "occurredAt": Annotated[str, "When it took effect (UTC).", MOMENT],
        "eventId": Annotated[str, "Drop repeats by it: an event comes at least once."],
    },
)


class SubmissionStale(TypedDict):
    """A submission at Vexora has been open for longer than the daily questions go on; told once."""

    userId: Annotated[str, "Your own id of the user."]
    submissionId: Annotated[str, "The submission."]
    status: Annotated[str, "The status of the user, which stays.", VexoraStatus]
    submittedAt: Annotated[str, "When it was submitted (UTC).", MOMENT]
    version: Version
    occurredAt: Annotated[str, "When it was found to be stale (UTC).", MOMENT]
    eventId: Annotated[str, "Drop repeats by it: an event comes at least once."]


class UserErased(TypedDict):
    """The personal data of a user was erased here: erase what you hold on the ground of our events."""

    userId: Annotated[str, "Your own id of the user."]
    certificateId: Annotated[str, "The certificate of the erasure. Drop repeats by it: an event comes at least once."]
    version: Annotated[
        int, "Whatever you have of this user, of either provider, with a smaller version is erased here."
    ]
    completedAt: Annotated[str, "When the erasure was complete (UTC).", MOMENT]


class ReconCompleted(TypedDict):
    """A recon file was compared, and whoever it had read again is read, or could not be read for a day."""

    fileType: Annotated[str, "The type of the file. Drop repeats by it, `day` and `comparison`."]
    day: Annotated[str, "The JST day that the file is about.", "date"]
    fileName: Annotated[str, "The name that PayPay gave it."]
    comparison: Annotated[int, "The number of the comparison: a file may be compared more than once."]
    comparedAt: Annotated[str | None, "When it was compared (UTC).", MOMENT]
    sha256: Annotated[str | None, "The file's SHA-256, in hexadecimal."]
    counts: Annotated[dict[str, int], "How many rows of each kind. More kinds may be added."]
    reportKey: Annotated[str, "The key of the report in the recon bucket."]


class AuthorizationExpiring(TypedDict):
    """A user's link to PayPay ends soon, as far as PayPay has said when asked now; told once for each end."""

    userId: Annotated[str, "Your own id of the user."]
    provider: Annotated[Literal["paypay"], "Whose link it is."]
    status: Annotated[str, "The status of the user, which stays until the end.", PayPayStatus]
    linkExpiresAt: Annotated[str, "When the link ends (UTC).", MOMENT]
    version: Version
    occurredAt: Annotated[str, "When it was told (UTC).", MOMENT]
    eventId: Annotated[str, "Drop repeats by it: an event comes at least once."]


class AuthorizationExpired(TypedDict):
    """A user's link to PayPay has expired; told once, besides the change of the status."""

    userId: Annotated[str, "Your own id of the user."]
    provider: Annotated[Literal["paypay"], "Whose link it was."]
    expiredAt: Annotated[str, "When it ended (UTC).", MOMENT]
    providerStatus: Annotated[
        str | None,
        "PayPay's word or code that says so; `expireAt` when PayPay did not answer after the end that it had given.",
    ]
    version: Version
    occurredAt: Annotated[str, "When that took effect (UTC).", MOMENT]
    eventId: Annotated[str, "Drop repeats by it: an event comes at least once."]


class ResidencePeriodExpiring(TypedDict):
    """A user's residence period ends soon (parameter `WatchResidencePeriod`); told once for each end."""

    userId: Annotated[str, "Your own id of the user."]
    provider: Annotated[Literal["paypay"], "Who has told the end."]
    status: Annotated[str, "The status of the user, which stays.", PayPayStatus]
    residenceEndsOn: Annotated[str, "The last day of the period, in Japan.", "date"]
    version: Version
    occurredAt: Annotated[str, "When it was told (UTC).", MOMENT]
    eventId: Annotated[str, "Drop repeats by it: an event comes at least once."]


# Every event by its detail type, with what it tells.
EVENTS: dict[str, tuple[type, str]] = {
    KYC_STATUS_CHANGED: (KycStatusChanged, "The status of a user at a provider changed."),
    SUBMISSION_STALE: (SubmissionStale, SubmissionStale.__doc__ or ""),
    USER_ERASED: (UserErased, UserErased.__doc__ or ""),
    AUTHORIZATION_EXPIRING: (AuthorizationExpiring, AuthorizationExpiring.__doc__ or ""),
    AUTHORIZATION_EXPIRED: (AuthorizationExpired, AuthorizationExpired.__doc__ or ""),
    RESIDENCE_PERIOD_EXPIRING: (ResidencePeriodExpiring, ResidencePeriodExpiring.__doc__ or ""),
    RECON_COMPLETED: (ReconCompleted, ReconCompleted.__doc__ or ""),
}
