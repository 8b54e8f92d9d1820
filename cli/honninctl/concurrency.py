"""Whether the account lets enough Lambda functions run at once for what a stack asks of it (docs/deploying.md)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

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

_RAISE = 'ask AWS to raise the quota "Concurrent executions" to 1000 first (docs/deploying.md, "Concurrency")'


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
        found = f"{_shared(limits)}; the queues take up to {limits.queues} of them"
        found += ", and webhooks are refused meanwhile" if webhooks else ", and the merchant API fails meanwhile"
        yield Shortage(found, f"{_RAISE}; until then deploy with ProcessorConcurrency=2", refuses=True)
    elif limits.unreserved < limits.queues + webhooks + _OTHERS:
        found = f"{_shared(limits)}; the queues ({limits.queues}), webhooks and the merchant API can fill that"
        yield Shortage(found, _RAISE, refuses=False)
    elif not limits.warm and not limits.most_reserved:
        found = f"{_shared(limits)}; WebhookReservedConcurrency cannot be set, AWS keeps {_ALWAYS_UNRESERVED} free"
        yield Shortage(found, _RAISE, refuses=False)
    if limits.warm and not limits.reserved and _WEBHOOKS * limits.warm > limits.unreserved - _ALWAYS_UNRESERVED:
        needed = _WEBHOOKS * limits.warm + _ALWAYS_UNRESERVED
        found = f"WebhookProvisionedConcurrency={limits.warm} needs {needed} unreserved, there are {limits.unreserved}"
        yield Shortage(found, f"{_RAISE}; until then deploy with WebhookProvisionedConcurrency=0", refuses=True)
    if 0 < limits.reserved < limits.warm:
        found = f"WebhookReservedConcurrency={limits.reserved} is less than WebhookProvisionedConcurrency={limits.warm}"
        yield Shortage(found, "make it at least as large: the next deployment would fail", refuses=True)


def in_order(limits: Limits) -> str:
    """What to say where nothing is too small."""
    own = f"{limits.reserved} kept for each webhook function" if limits.reserved else "none kept for webhooks"
    return f"{_shared(limits)}, {own} (WebhookReservedConcurrency may be {limits.most_reserved} at most)"


def _shared(limits: Limits) -> str:
    return f"the account runs {limits.account} at once, {limits.unreserved} of them unreserved"
