"""What a file name says, in every form that a Japanese system writes; a name that says nothing ends no file."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honnin.recon.file_names import carries, day_of, file_name, read_name, warnings
from honnin.times import jst_day

KYC, RISK, ACCOUNT = (
    "kyc_passport_sync_recon",
    "kyc_passport_risk_sync_recon",
    "kyc_passport_account_status_sync_recon",
)
# 04:00 in Japan on the day after.
NOTIFIED = datetime(2026, 3, 31, 19, 0, tzinfo=UTC)
DAY = "2026-03-31"
M = "900000000000000001"
NUL = ""

# (name, file type that its beginning says, owner, day): all of them are about 31 March 2026 in Japan.
NAMES = [
    # just days
    (f"kyc_passport_{M}_20260331_20260331.csv", KYC, M),
    (f"kyc_passport_{M}_2026-03-31_2026-03-31.csv", KYC, M),
    (f"kyc_passport_{M}_2026_03_31_2026_03_31.csv", KYC, M),
    (f"kyc_passport_{M}_2026.03.31_2026.03.31.csv", KYC, M),
    (f"kyc_passport_{M}_2026-3-31_2026-3-31.csv", KYC, M),
    (f"kyc_passport_{M}_260331_260331.csv", KYC, M),
    (f"kyc_passport_{M}_26-03-31_26-03-31.csv", KYC, M),
    (f"kyc_passport_{M}_20260331-20260331.csv", KYC, M),
    (f"kyc_passport_{M}_20260331~20260331.csv", KYC, M),
    (f"kyc_passport_{M}_2026年3月31日_2026年3月31日.csv", KYC, M),
    (f"kyc_passport_{M}_2026年03月31日.csv", KYC, M),
    (f"kyc_passport_{M}_令和8年3月31日_令和8年3月31日.csv", KYC, M),
    (f"kyc_passport_{M}_R8.3.31_R8.3.31.csv", KYC, M),
    (f"kyc_passport_{M}_R080331_R080331.csv", KYC, M),
    (f"kyc_passport_{M}_２０２６０３３１_２０２６０３３１.csv", KYC, M),
    (f"kyc_passport_{M}_20260331.csv", KYC, M),
    # from the day to the next one, or both around it
    (f"kyc_passport_{M}_20260331_20260401.csv", KYC, M),
    (f"kyc_passport_{M}_2026-03-31_2026-04-01.csv", KYC, M),
    (f"kyc_passport_{M}_20260330_20260401.csv", KYC, M),
    (f"kyc_passport_{M}_260330_260401.csv", KYC, M),
    (f"kyc_passport_{M}_20260401_20260331.csv", KYC, M),
    # times in Japan
    (f"kyc_passport_{M}_20260331000000_20260331235959.csv", KYC, M),
    (f"kyc_passport_{M}_20260331000000_20260401000000.csv", KYC, M),
    (f"kyc_passport_{M}_20260331000000_20260331240000.csv", KYC, M),
    (f"kyc_passport_{M}_202603310000_202603312359.csv", KYC, M),
    (f"kyc_passport_{M}_2026033100_2026033123.csv", KYC, M),
    (f"kyc_passport_{M}_20260331000000000_20260331235959999.csv", KYC, M),
    (f"kyc_passport_{M}_260331000000_260331235959.csv", KYC, M),
    (f"kyc_passport_{M}_2603310000_2603312359.csv", KYC, M),
    (f"kyc_passport_{M}_20260331_000000_20260331_235959.csv", KYC, M),
    (f"kyc_passport_{M}_20260331-000000_20260331-235959.csv", KYC, M),
    (f"kyc_passport_{M}_20260331T000000_20260331T235959.csv", KYC, M),
    (f"kyc_passport_{M}_2026-03-31_00-00-00_2026-03-31_23-59-59.csv", KYC, M),
    (f"kyc_passport_{M}_2026-03-31 00:00:00_2026-03-31 23:59:59.csv", KYC, M),
    (f"kyc_passport_{M}_2026-03-31T00:00:00_2026-03-31T23:59:59.csv", KYC, M),
    (f"kyc_passport_{M}_2026-03-31T00:00:00.000_2026-03-31T23:59:59.999.csv", KYC, M),
    (f"kyc_passport_{M}_2026-03-31T00:00:00+09:00_2026-03-31T23:59:59+09:00.csv", KYC, M),
    (f"kyc_passport_{M}_20260331T000000+0900_20260331T235959+0900.csv", KYC, M),
    (f"kyc_passport_{M}_2026年3月31日0時00分_2026年3月31日23時59分.csv", KYC, M),
    # UTC, with its mark and without
    (f"kyc_passport_{M}_20260330150000_20260331145959.csv", KYC, M),
    (f"kyc_passport_{M}_20260330150000_20260331150000.csv", KYC, M),
    (f"kyc_passport_{M}_202603301500_202603311459.csv", KYC, M),
    (f"kyc_passport_{M}_20260330_150000_20260331_145959.csv", KYC, M),
    (f"kyc_passport_{M}_20260330T150000Z_20260331T145959Z.csv", KYC, M),
    (f"kyc_passport_{M}_2026-03-30T15:00:00Z_2026-03-31T14:59:59Z.csv", KYC, M),
    (f"kyc_passport_{M}_2026-03-30T15:00:00.000Z_2026-03-31T14:59:59.999Z.csv", KYC, M),
    (f"kyc_passport_{M}_2026-03-30T15:00:00+00:00_2026-03-31T14:59:59+00:00.csv", KYC, M),
    (f"kyc_passport_{M}_20260330150000UTC_20260331145959UTC.csv", KYC, M),
    (f"kyc_passport_{M}_20260330T15Z_20260331T15Z.csv", KYC, M),
    (f"kyc_passport_{M}_2026-03-30T15+00:00_2026-03-31T15+00:00.csv", KYC, M),
    (f"kyc_passport_{M}_20260330150000.csv", KYC, M),
    (f"kyc_passport_{M}_20260330150000Z.csv", KYC, M),
    # epoch times
    (f"kyc_passport_{M}_1774882800_1774969199.csv", KYC, M),
    (f"kyc_passport_{M}_1774882800000_1774969199999.csv", KYC, M),
    (f"kyc_passport_{M}_1774882800000000_1774969199999999.csv", KYC, M),
    (f"kyc_passport_{M}_1774882800.csv", KYC, M),
    # before and behind it
    (f"kyc_passport_{M}_20260331_20260331", KYC, M),
    (f"kyc_passport_{M}_20260331_20260331.CSV", KYC, M),
    (f"kyc_passport_{M}_20260331_20260331.csv.gz", KYC, M),
    (f"kyc_passport_{M}_20260331_20260331.txt", KYC, M),
    (f"kyc_passport_{M}_20260331_20260331_001.csv", KYC, M),
    (f"kyc_passport_{M}_20260331_20260331_000001.csv", KYC, M),
    (f"kyc_passport_{M}_20260331_20260331_v2.csv", KYC, M),
    (f"kyc_passport_{M}_20260331_20260331(1).csv", KYC, M),
    (f"kyc_passport_{M}_20260331_20260331_resend.csv", KYC, M),
    (f"kyc_passport_{M}_20260331_20260331_20260401040000.csv", KYC, M),
    (f"KYC_PASSPORT_{M}_20260331_20260331.csv", KYC, M),
    (f"kyc-passport-{M}-20260331-20260331.csv", KYC, M),
    ("kyc_passport_20260101_20260331_20260331.csv", KYC, "20260101"),
    ("kyc_passport_1775012400_20260331_20260331.csv", KYC, "1775012400"),
    ("kyc_passport_20260331_20260331.csv", KYC, ""),
    # the other types
    ("kyc_passport_risk_a_exampleClient_20260331_20260331.csv", RISK, "a_exampleClient"),
    ("kyc_passport_risk_a_exampleClient_20260330150000_20260331145959.csv", RISK, "a_exampleClient"),
    ("kyc_passport_account_status_a_exampleClient_20260331_20260331.csv", ACCOUNT, "a_exampleClient"),
    ("kyc_passport_accountstatus_a_exampleClient_20260331_20260331.csv", ACCOUNT, "a_exampleClient"),
    ("kyc_passport_account-status_a_exampleClient_20260331_20260331.csv", ACCOUNT, "a_exampleClient"),
    ("kyc_passport_risky_20260331_20260331.csv", KYC, "risky"),
    ("recon_20260331_20260331.csv", "", ""),
    ("20260331.csv", "", ""),
]


def test_there_are_enough_names() -> None:
    assert len({name for name, *_ in NAMES}) >= 60


@pytest.mark.parametrize(("name", "file_type", "owner"), NAMES)
def test_a_name_says_its_day_its_type_and_its_owner(name: str, file_type: str, owner: str) -> None:
    parts = read_name(name)

    assert parts.day == DAY
    assert (parts.file_type, parts.owner_id) == (file_type, owner)
    assert day_of(parts, NOTIFIED) == DAY
    # Whenever it is sent again, it is filed under the same day.
    assert {day_of(parts, NOTIFIED + timedelta(days=late)) for late in (0, 1, 3, 9, 60)} == {DAY}
    assert warnings(name, file_type or KYC, NOTIFIED, "") == ()


@pytest.mark.parametrize(("name", "file_type", "owner"), NAMES)
def test_the_name_at_a_url_is_safe_and_still_says_it(name: str, file_type: str, owner: str) -> None:
    for url in (
        f"https://recon.paypay.ne.jp/files/{quote(name)}?signature=a%2Fb",
        f"https://recon.paypay.ne.jp/download?f={quote(name, safe='')}&signature=s",
        f"https://recon.paypay.ne.jp/download?empty&f={quote(name, safe='+:')}&signature=s",
        f"https://x.s3.amazonaws.com/1f3a?response-content-disposition={quote(f'inline; filename={name}', safe='')}",
    ):
        if not file_type and "?signature" not in url:
            continue  # nothing says that it is the name of a recon file
        kept = file_name(url)

        assert read_name(kept).day == DAY
        assert day_of(read_name(kept), NOTIFIED) == DAY
        assert not set(kept) & set(' /#?%&~\\"')
        assert kept[0].isalnum()
        assert len(kept) <= 240
        if name.isascii() and not set(name) & set(" ~"):
            assert kept == name


@pytest.mark.parametrize(
    "name",
    [
        "download",
        "x.csv",
        "kyc_passport.csv",
        f"kyc_passport_{M}.csv",
        f"kyc_passport_{M}_latest.csv",
        f"kyc_passport_{M}_20260231_20260231.csv",
        f"kyc_passport_{M}_20261331_20261331.csv",
        f"kyc_passport_{M}_99999999_99999999.csv",
        f"kyc_passport_{M}_19990331_19990331.csv",
        f"kyc_passport_{M}_20260101_20260331.csv",
        f"kyc_passport_{M}_9999999999999.csv",
        "",
    ],
)
def test_a_name_without_a_day_is_filed_under_the_day_before_its_notification(name: str) -> None:
    assert read_name(name).day == ""
    assert day_of(read_name(name), NOTIFIED) == DAY
    assert day_of(read_name(name), NOTIFIED + timedelta(days=1)) == "2026-04-01"
    assert warnings(name, KYC, NOTIFIED, "") == ("no day can be read from the file name",)


@pytest.mark.parametrize("day", ["20260420", "20270331", "20991231", "20240101", "2025-03-01"])
def test_a_day_that_cannot_be_is_no_day(day: str) -> None:
    """It is far ahead, or long past: misread or forged."""
    name = f"kyc_passport_{M}_{day}_{day}.csv"

    assert day_of(read_name(name), NOTIFIED) == DAY
    [warning] = warnings(name, KYC, NOTIFIED, "")
    assert "is impossible" in warning


@pytest.mark.parametrize(
    ("received_at", "day"),
    [
        ("2026-04-01T00:00:00+09:00", DAY),
        ("2026-04-01T01:30:00+09:00", DAY),
        ("2026-04-01T23:59:59+09:00", DAY),
        ("2026-04-01T14:59:59+00:00", DAY),
        ("2026-04-01T15:00:00+00:00", "2026-04-01"),
    ],
)
def test_the_day_before_a_notification_is_japans(received_at: str, day: str) -> None:
    assert day_of(read_name("download"), datetime.fromisoformat(received_at)) == day


def test_what_does_not_fit_is_a_warning() -> None:
    name = f"kyc_passport_{M}_20260331_20260331.csv"
    assert warnings(name, KYC, NOTIFIED, M) == ()
    assert warnings(name, RISK, NOTIFIED, M) == ("the file name is that of a kyc_passport_sync_recon",)
    assert warnings(name, KYC, NOTIFIED, "900000000000000002") == ("the merchant_id in the file name is not ours",)
    other = warnings(name.replace(M, "c-2"), RISK, NOTIFIED, "c-1")
    assert other[1:] == ("the client_id in the file name is not ours",)
    late = warnings(name, KYC, NOTIFIED + timedelta(days=9), M)
    assert late == ("the day in the file name is 2026-03-31, but the notification was received on 2026-04-10 (JST)",)
    assert warnings(name, KYC, NOTIFIED + timedelta(days=7), M) == ()
    assert warnings(name, KYC, datetime(2026, 3, 31, 10, tzinfo=UTC), M)  # on the day itself


def test_no_warning_repeats_what_somebody_wrote() -> None:
    name = "kyc_passport_<script>_20260331_20260331.csv"
    assert "script" not in str(warnings(name, RISK, NOTIFIED, "c-1"))


@pytest.mark.parametrize(
    ("name", "own_id", "is_ours"),
    [
        (f"kyc_passport_{M}_20260331_20260331.csv", M, True),
        (f"{M}.csv", M, True),
        (f"kyc_passport_{M}1_20260331_20260331.csv", M, False),
        (f"kyc_passport_1{M}_20260331_20260331.csv", M, False),
        ("kyc_passport_risk_a_exampleClient_20260331_20260331.csv", "a_exampleClient", True),
        ("kyc_passport_risk_a_exampleClient_20260331_20260331.csv", "exampleClient", True),
        ("kyc_passport_risk_a.exampleClient_20260331_20260331.csv", "a_exampleClient", False),
        (f"kyc_passport_{M}_20260331_20260331.csv", "", False),
        ("", M, False),
    ],
)
def test_whether_a_name_carries_our_own_id(name: str, own_id: str, is_ours: bool) -> None:
    assert carries(name, own_id) is is_ours


@pytest.mark.parametrize(
    "url",
    [
        "https://x.example",
        "https://x.example/",
        "https://x.example/?a=b",
        "https://x.example/..",
        "https://x.example/%00",
        "https://[::1/x",
        "",
        "x",
        "https://x.example/" + "a" * 5000,
        "https://x.example/" + "%E6%9C%AC" * 400,
        "https://x.example/a%2F..%2Fb.csv",
        "https://x.example/.hidden",
        "https://x.example/-rf",
        "https://x.example/a b.csv",
        "https://x.example/a#b.csv",
    ],
)
def test_every_url_gives_a_name_that_may_stand_in_a_key(url: str) -> None:
    name = file_name(url)

    assert name == file_name(url)
    assert 0 < len(name) <= 240
    assert name[0].isalnum()
    assert not set(name) & set(' /#?%&~\\"\0\n')


def test_names_that_had_to_be_changed_stay_apart() -> None:
    given = ("本.csv", "人.csv", "a b.csv", "a-b.csv", "a~b.csv")
    assert len({file_name(f"https://x.example/{quote(each)}") for each in given}) == 5


@given(st.text(max_size=300), st.integers(0, 1500))
def test_no_text_makes_an_error(text: str, days: int) -> None:
    moment = NOTIFIED + timedelta(days=days)
    parts = read_name(text)
    day = day_of(parts, moment)
    assert day <= jst_day(moment + timedelta(days=8))
    assert isinstance(warnings(text, KYC, moment, "m-1"), tuple)
    assert file_name(f"https://x.example/{quote(text, errors='replace')}")
    assert file_name(text)
