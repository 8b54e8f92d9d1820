"""The merchant webhooks as an operator sees them: a test of the endpoint, what waits, and the signing secret."""

import base64
import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from honninctl import key_rotation
from honninctl.dead_letters import sends_webhooks, webhook_resource
from honninctl.deployment import Deployment
from honninctl.failures import CommandError, error_code
from honninctl.language import _

if TYPE_CHECKING:
    from honnin.store import Circuit

# The template's logical ids.
_FUNCTION = "MerchantWebhookFunction"
_MAPPING = "MerchantWebhookSource"
QUEUE = "MerchantWebhookQueue"
_SECRET = "MerchantWebhookSecret"  # noqa: S105 -- its logical id

_ENABLED = ("Enabled", "Enabling", "Creating")
_PREFIX = "whsec_"
_KEY_BYTES = 32
# SQS reports to CloudWatch the age of the oldest message each minute, some minutes late.
_LOOK_BACK = timedelta(minutes=15)
_PERIOD_S = 60


def test(deployment: Deployment) -> dict[str, Any]:
    """Have the function send a test now, whatever the circuit says; its answer.

    `{"delivered", "status", "reason", "seconds"}`. Raises `CommandError` when the function itself fails.
    """
    from honnin.wording import Wording

    name = webhook_resource(deployment, _FUNCTION)
    answer = deployment.client("lambda").invoke(FunctionName=name, Payload=json.dumps({"test": True}).encode())
    answered = answer["Payload"].read()
    if answer.get("FunctionError"):
        raise CommandError(
            _("the function {name} failed; its log says why (log group MerchantWebhookLogGroup)").format(name=name)
        )
    found: dict[str, Any] = json.loads(answered)
    if japanese := found.pop("japanese", None):
        found["reason"] = Wording(found["reason"], japanese)
    return found


def state(deployment: Deployment) -> dict[str, Any]:
    """How they stand: `{"circuit", "waiting", "inFlight", "oldestSeconds"}`.

    `circuit` is `{"open", "since", "reason", "failures", "mapping"}`; `mapping` is Lambda's word for the event source
    mapping. `oldestSeconds` comes from CloudWatch, and is null where that does not know, or may not be asked.
    """
    mapping = webhook_resource(deployment, _MAPPING)
    found = deployment.client("lambda").get_event_source_mapping(UUID=mapping)
    url = webhook_resource(deployment, QUEUE)
    names = [
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesDelayed",
        "ApproximateNumberOfMessagesNotVisible",
    ]
    attributes = deployment.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    waiting, delayed, in_flight = (int(attributes.get(each, 0)) for each in names)
    return {
        "circuit": _circuit(deployment.store.circuit.read(), str(found["State"])),
        "waiting": waiting + delayed,
        "inFlight": in_flight,
        "oldestSeconds": _oldest_s(deployment, url.rpartition("/")[2]),
    }


def held_since(deployment: Deployment) -> str | None:
    """Since when (UTC) nothing but the probe is sent; None where they are sent, or where there are none."""
    return deployment.store.circuit.read().opened_at if sends_webhooks(deployment) else None


def rotate(deployment: Deployment) -> str:
    """Make a new secret the current one, and keep the old one as the previous; returns the new one.

    While there are two, each webhook carries both signatures. Raises `key_rotation.RotationError` while an earlier
    rotation goes on: a third secret would end the one that the receiver may still have.
    """
    client, name = deployment.client("secretsmanager"), secret_id(deployment)
    old = key_rotation.only(
        client,
        name,
        _(
            "webhooks still carry the signature of a previous secret, which a third one would end. "
            "When your receiver has the current one, run this with --drop-previous, then again."
        ),
    )
    new = _PREFIX + base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
    key_rotation.write(client, name, new, old)
    return new


def drop_previous(deployment: Deployment) -> None:
    """Sign with the current secret alone."""
    key_rotation.drop_previous(deployment.client("secretsmanager"), secret_id(deployment))


def secret_id(deployment: Deployment) -> str:
    """Where the secret is in Secrets Manager."""
    return webhook_resource(deployment, _SECRET)


def reading(deployment: Deployment) -> str:
    """The command by which a person reads the secret."""
    options = "".join(f" {each}" for each in deployment.aws_options)
    return (
        f"aws secretsmanager get-secret-value --secret-id {secret_id(deployment)} --query SecretString --output text"
        f"{options}"
    )


def _circuit(circuit: "Circuit", mapping: str) -> dict[str, Any]:
    return {
        "open": circuit.is_open or mapping not in _ENABLED,
        "since": circuit.opened_at,
        "reason": circuit.reason,
        "failures": circuit.failures,
        "mapping": mapping,
    }


def _oldest_s(deployment: Deployment, queue: str) -> int | None:
    from botocore.exceptions import ClientError

    now = datetime.now(UTC)
    try:
        points = deployment.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SQS",
            MetricName="ApproximateAgeOfOldestMessage",
            Dimensions=[{"Name": "QueueName", "Value": queue}],
            StartTime=now - _LOOK_BACK,
            EndTime=now,
            Period=_PERIOD_S,
            Statistics=["Maximum"],
        )["Datapoints"]
    except ClientError as error:
        # The rest is worth showing without it.
        if "Denied" not in error_code(error):
            raise
        return None
    latest = max(points, key=lambda each: each["Timestamp"], default=None)
    return int(latest["Maximum"]) if latest else None
