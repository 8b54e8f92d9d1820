from enum import StrEnum


class VerifiedReason(StrEnum):
    BOTH_VERIFIED = "BOTH_VERIFIED"
    NOT_VERIFIED = "NOT_VERIFIED"
    PAYPAY_NOT_VERIFIED = "PAYPAY_NOT_VERIFIED"
    PAYPAY_RISK_FLAGGED = "PAYPAY_RISK_FLAGGED"
    PAYPAY_UPDATE_REQUIRED = "PAYPAY_UPDATE_REQUIRED"
    PAYPAY_VERIFIED = "PAYPAY_VERIFIED"
    VEXORA_APPROVED = "VEXORA_APPROVED"
    VEXORA_NOT_APPROVED = "VEXORA_NOT_APPROVED"
    VEXORA_REJECTED = "VEXORA_REJECTED"

    @classmethod
    def _missing_(cls, value: object) -> "VerifiedReason | None":
        """A value that a newer Honnin has added: kept as it is, and equal to its text."""
        if not isinstance(value, str):
            return None
        added = str.__new__(cls, value)
        added._name_ = added._value_ = value
        return added
