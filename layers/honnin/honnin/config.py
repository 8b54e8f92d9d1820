"""Typed settings from the environment. Each is read once, at its first use.

Every name is set by template.yaml. A missing one raises `MissingSettingError`, which names it.
"""

import os
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache, cached_property
from urllib.parse import urlsplit

from honnin.errors import InvalidSettingError, MissingSettingError
from honnin.observability import count_for_alarm, logger
from honnin.recon.file_types import FILE_TYPES
from honnin.status import VerifiedNeeds

# The longest DelaySeconds of SQS.
LONGEST_DELAY_S = 900

_SECONDS = re.compile(r"[1-9][0-9]{0,7}")
_PERCENT = re.compile(r"(100|[0-9]{1,2})(\.[0-9]{1,6})?")
_HOST = re.compile(r"\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


class Settings:
    """The settings of one function. A setting that a function does not use may be missing."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def _days(self, name: str) -> int:
        value = self._environ.get(name, "").strip() or "0"
        if not value.isdecimal():
            raise InvalidSettingError(name, "must be a whole number of days")
        return int(value)

    def _required(self, name: str, parameter: str | None = None) -> str:
        value = self._environ.get(name, "").strip()
        if not value:
            raise MissingSettingError(name, parameter)
        return value

    def _list(self, name: str) -> tuple[str, ...]:
        parts = tuple(part.strip() for part in self._required(name).split(",") if part.strip())
        if not parts:
            raise MissingSettingError(name)
        return parts

    def _valid(self, name: str, parts: tuple[str, ...], is_valid: Callable[[str], bool], rule: str) -> tuple[str, ...]:
        """The parts that satisfy the rule. Any other part is left out and counted as a configuration fault.

        Raises `InvalidSettingError` if there are parts but none of them satisfies the rule.
        """
        found = tuple(part for part in parts if is_valid(part))
        if len(found) < len(parts):
            if not found:
                raise InvalidSettingError(name, rule)
            reason = f"{name} {rule}; left out: {', '.join(part for part in parts if part not in found)}"
            logger().error("configuration fault", error=InvalidSettingError.__name__, reason=reason)
            count_for_alarm("ConfigurationFault")
        return found

    def _hosts(self, name: str) -> tuple[str, ...]:
        rule = "must hold host names, or suffixes that begin with a dot, separated by commas"
        return self._valid(name, self._list(name), lambda part: _HOST.fullmatch(part) is not None, rule)

    def _any(self, name: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in self._environ.get(name, "").split(",") if part.strip())

    @cached_property
    def state_table(self) -> str:
        """Name of the single DynamoDB table."""
        return self._required("STATE_TABLE")

    @cached_property
    def timeline_retention_days(self) -> int:
        """How many days timeline entries are kept; 0 keeps them for ever."""
        return self._days("TIMELINE_RETENTION_DAYS")

    @cached_property
    def recon_report_lock_days(self) -> int:
        """How many days S3 keeps a completed recon report from being deleted; 0: it is not locked."""
        return self._days("RECON_REPORT_LOCK_DAYS")

    @cached_property
    def waiting_event_days(self) -> int:
        """How many days an event whose user is not known waits for a link; 0 keeps it for ever."""
        return self._days("WAITING_EVENT_DAYS")

    @cached_property
    def link_expiry_notice_days(self) -> int:
        """How many days before the end of a link the end is reported; 0: it is not reported before."""
        return self._days("LINK_EXPIRY_NOTICE_DAYS")

    @cached_property
    def watch_residence_period(self) -> bool:
        """Whether the end of a user's residence period is stored and reported."""
        return self._environ.get("WATCH_RESIDENCE_PERIOD", "") == "true"

    @cached_property
    def idempotency_table(self) -> str:
        """Name of the Powertools Idempotency table."""
        return self._required("IDEMPOTENCY_TABLE")

    @cached_property
    def event_queue_url(self) -> str:
        """URL of the queue of the live events."""
        return self._required("EVENT_QUEUE_URL")

    @cached_property
    def dead_letter_queue_url(self) -> str:
        """URL of the dead-letter queue, to which a worker moves messages that no retry can fix."""
        return self._required("DEAD_LETTER_QUEUE_URL")

    @cached_property
    def recon_notice_queue_url(self) -> str:
        """URL of the queue with PayPay's notifications of recon files."""
        return self._required("RECON_NOTICE_QUEUE_URL")

    @cached_property
    def repair_queue_url(self) -> str:
        """URL of the queue with recon's repairs."""
        return self._required("REPAIR_QUEUE_URL")

    @cached_property
    def reread_queue_url(self) -> str:
        """URL of the queue with all other readings that can wait."""
        return self._required("REREAD_QUEUE_URL")

    @cached_property
    def settle_delays(self) -> tuple[int, ...]:
        """How many seconds after a webhook its user is read again, rising; an empty list means never."""
        name, rule = "SETTLE_DELAYS", f"must hold whole seconds from 1 to {LONGEST_DELAY_S}, separated by commas"
        is_valid = re.compile(r"[1-9][0-9]{0,2}").fullmatch
        parts = self._valid(
            name, self._any(name), lambda part: bool(is_valid(part)) and int(part) <= LONGEST_DELAY_S, rule
        )
        return tuple(sorted({int(part) for part in parts}))

    @cached_property
    def event_bus(self) -> str:
        """Name of the EventBridge bus for domain events."""
        return self._required("EVENT_BUS")

    @cached_property
    def providers_secret_arn(self) -> str:
        """The secret with the credentials of both providers (docs/deploying.md)."""
        return self._required("PROVIDERS_SECRET_ARN")

    @cached_property
    def callback_key_secret_arn(self) -> str:
        """The generated secret whose key makes the tokens in Vexora callback URLs."""
        return self._required("CALLBACK_KEY_SECRET_ARN")

    @cached_property
    def merchant_webhook_url(self) -> str:
        """The merchant's endpoint for webhooks."""
        return self._required("MERCHANT_WEBHOOK_URL")

    @cached_property
    def merchant_webhook_secret_arn(self) -> str:
        """The generated secret that signs the merchant's webhooks."""
        return self._required("MERCHANT_WEBHOOK_SECRET_ARN")

    @cached_property
    def merchant_webhook_queue_url(self) -> str:
        """URL of the queue of the events that wait to be sent to the merchant."""
        return self._required("MERCHANT_WEBHOOK_QUEUE_URL")

    @cached_property
    def merchant_webhook_dead_letter_queue_url(self) -> str:
        """URL of the dead-letter queue of events that were not delivered to the merchant."""
        return self._required("MERCHANT_WEBHOOK_DEAD_LETTER_QUEUE_URL")

    @cached_property
    def merchant_webhook_mapping_parameter(self) -> str:
        """Name of the SSM parameter with the id of the event source mapping that an open circuit disables."""
        return self._required("MERCHANT_WEBHOOK_MAPPING_PARAMETER")

    @cached_property
    def vexora_base_url(self) -> str:
        """Base URL of Vexora's API, without a trailing slash."""
        return self._required("VEXORA_BASE_URL").rstrip("/")

    @cached_property
    def vexora_source_cidrs(self) -> tuple[str, ...]:
        """The networks that Vexora's callbacks may come from."""
        return self._list("VEXORA_SOURCE_CIDRS")

    @cached_property
    def vexora_poll_delays(self) -> tuple[int, ...]:
        """How many seconds after the submission Vexora is asked about it, rising, before the daily polls begin."""
        name, rule = "VEXORA_POLL_DELAYS", "must hold whole seconds, separated by commas"
        parts = self._valid(name, self._list(name), lambda part: _SECONDS.fullmatch(part) is not None, rule)
        return tuple(sorted({int(part) for part in parts}))

    @cached_property
    def vexora_unknown_user_codes(self) -> tuple[str, ...]:
        """Vexora's codes for "no application of this user" (not published); none by default."""
        return self._any("VEXORA_UNKNOWN_USER_CODES")

    def _number(self, name: str, most: int, least: int = 1) -> int:
        value = self._required(name)
        if not value.isdecimal() or not least <= int(value) <= most:
            raise InvalidSettingError(name, f"must be a whole number from {least} to {most}")
        return int(value)

    @cached_property
    def paypay_max_calls_per_second(self) -> int:
        """The maximum of calls a second to PayPay, from all environments; calls of the merchant API never wait."""
        return self._number("PAYPAY_MAX_CALLS_PER_SECOND", 1000)

    @cached_property
    def vexora_max_calls_per_second(self) -> int:
        """The same towards Vexora."""
        return self._number("VEXORA_MAX_CALLS_PER_SECOND", 1000)

    @cached_property
    def repair_share(self) -> int:
        """The maximum percentage of a provider's rate for recon's repairs."""
        return self._number("REPAIR_SHARE", 100)

    @cached_property
    def reread_share(self) -> int:
        """The maximum percentage of a provider's rate for all other readings that can wait."""
        return self._number("REREAD_SHARE", 100)

    @cached_property
    def paypay_base_url(self) -> str:
        """Base URL of PayPay's Open Payment API, without a trailing slash."""
        return self._required("PAYPAY_BASE_URL").rstrip("/")

    @cached_property
    def paypay_kyc_info_path(self) -> str:
        """URL path of "Get the user's KYC information" (not published)."""
        return self._required("PAYPAY_KYC_INFO_PATH")

    @cached_property
    def paypay_kyc_passport_path(self) -> str:
        """URL path of "Get the user's KYC information for KYC Passport clients" (not published)."""
        return self._required("PAYPAY_KYC_PASSPORT_PATH")

    @cached_property
    def paypay_kyc_passport_qr_path(self) -> str:
        """URL path of "Fetch KYC info of completed KYC Passport QR", with `{codeId}` (not published)."""
        return self._required("PAYPAY_KYC_PASSPORT_QR_PATH")

    @cached_property
    def paypay_assume_merchant(self) -> str:
        """Value of X-ASSUME-MERCHANT; empty: the header is not sent."""
        return self._environ.get("PAYPAY_ASSUME_MERCHANT", "").strip()

    @cached_property
    def paypay_token_audience(self) -> str:
        """The `aud` that a responseToken must have: our client id at PayPay."""
        return self._required("PAYPAY_TOKEN_AUDIENCE", "PayPayTokenAudience")

    @cached_property
    def paypay_link_session_minutes(self) -> int:
        """Minutes after an account-link QR was made in which its redirect is accepted."""
        value = self._required("PAYPAY_LINK_SESSION_MINUTES")
        if not value.isdecimal() or int(value) < 1:
            raise InvalidSettingError("PAYPAY_LINK_SESSION_MINUTES", "must be a whole number of minutes")
        return int(value)

    @cached_property
    def paypay_verified_statuses(self) -> frozenset[str]:
        """The words in `data.status` of a KYC read that mean a completed KYC (not published); none by default."""
        return frozenset(self._any("PAYPAY_VERIFIED_STATUSES"))

    @cached_property
    def paypay_required_kyc_type(self) -> str | None:
        """`requiredKycType` of every `kyc_info` read: EKYC, or None to leave it out."""
        value = self._environ.get("PAYPAY_REQUIRED_KYC_TYPE", "").strip()
        if value not in ("", "EKYC"):
            raise InvalidSettingError("PAYPAY_REQUIRED_KYC_TYPE", "must be EKYC or empty")
        return value or None

    @cached_property
    def verified_needs(self) -> VerifiedNeeds:
        """Which provider must confirm a user, so that the user counts as verified."""
        value = self._environ.get("VERIFIED_NEEDS", "").strip() or VerifiedNeeds.ANY
        if value not in tuple(VerifiedNeeds):
            raise InvalidSettingError("VERIFIED_NEEDS", f"must be one of: {', '.join(VerifiedNeeds)}")
        return VerifiedNeeds(value)

    @cached_property
    def mass_change_percent(self) -> Decimal:
        """What percentage of an hour's readings may take users out of VERIFIED or APPROVED; 0: there is no limit."""
        value = self._required("MASS_CHANGE_PERCENT")
        if not _PERCENT.fullmatch(value):
            raise InvalidSettingError("MASS_CHANGE_PERCENT", "must be a number from 0 to 100")
        return Decimal(value)

    @cached_property
    def repair_mappings_parameter(self) -> str:
        """Name of the SSM parameter with the ids of the two event source mappings that a mass change disables."""
        return self._required("REPAIR_MAPPINGS_PARAMETER")

    @cached_property
    def repairs_stopped_runbook(self) -> str:
        """Where the runbook says what to do when repairs are stopped."""
        return self._required("REPAIRS_STOPPED_RUNBOOK")

    @cached_property
    def paypay_pkce_field(self) -> str:
        """The place of the PKCE challenge in the account-link request, as a dotted path (not published)."""
        return self._required("PAYPAY_PKCE_FIELD")

    @cached_property
    def return_url_allowlist(self) -> tuple[str, ...]:
        """The origins or URL prefixes to which a browser may be sent back; if empty, no URL is allowed."""
        rule = "must hold origins or URL prefixes, separated by commas"
        return self._valid("RETURN_URL_ALLOWLIST", self._any("RETURN_URL_ALLOWLIST"), _is_url, rule)

    @cached_property
    def personal_data_bucket(self) -> str:
        """Name of the only bucket that holds personal data."""
        return self._required("PERSONAL_DATA_BUCKET")

    @cached_property
    def personal_data_retention_days(self) -> int:
        """Days after the end of a contract for which the user's data is kept."""
        return self._number("PERSONAL_DATA_RETENTION_DAYS", 36_500)

    @cached_property
    def max_erasures_per_day(self) -> int:
        """How many users may be due for erasure on one day because their contracts ended; 0: any number."""
        return self._number("MAX_ERASURES_PER_DAY", 10_000_000, least=0)

    @cached_property
    def personal_data_max_age_days(self) -> int:
        """Days after which the bucket deletes an object, whatever is known of a contract; 0: it does not."""
        return self._days("PERSONAL_DATA_MAX_AGE_DAYS")

    @cached_property
    def selfie_allowed_hosts(self) -> tuple[str, ...]:
        """Hosts that a selfie may be fetched from, exact or `.suffix`."""
        return self._hosts("SELFIE_ALLOWED_HOSTS")

    @cached_property
    def recon_bucket(self) -> str:
        """Name of the bucket with the recon files and their reports."""
        return self._required("RECON_BUCKET")

    @cached_property
    def recon_allowed_hosts(self) -> tuple[str, ...]:
        """Hosts that recon files may be fetched from, exact or `.suffix` (not published)."""
        return self._hosts("RECON_ALLOWED_HOSTS")

    @cached_property
    def recon_file_types(self) -> tuple[str, ...]:
        """The file types that PayPay delivers to us, out of `recon.file_types.FILE_TYPES`."""
        rule = f"must hold some of: {', '.join(FILE_TYPES)}"
        return self._valid("RECON_FILE_TYPES", self._list("RECON_FILE_TYPES"), FILE_TYPES.__contains__, rule)

    @cached_property
    def recon_max_bytes(self) -> int:
        """The largest recon file that is fetched, in bytes."""
        value = self._required("RECON_MAX_BYTES")
        if not value.isdecimal() or int(value) < 1:
            raise InvalidSettingError("RECON_MAX_BYTES", "must be a whole number of bytes")
        return int(value)

    @cached_property
    def recon_range_rows(self) -> int:
        """About how many rows of a recon file one range of its comparison has."""
        value = self._required("RECON_RANGE_ROWS")
        if not value.isdecimal() or int(value) < 1:
            raise InvalidSettingError("RECON_RANGE_ROWS", "must be a whole number of rows")
        return int(value)

    @cached_property
    def recon_recheck_all(self) -> bool:
        """Whether users whose webhook was received are read again, too."""
        return self._environ.get("RECON_RECHECK", "") == "all"

    @cached_property
    def recon_empty_day_announced(self) -> bool:
        """Whether PayPay sends a file for a day on which nothing happened (not published)."""
        return self._environ.get("RECON_EMPTY_DAY_ANNOUNCED", "true") == "true"

    @cached_property
    def recon_machine_arn(self) -> str:
        """ARN of the state machine that compares a recon file."""
        return self._required("RECON_MACHINE_ARN")

    @cached_property
    def alarm_topic_arn(self) -> str:
        """The SNS topic for messages to people."""
        return self._required("ALARM_TOPIC_ARN")

    @cached_property
    def paypay_client_id(self) -> str:
        """Our client id at PayPay, for resend requests; empty where it is not set."""
        return self._environ.get("PAYPAY_TOKEN_AUDIENCE", "").strip()

    @cached_property
    def loopback_files(self) -> bool:
        """Whether files may come over http from the loopback interface; the template allows it locally only."""
        return self._environ.get("LOOPBACK_FILES", "") == "true"


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return bool(parts.scheme and parts.netloc)


@cache
def settings() -> Settings:
    """The settings of the running function."""
    return Settings(os.environ)
