"""PayPay's ack path: who is refused with what, what is queued, what is printed, and no input that breaks it."""

import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from honnin import times, webhook
from honnin.errors import ProviderRefusedError, UserAnswerError
from honnin.event import UNNAMED, Event
from honnin.paypay.archive import KycArchive
from honnin.paypay.client import Begins, PayPayClient, no_action
from honnin.paypay.models import AuthorizationReading, KycReading, UserAuthorization
from honnin.paypay.notification import PayPayNotifications
from honnin.paypay.selfie import Selfies
from honnin.processor import EventProcessor
from honnin.publish import Publisher
from honnin.recon.notification import ReconNotifications
from honnin.sqs_send import SendError
from honnin.store import Effect, Store
from honnin.vault import Vault
from honnin.webhook import MAX_BODY_BYTES, PAYPAY_KINDS
from tests.fakes import FakeBus, FakeVexora, LoopbackServer, Reply
from tests.fakes.memory import dynamodb, memory_aws, s3
from tests.fakes.paypay_user import RULES, paypay_user
from tests.handlers import load
from tests.tables import create_table

HANDLERS = ("paypay_kyc_webhook", "paypay_risk_webhook", "paypay_account_status_webhook", "paypay_recon_webhook")
SOURCE = "13.112.237.64"
QUEUES = "https://sqs.ap-northeast-1.amazonaws.com/000000000000"
USER = "a85fe9e9-b4c9-45cf-a392-834c57d83af7"
KYC = {
    "notification_type": "kyc_passport.kyc_info.updated",
    "notification_id": "evt_aXnbdeFt2Ke",
    "user_authorization_id": USER,
}
RECON = {
    "notification_type": "file.created",
    "notification_id": "0f8d7c1e-4b3a-4f5e-9c2d-1a2b3c4d5e6f",
    "fileType": "kyc_passport_sync_recon",
    "path": "https://recon.example.jp/kyc_passport_9_20260331_20260331.csv?signature=sample",
    "requestedAt": "1775012400",
}


class Ack:
    """Calls the ack path, and keeps what it queued."""

    def __init__(self) -> None:
        self.queued: list[str] = []
        self.send_error: Exception | None = None

    def __call__(
        self,
        fields: Mapping[str, Any] | None = None,
        *,
        body: str | None = None,
        source: str = SOURCE,
        cidrs: Sequence[str] = ("192.0.2.0/24", "13.112.237.64/32"),
        **event: Any,
    ) -> dict[str, Any]:
        request = {
            "requestContext": {"identity": {"sourceIp": source}},
            "body": body if fields is None else json.dumps(dict(fields), ensure_ascii=False),
            **event,
        }
        return webhook.acknowledge_paypay(request, source_cidrs=cidrs, send=self._send, send_recon_file=self._send)

    def event(self) -> Event:
        """The one event that was queued."""
        (text,) = self.queued
        return Event.from_json(text)

    def _send(self, text: str) -> str:
        if self.send_error:
            raise self.send_error
        self.queued.append(text)
        return "message-1"


def _set_queues(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("EVENT_QUEUE_URL", f"{QUEUES}/events")
    environment.setenv("RECON_NOTICE_QUEUE_URL", f"{QUEUES}/notifications")


@pytest.fixture
def ack(monkeypatch: pytest.MonkeyPatch) -> Ack:
    # The day is part of an event's id: it must not change while a test runs.
    _at(monkeypatch, "2026-04-01T03:00:00.000Z")
    return Ack()


def _at(monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """What the acknowledgement takes for the present moment."""
    monkeypatch.setattr(times, "utc_now", lambda: moment)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def refused(answer: Mapping[str, Any], ack: Ack, status: int = 400) -> bool:
    return answer["statusCode"] == status and answer["body"] != "OK" and ack.queued == []


# The answer and the event


@pytest.mark.parametrize(
    ("notification_type", "kind"),
    [
        ("kyc_passport.kyc_info.updated", "kyc"),
        ("kyc_passport.risk.update", "risk"),
        ("kyc_passport.account_status.updated", "account_status"),
    ],
)
def test_an_event_of_a_user_is_queued_and_answered_ok(ack: Ack, notification_type: str, kind: str) -> None:
    answer = ack(KYC | {"notification_type": notification_type})
    assert (answer["statusCode"], answer["body"]) == (200, "OK")
    assert answer["headers"] == {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}
    event = ack.event()
    assert event.event_id.rpartition(":")[0] == f"paypay:{kind}:evt_aXnbdeFt2Ke"
    assert (event.provider, event.kind, event.cause, event.subject) == ("paypay", kind, "webhook", USER)
    assert event.detail == {"type": notification_type}
    assert datetime.fromisoformat(event.received_at).tzinfo == UTC


def test_a_recon_notification_is_queued_with_its_file_type_its_url_and_its_time(ack: Ack) -> None:
    assert ack(RECON)["body"] == "OK"
    event = ack.event()
    assert (event.kind, event.subject) == ("recon_file", "kyc_passport_sync_recon")
    assert event.detail == {"type": "file.created", "path": RECON["path"], "requestedAt": "1775012400"}


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        ({}, True),
        # What else PayPay may add says nothing about the file.
        ({"note": "again"}, True),
        # Seconds as a number are the seconds as a text.
        ({"requestedAt": 1775012400}, True),
        ({"path": f"{RECON['path']}-renewed"}, False),
        ({"requestedAt": "1775016000"}, False),
        ({"notification_id": "1f8d7c1e-4b3a-4f5e-9c2d-1a2b3c4d5e6f"}, False),
    ],
    ids=["same", "more fields", "number", "another url", "another time", "another id"],
)
def test_a_recon_notifications_event_is_that_of_its_id_its_url_and_its_time(
    ack: Ack, other: dict[str, object], *, is_same: bool
) -> None:
    for fields in (RECON, RECON | other):
        assert ack(fields)["body"] == "OK"

    first, second = (Event.from_json(text).event_id for text in ack.queued)
    assert first.startswith(f"paypay:recon_file:{RECON['notification_id']}:")
    assert (first == second) == is_same


def test_an_unknown_file_type_is_queued_as_well(ack: Ack) -> None:
    assert ack(RECON | {"fileType": "payment_sync_recon"})["body"] == "OK"
    assert ack.event().subject == "payment_sync_recon"


FIELDS = ["user_authorization_id", "userAuthorizationId", "USER_AUTHORIZATION_ID", "UserAuthorizationID"]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    "notification_type",
    [
        "customer.authroization.succeeded",
        "customer.authroization.revoked",
        "customer.authorization.revoked",
        "CUSTOMER.AUTHORIZATION.REVOKED",
        "Customer.Authroization.anything.new",
    ],
)
def test_a_customer_event_is_a_hint_to_read_the_authorization(ack: Ack, field: str, notification_type: str) -> None:
    fields = {"notification_type": notification_type, "notificationId": "n-1", field: USER}
    assert ack(fields | {"nonce": "x", "scopes": ["a"], "expiry": 1})["body"] == "OK"
    event = ack.event()
    assert event.event_id.startswith("paypay:account_status:n-1:")
    assert (event.kind, event.subject) == ("account_status", USER)
    assert event.detail == {"type": notification_type}
    assert webhook.is_customer_event(notification_type)


@pytest.mark.parametrize(
    "notification_type", ["customer.authorization", "customer.authroization.", "xcustomer.authroization.x"]
)
def test_what_only_looks_like_a_customer_event_is_unrecognised(ack: Ack, notification_type: str) -> None:
    ack({"notification_type": notification_type, "user_authorization_id": USER})
    assert (ack.event().kind, ack.event().subject) == ("unrecognised", USER)


@pytest.mark.parametrize("field", FIELDS[1:])
def test_the_documents_spelling_of_a_name_comes_before_others(ack: Ack, field: str) -> None:
    ack({field: "another", **KYC})
    ack({**KYC, field: "another"})
    ack({**KYC, "user_authorization_id": None, field: "another"})
    assert [Event.from_json(text).subject for text in ack.queued] == [USER, USER, "another"]


@pytest.mark.parametrize("notification_type", ["KYC_PASSPORT.RISK.UPDATE", " kyc_passport.risk.update "])
def test_a_known_type_in_other_casing_is_known(ack: Ack, notification_type: str) -> None:
    ack(KYC | {"notification_type": notification_type})
    assert (ack.event().kind, ack.event().detail) == ("risk", {"type": notification_type.strip()})


# What makes an event the same


DAYS = {
    "2026-04-01T14:59:59.000Z": "2026-04-01",
    "2026-04-01T15:00:00.000Z": "2026-04-02",
    "2026-04-02T14:59:59.999Z": "2026-04-02",
}


@pytest.mark.parametrize("given", ["n-1", None])
def test_one_id_is_one_event_for_one_subject_and_one_jst_day(
    ack: Ack, monkeypatch: pytest.MonkeyPatch, given: str | None
) -> None:
    ids = {}
    for moment in DAYS:
        _at(monkeypatch, moment)
        for subject in ("a", "b"):
            for _ in range(2):
                ack(KYC | {"notification_id": given, "user_authorization_id": subject})
            first, again = (Event.from_json(text).event_id for text in ack.queued[-2:])
            assert first == again
            ids[subject, moment] = first
    assert len(set(ids.values())) == 4
    for (subject, moment), event_id in ids.items():
        same = {other for other, named in ids.items() if named == event_id}
        assert same == {(subject, each) for each in DAYS if DAYS[each] == DAYS[moment]}


@pytest.mark.parametrize("nest", [lambda several: several, lambda several: [several, []]], ids=["array", "nested"])
@pytest.mark.parametrize("given", ["1", None])
def test_one_id_is_one_event_for_one_type(ack: Ack, nest: Callable[[Any], Any], given: str | None) -> None:
    """PayPay may count each type of notification by itself; all these are one kind of ours, or two."""
    types = [
        "kyc_passport.account_status.updated",
        "customer.authroization.revoked",
        "customer.authroization.succeeded",
        "payment.completed",
        "payment.failed",
    ]
    base: dict[str, Any] = {**KYC, "notification_id": given}
    several = [base | {"notification_type": each} for each in types for _ in range(2)]
    ack(body=json.dumps(nest(several)))
    found = webhook.split_notifications(ack.event())
    assert [each.detail["type"] for each in found] == types
    ack.queued.clear()
    for each in several[::2]:
        ack(each)
    if given:
        assert [Event.from_json(text).event_id for text in ack.queued] == [each.event_id for each in found]


def test_a_hundred_notifications_in_one_array_are_a_hundred_events(ack: Ack) -> None:
    several = [KYC | {"notification_id": 1.0, "user_authorization_id": number} for number in range(100)]
    ack(body=json.dumps(several))
    found = webhook.split_notifications(ack.event())
    assert [each.subject for each in found] == [str(number) for number in range(100)]
    assert len({each.event_id for each in found}) == 100


@pytest.mark.parametrize("given", [USER, f"{USER}-1", f"evt:{USER}:2", f"x{USER}"])
@pytest.mark.parametrize("notification_type", [KYC["notification_type"], "payment.completed"])
def test_an_id_that_holds_the_authorization_is_hashed(ack: Ack, given: str, notification_type: str) -> None:
    """An event's id stays on the timeline after an erasure."""
    for _ in range(2):
        ack(KYC | {"notification_id": given, "notification_type": notification_type})
    ack(KYC | {"notification_id": f"{given}'", "notification_type": notification_type})
    first, again, another = (Event.from_json(text) for text in ack.queued)
    assert (first.subject, first.event_id) == (USER, again.event_id)
    assert USER not in first.event_id
    assert first.event_id != another.event_id


@pytest.mark.parametrize(
    "subject", ["AT#2026", "LINK", "PAYPAY#-", "USER#user-1", "ERASED", "several", "#", "-#0", ":"]
)
def test_an_id_that_looks_like_a_key_of_ours_is_an_id(ack: Ack, subject: str) -> None:
    ack(KYC | {"user_authorization_id": subject, "notification_id": f"EVENT#{subject}"})
    assert (ack.event().kind, ack.event().subject) == ("kyc", subject)


def test_an_event_id_says_nothing_of_its_user_and_fits_into_every_key(ack: Ack) -> None:
    ack(KYC | {"notification_id": "🙂" * 128, "user_authorization_id": "本" * 64})
    ack(RECON | {"notification_id": "🙂" * 128, "fileType": "本" * 128, "path": "x" * 4096})
    for text in ack.queued:
        event_id = Event.from_json(text).event_id
        assert "本" not in event_id
        # A sort key of DynamoDB has 1024 bytes, and `AT#<moment>#` comes before.
        assert len(event_id.encode()) < 600


def test_a_recon_notification_that_is_sent_again_on_another_day_is_another_event(
    ack: Ack, monkeypatch: pytest.MonkeyPatch
) -> None:
    # docs/providers.md §1.5: a resent one may be the very same message, byte for byte, days later.
    for moment in DAYS:
        _at(monkeypatch, moment)
        ack(RECON)
    first, second, third = (Event.from_json(text).event_id for text in ack.queued)
    assert first != second == third


def test_without_an_id_the_same_bytes_are_the_same_event(ack: Ack) -> None:
    fields = {name: value for name, value in KYC.items() if name != "notification_id"}
    ack(fields)
    ack(fields)
    ack(fields | {"user_authorization_id": "another"})
    digest = hashlib.sha256(json.dumps(fields).encode()).hexdigest()[:32]
    ids = [Event.from_json(text).event_id for text in ack.queued]
    assert ids[0] == ids[1]
    assert ids[0].startswith(f"paypay:kyc:body-{digest}:")
    assert ids[2] != ids[0]


UNUSABLE: list[Any] = [
    None,
    "",
    " ",
    True,
    False,
    [],
    {},
    ["x"],
    float("nan"),
    "a\nb",
    "a\u202eb",
    "a\u200fb",
    "\ud800",
    "x" * 20_000,
]


@pytest.mark.parametrize("value", UNUSABLE, ids=repr)
def test_an_id_that_is_none_leaves_the_hash(ack: Ack, value: object) -> None:
    ack(KYC | {"notification_id": value})
    assert ack.event().event_id.startswith("paypay:kyc:body-")
    assert ack.event().subject == USER


@pytest.mark.parametrize(
    ("written", "text"),
    [("42", "42"), ("-7", "-7"), ("0", "0"), ("12.50", "12.50"), ("1E3", "1E3"), (str(2**53 + 1), str(2**53 + 1))],
)
def test_a_number_is_the_text_that_was_sent(ack: Ack, written: str, text: str) -> None:
    # As a float it might be another number than PayPay meant.
    body = json.dumps(KYC | {"notification_id": 1, "user_authorization_id": 2})
    ack(body=body.replace(": 1,", f": {written},").replace(": 2}", f": {written}}}"))
    assert ack.event().subject == text
    assert ack.event().event_id.startswith(f"paypay:kyc:{text}:")
    ack(KYC | {"notification_id": text, "user_authorization_id": text})
    first, second = (Event.from_json(each) for each in ack.queued)
    assert first.subject == second.subject


# What names no event


def _is_unrecognised(answer: Mapping[str, Any], ack: Ack, body: bytes, subject: str = UNNAMED) -> bool:
    event = ack.event()
    assert (answer["statusCode"], answer["body"]) == (200, "OK")
    assert event.detail["sha256"] == hashlib.sha256(body).hexdigest()
    return (event.kind, event.subject) == ("unrecognised", subject)


@pytest.mark.parametrize(
    "body",
    [
        '"text"', "123", "-0.5", "null", "true", "[]", "[[], [[]]]", "{}", "[1, null, {}]", '{"name": "見本 花子"}',
        "\ufeff{}",
        "[" * 20_000 + "]" * 20_000, '{"a":' * 10_000 + "1" + "}" * 10_000, f'{{"a": {"1" * 60_000}}}', "1e999",
    ],
    ids=lambda body: body[:12],
)  # fmt: skip
def test_json_that_names_no_event_is_queued_as_its_hash(ack: Ack, body: str) -> None:
    assert _is_unrecognised(ack(body=body), ack, body.encode())
    assert set(ack.event().detail) == {"sha256"}


@pytest.mark.parametrize("value", [*UNUSABLE, "-", "x" * 65], ids=repr)
@pytest.mark.parametrize("notification_type", [*list(webhook.PAYPAY_KINDS)[:3], "customer.authroization.revoked"])
def test_an_event_of_a_user_that_names_none_is_unrecognised(ack: Ack, notification_type: str, value: object) -> None:
    body = json.dumps(KYC | {"notification_type": notification_type, "user_authorization_id": value})
    assert _is_unrecognised(ack(body=body), ack, body.encode())
    assert ack.event().detail["type"] == notification_type


@pytest.mark.parametrize("value", [*UNUSABLE, 7, "x" * 129, "payment.completed"], ids=repr)
def test_a_type_that_is_none_or_unknown_is_unrecognised_under_its_user(ack: Ack, value: object) -> None:
    body = json.dumps(KYC | {"notification_type": value})
    assert _is_unrecognised(ack(body=body), ack, body.encode(), USER)
    known = {"type": str(value)} if value in (7, "payment.completed") and value is not True else {}
    assert {name: each for name, each in ack.event().detail.items() if name != "sha256"} == known


@pytest.mark.parametrize("value", UNUSABLE, ids=lambda value: repr(value)[:20])
def test_a_notification_without_a_url_is_unrecognised(ack: Ack, value: object) -> None:
    body = json.dumps(RECON | {"path": value})
    assert _is_unrecognised(ack(body=body), ack, body.encode())
    assert ack.event().detail["type"] == "file.created"


@pytest.mark.parametrize("value", UNUSABLE, ids=lambda value: repr(value)[:20])
def test_a_notification_without_a_type_is_of_a_file_all_the_same(ack: Ack, value: object) -> None:
    """Its name says the type."""
    ack(RECON | {"fileType": value})
    assert (ack.event().kind, ack.event().subject) == ("recon_file", UNNAMED)


@pytest.mark.parametrize("field", KYC)
def test_what_is_missing_is_no_reason_to_refuse(ack: Ack, field: str) -> None:
    assert ack({name: value for name, value in KYC.items() if name != field})["statusCode"] == 200
    assert ack.event().kind == ("kyc" if field == "notification_id" else "unrecognised")


# Arrays


def _several(ack: Ack) -> list[Event]:
    event = ack.event()
    assert (event.kind, event.subject) == (webhook.SEVERAL, UNNAMED)
    return webhook.split_notifications(event)


@pytest.mark.parametrize("nest", [lambda each: each, lambda each: [[each], []]], ids=["flat", "nested"])
def test_an_array_is_its_elements_each_once(ack: Ack, nest: Callable[[Any], Any]) -> None:
    other = KYC | {"user_authorization_id": "another"}
    body = json.dumps([nest(each) for each in (KYC, other, RECON, KYC)])
    assert ack(body=body)["body"] == "OK"
    events = _several(ack)
    assert [(each.kind, each.subject) for each in events] == [
        ("kyc", USER),
        ("kyc", "another"),
        ("recon_file", RECON["fileType"]),
    ]
    alone = Ack()
    for each in (KYC, other, RECON):
        alone(each)
    assert [each.event_id for each in events] == [Event.from_json(text).event_id for text in alone.queued]
    assert events[2].detail == Event.from_json(alone.queued[2]).detail


def test_an_array_of_one_notification_is_that_one(ack: Ack) -> None:
    ack(body=json.dumps([KYC]))
    ack(KYC)
    first, second = (Event.from_json(text) for text in ack.queued)
    assert first.event_id == second.event_id


def test_elements_that_name_no_event_are_one_event_together(ack: Ack) -> None:
    body = json.dumps([None, KYC, "text", {"name": "見本 花子"}, {"notification_type": "payment.completed"}])
    ack(body=body)
    assert "見本" not in ack.queued[0]
    user, other = _several(ack)
    assert user.subject == USER
    assert (other.kind, other.subject) == ("unrecognised", UNNAMED)
    assert other.detail == {"type": "payment.completed", "sha256": hashlib.sha256(body.encode()).hexdigest()}


@pytest.mark.parametrize(
    "element",
    ["1", "{}", '{"userAuthorizationId":"%d"}',
     json.dumps(KYC | {"notification_id": "%d"}), json.dumps(RECON | {"path": "%d"})],
    ids=["numbers", "empty", "users", "kyc", "recon"],
)  # fmt: skip
def test_the_longest_array_is_one_message_that_sqs_takes(ack: Ack, element: str) -> None:
    elements: list[str] = []
    size = 2
    while (size := size + len(each := element.replace("%d", str(len(elements)))) + 1) <= MAX_BODY_BYTES:
        elements.append(each)
    assert ack(body=f"[{','.join(elements)}]")["statusCode"] == 200
    assert len(ack.queued[0].encode()) < 256 * 1024
    if "%d" in element:
        assert len(_several(ack)) == len(elements)


def test_half_width_katakana_of_shift_jis_fit_as_well(ack: Ack) -> None:
    # One byte each in Shift_JIS, three in UTF-8.
    element = json.dumps({"user_authorization_id": "?" * 64}).encode().replace(b"?", b"\xb1")
    # Only what breaks when it is read as UTF-8 is read as Shift_JIS: the second byte of 表 is a backslash.
    message = json.dumps({"message": "表"}, ensure_ascii=False).encode("cp932")
    body = b"[" + b",".join([message] + [element.replace(b"\xb1", b"%d" % (n % 10), 1) for n in range(690)]) + b"]"
    assert len(body) <= MAX_BODY_BYTES
    assert ack(body=base64.b64encode(body).decode(), isBase64Encoded=True)["statusCode"] == 200
    assert len(ack.queued[0].encode()) < 256 * 1024
    assert _several(ack)[0].subject == "0" + "ｱ" * 63


def test_a_base64_body_is_the_same_event_as_the_plain_one(ack: Ack) -> None:
    fields = {name: value for name, value in KYC.items() if name != "notification_id"}
    body = json.dumps(fields)
    ack(body=body)
    ack(body=base64.b64encode(body.encode()).decode(), isBase64Encoded=True)
    assert Event.from_json(ack.queued[0]).event_id == Event.from_json(ack.queued[1]).event_id


def test_of_a_repeated_key_the_last_counts(ack: Ack) -> None:
    ack(body=json.dumps(KYC)[:-1] + ', "user_authorization_id": "last"}')
    assert ack.event().subject == "last"


# Refusals


@pytest.mark.parametrize("source", ["203.0.113.9", "13.112.237.65", "2001:db8::1", "::ffff:13.112.237.64", "", "me"])
def test_another_address_is_403_with_a_line_and_the_address(
    ack: Ack, capsys: pytest.CaptureFixture[str], source: str
) -> None:
    assert refused(ack(KYC, source=source), ack, 403)
    rejected, refusal = lines(capsys)
    assert rejected["counted"] == "SourceAddressRejected"
    assert (rejected["provider"], rejected["source_ip"]) == ("paypay", source)
    assert (refusal["counted"], refusal["status"]) == ("WebhookRefused", 403)


def test_x_forwarded_for_is_not_used(ack: Ack) -> None:
    assert refused(ack(KYC, source="203.0.113.9", headers={"X-Forwarded-For": SOURCE}), ack, 403)


@pytest.mark.parametrize("encoded", [False, True])
@pytest.mark.parametrize(("over", "status"), [(-1, 200), (0, 200), (1, 400)])
def test_64_kib_are_taken_and_a_byte_more_is_not(ack: Ack, *, encoded: bool, over: int, status: int) -> None:
    # Three bytes a letter: bytes count, not characters.
    body = json.dumps(KYC | {"note": "本" * 1000}, ensure_ascii=False)[:-1]
    body += " " * (MAX_BODY_BYTES + over - len(body.encode()) - 1) + "}"
    assert len(body.encode()) == MAX_BODY_BYTES + over
    text = base64.b64encode(body.encode()).decode() if encoded else body
    assert ack(body=text, isBase64Encoded=encoded)["statusCode"] == status
    assert len(ack.queued) == (status == 200)


@pytest.mark.parametrize(
    ("body", "encoded"),
    [
        (None, False),
        ("", False),
        ("{", False),
        ("text", False),
        ("[1,]", False),
        ("\ud800", False),
        ("\ufeff", False),
        ("not base64!", True),
        ("本", True),
        (base64.b64encode(b"\xff\xfe").decode(), True),
        (base64.b64encode(json.dumps(KYC).encode("utf-16")).decode(), True),
        ("", True),
    ],
)
def test_what_is_no_json_is_400(ack: Ack, body: str | None, *, encoded: bool) -> None:
    assert refused(ack(body=body, isBase64Encoded=encoded), ack)


UNCLEAN = {
    "a byte order mark": b"\xef\xbb\xbf" + json.dumps(KYC).encode(),
    "a byte that is no UTF-8": json.dumps(KYC | {"message": "?"}).encode().replace(b"?", b"\xff"),
    "Shift_JIS with a backslash inside": json.dumps(KYC | {"message": "表"}, ensure_ascii=False).encode("cp932"),
    "half a surrogate pair": json.dumps(KYC | {"message": "?"}).encode().replace(b"?", b"\xed\xa0\x80"),
    "a line end inside a text": json.dumps(KYC | {"message": "?"}).encode().replace(b"?", b"a\r\nb\x00"),
}


@pytest.mark.parametrize("how", UNCLEAN)
def test_what_decides_is_read_however_unclean_the_rest_is(ack: Ack, how: str) -> None:
    assert ack(body=base64.b64encode(UNCLEAN[how]).decode(), isBase64Encoded=True)["body"] == "OK"
    assert ack.event().subject == KYC["user_authorization_id"]


def test_a_byte_order_mark_in_a_body_that_comes_as_text(ack: Ack) -> None:
    assert ack(body="\ufeff" + json.dumps(KYC))["body"] == "OK"


@pytest.mark.parametrize("field", KYC)
@pytest.mark.parametrize("stray", [b"\xff", b"\xed\xa0\x80", b"\x95\x5c\x5c"])
def test_an_unclean_text_is_no_id(ack: Ack, field: str, stray: bytes) -> None:
    body = json.dumps(KYC | {field: "abc?def"}).encode().replace(b"?", stray)
    assert ack(body=base64.b64encode(body).decode(), isBase64Encoded=True)["statusCode"] == 200
    assert "abc" not in ack.queued[0]
    assert ack.event().kind == ("kyc" if field == "notification_id" else "unrecognised")


@pytest.mark.parametrize(
    ("base", "field", "longest"),
    [
        (KYC, "notification_type", 128),
        (KYC, "notification_id", 128),
        (KYC, "user_authorization_id", 64),
        (RECON, "fileType", 128),
        (RECON, "path", 16 * 1024),
    ],
)
def test_the_length_of_each_field(ack: Ack, base: dict[str, str], field: str, longest: int) -> None:
    for length, is_taken in ((0, False), (1, True), (longest, True), (longest + 1, False)):
        text = "x" * length
        assert ack(base | {field: text})["statusCode"] == 200
        event = Event.from_json(ack.queued[-1])
        held = (event.subject, event.event_id.split(":")[2], *event.detail.values())
        assert (text in held) == is_taken, length


@pytest.mark.parametrize("mark", ["\u061c", "\u2028", "\u2029"])
def test_marks_of_direction_and_line_are_in_no_id(ack: Ack, mark: str) -> None:
    ack(KYC | {"notification_id": f"a{mark}b"})
    assert mark not in ack.queued[0]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *(("1775012400", "1775012400"), ("1775012400123", "1775012400123"), (1775012400, "1775012400")),
        *((1775012400.0, "1775012400.0"), (" 1775012400 ", "1775012400"), ("now", "now"), (-1, "-1")),
        ("2026-04-01T12:00:00+09:00", "2026-04-01T12:00:00+09:00"),
    ],
)
def test_requested_at_goes_on_as_it_came(ack: Ack, value: object, text: str) -> None:
    assert ack(RECON | {"requestedAt": value})["body"] == "OK"
    assert (ack.event().kind, ack.event().detail["requestedAt"]) == ("recon_file", text)


@pytest.mark.parametrize("value", [*UNUSABLE, [1775012400], 10**70], ids=lambda value: repr(value)[:20])
def test_no_requested_at_is_refused(ack: Ack, value: object) -> None:
    assert ack(RECON | {"requestedAt": value})["body"] == "OK"
    assert ack.event().kind == "recon_file"
    assert ack.event().detail == {"type": "file.created", "path": RECON["path"]}


@pytest.mark.parametrize("cidrs", ["", " , ", "192.0.2.1/24", "nonsense"])
def test_a_list_of_addresses_that_cannot_be_read_lets_nobody_in(monkeypatch: pytest.MonkeyPatch, cidrs: str) -> None:
    monkeypatch.setenv("PAYPAY_SOURCE_CIDRS", cidrs)
    _set_queues(monkeypatch)
    request = {"requestContext": {"identity": {"sourceIp": SOURCE}}, "body": json.dumps(KYC)}
    assert load("paypay_kyc_webhook").lambda_handler(request, None)["statusCode"] == 403


GOOD = f"{SOURCE}/32"
BAD_ENTRIES = [
    "nonsense", "13.112.237.64/33", "10.0.0.1-10.0.0.9", "*", f"{SOURCE}/", "fe80::1%eth0", "fe80::1%1/64", "1.2.3/24",
    "013.112.237.64", f"{SOURCE}/0", "2001:db8::/0", "2001:db8::/129", "１.2.3.4", "52.68.128.8 52.68.128.84", "[::1]",
    "https://paypay.ne.jp", "paypay.ne.jp", "0.0.0.0/0.0.0.0", "\u200b13.112.237.64/32",
]  # fmt: skip


def _faults(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [each for each in lines(capsys) if "ConfigurationFault" in each]


@pytest.mark.parametrize("place", ["{bad},{good}", "{good},{bad}", "{good},{bad},", " {bad} , {good} "])
@pytest.mark.parametrize("bad", BAD_ENTRIES)
def test_one_bad_entry_excludes_itself_and_counts_a_fault_once(
    ack: Ack, capsys: pytest.CaptureFixture[str], bad: str, place: str
) -> None:
    cidrs = place.format(bad=bad, good=GOOD).split(",")
    webhook._networks.cache_clear()

    assert ack(KYC, cidrs=cidrs)["statusCode"] == 200
    [fault] = _faults(capsys)
    assert fault["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]], "ConfigurationFaultAlarm's"
    assert bad.strip() in fault["reason"]
    assert ack(KYC, cidrs=cidrs, source="203.0.113.99")["statusCode"] == 403, "nobody else is let in for it"
    assert not _faults(capsys)


@pytest.mark.parametrize(
    "cidrs", [f"{GOOD},", f",{GOOD}", f" {GOOD} ,, ", f"2001:db8::/32,{GOOD}", SOURCE, "0.0.0.0/0"]
)
def test_empties_and_white_space_are_no_fault(ack: Ack, capsys: pytest.CaptureFixture[str], cidrs: str) -> None:
    webhook._networks.cache_clear()
    assert ack(KYC, cidrs=cidrs.split(","))["statusCode"] == 200
    assert not _faults(capsys)


@pytest.mark.parametrize("cidrs", ["", ",", " , ", "nonsense", f"{SOURCE}/0"])
def test_where_nothing_valid_remains_every_call_is_refused_with_a_fault(
    ack: Ack, capsys: pytest.CaptureFixture[str], cidrs: str
) -> None:
    for _ in range(2):
        assert ack(KYC, cidrs=cidrs.split(","))["statusCode"] == 403
        assert _faults(capsys)


# The queue


@pytest.mark.parametrize("name", HANDLERS)
@pytest.mark.parametrize(
    ("fields", "queue"),
    [
        (KYC, "events"),
        (KYC | {"notification_type": "kyc_passport.risk.update"}, "events"),
        (KYC | {"notification_type": "kyc_passport.account_status.updated"}, "events"),
        (KYC | {"notification_type": "file.deleted"}, "events"),
        (RECON, "notifications"),
    ],
)
def test_the_queue_is_chosen_by_the_kind_whatever_url_it_came_to(
    monkeypatch: pytest.MonkeyPatch, name: str, fields: dict[str, Any], queue: str
) -> None:
    sent: list[tuple[str, str]] = []

    def send(url: str, body: str) -> str:
        sent.append((url, Event.from_json(body).kind))
        return "m-1"

    monkeypatch.setenv("PAYPAY_SOURCE_CIDRS", f"{SOURCE}/32")
    _set_queues(monkeypatch)
    monkeypatch.setattr(webhook, "send_message", send)
    request = {"requestContext": {"identity": {"sourceIp": SOURCE}}, "body": json.dumps(fields)}

    assert load(name).lambda_handler(request, None)["statusCode"] == 200

    assert sent == [(f"{QUEUES}/{queue}", PAYPAY_KINDS.get(fields["notification_type"], "unrecognised"))]


@pytest.mark.parametrize("character", ["\ufffe", "\uffff"])
def test_no_character_that_sqs_refuses_is_queued(ack: Ack, character: str) -> None:
    # SQS API reference, SendMessage, MessageBody: #x9 | #xA | #xD | #x20-#xD7FF | #xE000-#xFFFD | #x10000-#x10FFFF.
    answer = ack(KYC | {"notification_id": f"evt{character}"})
    assert answer["statusCode"] in (200, 400)
    assert all(character not in text for text in ack.queued)


def test_503_and_a_metric_when_the_queue_does_not_take_it(ack: Ack, capsys: pytest.CaptureFixture[str]) -> None:
    ack.send_error = SendError("SQS did not accept the message: TimeoutError")
    assert ack(KYC)["statusCode"] == 503
    [line] = lines(capsys)
    assert line["counted"] == "EventNotQueued"
    assert line["event_id"].startswith("paypay:kyc:evt_aXnbdeFt2Ke:")


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize(
    ("replies", "status", "calls"),
    [
        pytest.param([Reply(500), Reply(200, b'{"MessageId": "m-1"}')], 200, 2, id="down once"),
        pytest.param([Reply(503)], 503, 2, id="down"),
        pytest.param([Reply(wait_s=5)], 503, 2, id="silent"),
        pytest.param([Reply(instead="reset")], 503, 2, id="reset"),
    ],
)
def test_sqs_down_is_one_retry_and_503_within_a_second(
    monkeypatch: pytest.MonkeyPatch, replies: list[Reply], status: int, calls: int
) -> None:
    monkeypatch.setenv("PAYPAY_SOURCE_CIDRS", f" 192.0.2.0/24 , {SOURCE}/32")
    _set_queues(monkeypatch)
    handler = load("paypay_kyc_webhook").lambda_handler
    request = {"requestContext": {"identity": {"sourceIp": SOURCE}}, "body": json.dumps(KYC)}
    with LoopbackServer(*replies) as sqs:
        monkeypatch.setenv("AWS_ENDPOINT_URL", sqs.url)
        begun = time.monotonic()
        answer = handler(request, None)
        # 1.0 s for the queue, and some for a machine with other work.
        assert time.monotonic() - begun < 1.2
    assert answer["statusCode"] == status
    assert len(sqs.received) == calls


# What is printed


@pytest.mark.parametrize("status", [200, 400, 403, 503])
def test_nothing_of_the_body_is_printed_but_ids(ack: Ack, capsys: pytest.CaptureFixture[str], status: int) -> None:
    fields: dict[str, Any] = KYC | {"name": "見本 花子", "phone": "08012345678", "nonce": "n0nce"}
    body = json.dumps(fields, ensure_ascii=False) + ("x" if status == 400 else "")
    if status == 503:
        ack.send_error = SendError("SQS did not accept the message: TimeoutError")
    assert ack(body=body, source="203.0.113.9" if status == 403 else SOURCE)["statusCode"] == status
    printed = capsys.readouterr()
    assert printed.err == ""
    for secret in (USER, "見本", "\\u898b", "08012345678", "n0nce", "kyc_info.updated"):
        assert secret not in printed.out
    assert ("evt_aXnbdeFt2Ke" in printed.out) == (status in (200, 503))


def test_the_url_of_a_recon_file_is_not_printed(ack: Ack, capsys: pytest.CaptureFixture[str]) -> None:
    ack(RECON)
    assert "recon.example.jp" not in capsys.readouterr().out


# Bad input: at least 2,000 generated requests over the four functions, and what they queued goes on to the table

EXAMPLES = 600

_marks = st.sampled_from(
    ["\u202e", "\u200f", "\u061c", "\x00", "\x1b[31m", "\r\n", "\u2028", "\ud800", "\udfff", "\ufeff"]
)
_texts = st.one_of(
    st.text(max_size=20),
    st.text(st.characters(codec=None), max_size=8),
    st.builds("".join, st.lists(st.one_of(_marks, st.text(max_size=4)), max_size=4)),
    st.builds(lambda text, times: text * times, st.sampled_from(["x", "本", "🙂", "e\u0301"]), st.integers(1, 200)),
    st.sampled_from(["null", "-", "../../x", "' OR 1=1", "${jndi:ldap://x}", "USER#victim", "n-1:link", "%00", "本人"]),
)
_numbers = st.one_of(
    st.integers(),
    st.integers(10**9, 10**13),
    st.sampled_from([10**400, -(10**400), float("nan"), float("inf"), float("-inf"), 1e308, 5e-324]),
)
_leaves = st.one_of(st.none(), st.booleans(), _numbers, _texts)
_values = st.recursive(
    _leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_texts, inner, max_size=3)),
    max_leaves=8,
)
_types = st.sampled_from(
    [
        *webhook.PAYPAY_KINDS,
        *webhook.PAYPAY_KINDS,
        "customer.authroization.succeeded",
        "customer.authorization.revoked",
        "KYC_PASSPORT.RISK.UPDATE",
        "kyc_passport.risk.update ",
    ]
)
_ids = st.sampled_from([USER, "unknown-1", "unknown-2", USER.upper(), f" {USER}", f"{USER}\x00", f"{USER}#", "-"])
_paths = st.sampled_from(
    [
        RECON["path"],
        "file:///etc/passwd",
        "https://a/%2e%2e%2f.csv",
        "https://a/..",
        "//169.254.169.254/latest",
        "https://a/kyc_passport_9_99999999_00000000.csv",
        "javascript:alert(1)",
    ]
)


def _mostly(good: st.SearchStrategy[Any], bad: st.SearchStrategy[Any], times: int = 12) -> st.SearchStrategy[Any]:
    """`good` so many times as often as `bad`. (`one_of` would count the branches inside both.)"""
    return st.sampled_from([good] * times + [bad]).flatmap(lambda chosen: chosen)


def _often(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return _mostly(good, _values)


_fields = st.fixed_dictionaries(
    {"notification_type": _often(_types)},
    optional={
        "notification_id": _often(st.text("abc012:-", min_size=1, max_size=6)),
        "user_authorization_id": _often(_ids),
        "userAuthorizationId": _often(_ids),
        "fileType": _often(st.sampled_from(["kyc_passport_sync_recon", "kyc_passport_risk_sync_recon", "other"])),
        "path": _mostly(_paths, _texts),
        "requestedAt": _often(
            st.sampled_from(["1775012400", "1775012400000", 1775012400, "9999999999999", "0000000000"])
        ),
        "extra": _values,
    },
)


def _dumped(fields: dict[str, Any], *, ascii_only: bool, repeated: list[tuple[str, Any]]) -> str:
    """The fields as JSON, some of the keys twice."""
    text = json.dumps(fields, ensure_ascii=ascii_only)
    for name, value in repeated:
        text = f"{text[:-1]}, {json.dumps(name)}: {json.dumps(value, ensure_ascii=ascii_only)}}}"
    return text


_notifications = st.builds(
    _dumped,
    _fields,
    ascii_only=st.booleans(),
    repeated=_mostly(st.just([]), st.lists(st.tuples(st.sampled_from([*KYC, *RECON]), _values), max_size=2), 6),
)
_broken = st.one_of(
    st.builds(lambda text, at: text[:at], _notifications, st.integers(0, 200)),
    st.builds(json.dumps, _values),
    _texts,
    st.builds(
        lambda opening, times: opening * times,
        st.sampled_from(["[", '{"a":', "[[{", "1", "-", '"']),
        st.integers(1, 70_000),
    ),
    st.builds(lambda digits: f'{{"requestedAt": {"9" * digits}}}', st.integers(1, 6000)),
)
# Or hypothesis would write out what all of it is made of.
_deferred = st.deferred(lambda: _notifications)
_arrays = st.builds(
    lambda elements: f"[{','.join(elements)}]",
    st.lists(st.one_of(_deferred, st.builds(json.dumps, _values)), max_size=4),
)
_bodies = _mostly(st.one_of(_deferred, _deferred, _arrays), st.one_of(st.none(), _broken), 3)


def _wrapped(text: str | None, how: str, noise: bytes) -> tuple[str | None, object]:
    """A body as API Gateway would hand it over: plain, or base64 of bytes that need not be UTF-8."""
    if text is None or how == "plain":
        return text, False
    if how == "not base64":
        return text, True
    data = text.encode("utf-8", "surrogatepass") + (noise if how == "noise" else b"")
    return base64.b64encode(data).decode(), True


_wraps = st.sampled_from(["plain", "plain", "plain", "base64", "noise", "not base64"])
_headers = st.one_of(
    st.none(),
    st.just({}),
    st.dictionaries(
        st.one_of(_texts, st.sampled_from(["Content-Type", "X-Forwarded-For"])), st.one_of(st.none(), _texts)
    ),
)


def _request(body: tuple[str | None, object], headers: object, path: object, source: str) -> dict[str, Any]:
    return {
        "resource": path,
        "path": path,
        "pathParameters": None if path is None else {"proxy": path},
        "queryStringParameters": None if path is None else {"q": path},
        "headers": headers,
        "requestContext": {"identity": {"sourceIp": source}},
        "body": body[0],
        "isBase64Encoded": body[1],
    }


_requests = st.builds(
    _request,
    st.builds(_wrapped, _bodies, _wraps, st.binary(min_size=1, max_size=4)),
    _headers,
    st.one_of(st.none(), _texts, st.sampled_from(["/webhooks/paypay/kyc", "/../..", "//", "/%00"])),
    _mostly(st.just(SOURCE), _texts),
)


class UnknowingPayPay(PayPayClient):
    """PayPay with one flagged user; it knows nobody else, and refuses what is no id at all."""

    def __init__(self) -> None:
        """Needs nothing."""

    def kyc_info(
        self,
        user_authorization_id: str,
        required_kyc_type: str | None = None,
        *,
        begins: Begins = no_action,
    ) -> KycReading:
        """Get the KYC information."""
        return self.kyc_passport(user_authorization_id)

    def kyc_passport(self, user_authorization_id: str, *, begins: Begins = no_action) -> KycReading:
        """Get the KYC information of a KYC Passport client."""
        if user_authorization_id != USER:
            raise UserAnswerError("paypay", "invalid", http_status=401, code="INVALID_USER_AUTHORIZATION_ID")
        raise UserAnswerError("paypay", "flagged", http_status=400, code="UNACCEPTABLE_OP")

    def user_authorization(self, user_authorization_id: str, *, begins: Begins = no_action) -> AuthorizationReading:
        """Get the state of an authorization."""
        if user_authorization_id == USER:
            found = {"status": "ACTIVE", "referenceIds": ["named"], "scopes": []}
            return AuthorizationReading(UserAuthorization.model_validate(found))
        if len(user_authorization_id) < 5:
            raise ProviderRefusedError("paypay", "invalid", http_status=400, code="INVALID_REQUEST_PARAMS")
        raise UserAnswerError("paypay", "unknown", http_status=401, code="INVALID_USER_AUTHORIZATION_ID")


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the functions queued; the queue refuses what SQS would refuse."""
    taken: list[str] = []

    def send(url: str, body: str) -> str:
        if any(character in body for character in "\ufffe\uffff"):
            raise SendError("SQS did not accept the message: SQS answered 400")
        taken.append(body)
        return "m-1"

    monkeypatch.setenv("PAYPAY_SOURCE_CIDRS", f"{SOURCE}/32")
    _set_queues(monkeypatch)
    monkeypatch.setattr(webhook, "send_message", send)
    return taken


@pytest.fixture
def store() -> Iterator[Store]:
    """A table with two users who have linked: `named`, whose id the requests use, and `bystander`."""
    with memory_aws():
        s3("vault")
        db = dynamodb()
        store = Store(create_table(db, "StateTable"), db)
        for user_id, linked in (("named", USER), ("bystander", "0a1b2c3d-0000-4000-8000-000000000001")):
            after = paypay_user(user_id, "VERIFIED", linked=linked, scopes=("get_kyc_info",))
            at = "2026-04-01T03:00:00.000Z"
            store.events.apply(Effect(f"api:{user_id}", "linked", "api", at, None, after, {}, links=True))
        yield store


def _events(text: str) -> list[Event]:
    """The events of a message: those of an array are its elements."""
    event = Event.from_json(text)
    return webhook.split_notifications(event) if event.kind == webhook.SEVERAL else [event]


def _processed(store: Store, texts: list[str], recon_types: tuple[str, ...] = ()) -> None:
    def now() -> datetime:
        return datetime.now(UTC)

    rule = PayPayNotifications(
        store=store,
        client=UnknowingPayPay(),
        archive=KycArchive(Vault("vault", s3()), Selfies(())),
        rules=RULES,
        now=now,
    )
    publisher = Publisher("bus", store, FakeBus().client)
    recon = ReconNotifications(store, recon_types)
    processor = EventProcessor(store=store, publisher=publisher, vexora=FakeVexora(), now=now, paypay=rule, recon=recon)
    for text in texts:
        processor.process(Event.from_json(text))


@pytest.mark.timeout(300)
def test_no_request_breaks_a_function_and_none_moves_a_user_it_does_not_name(queue: list[str], store: Store) -> None:
    handlers: list[Callable[[Mapping[str, Any], None], dict[str, Any]]] = [
        load(name).lambda_handler for name in HANDLERS
    ]
    statuses: list[int] = []

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(handler=st.sampled_from(handlers), request=_requests)
    def send(handler: Callable[[Mapping[str, Any], None], dict[str, Any]], request: dict[str, Any]) -> None:
        before = len(queue)
        with redirect_stdout(StringIO()):
            answer = handler(request, None)
        statuses.append(answer["statusCode"])
        assert answer["statusCode"] in (200, 400, 403)
        assert len(queue) - before == (answer["statusCode"] == 200)
        for text in queue[before:]:
            event = Event.from_json(text)
            text.encode()  # no half of a surrogate pair
            assert event.provider == "paypay"
            assert event.cause == "webhook"

    send()
    assert len(statuses) >= 500
    assert statuses.count(200) >= 100
    assert len(set(statuses)) >= 3

    # As the processor does it: an array comes back as its elements.
    split = [each.to_json() for text in queue for each in _events(text)]
    assert len(split) > len(queue)

    untouched = [store.users.status(user_id, "paypay") for user_id in ("bystander", "named")]
    _processed(store, [text for text in split if Event.from_json(text).subject != USER])
    assert [store.users.status(user_id, "paypay") for user_id in ("bystander", "named")] == untouched
    assert all(len(store.users.timeline(user_id, 5)[0]) == 1 for user_id in ("bystander", "named"))

    # Those that name a user are hints all the same: the user becomes what PayPay says, and nobody else moves.
    _processed(store, [text for text in split if Event.from_json(text).subject == USER])
    assert store.users.status("bystander", "paypay") == untouched[0]
    named = store.users.status("named", "paypay")
    assert named is not None
    assert named.status in ("VERIFIED", "RISK_FLAGGED")


_small_notifications = st.fixed_dictionaries(
    {"notification_type": _types},
    optional={
        "user_authorization_id": st.one_of(_ids, st.integers(), st.none()),
        "notification_id": st.one_of(st.none(), st.integers(), st.text("ab", max_size=3)),
        "fileType": _ids,
        "path": _paths,
    },
)
_json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), _small_notifications),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=12,
)


def _said(value: Any) -> set[str]:
    """The users whom known types name in the document's own form, at any depth of arrays."""
    if isinstance(value, list):
        return set().union(*map(_said, value))
    if not isinstance(value, dict) or value.get("notification_type") not in list(webhook.PAYPAY_KINDS)[:3]:
        return set()
    named = value.get("user_authorization_id")
    is_id = isinstance(named, str) and len(named) <= 64 and named.strip() not in ("", "-") and named.isprintable()
    return {named.strip()} if isinstance(named, str) and is_id else set()


@settings(max_examples=400, suppress_health_check=list(HealthCheck))
@given(value=_json_values, ascii_only=st.booleans())
def test_any_json_value_is_answered_ok_and_queued_and_loses_no_user(value: object, *, ascii_only: bool) -> None:
    ack = Ack()
    with redirect_stdout(StringIO()):
        answer = ack(body=json.dumps(value, ensure_ascii=ascii_only))
    assert (answer["statusCode"], answer["body"]) == (200, "OK")
    event = ack.event()
    events = _events(event.to_json())
    assert events
    assert _said(value) <= {each.subject for each in events if each.kind in ("kyc", "risk", "account_status")}
    for each in events:
        assert Event.from_json(each.to_json()) == each
        each.to_json().encode()


@settings(max_examples=400, suppress_health_check=list(HealthCheck))
@given(text=st.one_of(st.text(), st.builds(lambda value, at: json.dumps(value)[:-at], _json_values, st.integers(1, 9))))
def test_only_what_is_no_json_is_400(text: str) -> None:
    try:
        json.loads(text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape"), strict=False)
        is_json = True
    except ValueError:
        is_json = False
    ack = Ack()
    with redirect_stdout(StringIO()):
        assert ack(body=text)["statusCode"] == (200 if is_json else 400)
    assert len(ack.queued) == is_json


def test_the_same_requests_do_move_the_user_they_name(queue: list[str], store: Store) -> None:
    # Else the test above would show nothing.
    request = {"requestContext": {"identity": {"sourceIp": SOURCE}}, "body": json.dumps(KYC)}
    load("paypay_recon_webhook").lambda_handler(request, None)
    _processed(store, queue)
    status = store.users.status("named", "paypay")
    assert status is not None
    assert status.status == "RISK_FLAGGED"


def test_the_very_same_notification_a_day_later_lets_the_file_be_fetched_again(ack: Ack, store: Store) -> None:
    types = (RECON["fileType"],)
    ack(RECON)
    _processed(store, ack.queued, types)
    [found] = store.notifications.to_fetch()
    assert store.notifications.end(found, "the response was HTTP 403")

    again = Event.from_json(ack.queued[0])
    again.received_at = "2099-04-02T03:00:00.000Z"
    _processed(store, [again.to_json()], types)

    [waiting] = store.notifications.to_fetch()
    assert (waiting.url, waiting.received_at) == (RECON["path"], again.received_at)
