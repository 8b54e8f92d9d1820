"""Loopback ports."""

import socket

from local.errors import LocalError

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int, *, what: str, setting: str, host: str = LOOPBACK) -> None:
    """LocalError, naming the setting that changes it, when `port` is taken or not allowed."""
    with socket.socket() as probe:
        # As servers do, so that connections of the run before, still in TIME_WAIT, are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError):
            raise LocalError(
                f"Port {port} of {host}, meant for {what}, cannot be used; perhaps another program listens there: "
                f"stop that program or choose another port with {setting}=<port> (0: any free one)."
            ) from None
