"""The compliance officer's tasks of docs/overview.md, each with honninctl, by the number of steps that is said there.

The merchant API is Honnin's own code over a table in memory.
"""

import contextlib
import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock
from urllib.parse import unquote

import pytest

from honnin import commit, erasure_api, overview_api, users_api
from honnin.erasure import Erasure
from honnin.errors import NotFoundError as UnknownUserError
from honnin.problem_codes import ProblemCode
from honnin.recon import report_api
from honnin.recon.file_types import FILE_TYPES
from honnin.store import ReconFile
from honnin.times import jst_day, utc_text
from honnin.vault import Vault
from honninctl import command, past
from honninctl.failures import NotFoundError
from tests.fakes.cli import FakeDeployment, run
from tests.fakes.memory import memory_aws, s3
from tests.fakes.register_world import World

NOW = datetime(2026, 11, 15, 3, tzinfo=UTC)


class Served(FakeDeployment):
    """A stack whose merchant API answers from the table."""

    def __init__(self, world: World) -> None:
        super().__init__(
            {"StateTableName": "StateTable", "PersonalDataBucketName": "vault", "ReconBucketName": "recon"}
        )
        self.world = world

    @property
    def store(self) -> Any:
        """The table."""
        return self.world.store

    def patient(self) -> "Served":
        """The same."""
        return self

    def merchant(self, method: str, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """What the function behind the route would answer."""
        asked, store, now = dict(query or {}), self.world.store, self.world.now
        limit, cursor = int(asked.pop("limit", 50)), asked.pop("cursor", None)
        user_id = unquote(path.removeprefix("/users/").split("/")[0])
        try:
            if path == "/overview/users":
                said: Any = overview_api.users(
                    store, asked["provider"], asked["status"], since=None, limit=limit, cursor=cursor
                )
            elif path == "/overview/expiring":
                said = overview_api.expiring(store, now, within=asked["within"], limit=limit, cursor=cursor)
            elif path.startswith("/recon/reports/"):
                said = report_api.recon_report(store, path.rpartition("/")[2], now)
            elif method == "DELETE":
                with contextlib.redirect_stdout(io.StringIO()):  # the function's log
                    said = erasure_api.certificate(self._erasure().erase(user_id, unlink="unlink" in asked))
            elif path.endswith("/timeline"):
                said = users_api.timeline(store, user_id, limit, cursor)
            elif store.users.statuses(user_id):
                return {"providers": {}}  # no command here looks into it
            else:
                raise UnknownUserError("no user", code=ProblemCode.USER_UNKNOWN)
        except UnknownUserError as error:
            raise NotFoundError(str(error)) from None
        answer: dict[str, Any] = said.model_dump(mode="json", by_alias=True)
        return answer

    def _erasure(self) -> Erasure:
        self.world.now += timedelta(seconds=60)
        return Erasure(
            store=self.world.store,
            vault=Vault("vault", s3()),
            registers=self.world.registers,
            paypay=mock.Mock(),
            sweep_later=mock.Mock(),
            publish=mock.Mock(),
            now=lambda: self.world.now,
        )


@pytest.fixture
def world(aws_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with memory_aws():
        made = World()
        s3("vault")
        deployment = Served(made)
        monkeypatch.setattr(command, "Deployment", lambda _: deployment)
        monkeypatch.setattr(past, "now", lambda: made.now)
        made.move("user-1", "VERIFIED", at="2026-10-05T03:00:00.000Z")
        made.move("user-2", "VERIFIED", at="2026-10-06T03:00:00.000Z")
        made.move("user-2", "RISK_FLAGGED", at="2026-11-07T03:00:00.000Z")
        made.now = NOW
        yield made


def test_who_is_flagged_now_takes_one_command(world: World) -> None:
    found = json.loads(run("users", "--provider", "paypay", "--status", "RISK_FLAGGED", "--json").stdout)
    assert [each["userId"] for each in found["users"]] == ["user-2"]


def test_to_prove_what_was_known_of_a_user_on_a_day_takes_one_command(world: World) -> None:
    found = json.loads(run("status", "user-2", "--at", "2026-10-31", "--json").stdout)
    paypay = found["providers"]["paypay"]
    assert (found["verified"], paypay["status"], paypay["since"]) == (True, "VERIFIED", "2026-10-06T03:00:00.000Z")
    assert paypay["requestId"] == "req-2"
    assert re.fullmatch(r"paypay/user-2/kyc_info/\S+\.json", paypay["object"])
    assert paypay["object"].endswith(f"-{paypay['sha256']}.json")


def test_what_to_do_about_yesterdays_missing_file_takes_one_command(world: World) -> None:
    # honninctl looks at the clock itself; two days ago is missing at any hour.
    world.now = datetime.now(UTC)
    earlier, day = (jst_day(world.now - timedelta(days=back)) for back in (4, 2))
    file_type, at = next(iter(FILE_TYPES)), utc_text(world.now - timedelta(days=3))
    known = ReconFile(file_type, earlier, "f.csv", "STORED", sha256="0" * 64, size=1, stored_at=at, received_at=at)
    world.store.recon.stored(known)
    # As the daily report has recorded it.
    world.store.recon.missing(file_type, day, utc_text(world.now))
    ended = run("recon", day)
    assert ended.exit_code == 1  # something was found
    assert f"{day}  missing" in ended.stdout
    assert "send this to PayPay" in ended.stdout


def test_to_erase_a_user_and_prove_it_takes_two_commands(world: World) -> None:
    erased = json.loads(run("erase", "user-1", "--yes", "--json").stdout)
    assert (erased["userId"], bool(erased["completedAt"]), erased["erased"]["statuses"]) == ("user-1", True, 1)
    assert json.loads(run("erase", "user-1", "--yes", "--json").stdout) == erased
    # Nothing is known any more, and no list names the user.
    assert run("status", "user-1").exit_code == 3


def test_the_list_of_october_with_its_evidence_takes_one_command(world: World, tmp_path: Any) -> None:
    path = tmp_path / "october.csv"
    assert run("register", "--from", "2026-10-01", "--to", "2026-10-31", "--output", str(path)).exit_code == 0
    rows = {each["User ID"]: each for each in csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig")))}
    assert set(rows) == {"user-1", "user-2"}
    assert rows["user-2"]["Flags since then (JST)"] == "RISK_FLAGGED 2026-11-07 12:00:00"
    assert all(each["X-REQUEST-ID"] and each["SHA-256 of the kept answer"] for each in rows.values())


def test_what_runs_out_next_month_takes_one_command(world: World) -> None:
    before = world.store.users.status("user-1", "paypay")
    assert before is not None
    ends = utc_text(NOW + timedelta(days=20))
    linked = replace(before, user_authorization_id="auth-1", facets={"link": "ACTIVE"}, link_expires_at=ends)
    world.store.events.apply(commit.effect("e-link", "kyc_read", before, linked, {}, at=world.now, cause="api"))
    found = json.loads(run("expiring", "--within", "31d", "--json").stdout)
    assert [(each["userId"], each["endsAt"]) for each in found["expiring"]] == [("user-1", ends)]
