"""PayPay's account links: whose an authorization is, the QRs that lead to one, and the events that wait for it."""

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
    """Whose KYC Passport QR a code id names, its PKCE verifier, and its end (epoch seconds)."""

    code_id: str = field(metadata=UNSTORED)
    user_id: str
    code_verifier: str = field(repr=False)
    expires_at: int


@dataclass(frozen=True)
class SessionUse:
    """The one answer that uses up a session."""

    nonce: str = field(repr=False)
    used_token: str
    result: str


@dataclass(frozen=True)
class Link:
    """Whose a PayPay authorization is, and what its reads need for as long as it lasts.

    `code_id` and `code_verifier` are those of the KYC Passport QR that led to it; `required_kyc_type` is the strictest
    one that the merchant has asked for. `is_attached`: what waited for the link is on the user's timeline.
    """

    user_id: str
    scopes: tuple[str, ...] = ()
    code_id: str | None = None
    code_verifier: str | None = field(default=None, repr=False)
    required_kyc_type: str | None = None
    is_attached: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Unattached:
    """An event whose authorization (`subject`) is linked to no user here. It waits until a link appears."""

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
        """The links of those of these PayPay authorizations that belong to a user."""
        items = self._table.batch(map(link_key, user_authorization_ids))
        return {item["pk"].removeprefix("PAYPAY#"): read(Link, item) for item in items}

    def users(self, user_authorization_ids: Sequence[str]) -> dict[str, str]:
        """Which of these PayPay authorizations belong to a user, and to whom."""
        return {each: link.user_id for each, link in self.of(user_authorization_ids).items()}

    def expiring(self, until: str, *, since: str = "") -> Iterator[Expiry]:
        """The links, and watched residence periods, that lie ahead and end from `since` to then (UTC), in order."""
        return Expiries(self._table).expiring(until, since=since)

    def waiting(self, user_authorization_id: str) -> list[Unattached]:
        """The events that wait under an authorization until a link appears, the oldest first."""
        items = self._table.under(f"PAYPAY#{user_authorization_id}", "AT#")
        return [read(Unattached, item, subject=user_authorization_id) for item in items]

    def attach(self, user_authorization_id: str, user_id: str, status: str) -> int:
        """Move what waited under an authorization to its user's timeline; returns how many entries.

        Each entry moves in one transaction, so a crash between two leaves the rest for the next call. Then the link
        says that it is done: nothing waits where a link is (`Events.keep`), so nobody has to look again.
        """
        moved = 0
        for item in self._table.under(f"PAYPAY#{user_authorization_id}", "AT#"):
            # From now on it is kept as long as a timeline is, not as long as what waits.
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
        # While another transaction has the link, it stays unsaid.
        with suppress(ConcurrentUpdateError):
            self._table.attempt(done)
        return moved


def waiting_item(waiting: Unattached) -> Item:
    """The item of an event that waits for a link."""
    return waiting_key(waiting.subject, waiting.at, waiting.event_id) | attributes(waiting)


def session_puts(table: Table, session: LinkSession) -> list[Item]:
    """The puts of a new session: its own, and that of its code. A code that comes again is the new session's."""
    puts = [table.new(session_key(session.nonce) | attributes(session))]
    if session.code_id and session.code_verifier:
        code = PassportQr(session.code_id, session.user_id, session.code_verifier, session.code_expires_at)
        puts.append({"TableName": table.name, "Item": encode(code_key(code.code_id) | attributes(code))})
    return puts


def code_deletes(table: Table, code_ids: Iterable[str], user_id: str) -> list[Item]:
    """The deletes of those codes that are this user's. One that PayPay has given again may be another user's by now."""
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
    """The session of an item, without its PKCE verifier: that is a secret, and of no use to people."""
    return read(LinkSession, item, code_verifier=None)


def session_use(table: Table, use: SessionUse) -> Item:
    """The update that uses up a session, once and in time."""
    return {
        "TableName": table.name,
        "Key": encode(session_key(use.nonce)),
        "UpdateExpression": "SET used_token = :token, #result = :result",
        "ConditionExpression": "expires_at > :now AND attribute_not_exists(used_token)",
        "ExpressionAttributeNames": {"#result": "result"},
        "ExpressionAttributeValues": encode({":token": use.used_token, ":result": use.result, ":now": table.epoch}),
    }


def link_put(table: Table, user_authorization_id: str, link: Link, owner: str) -> Item:
    """The put of a link; that of another user than `owner` is not overwritten."""
    return {
        "TableName": table.name,
        "Item": encode(link_key(user_authorization_id) | attributes(link)),
        "ConditionExpression": "attribute_not_exists(pk) OR user_id = :owner",
        "ExpressionAttributeValues": encode({":owner": owner}),
    }
