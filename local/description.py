"""What a running local stack tells other processes: `build/local/<name>/stack.json`, and `export` lines for a shell.

docs/tutorial.md#in-the-background describes both for their readers: names are added, and none is taken away.
"""

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from local.stack import Stack


def of(stack: "Stack", stack_name: str, webhook_secret: str | None) -> dict[str, Any]:
    """The description of `stack`, which CloudFormation calls `stack_name`: JSON.

    `webhook_secret` is what the webhooks to the merchant are signed with, None where none are sent.
    """
    outputs = dict(stack.outputs)
    return {
        "name": stack.name,
        "stack": stack_name,
        "region": stack.region,
        "endpoint": stack.endpoint,
        "merchantApiUrl": stack.merchant.url,
        "webhookApiUrl": outputs.get("WebhookApiUrl"),
        "sandboxUrl": stack.sandbox_url or None,
        "sandboxSeed": stack.sandbox_seed,
        "merchantKey": {
            "accessKeyId": stack.merchant.access_key.key_id,
            "secretAccessKey": stack.merchant.access_key.secret,
        },
        "operatorKey": {"accessKeyId": stack.deployer.key_id, "secretAccessKey": stack.deployer.secret},
        "merchantWebhookSecret": webhook_secret,
        "eventBus": outputs.get("EventBusName"),
        "queues": {key.removesuffix("Url"): url for key, url in sorted(outputs.items()) if key.endswith("QueueUrl")},
        "outputs": outputs,
        "parameters": {each.name: each.value for each in stack.settings},
    }


def exports(described: Mapping[str, Any]) -> str:
    """The lines that make a shell ready for README's session, honninctl and the AWS CLI, from a description."""
    operator, merchant = described["operatorKey"], described["merchantKey"]
    variables = {
        "HONNIN_STACK": described["stack"],
        "HONNIN_ENDPOINT": described["endpoint"],
        "AWS_ENDPOINT_URL": described["endpoint"],
        "AWS_REGION": described["region"],
        "AWS_ACCESS_KEY_ID": operator["accessKeyId"],
        "AWS_SECRET_ACCESS_KEY": operator["secretAccessKey"],
        "MERCHANT_API": described["merchantApiUrl"],
        # As curl takes it: --user "$MERCHANT_KEY".
        "MERCHANT_KEY": f"{merchant['accessKeyId']}:{merchant['secretAccessKey']}",
        "EVENT_BUS": described["eventBus"],
        "SANDBOX_URL": described["sandboxUrl"],
    }
    given = (f"export {name}={shlex.quote(value)}\n" for name, value in variables.items() if value)
    # A session of the developer's own would be sent along with these keys.
    return "".join(["unset AWS_SESSION_TOKEN AWS_PROFILE\n", *given])
