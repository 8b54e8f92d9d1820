"""A shop that lets verified users in: what a merchant's back end does with Honnin, by the Python client alone.

It keeps the status of its users in sqlite, and no personal data. A webhook only says whom to read again: what it keeps
is what `GET /users/{userId}` answers, unless it knows something newer by the `version` at each provider. So a webhook
may come twice, late, in another order or not at all, and `catch_up`, run each night, finds what is missing.

    flask --app 'shop:from_environment()' run
"""

import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flask import Flask, Response, jsonify, request

from honnin_client import Honnin, HonninError, InvalidWebhookError, RefusedError, Webhook, models, verify

_SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    user_id TEXT PRIMARY KEY, application_key TEXT, verified INTEGER NOT NULL DEFAULT 0,
    vexora TEXT, vexora_version INTEGER NOT NULL DEFAULT 0, paypay TEXT, paypay_version INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS webhooks (id TEXT PRIMARY KEY);
"""
# What is read is a picture of both providers at one moment: it is newer, or it is of the past.
_STORE = """
UPDATE users SET verified = :verified,
    vexora = :vexora, vexora_version = :vexora_version, paypay = :paypay, paypay_version = :paypay_version
WHERE user_id = :user_id AND vexora_version <= :vexora_version AND paypay_version <= :paypay_version
"""
_JAPAN = timedelta(hours=9)
# The changes of a page have at most as many users as one look-up may name.
_PAGE = 100
_SCOPES = ["mini_app_kyc_passport", "get_kyc_info"]


class Shop:
    """What the shop knows and does. `return_url` is where PayPay's users come back to (`ReturnUrlAllowlist`)."""

    def __init__(self, honnin: Honnin, database: Path, return_url: str) -> None:
        self._honnin = honnin
        self._database = database
        self._return_url = return_url
        with self._open() as found:
            found.executescript(_SCHEMA)

    def apply(self, user_id: str, furigana: str) -> None:
        """Submit a user to Vexora. Whoever presses again after an unclear answer repeats the same submission."""
        with self._open() as found:
            found.execute("INSERT OR IGNORE INTO users (user_id) VALUES (?)", [user_id])
            new = "UPDATE users SET application_key = coalesce(application_key, ?) WHERE user_id = ?"
            found.execute(new, [str(uuid.uuid4()), user_id])
            [key] = found.execute("SELECT application_key FROM users WHERE user_id = ?", [user_id]).fetchone()
        body = models.SubmissionRequest(user_id=user_id, username_furigana=furigana)
        try:
            self._honnin.submit_to_vexora(body=body, idempotency_key=key)
        except RefusedError:
            self._forget_key(user_id)
            raise
        self._forget_key(user_id)
        self._read(user_id)

    def link(self, user_id: str) -> str:
        """Where the user agrees to the link with PayPay: a QR code, or an address for a phone."""
        with self._open() as found:
            found.execute("INSERT OR IGNORE INTO users (user_id) VALUES (?)", [user_id])
        body = models.AccountLinkRequest(user_id=user_id, scopes=_SCOPES, return_url=self._return_url)
        return self._honnin.create_account_link(body=body).link_qr_code_url

    def come_back(self, user_id: str) -> None:
        """The user is back from PayPay: read the KYC. Honnin keeps it; the shop needs the status only."""
        self._honnin.get_kyc_passport(user_id)
        self._read(user_id)

    def user(self, user_id: str) -> dict[str, object] | None:
        """What the shop knows of a user."""
        with self._open() as found:
            row = found.execute("SELECT verified, vexora, paypay FROM users WHERE user_id = ?", [user_id]).fetchone()
        return None if row is None else {"verified": bool(row[0]), "vexora": row[1], "paypay": row[2]}

    def receive(self, webhook: Webhook) -> None:
        """Do what a webhook asks for. If that fails, nothing is kept of it, and Honnin sends it again."""
        with self._open() as found:
            if found.execute("SELECT 1 FROM webhooks WHERE id = ?", [webhook.id]).fetchone():
                return
        match webhook.data:
            case models.KycStatusChangedWebhookData(user_id=user_id, provider=provider, version=version):
                if self._version(user_id, provider) < version:
                    self._read(user_id)
            case models.UserErasedWebhookData(user_id=user_id, version=version):
                gone = "DELETE FROM users WHERE user_id = ? AND vexora_version < ? AND paypay_version < ?"
                with self._open() as found:
                    found.execute(gone, [user_id, version, version])
        with self._open() as found:
            found.execute("INSERT OR IGNORE INTO webhooks VALUES (?)", [webhook.id])

    def catch_up(self) -> None:
        """Read everybody whose status has changed since yesterday in Japan, whichever webhooks came."""
        yesterday = str((datetime.now(UTC) + _JAPAN - timedelta(days=1)).date())
        page = self._honnin.list_changes(from_=yesterday, limit=_PAGE)
        while True:
            body = models.LookupRequest(user_ids=sorted({each.user_id for each in page.changes}))
            for each in self._honnin.look_up_users(body=body).users if page.changes else ():
                self._store(each)
            if page.cursor is None:
                return
            page = self._honnin.list_changes(from_=yesterday, limit=_PAGE, cursor=page.cursor)

    def _read(self, user_id: str) -> None:
        try:
            self._store(self._honnin.get_user(user_id))
        except RefusedError as error:
            if error.code != models.ProblemCode.USER_UNKNOWN:  # erased meanwhile
                raise

    def _store(self, user: models.UserView) -> None:
        row: dict[str, object] = {"user_id": user.user_id, "verified": user.verified}
        for name, view in (("vexora", user.providers.vexora), ("paypay", user.providers.paypay)):
            row |= (
                {name: view.status.value, f"{name}_version": view.version}
                if view
                else {name: None, f"{name}_version": 0}
            )
        with self._open() as found:
            found.execute(_STORE, row)

    def _version(self, user_id: str, provider: models.ProviderName) -> int:
        column = {"vexora": "vexora_version", "paypay": "paypay_version"}[provider.value]
        with self._open() as found:
            row = found.execute(f"SELECT {column} FROM users WHERE user_id = ?", [user_id]).fetchone()
        return 0 if row is None else int(row[0])

    def _forget_key(self, user_id: str) -> None:
        with self._open() as found:
            found.execute("UPDATE users SET application_key = NULL WHERE user_id = ?", [user_id])

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        found = sqlite3.connect(self._database, timeout=10)
        try:
            with found:  # one transaction
                yield found
        finally:
            found.close()


def create_app(shop: Shop, webhook_secret: str) -> Flask:
    """The shop's routes, for its own pages and for Honnin."""
    app = Flask("shop")

    @app.post("/users/<user_id>/application")
    def apply(user_id: str) -> Response:
        shop.apply(user_id, request.get_json()["furigana"])
        return jsonify(shop.user(user_id))

    @app.post("/users/<user_id>/paypay")
    def link(user_id: str) -> Response:
        return jsonify(url=shop.link(user_id))

    @app.post("/users/<user_id>/paypay/back")
    def come_back(user_id: str) -> Response:
        shop.come_back(user_id)
        return jsonify(shop.user(user_id))

    @app.get("/users/<user_id>")
    def user(user_id: str) -> tuple[Response, int]:
        found = shop.user(user_id)
        return (jsonify(found), 200) if found else (jsonify(error="unknown"), 404)

    @app.post("/honnin/webhooks")
    def webhook() -> tuple[str, int]:
        try:
            received = verify(request.get_data(), dict(request.headers), webhook_secret)
        except InvalidWebhookError:
            return "", 401
        shop.receive(received)
        return "", 204

    @app.errorhandler(HonninError)
    def refused(error: HonninError) -> tuple[Response, int]:
        # For the shop's pages: they say what to do by the code, and offer another try after 503.
        return jsonify(error=str(error.code)), error.status or 503 if isinstance(error, RefusedError) else 503

    return app


def from_environment() -> Flask:
    """The shop as it is deployed; credentials of AWS are found as usual."""
    honnin = Honnin(os.environ["HONNIN_URL"])
    shop = Shop(honnin, Path(os.environ["SHOP_DATABASE"]), os.environ["SHOP_RETURN_URL"])
    return create_app(shop, os.environ["HONNIN_WEBHOOK_SECRET"])
