"""What Vexora answers: lenient in type, strict in meaning (docs/providers.md §2)."""

import json
from typing import Any

import pytest

from honnin.vexora import models
from honnin.vexora.models import ContradictionError, Envelope

# The document's own example of a successful response.
DOCUMENTED: dict[str, Any] = {
    "msg": "success",
    "code": "0000",
    "timestamp": 1728609277476,
    "success": True,
    "data": {
        "userId": "79x7p10nh4xd121m",
        "authenticationStatus": "0",
        "message": "apply for kyc successful, Please authentication",
    },
}


def read(**changes: Any) -> Envelope:
    return models.read(json.dumps({**DOCUMENTED, **changes}).encode())


def test_the_documented_example() -> None:
    envelope = read()
    envelope.check_success()
    assert (envelope.code, envelope.message, envelope.success) == ("0000", "success", True)
    assert (envelope.user_id, envelope.status, envelope.reason) == ("79x7p10nh4xd121m", "0", None)


def test_the_published_answer_to_the_query_names_nobody() -> None:
    envelope = read(data={"authenticationStatus": "2"})
    envelope.check_success()
    assert (envelope.user_id, envelope.status) == (None, "2")


@pytest.mark.parametrize("nobody", [None, "", " ", {}, True])
def test_an_empty_user_id_names_nobody(nobody: object) -> None:
    assert read(data={"userId": nobody, "authenticationStatus": "2"}).user_id is None


@pytest.mark.parametrize(
    "changes",
    [
        {"timestamp": "1728609277476"},
        {"timestamp": None, "success": None, "msg": None},
        {"timestamp": {}, "msg": ["?"]},
        {"surprise": {"nested": [1]}},
    ],
)
def test_what_decides_nothing_may_be_anything(changes: dict[str, object]) -> None:
    read(**changes).check_success()


@pytest.mark.parametrize(
    ("code", "expected"),
    [("0000", "0000"), (0, "0000"), ("0", "0000"), (0.0, "0000"), (8000, "8000"), (" 8000 ", "8000"), (12, "0012")],
)
def test_a_code_may_be_a_number(code: object, expected: str) -> None:
    assert read(code=code).code == expected


@pytest.mark.parametrize("code", [True, None, [], {}, 0.5, ""])
def test_what_is_no_code_is_none(code: object) -> None:
    assert read(code=code).code is None


@pytest.mark.parametrize(("status", "expected"), [("2", "2"), (2, "2"), (3.0, "3"), (" 1 ", "1")])
def test_a_status_and_an_id_may_be_numbers(status: object, expected: str) -> None:
    envelope = read(data={"userId": 100008, "authenticationStatus": status})
    assert (envelope.user_id, envelope.status) == ("100008", expected)


@pytest.mark.parametrize("status", [True, None, [], {}, 2.5, "4", "", "02", "APPROVED", -1])
def test_what_is_no_status_is_none(status: object) -> None:
    assert read(data={"authenticationStatus": status}).status is None


@pytest.mark.parametrize("data", [None, [], "text", '{"authenticationStatus": "2"}', 2])
def test_data_that_is_no_object_says_nothing(data: object) -> None:
    assert read(data=data).status is None


# success


@pytest.mark.parametrize("success", [True, "true", "TRUE", " True ", 1, "1", 1.0, None, "", "null"])
def test_success_however_it_is_spelt(success: object) -> None:
    read(success=success).check_success()


def test_success_may_be_left_out() -> None:
    models.read(json.dumps({k: v for k, v in DOCUMENTED.items() if k != "success"}).encode()).check_success()


@pytest.mark.parametrize("success", [False, "false", "FALSE", " False", 0, "0", 0.0, "no", "fail"])
def test_a_success_that_is_false_contradicts_the_code(success: object) -> None:
    with pytest.raises(ContradictionError):
        read(success=success).check_success()
    read(code="2001", success=success, msg="no").check_failure()


@pytest.mark.parametrize("success", [[], {}, "maybe", 2, ["true"]])
def test_a_success_that_is_neither_is_not_understood(success: object) -> None:
    with pytest.raises(ContradictionError):
        read(success=success)


@pytest.mark.parametrize(
    "changes",
    [
        {"success": True, "msg": "no"},
        {"success": None, "msg": "Success"},
        # "When the value is success, it only indicates that this API request succeeded."
        {"success": False, "msg": "success"},
        {"success": "false", "msg": " SUCCESS "},
    ],
)
def test_a_failing_code_contradicts_success(changes: dict[str, object]) -> None:
    with pytest.raises(ContradictionError):
        read(code="2001", **changes).check_failure()


@pytest.mark.parametrize("message", ["fail", "FAILED", " error ", "system error"])
def test_a_msg_that_says_failure_contradicts_the_code(message: str) -> None:
    with pytest.raises(ContradictionError):
        read(msg=message).check_success()


@pytest.mark.parametrize("message", ["OK", "成功", "操作成功", "\ufffd", "no errors"])
def test_any_other_msg_is_only_a_text(message: str) -> None:
    read(msg=message).check_success()


def test_an_approval_with_a_fail_reason_contradicts_itself() -> None:
    with pytest.raises(ContradictionError):
        read(data={"authenticationStatus": "2", "failReason": "not the same face"}).check_success()


@pytest.mark.parametrize("nothing", [None, "", " ", "null", "none", "-", [], {}, 0, 0.0, False])
def test_an_approval_may_have_an_empty_fail_reason(nothing: object) -> None:
    read(data={"authenticationStatus": 2, "failReason": nothing, "message": "welcome"}).check_success()


@pytest.mark.parametrize(
    "text",
    [
        '{"code": "0000", "code": "2001"}',
        '{"data": {"authenticationStatus": "2", "authenticationStatus": "3"}}',
        '{"success": true, "success": false}',
        '{"authenticationStatus": "3", "data": {"authenticationStatus": "2"}}',
    ],
)
def test_two_values_of_one_field_contradict_each_other(text: str) -> None:
    with pytest.raises(ContradictionError):
        models.read(text.encode())


def test_the_same_value_twice_is_one() -> None:
    assert models.read(b'{"code": "0000", "code": "0000"}').code == "0000"


# the reason


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"failReason": "blurred", "message": "kyc rejected"}, "blurred"),
        ({"failReason": "", "message": "kyc rejected"}, "kyc rejected"),
        ({"failReason": None}, None),
        ({"failReason": 0, "message": "kyc rejected"}, "kyc rejected"),
        ({"failReason": 1001}, "1001"),
        ({"failReason": ["a", "b"]}, '["a", "b"]'),
        ({"failReason": "本人確認書類が\n不鮮明です"}, "本人確認書類が 不鮮明です"),
        ({"failReason": "a\x00\x1b[31mb\u202ec\u2028d"}, "a [31mb c d"),
        ({"failReason": "x" * 5_000}, "x" * 200),
        ({"failReason": " \n "}, None),
    ],
)
def test_the_reason_of_a_rejection(data: dict[str, object], expected: str | None) -> None:
    assert read(data={"authenticationStatus": "3", **data}).reason == expected


def test_half_a_surrogate_pair_in_a_reason_can_be_stored() -> None:
    reason = models.read(b'{"data": {"authenticationStatus": "3", "failReason": "a \\ud83d b"}}').reason
    assert reason is not None
    assert reason.encode()


@pytest.mark.parametrize("status", ["0", "1", "2"])
def test_only_a_rejection_has_a_reason(status: str) -> None:
    assert read(data={"authenticationStatus": status, "message": "words"}).reason is None


# bytes


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + json.dumps(DOCUMENTED).encode(),
        json.dumps(DOCUMENTED).encode("utf-16"),
        json.dumps(DOCUMENTED | {"msg": "本人確認 表"}, ensure_ascii=False).encode("cp932"),
        json.dumps(DOCUMENTED).replace("success", "\\ud800", 1).encode(),
        json.dumps(DOCUMENTED).encode().replace(b"Please", b"\xff\xfe"),
    ],
    ids=["byte order mark", "UTF-16", "Shift_JIS msg", "lone surrogate", "stray bytes"],
)
def test_what_decides_is_read_though_a_text_is_not_clean(body: bytes) -> None:
    envelope = models.read(body)
    envelope.check_success()
    assert (envelope.code, envelope.status) == ("0000", "0")


@pytest.mark.parametrize("body", [b"", b"{", b"OK", b"[" * 100_000, b"<html>"])
def test_what_is_no_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- json's own error is one as well; no text decides
        models.read(body)


@pytest.mark.parametrize("body", [b"null", b"[]", b'"x"', b"1"])
def test_json_that_is_no_object_has_no_fields(body: bytes) -> None:
    assert models.read(body).code is None
