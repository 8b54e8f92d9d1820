"""The whole OpenAPI 3.1 document: the merchant API as the code declares it, and the calls that come from outside."""

import json
import tomllib
from pathlib import Path
from typing import Any

from operations.openapi import merchant, problems, webhooks

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / "docs" / "openapi.json"

_DESCRIPTION = """\
Honnin verifies the users of a Japanese merchant through Vexora and PayPay, in the merchant's own AWS account.

Two APIs: the merchant API, signed with SigV4 for `execute-api` (output `MerchantApiUrl`), and the webhook API for the \
providers and for browsers that come back from PayPay (output `WebhookApiUrl`). Times are UTC."""

_TAGS = {
    "Vexora": "Submit users to Vexora.",
    "PayPay": "Link PayPay accounts and read their KYC information.",
    "Users": "Where a user stands, and how that came about.",
    "Overview": "All users at a glance: lists by status, counts, changes by day, and what runs out.",
    "Recon": "What PayPay's daily recon files showed.",
    "Webhooks": "Called by the providers: nothing here is for the merchant.",
    "Browser": "Called by the browser of a user.",
}

# As API Gateway itself writes it when it exports an API with IAM authorization.
_SIGV4 = {
    "type": "apiKey",
    "name": "Authorization",
    "in": "header",
    "x-amazon-apigateway-authtype": "awsSigv4",
    "description": "AWS Signature Version 4, service `execute-api`; the caller needs `execute-api:Invoke`.",
}


def document() -> dict[str, Any]:
    """The document; the same code gives the same document, to the byte."""
    merchant_paths, models = merchant.described()
    webhook_paths = {
        path: {"servers": [_server("The webhook API: output `WebhookApiUrl`")], **operations}
        for path, operations in webhooks.paths().items()
    }
    operations = [each for path in (merchant_paths | webhooks.paths()).values() for each in path.values()]
    used = {tag for each in operations for tag in each["tags"]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Honnin",
            "version": project["version"],
            "summary": "KYC through Vexora and PayPay",
            "description": _DESCRIPTION,
            "license": {"name": "Apache License 2.0", "identifier": project["license"]},
        },
        "servers": [_server("The merchant API: output `MerchantApiUrl`")],
        "tags": [
            *({"name": tag, "description": said} for tag, said in _TAGS.items() if tag in used),
            *({"name": tag} for tag in sorted(used - _TAGS.keys())),
        ],
        "paths": merchant_paths | webhook_paths,
        "components": {
            "schemas": dict(sorted((models | problems.schemas() | webhooks.schemas()).items())),
            "responses": problems.responses() | webhooks.responses(),
            "securitySchemes": {merchant.SECURITY_SCHEME: _SIGV4},
        },
    }


def text() -> str:
    """The document as it is checked in."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def _server(description: str) -> dict[str, Any]:
    return {
        "url": "https://{apiId}.execute-api.{region}.amazonaws.com/v1",
        "description": description,
        "variables": {
            "apiId": {"default": "abcde12345", "description": "the API's id in your account"},
            "region": {"default": "ap-northeast-1"},
        },
    }
