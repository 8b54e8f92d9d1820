"""Which dead letters are meant: of these errors, about this user, since this moment. What was not said chooses all."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from honninctl.dead_letters import about_users, error_type, event, is_ours
from honninctl.deployment import Deployment
from honninctl.queue_walk import Message, sent_ms


@dataclass(frozen=True)
class User:
    """A user, and the provider's ids under which events are about them."""

    user_id: str
    authorizations: frozenset[str] = frozenset()
    submissions: frozenset[str] = frozenset()

    @classmethod
    def find(cls, deployment: Deployment, user_id: str) -> "User":
        """With all ids that the user has or had, but for authorizations that are another user's now."""
        found = deployment.store.erasure.footprint(user_id, expired=False)
        return cls(user_id, frozenset(found.authorization_ids), frozenset(found.submission_ids))

    @property
    def is_known(self) -> bool:
        """Whether the table knows anything of the user. Without it, only what names the user itself is found."""
        return bool(self.authorizations or self.submissions)

    def is_in(self, body: str) -> bool:
        """Whether a message is about the user, or an array of notifications also about the user."""
        found = event(body)
        if found is None:
            return self.user_id in about_users(body)
        if found["provider"] == "vexora":
            return found["subject"] in self.submissions
        if found["provider"] != "paypay":
            return bool(found["subject"] == self.user_id)
        return not self.authorizations.isdisjoint(_authorizations(found))


@dataclass(frozen=True)
class Filter:
    """What is asked for; empty, it is everything. `only_ours`: no message that Honnin did not write."""

    error_types: frozenset[str] = frozenset()
    user: User | None = None
    since: datetime | None = None
    only_ours: bool = False

    def __bool__(self) -> bool:
        return bool(self.error_types or self.user or self.since or self.only_ours)

    def takes(self, message: Message) -> bool:
        """Whether a message is one of them."""
        return (
            (not self.error_types or _plain(error_type(message)) in map(_plain, self.error_types))
            and (not self.since or sent_ms(message) >= self.since.timestamp() * 1000)
            and (not self.user or self.user.is_in(message["Body"]))
            and (not self.only_ours or is_ours(message["Body"]))
        )


def of(deployment: Deployment, error_types: Collection[str], user_id: str | None, since: datetime | None) -> Filter:
    """The filter of what was typed; a user's ids are read from the table."""
    return Filter(frozenset(error_types), User.find(deployment, user_id) if user_id else None, since)


def users_of(deployment: Deployment, body: str) -> set[str]:
    """The users, by your own ids, whom a message is about, as far as the table knows them."""
    found, store = event(body), deployment.store
    if found is None:
        return about_users(body)
    if found["provider"] == "paypay":
        return set(store.links.users(sorted(_authorizations(found))).values())
    if found["provider"] == "vexora":
        submission = store.submissions.get(found["subject"])
        return {submission.user_id} if submission and submission.user_id else set()
    return {found["subject"]}


def _plain(kind: str) -> str:
    """A type as a person may type it: `(received too often)` also without its brackets, which a shell would take."""
    return kind.strip("()").casefold()


def _authorizations(found: Mapping[str, Any]) -> set[str]:
    """The PayPay authorizations that an event names: its subject, or those of each notification of an array."""
    try:
        several = json.loads(found["detail"].get("notifications", "[]"))
        return {found["subject"], *(str(each.get("user_authorization_id")) for each in several)}
    except (ValueError, TypeError, AttributeError):
        return {found["subject"]}
