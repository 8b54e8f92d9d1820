"""The three recon files of the base document ("KYC Passport Recon File" and the two sections after it)."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class FileType:
    """One kind of recon file. `kind` names the webhook whose users it lists; `prefix` is how
    its file names begin; `owner` is whose id stands in them (base document, "File creation unit")."""

    name: str
    kind: str
    prefix: str
    owner: str


FILE_TYPES = {
    each.name: each
    for each in (
        FileType("kyc_passport_sync_recon", "kyc", "kyc_passport_", "merchant_id"),
        FileType("kyc_passport_risk_sync_recon", "risk", "kyc_passport_risk_", "client_id"),
        FileType(
            "kyc_passport_account_status_sync_recon", "account_status", "kyc_passport_account_status_", "client_id"
        ),
    )
}

# PayPay keeps a file for a week, and can send its notification again during that time (base document, "File retention
# period").
KEPT_DAYS = 7

# How long after its day a file or its notification may come. One more day is added because of midnight.
SENT_AGAIN_FOR = timedelta(days=KEPT_DAYS + 1)
