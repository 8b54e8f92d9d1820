"""The whole OpenAPI 3.1 document: the merchant API as the code declares it, and the calls that come from outside."""

import json
from pathlib import Path
from typing import Any

from honnin import VERSION
from operations.openapi import events, merchant, problems, webhooks

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / "docs" / "openapi.json"

_DESCRIPTION = """\
Honnin verifies the users of a Japanese merchant through Vexora and PayPay, in the merchant's own AWS account.

There are two APIs. Your back end calls the merchant API (output `MerchantApiUrl`) and signs each request with SigV4 \
for the service `execute-api`. The providers, and browsers that return from PayPay, call the webhook API (output \
`WebhookApiUrl`). Times are UTC."""

_TAGS = {
    "Vexora": "Submit users to Vexora.",
    "PayPay": "Link PayPay accounts and read their KYC information.",
    "Users": "A user's present status, and the timeline of changes.",
    "Overview": "Lists of all users: by status, counts, changes by day, and links that end soon.",
    "Recon": "The results of PayPay's daily recon files.",
    "Webhooks": "Called by the providers. Your back end does not call these routes.",
    "Browser": "Called by the browser of a user. Your back end does not call this route.",
}

# As API Gateway itself writes it when it exports an API with IAM authorization.
_SIGV4 = {
    "type": "apiKey",
    "name": "Authorization",
    "in": "header",
    "x-amazon-apigateway-authtype": "awsSigv4",
    "description": "AWS Signature Version 4, service `execute-api`. The caller needs `execute-api:Invoke`.",
}

_PROVIDER_NAME: dict[str, Any] = {"type": "string", "enum": ["vexora", "paypay"], "description": "A provider."}


def document() -> dict[str, Any]:
    """The document; the same code gives the same document, to the byte."""
    merchant_paths, models = merchant.described()
    webhook_paths = {
        path: {"servers": _servers("The webhook API: output `WebhookApiUrl`"), **operations}
        for path, operations in webhooks.paths().items()
    }
    operations = [each for path in (merchant_paths | webhooks.paths()).values() for each in path.values()]
    used = {tag for each in operations for tag in each["tags"]}
    schemas = models | problems.schemas() | webhooks.schemas() | events.schemas()
    return {
        **_head(used),
        "paths": _providers_named(merchant_paths | webhook_paths),
        "webhooks": events.webhooks(),
        "components": {
            "schemas": dict(sorted((_providers_named(schemas) | {"ProviderName": _PROVIDER_NAME}).items())),
            "responses": problems.responses() | webhooks.responses(),
            "securitySchemes": {merchant.SECURITY_SCHEME: _SIGV4},
        },
    }


def text() -> str:
    """The document as it is checked in."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def _head(used: set[str]) -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Honnin",
            "version": VERSION,
            "summary": "KYC through Vexora and PayPay",
            "description": _DESCRIPTION,
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "servers": _servers("The merchant API: output `MerchantApiUrl`"),
        "tags": [
            *({"name": tag, "description": said} for tag, said in _TAGS.items() if tag in used),
            *({"name": tag} for tag in sorted(used - _TAGS.keys())),
        ],
    }


def _providers_named(value: Any) -> Any:
    """The same with one schema for the name of a provider, wherever it is: generated code has one type for it."""
    match value:
        case list():
            return [_providers_named(each) for each in value]
        case {"type": "string", "enum": found} if found == _PROVIDER_NAME["enum"]:
            more = {name: each for name, each in value.items() if name not in ("type", "enum")}
            return {"$ref": "#/components/schemas/ProviderName"} | more
        case dict():
            return {name: _providers_named(each) for name, each in value.items()}
    return value


def _servers(description: str) -> list[dict[str, Any]]:
    """As API Gateway names it, and any other form: a domain of one's own, or the local stack."""
    return [
        {
            "url": "https://{apiId}.execute-api.{region}.amazonaws.com/v1",
            "description": description,
            "variables": {
                "apiId": {"default": "abcde12345", "description": "The id of the API in your AWS account"},
                "region": {"default": "ap-northeast-1"},
            },
        },
        {
            "url": "{url}",
            "description": f"{description}, as it is: a domain of your own, or the local stack",
            "variables": {
                "url": {
                    "default": "http://127.0.0.1:9000/restapis/abcde12345/v1/_user_request_",
                    "description": "The value of the output, without a slash at the end",
                }
            },
        },
    ]
