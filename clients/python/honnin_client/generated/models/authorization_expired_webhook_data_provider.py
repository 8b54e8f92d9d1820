from enum import StrEnum


class AuthorizationExpiredWebhookDataProvider(StrEnum):
    PAYPAY = "paypay"

    @classmethod
    def _missing_(cls, value: object) -> "AuthorizationExpiredWebhookDataProvider | None":
        """A value that a newer Honnin has added: kept as it is, and equal to its text."""
        if not isinstance(value, str):
            return None
        added = str.__new__(cls, value)
        added._name_ = added._value_ = value
        return added
