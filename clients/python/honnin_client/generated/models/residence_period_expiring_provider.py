from enum import StrEnum


class ResidencePeriodExpiringProvider(StrEnum):
    PAYPAY = "paypay"

    def __str__(self) -> str:
        return str(self.value)
