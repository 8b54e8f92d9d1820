"""The generated keys: a secret with the `current` key, and while a rotation goes on the `previous` one."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from honninctl.failures import CommandError
from honninctl.language import _

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

# Longer than `honnin.secret_store` keeps a secret: after it every function knows what was written.
WAIT_S = 360


class RotationError(CommandError):
    """The key cannot be changed now; the message says why."""


def read(client: "SecretsManagerClient", secret_id: str) -> Mapping[str, str]:
    """The keys. Raises `RotationError` where there is no current one."""
    keys: dict[str, str] = json.loads(client.get_secret_value(SecretId=secret_id)["SecretString"])
    if not keys.get("current"):
        raise RotationError(_("the secret has no current key"))
    return keys


def only(client: "SecretsManagerClient", secret_id: str, otherwise: str) -> str:
    """The current key. Raises `RotationError` with that sentence while there is a previous one, too."""
    keys = read(client, secret_id)
    if keys.get("previous"):
        raise RotationError(otherwise)
    return keys["current"]


def write(client: "SecretsManagerClient", secret_id: str, current: str, previous: str | None = None) -> None:
    """Make these the keys."""
    keys = {"current": current} | ({"previous": previous} if previous else {})
    client.put_secret_value(SecretId=secret_id, SecretString=json.dumps(keys))


def drop_previous(client: "SecretsManagerClient", secret_id: str) -> None:
    """Leave the current key alone."""
    write(client, secret_id, read(client, secret_id)["current"])
