"""For the tests of a merchant: Honnin's local stack, found or started, with a hand on both providers.

`honnin_pytest` makes pytest fixtures of it (README.md). Nothing here needs pytest.
"""

from honnin_client.testing.events import Event, Events
from honnin_client.testing.sandbox import Delivery, Sandbox, SandboxError, SandboxUser
from honnin_client.testing.stacks import HonninStack, StackError
from honnin_client.testing.waiting import AwaitStatus, TooLateError
from honnin_client.testing.webhooks import MerchantWebhooks

__all__ = [
    "AwaitStatus",
    "Delivery",
    "Event",
    "Events",
    "HonninStack",
    "MerchantWebhooks",
    "Sandbox",
    "SandboxError",
    "SandboxUser",
    "StackError",
    "TooLateError",
]
