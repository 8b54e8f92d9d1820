"""What the caller may do, so that no page has a button that AWS would refuse.

AWS does not say what somebody may do; it only refuses. So for each act one small reading call is made that the stack's
policies allow together with it (docs/security.md, "Roles"). Somebody with a policy of their own may get the wrong
answer: then an act that is offered is refused by AWS, or the command line still does what is not offered.
"""

import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from honninctl import roles
from honninctl.deployment import Deployment
from honninctl.failures import NoAccessError, explained

# A role may be changed while the console runs.
_KNOWN_FOR_S = 300


class Act(StrEnum):
    """What the console does besides reading."""

    REREAD = "reread"
    EXPORT = "export"
    ERASE = "erase"
    REDRIVE = "redrive"
    DISCARD = "discard"
    TEST_WEBHOOK = "test-webhook"


# The command that does the same (`honninctl.roles`).
COMMANDS: Mapping[Act, str] = {
    Act.REREAD: "reread",
    Act.EXPORT: "export",
    Act.ERASE: "erase",
    Act.REDRIVE: "deadletters redrive",
    Act.DISCARD: "deadletters redrive",
    Act.TEST_WEBHOOK: "webhooks test",
}


class Rights:
    """What the caller may do; asked once in five minutes. `monotonic` is the clock."""

    def __init__(self, deployment: Deployment, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._deployment = deployment
        self._monotonic = monotonic
        self._known: dict[Callable[[Deployment], Any], tuple[float, bool]] = {}

    def may(self, act: Act) -> bool:
        """Whether AWS lets the caller do it, as far as that can be seen. Not known counts as yes: AWS decides."""
        probe = _PROBES[act]
        since, known = self._known.get(probe, (0.0, False))
        if probe not in self._known or self._monotonic() - since >= _KNOWN_FOR_S:
            known = not _is_refused(lambda: probe(self._deployment))
            self._known[probe] = (self._monotonic(), known)
        return known

    def forget(self) -> None:
        """Ask anew the next time: AWS has just refused what looked allowed."""
        self._known.clear()


def policies(act: Act) -> str:
    """The stack's policies that allow it."""
    return ", ".join(roles.ALLOWED_BY[COMMANDS[act]])


def _is_refused(call: Callable[[], Any]) -> bool:
    try:
        call()
    except Exception as error:
        return isinstance(explained(error), NoAccessError)
    return False


def _as_officer(deployment: Deployment) -> None:
    # In the statement of OfficerPolicy that also allows the erasure.
    deployment.merchant("GET", "/overview/users", {"provider": "paypay", "status": "VERIFIED", "limit": "1"})


def _as_exporter(deployment: Deployment) -> None:
    deployment.client("s3").list_object_versions(
        Bucket=deployment.output("PersonalDataBucketName"), Prefix="paypay/", MaxKeys=1
    )


def _as_operator(deployment: Deployment) -> None:
    # In the statement of OperatorPolicy that also allows to send to these queues.
    deployment.client("sqs").get_queue_attributes(
        QueueUrl=deployment.output("RereadQueueUrl"), AttributeNames=["QueueArn"]
    )


_PROBES: Mapping[Act, Callable[[Deployment], None]] = {
    Act.REREAD: _as_operator,
    Act.EXPORT: _as_exporter,
    Act.ERASE: _as_officer,
    Act.REDRIVE: _as_operator,
    Act.DISCARD: _as_operator,
    Act.TEST_WEBHOOK: _as_operator,
}
