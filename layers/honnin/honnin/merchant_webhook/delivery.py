"""Sends one message to the merchant's endpoint, in the form of Standard Webhooks (standardwebhooks.com)."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from standardwebhooks import Webhook

from honnin import remote_file
from honnin.errors import RemoteFileError
from honnin.http_client import Deadline
from honnin.merchant_webhook.message import Message
from honnin.wording import Wording

# For all of it: the look-up of the name, the connection, the request, and each byte of the answer.
_TOTAL_S = 15.0

# At most this much of an answer is read, so that the endpoint can finish writing it. Its content is not used.
_MOST_ANSWER_BYTES = 4096

_GONE = 410


@dataclass(frozen=True)
class Outcome:
    """What became of one try. `status` is the HTTP status, None if no answer came; `reason` says why it failed."""

    delivered: bool
    status: int | None
    reason: str
    seconds: float

    @property
    def is_gone(self) -> bool:
        """Whether the endpoint says that it wants no more webhooks."""
        return self.status == _GONE


class Endpoint:
    """The merchant's endpoint.

    Parameters
    ----------
    url
        Its URL: https and a public address.
    keys
        Gives the keys, the current one first (`secret_store.merchant_webhook_keys`). During a rotation there are two,
        and the endpoint may know either.
    loopback
        Also allow plain http on 127.0.0.1: for the local stack only.
    """

    def __init__(
        self,
        url: str,
        keys: Callable[[], Sequence[str]],
        *,
        loopback: bool = False,
        total_s: float = _TOTAL_S,
    ) -> None:
        self._url = url
        self._keys = keys
        self._loopback = loopback
        self._total_s = total_s

    def send(self, message: Message) -> Outcome:
        """Send a message once. No redirect is followed.

        Raises
        ------
        ConfigurationError
            The keys cannot be read. Nothing was sent.
        """
        headers = signed(message, self._keys(), datetime.now(UTC))
        began = time.monotonic()
        deadline = Deadline(self._total_s)
        status: int | None = None
        try:
            with remote_file.opened(
                self._url,
                allowed_hosts=None,
                loopback=self._loopback,
                deadline=deadline,
                read_timeout_s=self._total_s,
                headers=headers,
                body=message.body,
                accepted=range(1000),
            ) as answer:
                status = answer.status
                with suppress(RemoteFileError):  # the status alone decides
                    _read_some(answer)
        except RemoteFileError as error:
            reason = error.reason
        else:
            refused = Wording(f"the answer was HTTP {status}", f"レスポンスは HTTP {status} でした")
            reason = "" if 200 <= status < 300 else refused
        return Outcome(not reason, status, reason, round(time.monotonic() - began, 3))


def signed(message: Message, keys: Sequence[str], now: datetime) -> Mapping[str, str]:
    """The headers of a try that is made now (aware UTC): with a signature by each key."""
    data = message.body.decode()
    return {
        "Content-Type": "application/json",
        "User-Agent": "Honnin",
        "webhook-id": message.message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Webhook(key).sign(message.message_id, now, data) for key in keys),
    }


def _read_some(answer: remote_file.Answer) -> None:
    left = _MOST_ANSWER_BYTES
    for piece in answer.pieces(_MOST_ANSWER_BYTES):
        left -= len(piece)
        if left <= 0:
            return
