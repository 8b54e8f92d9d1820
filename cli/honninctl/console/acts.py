"""What the console does besides reading: each act says first exactly what it would do, and then does that.

`plan` only reads. What it says goes to the confirmation page, and its fingerprint into the confirmation; so if the
stack, the user or the queue is another one when the confirmation comes back, nothing is done. What fails and may have
been done all the same is not done again with the same confirmation.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from honninctl import dead_letter_filter, dead_letters, people, redrive, webhooks
from honninctl import export as exports
from honninctl import reread as rereading
from honninctl.console.rights import Act
from honninctl.dead_letters import RUNS, Queue
from honninctl.deployment import Deployment
from honninctl.failures import NoAccessError, NotFoundError, UsageError, explained
from honninctl.recorded import Action

# A text by its name, with the values of its places.
type Said = tuple[str, Mapping[str, Any]]

_WEBHOOK_URL = "MerchantWebhookUrl"
# Acts that move messages one after another: when something is refused, others may have been moved already.
_BY_PARTS = frozenset({Act.REDRIVE, Act.DISCARD})


class Reason(StrEnum):
    """Whether the caller has to say why."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    NONE = "none"


@dataclass(frozen=True)
class Plan:
    """What an act would do now.

    Attributes
    ----------
    target
        What it acts on: the fields of the address of its page.
    says
        The sentences of the page.
    counts
        How many messages of each kind.
    typed
        What has to be typed to go on.
    is_empty
        There is nothing to do.
    record
        As what it is recorded, with the user; None: it is about nobody.
    """

    act: Act
    target: Mapping[str, str]
    says: Sequence[Said]
    record: tuple[Action, str | None]
    reason: Reason = Reason.OPTIONAL
    counts: Mapping[str, int] = field(default_factory=dict)
    typed: str | None = None
    is_empty: bool = False

    def fingerprint(self, deployment: Deployment) -> str:
        """The same for as long as the same would happen to the same stack."""
        stack = str(deployment.description.get("StackId", deployment.name))
        facts = [stack, self.act, dict(self.target), [[name, dict(values)] for name, values in self.says]]
        text = json.dumps([*facts, dict(self.counts), self.is_empty], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Download:
    """A file for the caller."""

    name: str
    content_type: str
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Outcome:
    """What an act has done: sentences, whether it is good, the certificate of an erasure, or a file.

    If it is not clear whether it was done, `error` says in words of the command line what went wrong.
    """

    says: Sequence[Said]
    is_good: bool = True
    error: str = ""
    certificate: Mapping[str, Any] | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    download: Download | None = None


@dataclass(frozen=True)
class Given:
    """What the caller said on the confirmation page."""

    reason: str | None
    ticket: str | None = None


def plan(deployment: Deployment, act: Act, fields: Mapping[str, str], *, may_reveal: bool) -> Plan:
    """What an act on these fields would do. Raises `UsageError`, `NotFoundError` for what cannot be done."""
    if fields.get("reveal") and not may_reveal:
        raise UsageError("personal data is shown by a console that was started with --reveal only")
    return _PLANS[act](deployment, fields)


def do(deployment: Deployment, planned: Plan, given: Given) -> Outcome:
    """Do what was planned. Raises what certainly left everything as it was.

    Any other failure is an outcome: it may have been done, in whole or in part, and must not be done again unseen.
    """
    act = planned.act
    try:
        return _DEEDS[act](deployment, planned, given)
    except Exception as error:
        cause = explained(error)
        # An export only reads. Of the other acts, each asks for the same right with every call, so it is refused as a
        # whole or not at all.
        is_refused = isinstance(cause, NoAccessError | NotFoundError | UsageError) and act not in _BY_PARTS
        if act is Act.EXPORT or is_refused:
            raise
        return Outcome([("acts.unclear", {}), (f"acts.unclear_{act}", {})], is_good=False, error=str(cause))


# --- a user ---


def _user(fields: Mapping[str, str]) -> str:
    user_id = fields.get("id", "").strip()
    if not user_id:
        raise UsageError("no user is named")
    return user_id


def _plan_reread(deployment: Deployment, fields: Mapping[str, str]) -> Plan:
    user_id = _user(fields)
    try:
        asked = rereading.questions(deployment, user_id)
    except UsageError:
        nothing: list[Said] = [("acts.reread_nothing", {"user": user_id})]
        return Plan(Act.REREAD, {"id": user_id}, nothing, (Action.REREAD, user_id), is_empty=True)
    says: list[Said] = [("acts.reread_what", {"user": user_id})]
    says += [(f"acts.ask_{each.provider}_{each.kind}", {}) for each in asked]
    return Plan(Act.REREAD, {"id": user_id}, [*says, ("acts.reread_safe", {})], (Action.REREAD, user_id))


def _reread(deployment: Deployment, planned: Plan, given: Given) -> Outcome:  # noqa: ARG001
    asked = rereading.ask(deployment, planned.target["id"])
    return Outcome([("acts.reread_done", {"number": len(asked)})])


def _plan_export(deployment: Deployment, fields: Mapping[str, str]) -> Plan:
    user_id, reveals = _user(fields), bool(fields.get("reveal"))
    # Of a user nobody knows there is nothing to export. An erased user has a timeline still.
    _status_or_none(deployment, user_id)
    says = [("acts.export_what", {"user": user_id}), (f"acts.export_{'revealed' if reveals else 'masked'}", {})]
    return Plan(
        Act.EXPORT,
        {"id": user_id, **({"reveal": "1"} if reveals else {})},
        [*says, ("acts.export_file", {})],
        (Action.REVEALED if reveals else Action.EXPORTED, user_id),
        Reason.REQUIRED if reveals else Reason.OPTIONAL,
    )


def _export(deployment: Deployment, planned: Plan, given: Given) -> Outcome:  # noqa: ARG001
    user_id, now = planned.target["id"], datetime.now(UTC)
    reveals = bool(planned.target.get("reveal"))
    found = exports.export(deployment, user_id, reveal=reveals, whole_table=False, now=now)
    body = json.dumps(found, ensure_ascii=False, indent=2, default=str).encode()
    # The id may hold what no file name may.
    name = f"honnin-export-{now:%Y%m%dT%H%M%SZ}.json"
    return Outcome([("acts.export_done", {"file": name})], download=Download(name, "application/json", body))


def _plan_erase(deployment: Deployment, fields: Mapping[str, str]) -> Plan:
    user_id, unlinks = _user(fields), bool(fields.get("unlink"))
    status = _status_or_none(deployment, user_id)
    says: list[Said] = [("acts.erase_what", {"user": user_id, "stack": deployment.name})]
    if status is None:
        says.append(("acts.erase_again", {}))
    else:
        for provider, each in sorted(status["providers"].items()):
            says.append(("acts.erase_status", {"provider": provider, "status": each["status"]}))
        says += [("acts.erase_unlink" if unlinks else "acts.erase_keeps_link", {})] if _is_linked(status) else []
    says += [("acts.erase_keeps", {}), ("acts.erase_duty", {}), ("acts.erase_for_good", {})]
    return Plan(
        Act.ERASE,
        {"id": user_id, **({"unlink": "1"} if unlinks else {})},
        says,
        (Action.ERASED, user_id),
        Reason.REQUIRED,
        typed=user_id,
    )


def _is_linked(status: Mapping[str, Any]) -> bool:
    return "paypay" in status["providers"]


def _erase(deployment: Deployment, planned: Plan, given: Given) -> Outcome:
    user_id = planned.target["id"]
    unlinks = bool(planned.target.get("unlink"))
    certificate = people.erase(deployment, user_id, unlink=unlinks, reason=given.reason, ticket=given.ticket)
    return Outcome([("acts.erase_done", {"user": user_id})], certificate=certificate)


def _status_or_none(deployment: Deployment, user_id: str) -> Mapping[str, Any] | None:
    """The user's status; None for one who was erased. Raises `NotFoundError` for one nobody ever knew."""
    try:
        return people.status(deployment, user_id)
    except NotFoundError:
        people.timeline_page(deployment, user_id, limit=1)
        return None


# --- dead letters ---


def _queue(fields: Mapping[str, str], *, runs: bool) -> Queue:
    try:
        found = Queue(fields.get("queue", ""))
    except ValueError:
        raise UsageError("there is no such queue") from None
    if (found in RUNS) != runs:
        raise UsageError("the messages of failed runs are deleted, and no others")
    return found


def _wanted(fields: Mapping[str, str]) -> dead_letter_filter.Filter:
    error = fields.get("error", "")
    return dead_letter_filter.Filter(frozenset({error} if error else ()), only_ours=True)


def _letters_target(queue: Queue, fields: Mapping[str, str]) -> dict[str, str]:
    return {"queue": str(queue), **({"error": fields["error"]} if fields.get("error") else {})}


def _plan_redrive(deployment: Deployment, fields: Mapping[str, str]) -> Plan:
    queue = _queue(fields, runs=False)
    url = dead_letters.find(deployment, queue).urls[queue]
    found = redrive.look(deployment, url, _wanted(fields))
    number = found.done.total()
    says: list[Said] = [(f"acts.redrive_{queue}", {"number": number})]
    if found.left.total():
        says.append(("acts.redrive_others", {"number": found.left.total()}))
    says += [] if found.is_whole else [("acts.redrive_part", {})]
    return Plan(
        Act.REDRIVE,
        _letters_target(queue, fields),
        [*says, ("acts.redrive_safe", {})] if number else [("acts.nothing_left", {})],
        (Action.REDRIVEN, None),
        counts=dict(found.done.most_common()),
        is_empty=not number,
    )


def _redrive(deployment: Deployment, planned: Plan, given: Given) -> Outcome:  # noqa: ARG001
    queue = Queue(planned.target["queue"])
    url = dead_letters.find(deployment, queue).urls[queue]
    moved = redrive.put_back(deployment, queue, url, _wanted(planned.target))
    says: list[Said] = [("acts.redrive_done", {"number": moved.done.total()})]
    says += [("acts.redrive_refused", {"number": moved.refused})] if moved.refused else []
    return Outcome(says, is_good=not moved.refused, counts=dict(moved.done.most_common()))


def _plan_discard(deployment: Deployment, fields: Mapping[str, str]) -> Plan:
    queue = _queue(fields, runs=True)
    letters = dead_letters.letters(deployment, dead_letters.find(deployment, queue))
    counts = Counter(str(each["function"] or "") for each in letters)
    return Plan(
        Act.DISCARD,
        {"queue": str(queue)},
        [("acts.discard_what", {"number": len(letters)}), ("acts.discard_safe", {})]
        if letters
        else [("acts.nothing_left", {})],
        (Action.DISCARDED, None),
        counts=dict(counts.most_common()),
        is_empty=not letters,
    )


def _discard(deployment: Deployment, planned: Plan, given: Given) -> Outcome:  # noqa: ARG001
    queue = Queue(planned.target["queue"])
    moved = redrive.discard(deployment, dead_letters.find(deployment, queue).urls[queue])
    says: list[Said] = [("acts.discard_done", {"number": moved.done.total()})]
    return Outcome(says, is_good=not moved.refused)


# --- the merchant's endpoint ---


def _plan_test(deployment: Deployment, fields: Mapping[str, str]) -> Plan:  # noqa: ARG001
    if not dead_letters.sends_webhooks(deployment):
        raise dead_letters.WebhooksOffError(deployment.name)
    host = urlsplit(deployment.parameters[_WEBHOOK_URL]).hostname or ""
    says: list[Said] = [("acts.test_what", {"host": host}), ("acts.test_safe", {})]
    return Plan(Act.TEST_WEBHOOK, {}, says, (Action.OPERATED, None), Reason.NONE)


def _test(deployment: Deployment, planned: Plan, given: Given) -> Outcome:  # noqa: ARG001
    found = webhooks.test(deployment)
    seconds = f"{float(found['seconds']):.1f}"
    if found["delivered"]:
        return Outcome([("acts.test_delivered", {"status": found["status"], "seconds": seconds})])
    says: list[Said] = [
        ("acts.test_no_answer", {"seconds": seconds})
        if found["status"] is None
        else ("acts.test_refused", {"status": found["status"], "seconds": seconds}),
        (f"acts.test_advice_{_kind(found['status'])}", {}),
    ]
    return Outcome(says, is_good=False)


def _kind(status: int | None) -> str:
    if status is None:
        return "none"
    if 300 <= status < 400:
        return "redirect"
    return "secret" if status in (401, 403) else "other"


_PLANS: Mapping[Act, Callable[[Deployment, Mapping[str, str]], Plan]] = {
    Act.REREAD: _plan_reread,
    Act.EXPORT: _plan_export,
    Act.ERASE: _plan_erase,
    Act.REDRIVE: _plan_redrive,
    Act.DISCARD: _plan_discard,
    Act.TEST_WEBHOOK: _plan_test,
}
_DEEDS: Mapping[Act, Callable[[Deployment, Plan, Given], Outcome]] = {
    Act.REREAD: _reread,
    Act.EXPORT: _export,
    Act.ERASE: _erase,
    Act.REDRIVE: _redrive,
    Act.DISCARD: _discard,
    Act.TEST_WEBHOOK: _test,
}
