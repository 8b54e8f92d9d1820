"""What may be wrong with a deployment: each check says ok, warn or fail, and what to do. Nothing is changed."""

import base64
import binascii
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

from honninctl import concurrency, dead_letters, doctor_repairs, domains, egress, roles
from honninctl.checks import Check, Verdict
from honninctl.confirmations import unconfirmed
from honninctl.deployment import Deployment, send
from honninctl.failures import (
    CommandError,
    NoAccessError,
    NotAllowedError,
    NotFoundError,
    UsageError,
    explained,
)
from honninctl.language import N_, _

# docs/providers.md §1.1: PayPay refuses a signature whose time is more than 2 minutes off. Warn long before.
_CLOCK_FAILS_S = 120
_CLOCK_WARNS_S = 30
_PROVIDER_TIMEOUT_S = 10

# The provider secret (docs/decisions.md#1), by provider.
_SECRET_KEYS = {
    "Vexora": ("vexora_merchant_no", "vexora_app_secret"),
    "PayPay": ("paypay_api_key", "paypay_api_secret"),
}
_OPTIONAL_SECRET_KEYS = ("paypay_merchant_id",)

_LONGEST_VALUE = 60

_OF_EVERY_VERSION = ("StateTableName", "EventQueueUrl", "DeadLetterQueueUrl")

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
type _Examination = Callable[[], Iterator[Check]]


def examine(
    deployment: Deployment, registered_addresses: Sequence[str], done: Callable[[int], None] = lambda _: None
) -> Iterator[Check]:
    """Run all checks in order; `done` is called after each topic.

    Raises
    ------
    NoAccessError, NotFoundError, UsageError
        Nothing can be checked: no credentials, no such stack, or none was named.
    """
    topics: dict[str, _Examination] = {
        "credentials": lambda: _credentials(deployment),
        "stack": lambda: _stack(deployment),
        "repairs": lambda: _repairs(deployment),
        "secret": lambda: _secret(deployment),
        "clock": lambda: _clocks(deployment),
        "egress": lambda: _egress(deployment, registered_addresses),
        "table": lambda: _tables(deployment),
        "queues": lambda: _queues(deployment),
        "buckets": lambda: _buckets(deployment),
        "bus": lambda: _bus(deployment),
        "webhooks": lambda: _webhook_urls(deployment),
        "concurrency": lambda: _concurrency(deployment),
        "words": lambda: _words(deployment),
        "alarms": lambda: _alarms(deployment),
        "parameters": lambda: _parameters(deployment),
    }
    for topic, examination in topics.items():
        yield from _guarded(topic, examination)
        done(1)


TOPICS = 14


def _guarded(topic: str, examination: _Examination, what: str = "") -> Iterator[Check]:
    """The checks of a topic, or of one thing (`what`) of it; an error becomes a failed check.

    But for one that leaves nothing to check, which is raised.
    """
    try:
        yield from examination()
    except Exception as error:
        explanation = explained(error)
        if topic in ("credentials", "stack") and isinstance(explanation, NoAccessError | NotFoundError | UsageError):
            raise explanation from None
        advice = roles.advice("doctor") if isinstance(explanation, NotAllowedError) else _("correct that first")
        yield Check(
            topic,
            Verdict.FAIL,
            _("{what}: {why}").format(what=what, why=str(explanation)) if what else str(explanation),
            advice,
        )


def _credentials(deployment: Deployment) -> Iterator[Check]:
    who = deployment.client("sts").get_caller_identity()
    yield Check("credentials", Verdict.OK, _("{arn} in {region}").format(arn=who["Arn"], region=deployment.region))


def _stack(deployment: Deployment) -> Iterator[Check]:
    status = str(deployment.description["StackStatus"])
    if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        yield Check("stack", Verdict.OK, _("{name} is {status}").format(name=deployment.name, status=status))
    elif status.endswith("_IN_PROGRESS"):
        yield Check(
            "stack",
            Verdict.WARN,
            _("{name} is {status}").format(name=deployment.name, status=status),
            _("wait until it is deployed"),
        )
    else:
        yield Check(
            "stack",
            Verdict.FAIL,
            _("{name} is {status}").format(name=deployment.name, status=status),
            _("read the stack's events and deploy again"),
        )


def _repairs(deployment: Deployment) -> Iterator[Check]:
    found, advice = doctor_repairs.look(deployment)
    yield Check("repairs", Verdict.FAIL if advice else Verdict.OK, found, advice)


def _secret(deployment: Deployment) -> Iterator[Check]:
    from honnin.secret_store import PLACEHOLDER

    try:
        values = deployment.provider_secret()
    except Exception as error:
        if not isinstance(explained(error), NotAllowedError):
            raise
        # On purpose: with these credentials anybody can ask the providers for any user's personal data.
        advice = _("OperatorPolicy leaves it out on purpose: have whoever fills the secret run this as well")
        yield Check(
            "secret", Verdict.WARN, _("not looked at: your credentials may not read the provider secret"), advice
        )
        return
    for provider, keys in _SECRET_KEYS.items():
        missing = [key for key in keys if values.get(key, "").strip() in ("", PLACEHOLDER)]
        wrong = [key for key in keys if not values.get(key, "").isascii()]
        if len(missing) == len(keys):
            yield Check(
                "secret",
                Verdict.WARN,
                _("{provider} is not set up").format(provider=provider),
                _("fine if you do not use {provider}").format(provider=provider),
            )
        elif missing or wrong:
            found = _("no usable value for {names}").format(names=", ".join(missing + wrong))
            yield Check("secret", Verdict.FAIL, found, _("set it with put-secret-value (docs/deploying.md)"))
        else:
            yield Check("secret", Verdict.OK, _("{provider}: complete").format(provider=provider))
    yield from _secret_details(values, PLACEHOLDER)


def _secret_details(values: Mapping[str, str], placeholder: str) -> Iterator[Check]:
    secret = values.get("paypay_api_secret", "").strip()
    if secret and secret != placeholder and not _is_base64(secret):
        # docs/providers.md §1.3: the key of the responseToken is the base64-decoded API secret.
        found = _("paypay_api_secret is not base64, so no responseToken can be checked")
        yield Check("secret", Verdict.FAIL, found, _("copy it again from PayPay, without blanks or quotes"))
    for key in _OPTIONAL_SECRET_KEYS:
        if values.get(key, "").strip() in ("", placeholder):
            advice = _("set it if you want ready-made requests to PayPay's support")
            yield Check("secret", Verdict.WARN, _("{key} is not set").format(key=key), advice)
    known = {*_OPTIONAL_SECRET_KEYS, *(key for keys in _SECRET_KEYS.values() for key in keys)}
    if unknown := sorted(set(values) - known):
        yield Check(
            "secret",
            Verdict.WARN,
            _("unknown: {unknown}").format(unknown=", ".join(unknown)),
            _("no function reads it; is the name misspelled?"),
        )


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return False


def _clocks(deployment: Deployment) -> Iterator[Check]:
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


def _egress(deployment: Deployment, registered: Sequence[str]) -> Iterator[Check]:
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


def _tables(deployment: Deployment) -> Iterator[Check]:
    for key in ("StateTableName", "IdempotencyTableName"):
        name = deployment.outputs.get(key)
        if name is None:
            yield _without(deployment, "table", key)
        else:
            yield from _guarded("table", partial(_table, deployment, name), name)


def _table(deployment: Deployment, name: str) -> Iterator[Check]:
    status = deployment.client("dynamodb").describe_table(TableName=name)["Table"]["TableStatus"]
    verdict = Verdict.OK if status == "ACTIVE" else Verdict.FAIL
    yield Check(
        "table",
        verdict,
        _("{name} is {status}").format(name=name, status=status),
        "" if verdict is Verdict.OK else _("look at it in DynamoDB"),
    )


def _words(deployment: Deployment) -> Iterator[Check]:
    """Values of `data.status` that PayPay has answered with and that verify nobody, so that a person can decide."""
    if "StateTableName" not in deployment.outputs:
        yield _without(deployment, "words", "StateTableName")
        return
    seen = deployment.store.users.words("paypay")
    listed = {each.strip() for each in deployment.parameters.get("PayPayVerifiedStatuses", "").split(",")}
    unlisted = {word: at for word, at in sorted(seen.items()) if word not in listed}
    for word, at in unlisted.items():
        found = _("PayPay answered a KYC read with the status {word}, last at {at}: such users are UNCONFIRMED").format(
            word=word, at=at
        )
        advice = _(
            "ask PayPay what it means; if it means a completed KYC, add it to PayPayVerifiedStatuses, deploy, and "
            "run honninctl reread --status UNCONFIRMED"
        )
        yield Check("words", Verdict.WARN, found, advice)
    if not unlisted:
        yield Check(
            "words", Verdict.OK, _("PayPayVerifiedStatuses lists every status that a KYC read of PayPay has had so far")
        )


def _queues(deployment: Deployment) -> Iterator[Check]:
    dead_letter_queues = {
        N_("dead letters, {queue}").format(queue=queue): key for queue, key in dead_letters.OUTPUTS.items()
    }
    for what, key in {**_QUEUES, **dead_letter_queues}.items():
        url = deployment.outputs.get(key)
        if url is None:
            yield _without(deployment, "queues", key)
        else:
            look = _left if what in dead_letter_queues else _waiting
            yield from _guarded("queues", partial(look, deployment, what, url), what)
    for what, logical_id in WEBHOOK_QUEUES.items() if dead_letters.sends_webhooks(deployment) else ():
        look = _left if logical_id == dead_letters.WEBHOOK_DEAD_LETTERS else _waiting
        yield from _guarded("queues", partial(_by_name, look, deployment, what, logical_id), what)


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


def _without(deployment: Deployment, topic: str, key: str) -> Check:
    """A stack of an older version says nothing of what came later; but some outputs every version has."""
    found = _("not looked at: {name} has no output {key}").format(name=deployment.name, key=key)
    if key in _OF_EVERY_VERSION:
        return Check(topic, Verdict.FAIL, found, _("is it a stack of Honnin?"))
    return Check(topic, Verdict.WARN, found, _("the stack has an older version: deploy the current one"))


def _buckets(deployment: Deployment) -> Iterator[Check]:
    for key in sorted(each for each in deployment.outputs if each.endswith("BucketName")):
        what = f"{key.removesuffix('BucketName')}: {deployment.output(key)}"
        yield from _guarded("buckets", partial(_bucket, deployment, what, deployment.output(key)), what)


def _bucket(deployment: Deployment, what: str, name: str) -> Iterator[Check]:
    # Not HeadBucket: whoever may do that may also list the keys, and in the vault these are users' ids.
    deployment.client("s3").get_bucket_location(Bucket=name)
    yield Check("buckets", Verdict.OK, what)


def _bus(deployment: Deployment) -> Iterator[Check]:
    name = deployment.output("EventBusName")
    deployment.client("events").describe_event_bus(Name=name)
    yield Check("bus", Verdict.OK, name)


def _webhook_urls(deployment: Deployment) -> Iterator[Check]:
    """What PayPay's onboarding form asks for. Whether it is registered, only PayPay knows."""
    urls = {
        key.removesuffix("WebhookUrl").removeprefix("PayPay"): value
        for key, value in sorted(deployment.outputs.items())
        if key.startswith("PayPay") and key.endswith("WebhookUrl")
    }
    urls["redirect"] = deployment.output("WebhookApiUrl").rstrip("/") + "/paypay/account-links/callback"
    for name, url in urls.items():
        if url.startswith("https://") or deployment.is_local:
            yield Check("webhooks", Verdict.OK, f"PayPay {name}: {url}", _("registered with PayPay?"))
        else:
            yield Check(
                "webhooks", Verdict.FAIL, f"PayPay {name}: {url}", _("it is not https: deploy outside Stage=local")
            )
    yield from domains.check(deployment)


def _concurrency(deployment: Deployment) -> Iterator[Check]:
    """The account's limit of Lambda against what this stack asks for; other applications of the account use it, too."""
    settings = deployment.client("lambda").get_account_settings()
    limits = concurrency.Limits.of(settings["AccountLimit"], deployment.parameters)
    found = list(concurrency.shortages(limits))
    for each in found:
        yield Check("concurrency", Verdict.FAIL if each.refuses else Verdict.WARN, each.found, each.advice)
    if not found:
        yield Check("concurrency", Verdict.OK, concurrency.in_order(limits))


def _alarms(deployment: Deployment) -> Iterator[Check]:
    """Whether anybody receives alarms and the daily report."""
    if deployment.is_local:
        yield Check("alarms", Verdict.OK, _("local: no mail is sent"))
        return
    found = _subscriptions(deployment, deployment.output("AlarmTopicArn"))
    # Until the link in AWS's mail is followed, this stands in the place of an ARN.
    confirmed = [each for each in found if each["SubscriptionArn"].startswith("arn:")]
    email = deployment.parameters.get("AlarmEmail", "")
    if email and not any(each["Endpoint"].lower() == email.lower() for each in confirmed):
        verdict = Verdict.WARN if confirmed else Verdict.FAIL
        # AWS deletes what nobody confirms within 48 hours, and takes one back that gets more than 10 mails a second.
        advice = _("follow the link in AWS's mail; if it is older than 48 hours, subscribe the address again in SNS")
        yield Check("alarms", verdict, _("AlarmEmail is not confirmed: it gets no alarm and no daily report"), advice)
    elif not confirmed:
        found_none = _("the alarm topic has no subscriber: nobody receives alarms or the daily report")
        yield Check("alarms", Verdict.WARN, found_none, _("set AlarmEmail and deploy, and confirm AWS's mail"))
    else:
        yield Check(
            "alarms", Verdict.OK, _("confirmed subscribers of the alarm topic: {number}").format(number=len(confirmed))
        )


def _subscriptions(deployment: Deployment, topic_arn: str) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    more: dict[str, str] = {}
    while True:
        page = deployment.client("sns").list_subscriptions_by_topic(TopicArn=topic_arn, **more)
        found += page["Subscriptions"]
        if not page.get("NextToken"):
            return found
        more = {"NextToken": page["NextToken"]}


def _parameters(deployment: Deployment) -> Iterator[Check]:
    """Parameters of facts that the providers do not publish and that still have the template's value."""
    open_ones = unconfirmed(deployment)
    for each in open_ones:
        shown = each.value if len(each.value) <= _LONGEST_VALUE else f"{each.value[: _LONGEST_VALUE - 1]}…"
        shown = shown or _("(empty)")
        advice = (
            _("ask {provider}, set it and deploy").format(provider=each.provider)
            if each.provider
            else _("choose it, set it and deploy")
        )
        yield Check(
            "parameters",
            Verdict.WARN,
            _("{name} still has its default: {shown}").format(name=each.name, shown=shown),
            advice,
        )
    if not open_ones:
        yield Check("parameters", Verdict.OK, _("every parameter that the providers do not publish is set"))


def report(checks: Sequence[Check], now: datetime) -> dict[str, Any]:
    """For scripts: `{"checkedAt", "summary": {"ok", "warn", "fail"}, "checks": [...]}`."""
    return {
        "checkedAt": now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "summary": {each.value: sum(check.verdict is each for check in checks) for each in Verdict},
        "checks": [
            {"topic": each.topic, "verdict": each.verdict.value, "found": each.found, "advice": each.advice}
            for each in checks
        ],
    }
