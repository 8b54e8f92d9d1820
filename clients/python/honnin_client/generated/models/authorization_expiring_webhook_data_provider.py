from enum import StrEnum


class AuthorizationExpiringWebhookDataProvider(StrEnum):
    PAYPAY = "paypay"

    def __str__(self) -> str:
        return str(self.value)
