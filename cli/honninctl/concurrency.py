"""Whether the account lets enough Lambda functions run at once for what a stack asks of it (docs/deploying.md)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from honninctl.language import _

# Functions that WebhookReservedConcurrency and WebhookProvisionedConcurrency are for, each.
_WEBHOOKS = 5
# Queues that process ProcessorConcurrency batches at once each: events, repairs, rereads.
_QUEUES = 3
# Batches of recon notifications at once: MaximumConcurrency of ReconNoticeSource in template.yaml.
_NOTIFICATIONS = 2
# The merchant API and the scheduled functions beside the queues: an estimate.
_OTHERS = 20
# AWS, AWS Lambda developer guide, "Configuring reserved concurrency": so many stay unreserved, whatever is asked for.
_ALWAYS_UNRESERVED = 100


@dataclass(frozen=True)
class Limits:
    """What the account has in this region, and what the stack's parameters ask for."""

    account: int
    unreserved: int
    processor: int
    reserved: int
    warm: int

    @classmethod
    def of(cls, account_limit: Mapping[str, int], parameters: Mapping[str, str]) -> "Limits":
        """Out of `AccountLimit` of Lambda's GetAccountSettings and the stack's parameters."""
        return cls(
            account=account_limit["ConcurrentExecutions"],
            unreserved=account_limit["UnreservedConcurrentExecutions"],
            processor=int(parameters.get("ProcessorConcurrency", "10")),
            reserved=int(parameters.get("WebhookReservedConcurrency", "0")),
            warm=int(parameters.get("WebhookProvisionedConcurrency", "0")),
        )

    @property
    def queues(self) -> int:
        """What the queues take for themselves when all of them are full, as in a night with many repairs."""
        return _QUEUES * self.processor + _NOTIFICATIONS

    @property
    def most_reserved(self) -> int:
        """The largest WebhookReservedConcurrency that AWS would take."""
        return max(0, (self.unreserved + _WEBHOOKS * self.reserved - _ALWAYS_UNRESERVED) // _WEBHOOKS)


@dataclass(frozen=True)
class Shortage:
    """Something that is too small. `refuses`: webhooks are refused, or a deployment fails."""

    found: str
    advice: str
    refuses: bool


def shortages(limits: Limits) -> Iterator[Shortage]:
    """Each thing that is too small, the worst first."""
    webhooks = 0 if limits.reserved else _WEBHOOKS * max(1, limits.warm)
    if limits.unreserved < limits.queues + webhooks:
        if webhooks:
            found = _("{shared}; the queues take up to {queues} of them, and webhooks are refused meanwhile").format(
                shared=_shared(limits), queues=limits.queues
            )
        else:
            found = _("{shared}; the queues take up to {queues} of them, and the merchant API fails meanwhile").format(
                shared=_shared(limits), queues=limits.queues
            )
        yield Shortage(
            found, _("{first}; until then deploy with ProcessorConcurrency=2").format(first=_raise()), refuses=True
        )
    elif limits.unreserved < limits.queues + webhooks + _OTHERS:
        found = _("{shared}; the queues ({queues}), webhooks and the merchant API can fill that").format(
            shared=_shared(limits), queues=limits.queues
        )
        yield Shortage(found, _raise(), refuses=False)
    elif not limits.warm and not limits.most_reserved:
        found = _("{shared}; WebhookReservedConcurrency cannot be set, AWS keeps {free} free").format(
            shared=_shared(limits), free=_ALWAYS_UNRESERVED
        )
        yield Shortage(found, _raise(), refuses=False)
    if limits.warm and not limits.reserved and _WEBHOOKS * limits.warm > limits.unreserved - _ALWAYS_UNRESERVED:
        needed = _WEBHOOKS * limits.warm + _ALWAYS_UNRESERVED
        found = _("WebhookProvisionedConcurrency={warm} needs {needed} unreserved, there are {unreserved}").format(
            warm=limits.warm, needed=needed, unreserved=limits.unreserved
        )
        yield Shortage(
            found,
            _("{first}; until then deploy with WebhookProvisionedConcurrency=0").format(first=_raise()),
            refuses=True,
        )
    if 0 < limits.reserved < limits.warm:
        found = _("WebhookReservedConcurrency={reserved} is less than WebhookProvisionedConcurrency={warm}").format(
            reserved=limits.reserved, warm=limits.warm
        )
        yield Shortage(found, _("make it at least as large: the next deployment would fail"), refuses=True)


def in_order(limits: Limits) -> str:
    """What to say where nothing is too small."""
    if limits.reserved:
        return _(
            "{shared}, {reserved} kept for each webhook function (WebhookReservedConcurrency may be "
            "{most_reserved} at most)"
        ).format(shared=_shared(limits), reserved=limits.reserved, most_reserved=limits.most_reserved)
    return _("{shared}, none kept for webhooks (WebhookReservedConcurrency may be {most_reserved} at most)").format(
        shared=_shared(limits), most_reserved=limits.most_reserved
    )


def _raise() -> str:
    return _('ask AWS to raise the quota "Concurrent executions" to 1000 first (docs/deploying.md, "Concurrency")')


def _shared(limits: Limits) -> str:
    return _("the account runs {account} at once, {unreserved} of them unreserved").format(
        account=limits.account, unreserved=limits.unreserved
    )
