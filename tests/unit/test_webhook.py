"""The ack path: who is refused with what, what is queued, and what is never printed."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honnin import webhook
from honnin.event import Event
from honnin.sqs_send import SendError
from honnin.vexora import signing
from honnin.webhook import MAX_BODY_BYTES

SUBMISSION = "6f1c2a34-0000-4000-8000-000000000001"
KEYS = ("key-2", "key-1")
SECRET = "test_app_secret"
BODY = '{"userId": "user-1", "authenticationStatus": "2"}'


class Ack:
    """Calls the ack path, and keeps what it queued and how often `sign` was checked."""

    def __init__(self) -> None:
        self.queued: list[str] = []
        self.send_error: Exception | None = None
        self.sign_check: bool | None = None
        self.checked: list[tuple[Mapping[str, str], str]] = []

    def __call__(
        self,
        body: str | None = BODY,
        *,
        source: str = "192.0.2.10",
        cidrs: Sequence[str] = ("198.51.100.7/32", "192.0.2.0/24"),
        content_type: str | None = "application/json",
        base64_encoded: bool = False,
        keys: Sequence[str] = KEYS,
        **event: Any,
    ) -> dict[str, Any]:
        request = {
            "requestContext": {"identity": {"sourceIp": source}},
            "pathParameters": {"submissionId": SUBMISSION, "token": webhook.callback_token(SUBMISSION, KEYS[0])},
            "headers": {"Content-Type": content_type} if content_type else None,
            "body": body,
            "isBase64Encoded": base64_encoded,
            **event,
        }
        return webhook.acknowledge_vexora_result(
            request,
            source_cidrs=cidrs,
            callback_keys=lambda: keys,
            verify_sign=self._verify,
            send=self._send,
        )

    def event(self) -> Event:
        """The one event that was queued."""
        (text,) = self.queued
        return Event.from_json(text)

    def _verify(self, fields: Mapping[str, str], sign: str) -> bool | None:
        self.checked.append((fields, sign))
        return self.sign_check

    def _send(self, text: str) -> str:
        if self.send_error:
            raise self.send_error
        self.queued.append(text)
        return "message-1"


@pytest.fixture
def ack() -> Ack:
    return Ack()


def refused(answer: Mapping[str, Any], ack: Ack, status: int) -> bool:
    return answer["statusCode"] == status and answer["body"] != "OK" and ack.queued == []


# The answer and the event


def test_a_good_callback_is_answered_with_the_plain_text_ok(ack: Ack) -> None:
    answer = ack()
    assert (answer["statusCode"], answer["body"]) == (200, "OK")
    assert answer["headers"] == {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}


def test_the_event_names_the_submission_and_holds_nothing_of_the_body_but_the_claim(ack: Ack) -> None:
    ack('{"userId": "user-1", "authenticationStatus": "2", "usernameFurigana": "テスト ハナコ"}')
    event = ack.event()
    assert (event.provider, event.kind, event.cause, event.subject) == ("vexora", "kyc_result", "webhook", SUBMISSION)
    assert event.detail == {"sign": "absent", "claimed": "2"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event.received_at)
    assert "ハナコ" not in ack.queued[0]
    assert "user-1" not in ack.queued[0]


def test_two_callbacks_with_the_same_bytes_are_two_events(ack: Ack) -> None:
    for _ in range(3):
        ack(BODY)
    ack("")
    ack("")
    ids = [Event.from_json(text).event_id for text in ack.queued]
    assert len(set(ids)) == 5
    assert all(re.fullmatch(rf"vexora:{SUBMISSION}:[0-9a-f]{{32}}", each) for each in ids)


@pytest.mark.parametrize(
    ("claim", "expected"),
    [('"0"', "0"), ('"3"', "3"), ("2", "2"), ('"4"', None), ('"APPROVED"', None), ("true", None), ("null", None)],
)
def test_only_a_documented_claim_is_recorded(ack: Ack, claim: str, expected: str | None) -> None:
    ack(f'{{"authenticationStatus": {claim}}}')
    assert ack.event().detail.get("claimed") == expected


def test_503_when_the_queue_does_not_take_it(ack: Ack) -> None:
    ack.send_error = SendError("SQS did not accept the message: TimeoutError")
    assert ack()["statusCode"] == 503


# The source address


@pytest.mark.parametrize("source", ["192.0.2.0", "192.0.2.255", "198.51.100.7"])
def test_an_address_of_the_list_may_call(ack: Ack, source: str) -> None:
    assert ack(source=source)["statusCode"] == 200


@pytest.mark.parametrize("source", ["192.0.3.0", "198.51.100.8", "2001:db8::1", "::ffff:192.0.2.1", "", "test-invoke"])
def test_another_address_is_403(ack: Ack, source: str) -> None:
    assert refused(ack(source=source), ack, 403)


def test_no_address_may_call_when_the_list_is_empty(ack: Ack) -> None:
    assert refused(ack(cidrs=()), ack, 403)


def test_an_ipv6_network(ack: Ack) -> None:
    assert ack(source="2001:db8::1", cidrs=("192.0.2.0/24", "2001:db8::/32"))["statusCode"] == 200


def test_x_forwarded_for_is_not_used(ack: Ack) -> None:
    headers = {"Content-Type": "application/json", "X-Forwarded-For": "192.0.2.10"}
    assert refused(ack(source="203.0.113.9", headers=headers), ack, 403)


# The token


def test_the_token_is_an_hmac_of_the_submission_id() -> None:
    # Computed with openssl: printf 'sub-1' | openssl dgst -sha256 -hmac 'key-1'
    assert webhook.callback_token("sub-1", "key-1") == (
        "28f743e13421517e84928a457a3dfcc479d9f4b6430cd143bdf5f6d1f80c00af"
    )


@pytest.mark.parametrize("key", KEYS)
def test_a_token_of_the_current_or_the_previous_key(ack: Ack, key: str) -> None:
    path = {"submissionId": SUBMISSION, "token": webhook.callback_token(SUBMISSION, key)}
    assert ack(pathParameters=path)["statusCode"] == 200


RIGHT = webhook.callback_token(SUBMISSION, KEYS[0])


@pytest.mark.parametrize(
    "path",
    [
        pytest.param({"submissionId": SUBMISSION, "token": webhook.callback_token(SUBMISSION, "key-0")}, id="old key"),
        pytest.param({"submissionId": "another", "token": RIGHT}, id="another submission"),
        pytest.param({"submissionId": SUBMISSION, "token": RIGHT[:-1]}, id="cut"),
        pytest.param({"submissionId": SUBMISSION, "token": RIGHT.upper()}, id="upper case"),
        pytest.param({"submissionId": SUBMISSION, "token": ""}, id="empty"),
        pytest.param({"submissionId": SUBMISSION}, id="missing"),
        pytest.param({"submissionId": SUBMISSION, "token": "テスト"}, id="not ASCII"),
        pytest.param({"submissionId": "", "token": webhook.callback_token("", KEYS[0])}, id="no submission id"),
        pytest.param(
            {"submissionId": "a#b", "token": webhook.callback_token("a#b", KEYS[0])}, id="id of another shape"
        ),
        pytest.param(
            {"submissionId": "a\n", "token": webhook.callback_token("a\n", KEYS[0])}, id="id with a line feed"
        ),
        pytest.param(
            {"submissionId": "a" * 65, "token": webhook.callback_token("a" * 65, KEYS[0])}, id="id without end"
        ),
        pytest.param(None, id="no path parameters"),
    ],
)
def test_a_wrong_token_is_403(ack: Ack, path: Mapping[str, str] | None) -> None:
    assert refused(ack(pathParameters=path), ack, 403)
    assert ack.checked == []


def test_without_keys_nobody_gets_in(ack: Ack) -> None:
    assert refused(ack(keys=()), ack, 403)


# The body


def sized(size: int) -> str:
    frame = '{"filler": ""}'
    return frame[:-2] + "x" * (size - len(frame)) + frame[-2:]


@pytest.mark.parametrize("base64_encoded", [False, True])
@pytest.mark.parametrize(("size", "status"), [(MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413), (10**6, 413)])
def test_64_kib_is_the_limit(ack: Ack, size: int, status: int, base64_encoded: bool) -> None:
    body = sized(size)
    assert len(body) == size
    text = base64.b64encode(body.encode()).decode() if base64_encoded else body
    assert ack(text, base64_encoded=base64_encoded)["statusCode"] == status
    assert len(ack.queued) == (status == 200)


@pytest.mark.parametrize(("letters", "status"), [(21_840, 200), (21_844, 413)])
def test_the_limit_counts_bytes_not_characters(ack: Ack, letters: int, status: int) -> None:
    assert ack('{"f": "' + "テ" * letters + '"}')["statusCode"] == status


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(None, id="no body"),
        pytest.param("", id="empty"),
        pytest.param("  ", id="blank"),
        pytest.param("{", id="broken"),
        pytest.param("OK", id="not JSON"),
        pytest.param("[]", id="a list"),
        pytest.param('["a=b"]', id="a list with a sign of equality"),
        pytest.param('"text"', id="a text"),
        pytest.param("2", id="a number"),
        pytest.param("null", id="null"),
        pytest.param("[" * 60_000, id="nested without end"),
        pytest.param('{"a":' * 10_000 + "1" + "}" * 10_000, id="objects nested without end"),
        pytest.param('{"a": "\ud800"}', id="a lone surrogate"),
        pytest.param('<?xml version="1.0"?><r><sign>a</sign></r>', id="XML"),
        pytest.param("--", id="an empty multipart"),
        pytest.param("&".join(f"f{number}=1" for number in range(101)), id="a form of more than 100 fields"),
    ],
)
@pytest.mark.parametrize("content_type", [None, "application/json", "text/xml", "multipart/form-data; boundary=x"])
def test_whoever_has_the_token_is_queued_whatever_the_body_holds(
    ack: Ack, body: str | None, content_type: str | None
) -> None:
    answer = ack(body, content_type=content_type)
    assert (answer["statusCode"], answer["body"]) == (200, "OK")
    assert ack.event().detail == {"sign": "unreadable"}
    assert ack.checked == []


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("%%%", id="not base64"),
        pytest.param("e30", id="without its padding"),
        pytest.param("e3!0=", id="a stray character, which b64decode skips unless told otherwise"),
        pytest.param("テスト", id="not ASCII"),
        pytest.param(base64.b64encode(b'{"a": "\xff"}').decode(), id="one byte that is not UTF-8"),
        pytest.param(base64.b64encode("a=テスト".encode("cp932")).decode(), id="Shift_JIS"),
        pytest.param(base64.b64encode('{"a": 1}'.encode("utf-16")).decode(), id="UTF-16"),
        pytest.param(base64.b64encode(b'{"a": "\xed\xa0\x80"}').decode(), id="a surrogate in bytes"),
        pytest.param(base64.b64encode(b"\x1f\x8b\x08\x00").decode(), id="gzip"),
    ],
)
def test_base64_that_cannot_be_read_is_queued_too(ack: Ack, body: str) -> None:
    assert ack(body, base64_encoded=True)["body"] == "OK"
    assert ack.event().detail == {"sign": "unreadable"}


def multipart(fields: Mapping[str, str], newline: str = "\r\n") -> str:
    parts = [
        newline.join(["--b0undary", f'Content-Disposition: form-data; name="{name}"', "", value])
        for name, value in fields.items()
    ]
    return newline.join([*parts, "--b0undary--", ""])


SIGNED = {"userId": "user-1", "authenticationStatus": "2", "message": "approved", "timestamp": "1728609277476"}
SIGN = signing.sign(SIGNED, SECRET)
FORMS = {
    "JSON": json.dumps(SIGNED | {"sign": SIGN}),
    "JSON after a byte order mark": "\ufeff" + json.dumps(SIGNED | {"sign": SIGN}),
    "a form": urlencode(SIGNED | {"sign": SIGN}),
    "multipart": multipart(SIGNED | {"sign": SIGN}),
    "multipart with line feeds": multipart(SIGNED | {"sign": SIGN}, "\n"),
}


@pytest.mark.parametrize("body", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("content_type", [None, "text/plain", "application/json", "Application/X-WWW-Form-Urlencoded"])
def test_every_form_is_read_by_what_it_looks_like_whatever_type_it_claims(
    ack: Ack, body: str, content_type: str | None
) -> None:
    ack.sign_check = True
    ack(body, content_type=content_type)
    assert ack.event().detail == {"sign": "valid", "claimed": "2"}
    ((fields, sign),) = ack.checked
    assert fields == SIGNED | {"sign": SIGN}
    assert signing.verify(fields, sign, SECRET)


def test_a_file_inside_a_multipart_body_is_left_out(ack: Ack) -> None:
    file = '--b0undary\r\nContent-Disposition: form-data; filename="x"; name="photo"\r\n\r\nJFIF\r\n'
    ack(file + multipart(SIGNED))
    assert ack.event().detail == {"sign": "absent", "claimed": "2"}


@pytest.mark.parametrize("boundary", ["b", "x'()+_,-./:=?", "-", "1", "--------------------------7d9"])
@pytest.mark.parametrize("newline", ["\r\n", "\n"])
@pytest.mark.parametrize("message", ["a--b", "a---", "--bc", "1\n--1 is no boundary", " spaces ", "", "=", "\n"])
def test_a_boundary_is_a_whole_line_and_may_be_anything(ack: Ack, boundary: str, newline: str, message: str) -> None:
    fields = SIGNED | {"message": message.replace("\n", newline), "filename": "x"}
    body = multipart(fields | {"sign": signing.sign(fields, SECRET)}, newline).replace("b0undary", boundary)
    ack(body.replace("name=", "Name=", 1))
    ((read, sign),) = ack.checked
    assert {name: value for name, value in read.items() if name != "sign"} == fields
    assert signing.verify(read, sign, SECRET)


@pytest.mark.parametrize("encoding", ["base64", "Quoted-Printable"])
def test_a_part_that_is_encoded_once_more_leaves_the_sign_unchecked(ack: Ack, encoding: str) -> None:
    ack.sign_check = False
    header = f'form-data; name="message"\r\nContent-Transfer-Encoding: {encoding}'
    ack(multipart(SIGNED | {"sign": SIGN}).replace('form-data; name="message"', header))
    assert ack.event().detail == {"sign": "unchecked", "claimed": "2"}


@pytest.mark.parametrize("body", ["usernameFurigana=%FF&authenticationStatus=2&sign=ab", "authenticationStatus=2"])
def test_a_form_with_any_type(ack: Ack, body: str) -> None:
    ack.sign_check = False
    ack(body, content_type="text/html")
    assert ack.event().detail == {"claimed": "2", "sign": "unchecked" if "sign" in body else "absent"}


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/json; charset=utf-8", "APPLICATION/JSON"])
def test_json_under_any_type(ack: Ack, content_type: str | None) -> None:
    assert ack(content_type=content_type)["statusCode"] == 200


def test_header_names_may_have_any_case(ack: Ack) -> None:
    headers = {"cOnTeNt-TyPe": "application/x-www-form-urlencoded"}
    assert ack("authenticationStatus=3", headers=headers)["statusCode"] == 200
    assert ack.event().detail["claimed"] == "3"


def test_of_a_repeated_key_the_last_one_counts(ack: Ack) -> None:
    ack('{"authenticationStatus": "2", "authenticationStatus": "3"}')
    assert ack.event().detail["claimed"] == "3"


def test_of_a_repeated_form_field_the_last_one_counts(ack: Ack) -> None:
    ack("authenticationStatus=2&authenticationStatus=3", content_type="application/x-www-form-urlencoded")
    assert ack.event().detail["claimed"] == "3"


# The sign


@pytest.mark.parametrize(("checked", "word"), [(True, "valid"), (False, "invalid"), (None, "unchecked")])
def test_the_sign_is_recorded_and_never_decides(ack: Ack, checked: bool | None, word: str) -> None:
    ack.sign_check = checked
    assert ack('{"userId": "user-1", "n": 7, "sign": "abc"}')["statusCode"] == 200
    assert ack.event().detail == {"sign": word}
    assert ack.checked == [({"userId": "user-1", "n": "7", "sign": "abc"}, "abc")]


@pytest.mark.parametrize(
    "value",
    ["true", "false", "null", "1.0", "1e3", "-0.5", "NaN", "{}", '{"a": 1}', "[]", '["a"]', '"\\ud800"', '"\ufffd"'],
)
def test_a_field_that_cannot_be_taken_as_it_was_signed_leaves_the_sign_unchecked(ack: Ack, value: str) -> None:
    ack.sign_check = False
    ack(f'{{"authenticationStatus": "2", "success": {value}, "sign": "{SIGN}"}}')
    assert ack.event().detail == {"sign": "unchecked", "claimed": "2"}


@pytest.mark.parametrize("number", ["7", "-0", "1728609277476", "9" * 5_000])
def test_a_whole_number_is_signed_as_it_was_sent(ack: Ack, number: str) -> None:
    ack(f'{{"n": {number}, "sign": "abc"}}')
    assert ack.checked == [({"n": number, "sign": "abc"}, "abc")]


def test_a_field_that_is_there_twice_leaves_the_sign_unchecked(ack: Ack) -> None:
    ack.sign_check = True
    ack('{"userId": "a", "userId": "b", "sign": "abc"}')
    assert ack.event().detail == {"sign": "unchecked"}


@pytest.mark.parametrize("body", [FORMS["JSON"], FORMS["a form"], FORMS["multipart"]])
def test_a_sign_in_upper_case_proves_the_same(ack: Ack, body: str) -> None:
    ack.sign_check = True
    ack(body.replace(SIGN, SIGN.upper()))
    ((fields, sign),) = ack.checked
    assert signing.verify(fields, sign, SECRET)
    assert ack.event().detail["sign"] == "valid"


@pytest.mark.parametrize("body", ["{}", '{"sign": ""}', '{"sign": null}', '{"sign": ["a"]}'])
def test_an_absent_sign_is_not_checked(ack: Ack, body: str) -> None:
    ack(body)
    assert ack.event().detail == {"sign": "absent"}
    assert ack.checked == []


@pytest.mark.parametrize("as_form", [False, True])
def test_a_sign_made_by_the_providers_rule_fits_what_is_read_here(ack: Ack, as_form: bool) -> None:
    fields = {"userId": "user-1", "authenticationStatus": "2", "message": "", "timestamp": "1728609277476"}
    signed = {**fields, "sign": signing.sign(fields, SECRET)}
    if as_form:
        ack(urlencode(signed), content_type="application/x-www-form-urlencoded")
    else:
        # The envelope's timestamp is a number in the document.
        ack(json.dumps({**signed, "timestamp": 1728609277476}))
    ((read, sign),) = ack.checked
    assert signing.verify(read, sign, SECRET)


# What is printed


SECRETS = ("ハナコ", "\\u30cf", "090-1234-5678", "user-1", RIGHT, "b7e23ec29af22b0b4e41da31e868d572", "192.0.2.77")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({}, id="queued"),
        pytest.param({"send_error": SendError("SQS did not accept the message: SQS answered 500")}, id="not queued"),
        pytest.param({"source": "203.0.113.9"}, id="wrong address"),
        pytest.param({"keys": ("other",)}, id="wrong token"),
        pytest.param({"body": "usernameFurigana=ハナコ090-1234-5678"}, id="unreadable"),
        pytest.param({"body": "ハナコ" * 30_000}, id="too large"),
    ],
)
def test_neither_token_nor_body_is_printed_answered_or_queued(
    ack: Ack, change: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    ack.send_error = change.pop("send_error", None)
    body = json.dumps(
        {
            "userId": "user-1",
            "usernameFurigana": "ハナコ",
            "phone": "090-1234-5678",
            "sign": "b7e23ec29af22b0b4e41da31e868d572",
        }
    )
    headers = {"Content-Type": "application/json", "X-Forwarded-For": "192.0.2.77"}
    answer = ack(**{"body": body, "headers": headers, **change})
    printed, errors = capsys.readouterr()
    assert errors == ""
    for secret in SECRETS:
        assert secret not in printed
        assert secret not in json.dumps(answer, ensure_ascii=False)
        assert all(secret not in text for text in ack.queued)


@pytest.mark.parametrize(
    ("change", "metrics"),
    [
        ({}, ["EventQueued"]),
        ({"source": "203.0.113.9"}, ["SourceAddressRejected", "WebhookRefused"]),
        ({"keys": ()}, ["CallbackTokenRejected", "WebhookRefused"]),
        ({"body": "x" * (MAX_BODY_BYTES + 1)}, ["WebhookRefused"]),
    ],
)
def test_what_happened_is_one_short_line(
    ack: Ack, change: dict[str, Any], metrics: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    ack(**change)
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = []
    for record in records:
        assert (record["value"], record["provider"]) == (1, "vexora")
        assert "_aws" not in record
        found.append(record["counted"])
    assert found == metrics


# Whatever comes


@given(
    st.text(st.characters(), max_size=200),
    st.sampled_from(["application/json", "application/x-www-form-urlencoded", None]),
    st.booleans(),
)
def test_any_body_is_queued(body: str, content_type: str | None, base64_encoded: bool) -> None:
    ack = Ack()
    answer = ack(body, content_type=content_type, base64_encoded=base64_encoded)
    assert (answer["statusCode"], answer["body"]) == (200, "OK")
    assert len(ack.queued) == 1


# The envelope


EVENT = Event("e-1", "vexora", "kyc_result", "webhook", SUBMISSION, "2026-04-01T03:00:00.000Z", {"sign": "valid"})


def test_an_event_comes_back_as_it_went() -> None:
    assert Event.from_json(EVENT.to_json()) == EVENT
    assert json.loads(EVENT.to_json())["v"] == 1


def changed(**changes: object) -> str:
    raw = {**json.loads(EVENT.to_json()), **changes}
    return json.dumps({name: value for name, value in raw.items() if value != "LEAVE OUT"})


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("{", id="broken"),
        pytest.param("[]", id="a list"),
        pytest.param(changed(v=2), id="another version"),
        pytest.param(changed(v="LEAVE OUT"), id="no version"),
        pytest.param(changed(subject="LEAVE OUT"), id="a field missing"),
        pytest.param(changed(event_id=""), id="an empty field"),
        pytest.param(changed(event_id=1), id="a field of another type"),
        pytest.param(changed(detail=[]), id="detail of another type"),
    ],
)
def test_what_is_not_an_event_of_ours_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- json's own error is one as well; no text decides
        Event.from_json(text)
