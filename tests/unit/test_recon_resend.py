"""`honnin.recon.resend`: the request that asks PayPay for a file again, filled in."""

from collections.abc import Iterator

import pytest
from aws_lambda_powertools.utilities.parameters.constants import DEFAULT_PROVIDERS

from honnin.recon.days import CalendarDay, DayState
from honnin.recon.file_types import FILE_TYPES
from honnin.recon.own_ids import own_ids
from honnin.recon.resend import Senders, request
from honnin.recon.type_facts import senders
from honnin.store import Store
from tests.fakes import FakeSecrets
from tests.fakes.memory import dynamodb, memory_aws
from tests.tables import create_table

KYC, RISK, ACCOUNT_STATUS = FILE_TYPES
SENDERS = Senders({"merchant_id": "900000000000000001", "client_id": "client-7"}, "OPA0123")
SENDERS_KEPT = Senders({"merchant_id": "900000000000000001", "client_id": "client-7"}, "OPA-new")
ARN = "arn:aws:secretsmanager:ap-northeast-1:000000000000:secret:providers"


def missing(state: DayState = DayState.MISSING, reason: str | None = None, day: str = "2026-03-31") -> CalendarDay:
    return CalendarDay(day, KYC, state, reason=reason)


@pytest.mark.parametrize(
    ("file_type", "japanese", "english"),
    [
        (KYC, "・加盟店ID（merchant_id）: 900000000000000001\n", "- merchant id: 900000000000000001\n"),
        (RISK, "・クライアントID（client_id）: client-7\n", "- client id: client-7\n"),
        (ACCOUNT_STATUS, "・クライアントID（client_id）: client-7\n", "- client id: client-7\n"),
    ],
)
def test_the_request_is_filled_in_in_both_languages(file_type: str, japanese: str, english: str) -> None:
    """Base document, "File creation unit": the KYC file is the merchant's, the two others are the client's."""
    made = request(FILE_TYPES[file_type], [missing(day="2026-03-30"), missing()], SENDERS)
    for part in (made.japanese, made.english):
        assert f"fileType: {file_type}\n" in part
        assert "2026-03-30, 2026-03-31" in part
        assert "X-REQUEST-ID: OPA0123\n" in part
        assert "{" not in part
    assert made.japanese.startswith(f"件名: リコンファイル通知の再送のお願い（{file_type}、2026-03-30, 2026-03-31）\n")
    assert made.english.startswith("Subject: Please resend the recon file notification")
    assert japanese in made.japanese
    assert english in made.english


def test_the_reason_of_each_day_is_in_the_request() -> None:
    days = [
        missing(day="2026-03-29"),
        missing(DayState.EXPIRED, "the response was HTTP 403", "2026-03-30"),
        missing(DayState.DOUBTFUL, "the file is empty"),
    ]
    made = request(FILE_TYPES[KYC], days, SENDERS)
    assert "2026-03-29: 通知を受信しておりません\n" in made.japanese
    assert (
        "2026-03-30: 通知を受信しましたが、期限内に取得できませんでした（the response was HTTP 403）\n" in made.japanese
    )
    assert "2026-03-31: 受領したファイルの内容を確認できませんでした（the file is empty）\n" in made.japanese
    assert "2026-03-29: we received no notification\n" in made.english
    assert "could not download the file in time (the response was HTTP 403)\n" in made.english
    # Of a file that is there, nobody says that it could not be obtained.
    assert "2026-03-31: the file that we received cannot be accepted (the file is empty)\n" in made.english


@pytest.mark.parametrize(
    ("file_type", "blank"),
    [(KYC, "<your merchant id>"), (RISK, "<your client id>"), (ACCOUNT_STATUS, "<your client id>")],
)
def test_what_is_not_known_is_left_for_a_person_to_fill_in(file_type: str, blank: str) -> None:
    made = request(FILE_TYPES[file_type], [missing()], Senders({}, None))
    for part in (made.japanese, made.english):
        assert part.count(blank) == 1
        assert "X-REQUEST-ID: -\n" in part


def test_a_reason_with_braces_is_text_like_any_other() -> None:
    made = request(FILE_TYPES[KYC], [missing(DayState.EXPIRED, "{owner_id} {0}")], SENDERS)
    assert "{owner_id} {0}" in made.japanese


@pytest.mark.parametrize("state", list(DayState))
def test_exactly_the_missing_days_have_words(state: DayState) -> None:
    from honnin.recon import days, resend

    assert (state in resend._REASONS_JA) is (state in resend._REASONS_EN) is (state in days.MISSING)


# --- our own ids ---


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("PROVIDERS_SECRET_ARN", ARN)
    monkeypatch.setenv("PAYPAY_TOKEN_AUDIENCE", " client-7 ")
    with memory_aws():
        client = dynamodb()
        yield Store(create_table(client, "StateTable"), client)


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> FakeSecrets:
    made = FakeSecrets()
    monkeypatch.setitem(DEFAULT_PROVIDERS, "secrets", made)
    return made


def test_what_identifies_us_is_kept_for_those_who_may_not_read_the_secret(store: Store, secrets: FakeSecrets) -> None:
    secrets.values[ARN] = '{"paypay_merchant_id": " 900000000000000001 "}'
    store.recon.note_request_id("paypay", "OPA-old", "2026-04-01T02:00:00.000Z")
    store.recon.note_request_id("paypay", "OPA-new", "2026-04-01T03:00:00.000Z")
    store.recon.note_request_id("vexora", "other", "2026-04-01T04:00:00.000Z")
    store.recon.note_own_ids(own_ids())
    assert senders(store) == SENDERS_KEPT
    # A secret that cannot be read for once takes nothing away.
    store.recon.note_own_ids({"merchant_id": "", "client_id": "client-7"})
    assert senders(store) == SENDERS_KEPT


@pytest.mark.parametrize(
    "secret", ["{}", '{"paypay_merchant_id": "REPLACE_ME"}', '{"paypay_merchant_id": 7}', "[]", "x"]
)
def test_a_secret_without_the_merchant_id_leaves_a_blank(store: Store, secrets: FakeSecrets, secret: str) -> None:
    secrets.values[ARN] = secret
    assert own_ids() == {"merchant_id": "", "client_id": "client-7"}


def test_a_secret_that_cannot_be_read_leaves_a_blank(store: Store, secrets: FakeSecrets) -> None:
    """The report must go out all the same."""
    assert own_ids() == {"merchant_id": "", "client_id": "client-7"}


def test_without_a_client_id_there_is_a_blank(
    store: Store, secrets: FakeSecrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PAYPAY_TOKEN_AUDIENCE")
    secrets.values[ARN] = "{}"
    assert own_ids() == {"merchant_id": "", "client_id": ""}
