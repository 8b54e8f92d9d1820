"""Domain names of one's own: whether DNS knows them, and whether the URLs have them (docs/deploying.md#domain)."""

import socket
from collections.abc import Iterator

from honninctl.checks import Check, Verdict
from honninctl.deployment import Deployment


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
        found = f"{name}: DNS does not know it" + (", and the URLs have it already" if is_shown else "")
        advice = f"make a CNAME to {target}, or wait until DNS knows the record"
        return Check("webhooks", Verdict.FAIL if is_shown else Verdict.WARN, found, advice)
    if not is_shown:
        first = "register its URLs with PayPay, then " if api == "Webhook" else ""
        advice = f"{first}deploy with DomainInUrls=true"
        return Check("webhooks", Verdict.WARN, f"{name}: DNS knows it, the URLs do not have it yet", advice)
    return Check("webhooks", Verdict.OK, f"{name}: DNS knows it")


def _is_in_dns(name: str) -> bool:
    try:
        return bool(socket.getaddrinfo(name, 443))
    except OSError:
        return False
