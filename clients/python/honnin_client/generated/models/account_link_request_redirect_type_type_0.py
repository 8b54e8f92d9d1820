from enum import StrEnum


class AccountLinkRequestRedirectTypeType0(StrEnum):
    APP_DEEP_LINK = "APP_DEEP_LINK"
    WEB_LINK = "WEB_LINK"

    def __str__(self) -> str:
        return str(self.value)
