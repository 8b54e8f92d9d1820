from enum import StrEnum


class AuthorizationExpiredWebhookDataProvider(StrEnum):
    PAYPAY = "paypay"

    def __str__(self) -> str:
        return str(self.value)
