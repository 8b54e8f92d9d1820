from enum import StrEnum


class PayPayStatus(StrEnum):
    EXPIRED = "EXPIRED"
    INACTIVE = "INACTIVE"
    LINKED = "LINKED"
    LINK_DECLINED = "LINK_DECLINED"
    LINK_PENDING = "LINK_PENDING"
    NOT_COMPLETED = "NOT_COMPLETED"
    RISK_FLAGGED = "RISK_FLAGGED"
    UNCONFIRMED = "UNCONFIRMED"
    UNLINKED = "UNLINKED"
    UPDATE_REQUIRED = "UPDATE_REQUIRED"
    VERIFIED = "VERIFIED"

    def __str__(self) -> str:
        return str(self.value)
