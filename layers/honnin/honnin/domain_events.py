"""The content of each domain event on the bus: ids, statuses, times and counts, no personal data.

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
        "provider": Annotated[Literal["vexora", "paypay"], "The provider at which the status changed."],
        "from": Annotated[
            str | None,
            "The status before; null if the user had none. It equals `to` if only `verified` has changed.",
            VexoraStatus,
            PayPayStatus,
        ],
        "to": Annotated[str, "The status after the change.", VexoraStatus, PayPayStatus],
        "providerStatus": NotRequired[
            Annotated[
                str, "The value in the provider's answer (a status or a result code) from which the status was derived."
            ]
        ],
        "submissionId": NotRequired[Annotated[str, "The id of the submission; only for Vexora."]],
        "verified": Annotated[bool, "Whether the user counts as verified, considering both providers (docs/api.md)."],
        "verifiedReason": Annotated[str, "Why the user counts as verified, or why not.", VerifiedReason],
        "cause": Annotated[
            str, "What led to the change: user, api, webhook, poll, recon, settle or operator. More may be added."
        ],
        "version": Version,
        "occurredAt": Annotated[str, "When the change took effect (UTC).", MOMENT],
        "eventId": Annotated[
            str, "The id of the event. The same event may be delivered more than once: ignore repeats of this id."
        ],
    },
)


class SubmissionStale(TypedDict):
    """A submission at Vexora is still not decided after 30 days of daily polls. Published once for each submission."""

    userId: Annotated[str, "Your own id of the user."]
    submissionId: Annotated[str, "The id of the submission."]
    status: Annotated[str, "The present status of the user; this event does not change it.", VexoraStatus]
    submittedAt: Annotated[str, "When it was submitted (UTC).", MOMENT]
    version: Version
    occurredAt: Annotated[str, "When Honnin found that it is still not decided (UTC).", MOMENT]
    eventId: Annotated[
        str, "The id of the event. The same event may be delivered more than once: ignore repeats of this id."
    ]


class UserErased(TypedDict):
    """Honnin has erased the personal data of a user. Erase what you have stored about the user from earlier events."""

    userId: Annotated[str, "Your own id of the user."]
    certificateId: Annotated[
        str, "The id of the erasure. The same event may be delivered more than once: ignore repeats of this id."
    ]
    version: Annotated[int, "Erase what has a smaller version. Greater ones belong to a user who came back later."]
    completedAt: Annotated[str, "When the erasure was complete (UTC).", MOMENT]


class ReconCompleted(TypedDict):
    """A recon file was compared, and every user who had to be read again was read, or could not be read for a day."""

    fileType: Annotated[str, "The type of the file. Ignore repeats with the same `fileType`, `day` and `comparison`."]
    day: Annotated[str, "The day in Japan that the file is about.", "date"]
    fileName: Annotated[str, "The name of the file at PayPay."]
    comparison: Annotated[
        int, "The number of the comparison of this day and type. It grows when a file is compared again."
    ]
    comparedAt: Annotated[str | None, "When the file was compared (UTC).", MOMENT]
    sha256: Annotated[str | None, "The file's SHA-256, in hexadecimal."]
    counts: Annotated[
        dict[str, int], "The numbers of the comparison, as in the recon report of the API. More may be added."
    ]
    reportKey: Annotated[str, "The key of the full report in the recon bucket."]


class AuthorizationExpiring(TypedDict):
    """A user's PayPay account link ends soon. PayPay was asked just before. Published once for each end date."""

    userId: Annotated[str, "Your own id of the user."]
    provider: Annotated[Literal["paypay"], "The provider of the account link."]
    status: Annotated[str, "The present status of the user; it does not change before the link ends.", PayPayStatus]
    linkExpiresAt: Annotated[str, "When the link ends (UTC).", MOMENT]
    version: Version
    occurredAt: Annotated[str, "When the event was published (UTC).", MOMENT]
    eventId: Annotated[
        str, "The id of the event. The same event may be delivered more than once: ignore repeats of this id."
    ]


class AuthorizationExpired(TypedDict):
    """A user's PayPay account link has expired. Published once, in addition to `KycStatusChanged`."""

    userId: Annotated[str, "Your own id of the user."]
    provider: Annotated[Literal["paypay"], "The provider of the account link."]
    expiredAt: Annotated[str, "When the link ended (UTC).", MOMENT]
    providerStatus: Annotated[
        str | None,
        "The value in PayPay's answer that says that the link has ended. It is `expireAt` if PayPay did not answer "
        "after the end date that it had given before; then this date counts.",
    ]
    version: Version
    occurredAt: Annotated[str, "When the change of the status took effect (UTC).", MOMENT]
    eventId: Annotated[
        str, "The id of the event. The same event may be delivered more than once: ignore repeats of this id."
    ]


class ResidencePeriodExpiring(TypedDict):
    """A user's residence period ends soon. Only with the parameter `WatchResidencePeriod`; once for each end date."""

    userId: Annotated[str, "Your own id of the user."]
    provider: Annotated[Literal["paypay"], "The provider whose KYC answer contained the end date."]
    status: Annotated[str, "The present status of the user; this event does not change it.", PayPayStatus]
    residenceEndsOn: Annotated[str, "The last day of the period, in Japan.", "date"]
    version: Version
    occurredAt: Annotated[str, "When the event was published (UTC).", MOMENT]
    eventId: Annotated[
        str, "The id of the event. The same event may be delivered more than once: ignore repeats of this id."
    ]


# Every event by its detail type, with its description.
EVENTS: dict[str, tuple[type, str]] = {
    KYC_STATUS_CHANGED: (KycStatusChanged, "The status of a user at a provider changed."),
    SUBMISSION_STALE: (SubmissionStale, SubmissionStale.__doc__ or ""),
    USER_ERASED: (UserErased, UserErased.__doc__ or ""),
    AUTHORIZATION_EXPIRING: (AuthorizationExpiring, AuthorizationExpiring.__doc__ or ""),
    AUTHORIZATION_EXPIRED: (AuthorizationExpired, AuthorizationExpired.__doc__ or ""),
    RESIDENCE_PERIOD_EXPIRING: (ResidencePeriodExpiring, ResidencePeriodExpiring.__doc__ or ""),
    RECON_COMPLETED: (ReconCompleted, ReconCompleted.__doc__ or ""),
}
