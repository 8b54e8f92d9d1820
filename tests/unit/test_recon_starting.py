"""Starting a comparison: once for each stored file, and again where an execution did not succeed."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from honnin.recon.file_types import FILE_TYPES
from honnin.recon.starting import execution_name
from tests.fakes.recon_engine import DAY, KYC, Engine, comparison


def test_a_stored_file_is_started_under_a_name_that_says_what_it_is() -> None:
    engine = Engine()
    file = engine.put("a")

    assert engine.starting.run() == {"started": 1}

    [name] = engine.states.executions
    assert name == f"{KYC}-{DAY}-{(file.sha256 or '')[:16]}-1"
    assert json.loads(engine.states.executions[name].input) == {
        "file": {"fileType": KYC, "day": DAY, "fileName": "a.csv", "number": 1}
    }


@pytest.mark.parametrize("file_type", FILE_TYPES)
def test_every_name_is_one_that_step_functions_takes(file_type: str) -> None:
    engine = Engine()
    file = engine.put("a", file_type=file_type, name="a.csv.rev-20260401T0300000000Z")

    name = execution_name(comparison(10_000, file_type, file.name), file)

    assert re.fullmatch(r"[A-Za-z0-9_-]{1,80}", name)


@pytest.mark.parametrize("status", ["RUNNING", "SUCCEEDED"])
def test_what_is_running_or_has_succeeded_is_not_started_again(status: str) -> None:
    engine = Engine()
    engine.put("a")
    engine.starting.run()
    [execution] = engine.states.executions.values()
    execution.status = status

    engine.starting.run()

    assert len(engine.states.executions) == 1


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED"])
def test_after_any_other_end_the_next_comparison_is_started(status: str) -> None:
    engine = Engine()
    engine.put("a")
    engine.starting.run()
    [execution] = engine.states.executions.values()
    execution.status = status

    assert engine.starting.run() == {"started": 1}

    assert [name.rpartition("-")[2] for name in engine.states.executions] == ["1", "2"]
    assert engine.store.comparisons.made(comparison()) == (1, 2)
    engine.starting.run()
    assert len(engine.states.executions) == 2


def test_a_file_that_is_not_recorded_as_stored_waits_for_the_download() -> None:
    engine = Engine()
    engine.store.comparisons.first(KYC, DAY, "a.csv", "2026-03-31T18:00:00.000Z")

    assert engine.starting.run() == {}


def test_storing_a_file_twice_asks_for_one_comparison() -> None:
    engine = Engine()
    engine.put("a")
    engine.put("a")

    assert [each.number for each in engine.store.comparisons.due("9999")] == [1]


def test_one_that_cannot_be_started_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Engine()
    engine.put("a", name="first.csv")
    engine.put("b", name="second.csv")
    start, refusal = engine.states.start_execution, {"Error": {"Code": "AccessDeniedException"}}

    def refused(**request: Any) -> Any:
        if "first.csv" in request["input"]:
            raise ClientError(refusal, "StartExecution")  # type: ignore[arg-type]  # as much of it as is looked at
        return start(**request)

    monkeypatch.setattr(engine.states, "start_execution", refused)

    with pytest.raises(ClientError):
        engine.starting.run()
    assert len(engine.states.executions) == 1
    assert "ReconNotStarted" not in capsys.readouterr().out

    engine.now += timedelta(minutes=30)
    with pytest.raises(ClientError):
        engine.starting.run()
    assert "ReconNotStarted" in capsys.readouterr().out


def test_an_operator_has_a_file_compared_once_more() -> None:
    engine = Engine()
    engine.put()
    engine.run()
    assert engine.file().completed_at is not None

    asked = engine.store.comparisons.another(comparison(), "2026-03-31T19:00:00.000Z")
    again = engine.store.comparisons.another(comparison(), "2026-03-31T19:00:00.000Z")

    assert (asked.number, again.number) == (2, 2)
    assert engine.starting.start(asked, engine.file()) == asked
