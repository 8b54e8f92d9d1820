"""`honnin.recon.file_types`: the three files of the base document."""

from honnin.recon.file_types import FILE_TYPES
from sandbox.paypay.recon import RECON_TYPES

KYC, RISK, ACCOUNT_STATUS = (
    "kyc_passport_sync_recon",
    "kyc_passport_risk_sync_recon",
    "kyc_passport_account_status_sync_recon",
)


def test_the_three_types_of_the_base_document() -> None:
    assert {name: (each.kind, each.prefix, each.owner) for name, each in FILE_TYPES.items()} == {
        KYC: ("kyc", "kyc_passport_", "merchant_id"),
        RISK: ("risk", "kyc_passport_risk_", "client_id"),
        ACCOUNT_STATUS: ("account_status", "kyc_passport_account_status_", "client_id"),
    }


def test_the_sandbox_makes_the_same_three() -> None:
    assert {name: (each.kind, f"{each.prefix}_") for name, each in RECON_TYPES.items()} == {
        name: (each.kind, each.prefix) for name, each in FILE_TYPES.items()
    }
