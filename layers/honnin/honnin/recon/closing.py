"""Decides whether a file closes its day: a pure function of the comparison's result and of facts about the stored file.

A file that proves nothing is compared, stored and shown all the same. But its day stays open, and its URL is fetched
again.
"""

from dataclasses import dataclass

from honnin.wording import Wording

_EMPTY = Wording("the file is empty", "ファイルが空である")
_LISTS_NO_USER = Wording(
    "the file lists no user, although webhooks were received on its day",
    "ファイルに利用者が記載されていないが、その日の Webhook は受信している",
)
_NOT_A_LIST = Wording(
    "the file is not a list of ids; it may be a web page or a message",
    "ID の一覧ではない（Web ページやメッセージの可能性がある）",
)
_NO_LINKED_USER = Wording(
    "no user in the file is linked here, and the file name does not contain our own id",
    "連携済みの利用者が 1 人も記載されておらず、ファイル名に自社の ID もない",
)


@dataclass(frozen=True)
class Found:
    """What is in a file: how many of its rows are `linked` here. The other fields are as in `recon.rows.Rows`."""

    size: int
    ids: int
    linked: int
    looks_like_ids: bool
    is_only_the_header: bool


@dataclass(frozen=True)
class StoredFacts:
    """Facts about a file from the moment when it was stored. They do not change afterwards.

    `own_name`: its name contains our own merchant id or client id. `webhooks`: webhooks of its kind were received on
    its day.
    """

    own_name: bool = False
    webhooks: bool = False


def doubt(found: Found, facts: StoredFacts) -> str | None:
    """Why a file does not close its day; None if it does (docs/architecture.md)."""
    if found.linked:
        return None
    if not found.size:
        return _EMPTY
    if found.is_only_the_header:
        return _LISTS_NO_USER if facts.webhooks else None
    if not found.looks_like_ids:
        return _NOT_A_LIST
    return None if facts.own_name else _NO_LINKED_USER
