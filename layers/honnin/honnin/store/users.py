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
    """One user at one provider. Times are UTC ISO 8601; `version` grows with every applied event.

    `read_at` is when the last answer about the user was asked for. `reason` is why Vexora rejected the user, in its own
    words: possibly personal, so it goes nowhere but to the merchant.

    At PayPay, the status follows from `answers` (`honnin.paypay_facets.stored`), and so do `facets` (link, kyc, flag),
    `user_authorization_id` and `link_expires_at`. `asked_scopes` are those of the last QR, `asked_code_id` and
    `asked_code_verifier` those of the last KYC Passport QR, for a link whose redirect never comes back.

    `received` says when a webhook of each kind was last received (UTC); it decides about nobody.

    `kept` names the newest evidence of each product in the vault. `stale_told` is the submission that was told to be
    stale. `received` says when a webhook of each kind was last received (UTC), as far as it was about the present
    authorization or submission. `since` is when the status began: `honnin.store.events` sets it.

    `link_end_told` is the end of the link that was told ahead, `expired_at` (UTC) when the link that has expired did.
    `is_over`: the link counts as expired by the end that PayPay gave, and PayPay has not confirmed it.
    `residence_ends_on` is the last day of the user's residence period (`yyyy-mm-dd`, kept with `WatchResidencePeriod`
    only), `residence_end_told` the one that was told ahead.
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
    stale_told: str | None = None
    link_end_told: str | None = None
    expired_at: str | None = None
    is_over: bool = False
    residence_ends_on: str | None = field(default=None, repr=False)
    residence_end_told: str | None = field(default=None, repr=False)
    received: Mapping[str, str] | None = None
    since: str | None = field(default=None, compare=False)


def began(before: UserStatus | None, status: str, at: str) -> str:
    """When a status began that a user has after `at`: a reading that changes nothing leaves it."""
    return before.since if before and before.since and before.status == status else at


# Those that know users.
PROVIDERS = (Provider.PAYPAY, Provider.VEXORA)

# Refusals are counted by the day.
_REFUSALS_KEPT = timedelta(days=2)

# What is counted of an authorization that was ended at PayPay.
UNLINKED = "unlinkedAtPayPay"

# What an erasure notes about something that the user had, and is void when the user has it again.
FORMER_NOTED = ("erased_by", f"n_{UNLINKED}")


@dataclass(frozen=True)
class Former:
    """A PayPay authorization or a Vexora submission (`name`) that a user had, until `left_at` (UTC).

    It is written with the status that leaves it behind, and is what an erasure finds it by. In an erasure it gets
    `counts`, what was erased of it, and `erased_by`, the certificate, once that is all (`honnin.store.erasure`).
    """

    provider: str
    name: str = field(repr=False)
    left_at: str | None = None
    erased_by: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class TimelineEntry:
    """What happened to a user: `what` (a verb of Honnin's), `cause` (as `Event.cause`), from and to.

    `told` are the types of the events that the bus was told of it.
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

    A flag of PayPay's stands although the link has ended.
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
    """What PayPay holds against the user."""
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
        """Everybody in a segment of the table whom the provider (None: any) knows, each with the key to go on behind.

        A user whom both know comes twice, one right after the other.
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
        """Remember a provider's word that this deployment takes for nothing, and when (UTC) it was last seen."""
        self._table.attempt(self._table.update(word_key(provider, word), {"word": word, "at": at}, ""))

    def count_refusal(self, provider: str, day: str, kind: str) -> int:
        """Count one more read that a provider refused in this way on a JST day; returns how many there were by now."""
        return self._table.count(refusal_key(provider, day, kind), _REFUSALS_KEPT)

    def words(self, provider: str) -> dict[str, str]:
        """The words that were noted, each with when (UTC) it was last seen."""
        return {item["word"]: item["at"] for item in self._table.under(f"PROVIDER#{provider}", "WORD#")}

    def timeline(self, user_id: str, limit: int, cursor: str | None = None) -> tuple[list[TimelineEntry], str | None]:
        """One page of the timeline, newest first, and the cursor of the next page (None at the end).

        Raises
        ------
        InvalidFieldError
            The cursor is not one that an earlier page gave.
        """
        start: Item = {"ExclusiveStartKey": _start_key(user_id, cursor)} if cursor else {}
        # One more than asked for says whether there is another page; what has expired fills none.
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
        raise InvalidFieldError("cursor", "must be a cursor of an earlier answer")
    return encode({"pk": f"USER#{user_id}", "sk": sk})
