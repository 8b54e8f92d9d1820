"""What may be wrong with a deployment: each check says ok, warn or fail, and what to do. Nothing is changed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from honninctl import (
    concurrency,
    doctor_clocks,
    doctor_egress,
    doctor_queues,
    doctor_repairs,
    doctor_secret,
    domains,
)
from honninctl.checks import Check, Verdict, guarded, without
from honninctl.confirmations import unconfirmed
from honninctl.deployment import Deployment
from honninctl.language import _

TOPICS = 14
_LONGEST_VALUE = 60

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
        "secret": lambda: doctor_secret.check(deployment),
        "clock": lambda: doctor_clocks.check(deployment),
        "egress": lambda: doctor_egress.check(deployment, registered_addresses),
        "table": lambda: _tables(deployment),
        "queues": lambda: doctor_queues.check(deployment),
        "buckets": lambda: _buckets(deployment),
        "bus": lambda: _bus(deployment),
        "webhooks": lambda: _webhook_urls(deployment),
        "concurrency": lambda: _concurrency(deployment),
        "words": lambda: _words(deployment),
        "alarms": lambda: _alarms(deployment),
        "parameters": lambda: _parameters(deployment),
    }
    for topic, examination in topics.items():
        yield from guarded(topic, examination)
        done(1)


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


def _tables(deployment: Deployment) -> Iterator[Check]:
    for key in ("StateTableName", "IdempotencyTableName"):
        name = deployment.outputs.get(key)
        if name is None:
            yield without(deployment, "table", key)
        else:
            yield from guarded("table", partial(_table, deployment, name), name)


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
        yield without(deployment, "words", "StateTableName")
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


def _buckets(deployment: Deployment) -> Iterator[Check]:
    for key in sorted(each for each in deployment.outputs if each.endswith("BucketName")):
        what = f"{key.removesuffix('BucketName')}: {deployment.output(key)}"
        yield from guarded("buckets", partial(_bucket, deployment, what, deployment.output(key)), what)


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
