from enum import StrEnum


class ProviderName(StrEnum):
    PAYPAY = "paypay"
    VEXORA = "vexora"

    def __str__(self) -> str:
        return str(self.value)
