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

    @classmethod
    def _missing_(cls, value: object) -> "PayPayStatus | None":
        """A value that a newer Honnin has added: kept as it is, and equal to its text."""
        if not isinstance(value, str):
            return None
        added = str.__new__(cls, value)
        added._name_ = added._value_ = value
        return added
