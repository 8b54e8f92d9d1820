"""Settings: read from the environment once, on first use; a missing one is named."""

import json
import re

import pytest

from honnin.config import Settings, settings
from honnin.errors import ConfigurationError, InvalidSettingError, MissingSettingError

FULL = {
    "STATE_TABLE": "state",
    "IDEMPOTENCY_TABLE": "idempotency",
    "EVENT_QUEUE_URL": "https://sqs.ap-northeast-1.amazonaws.com/0/events",
    "REPAIR_QUEUE_URL": "https://sqs.ap-northeast-1.amazonaws.com/0/repairs",
    "REREAD_QUEUE_URL": "https://sqs.ap-northeast-1.amazonaws.com/0/rereads",
    "DEAD_LETTER_QUEUE_URL": "https://sqs.ap-northeast-1.amazonaws.com/0/dead",
    "EVENT_BUS": "bus",
    "PROVIDERS_SECRET_ARN": "arn:providers",
    "CALLBACK_KEY_SECRET_ARN": "arn:callback",
    "VEXORA_BASE_URL": "https://sandbox-api.vexora.com/japan/",
    "VEXORA_SOURCE_CIDRS": "192.0.2.0/24, 198.51.100.7/32",
    "VEXORA_POLL_DELAYS": "600,3600, 21600 ,86400",
}
NAMES = [name.lower() for name in FULL]


def test_the_settings_are_read() -> None:
    made = Settings(FULL)
    assert {name: getattr(made, name) for name in NAMES} == {
        "state_table": "state",
        "idempotency_table": "idempotency",
        "event_queue_url": "https://sqs.ap-northeast-1.amazonaws.com/0/events",
        "repair_queue_url": "https://sqs.ap-northeast-1.amazonaws.com/0/repairs",
        "reread_queue_url": "https://sqs.ap-northeast-1.amazonaws.com/0/rereads",
        "dead_letter_queue_url": "https://sqs.ap-northeast-1.amazonaws.com/0/dead",
        "event_bus": "bus",
        "providers_secret_arn": "arn:providers",
        "callback_key_secret_arn": "arn:callback",
        "vexora_base_url": "https://sandbox-api.vexora.com/japan",
        "vexora_source_cidrs": ("192.0.2.0/24", "198.51.100.7/32"),
        "vexora_poll_delays": (600, 3600, 21600, 86400),
    }


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_setting_is_named(name: str, value: str | None) -> None:
    environ = {each: text for each, text in FULL.items() if each != name.upper()}
    if value is not None:
        environ[name.upper()] = value
    with pytest.raises(MissingSettingError, match=rf"\b{re.escape(name.upper())}\b") as caught:
        getattr(Settings(environ), name)
    assert caught.value.name == name.upper()
    assert isinstance(caught.value, ConfigurationError)


def test_a_function_needs_only_the_settings_that_it_uses() -> None:
    assert Settings({"STATE_TABLE": "state"}).state_table == "state"


def test_a_setting_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_TABLE", "first")
    assert settings().state_table == "first"
    monkeypatch.setenv("STATE_TABLE", "second")
    assert settings().state_table == "first"


@pytest.mark.parametrize("name", ["vexora_source_cidrs", "vexora_poll_delays"])
def test_a_list_of_nothing_counts_as_missing(name: str) -> None:
    with pytest.raises(MissingSettingError):
        getattr(Settings({name.upper(): " , "}), name)


LISTS = {
    "VEXORA_POLL_DELAYS": ("600", ["soon", "0", "-5", "1e3", "1.5", "６００", "999999999"]),
    "RECON_ALLOWED_HOSTS": (".paypay.ne.jp", ["*.paypay.ne.jp", "https://paypay.ne.jp", "a/b", ".", "a..b", "a b"]),
    "SELFIE_ALLOWED_HOSTS": ("img.paypay.ne.jp", ["*", "paypay.ne.jp:443", "img.paypay.ne.jp/"]),
    "RETURN_URL_ALLOWLIST": (
        "https://shop.example.jp/kyc",
        ["https://[::1", "shop.example.jp", "https://x:port/", "*"],
    ),
    "RECON_FILE_TYPES": ("kyc_passport_sync_recon", ["another", "KYC_PASSPORT_SYNC_RECON"]),
}
ENTRIES = [(name, good, bad) for name, (good, all_bad) in LISTS.items() for bad in all_bad]


@pytest.mark.parametrize(("name", "good", "bad"), ENTRIES)
def test_one_bad_entry_excludes_itself_and_counts_a_fault(
    name: str, good: str, bad: str, capsys: pytest.CaptureFixture[str]
) -> None:
    value = getattr(Settings({name: f"{bad}, {good}"}), name.lower())

    assert [str(each) for each in value] == [good]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [fault] = [line for line in lines if "ConfigurationFault" in line]
    assert fault["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]


@pytest.mark.parametrize(("name", "good", "bad"), ENTRIES)
def test_a_list_of_bad_entries_only_is_a_configuration_error(name: str, good: str, bad: str) -> None:
    with pytest.raises(InvalidSettingError, match=name):
        getattr(Settings({name: f"{bad},{bad}"}), name.lower())


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("value", ["{},", ",{}", " {} , ,"])
def test_empty_entries_are_dropped_without_a_fault(name: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    good, _ = LISTS[name]

    found = getattr(Settings({name: value.format(good)}), name.lower())

    assert [str(each) for each in found] == [good]
    assert "ConfigurationFault" not in capsys.readouterr().out


def test_delays_are_put_in_order() -> None:
    assert Settings({"VEXORA_POLL_DELAYS": "3600,600,3600"}).vexora_poll_delays == (600, 3600)


@pytest.mark.parametrize(
    ("text", "delays"), [("60,900", (60, 900)), ("900, 1 ,60,60", (1, 60, 900)), ("", ()), (" ", ()), ("60,", (60,))]
)
def test_settle_delays_are_seconds_that_sqs_takes(text: str, delays: tuple[int, ...]) -> None:
    assert Settings({"SETTLE_DELAYS": text}).settle_delays == delays


@pytest.mark.parametrize("text", ["901", "0", "-60", "1.5", "1e2", "ten", "60s", "09", "99999999999"])
def test_a_settle_delay_that_sqs_would_refuse_is_named(text: str) -> None:
    with pytest.raises(InvalidSettingError, match="SETTLE_DELAYS must hold whole seconds from 1 to 900"):
        _ = Settings({"SETTLE_DELAYS": text}).settle_delays
    assert Settings({"SETTLE_DELAYS": f"60,{text}"}).settle_delays == (60,), "left out, and a configuration fault"


OF_THE_RATE = ("PAYPAY_MAX_CALLS_PER_SECOND", "VEXORA_MAX_CALLS_PER_SECOND", "REPAIR_SHARE", "REREAD_SHARE")


@pytest.mark.parametrize("name", OF_THE_RATE)
def test_a_rate_or_share_that_is_no_whole_number_of_its_range_is_named(name: str) -> None:
    assert getattr(Settings({name: " 30 "}), name.lower()) == 30
    for value in ("0", "-1", "1001", "2.5", "50%", "x"):
        with pytest.raises(InvalidSettingError, match=name):
            getattr(Settings({name: value}), name.lower())
    with pytest.raises(MissingSettingError, match=name):
        getattr(Settings({}), name.lower())


RECON = {
    "RECON_BUCKET": "recon",
    "RECON_ALLOWED_HOSTS": " recon.paypay.ne.jp , .files.paypay.ne.jp",
    "RECON_FILE_TYPES": "kyc_passport_risk_sync_recon, kyc_passport_sync_recon",
    "RECON_MAX_BYTES": "2147483648",
    "RECON_RANGE_ROWS": "100000",
    "RECON_MACHINE_ARN": "arn:aws:states:ap-northeast-1:0:stateMachine:honnin-ReconComparison",
    "ALARM_TOPIC_ARN": "arn:aws:sns:ap-northeast-1:0:alarms",
}


def test_the_settings_of_recon_are_read() -> None:
    made = Settings(RECON)
    assert {name: getattr(made, name.lower()) for name in RECON} == RECON | {
        "RECON_ALLOWED_HOSTS": ("recon.paypay.ne.jp", ".files.paypay.ne.jp"),
        "RECON_FILE_TYPES": ("kyc_passport_risk_sync_recon", "kyc_passport_sync_recon"),
        "RECON_MAX_BYTES": 2**31,
        "RECON_RANGE_ROWS": 100_000,
    }


@pytest.mark.parametrize("name", list(RECON))
def test_a_missing_setting_of_recon_is_named(name: str) -> None:
    with pytest.raises(MissingSettingError, match=rf"\b{name}\b"):
        getattr(Settings({each: value for each, value in RECON.items() if each != name}), name.lower())


@pytest.mark.parametrize("name", ["RECON_MAX_BYTES", "RECON_RANGE_ROWS"])
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "2 GiB", "1e9", "²"])
def test_a_number_of_bytes_or_rows_that_is_none_is_a_configuration_error(name: str, value: str) -> None:
    with pytest.raises(InvalidSettingError, match=name):
        getattr(Settings({name: value}), name.lower())


@pytest.mark.parametrize("value", ["another", "KYC_PASSPORT_SYNC_RECON"])
def test_an_unknown_file_type_is_a_configuration_error(value: str) -> None:
    with pytest.raises(InvalidSettingError, match="kyc_passport_risk_sync_recon"):
        _ = Settings({"RECON_FILE_TYPES": value}).recon_file_types


@pytest.mark.parametrize(
    ("value", "recheck", "empty_day", "loopback"),
    [
        (None, False, True, False),
        ("", False, False, False),
        ("all", True, False, False),
        ("missed", False, False, False),
        ("true", False, True, True),
        ("false", False, False, False),
    ],
)
def test_a_switch_is_on_for_one_word_only(*, value: str | None, recheck: bool, empty_day: bool, loopback: bool) -> None:
    names = ("RECON_RECHECK", "RECON_EMPTY_DAY_ANNOUNCED", "LOOPBACK_FILES")
    made = Settings({} if value is None else dict.fromkeys(names, value))
    assert (made.recon_recheck_all, made.recon_empty_day_announced, made.loopback_files) == (
        recheck,
        empty_day,
        loopback,
    )


@pytest.mark.parametrize(("environ", "client_id"), [({}, ""), ({"PAYPAY_TOKEN_AUDIENCE": " client-7 "}, "client-7")])
def test_the_client_id_may_be_missing(environ: dict[str, str], client_id: str) -> None:
    assert Settings(environ).paypay_client_id == client_id
