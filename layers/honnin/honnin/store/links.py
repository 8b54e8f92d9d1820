"""PayPay's account links: the user of each authorization, the QRs that lead to one, and events that wait for one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from honnin.errors import ConcurrentUpdateError
from honnin.store.expiries import Expiries, Expiry
from honnin.store.keys import Item, code_key, link_key, session_key, waiting_key
from honnin.store.table import UNSTORED, AlreadyAppliedError, Table, attributes, encode, read


@dataclass(frozen=True)
class LinkSession:
    """One account-link QR. `expires_at` and `code_expires_at` are epoch seconds; `used_token` is the SHA-256 of the
    responseToken that used it. With `code_id` the PKCE verifier is also found by the code id."""

    nonce: str = field(repr=False)
    user_id: str
    scopes: tuple[str, ...]
    return_url: str
    expires_at: int
    code_id: str | None = None
    code_verifier: str | None = field(default=None, repr=False)
    code_expires_at: int = field(default=0, metadata=UNSTORED)
    used_token: str | None = None
    result: str | None = None


@dataclass(frozen=True)
class PassportQr:
    """The user of the KYC Passport QR with a code id, its PKCE verifier, and its end (epoch seconds)."""

    code_id: str = field(metadata=UNSTORED)
    user_id: str
    code_verifier: str = field(repr=False)
    expires_at: int


@dataclass(frozen=True)
class SessionUse:
    """The one answer by which a session is used."""

    nonce: str = field(repr=False)
    used_token: str
    result: str


@dataclass(frozen=True)
class Link:
    """The user of a PayPay authorization, and the data that its reads need as long as it exists.

    `code_id` and `code_verifier` are from the KYC Passport QR that led to it. `required_kyc_type` is the strictest one
    that the merchant has asked for. `is_attached`: the events that waited for the link are on the user's timeline now.
    """

    user_id: str
    scopes: tuple[str, ...] = ()
    code_id: str | None = None
    code_verifier: str | None = field(default=None, repr=False)
    required_kyc_type: str | None = None
    is_attached: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Unattached:
    """An event whose authorization (`subject`) is linked to no user here. It waits until there is a link."""

    event_id: str
    provider: str
    what: str
    cause: str
    at: str
    subject: str = field(repr=False, metadata=UNSTORED)
    detail: Mapping[str, str] = field(default_factory=dict)


class Links:
    """Reads links, sessions and waiting events. Links and sessions are written by `honnin.store.events`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def session(self, nonce: str) -> LinkSession | None:
        """An account-link session, unless it has expired."""
        item = self._table.get(session_key(nonce))
        return read(LinkSession, item) if item else None

    def passport_qr(self, code_id: str) -> PassportQr | None:
        """The KYC Passport QR of a code id, unless it has expired."""
        item = self._table.get(code_key(code_id))
        return read(PassportQr, item, code_id=code_id) if item else None

    def get(self, user_authorization_id: str) -> Link | None:
        """The link of a PayPay authorization."""
        item = self._table.get(link_key(user_authorization_id))
        return read(Link, item) if item else None

    def user(self, user_authorization_id: str) -> str | None:
        """The user that a PayPay authorization belongs to."""
        item = self._table.get(link_key(user_authorization_id))
        return str(item["user_id"]) if item else None

    def of(self, user_authorization_ids: Sequence[str]) -> dict[str, Link]:
        """The links of those of the given PayPay authorizations that belong to a user."""
        items = self._table.batch(map(link_key, user_authorization_ids))
        return {item["pk"].removeprefix("PAYPAY#"): read(Link, item) for item in items}

    def users(self, user_authorization_ids: Sequence[str]) -> dict[str, str]:
        """The users of those of the given PayPay authorizations that belong to a user."""
        return {each: link.user_id for each, link in self.of(user_authorization_ids).items()}

    def expiring(self, until: str, *, since: str = "") -> Iterator[Expiry]:
        """The links, and watched residence periods, that end in the future, from `since` to `until` (UTC), in order."""
        return Expiries(self._table).expiring(until, since=since)

    def waiting(self, user_authorization_id: str) -> list[Unattached]:
        """The events that wait for a link of an authorization, the oldest first."""
        items = self._table.under(f"PAYPAY#{user_authorization_id}", "AT#")
        return [read(Unattached, item, subject=user_authorization_id) for item in items]

    def attach(self, user_authorization_id: str, user_id: str, status: str) -> int:
        """Move the events that waited for an authorization to its user's timeline; returns the number of entries.

        Each entry is moved in one transaction, so after a crash the next call moves the rest. Then the link is marked
        as done. If a link exists, no further event waits for it (`Events.keep`), so this need not be checked again.
        """
        moved = 0
        for item in self._table.under(f"PAYPAY#{user_authorization_id}", "AT#"):
            # From now on it is kept as long as the timeline, not as long as a waiting event.
            kept = {name: value for name, value in item.items() if name != "expires_at"}
            entry = self._table.expiring({**kept, "pk": f"USER#{user_id}", "from_status": status, "to_status": status})
            moved_on = self._table.end({"pk": item["pk"], "sk": item["sk"]})
            with suppress(AlreadyAppliedError):
                self._table.transact(
                    item["event_id"],
                    [
                        ({"Update": moved_on}, AlreadyAppliedError),
                        ({"Put": self._table.new(entry)}, AlreadyAppliedError),
                    ],
                )
                moved += 1
        done = self._table.update(
            link_key(user_authorization_id), {"is_attached": True}, "user_id = :user", known={"user": user_id}
        )
        # If another transaction holds the link, it is not marked as done now.
        with suppress(ConcurrentUpdateError):
            self._table.attempt(done)
        return moved


def waiting_item(waiting: Unattached) -> Item:
    """The item of an event that waits for a link."""
    return waiting_key(waiting.subject, waiting.at, waiting.event_id) | attributes(waiting)


def session_puts(table: Table, session: LinkSession) -> list[Item]:
    """The puts of a new session: its own, and that of its code.

    If a code is used again, it belongs to the new session.
    """
    puts = [table.new(session_key(session.nonce) | attributes(session))]
    if session.code_id and session.code_verifier:
        code = PassportQr(session.code_id, session.user_id, session.code_verifier, session.code_expires_at)
        puts.append({"TableName": table.name, "Item": encode(code_key(code.code_id) | attributes(code))})
    return puts


def code_deletes(table: Table, code_ids: Iterable[str], user_id: str) -> list[Item]:
    """The deletes of those codes that belong to this user. PayPay may have given a code to another user since."""
    found = table.batch(map(code_key, code_ids), consistent=True, expired=True)
    return [
        {
            "TableName": table.name,
            "Key": encode({"pk": each["pk"], "sk": each["sk"]}),
            "ConditionExpression": "attribute_not_exists(pk) OR user_id = :user",
            "ExpressionAttributeValues": encode({":user": user_id}),
        }
        for each in found
        if each["user_id"] == user_id
    ]


def read_session(item: Item) -> LinkSession:
    """The session of an item, without its PKCE verifier, because that is a secret that people do not need."""
    return read(LinkSession, item, code_verifier=None)


def session_use(table: Table, use: SessionUse) -> Item:
    """The update that marks a session as used, only once and before it expires."""
    return {
        "TableName": table.name,
        "Key": encode(session_key(use.nonce)),
        "UpdateExpression": "SET used_token = :token, #result = :result",
        "ConditionExpression": "expires_at > :now AND attribute_not_exists(used_token)",
        "ExpressionAttributeNames": {"#result": "result"},
        "ExpressionAttributeValues": encode({":token": use.used_token, ":result": use.result, ":now": table.epoch}),
    }


def link_put(table: Table, user_authorization_id: str, link: Link, owner: str) -> Item:
    """The put of a link. It does not overwrite a link of a user other than `owner`."""
    return {
        "TableName": table.name,
        "Item": encode(link_key(user_authorization_id) | attributes(link)),
        "ConditionExpression": "attribute_not_exists(pk) OR user_id = :owner",
        "ExpressionAttributeValues": encode({":owner": owner}),
    }
