"""`register`: what Excel gets, what a script gets, and what is left of an interrupted run."""

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from honnin.register import Register, Row
from honninctl import command, past, register
from honninctl.failures import UsageError
from tests.fakes.cli import FakeDeployment, client_error, run
from tests.fakes.memory import memory_aws, s3
from tests.fakes.register_world import SHA, World

PERIOD = ("--from", "2026-10-01", "--to", "2026-10-31")
AUTHORIZATION = "a85fe9e9-b4c9-45cf-a392-834c57d83af7"


@pytest.fixture
def world(aws_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with memory_aws():
        made = World()
        deployment = FakeDeployment(
            {"StateTableName": "StateTable", "PersonalDataBucketName": "vault", "ReconBucketName": "recon"}
        )
        monkeypatch.setattr(FakeDeployment, "store", property(lambda _: made.store))
        monkeypatch.setattr(FakeDeployment, "patient", lambda self: self)
        monkeypatch.setattr(command, "Deployment", lambda _: deployment)
        monkeypatch.setattr(past, "now", lambda: datetime(2026, 11, 15, tzinfo=UTC))
        yield made


def read_csv(content: bytes) -> list[dict[str, str]]:
    """The rows as a spreadsheet reads them."""
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def written(row: Row, form: str = "csv", language: str = "en") -> bytes:
    stream = io.BytesIO()
    register.Writer(stream, form, language).row(row)
    return stream.getvalue()


# --- the file ---


def test_a_csv_begins_with_the_mark_that_excel_needs_and_has_its_line_ends(world: World) -> None:
    world.move("user-1", "VERIFIED", at="2026-10-05T15:30:00.000Z")
    ended = run("register", *PERIOD, "--lang", "ja")

    assert ended.exit_code == 0
    content = ended.stdout_bytes
    assert content.startswith("\ufeff利用者ID,プロバイダー".encode())
    assert content.count(b"\r\n") == content.count(b"\n") == 2
    [row] = read_csv(content)
    # Japan's time, which is already the next day.
    assert row["開始日時(日本時間)"] == "2026-10-06 00:30:00"
    assert (row["利用者ID"], row["ステータス"], row["X-REQUEST-ID"]) == ("user-1", "VERIFIED", "req-1")


@pytest.mark.parametrize(
    ("lang", "heading"), [("ja_JP.UTF-8", "利用者ID"), ("en_US.UTF-8", "User ID"), ("", "User ID")]
)
def test_headings_are_in_the_language_of_the_terminal(world: World, lang: str, heading: str) -> None:
    env = {"LC_ALL": "", "LC_MESSAGES": "", "LANG": lang}
    assert run("register", *PERIOD, env=env).stdout_bytes.decode("utf-8-sig").startswith(heading)


def test_a_csv_is_utf_8_in_a_terminal_of_any_encoding(world: World) -> None:
    env = {"PYTHONIOENCODING": "shift_jis"}
    assert run("register", *PERIOD, "--lang", "ja", env=env).stdout_bytes.startswith("\ufeff利用者ID".encode())


@pytest.mark.parametrize(
    ("user_id", "cell"),
    [
        ("user-1", "user-1"),
        ("10023", "10023"),
        ("=1+1", "'=1+1"),
        ("+81", "'+81"),
        ("-1", "'-1"),
        ("@SUM", "'@SUM"),
        ("＝1", "'＝1"),  # Excel in Japanese takes it for a formula, too
        ("\t=1", "'\t=1"),
        ("0012", "'0012"),
        ("1234567890123456", "'1234567890123456"),
        ("12E5", "'12E5"),
        ("3-4", "'3-4"),
        ("2026-10-01", "'2026-10-01"),
        ("1.10", "'1.10"),
        ("MAR1", "'MAR1"),
        ("12:30", "'12:30"),
        ('a"b,c', 'a"b,c'),
        ("山田", "山田"),
    ],
)
def test_an_id_is_no_formula_no_number_and_no_date_in_a_spreadsheet(user_id: str, cell: str) -> None:
    [row] = read_csv(written(Row(user_id, "paypay", "VERIFIED", "2026-10-05T03:00:00.000Z")))
    assert row["User ID"] == cell


def test_no_cell_of_any_column_is_a_formula() -> None:
    evil: dict[str, Any] = dict.fromkeys(("cause", "event_id", "product", "request_id", "object", "sha256"), "=cmd")
    row = Row("=u", "=p", "=s", "2026-10-05T03:00:00.000Z", object_version="=v", ended_by="=e", **evil)
    assert not re.search(rb"(^|,)=", written(row).splitlines()[1])


def test_json_lines_have_every_name_times_in_utc_and_the_id_as_it_is() -> None:
    line = json.loads(written(Row("=1", "paypay", "VERIFIED", "2026-10-05T03:00:00.000Z"), "jsonl"))
    assert set(line) == set(register.COLUMNS)
    assert (line["userId"], line["since"], line["until"]) == ("=1", "2026-10-05T03:00:00.000Z", None)


def test_an_authorization_in_an_events_id_is_masked() -> None:
    row = Row("u", "paypay", "VERIFIED", "", event_id=f"recon:kyc:2026-10-31:{AUTHORIZATION}:1")
    for form in ("csv", "jsonl"):
        assert AUTHORIZATION.encode() not in written(row, form)


# --- the command ---


def test_json_lines_go_to_standard_output_and_nothing_else(world: World) -> None:
    for number in range(3):
        world.move(f"user-{number}", "VERIFIED", at=f"2026-10-05T03:00:0{number}.000Z")
    for options in (["--format", "jsonl"], ["--json"]):
        ended = run("register", *PERIOD, *options)
        assert {json.loads(line)["userId"] for line in ended.stdout.splitlines()} == {"user-0", "user-1", "user-2"}
        assert "3 rows" in ended.stderr
        assert "--erased" in ended.stderr


def test_a_file_is_complete_private_and_summed(world: World, tmp_path: Path) -> None:
    import hashlib

    world.move("user-1", "VERIFIED", at="2026-10-05T03:00:00.000Z")
    path = tmp_path / "october.csv"
    ended = run("register", *PERIOD, "--output", str(path), "--json")

    said = json.loads(ended.stdout)
    assert (said["from"], said["to"], said["rows"], said["file"]) == ("2026-10-01", "2026-10-31", 1, str(path))
    assert said["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.stat().st_mode & 0o077 == 0
    assert [each.name for each in tmp_path.iterdir()] == ["october.csv"]
    assert run("register", *PERIOD, "--output", str(tmp_path / "october.jsonl")).exit_code == 0
    assert json.loads((tmp_path / "october.jsonl").read_text())["userId"] == "user-1"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("AWS is gone"), OSError(28, "disk full")])
def test_what_is_interrupted_leaves_no_file(world: World, tmp_path: Path, error: BaseException) -> None:
    def rows(_self: Any, **_: Any) -> Iterator[Row]:
        yield Row("user-1", "paypay", "VERIFIED", "2026-10-05T03:00:00.000Z")
        raise error

    with mock.patch.object(Register, "rows", rows):
        ended = run("register", *PERIOD, "--output", str(tmp_path / "october.csv"))
    assert ended.exit_code != 0
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_never_written_over(world: World, tmp_path: Path) -> None:
    path = tmp_path / "october.csv"
    path.write_text("mine")
    assert run("register", *PERIOD, "--output", str(path)).exit_code == 2
    assert path.read_text() == "mine"
    assert run("register", *PERIOD, "--output", str(tmp_path / "no" / "such.csv")).exit_code == 2


def test_nothing_is_written_while_the_index_is_being_rebuilt(world: World, tmp_path: Path) -> None:
    world.store.reindex.begin("2026-11-15T00:00:00.000Z", 1)
    ended = run("register", *PERIOD, "--output", str(tmp_path / "october.csv"))
    assert ended.exit_code == 1
    assert "rebuilt" in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_versions_are_those_of_the_bucket_and_no_object_is_read(world: World) -> None:
    at = world.move("user-1", "VERIFIED", at="2026-10-05T03:00:00.000Z")
    key = f"paypay/user-1/kyc_info/{at}-{SHA}.json"
    bucket = s3("vault")
    bucket.put_object(Bucket="vault", Key=key, Body=b"old")
    version = bucket.put_object(Bucket="vault", Key=key, Body=b"new")["VersionId"]
    bucket.put_object(Bucket="vault", Key=f"{key}.other", Body=b"another")
    with mock.patch.object(bucket, "get_object", side_effect=AssertionError, create=True):
        [row] = [json.loads(line) for line in run("register", *PERIOD, "--json", "--versions").stdout.splitlines()]
    assert (row["object"], row["objectVersion"]) == (key, version)


def test_whoever_may_not_read_the_lists_gets_no_header(world: World) -> None:
    """As with MaintenancePolicy, which allows the table and not its index."""
    with mock.patch.object(world.db, "query", side_effect=client_error("AccessDenied", "Query")):
        ended = run("register", *PERIOD)
    assert (ended.exit_code, ended.stdout) == (4, "")


@pytest.mark.parametrize("option", ["--versions", "--erased"])
def test_what_aws_refuses_is_known_before_the_first_row(world: World, option: str) -> None:
    world.move("user-1", "VERIFIED", at="2026-10-05T03:00:00.000Z")
    s3("vault")
    refused = client_error("AccessDenied", "Any")
    with (
        mock.patch.object(world.db, "scan", side_effect=refused, create=True),
        mock.patch.object(s3(), "list_object_versions", side_effect=refused, create=True),
    ):
        ended = run("register", *PERIOD, option)
    assert (ended.exit_code, ended.stdout) == (4, "")
    assert "OfficerPolicy" in ended.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        ["--from", "2026-10-31", "--to", "2026-10-01"],
        ["--from", "yesterday", "--to", "2026-10-01"],
        ["--from", "2026-13-01", "--to", "2026-13-02"],
        ["--from", "2026-11-16", "--to", "2026-11-20"],
        ["--from", "20261001", "--to", "20261031"],
        ["--from", "2026-10-01"],
        [*PERIOD, "--provider", "nobody"],
        [*PERIOD, "--status", "NOBODY"],
        [*PERIOD, "--provider", "vexora", "--status", "VERIFIED"],
        [*PERIOD, "--format", "xlsx"],
        [*PERIOD, "--lang", "fr"],
        [*PERIOD, "--format", "csv", "--json"],
    ],
)
def test_wrong_usage_is_said_before_anything_is_read(world: World, wrong: list[str]) -> None:
    with mock.patch.object(Register, "rows", side_effect=AssertionError):
        ended = run("register", *wrong)
    assert (ended.exit_code, ended.stdout) == (2, "")


def test_a_status_is_that_of_the_provider_who_has_it(world: World) -> None:
    world.move("user-1", "RISK_FLAGGED", at="2026-10-05T03:00:00.000Z")
    world.move("user-2", "APPROVED", "vexora", at="2026-10-06T03:00:00.000Z")
    ended = run("register", *PERIOD, "--status", "RISK_FLAGGED", "--json")
    assert [json.loads(line)["userId"] for line in ended.stdout.splitlines()] == ["user-1"]
    ended = run("register", *PERIOD, "--provider", "vexora", "--json")
    assert [json.loads(line)["userId"] for line in ended.stdout.splitlines()] == ["user-2"]


# --- kept registers ---


def test_a_register_is_kept_listed_and_got_without_whoever_was_erased_since(world: World, tmp_path: Path) -> None:
    for number in range(3):
        world.move(f"=user-{number}", "VERIFIED", at=f"2026-10-05T03:00:0{number}.000Z")
    kept = json.loads(run("register", *PERIOD, "--keep", "--json").stdout)
    assert (kept["from"], kept["to"], kept["rows"]) == ("2026-10-01", "2026-10-31", 3)
    assert kept["name"] in run("register", *PERIOD, "--keep").stderr + run("registers", "list").stdout
    listed = json.loads(run("registers", "list", "--json").stdout)["registers"]
    [mine] = [each for each in listed if each["name"] == kept["name"]]
    assert len(listed) == 2
    assert {name: mine[name] for name in kept} == kept

    world.erase("=user-1")
    path = tmp_path / "october.csv"
    said = json.loads(run("registers", "get", kept["name"], "--output", str(path), "--lang", "ja", "--json").stdout)
    assert (said["rows"], said["takenOut"], said["asOf"]) == (2, 1, kept["asOf"])
    assert {each["利用者ID"] for each in read_csv(path.read_bytes())} == {"'=user-0", "'=user-2"}
    ended = run("registers", "get", kept["name"], "--format", "jsonl")
    assert {json.loads(line)["userId"] for line in ended.stdout.splitlines()} == {"=user-0", "=user-2"}
    assert "1 rows were taken out" in ended.stderr


def test_no_authorization_is_in_a_kept_register(world: World) -> None:
    event_id = f"recon:kyc:2026-10-31:{AUTHORIZATION}:1"
    row = Row("u", "paypay", "VERIFIED", "2026-10-05T03:00:00.000Z", event_id=event_id)
    with mock.patch.object(Register, "rows", return_value=iter([row])):
        assert run("register", *PERIOD, "--keep").exit_code == 0
    keys = [each["Key"] for each in s3().list_objects_v2(Bucket="recon", Prefix="registers/")["Contents"]]
    bodies = [s3().get_object(Bucket="recon", Key=key)["Body"].read() for key in keys]
    assert not [each for each in bodies if AUTHORIZATION.encode() in each]
    assert any(b"2026-10-31" in each for each in bodies)


def test_a_register_that_is_not_kept_is_not_found(world: World) -> None:
    ended = run("registers", "get", "20261101T000000Z-1a2b3c")
    assert (ended.exit_code, ended.stdout) == (3, "")


def test_no_more_registers_are_kept_than_an_erasure_has_time_for(world: World) -> None:
    for number in range(100):
        s3().put_object(Bucket="recon", Key=f"registers/00/{number}", Body=b"open 1\n")
    ended = run("register", *PERIOD, "--keep")
    assert ended.exit_code == 1
    assert "100 registers" in ended.stderr


@pytest.mark.parametrize("option", [["--output", "x.csv"], ["--format", "csv"], ["--lang", "ja"]])
def test_a_kept_register_has_no_file_yet(world: World, option: list[str]) -> None:
    assert run("register", *PERIOD, "--keep", *option).exit_code == 2


def test_a_stdout_without_bytes_is_said() -> None:
    with mock.patch("sys.stdout", io.StringIO()), pytest.raises(UsageError), register.target(None):
        pass
