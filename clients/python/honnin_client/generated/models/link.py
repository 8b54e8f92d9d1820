from enum import StrEnum


class Link(StrEnum):
    ACTIVE = "ACTIVE"
    CANCELLED = "CANCELLED"
    DECLINED = "DECLINED"
    EXPIRED = "EXPIRED"
    INACTIVE = "INACTIVE"
    PENDING = "PENDING"
    UNLINKED = "UNLINKED"

    def __str__(self) -> str:
        return str(self.value)
