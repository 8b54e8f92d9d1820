from enum import StrEnum


class Flag(StrEnum):
    NONE = "NONE"
    RISK_FLAGGED = "RISK_FLAGGED"
    UPDATE_REQUIRED = "UPDATE_REQUIRED"

    def __str__(self) -> str:
        return str(self.value)
