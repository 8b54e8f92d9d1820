"""Whether a user counts as verified, said a second time: as rules over texts."""

from itertools import product
from types import ModuleType
from typing import Any


def wanted(paypay: str | None, vexora: str | None, needs: str) -> tuple[bool, str]:
    """`verified` and `verifiedReason` by architecture §5."""
    for blocked, reason in (
        (paypay == "RISK_FLAGGED", "PAYPAY_RISK_FLAGGED"),
        (vexora == "REJECTED", "VEXORA_REJECTED"),
        (paypay == "UPDATE_REQUIRED", "PAYPAY_UPDATE_REQUIRED"),
    ):
        if blocked:
            return False, reason
    yes = {name for name, holds in (("paypay", paypay == "VERIFIED"), ("vexora", vexora == "APPROVED")) if holds}
    asked = {"paypay", "vexora"} if needs in ("any", "both") else {needs}
    missing = asked - yes
    if not missing or (needs == "any" and yes):
        names = {("paypay",): "PAYPAY_VERIFIED", ("vexora",): "VEXORA_APPROVED", ("paypay", "vexora"): "BOTH_VERIFIED"}
        return True, names[tuple(sorted(asked & yes))]
    lacks = {
        ("paypay",): "PAYPAY_NOT_VERIFIED",
        ("vexora",): "VEXORA_NOT_APPROVED",
        ("paypay", "vexora"): "NOT_VERIFIED",
    }
    return False, lacks[tuple(sorted(missing))]


def first_fault(module: ModuleType | Any) -> str | None:
    """Compare every status × status × parameter of a version of `honnin.status`."""
    for paypay, vexora, needs in product(
        (None, *module.PayPayStatus), (None, *module.VexoraStatus), module.VerifiedNeeds
    ):
        reason = module.verified(paypay, vexora, needs)
        if (reason.is_verified, str(reason)) != wanted(paypay, vexora, needs):
            return f"{reason} for {paypay}, {vexora}, {needs}"
    return None
