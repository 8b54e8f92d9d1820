"""Change the key of the callback tokens without refusing one callback: `honninctl rotate-callback-key`.

Functions keep the secret for five minutes. So the new key is made known first, as one that is accepted, and used only
when every function knows it; the old one stays accepted, because Vexora holds URLs that were made under it:

    {"current": old}                      before
    {"current": old, "previous": new}     both are accepted, URLs are made under the old one; six minutes
    {"current": new, "previous": old}     both are accepted, URLs are made under the new one

When hardly a submission made under the old key is open any more (after 31 days; what is, the poll asks for weekly),
`--drop-previous` leaves {"current": new}.
"""

import json
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from honninctl.failures import CommandError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

# Longer than `honnin.secret_store` keeps a secret.
WAIT_S = 360
SECRET = "CallbackKeySecret"  # noqa: S105 -- its logical id


class RotationError(CommandError):
    """The key cannot be changed now; the message says why."""


def rotate(client: "SecretsManagerClient", secret_id: str, *, wait: Callable[[float], None] = time.sleep) -> None:
    """Change the key in the two steps above, with `wait` between them.

    Stopped in the middle it has done no harm: drop the previous key and begin again. RotationError when it was stopped
    while it waited, or a previous key is there already.
    """
    keys = _read(client, secret_id)
    if keys.get("previous"):
        raise RotationError(
            "the previous key is still accepted, and only two keys can be accepted at once. When no submission that "
            "was made with the previous key is open any more, run this with --drop-previous, and then run it again."
        )
    old, new = keys["current"], secrets.token_hex(32)
    _write(client, secret_id, {"current": old, "previous": new})
    try:
        wait(WAIT_S)
    except KeyboardInterrupt:
        raise RotationError(
            "stopped while waiting. The old key is still in use, and no URL was made with the new key. "
            "Run this with --drop-previous now, and then run it again."
        ) from None
    _write(client, secret_id, {"current": new, "previous": old})


def drop_previous(client: "SecretsManagerClient", secret_id: str) -> None:
    """Accept the current key only."""
    _write(client, secret_id, {"current": _read(client, secret_id)["current"]})


def _read(client: "SecretsManagerClient", secret_id: str) -> dict[str, str]:
    keys: dict[str, str] = json.loads(client.get_secret_value(SecretId=secret_id)["SecretString"])
    if not keys.get("current"):
        raise RotationError("the secret has no current key")
    return keys


def _write(client: "SecretsManagerClient", secret_id: str, keys: dict[str, str]) -> None:
    client.put_secret_value(SecretId=secret_id, SecretString=json.dumps(keys))
