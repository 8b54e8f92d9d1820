"""Users: the status at each provider, and the timeline."""

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Any

from honnin.errors import InvalidFieldError
from honnin.event import Provider
from honnin.status import Flag, PayPayStatus, VerifiedNeeds, VerifiedReason, VexoraStatus, verified
from honnin.store.keys import Item, refusal_key, status_key, word_key
from honnin.store.segments import pages
from honnin.store.table import Table, decode, encode, read
from honnin.vault import Kept


@dataclass(frozen=True)
class UserStatus:
    """One user at one provider. Times are UTC ISO 8601. `version` grows with every applied event, and also from before
    an erasure to after it (`honnin.commit`).

    `read_at` is when the last answer about the user was requested. `reason` is why Vexora rejected the user, in
    Vexora's words. It may be personal, so only the merchant gets it.

    At PayPay, the status follows from `answers` (`honnin.paypay_facets.stored`), and so do `facets` (link, kyc, flag),
    `user_authorization_id` and `link_expires_at`. `asked_scopes` are the scopes of the last QR. `asked_code_id` and
    `asked_code_verifier` are those of the last KYC Passport QR. They are needed if the redirect of a link never comes.

    `received` says when a webhook of each kind was last received (UTC), as far as it was about the present
    authorization or submission. It decides nothing about the user.

    `kept` names the newest evidence of each product in the vault. `stale_reported` is the submission that was reported
    as stale. `since` is when the status began: `honnin.store.events` sets it.

    `link_end_reported` is the end of the link that was reported before it came. `expired_at` (UTC) is when an expired
    link expired. `is_over`: the link counts as expired by the end that PayPay gave, and PayPay has not confirmed it.
    `residence_ends_on` is the last day of the user's residence period (`yyyy-mm-dd`, stored only with
    `WatchResidencePeriod`). `residence_end_reported` is the end of it that was reported before it came.
    """

    user_id: str
    provider: str
    status: str
    version: int
    provider_status: str | None = None
    read_at: str | None = None
    submission_id: str | None = None
    submitted_at: str | None = None
    stale_at: str | None = None
    user_authorization_id: str | None = field(default=None, repr=False)
    scopes: tuple[str, ...] = ()
    code_id: str | None = None
    link_expires_at: str | None = None
    facets: Mapping[str, str] | None = None
    answers: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    asked_scopes: tuple[str, ...] = ()
    asked_code_id: str | None = None
    asked_code_verifier: str | None = field(default=None, repr=False)
    reason: str | None = field(default=None, repr=False)
    kept: Kept | None = None
    stale_reported: str | None = None
    link_end_reported: str | None = None
    expired_at: str | None = None
    is_over: bool = False
    residence_ends_on: str | None = field(default=None, repr=False)
    residence_end_reported: str | None = field(default=None, repr=False)
    received: Mapping[str, str] | None = None
    since: str | None = field(default=None, compare=False)


def began(before: UserStatus | None, status: str, at: str) -> str:
    """When the user's status after `at` began: a reading that does not change the status does not change this."""
    return before.since if before and before.since and before.status == status else at


# The providers that have users.
PROVIDERS = (Provider.PAYPAY, Provider.VEXORA)

# Refusals are counted for each day.
_REFUSALS_KEPT = timedelta(days=2)

# The count's name for an authorization that was ended at PayPay.
UNLINKED = "unlinkedAtPayPay"

# The notes of an erasure about something that the user had. They are removed when the user has it again.
FORMER_NOTED = ("erased_by", f"n_{UNLINKED}")


@dataclass(frozen=True)
class Former:
    """A PayPay authorization or a Vexora submission (`name`) that a user had, until `left_at` (UTC).

    It is written together with the status that replaces it, so that an erasure finds it. An erasure adds `counts` (how
    much of it was erased) and, after everything is erased, `erased_by`, the certificate (`honnin.store.erasure`).
    """

    provider: str
    name: str = field(repr=False)
    left_at: str | None = None
    erased_by: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class TimelineEntry:
    """What happened to a user: `what` (a verb of Honnin's), `cause` (as `Event.cause`), from and to.

    `told` are the types of the events that were published about it.
    """

    at: str
    event_id: str
    provider: str
    what: str
    cause: str
    from_status: str | None
    to_status: str
    detail: Mapping[str, str] = field(default_factory=dict)
    told: tuple[str, ...] = ()


def verified_reason(statuses: Iterable[UserStatus], needs: VerifiedNeeds) -> VerifiedReason:
    """Why a user with these statuses counts as verified, or why not.

    A flag of PayPay's still counts after the link has ended.
    """
    paypay: PayPayStatus | None = None
    vexora: VexoraStatus | None = None
    for each in statuses:
        if each.provider == Provider.PAYPAY:
            flag = flag_of(each)
            paypay = PayPayStatus(each.status if flag == Flag.NONE else flag)
        elif each.provider == Provider.VEXORA:
            vexora = VexoraStatus(each.status)
    return verified(paypay, vexora, needs)


def flag_of(status: UserStatus) -> str:
    """The flag of the user at PayPay."""
    return (status.facets or {}).get("flag", Flag.NONE)


class Users:
    """Reads the statuses and timelines of users."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def status(self, user_id: str, provider: str) -> UserStatus | None:
        """The user's status at one provider, read consistently."""
        item = self._table.get(status_key(user_id, provider))
        return read(UserStatus, item) if item else None

    def statuses(self, user_id: str) -> list[UserStatus]:
        """The user's status at every provider that knows the user."""
        return [read(UserStatus, item) for item in self._table.under(f"USER#{user_id}", "STATUS#")]

    def statuses_of(self, user_ids: Sequence[str], provider: str) -> dict[str, UserStatus]:
        """The status of many users at one provider."""
        items = self._table.batch(status_key(each, provider) for each in dict.fromkeys(user_ids))
        return {item["user_id"]: read(UserStatus, item) for item in items}

    def statuses_of_all(self, user_ids: Sequence[str]) -> dict[str, list[UserStatus]]:
        """The statuses of many users at every provider that knows them, read consistently."""
        found: dict[str, list[UserStatus]] = {}
        keys = (status_key(each, provider) for each in dict.fromkeys(user_ids) for provider in PROVIDERS)
        for item in sorted(self._table.batch(keys, consistent=True), key=lambda item: str(item["sk"])):
            found.setdefault(item["user_id"], []).append(read(UserStatus, item))
        return found

    def in_segment(
        self, segment: int, segments: int, provider: str | None, after: Item | None = None
    ) -> Iterator[tuple[str, Item]]:
        """All users in a segment of the table whom the provider (None: any) knows, each with the key to continue after.

        A user whom both providers know comes twice, one directly after the other.
        """
        wanted = {
            "ProjectionExpression": "pk, sk",
            "FilterExpression": "begins_with(pk, :user) AND begins_with(sk, :status)",
            "ExpressionAttributeValues": encode({":user": "USER#", ":status": f"STATUS#{provider or ''}"}),
        }
        for items, _ in pages(self._table, segment, segments, after, **wanted):
            for key in map(decode, items):
                yield str(key["pk"]).removeprefix("USER#"), key

    def note_word(self, provider: str, word: str, at: str) -> None:
        """Store a provider's word that this deployment does not interpret, and when (UTC) it was last seen."""
        self._table.attempt(self._table.update(word_key(provider, word), {"word": word, "at": at}, ""))

    def count_refusal(self, provider: str, day: str, kind: str) -> int:
        """Count one more read that a provider refused in this way on a JST day; returns the number so far."""
        return self._table.count(refusal_key(provider, day, kind), _REFUSALS_KEPT)

    def words(self, provider: str) -> dict[str, str]:
        """The words that were stored, each with the moment (UTC) when it was last seen."""
        return {item["word"]: item["at"] for item in self._table.under(f"PROVIDER#{provider}", "WORD#")}

    def whole_timeline(self, user_id: str) -> list[TimelineEntry]:
        """Every entry of the user's timeline that is kept, the oldest first, read consistently."""
        return [read(TimelineEntry, item) for item in self._table.under(f"USER#{user_id}", "AT#")]

    def timeline(self, user_id: str, limit: int, cursor: str | None = None) -> tuple[list[TimelineEntry], str | None]:
        """One page of the timeline, newest first, and the cursor of the next page (None at the end).

        Raises
        ------
        InvalidFieldError
            The cursor is not one that an earlier page gave.
        """
        start: Item = {"ExclusiveStartKey": _start_key(user_id, cursor)} if cursor else {}
        # One entry more than requested is read, to know whether there is another page. Expired entries do not count.
        found = self._table.items(
            "query",
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues=encode({":pk": f"USER#{user_id}", ":sk": "AT#"}),
            ScanIndexForward=False,
            Limit=limit + 1,
            **start,
        )
        items = list(islice(found, limit + 1))
        entries = [read(TimelineEntry, item) for item in items[:limit]]
        return entries, _cursor(str(items[limit - 1]["sk"])) if len(items) > limit else None


def _cursor(sk: str) -> str:
    return base64.urlsafe_b64encode(sk.encode()).decode().rstrip("=")


def _start_key(user_id: str, cursor: str) -> Item:
    try:
        sk = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        sk = ""
    if not sk.startswith("AT#"):
        raise InvalidFieldError("cursor", "must be the cursor of an earlier page")
    return encode({"pk": f"USER#{user_id}", "sk": sk})
