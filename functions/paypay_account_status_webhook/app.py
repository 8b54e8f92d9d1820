"""`POST /webhooks/paypay/account-status`: acknowledge PayPay's account status events.

Loads the standard library only: PayPay waits 1.5 s, a cold start included.
"""

from honnin import webhook


def lambda_handler(event: webhook.Request, context: object) -> webhook.Answer:  # noqa: ARG001
    """Answer `OK` once the notification is on the queue."""
    return webhook.paypay(event)
