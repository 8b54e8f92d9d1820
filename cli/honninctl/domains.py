"""Domain names of one's own: whether DNS knows them, and whether the URLs have them (docs/deploying.md#domain)."""

import socket
from collections.abc import Iterator

from honninctl.checks import Check, Verdict
from honninctl.deployment import Deployment
from honninctl.language import _


def check(deployment: Deployment) -> Iterator[Check]:
    """One check for each name that is set. Nobody resolves the names of a local stack."""
    if deployment.is_local:
        return
    # Both APIs may have the same name: then it is the webhooks'.
    names = {deployment.parameters.get(f"{api}DomainName", ""): api for api in ("Merchant", "Webhook")}
    for name, api in names.items():
        if name:
            yield _check(deployment, api, name)


def _check(deployment: Deployment, api: str, name: str) -> Check:
    is_shown = deployment.parameters.get("DomainInUrls", "true") == "true"
    if not _is_in_dns(name):
        target = deployment.outputs.get(f"{api}DomainTarget", "")
        if is_shown:
            found = _("{name}: DNS does not know it, and the URLs have it already").format(name=name)
        else:
            found = _("{name}: DNS does not know it").format(name=name)
        advice = _("make a CNAME to {target}, or wait until DNS knows the record").format(target=target)
        return Check("webhooks", Verdict.FAIL if is_shown else Verdict.WARN, found, advice)
    if not is_shown:
        if api == "Webhook":
            advice = _("register its URLs with PayPay, then deploy with DomainInUrls=true")
        else:
            advice = _("deploy with DomainInUrls=true")
        return Check(
            "webhooks", Verdict.WARN, _("{name}: DNS knows it, the URLs do not have it yet").format(name=name), advice
        )
    return Check("webhooks", Verdict.OK, _("{name}: DNS knows it").format(name=name))


def _is_in_dns(name: str) -> bool:
    try:
        return bool(socket.getaddrinfo(name, 443))
    except OSError:
        return False
