from enum import StrEnum


class EndViewWhat(StrEnum):
    LINK = "link"
    RESIDENCE = "residence"

    def __str__(self) -> str:
        return str(self.value)
