"""Dead letters on the deployed stack, made as Honnin's processor, SQS itself and Lambda make them."""

import json
import uuid

from local.stack import Stack


def add_event(stack: Stack, authorization: str, error_type: str = "KeyError") -> str:
    """Move a KYC notification about that authorization there, as the processor does; returns its event id."""
    event = {
        "v": 1,
        "event_id": f"paypay:kyc:{uuid.uuid4()}",
        "provider": "paypay",
        "kind": "kyc",
        "cause": "webhook",
        "subject": authorization,
        "received_at": "2026-11-21T12:00:00.000Z",
        "detail": {},
    }
    _add(stack, "DeadLetterQueueUrl", json.dumps(event), errorType=error_type)
    return str(event["event_id"])


def add_runs(stack: Stack) -> None:
    """Add a failed run of the deadline check and one of the download, as Lambda does after its last try."""
    schedule = (
        "arn:aws:scheduler:ap-northeast-1:000000000000:schedule/default/x-ReconDeadlineFunctionAtQuarterPastTen-1"
    )
    body = json.dumps({"source": "aws.scheduler", "detail": "{}", "resources": [schedule]})
    _add(stack, "ScheduleDeadLetterQueueUrl", body, RequestID=str(uuid.uuid4()), ErrorMessage="timed out")
    _add(stack, "ReconDownloadDeadLetterQueueUrl", "{}", RequestID=str(uuid.uuid4()), ErrorMessage="timed out")


def _add(stack: Stack, output: str, body: str, **attributes: str) -> None:
    stack.client("sqs").send_message(
        QueueUrl=stack.outputs[output],
        MessageBody=body,
        MessageAttributes={name: {"DataType": "String", "StringValue": text} for name, text in attributes.items()},
    )
