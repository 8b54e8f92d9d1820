"""Links a user's PayPay account: makes the QR that starts it, and handles the redirect that ends it.

The nonce connects the two. We make it; it belongs to one user, can be used once, and expires. If the same redirect
comes twice (this has happened within a second), the second one gets the same answer as the first.
"""

import hashlib
import secrets
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from honnin import commit
from honnin.errors import ConcurrentUpdateError, HonninError, ProviderError, ProviderRefusedError
from honnin.event import Provider
from honnin.observability import count_for_alarm
from honnin.paypay import pkce, response_token, return_url
from honnin.paypay.client import PayPayClient
from honnin.paypay.readings import (
    Rules,
    as_strict_as,
    ask_authorization,
    linked_anew,
    linking,
    merged,
    moment,
    note_refusal,
    recorded,
    standing,
)
from honnin.paypay.response_token import (
    LinkResult,
    ResponseToken,
    ResponseTokenError,
    ResponseTokenExpiredError,
    ResponseTokenSignatureError,
)
from honnin.paypay_facets import DECLINED, REQUESTED, SUCCEEDED
from honnin.publish import Publisher
from honnin.status import PayPayStatus
from honnin.store import (
    AlreadyAppliedError,
    Effect,
    Link,
    LinkSession,
    SessionUse,
    SessionUsedError,
    Store,
    UserStatus,
)

KYC_PASSPORT_FLOW = "KYC_PASSPORT"

# How long the verifier of a KYC Passport QR is stored for the completion call. PayPay says when the QR itself expires.
_CODE_LIFE = timedelta(days=7)

# Redirects with a wrong signature cause at most one call to Secrets Manager in this time.
_SECRET_READ_EVERY = timedelta(minutes=1)


class ReadApiSecret(Protocol):
    """Returns the API secret; with `refresh` it is read again."""

    def __call__(self, *, refresh: bool = False) -> str:
        """Read it."""


class LinkRefusedError(HonninError):
    """The redirect does not answer a session of ours. The message may be shown in the user's browser."""


@dataclass(frozen=True)
class LinkRequest:
    """The merchant's request. `fields` are the optional fields of PayPay's document, passed on unchanged."""

    user_id: str
    scopes: tuple[str, ...]
    return_url: str
    fields: Mapping[str, Any]

    @property
    def is_kyc_passport(self) -> bool:
        """Whether the KYC Passport flow is asked for."""
        return self.fields.get("accountLinkFlow") == KYC_PASSPORT_FLOW


@dataclass(frozen=True)
class CreatedLink:
    """The QR to show. After `expires_at` (UTC) we no longer accept its redirect."""

    link_qr_code_url: str
    code_id: str | None
    expires_at: datetime


class AccountLinks:
    """Creates account-link QRs and handles their redirects.

    Parameters
    ----------
    api_secret
        Returns the API secret with which response tokens are signed.
    audience
        Our client id: the `aud` of every token.
    pkce_field
        Dotted path of the PKCE challenge in the request, for example `kycPassport.codeChallenge`.
    reader
        Asks when a new link ends. A browser waits meanwhile, so its time-out should be short.
    session_life
        For how long after the QR was made its redirect is accepted.
    """

    def __init__(
        self,
        *,
        store: Store,
        client: PayPayClient,
        publisher: Publisher,
        api_secret: ReadApiSecret,
        audience: str,
        pkce_field: str,
        session_life: timedelta,
        rules: Rules,
        reader: PayPayClient,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._client = client
        self._commits = commit.Commits(store, publisher.publish_or_leave, now)
        self._api_secret = api_secret
        self._audience = audience
        self._pkce_field = pkce_field
        self._session_life = session_life
        self._rules = rules
        self._reader = reader
        self._now = now
        self._secret_read_at: datetime | None = None

    def create(self, request: LinkRequest, redirect_url: str) -> CreatedLink:
        """Ask PayPay for a QR, then store its session.

        Raises the errors of `PayPayClient.create_account_link`; then only a timeline entry is stored.
        """
        verifier = pkce.new_verifier() if request.is_kyc_passport else None
        nonce = secrets.token_urlsafe(24)
        begun = self._now()
        try:
            made = self._client.create_account_link(self._body(request, redirect_url, nonce, verifier))
        except ProviderError as error:
            self._note_failure(request.user_id, error)
            raise
        if verifier and not made.code_id:
            # The completion call cannot be made by code id.
            count_for_alarm("PassportQrWithoutCodeId")
        now = self._now()
        session = LinkSession(
            nonce=nonce,
            user_id=request.user_id,
            scopes=request.scopes,
            return_url=request.return_url,
            expires_at=int((now + self._session_life).timestamp()),
            code_id=made.code_id,
            code_verifier=verifier,
            code_expires_at=int((now + _CODE_LIFE).timestamp()),
        )
        detail = {"requestId": made.request_id or "", "flow": str(request.fields.get("accountLinkFlow") or "")}
        self._remember(session, detail, begun)
        return CreatedLink(made.link_qr_code_url, made.code_id, now + self._session_life)

    def finish(self, token: str) -> str:
        """Handle the redirect's token; returns the URL to which the browser is sent.

        Raises
        ------
        ResponseTokenError
            The token itself is not valid. Nothing is stored.
        LinkRefusedError
            It belongs to no open session of this user, or names an account that is linked to another user. Nothing is
            stored.
        """
        answer, expired = self._verified(token)
        digest = hashlib.sha256(token.encode()).hexdigest()
        session = self._store.links.session(answer.nonce)
        if session is None or session.user_id != answer.reference_id:
            raise LinkRefusedError("this link is unknown or has expired")
        if expired and session.used_token != digest:
            raise expired
        if session.used_token is None:
            session = self._use(session, answer, digest)
        if session.used_token != digest:
            raise LinkRefusedError("this link was already used")
        if answer.user_authorization_id and session.result == LinkResult.SUCCEEDED:
            # Events from PayPay about this account that came before we knew its user.
            now = self._store.users.status(session.user_id, Provider.PAYPAY)
            status = now.status if now else PayPayStatus.LINKED
            self._store.links.attach(answer.user_authorization_id, session.user_id, status)
        return return_url.with_result(session.return_url, session.result or answer.result)

    def _verified(self, token: str) -> tuple[ResponseToken, ResponseTokenError | None]:
        """The content of PayPay's token, and the error that it has expired, if it has.

        If the signature is wrong, it is checked again after the secret was read again, because the secret may have been
        rotated.
        """
        for refresh in (False, True):
            try:
                secret = self._api_secret(refresh=refresh)
                return response_token.verify(token, api_secret=secret, audience=self._audience, now=self._now()), None
            except ResponseTokenExpiredError as expired:
                return expired.answer, expired
            except ResponseTokenSignatureError:
                if refresh or not self._may_read_the_secret_anew():
                    raise
        raise AssertionError("unreachable")

    def _may_read_the_secret_anew(self) -> bool:
        """Anyone can send a wrong signature, so the secret is read again for this at most once a minute."""
        now, before = self._now(), self._secret_read_at
        if before is not None and abs(now - before) < _SECRET_READ_EVERY:
            return False
        self._secret_read_at = now
        return True

    def _body(self, request: LinkRequest, redirect_url: str, nonce: str, verifier: str | None) -> dict[str, Any]:
        body: dict[str, Any] = {
            **request.fields,
            "scopes": list(request.scopes),
            "nonce": nonce,
            "redirectUrl": redirect_url,
            # docs/providers.md §1.2: always send the merchant's user id.
            "referenceId": request.user_id,
        }
        if verifier:
            _place(body, self._pkce_field.split("."), pkce.challenge(verifier))
        return body

    def _remember(self, session: LinkSession, detail: Mapping[str, str], begun: datetime) -> None:
        event_id = f"api:link:{uuid.uuid4()}"

        def decide() -> Effect:
            before = self._store.users.status(session.user_id, Provider.PAYPAY)
            asked = linking(REQUESTED, moment(before, begun))
            after = recorded(before or _new_user(session.user_id), [asked], self._rules)
            after = replace(after, asked_scopes=session.scopes)
            if session.code_id and session.code_verifier:
                after = replace(after, asked_code_id=session.code_id, asked_code_verifier=session.code_verifier)
            effect = commit.effect(event_id, "link_requested", before, after, detail, at=self._now())
            return replace(effect, session=session)

        self._commits.run(decide, until=self._now() + commit.CALLER_WAITS)

    def _use(self, session: LinkSession, answer: ResponseToken, digest: str) -> LinkSession:
        """Mark the session as used.

        Returns it as it is then, whether we or the same redirect just before us marked it.
        """
        event_id = f"api:linked:{hashlib.sha256(session.nonce.encode()).hexdigest()[:32]}"
        use = SessionUse(session.nonce, digest, answer.result)

        def decide() -> Effect:
            before = self._store.users.status(session.user_id, Provider.PAYPAY)
            # The request for the link has created a status. If it is gone, the user was erased since.
            if before is None or self._store.erasure.is_under_way(session.user_id):
                raise LinkRefusedError("this link is no longer valid")
            at = self._now()
            if answer.result is LinkResult.SUCCEEDED and answer.user_authorization_id:
                return replace(self._linked(event_id, session, before, answer.user_authorization_id, at), uses=use)
            after = before
            if answer.result is LinkResult.DECLINED:
                after = recorded(before, [linking(DECLINED, moment(before, at))], self._rules)
            what = f"link_{answer.result}"
            return replace(commit.effect(event_id, what, before, after, {}, at=at, cause="user"), uses=use)

        # Another run for the same redirect may have been faster.
        with suppress(SessionUsedError, AlreadyAppliedError):
            done = self._commits.run(decide, until=self._now() + commit.CALLER_WAITS)
            if done.links:
                self._read_authorization(event_id, done.after)
        return self._store.links.session(session.nonce) or session

    def _linked(
        self, event_id: str, session: LinkSession, before: UserStatus, authorization: str, at: datetime
    ) -> Effect:
        known = self._store.links.get(authorization)
        left = self._store.links.get(before.user_authorization_id or "")
        owner: UserStatus | None = None
        if known and known.user_id != session.user_id:
            owner = self._store.users.status(known.user_id, Provider.PAYPAY)
            if owner is None or standing(owner) == authorization:
                raise LinkRefusedError("this PayPay account is already linked to another user")
            known = None
        link = as_strict_as(left, _link(session, known))
        known_of = linked_anew(before, authorization)
        after = recorded(known_of, [linking(SUCCEEDED, moment(before, at), authorization)], self._rules)
        after = replace(after, scopes=link.scopes, code_id=link.code_id)
        effect = commit.effect(event_id, "linked", before, after, {}, at=at, cause="user")
        return replace(effect, links=True, link=link, takes_from=owner)

    def _read_authorization(self, event_id: str, linked: UserStatus) -> None:
        """Read when the link ends, which the redirect does not say.

        The link is valid even if PayPay does not answer.
        """
        authorization = linked.user_authorization_id or ""
        try:
            said = ask_authorization(self._reader, linked, authorization, self._now)
        except ProviderError as error:
            # The client has logged the error. Every later read of the authorization gives the end as well.
            if type(error) is ProviderRefusedError:
                note_refusal(self._store, error, self._now())
            return

        def decide() -> Effect:
            before = self._store.users.status(linked.user_id, Provider.PAYPAY)
            link = self._store.links.get(authorization)
            if before is None or link is None or before.user_authorization_id != authorization:
                raise ConcurrentUpdateError("the user's link was changed meanwhile")
            scopes = merged(link.scopes, said.scopes)
            after = replace(recorded(before, [said.answer], self._rules), scopes=scopes)
            facts = {"providerCode": said.answer.code or "", **said.facts}
            event = f"{event_id}:read"
            effect = commit.effect(event, "account_read", before, after, facts, at=self._now(), cause="user")
            return effect if scopes == link.scopes else replace(effect, link=replace(link, scopes=scopes))

        with suppress(ConcurrentUpdateError, AlreadyAppliedError):
            self._commits.run(decide, until=self._now())

    def _note_failure(self, user_id: str, error: ProviderError) -> None:
        """Write the data that PayPay's support asks for to the timeline, if the user is known here."""
        before = self._store.users.status(user_id, Provider.PAYPAY)
        if before is None:
            return
        event_id = f"api:link:{uuid.uuid4()}"
        # Even if this fails, the error itself goes to the caller and to the log.
        with suppress(ConcurrentUpdateError):
            self._commits.once(
                commit.effect(event_id, "link_request_failed", before, before, error.facts(), at=self._now())
            )


def _link(session: LinkSession, known: Link | None) -> Link:
    """The link that a session makes. If the account was linked before, its earlier data is kept and new data added."""
    before = known or Link(session.user_id)
    link = replace(before, user_id=session.user_id, scopes=merged(before.scopes, session.scopes))
    if session.code_id and session.code_verifier:
        link = replace(link, code_id=session.code_id, code_verifier=session.code_verifier)
    return link


def _new_user(user_id: str) -> UserStatus:
    return UserStatus(user_id=user_id, provider=Provider.PAYPAY, status=PayPayStatus.LINK_PENDING, version=0)


def _place(body: dict[str, Any], path: list[str], value: str) -> None:
    for name in path[:-1]:
        inner = body.get(name)
        body[name] = dict(inner) if isinstance(inner, dict) else {}
        body = body[name]
    body[path[-1]] = value
