"""One SendMessage and nothing else: botocore's signature, the standard library's kept-alive connection."""

import http.client
import json
import os
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

endpoint = os.environ["AWS_ENDPOINT_URL"]
signer = SigV4Auth(
    Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], os.environ["AWS_SESSION_TOKEN"]),
    "sqs",
    os.environ["AWS_REGION"],
)
connection = http.client.HTTPSConnection(urlsplit(endpoint).netloc)


def lambda_handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001
    """Send the body of the request as it is."""
    body = json.dumps({"QueueUrl": os.environ["EVENT_QUEUE_URL"], "MessageBody": event["body"]})
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.SendMessage"}
    request = AWSRequest("POST", f"{endpoint}/", headers, body)
    signer.add_auth(request)
    connection.request("POST", "/", body, dict(request.headers.items()))
    response = connection.getresponse()
    response.read()
    return {"statusCode": response.status, "body": "OK"}
