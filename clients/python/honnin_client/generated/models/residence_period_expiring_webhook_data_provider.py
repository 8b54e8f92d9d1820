from enum import StrEnum


class ResidencePeriodExpiringWebhookDataProvider(StrEnum):
    PAYPAY = "paypay"

    def __str__(self) -> str:
        return str(self.value)
