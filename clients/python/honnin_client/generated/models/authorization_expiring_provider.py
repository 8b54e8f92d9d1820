from enum import StrEnum


class AuthorizationExpiringProvider(StrEnum):
    PAYPAY = "paypay"

    def __str__(self) -> str:
        return str(self.value)
