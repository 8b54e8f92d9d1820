"""The selfie of a completed KYC Passport QR: an image behind a short-lived address in PayPay's answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from honnin import remote_file
from honnin.errors import FileNotFetchedError
from honnin.http_client import Deadline

MAX_BYTES = 10 * 1024 * 1024

# The caller of the API is waiting.
_TOTAL_S = 4.0


@dataclass(frozen=True)
class Selfies:
    """Fetches selfies from the allowed hosts; `loopback` is for the local stack only."""

    allowed_hosts: Sequence[str]
    loopback: bool = False

    def fetch(self, url: str) -> tuple[bytes, str]:
        """The image and its content type.

        Raises
        ------
        RemoteFileError
            The address breaks a rule, or what is there is no image of at most 10 MiB.
        """
        deadline = Deadline(_TOTAL_S)
        with remote_file.opened(
            url, allowed_hosts=self.allowed_hosts, loopback=self.loopback, deadline=deadline, read_timeout_s=_TOTAL_S
        ) as response:
            content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if content_type not in ("image/jpeg", "image/png", "image/webp", "image/heic"):
                raise FileNotFetchedError("the file is not an image")
            return remote_file.read_all(response, max_bytes=MAX_BYTES, deadline=deadline), content_type
