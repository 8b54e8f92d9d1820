"""The access record: who looked at, exported, reread or erased what, when and why (docs/security.md, "Access record").

honninctl and its console write one item before they show or do anything. The items of a user are kept under the
user's id; those of lists of users are together. An erasure leaves them, but for their reasons (docs/erasure.md says
why).
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from honnin.errors import ConcurrentUpdateError
from honnin.store.keys import Item, access_key
from honnin.store.table import UNSTORED, Table, attributes, encode, read
from honnin.times import utc_text

# With so many characters nobody can guess the key of an item, and overwrite it.
_RANDOM_BYTES = 16

# The action of an entry that cannot be read, and the time that stands for its own.
UNREADABLE = "unreadable"
_NO_TIME = "1970-01-01T00:00:00.000Z"

# Of so many reasons, an erasure removes each in some hundredths of a second, before it looks at its time.
_AT_ONCE = 40


@dataclass(frozen=True)
class Access:
    """One access. `who` is the ARN of the caller's identity in AWS; `what` is the command or the page.

    `at` is UTC text with milliseconds. `user_id` is None for a list of users. `options` are those of the command, or
    the fields of the page, without any that may name a person. `reason_erased_at` (UTC) says that there was a reason,
    and that an erasure of the user removed it.
    """

    at: str = field(metadata=UNSTORED)
    action: str
    who: str
    source: str
    what: str
    user_id: str | None = field(default=None, metadata=UNSTORED)
    reason: str | None = None
    options: str | None = None
    reason_erased_at: str | None = None


@dataclass(frozen=True)
class AccessPage:
    """Some accesses, newest first, and the cursor of the next page; None: it was the last page."""

    accesses: Sequence[Access]
    cursor: str | None


class Accesses:
    """Writes and reads the access record."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, access: Access, kept_days: int) -> None:
        """Record an access for so many days. Each is an item of its own, also at the same millisecond.

        Raises
        ------
        ConcurrentUpdateError
            There is an item under its key, which stays as it is. Nothing was written.
        """
        expires = datetime.fromisoformat(access.at) + timedelta(days=kept_days)
        item = access_key(access.user_id, access.at, secrets.token_hex(_RANDOM_BYTES)) | attributes(access)
        put = self._table.new(item | {"expires_at": int(expires.timestamp())})
        if not self._table.write(self._table.db.put_item, put):
            raise ConcurrentUpdateError("the access record has an entry under this key already")

    def forget_reasons(self, user_id: str, at: str, may_go_on: Callable[[], None] = lambda: None) -> None:
        """Remove the reasons of a user's accesses, because people write into them what they know of the user.

        `may_go_on` is called now and then, and raises an error if there is no time left; another call continues.
        """
        pk = access_key(user_id, "", "")["pk"]
        given = self._table.items(
            "query",
            expired=True,
            KeyConditionExpression="pk = :pk",
            FilterExpression="attribute_exists(reason)",
            ExpressionAttributeValues=encode({":pk": pk}),
            ConsistentRead=True,
        )
        for number, each in enumerate(given):
            if number % _AT_ONCE == 0:
                may_go_on()
            key = {"pk": pk, "sk": each["sk"]}
            # It may have expired and be deleted meanwhile; an update would make it anew.
            self._table.attempt(
                self._table.update(key, {"reason_erased_at": at}, "attribute_exists(pk)", remove=("reason",))
            )

    def page(
        self, user_id: str | None, limit: int, *, since: str = "0", until: str = "9", cursor: str | None = None
    ) -> AccessPage:
        """The accesses to a user (None: to lists), newest first, from `since` to before `until` (UTC).

        `cursor` is that of the page before. A page has at most `limit` accesses, and may have fewer though it is not
        the last.
        """
        pk = access_key(user_id, "", "")["pk"]
        request = {
            "TableName": self._table.name,
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :since AND :until",
            "ExpressionAttributeValues": encode({":pk": pk, ":since": since, ":until": until}),
            "ScanIndexForward": False,
            "ConsistentRead": True,
            "Limit": limit,
            **({"ExclusiveStartKey": encode({"pk": pk, "sk": cursor})} if cursor else {}),
        }
        items, last = self._table.page(request)
        return AccessPage([_access(each, user_id) for each in items], str(last["sk"]) if last else None)


def _access(item: Item, user_id: str | None) -> Access:
    """An entry. One that Honnin did not write is shown as such: it must not keep anybody from reading the others."""
    key = str(item["sk"])
    try:
        at = utc_text(datetime.fromisoformat(key.partition("#")[0]).astimezone(UTC))
        return read(Access, item, at=at, user_id=user_id)
    except (KeyError, ValueError):
        return Access(_NO_TIME, UNREADABLE, "", "", key, user_id)
