"""What `make run` says of the local stack's parameters is computed, and none of them is kinder than production's."""

import io
import tomllib
from pathlib import Path

import pytest
from rich.console import Console

from local import differences, providers, screen
from local.differences import Setting
from local.errors import LocalError
from local.stack import AccessKey, Merchant, Stack, _settings

ROOT = Path(__file__).parents[2]


def test_every_setting_of_samconfig_is_read_with_its_reason() -> None:
    local = tomllib.loads((ROOT / "samconfig.toml").read_text())["local"]
    overrides = local["deploy"]["parameters"]["parameter_overrides"]
    assert [each.override() for each in differences.configured()] == overrides
    assert all(each.why.partition(":")[0] in ("time", "place") for each in differences.configured()[1:])


@pytest.mark.parametrize("name", ["VexoraUnknownUserCodes", "VexoraSourceCidrs", "ReconRecheck", "PayPayPkceField"])
def test_what_a_provider_does_not_publish_is_left_at_productions_default(name: str) -> None:
    given = differences.settings(_settings("http://127.0.0.1:1", "http://127.0.0.1:2"))
    assert name not in [each.name for each in given]


def test_only_time_place_and_our_name_differ_from_production() -> None:
    given = _settings("http://127.0.0.1:1", "http://127.0.0.1:2")
    differing = {each.what: each.why for each in differences.of_parameters(given)}
    named = {"Stage", "PayPayTokenAudience"}
    assert {name for name, why in differing.items() if why.partition(":")[0] not in ("time", "place")} == named


def test_a_setting_that_is_productions_default_is_no_difference() -> None:
    assert differences.of_parameters([Setting("VexoraUnknownUserCodes", "", "")]) == []
    (found,) = differences.of_parameters([Setting("VexoraUnknownUserCodes", "2001", "kind")])
    assert (found.what, found.production, found.here) == ("VexoraUnknownUserCodes", "", "2001")


def test_the_table_names_each_difference_and_the_seed() -> None:
    key = AccessKey("id", "secret")
    given = tuple(_settings("http://127.0.0.1:1", "http://127.0.0.1:2"))
    merchant = Merchant("http://127.0.0.1:1", "ap-northeast-1", key)
    stack = Stack("x", "ap-northeast-1", "http://127.0.0.1:1", {}, key, merchant, "http://127.0.0.1:2", 4711, given)
    shown = io.StringIO()
    screen.show_differences(Console(file=shown, width=300, color_system=None), stack)
    for each in (*given, *differences.configured()):
        assert each.name in shown.getvalue()
        assert each.why in shown.getvalue()
    assert "ScheduleExpression" in shown.getvalue()
    # A policy has several statements that differ in the same way: one row.
    lines = shown.getvalue().splitlines()
    assert len(lines) == len(set(lines))
    assert "HONNIN_SANDBOX_SEED=4711" in shown.getvalue()


@pytest.mark.parametrize(("given", "seed"), [("17", 17), ("0", 0), ("none", None)])
def test_the_seed_can_be_set(monkeypatch: pytest.MonkeyPatch, given: str, seed: int | None) -> None:
    monkeypatch.setenv(providers.SEED_VARIABLE, given)
    assert providers.seed() == seed


def test_the_seed_is_any_by_default_and_no_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(providers.SEED_VARIABLE, raising=False)
    assert len({providers.seed() for _ in range(5)}) == 5
    monkeypatch.setenv(providers.SEED_VARIABLE, "blue")
    with pytest.raises(LocalError, match="whole number"):
        providers.seed()
