from enum import StrEnum


class GetKycRequiredKycType(StrEnum):
    EKYC = "EKYC"
    VALUE_1 = ""

    def __str__(self) -> str:
        return str(self.value)
