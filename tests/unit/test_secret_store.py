"""The secrets: what is missing is named with the command that sets it, and no value is ever shown."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from aws_lambda_powertools.utilities.parameters.constants import DEFAULT_PROVIDERS
from standardwebhooks import Webhook

from honnin import secret_store
from honnin.errors import ConfigurationError, SecretIncompleteError
from honnin.secret_store import PLACEHOLDER, VexoraCredentials
from tests.fakes import FakeSecrets

PROVIDERS = "arn:aws:secretsmanager:ap-northeast-1:000000000000:secret:providers"
CALLBACK = "arn:aws:secretsmanager:ap-northeast-1:000000000000:secret:callback-key"
WEBHOOKS = "arn:aws:secretsmanager:ap-northeast-1:000000000000:secret:merchant-webhooks"
GOOD = {"vexora_merchant_no": "1027749636", "vexora_app_secret": "very-secret-value"}


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSecrets]:
    monkeypatch.setenv("PROVIDERS_SECRET_ARN", PROVIDERS)
    monkeypatch.setenv("CALLBACK_KEY_SECRET_ARN", CALLBACK)
    monkeypatch.setenv("MERCHANT_WEBHOOK_SECRET_ARN", WEBHOOKS)
    fake = FakeSecrets()
    fake.values = {PROVIDERS: json.dumps(GOOD), CALLBACK: json.dumps({"current": "key-1"})}
    DEFAULT_PROVIDERS["secrets"] = fake
    yield fake
    DEFAULT_PROVIDERS.clear()


def test_the_credentials(secrets: FakeSecrets) -> None:
    assert secret_store.vexora_credentials() == VexoraCredentials("1027749636", "very-secret-value")


def test_they_are_cached(secrets: FakeSecrets) -> None:
    secret_store.vexora_credentials()
    secret_store.vexora_credentials()
    assert secrets.reads == 1


def test_refresh_reads_past_the_cache_and_fills_it(secrets: FakeSecrets) -> None:
    secret_store.vexora_credentials()
    secrets.values[PROVIDERS] = json.dumps({**GOOD, "vexora_app_secret": "rotated"})
    assert secret_store.vexora_credentials().app_secret == "very-secret-value"
    assert secret_store.vexora_credentials(refresh=True).app_secret == "rotated"
    assert secret_store.vexora_credentials().app_secret == "rotated"
    assert secrets.reads == 2


def test_the_secret_is_not_in_the_repr(secrets: FakeSecrets) -> None:
    assert "very-secret-value" not in repr(secret_store.vexora_credentials())


@pytest.mark.parametrize("key", list(GOOD))
@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="missing"),
        pytest.param("", id="empty"),
        pytest.param("  ", id="blank"),
        pytest.param(PLACEHOLDER, id="placeholder"),
        pytest.param(f" {PLACEHOLDER}\n", id="placeholder with spaces around"),
        pytest.param(1027749636, id="not a text"),
        pytest.param("very-secret-value\r\nX-Header: y", id="a line break inside"),
        pytest.param("very-secret-value\tvery-secret-value", id="a tab inside"),
    ],
)
def test_a_value_that_is_not_set_is_named(secrets: FakeSecrets, key: str, value: object) -> None:
    secrets.values[PROVIDERS] = json.dumps({**GOOD, key: value})
    with pytest.raises(SecretIncompleteError) as caught:
        secret_store.vexora_credentials()
    assert (caught.value.secret_id, caught.value.key) == (PROVIDERS, key)
    assert isinstance(caught.value, ConfigurationError)
    assert f"'{key}'" in str(caught.value)
    assert f"aws secretsmanager put-secret-value --secret-id {PROVIDERS}" in str(caught.value)
    assert "very-secret-value" not in str(caught.value)


@pytest.mark.parametrize("text", ["very-secret-value", "{", '["very-secret-value"]', "null", '"very-secret-value"', ""])
def test_a_secret_that_is_no_json_object_is_named_without_its_text(secrets: FakeSecrets, text: str) -> None:
    secrets.values[PROVIDERS] = text
    with pytest.raises(SecretIncompleteError) as caught:
        secret_store.vexora_credentials()
    assert PROVIDERS in str(caught.value)
    assert "very-secret-value" not in str(caught.value)
    # Nor behind it, where a logged traceback would show the text that json could not read.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ({"current": "key-2"}, ("key-2",)),
        ({"current": "key-2", "previous": "key-1"}, ("key-2", "key-1")),
        ({"current": "key-2", "previous": ""}, ("key-2",)),
    ],
)
def test_the_callback_keys_current_first(
    secrets: FakeSecrets, stored: dict[str, str], expected: tuple[str, ...]
) -> None:
    secrets.values[CALLBACK] = json.dumps(stored)
    assert secret_store.callback_keys() == expected


def test_a_callback_key_that_is_missing_is_named(secrets: FakeSecrets) -> None:
    secrets.values[CALLBACK] = json.dumps({"previous": "key-1"})
    with pytest.raises(SecretIncompleteError, match="'current'"):
        secret_store.callback_keys()


def test_callback_keys_are_read_past_the_cache_when_asked(secrets: FakeSecrets) -> None:
    secret_store.callback_keys()
    secrets.values[CALLBACK] = json.dumps({"current": "key-2", "previous": "key-1"})
    assert secret_store.callback_keys() == ("key-1",)
    assert secret_store.callback_keys(refresh=True) == ("key-2", "key-1")


# As CloudFormation generates it, and as `honninctl webhooks rotate` makes it.
GENERATED, MADE = "aZ09" * 16, "whsec_" + base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ({"current": GENERATED}, (f"whsec_{GENERATED}",)),
        ({"current": MADE}, (MADE,)),
        ({"current": MADE, "previous": GENERATED}, (MADE, f"whsec_{GENERATED}")),
        ({"current": MADE, "previous": ""}, (MADE,)),
    ],
)
def test_the_keys_of_merchant_webhooks_are_what_the_reference_library_takes(
    secrets: FakeSecrets, stored: dict[str, str], expected: tuple[str, ...]
) -> None:
    secrets.values[WEBHOOKS] = json.dumps(stored)
    assert secret_store.merchant_webhook_keys() == expected
    for key in expected:
        assert Webhook(key).sign("msg_1", datetime(2026, 4, 1, tzinfo=UTC), "{}").startswith("v1,")


@pytest.mark.parametrize("wrong", ["short", "whsec_", "whsec_" + "A" * 28, "A" * 64 + "!", "A" * 65, "A" * 100])
@pytest.mark.parametrize("name", ["current", "previous"])
def test_a_key_that_is_none_is_named_and_not_shown(secrets: FakeSecrets, name: str, wrong: str) -> None:
    secrets.values[WEBHOOKS] = json.dumps({"current": MADE, name: wrong})
    with pytest.raises(SecretIncompleteError, match=f"'{name}'") as raised:
        secret_store.merchant_webhook_keys()
    assert f"{wrong} " not in str(raised.value)
