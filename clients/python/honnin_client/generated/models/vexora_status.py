from enum import StrEnum


class VexoraStatus(StrEnum):
    APPROVED = "APPROVED"
    FAILED = "FAILED"
    PENDING = "PENDING"
    REJECTED = "REJECTED"
    SUBMITTING = "SUBMITTING"
    UNDER_REVIEW = "UNDER_REVIEW"

    def __str__(self) -> str:
        return str(self.value)
