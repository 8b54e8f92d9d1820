"""The dials of PayPay (what they mean stands in `sandbox.paypay`)."""

from collections.abc import Mapping

from sandbox import faults
from sandbox.dials import Check, Dial, copies, fault_of, one_of, seconds, texts
from sandbox.paypay.answers import FAILURES
from sandbox.paypay.recon_content import FORMATS
from sandbox.paypay.recon_transfer import transfer_words
from sandbox.paypay.response_token import TOKEN_KINDS
from sandbox.unkind import forms

ENDPOINTS = ("link", "authorization", "unlink", "kyc_info", "kyc_passport", "kyc_passport_qr")
# Every code of the document is a fault of its own; refuse is for codes that the document does not know.
FAULT_KINDS = faults.WIRE_KINDS | set(FAILURES) | {"refuse"}
SELFIES = ("image", "not_found", "html", "too_large", "redirect", "slow")
# Pauses before the second and every further try, in seconds; then the notification is dropped for good.
RETRIES: Mapping[str, tuple[float, ...]] = {"3x100ms": (0.1,) * 2, "10x500ms": (0.5,) * 9, "none": ()}
RECON_NOTIFICATIONS = ("sent", "late", "missing", "wrong_type", "wrong_name")
MAX_DAYS = 3650
MAX_LONG_SECONDS = 30 * 86400
MAX_BYTES = 10**12


def days(value: object) -> object:
    """Check a number of days."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= MAX_DAYS:
        raise ValueError(f"must be a number of days from 0 to {MAX_DAYS}")
    return value


def long_seconds(value: object) -> object:
    """Check a number of seconds that may be days."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= MAX_LONG_SECONDS:
        raise ValueError(f"must be a number of seconds from 0 to {MAX_LONG_SECONDS}")
    return value


def whole_from(least: int) -> Check:
    """Return a check for a whole number from `least`."""

    def check(value: object) -> object:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MAX_BYTES:
            raise ValueError(f"must be a whole number from {least} to {MAX_BYTES}")
        return value

    return check


def formats(value: object) -> object:
    """Check a list of ways in which a recon file may be written."""
    if not isinstance(value, list) or not all(word in FORMATS for word in value):
        raise ValueError(f"must be a list out of: {', '.join(FORMATS)}")
    return value


DIALS: Mapping[str, Dial] = {
    **{f"{endpoint}_fault": Dial(None, fault_of(FAULT_KINDS)) for endpoint in ENDPOINTS},
    "maintenance": Dial("off", one_of("on", "off")),
    "wrong_merchant": Dial("refused", one_of("refused", "answered")),
    "forbidden_scopes": Dial([], texts),
    "forbidden_domains": Dial([], texts),
    "session_ttl_s": Dial(900.0, seconds),
    "link_result": Dial("consent", one_of("consent", "bad_request")),
    "token": Dial("good", one_of(*TOKEN_KINDS)),
    "token_ttl_s": Dial(300.0, seconds),
    "double_redirect": Dial("off", one_of("on", "off")),
    "validity_days": Dial(365.0, days),
    "read_lag_s": Dial(0.0, seconds),
    "selfie": Dial("image", one_of(*SELFIES)),
    "selfie_ttl_s": Dial(300.0, seconds),
    "selfie_slow_s": Dial(20.0, seconds),
    "webhook_drop": Dial("none", one_of("none", "all", "kyc", "risk", "account_status", "recon")),
    "webhook_copies": Dial(1, copies),
    "webhook_copy_id": Dial("same", one_of("same", "new")),
    "webhook_delay_s": Dial(0.0, seconds),
    "webhook_reorder": Dial(1, copies),
    "webhook_timeout_s": Dial(1.5, seconds),
    "kyc_retries": Dial("3x100ms", one_of(*RETRIES)),
    "risk_retries": Dial("3x100ms", one_of(*RETRIES)),
    "account_status_retries": Dial("10x500ms", one_of(*RETRIES)),
    "recon_retries": Dial("10x500ms", one_of(*RETRIES)),
    "recon_url_ttl_s": Dial(7200.0, long_seconds),
    "recon_notification": Dial("sent", one_of(*RECON_NOTIFICATIONS)),
    "recon_notification_delay_s": Dial(3600.0, long_seconds),
    "recon_format": Dial([], formats),
    "recon_transfer": Dial(["whole"], transfer_words),
    "recon_times": Dial(None, whole_from(1)),
    "recon_break_at": Dial(None, whole_from(0)),
    "recon_bytes_per_s": Dial(1000, whole_from(1)),
    "recon_stall_s": Dial(60.0, seconds),
    "unkind": Dial({}, forms),
}
