"""Changing the callback key: no URL that Vexora holds stops working, at no moment of it."""

import json
from collections.abc import Callable

import pytest
from aws_lambda_powertools.utilities import parameters

from honnin import secret_store
from honninctl.callback_key import rotate
from honninctl.key_rotation import WAIT_S, RotationError, drop_previous
from sandbox.server import RunningSandbox
from tests.fakes.deployment import Deployment, callback, submitter

SECRET = "CallbackKeySecret"

Submit = Callable[[str], tuple[str, str]]
Acknowledge = Callable[[str, str], int]


@pytest.fixture
def submit(stack: Deployment, box: RunningSandbox) -> Submit:
    """Submit a user; the submission id, and the token in the URL that Vexora got."""
    call = submitter(stack.function("vexora_submission"))

    def submit(user_id: str) -> tuple[str, str]:
        assert call(user_id=user_id)["statusCode"] == 201
        submission_id, token = str(box.vexora.register.view(user_id)["callback_url"]).split("/")[-2:]
        return submission_id, token

    return submit


@pytest.fixture
def acknowledge(stack: Deployment) -> Acknowledge:
    """Vexora calls back; the status that it gets."""
    function = stack.function("vexora_result_webhook")
    body = json.dumps({"userId": "user-0001", "authenticationStatus": "2"})

    def call(submission_id: str, token: str) -> int:
        answer: dict[str, int] = function(callback(submission_id, body, token=token))
        return answer["statusCode"]

    return call


def five_minutes_later() -> tuple[str, ...]:
    """The keys, when the cache has forgotten them."""
    parameters.clear_caches()  # type: ignore[no-untyped-call]  # Powertools leaves it untyped
    return secret_store.callback_keys()


def test_every_url_works_before_in_and_after_the_rotation(
    stack: Deployment, submit: Submit, acknowledge: Acknowledge
) -> None:
    made = [submit("user-0001")]

    def in_between(seconds: float) -> None:
        assert seconds > secret_store._MAX_AGE_S, "some function would not know the new key yet"
        five_minutes_later()
        made.append(submit("user-0002"))
        assert [acknowledge(*each) for each in made] == [200, 200]

    rotate(stack.secrets, SECRET, wait=in_between)
    five_minutes_later()
    made.append(submit("user-0003"))
    assert [acknowledge(*each) for each in made] == [200, 200, 200]

    drop_previous(stack.secrets, SECRET)
    five_minutes_later()
    assert [acknowledge(*each) for each in made] == [403, 403, 200]


def test_an_old_url_works_at_a_function_that_knows_the_new_secret_only(
    stack: Deployment, submit: Submit, acknowledge: Acknowledge
) -> None:
    old = submit("user-0001")
    rotate(stack.secrets, SECRET, wait=lambda _seconds: None)
    five_minutes_later()
    assert acknowledge(*old) == 200
    assert acknowledge(old[0], "0" * 64) == 403


def test_a_new_url_works_at_a_function_that_knows_the_first_step_only(
    stack: Deployment, submit: Submit, acknowledge: Acknowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit("user-0001")
    first_step: list[tuple[str, ...]] = []
    rotate(stack.secrets, SECRET, wait=lambda _: first_step.append(five_minutes_later()))
    five_minutes_later()
    new = submit("user-0002")
    monkeypatch.setattr(secret_store, "callback_keys", lambda **_: first_step[0])
    assert acknowledge(*new) == 200


def test_a_second_rotation_is_refused_while_a_previous_key_is_accepted(stack: Deployment) -> None:
    rotate(stack.secrets, SECRET, wait=lambda _seconds: None)
    before = stack.secrets.get_secret_value(SecretId=SECRET)["SecretString"]
    with pytest.raises(RotationError, match="drop-previous"):
        rotate(stack.secrets, SECRET, wait=lambda _seconds: None)
    assert stack.secrets.get_secret_value(SecretId=SECRET)["SecretString"] == before


def test_stopped_in_the_middle_it_can_begin_again(stack: Deployment, submit: Submit, acknowledge: Acknowledge) -> None:
    old = submit("user-0001")

    def killed(_seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(RotationError, match="stopped while waiting"):
        rotate(stack.secrets, SECRET, wait=killed)
    five_minutes_later()
    assert acknowledge(*old) == 200
    drop_previous(stack.secrets, SECRET)
    rotate(stack.secrets, SECRET, wait=lambda _seconds: None)
    five_minutes_later()
    assert acknowledge(*old) == 200


def test_the_wait_is_longer_than_a_secret_is_kept() -> None:
    assert WAIT_S > secret_store._MAX_AGE_S
