"""Whether the clocks agree: a provider refuses a signature whose time is far off."""

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

from honninctl.checks import Check, Verdict
from honninctl.deployment import Deployment, send
from honninctl.failures import CommandError
from honninctl.language import _

# docs/providers.md §1.1: PayPay refuses a signature whose time is more than 2 minutes off. Warn long before.
_CLOCK_FAILS_S = 120

_CLOCK_WARNS_S = 30

_PROVIDER_TIMEOUT_S = 10


def check(deployment: Deployment) -> Iterator[Check]:
    """Both clocks against each provider's: this machine's (you sign with it by hand) and AWS's (functions sign)."""
    aws_off = _aws_clock_offset(deployment)
    for provider in ("PayPay", "Vexora"):
        url = deployment.parameters.get(f"{provider}BaseUrl", "")
        try:
            off = _clock_offset(deployment, url)
        except CommandError as error:
            advice = _("perhaps from this machine only; the alarms say whether the functions reach it")
            yield Check("clock", Verdict.WARN, _("{what}: {why}").format(what=provider, why=str(error)), advice)
            continue
        yield _clock(
            _("this machine and {provider}").format(provider=provider),
            off,
            _("set this machine's clock; signatures made here would fail"),
        )
        if aws_off is not None:
            yield _clock(
                _("AWS and {provider}").format(provider=provider),
                off - aws_off,
                _("ask {provider}: the functions' signatures may fail").format(provider=provider),
            )


def _clock(which: str, off_s: float, advice: str) -> Check:
    verdict = Verdict.OK
    if abs(off_s) > _CLOCK_WARNS_S:
        verdict = Verdict.FAIL if abs(off_s) > _CLOCK_FAILS_S else Verdict.WARN
    # A Date header has whole seconds only.
    if abs(off_s) < 2:
        found = _("{which}: less than 2 s apart").format(which=which)
    else:
        found = _("{which}: {seconds:.0f} s apart").format(which=which, seconds=abs(off_s))
    return Check("clock", verdict, found, "" if verdict is Verdict.OK else advice)


def _aws_clock_offset(deployment: Deployment) -> float | None:
    begun = time.time()
    answer = deployment.client("sts").get_caller_identity()
    return _offset(answer["ResponseMetadata"]["HTTPHeaders"].get("date"), begun, time.time())


def _clock_offset(deployment: Deployment, url: str) -> float:
    """Seconds that this machine is ahead of the server. Any answer has the header, a refusal as well."""
    from botocore.awsrequest import AWSRequest

    begun = time.time()
    try:
        answer = send(
            AWSRequest(method="HEAD", url=url), use_proxies=not deployment.is_local, timeout_s=_PROVIDER_TIMEOUT_S
        )
    except Exception as error:
        raise CommandError(_("{url} does not answer ({name})").format(url=url, name=type(error).__name__)) from None
    off = _offset(answer.headers.get("Date"), begun, time.time())
    if off is None:
        raise CommandError(_("{url} sends no Date header, so its clock cannot be read").format(url=url))
    return off


def _offset(date: str | None, begun: float, ended: float) -> float | None:
    if not date:
        return None
    try:
        theirs = parsedate_to_datetime(date)
    except ValueError:
        return None
    # The header's second began up to a second before it was written.
    return (begun + ended) / 2 - (theirs.timestamp() + 0.5)
