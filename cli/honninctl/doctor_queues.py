"""What waits in the queues, and what was left in those of dead letters."""

from collections.abc import Callable, Iterator
from functools import partial

from honninctl import dead_letters
from honninctl.checks import Check, Verdict, guarded, without
from honninctl.deployment import Deployment
from honninctl.language import N_, _

# The queues that are processed, by output.
_QUEUES = {
    N_("events"): "EventQueueUrl",
    N_("recon notifications"): "ReconNoticeQueueUrl",
    N_("repairs"): "RepairQueueUrl",
    N_("rereads"): "RereadQueueUrl",
}

# Those of the merchant webhooks, which not every stack has, by logical id.
WEBHOOK_QUEUES = {
    N_("merchant webhooks"): "MerchantWebhookQueue",
    N_("dead letters, {queue}").format(queue=dead_letters.Queue.WEBHOOKS): dead_letters.WEBHOOK_DEAD_LETTERS,
}

type _Look = Callable[[Deployment, str, str], Iterator[Check]]


def check(deployment: Deployment) -> Iterator[Check]:
    """Each queue by itself; one that cannot be asked leaves the others."""
    dead_letter_queues = {
        N_("dead letters, {queue}").format(queue=queue): key for queue, key in dead_letters.OUTPUTS.items()
    }
    for what, key in {**_QUEUES, **dead_letter_queues}.items():
        url = deployment.outputs.get(key)
        if url is None:
            yield without(deployment, "queues", key)
        else:
            look = _left if what in dead_letter_queues else _waiting
            yield from guarded("queues", partial(look, deployment, what, url), what)
    for what, logical_id in WEBHOOK_QUEUES.items() if dead_letters.sends_webhooks(deployment) else ():
        look = _left if logical_id == dead_letters.WEBHOOK_DEAD_LETTERS else _waiting
        yield from guarded("queues", partial(_by_name, look, deployment, what, logical_id), what)


def _by_name(look: _Look, deployment: Deployment, what: str, logical_id: str) -> Iterator[Check]:
    return look(deployment, what, deployment.resource(logical_id))


def _waiting(deployment: Deployment, what: str, url: str) -> Iterator[Check]:
    yield Check(
        "queues",
        Verdict.OK,
        _("{what}: {waiting} waiting").format(what=_queue_name(what), waiting=dead_letters.waiting(deployment, url)),
    )


def _left(deployment: Deployment, what: str, url: str) -> Iterator[Check]:
    if number := dead_letters.waiting(deployment, url):
        advice = f"honninctl deadletters list --queue {what.rpartition(' ')[2]}"
        yield Check("queues", Verdict.WARN, _("{what}: {number}").format(what=_queue_name(what), number=number), advice)
    else:
        yield Check("queues", Verdict.OK, _("{what}: none").format(what=_queue_name(what)))


def _queue_name(what: str) -> str:
    words, comma, queue = what.partition(", ")
    return _("dead letters, {queue}").format(queue=queue) if comma else _(words)
