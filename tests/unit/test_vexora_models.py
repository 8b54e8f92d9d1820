"""What Vexora answers, read leniently (providers.md §2): numbers or strings, unknown keys, missing extras."""

import json

import pytest
from pydantic import ValidationError

from honnin.vexora.models import CodeOnly, Envelope

# The document's own example of a successful response.
DOCUMENTED = {
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


def test_the_documented_example() -> None:
    envelope = Envelope.model_validate_json(json.dumps(DOCUMENTED))
    assert (envelope.code, envelope.msg) == ("0000", "success")
    assert envelope.data is not None
    assert (envelope.data.user_id, envelope.data.authentication_status) == ("79x7p10nh4xd121m", "0")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"timestamp": "1728609277476"}, id="timestamp as a text"),
        pytest.param({"timestamp": None, "success": None}, id="extras null"),
        pytest.param({"success": "true"}, id="success as a text"),
        pytest.param({"surprise": {"nested": [1]}}, id="an unknown key"),
    ],
)
def test_what_is_not_used_may_be_anything(changes: dict[str, object]) -> None:
    assert Envelope.model_validate_json(json.dumps({**DOCUMENTED, **changes})).code == "0000"


@pytest.mark.parametrize(
    ("code", "expected"), [("0000", "0000"), (0, "0000"), (8000, "8000"), ("8000", "8000"), (12, "0012")]
)
def test_a_code_may_be_a_number(code: object, expected: str) -> None:
    assert CodeOnly.model_validate_json(json.dumps({"code": code})).code == expected


@pytest.mark.parametrize("code", [True, None, [], {}, 0.5])
def test_what_is_no_code_is_refused(code: object) -> None:
    with pytest.raises(ValidationError):
        CodeOnly.model_validate_json(json.dumps({"code": code}))


@pytest.mark.parametrize(("status", "expected"), [("2", "2"), (2, "2"), (3, "3")])
def test_a_status_and_an_id_may_be_numbers(status: object, expected: str) -> None:
    data = {"userId": 100008, "authenticationStatus": status}
    envelope = Envelope.model_validate_json(json.dumps({**DOCUMENTED, "data": data}))
    assert envelope.data is not None
    assert (envelope.data.user_id, envelope.data.authentication_status) == ("100008", expected)


@pytest.mark.parametrize("status", [True, None, [], 2.5])
def test_what_is_no_status_is_refused(status: object) -> None:
    with pytest.raises(ValidationError):
        Envelope.model_validate_json(
            json.dumps({**DOCUMENTED, "data": {"userId": "u", "authenticationStatus": status}})
        )


@pytest.mark.parametrize("data", [None, [], "text", {"anything": 1}])
def test_a_failing_answer_may_have_any_data(data: object) -> None:
    assert CodeOnly.model_validate_json(json.dumps({"code": "4004", "msg": "no", "data": data})).msg == "no"


def test_a_message_may_be_null() -> None:
    assert CodeOnly.model_validate_json('{"code": "0000", "msg": null}').code == "0000"
