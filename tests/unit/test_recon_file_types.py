"""`honnin.recon.file_types`: what a recon file name says, and that anything else says nothing."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honnin.recon.file_types import FILE_TYPES, NameParts, read_name
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


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("kyc_passport_9001_20260331_20260331.csv", (KYC, "9001", "2026-03-31", "2026-03-31")),
        ("kyc_passport_risk_client_20260331_20260401.csv", (RISK, "client", "2026-03-31", "2026-04-01")),
        ("kyc_passport_account_status_c_20260331_20260331.csv", (ACCOUNT_STATUS, "c", "2026-03-31", "2026-03-31")),
        # The form of <from> and <to> is not published.
        ("kyc_passport_9_2026-03-31_2026-03-31.csv", (KYC, "9", "2026-03-31", "2026-03-31")),
        ("kyc_passport_9_20260331000000_20260331235959.csv", (KYC, "9", "2026-03-31", "2026-03-31")),
        ("kyc_passport_9_20260331T000000_20260331T235959.csv", (KYC, "9", "2026-03-31", "2026-03-31")),
        ("KYC_PASSPORT_RISK_9_20260331_20260331.CSV", (RISK, "9", "2026-03-31", "2026-03-31")),
        # An owner may hold the separator, and what looks like a day.
        ("kyc_passport_shop_7_20250101_20260331_20260331.csv", (KYC, "shop_7_20250101", "2026-03-31", "2026-03-31")),
        ("kyc_passport_9_20280229_20280229.csv", (KYC, "9", "2028-02-29", "2028-02-29")),
    ],
)
def test_a_name_is_read(name: str, parts: tuple[str, str, str, str]) -> None:
    assert read_name(name) == NameParts(*parts)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "other.csv",
        "kyc_passport_20260331_20260331.csv",
        "kyc_passport_9_20260331.csv",
        "kyc_passport_9_20260331_20260331",
        "kyc_passport_9_20260331_20260331.csv.gz",
        "kyc_passport_9_20260331_20260331.csv.rev-20260401T030000000Z",
        "xkyc_passport_9_20260331_20260331.csv",
        "kyc_passport_9_20260229_20260229.csv",
        "kyc_passport_9_20261301_20261301.csv",
        "kyc_passport_9_20260331_99999999.csv",
        "kyc_passport_9_31032026_31032026.csv",
        "kyc_passport_9_20260331_20260331.csv\n",
    ],
)
def test_any_other_name_says_nothing(name: str) -> None:
    assert read_name(name) is None


@pytest.mark.parametrize("epoch", ["1775012400", "1775012400000", "1774101234"])
def test_an_epoch_time_is_no_day(epoch: str) -> None:
    """1 April 2026 is 1775012400: its first digits are no year of PayPay's."""
    assert read_name(f"kyc_passport_9_{epoch}_{epoch}.csv") is None


@given(
    st.sampled_from(sorted(FILE_TYPES)),
    st.from_regex(r"\A[a-z0-9]{1,20}\Z").filter(lambda owner: owner not in ("risk", "account")),
    st.dates(date(2000, 1, 1), date(2099, 12, 31)),
    st.dates(date(2000, 1, 1), date(2099, 12, 31)),
)
def test_what_is_written_into_a_name_is_read_from_it(file_type: str, owner: str, first: date, last: date) -> None:
    name = f"{FILE_TYPES[file_type].prefix}{owner}_{first:%Y%m%d}_{last:%Y%m%d}.csv"
    assert read_name(name) == NameParts(file_type, owner, first.isoformat(), last.isoformat())


@given(st.text(max_size=60))
def test_no_text_is_an_error(name: str) -> None:
    read_name(name)
    read_name(f"kyc_passport_{name}.csv")
