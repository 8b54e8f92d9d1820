"""The main job, performed on the deployed stack: users at both providers and what must become of each.

Every status is read through the merchant API, as a merchant would; the sandbox's control API only says how
the providers behave. This module has the Vexora scenes, demo_paypay the others.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests

from local.errors import LocalError
from local.stack import Stack
from local.steps import Steps

# A busy machine takes half a minute for a cold start, and a provider pauses between its tries.
_DEADLINE_S = 120.0
_POLL_S = 0.2
_SETTLE_S = 1.0
"""How long a status must stand still before it is taken as final."""

_REVIEW_DELAY_S = 1.0
_REASON = "氏名のカナが口座の名義と違います"


@dataclass(frozen=True)
class TimelineEntry:
    """One line of a user's timeline."""

    at: str
    what: str
    cause: str
    moved_from: str | None
    moved_to: str | None


@dataclass(frozen=True)
class Result:
    """What was expected of one user, and what came."""

    user_id: str
    scene: str
    expected: str
    got: str
    ok: bool
    timeline: tuple[TimelineEntry, ...]


@dataclass(frozen=True)
class Scene:
    """One user's part: `play` does it and says what was expected and what came."""

    user_id: str
    name: str
    title: str
    play: Callable[[Stack, str, str], tuple[str, str]]


def perform(stack: Stack, steps: Steps, scenes: Sequence[Scene]) -> list[Result]:
    """Play the scenes in order; a failing one does not stop the others."""
    results = []
    for scene in scenes:
        with steps.step(f"{scene.name} ({scene.user_id}): {scene.title}"):
            expected, got = _played(stack, scene)
            results.append(
                Result(
                    scene.user_id,
                    scene.title,
                    expected,
                    got,
                    ok=got == expected,
                    timeline=_timeline_or_none(stack, scene.user_id),
                )
            )
    return results


def status(stack: Stack, user_id: str, provider: str = "vexora") -> str | None:
    """The user's status at a provider by `GET /users/{userId}`; None while the API does not know the user."""
    answer = stack.merchant.request("GET", f"/users/{quote(user_id)}")
    if answer.status_code == 404:
        return None
    body = ok(answer, "GET /users/{userId}")
    found = body["providers"].get(provider)
    return str(found["status"]) if found else None


def timeline(stack: Stack, user_id: str) -> tuple[TimelineEntry, ...]:
    """The user's timeline by `GET /users/{userId}/timeline`, newest first."""
    answer = stack.merchant.request("GET", f"/users/{quote(user_id)}/timeline")
    if answer.status_code == 404:
        return ()
    body = ok(answer, "GET /users/{userId}/timeline")
    return tuple(
        TimelineEntry(each["at"], each["what"], each["cause"], each.get("from"), each.get("to"))
        for each in body["entries"]
    )


def submit(stack: Stack, user_id: str, furigana: str) -> None:
    """`POST /vexora/submissions`; LocalError when it is refused."""
    answer = stack.merchant.request(
        "POST", "/vexora/submissions", json={"userId": user_id, "usernameFurigana": furigana}
    )
    ok(answer, "POST /vexora/submissions")


def wait_for(condition: Callable[[], bool], deadline_s: float = _DEADLINE_S) -> bool:
    """Whether `condition` came true within `deadline_s` seconds."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _timeline_or_none(stack: Stack, user_id: str) -> tuple[TimelineEntry, ...]:
    try:
        return timeline(stack, user_id)
    except LocalError:
        return ()  # the scene's own result says what is wrong


def _played(stack: Stack, scene: Scene) -> tuple[str, str]:
    try:
        return scene.play(stack, scene.user_id, scene.name)
    except LocalError as error:
        return "no error", str(error)


def _approved_by_callback(stack: Stack, user_id: str, furigana: str) -> tuple[str, str]:
    _dial(stack, user_id, {"review": "approve", "review_delay_s": _REVIEW_DELAY_S})
    submit(stack, user_id, furigana)
    wait_for(lambda: status(stack, user_id) == "APPROVED")
    return "APPROVED by webhook", _status_and_cause(stack, user_id)


def _callback_dropped(stack: Stack, user_id: str, furigana: str) -> tuple[str, str]:
    _dial(stack, user_id, {"review": "approve", "review_delay_s": _REVIEW_DELAY_S, "callback": "dropped"})
    submit(stack, user_id, furigana)
    wait_for(lambda: _sandbox_user(stack, user_id)["status"] == "2")
    before = status(stack, user_id)

    def found_by_poll() -> bool:
        # The schedule would do this every 10 minutes; nobody wants to watch that.
        stack.invoke("VexoraStatusPollFunction")
        return status(stack, user_id) == "APPROVED"

    wait_for(found_by_poll)
    return "PENDING, then APPROVED by poll", f"{before}, then {_status_and_cause(stack, user_id)}"


def _callback_forged(stack: Stack, user_id: str, furigana: str) -> tuple[str, str]:
    _dial(stack, user_id, {"review": "none"})
    submit(stack, user_id, furigana)
    answered = _callback(stack, user_id, {"claims": "2", "forged": True})
    return "callback answered 403, still PENDING", f"callback answered {answered}, {_still(stack, user_id)}"


def _callback_unconfirmed(stack: Stack, user_id: str, furigana: str) -> tuple[str, str]:
    _dial(stack, user_id, {"review": "none"})
    submit(stack, user_id, furigana)
    asked_before = _sandbox_user(stack, user_id)["query_calls"]
    answered = _callback(stack, user_id, {"claims": "2"})
    asked = wait_for(lambda: bool(_sandbox_user(stack, user_id)["query_calls"] > asked_before))
    got = f"callback answered {answered}, Vexora {'asked' if asked else 'not asked'}, {_still(stack, user_id)}"
    return "callback answered 200, Vexora asked, still PENDING", got


def _rejected_with_its_reason(stack: Stack, user_id: str, furigana: str) -> tuple[str, str]:
    _dial(stack, user_id, {"review": "reject", "review_delay_s": _REVIEW_DELAY_S, "reason": _REASON})
    submit(stack, user_id, furigana)
    wait_for(lambda: status(stack, user_id) == "REJECTED")
    user = ok(stack.merchant.request("GET", f"/users/{quote(user_id)}"), "GET /users/{userId}")
    reason = user["providers"]["vexora"].get("reason")
    return f"REJECTED by webhook: {_REASON}", f"{_status_and_cause(stack, user_id)}: {reason or 'no reason'}"


VEXORA_SCENES = (
    Scene("hanako", "テスト ハナコ", "approved", _approved_by_callback),
    Scene("jiro", "テスト ジロウ", "rejected, with the reason", _rejected_with_its_reason),
    Scene("saburo", "テスト サブロウ", "callback lost, the poll (invoked now) finds it", _callback_dropped),
    Scene("shiro", "テスト シロウ", "forged callback claims an approval", _callback_forged),
    Scene("goro", "テスト ゴロウ", "callback claims what Vexora does not confirm", _callback_unconfirmed),
)


def _dial(stack: Stack, user_id: str, dials: dict[str, object]) -> None:
    stack.sandbox("PUT", f"/dials/vexora/{user_id}", json=dials)


def _sandbox_user(stack: Stack, user_id: str) -> Any:
    return stack.sandbox("GET", f"/vexora/users/{user_id}")


def _callback(stack: Stack, user_id: str, overrides: dict[str, object]) -> object:
    """Have the sandbox send a callback now; the HTTP status that our webhook answered."""
    sent = stack.sandbox("POST", f"/vexora/users/{user_id}/callback", json=overrides)
    attempts = sent["attempts"]
    return attempts[-1]["status"] if attempts else "nothing"


def _still(stack: Stack, user_id: str) -> str:
    """`still <status>`, unless an approval got into the status or the timeline."""
    time.sleep(_SETTLE_S)
    approved = any(entry.moved_to == "APPROVED" for entry in timeline(stack, user_id))
    return f"{'approved, now' if approved else 'still'} {status(stack, user_id)}"


def _status_and_cause(stack: Stack, user_id: str) -> str:
    reached = status(stack, user_id)
    causes = [entry.cause for entry in timeline(stack, user_id) if entry.moved_to == reached]
    return f"{reached} by {causes[0]}" if causes else str(reached)


def ok(answer: requests.Response, what: str) -> Any:
    """The answer's JSON; LocalError unless it is a success."""
    if not answer.ok:
        raise LocalError(f"{what} answered {answer.status_code}: {answer.text[:200]}")
    return answer.json()
