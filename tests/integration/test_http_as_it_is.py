"""Raw events of API Gateway (tests/fixtures/apigateway), through the functions as the template deploys them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.deployment import Deployment

EVENTS = Path(__file__).resolve().parents[1] / "fixtures" / "apigateway"
USER = "shop:100@b"
FUNCTIONS = {
    "user": "kyc_status",
    "timeline": "kyc_status",
    "custom_domain": "kyc_status",
    "erasure": "erasure",
    "submission": "vexora_submission",
}

NO_USER_IDS = (
    "shop%253A100%2540b",  # encoded twice: decoded once it is `shop%3A100%40b`, which is no user id
    "a%252Fb",
    "a%2Fb",
    "a%2ftimeline",
    "a+b",
    "a%20b",
    "%zz",
    "a%",
    "a%4",
    "%ff",
    "%E3%83%8F",
    "ハナコ",
    "%00",
    "%0A",
    "%2e%2E",
    "%2E",
    "a%3Fb",
    "a%23b",
    "a%5Cb",
    'a"b',
    "a`b",
)


def raw(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return event


def answer(stack: Deployment, name: str, **changes: Any) -> tuple[int, dict[str, Any]]:
    found = stack.function(FUNCTIONS[name])(raw(name) | changes)
    return found["statusCode"], json.loads(found["body"])


def user_id(name: str, written: str) -> dict[str, Any]:
    """The event about another user, whose id was sent as `written`."""
    event = raw(name)
    sent = event["pathParameters"]["userId"]
    return {"path": event["path"].replace(sent, written), "pathParameters": {"userId": written}}


def test_there_is_a_test_for_each_event() -> None:
    assert {each.stem for each in EVENTS.glob("*.json")} == set(FUNCTIONS)


def test_a_submission_in_any_letters_then_the_reads_then_the_erasure(stack: Deployment) -> None:
    status, submitted = answer(stack, "submission")
    assert (status, submitted["userId"]) == (201, USER)
    assert answer(stack, "user")[1]["userId"] == USER
    assert answer(stack, "custom_domain")[1]["userId"] == USER
    status, timeline = answer(stack, "timeline")
    assert (status, len(timeline["entries"])) == (200, 1)
    status, certificate = answer(stack, "erasure")
    assert (status, certificate["userId"]) == (200, USER)


@pytest.mark.parametrize("name", ["user", "timeline", "custom_domain", "erasure"])
def test_a_user_id_may_be_written_in_any_way(stack: Deployment, name: str) -> None:
    answer(stack, "submission")
    for written in ("shop:100@b", "shop%3a100@b", "%73hop%3A100%40b", "shop:100%40%62"):
        assert answer(stack, name, **user_id(name, written))[0] == 200, written


@pytest.mark.parametrize("name", ["user", "timeline", "custom_domain", "erasure"])
def test_what_is_no_user_id_is_a_422_wherever_it_stands(stack: Deployment, name: str) -> None:
    for written in NO_USER_IDS:
        status, problem = answer(stack, name, **user_id(name, written))
        found = (status, problem["code"], [each["field"] for each in problem["errors"]])
        assert found == (422, "field-invalid", ["userId"]), written
        assert written not in json.dumps(problem, ensure_ascii=False)


@pytest.mark.parametrize("name", ["user", "timeline"])
def test_a_slash_at_the_end_changes_nothing(stack: Deployment, name: str) -> None:
    answer(stack, "submission")
    assert answer(stack, name, path=raw(name)["path"] + "/")[0] == 200


def test_a_path_that_is_not_the_routes_is_no_route(stack: Deployment) -> None:
    assert answer(stack, "user", path="/users/a/b")[1]["code"] == "no-such-route"


@pytest.mark.parametrize(
    "headers",
    [
        {"CONTENT-TYPE": "APPLICATION/JSON"},
        {"content-Type": 'application/json ;charset="utf-8"'},
        {},
    ],
)
def test_headers_come_in_any_letters(stack: Deployment, headers: dict[str, str]) -> None:
    several = {name: [value] for name, value in headers.items()}
    assert answer(stack, "submission", headers=headers or None, multiValueHeaders=several or None)[0] == 201


def test_another_charset_is_a_plain_415(stack: Deployment) -> None:
    headers = {"Content-Type": "application/json; charset=Shift_JIS"}
    status, problem = answer(stack, "submission", headers=headers, multiValueHeaders=None)
    assert (status, problem["code"]) == (415, "media-type")
    assert problem["detail"] == "Send the body in UTF-8; no other charset is accepted."


def test_a_byte_order_mark_before_the_body_is_ignored(stack: Deployment) -> None:
    assert answer(stack, "submission", body="\ufeff" + raw("submission")["body"])[0] == 201


def test_a_query_parameter_comes_decoded(stack: Deployment) -> None:
    answer(stack, "submission")
    first = answer(stack, "timeline")[1]["cursor"]
    query: dict[str, Any] = {"limit": ["1"], "cursor": [first]}
    single = {name: value[-1] for name, value in query.items()}
    second = answer(stack, "timeline", queryStringParameters=single, multiValueQueryStringParameters=query)
    assert (second[0], len(second[1]["entries"])) == (200, 1)


def test_a_providers_message_reaches_the_merchant_without_the_name(stack: Deployment, box: Any) -> None:
    said = "usernameFurigana [テスト ハナコ] of shop:100@b is not valid: ﾃｽﾄﾊﾅｺ %E3%83%86%E3%82%B9%E3%83%88"
    box.vexora.dials.put({"apply_fault": {"kind": "refuse", "code": "2042", "message": said, "times": 1}})
    status, problem = answer(stack, "submission")
    assert (status, problem["code"], problem["providerCode"]) == (502, "provider-refused", "2042")
    assert problem["providerMessage"] == "usernameFurigana [***] of *** is not valid: *** ***"
    everything = json.dumps(problem, ensure_ascii=False)
    assert not [each for each in ("テスト", "ハナコ", "ﾃｽﾄ", "%E3", USER) if each in everything]
