"""What can go wrong while the local stack is started, said so that the reader knows what to do next."""


class LocalError(Exception):
    """One plain sentence: what is wrong and what to do. Shown as it is, without a traceback."""
