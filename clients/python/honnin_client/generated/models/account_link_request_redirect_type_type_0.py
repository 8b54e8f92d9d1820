from enum import StrEnum


class AccountLinkRequestRedirectTypeType0(StrEnum):
    APP_DEEP_LINK = "APP_DEEP_LINK"
    WEB_LINK = "WEB_LINK"

    @classmethod
    def _missing_(cls, value: object) -> "AccountLinkRequestRedirectTypeType0 | None":
        """A value that a newer Honnin has added: kept as it is, and equal to its text."""
        if not isinstance(value, str):
            return None
        added = str.__new__(cls, value)
        added._name_ = added._value_ = value
        return added
