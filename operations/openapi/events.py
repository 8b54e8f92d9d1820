"""The domain events, and the merchant webhooks that carry them, as OpenAPI has them: from `honnin.domain_events`."""

from collections.abc import Iterator
from typing import Any

from honnin.domain_events import EVENTS
from honnin.merchant_webhook.message import LEFT_OUT, TEST_TYPE, webhook_type
from honnin.status import PayPayStatus, VerifiedReason, VexoraStatus
from operations import event_schemas

type Json = dict[str, Any]

_STATUSES = (*VexoraStatus, *PayPayStatus)
# An enumeration of the events that is a schema of its own: generated code then has one type for it.
_NAMED: dict[tuple[str, ...], str] = {
    tuple(VexoraStatus): "VexoraStatus",
    tuple(PayPayStatus): "PayPayStatus",
    tuple(VerifiedReason): "VerifiedReason",
    _STATUSES: "Status",
}
_TIMESTAMP: Json = {"type": "string", "format": "date-time", "description": "When the event happened (UTC)"}


def schemas() -> Json:
    """Each domain event under the name of its detail type, each webhook as `<detail type>Webhook`, and all of them."""
    found: Json = {
        "Status": {"type": "string", "enum": list(_STATUSES), "description": "A status at Vexora or at PayPay."}
    }
    for name, schema in event_schemas.schemas().items():
        content = _named(schema["properties"]["detail"]) | {"description": schema["description"]}
        found[name] = content
        found[_webhook(name)] = _body(webhook_type(name), _without_left_out(content), schema["description"])
    found["TestWebhook"] = _body(TEST_TYPE, {"type": "object"}, "A test, which an operator has sent.")
    found["MerchantWebhook"] = {
        "description": "The body of a merchant webhook. More types may be added: answer 2xx to one that you do not "
        "know.",
        "oneOf": [{"$ref": reference} for reference in _references().values()],
        "discriminator": {"propertyName": "type", "mapping": _references()},
    }
    return found


def webhooks() -> Json:
    """`webhooks` of OpenAPI 3.1: the one request that Honnin makes to the merchant's back end."""
    headers = {
        "webhook-id": "The same for each try of an event. Drop repeats by it",
        "webhook-timestamp": "When this try was made, in seconds of the epoch",
        "webhook-signature": "`v1,` and the HMAC-SHA256 in base64; two of them, separated by a space, during a "
        "rotation of the secret",
    }
    return {
        "merchantWebhook": {
            "post": {
                "operationId": "receiveMerchantWebhook",
                "summary": "A domain event, sent to `MerchantWebhookUrl` in the form of Standard Webhooks.",
                "description": "Check the signature over the bytes of the body as they came. Answer any 2xx within "
                "15 seconds.",
                "parameters": [
                    {"name": name, "in": "header", "required": True, "description": said, "schema": {"type": "string"}}
                    for name, said in headers.items()
                ],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/MerchantWebhook"}}},
                },
                "responses": {"2XX": {"description": "Your back end has the event."}},
            }
        }
    }


def _webhook(name: str) -> str:
    return f"{name}Webhook"


def _references() -> dict[str, str]:
    """Each type of webhook, and where its schema is."""
    names = {webhook_type(name): _webhook(name) for name in EVENTS} | {TEST_TYPE: "TestWebhook"}
    return {kind: f"#/components/schemas/{name}" for kind, name in names.items()}


def _body(kind: str, data: Json, description: str) -> Json:
    return {
        "type": "object",
        "description": description,
        "properties": {"type": {"type": "string", "const": kind}, "timestamp": _TIMESTAMP, "data": data},
        "required": ["type", "timestamp", "data"],
    }


def _without_left_out(content: Json) -> Json:
    properties = {name: each for name, each in content["properties"].items() if name not in LEFT_OUT}
    return content | {
        "properties": properties,
        "required": [name for name in content["required"] if name in properties],
    }


def _named(content: Json) -> Json:
    return content | {"properties": dict(_properties(content["properties"]))}


def _properties(properties: Json) -> Iterator[tuple[str, Json]]:
    for field, schema in properties.items():
        values = tuple(each for each in schema.get("enum", ()) if each is not None)
        named: Json = {"$ref": f"#/components/schemas/{_NAMED[values]}"} if values in _NAMED else schema
        if named is not schema and None in schema["enum"]:
            named = {"anyOf": [named, {"type": "null"}]}
        yield field, named if named is schema else named | {"description": schema["description"]}
