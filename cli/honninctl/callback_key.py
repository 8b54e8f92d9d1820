"""Change the key of the callback tokens without refusing one callback: `honninctl rotate-callback-key`.

Functions keep the secret for five minutes. So the new key is made known first, as one that is accepted, and used only
when every function knows it; the old one stays accepted, because Vexora holds URLs that were made under it:

    {"current": old}                      before
    {"current": old, "previous": new}     both are accepted, URLs are made under the old one; six minutes
    {"current": new, "previous": old}     both are accepted, URLs are made under the new one

When hardly a submission made under the old key is open any more (after 31 days; what is, the poll asks for weekly),
`--drop-previous` leaves {"current": new}.
"""

import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from honninctl import key_rotation
from honninctl.key_rotation import WAIT_S, RotationError
from honninctl.language import _

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

SECRET = "CallbackKeySecret"  # noqa: S105 -- its logical id


def rotate(client: "SecretsManagerClient", secret_id: str, *, wait: Callable[[float], None] = time.sleep) -> None:
    """Change the key in the two steps above, with `wait` between them.

    Stopped in the middle it has done no harm: drop the previous key and begin again. RotationError when it was stopped
    while it waited, or a previous key is there already.
    """
    old = key_rotation.only(
        client,
        secret_id,
        _(
            "the previous key is still accepted, and only two keys can be accepted at once. When no submission that "
            "was made with the previous key is open any more, run this with --drop-previous, and then run it again."
        ),
    )
    new = secrets.token_hex(32)
    key_rotation.write(client, secret_id, old, new)
    try:
        wait(WAIT_S)
    except KeyboardInterrupt:
        raise RotationError(
            _(
                "stopped while waiting. The old key is still in use, and no URL was made with the new key. "
                "Run this with --drop-previous now, and then run it again."
            )
        ) from None
    key_rotation.write(client, secret_id, new, old)
