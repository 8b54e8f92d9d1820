"""Whether PayPay knows the addresses that the functions call from."""

from collections.abc import Iterator, Sequence

from honninctl import egress
from honninctl.checks import Check, Verdict
from honninctl.deployment import Deployment
from honninctl.language import _


def check(deployment: Deployment, registered: Sequence[str]) -> Iterator[Check]:
    """The addresses of the stack against those that were registered."""
    if deployment.is_local:
        yield Check("egress", Verdict.OK, _("local: the sandbox accepts calls from every address"))
        return
    found = egress.find(deployment)
    if not found.in_vpc:
        yield _without_vpc(registered)
        return
    if found.unclear:
        subnets = ", ".join(found.unclear)
        advice = _(
            "if there is another way out (Transit Gateway, firewall, NAT instance), ask your network team for its "
            "public address, and register it with PayPay; if there is none, add a default route to a NAT gateway"
        )
        # Who names the address has asked; whether it is the right one cannot be seen from here.
        verdict = Verdict.WARN if registered else Verdict.FAIL
        yield Check(
            "egress",
            verdict,
            _("no NAT gateway behind {subnets}: its address is not known here").format(subnets=subnets),
            advice,
        )
    yield from _compared(found.addresses, registered, whole=not found.unclear)


def _without_vpc(registered: Sequence[str]) -> Check:
    advice = _(
        "PayPay accepts calls from registered addresses only: deploy into a VPC with a NAT gateway, and register it"
    )
    if registered:
        addresses = ", ".join(registered)
        found = _("the functions have no fixed address (no VPC), so they do not call from {addresses}").format(
            addresses=addresses
        )
        return Check("egress", Verdict.FAIL, found, advice)
    return Check("egress", Verdict.WARN, _("the functions have no fixed address (no VPC)"), advice)


def _compared(ours: Sequence[str], registered: Sequence[str], *, whole: bool) -> Iterator[Check]:
    """Our addresses against the registered ones. If not `whole`, we have more addresses than are known here."""
    if not registered:
        if ours:
            advice = _("register it with PayPay, then check with --registered-ip")
            yield Check(
                "egress", Verdict.WARN, _("the functions call from {ours}").format(ours=", ".join(ours)), advice
            )
        return
    if unregistered := sorted(set(ours) - set(registered)):
        found = _("the functions call from {unregistered}, which is not registered with PayPay").format(
            unregistered=", ".join(unregistered)
        )
        yield Check("egress", Verdict.FAIL, found, _("register it with PayPay; until then its API refuses those calls"))
    elif ours:
        yield Check("egress", Verdict.OK, _("registered with PayPay: {ours}").format(ours=", ".join(ours)))
    if unused := sorted(set(registered) - set(ours)):
        addresses = ", ".join(unused)
        if whole:
            found = _("registered with PayPay: {addresses}, which is not an address of this stack").format(
                addresses=addresses
            )
            advice = _("ask PayPay to remove it, unless something else of yours calls from it")
        else:
            found = _("registered with PayPay: {addresses}; it is not known whether this stack uses it").format(
                addresses=addresses
            )
            advice = _("keep it registered until your network team has answered")
        yield Check("egress", Verdict.WARN, found, advice)
