"""The keys of the table (docs/architecture.md, "The table"): one function for each kind of item."""

import hashlib
from typing import Any

Item = dict[str, Any]

# Each kind of the index `due` has this number of partitions, chosen by the first hexadecimal digit of the item's
# SHA-256, because one partition of DynamoDB takes 1,000 writes a second.
DUE_SHARDS = "0123456789abcdef"


def status_key(user_id: str, provider: str) -> Item:
    """A user's status at one provider."""
    return {"pk": f"USER#{user_id}", "sk": f"STATUS#{provider}"}


def expiry_key(user_id: str, what: str) -> Item:
    """A known end of a user's link or residence period."""
    return {"pk": f"USER#{user_id}", "sk": f"EXPIRY#{what}"}


def entry_key(user_id: str, at: str, event_id: str) -> Item:
    """An entry of a user's timeline."""
    return {"pk": f"USER#{user_id}", "sk": f"AT#{at}#{event_id}"}


def former_key(user_id: str, provider: str, name: str) -> Item:
    """An authorization or a submission that a user had at a provider."""
    return {"pk": f"USER#{user_id}", "sk": f"FORMER#{provider}#{name}"}


def erasing_key(user_id: str) -> Item:
    """The claim of the run that is erasing a user."""
    return {"pk": f"USER#{user_id}", "sk": "ERASING"}


def certificate_key(user_id: str, begun_at: str) -> Item:
    """The certificate of an erasure."""
    return {"pk": f"USER#{user_id}", "sk": f"ERASURE#{begun_at}"}


def submission_key(submission_id: str) -> Item:
    """A submission."""
    return {"pk": f"SUBMISSION#{submission_id}", "sk": "SUBMISSION"}


def session_key(nonce: str) -> Item:
    """An account-link session."""
    return {"pk": f"SESSION#{nonce}", "sk": "SESSION"}


def code_key(code_id: str) -> Item:
    """The PKCE verifier of a code id."""
    return {"pk": f"CODE#{code_id}", "sk": "CODE"}


def link_key(user_authorization_id: str) -> Item:
    """The user of a PayPay authorization."""
    return {"pk": f"PAYPAY#{user_authorization_id}", "sk": "LINK"}


def waiting_key(user_authorization_id: str, at: str, event_id: str) -> Item:
    """An event that waits for its authorization's link."""
    return {"pk": f"PAYPAY#{user_authorization_id}", "sk": f"AT#{at}#{event_id}"}


def event_key(event_id: str) -> Item:
    """An event's own record."""
    return {"pk": f"EVENT#{event_id}", "sk": "EVENT"}


def failure_key(message_id: str, kind: str) -> Item:
    """How often a message has failed in one way."""
    return {"pk": f"FAILURE#{message_id}", "sk": kind}


def received_key(kind: str, day: str) -> Item:
    """The webhooks of a kind that were received on a JST day."""
    return {"pk": f"RECEIVED#{kind}#{day}", "sk": "RECEIVED"}


def comparison_key(file_type: str, day: str, name: str) -> Item:
    """The newest requested comparison of a recon file."""
    return {"pk": f"COMPARISON#{file_type}", "sk": f"{day}#{name}"}


def comparison_count_key(file_type: str, day: str) -> Item:
    """The number of comparisons of the files of a type and JST day."""
    return {"pk": f"COMPARISONS#{file_type}", "sk": day}


def recon_key(file_type: str, day: str, name: str) -> Item:
    """A recon file."""
    return {"pk": f"RECON#{file_type}", "sk": f"{day}#{name}"}


def notification_key(url_hash: str) -> Item:
    """A notification of a recon file."""
    return {"pk": f"NOTIFICATION#{url_hash}", "sk": "NOTIFICATION"}


def last_reported_key() -> Item:
    """When a mail last said that downloads fail."""
    return {"pk": "RECON#", "sk": "TOLD"}


def own_ids_key() -> Item:
    """Our own ids at PayPay."""
    return {"pk": "RECON#", "sk": "OWN_IDS"}


def provider_key(provider: str) -> Item:
    """The last request to a provider."""
    return {"pk": f"PROVIDER#{provider}", "sk": "LAST_REQUEST"}


def word_key(provider: str, word: str) -> Item:
    """A word of a provider's that was seen and not understood."""
    return {"pk": f"PROVIDER#{provider}", "sk": f"WORD#{word}"}


def rebuilding_key() -> Item:
    """The marker that the index `overview` is being rebuilt."""
    return {"pk": "OVERVIEW", "sk": "REINDEX"}


def segment_key(segment: int) -> Item:
    """The position of a rebuild of the index `overview` in one segment of the table."""
    return {"pk": "OVERVIEW", "sk": f"segment {segment:04}"}


def reread_key(name: str) -> Item:
    """A reread of many users."""
    return {"pk": "REREADS", "sk": name}


def mark_key(name: str, phase: str, what: str) -> Item:
    """The mark that a step of a reread is done."""
    return {"pk": f"REREAD#{name}", "sk": f"{phase}#{what}"}


def refusal_key(provider: str, day: str, kind: str) -> Item:
    """How often a provider has refused reads in one way on a JST day."""
    return {"pk": f"PROVIDER#{provider}", "sk": f"REFUSED#{day}#{kind}"}


def readings_key() -> Item:
    """The results of the last hour's readings, and whether repairs are stopped."""
    return {"pk": "READINGS", "sk": "LAST_HOUR"}


def webhook_circuit_key() -> Item:
    """The circuit of the merchant's endpoint for webhooks."""
    return {"pk": "MERCHANT_WEBHOOK", "sk": "CIRCUIT"}


def pace_second_key(provider: str, second: int) -> Item:
    """The calls to a provider in one second (epoch)."""
    return {"pk": f"PACE#{provider}#{second}", "sk": "SECOND"}


def slowed_key(provider: str) -> Item:
    """The rate that a provider last refused as too many calls."""
    return {"pk": f"PACE#{provider}", "sk": "SLOWED"}


def access_key(user_id: str | None, at: str, name: str) -> Item:
    """An access to a user, or (None) to a list of users. No user has the empty id."""
    return {"pk": f"ACCESS#{user_id or ''}", "sk": f"{at}#{name}"}


def erased_key(user_authorization_id: str) -> Item:
    """The mark of an erased authorization."""
    # Only its hash: an authorization id is random, so the id cannot be found from the hash.
    return {"pk": f"ERASED#{authorization_hash(user_authorization_id)}", "sk": "ERASED"}


def named_in(event_id: str) -> frozenset[str]:
    """The texts in an event's id that may be its authorization; one of them is.

    Recon's ids are `recon:<file type>:<day>:<authorization>:<number>`, and an authorization may contain colons.
    """
    parts = event_id.split(":")
    ends = (len(parts), len(parts) - 1) if parts[0] == "recon" else (len(parts),)
    return frozenset(":".join(parts[start:end]) for end in ends for start in range(end))


def due(kind: str, at: str, key: Item) -> Item:
    """The attributes with which the index `due` lists an item of this key at a time (UTC)."""
    digest = hashlib.sha256(f"{key['pk']}\n{key['sk']}".encode()).hexdigest()
    return {"due_kind": f"{kind}#{digest[0]}", "due_at": at}


def authorization_hash(user_authorization_id: str) -> str:
    """The SHA-256 (hexadecimal) of an authorization, by which an erased one is recognised."""
    return hashlib.sha256(user_authorization_id.encode()).hexdigest()
