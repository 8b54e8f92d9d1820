"""`honnin.recon.resend`: the letter that asks PayPay for a file again, and the alarm that carries it."""

from collections.abc import Iterator

import pytest
from aws_lambda_powertools.utilities.parameters.constants import DEFAULT_PROVIDERS
from botocore.exceptions import ClientError

from honnin.recon.file_types import FILE_TYPES
from honnin.recon.resend import Letterhead, ResendAlarm, letter, letterhead
from honnin.store import Store
from tests.fakes import FakeSecrets, FakeTopic
from tests.fakes.memory import dynamodb, memory_aws
from tests.tables import create_table

KYC, RISK, ACCOUNT_STATUS = FILE_TYPES
HEAD = Letterhead("900000000000000001", "client-7", "OPA0123")
ARN = "arn:aws:secretsmanager:ap-northeast-1:000000000000:secret:providers"


@pytest.mark.parametrize(
    ("file_type", "japanese", "english"),
    [
        (KYC, "・加盟店ID（merchant_id）: 900000000000000001\n", "- merchant id: 900000000000000001\n"),
        (RISK, "・クライアントID（client_id）: client-7\n", "- client id: client-7\n"),
        (ACCOUNT_STATUS, "・クライアントID（client_id）: client-7\n", "- client id: client-7\n"),
    ],
)
def test_the_letter_is_filled_in_in_both_languages(file_type: str, japanese: str, english: str) -> None:
    """Base document, "File creation unit": the KYC file is the merchant's, the two others are the client's."""
    text = letter(file_type, ["2026-03-30", "2026-03-31"], "never announced", HEAD)
    letters = text.split("-" * 75 + "\n")
    assert len(letters) == 4
    alarm, in_japanese, in_english, rest = letters
    assert rest == ""
    assert "never announced" in alarm
    for part in (alarm, in_japanese, in_english):
        assert file_type in part
        assert "2026-03-30, 2026-03-31" in part
    assert in_japanese.startswith(f"件名: リコンファイル通知の再送のお願い（{file_type}、2026-03-30, 2026-03-31）\n")
    assert in_english.startswith("Subject: Please resend the recon file notification")
    assert japanese in in_japanese
    assert english in in_english
    assert "・直近の X-REQUEST-ID: OPA0123\n" in in_japanese
    assert "- our last X-REQUEST-ID: OPA0123\n" in in_english
    # The reason is for us; PayPay is told what it needs.
    assert "never announced" not in in_japanese + in_english
    assert "{" not in text


@pytest.mark.parametrize(
    ("file_type", "blank"),
    [(KYC, "<your merchant id>"), (RISK, "<your client id>"), (ACCOUNT_STATUS, "<your client id>")],
)
def test_what_is_not_known_is_left_for_a_person_to_fill_in(file_type: str, blank: str) -> None:
    text = letter(file_type, ["2026-03-31"], "expired", Letterhead("", "", None))
    assert text.count(blank) == 2
    assert "・直近の X-REQUEST-ID: -\n" in text
    assert "- our last X-REQUEST-ID: -\n" in text


def test_a_reason_with_braces_is_text_like_any_other() -> None:
    assert "{owner_id} {0}" in letter(KYC, ["2026-03-31"], "{owner_id} {0}", HEAD)


def test_the_alarm_is_one_letter_on_the_topic() -> None:
    topic = FakeTopic()
    read: list[str] = []

    def head() -> Letterhead:
        read.append("head")
        return HEAD

    alarm = ResendAlarm("arn:topic", head, topic.client)
    assert read == []
    alarm.send(RISK, ["2026-03-31"], "expired")
    [sent] = topic.letters
    assert sent == {
        "TopicArn": "arn:topic",
        "Subject": f"Honnin: recon file missing: {RISK}",
        "Message": letter(RISK, ["2026-03-31"], "expired", HEAD),
    }
    assert read == ["head"]


@pytest.mark.parametrize("file_type", list(FILE_TYPES))
def test_the_subject_is_one_that_sns_takes(file_type: str) -> None:
    """SNS: ASCII, no line break, fewer than 100 characters, beginning with a letter."""
    topic = FakeTopic()
    ResendAlarm("arn:topic", lambda: HEAD, topic.client).send(file_type, ["2026-03-31"], "理由")
    subject = topic.letters[0]["Subject"]
    assert subject.isascii()
    assert subject.isprintable()
    assert len(subject) < 100
    assert file_type in subject


def test_seven_days_fit_into_a_message() -> None:
    """SNS takes 256 KiB."""
    days = [f"2026-03-{day}" for day in range(25, 32)]
    reasons = "; ".join(f"{day}: stored, but not compared yet" for day in days)
    assert len(letter(ACCOUNT_STATUS, days, reasons, HEAD).encode()) < 8 * 1024


def test_an_error_of_sns_surfaces() -> None:
    topic = FakeTopic()
    topic.failures.append(ClientError({"Error": {"Code": "InternalError", "Message": "m"}}, "Publish"))
    with pytest.raises(ClientError):
        ResendAlarm("arn:topic", lambda: HEAD, topic.client).send(KYC, ["2026-03-31"], "expired")


# --- the letterhead of a deployment ---


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


def test_the_letterhead_of_a_deployment(store: Store, secrets: FakeSecrets) -> None:
    secrets.values[ARN] = '{"paypay_merchant_id": " 900000000000000001 "}'
    store.recon.note_request_id("paypay", "OPA-old", "2026-04-01T02:00:00.000Z")
    store.recon.note_request_id("paypay", "OPA-new", "2026-04-01T03:00:00.000Z")
    store.recon.note_request_id("vexora", "other", "2026-04-01T04:00:00.000Z")
    assert letterhead(store) == Letterhead("900000000000000001", "client-7", "OPA-new")


@pytest.mark.parametrize(
    "secret", ["{}", '{"paypay_merchant_id": "REPLACE_ME"}', '{"paypay_merchant_id": 7}', "[]", "x"]
)
def test_a_secret_without_the_merchant_id_leaves_a_blank(store: Store, secrets: FakeSecrets, secret: str) -> None:
    secrets.values[ARN] = secret
    assert letterhead(store) == Letterhead("", "client-7", None)


def test_a_secret_that_cannot_be_read_leaves_a_blank(store: Store, secrets: FakeSecrets) -> None:
    """The alarm must go out all the same."""
    assert letterhead(store) == Letterhead("", "client-7", None)


def test_without_a_client_id_there_is_a_blank(
    store: Store, secrets: FakeSecrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PAYPAY_TOKEN_AUDIENCE")
    secrets.values[ARN] = "{}"
    assert letterhead(store) == Letterhead("", "", None)
