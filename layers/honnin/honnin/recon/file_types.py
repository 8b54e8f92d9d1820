"""The three recon files of the base document ("KYC Passport Recon File" and the two sections after it)."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from honnin import times


@dataclass(frozen=True)
class FileType:
    """One kind of recon file. `kind` names the webhook whose users it lists, which is also its ledger; `prefix` is how
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

# Base document, "File Name": <prefix><id>_<from>_<to>.csv. The format of <from> and <to> is not published: what begins
# like a date of this century, with or without dashes, is read as that day (an epoch time is none).
_DAY = r"(20\d{2}-?\d{2}-?\d{2})[0-9T:.+-]*"
_NAME = re.compile(rf"kyc_passport_(risk_|account_status_)?(.+?)_{_DAY}_{_DAY}\.csv", re.IGNORECASE)


# PayPay keeps a file for a week, and can announce it again as long (base document, "File retention period").
KEPT_DAYS = 7

# How long after its day a file or its notification may come; one day more for midnight.
SENT_AGAIN_FOR = timedelta(days=KEPT_DAYS + 1)


@dataclass(frozen=True)
class NameParts:
    """What a file name says: the file type, whose file it is, and the first and last JST day (`yyyy-mm-dd`)."""

    file_type: str
    owner_id: str
    first_day: str
    last_day: str


def read_name(file_name: str) -> NameParts | None:
    """The parts of a file name, or None where it does not parse."""
    found = _NAME.fullmatch(file_name)
    if not found:
        return None
    prefix = f"kyc_passport_{(found[1] or '').lower()}"
    first, last = _day(found[3]), _day(found[4])
    if first is None or last is None:
        return None
    [file_type] = [each.name for each in FILE_TYPES.values() if each.prefix == prefix]
    return NameParts(file_type, found[2], first, last)


def _day(text: str) -> str | None:
    try:
        return datetime.strptime(text.replace("-", ""), "%Y%m%d").replace(tzinfo=times.JST).date().isoformat()
    except ValueError:
        return None
