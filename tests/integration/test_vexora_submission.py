"""`POST /vexora/submissions` from the API Gateway event to the sandbox's register, the tables and the bus."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from honnin.errors import SecretIncompleteError
from honnin.http_client import Deadline
from honnin.vexora import client
from honnin.vexora.models import Reading
from sandbox.server import RunningSandbox
from tests.fakes.deployment import PROVIDERS, Deployment, Function, sample, submitter

NAME = "テスト ハナコ"
Submit = Callable[..., dict[str, Any]]


@pytest.fixture
def function(stack: Deployment) -> Function:
    return stack.function("vexora_submission")


@pytest.fixture
def submit(function: Function) -> Submit:
    return submitter(function)


def applies(box: RunningSandbox, user_id: str = "user-0001") -> object:
    return box.vexora.register.view(user_id)["apply_calls"]


def status_of(stack: Deployment, user_id: str = "user-0001") -> str:
    status = stack.store.users.status(user_id, "vexora")
    return status.status if status else ""


def test_the_sample_event_takes_a_user_to_pending(stack: Deployment, function: Function, box: RunningSandbox) -> None:
    answer = function(sample("vexora_submission"))

    body = json.loads(answer["body"])
    assert answer["statusCode"] == 201
    assert set(body) == {"submissionId", "userId", "status"}
    assert (body["userId"], body["status"]) == ("user-0001", "PENDING")
    view = box.vexora.register.view("user-0001")
    assert (view["apply_calls"], view["applications"], view["status"]) == (1, 1, "0")
    base = sample("vexora_submission")["stageVariables"]["webhookApiUrl"]
    assert str(view["callback_url"]).startswith(f"{base}/webhooks/vexora/kyc-result/{body['submissionId']}/")
    assert status_of(stack) == "PENDING"


def test_both_moves_are_published_in_the_agreed_shape(stack: Deployment, submit: Submit) -> None:
    submit()

    events = stack.published()
    assert [(each["source"], each["detail-type"]) for each in events] == [("honnin", "KycStatusChanged")] * 2
    details = [each["detail"] for each in events]
    assert [(each["from"], each["to"]) for each in details] == [(None, "SUBMITTING"), ("SUBMITTING", "PENDING")]
    assert [each.get("providerStatus") for each in details] == [None, "0"]
    for detail in details:
        shape = {"userId", "provider", "from", "to", "submissionId", "cause", "version", "occurredAt", "eventId"}
        assert set(detail) - {"providerStatus"} == shape | {"verified", "verifiedReason"}
        assert (detail["verified"], detail["verifiedReason"]) == (False, "NOT_VERIFIED")
        assert (detail["userId"], detail["provider"], detail["cause"]) == ("user-0001", "vexora", "api")


def test_submitting_is_written_before_the_provider_is_called(
    stack: Deployment, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    class CrashError(BaseException):
        pass

    def crash(*_args: object, **_fields: object) -> str:
        seen.append(status_of(stack))
        raise CrashError

    monkeypatch.setattr(client.VexoraClient, "apply", crash)
    with pytest.raises(CrashError):
        submit()

    assert seen == ["SUBMITTING"]
    assert status_of(stack) == "SUBMITTING"


# --- Idempotency-Key ---


def test_a_repeat_with_the_same_key_gives_the_same_answer_and_applies_once(submit: Submit, box: RunningSandbox) -> None:
    first = submit(key="order-1")
    again = submit(key="order-1")

    assert (first["statusCode"], first["json"]) == (again["statusCode"], again["json"])
    assert first["statusCode"] == 201
    assert applies(box) == 1


def test_the_same_key_with_another_body_is_a_409(submit: Submit, box: RunningSandbox) -> None:
    submit(key="order-1")
    other = submit(key="order-1", user_id="user-0002")

    assert other["statusCode"] == 409
    assert other["multiValueHeaders"]["Content-Type"] == ["application/problem+json"]
    assert applies(box, "user-0002") == 0


def test_a_repeat_of_an_unclear_submission_gives_its_202_again(submit: Submit, box: RunningSandbox) -> None:
    box.vexora.dials.put({"apply_fault": {"kind": "reset", "when": "after", "times": 1}})
    first = submit(key="order-1")
    again = submit(key="order-1")

    assert (first["statusCode"], again["statusCode"]) == (202, 202)
    assert first["json"] == again["json"]
    assert applies(box) == 1


def test_a_refused_request_leaves_its_key_free(submit: Submit, box: RunningSandbox) -> None:
    box.vexora.dials.put({"apply_fault": {"kind": "refuse", "times": 1}})

    assert submit(key="order-1")["statusCode"] == 502
    assert submit(key="order-1")["statusCode"] == 201


@pytest.mark.parametrize("key", ["", "two words", "x" * 256, "キー"])
def test_a_key_that_is_none_is_a_422(submit: Submit, box: RunningSandbox, key: str) -> None:
    answer = submit(key=key)

    assert answer["statusCode"] == 422
    assert applies(box) == 0


# --- one open submission a user ---


def test_an_open_submission_is_a_409_with_its_state(submit: Submit, box: RunningSandbox) -> None:
    first = submit()
    second = submit()

    assert second["statusCode"] == 409
    assert second["json"]["state"] == "PENDING"
    assert second["json"]["submissionId"] == first["json"]["submissionId"]
    assert applies(box) == 1


@pytest.mark.parametrize(("outcome", "code", "state"), [("reject", 201, None), ("approve", 409, "APPROVED")])
def test_after_a_rejection_a_new_submission_is_allowed_after_an_approval_not(
    stack: Deployment, submit: Submit, box: RunningSandbox, outcome: str, code: int, state: str | None
) -> None:
    first = submit()
    box.vexora.dials.put({"callback": "dropped"})
    box.vexora.review_now("user-0001", outcome)
    stack.pass_time(minutes=11)
    stack.function("vexora_status_poll")(sample("vexora_status_poll"), 300_000)
    assert stack.process(stack.function("event_processor"), 120_000) == []

    second = submit()

    assert second["statusCode"] == code
    assert second["json"].get("state") == state
    if code == 201:
        assert second["json"]["submissionId"] != first["json"]["submissionId"]
        assert applies(box) == 2


def test_a_second_submission_while_the_first_call_is_under_way_is_a_409(
    submit: Submit, box: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, answers = client.VexoraClient.apply, []

    def meanwhile(self: client.VexoraClient, **fields: str) -> Reading:
        monkeypatch.setattr(client.VexoraClient, "apply", real)
        answers.append(submit())
        return real(self, **fields)

    monkeypatch.setattr(client.VexoraClient, "apply", meanwhile)

    assert submit()["statusCode"] == 201
    assert [(each["statusCode"], each["json"]["state"]) for each in answers] == [(409, "SUBMITTING")]
    assert applies(box) == 1


# --- the provider fails ---


@pytest.mark.parametrize("when", ["before", "after"])
def test_no_answer_is_a_202_submitting_and_the_next_attempt_asks_first(
    stack: Deployment, submit: Submit, box: RunningSandbox, when: str
) -> None:
    box.vexora.dials.put({"apply_fault": {"kind": "reset", "when": when, "times": 1}})

    first = submit()
    second = submit()

    assert (first["statusCode"], first["json"]["status"]) == (202, "SUBMITTING")
    assert second["statusCode"] == 409
    assert second["json"]["state"] == ("PENDING" if when == "after" else "SUBMITTING")
    assert applies(box) == 1
    assert box.vexora.register.view("user-0001")["query_calls"] == 1


def test_a_submission_that_never_arrived_may_be_repeated_once_the_poll_is_due_and_vexora_knows_nothing(
    stack: Deployment, box: RunningSandbox
) -> None:
    stack.parameters["VexoraUnknownUserCodes"] = "2001"
    submit = submitter(stack.function("vexora_submission"))
    box.vexora.dials.put({"apply_fault": {"kind": "reset", "when": "before", "times": 1}})
    assert submit()["statusCode"] == 202

    stack.pass_time(minutes=9)
    assert submit()["statusCode"] == 409
    stack.pass_time(minutes=11)
    again = submit()

    assert (again["statusCode"], again["json"]["status"]) == (201, "PENDING")
    assert applies(box) == 2
    assert box.vexora.register.view("user-0001")["applications"] == 1


def test_a_refused_question_never_leads_to_a_second_application(
    stack: Deployment, submit: Submit, box: RunningSandbox
) -> None:
    box.vexora.dials.put(
        {
            "apply_fault": {"kind": "reset", "when": "after", "times": 1},
            "query_fault": {"kind": "refuse", "code": "1234", "message": "sign error"},
        }
    )
    assert submit()["statusCode"] == 202

    stack.pass_time(days=2)

    answer = submit()
    assert (answer["statusCode"], answer["json"]["state"]) == (409, "SUBMITTING")
    assert applies(box) == 1


def test_an_answer_after_the_deadline_is_a_202_and_the_poll_finds_the_truth(
    stack: Deployment, submit: Submit, box: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "Deadline", lambda _seconds: Deadline(0.3))
    box.vexora.dials.put({"apply_fault": {"kind": "slow", "when": "after", "seconds": 0.6, "times": 1}})

    answer = submit()

    assert (answer["statusCode"], answer["json"]["status"]) == (202, "SUBMITTING")
    stack.pass_time(minutes=11)
    monkeypatch.setattr(client, "Deadline", Deadline)
    assert stack.function("vexora_status_poll")(sample("vexora_status_poll"), 300_000)["polled"] == 1
    assert stack.process(stack.function("event_processor"), 120_000) == []
    assert status_of(stack) == "PENDING"
    assert applies(box) == 1


@pytest.mark.parametrize("kind", ["http_500", "http_429", "malformed", "code_8000"])
def test_an_unclear_failure_stays_submitting(stack: Deployment, submit: Submit, box: RunningSandbox, kind: str) -> None:
    box.vexora.dials.put({"apply_fault": {"kind": kind, "times": 1}})

    answer = submit()

    assert answer["statusCode"] == (503 if kind == "http_429" else 502)
    assert answer["json"]["provider"] == "vexora"
    assert status_of(stack) == "SUBMITTING"
    assert applies(box) == 1


def test_a_refusal_is_a_502_with_code_and_message_and_a_new_submission_is_allowed(
    stack: Deployment, submit: Submit, box: RunningSandbox
) -> None:
    fault = {"kind": "refuse", "code": "2042", "message": "name not accepted", "times": 1}
    box.vexora.dials.put({"apply_fault": fault})

    refused = submit()

    assert refused["statusCode"] == 502
    assert refused["multiValueHeaders"]["Content-Type"] == ["application/problem+json"]
    assert (refused["json"]["providerCode"], refused["json"]["providerMessage"]) == ("2042", "name not accepted")
    assert status_of(stack) == "FAILED"
    assert submit()["statusCode"] == 201


def test_a_user_who_was_approved_at_vexora_before_us_is_approved_though_the_application_is_refused(
    stack: Deployment, submit: Submit, box: RunningSandbox
) -> None:
    application = box.vexora.register.apply("user-0001", "https://elsewhere.example.com/x/y")
    box.vexora.register.decide(application, "approve")

    answer = submit()

    assert (answer["statusCode"], answer["json"]["state"]) == (502, "APPROVED")
    assert status_of(stack) == "APPROVED"
    assert list(stack.store.submissions.due("9999")) == []
    assert submit()["statusCode"] == 409


def test_nothing_sent_leaves_no_open_submission_and_the_same_call_succeeds_later(
    stack: Deployment, submit: Submit, box: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as down:
        # Nobody listens there.
        real = client.VexoraClient.__init__

        def elsewhere(self: client.VexoraClient, _base_url: str, *rest: Any, **fields: Any) -> None:
            real(self, "http://127.0.0.1:9/japan", *rest, **fields)

        down.setattr(client.VexoraClient, "__init__", elsewhere)
        answers = [submit(key="order-1") for _ in range(2)]

    assert {answer["statusCode"] for answer in answers} <= {502, 503}
    assert [answer["json"]["state"] for answer in answers] == ["FAILED", "FAILED"]
    assert status_of(stack) == "FAILED"
    assert list(stack.store.submissions.due("9999")) == []


# --- bad input leaves no trace ---

BAD = {
    "no furigana": ({"userId": "user-0001"}, "usernameFurigana"),
    "no user": ({"usernameFurigana": NAME}, "userId"),
    "kanji": ({"userId": "user-0001", "usernameFurigana": "試験花子"}, "usernameFurigana"),
    "mojibake": ({"userId": "user-0001", "usernameFurigana": "ใƒ†ใ‚นใƒˆ014"}, "usernameFurigana"),
    "too long": ({"userId": "user-0001", "usernameFurigana": "ア" * 101}, "usernameFurigana"),
    "not a text": ({"userId": "user-0001", "usernameFurigana": 7}, "usernameFurigana"),
    "user with a slash": ({"userId": "user/1", "usernameFurigana": NAME}, "userId"),
    "user with a newline": ({"userId": "user-1\n", "usernameFurigana": NAME}, "userId"),
    "empty user": ({"userId": "", "usernameFurigana": NAME}, "userId"),
    "user of 65": ({"userId": "u" * 65, "usernameFurigana": NAME}, "userId"),
    "unknown field": ({"userId": "user-0001", "usernameFurigana": NAME, "extra": 1}, "?"),
}


@pytest.mark.parametrize(("body", "field"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_a_422_that_names_the_field_and_leaves_no_item_anywhere(
    stack: Deployment, submit: Submit, box: RunningSandbox, body: dict[str, Any], field: str
) -> None:
    answer = submit(body, key="order-1")

    assert answer["statusCode"] == 422
    assert field in [each["field"] for each in answer["json"]["errors"]]
    value = body.get(field)
    if isinstance(value, str) and len(value) > 1:
        assert value not in answer["body"]
    assert stack.items("StateTable") == []
    assert stack.items("IdempotencyTable") == []
    assert stack.published() == []
    assert applies(box) == 0


@pytest.mark.parametrize("text", ["ﾃｽﾄ ﾊﾅｺ", "てすと はなこ", " テスト ハナコ "])
def test_other_spellings_of_a_name_reach_the_provider_as_katakana(
    submit: Submit, box: RunningSandbox, text: str
) -> None:
    # The sandbox refuses whatever is not full-width katakana.
    assert submit({"userId": "user-0001", "usernameFurigana": text})["statusCode"] == 201
    assert applies(box) == 1


# --- nothing personal is kept ---


def test_the_furigana_is_kept_nowhere(
    stack: Deployment,
    submit: Submit,
    box: RunningSandbox,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    marked = "マルマルサンカク ヒミツ"
    for number, fault in enumerate(["none", {"kind": "reset", "when": "after"}, "http_500", "refuse", "malformed"]):
        box.vexora.dials.put({"apply_fault": fault})
        submit({"userId": f"user-{number}", "usernameFurigana": marked}, key=f"order-{number}")
    submit({"userId": "user-9", "usernameFurigana": marked + "漢字"}, key="order-9")

    printed = capsys.readouterr()
    everywhere = [
        *map(repr, stack.items("StateTable")),
        *map(repr, stack.items("IdempotencyTable")),
        *(json.dumps(message, ensure_ascii=False) for message in stack.published()),
        *(repr(message) for message in stack.receive() + stack.receive("DeadLetterQueue")),
        printed.out,
        printed.err,
        caplog.text,
    ]
    assert len(everywhere) > 20, "there is something to look through"
    for spelling in (marked, marked.split()[0], json.dumps(marked)[1:-1], marked.encode().hex()):
        assert not [text for text in everywhere if spelling in text]


# --- configuration ---


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({}, "vexora_merchant_no"),
        (PROVIDERS | {"vexora_merchant_no": "REPLACE_ME"}, "vexora_merchant_no"),
        (PROVIDERS | {"vexora_app_secret": " "}, "vexora_app_secret"),
    ],
)
def test_a_missing_secret_value_names_its_key_and_the_command_and_writes_nothing(
    stack: Deployment, submit: Submit, values: dict[str, str], key: str
) -> None:
    stack.put_providers_secret(values)

    answer = submit()

    assert answer["statusCode"] == 500
    assert key in answer["json"]["detail"]
    assert "aws secretsmanager put-secret-value" in answer["json"]["detail"]
    assert answer["json"]["detail"] == str(SecretIncompleteError(_arn(stack), key))
    assert stack.items() == []


def _arn(stack: Deployment) -> str:
    return str(stack.secrets.describe_secret(SecretId="ProvidersSecret")["ARN"])


@pytest.mark.parametrize("variables", [None, {}, {"webhookApiUrl": ""}])
def test_without_the_stage_variable_nothing_is_begun(
    stack: Deployment, function: Function, box: RunningSandbox, variables: object
) -> None:
    answer = function(sample("vexora_submission") | {"stageVariables": variables})

    assert answer["statusCode"] == 500
    assert "webhookApiUrl" in json.loads(answer["body"])["detail"]
    assert (applies(box), status_of(stack)) == (0, "")
