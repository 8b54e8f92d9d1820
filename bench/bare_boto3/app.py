"""One SendMessage and nothing else, by a boto3 client."""

import os
from typing import Any

import boto3

client = boto3.client("sqs")


def lambda_handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001
    """Send the body of the request as it is."""
    client.send_message(QueueUrl=os.environ["EVENT_QUEUE_URL"], MessageBody=event["body"])
    return {"statusCode": 200, "body": "OK"}
