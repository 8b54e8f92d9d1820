"""Who takes part in the ack bench, and what is sent to them."""

import json
import uuid
from dataclasses import dataclass
from typing import Any

from local.paths import ROOT


@dataclass(frozen=True)
class Contestant:
    """One handler. `name` is its task directory: the logical id of a function, or a folder of bench/."""

    name: str
    title: str
    event_file: str
    is_ours: bool = False
    sends: bool = True

    def event(self) -> dict[str, Any]:
        """The sample event of the webhook function, with a notification id of its own."""
        event: dict[str, Any] = json.loads((ROOT / "events" / self.event_file).read_text(encoding="utf-8"))
        body = json.loads(event["body"]) | {"notification_id": str(uuid.uuid4())}
        return event | {"body": json.dumps(body)}


EMPTY = Contestant("empty", "empty handler", "paypay_kyc_webhook.json", sends=False)
CONVENTIONAL = Contestant("conventional", "conventional handler", "paypay_kyc_webhook.json")
BARE = [
    Contestant("bare_signed", "bare SendMessage, http.client + botocore's SigV4Auth", "paypay_kyc_webhook.json"),
    Contestant("bare_boto3", "bare SendMessage, boto3 client", "paypay_kyc_webhook.json"),
]
OURS = [
    Contestant("PayPayKycWebhookFunction", "paypay_kyc_webhook", "paypay_kyc_webhook.json", is_ours=True),
    Contestant("PayPayRiskWebhookFunction", "paypay_risk_webhook", "paypay_risk_webhook.json", is_ours=True),
    Contestant(
        "PayPayAccountStatusWebhookFunction",
        "paypay_account_status_webhook",
        "paypay_account_status_webhook.json",
        is_ours=True,
    ),
    Contestant("PayPayReconWebhookFunction", "paypay_recon_webhook", "paypay_recon_webhook.json", is_ours=True),
]
PEERS = [EMPTY, *BARE, CONVENTIONAL]
ALL = [*OURS, *PEERS]
