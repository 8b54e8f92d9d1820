"""Every command of honninctl in one process, on a deployment that answers in Japanese.

`python -m tests.fakes.cli_everything SECRET RESULT`; test_cli_streams.py runs it under terminals that cannot show it
all. The exit codes go to the file RESULT.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from honnin.store import Effect, Store, Submission, UserStatus
from honninctl import app, checks, command, dead_letters, doctor
from honninctl.console import server
from tests.fakes.cli import FakeDeployment, Service, state_table
from tests.fakes.memory import dynamodb, memory_aws, s3

AT = "2026-04-01T03:00:00.000Z"
NAME = "テスト ハナコ〜①é😀"

COMMANDS: dict[str, list[str]] = {
    "help": ["--help"],
    "help of a command": ["sign", "vexora", "--help"],
    "wrong usage": ["status", "--no-such-option"],
    "status": ["status", "u-1"],
    "timeline": ["timeline", "u-1", "--all", "--reveal", "--reason", "r"],
    "timeline as JSON": ["timeline", "u-1", "--json", "--reveal", "--reason", "r"],
    "submissions": ["submissions"],
    "export": ["export", "u-1", "--reveal", "--whole-table", "--reason", "r"],
    "contract-end": ["contract-end", "u-1", "--on", "2026-03-31", "--reason", "理由", "--yes"],
    "contract-ends": ["contract-ends"],
    "erase": ["erase", "u-1", "--yes", "--reason", "理由"],
    "reread": ["reread", "u-1"],
    "unknown user": ["reread", "ハナコ"],
    "recon of a day": ["recon", "2026-03-31"],
    "recon calendar": ["recon", "calendar", "--days", "3"],
    "deadletters list": ["deadletters", "list", "--reveal", "--reason", "r"],
    "deadletters show": ["deadletters", "show", "m-1", "--reveal", "--reason", "r"],
    "deadletters redrive": ["deadletters", "redrive", "--yes"],
    "sign vexora": ["sign", "vexora", "--field", f"usernameFurigana={NAME}", "--secret-file", "SECRET"],
    "sign vexora as JSON": ["sign", "vexora", "--field", f"n={NAME}", "--secret-file", "SECRET", "--json"],
    "sign paypay": ["sign", "paypay", "--url", "/v2/x", "--api-key", "k", "--secret-file", "SECRET"],
    "doctor": ["doctor"],
    "console": ["console", "--no-browser"],
}


class Scripted(FakeDeployment):
    """Answers of the merchant API, of SQS and of the table, all in Japanese."""

    def __init__(self) -> None:
        queues = {name: f"https://sqs/{name}" for name in dead_letters.OUTPUTS.values()}
        super().__init__(
            {
                "StateTableName": "StateTable",
                "PersonalDataBucketName": "vault",
                "ReconBucketName": "recon",
                "EventQueueUrl": "https://sqs/events",
                "RereadQueueUrl": "https://sqs/rereads",
                **queues,
            }
        )
        self.has_dead_letters = True
        self.services["sqs"] = Service(
            send_message=self._send,
            send_message_batch=lambda **asked: {"Successful": [{"Id": each["Id"]} for each in asked["Entries"]]},
            receive_message=self._receive,
            delete_message_batch=self._delete,
            change_message_visibility_batch={},
            get_queue_attributes={
                "Attributes": {"QueueArn": "arn"},
                "ResponseMetadata": {"HTTPHeaders": {"date": "Wed, 01 Apr 2026 03:00:00 GMT"}},
            },
        )

    def merchant(self, method: str, path: str, query: Any = None, body: Any = None) -> dict[str, Any]:
        """The same user, whatever is asked."""
        entry = {"at": AT, "eventId": "e-1", "provider": "vexora", "what": "result_read", "cause": "webhook"}
        entry |= {"from": "PENDING", "to": "REJECTED", "detail": {"reason": NAME}}  # type: ignore[dict-item]
        vexora = {"status": "REJECTED", "providerStatus": "3", "readAt": AT, "submissionId": "s-1", "stale": True}
        paypay = {"status": "LINKED", "providerStatus": None, "readAt": None, "scopes": [NAME]}
        return {
            "userId": NAME,
            "endedOn": "2026-03-31",
            "keptUntil": "2033-03-31",
            "providers": {"vexora": vexora, "paypay": paypay},
            "verified": False,
            "verifiedReason": "NOT_VERIFIED",
            "entries": [entry],
            "cursor": None,
        }

    def _send(self, *, QueueUrl: str, MessageBody: str) -> dict[str, str]:  # noqa: N803
        event = json.loads(MessageBody)
        if event.get("cause") == "operator":
            before = self.store.users.status("u-1", "vexora")
            assert before
            after = replace(before, status="APPROVED", version=before.version + 1)
            effect = Effect(event["event_id"], "result_read", "operator", AT, before, after, {"providerCode": NAME})
            self.store.events.apply(effect)
        return {"MessageId": "1"}

    def _delete(self, **asked: Any) -> dict[str, Any]:
        self.has_dead_letters = False
        return {"Successful": [{"Id": each["Id"]} for each in asked["Entries"]]}

    def _receive(self, **asked: Any) -> dict[str, Any]:
        if not self.has_dead_letters or not asked["QueueUrl"].endswith("/DeadLetterQueueUrl"):
            return {}
        message = {
            "MessageId": "m-1",
            "ReceiptHandle": "r",
            "Body": json.dumps({"name": NAME}, ensure_ascii=False),
            "Attributes": {"SentTimestamp": "1774925553256"},
            "MessageAttributes": {"errorType": {"StringValue": f"KeyError（{NAME}）"}},
        }
        return {"Messages": [message]}


def _prepared() -> Scripted:
    store = Store(state_table(), dynamodb())
    after = UserStatus("u-1", "vexora", "PENDING", 1, submission_id="sub-1", submitted_at=AT)
    opens = Submission("sub-1", "u-1", "PENDING", AT, due_at=AT)
    store.events.apply(Effect("api:1", "submission_started", "api", AT, None, after, {"reason": NAME}, opens=opens))
    s3("recon")
    s3("vault").put_object(Bucket="vault", Key="paypay/u-1/a.json", Body=json.dumps({"name": NAME}).encode())
    store.recon.missing("kyc_passport_sync_recon", "2026-03-31", AT)
    return Scripted()


def _examine(*_: Any) -> Iterator[checks.Check]:
    for verdict in checks.Verdict:
        yield checks.Check("secret", verdict, NAME, NAME)


def main() -> None:
    """Run them all; the last argument is the file for the exit codes, the one before it the file with a secret."""
    secret, result = sys.argv[1:]
    codes: dict[str, Any] = {}
    with (
        memory_aws(),
        mock.patch.object(doctor, "examine", _examine),
        mock.patch.object(server.ConsoleServer, "serve_forever"),
    ):
        deployment = _prepared()
        with mock.patch.object(command, "Deployment", return_value=deployment):
            for name, arguments in COMMANDS.items():
                sys.argv = ["honninctl", *(secret if each == "SECRET" else each for each in arguments)]
                print(f"=== {name}", flush=True)
                try:
                    app.main()
                except SystemExit as ended:
                    codes[name] = ended.code or 0
                except BaseException as error:
                    codes[name] = repr(error)
    Path(result).write_text(json.dumps(codes))


if __name__ == "__main__":
    main()
