from enum import StrEnum


class AuthorizationExpiredProvider(StrEnum):
    PAYPAY = "paypay"

    def __str__(self) -> str:
        return str(self.value)
