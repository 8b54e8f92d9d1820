from enum import StrEnum


class Kyc(StrEnum):
    NOT_COMPLETED = "NOT_COMPLETED"
    UNCONFIRMED = "UNCONFIRMED"
    UNREAD = "UNREAD"
    VERIFIED = "VERIFIED"

    def __str__(self) -> str:
        return str(self.value)
