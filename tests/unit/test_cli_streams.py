"""honninctl's streams: terminals that cannot show everything, readers who have gone, streams that are not there."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.cli_everything import COMMANDS, NAME

ROOT = Path(__file__).resolve().parents[2]
# Exit codes of cli_everything's commands, where they are not 0.
CODES = {"wrong usage": 2, "unknown user": 2, "recon of a day": 1, "deadletters list": 1, "doctor": 1}

TERMINALS: dict[str, dict[str, str]] = {
    "cp932": {"LANG": "C.UTF-8", "PYTHONIOENCODING": "cp932"},
    "euc_jp": {"LANG": "C.UTF-8", "PYTHONIOENCODING": "euc_jp"},
    "ascii": {"LANG": "C.UTF-8", "PYTHONIOENCODING": "ascii"},
    "C locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
ENCODINGS = {"C locale": "ascii"}


def _environment(**more: str) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "HOME": "/nonexistent",
        "PYTHONPATH": f"{ROOT / 'cli'}:{ROOT / 'layers/honnin'}:{ROOT}",
        "PYTHONPYCACHEPREFIX": str(ROOT / "build/pycache"),
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "EXAMPLEKEY",
        "AWS_DEFAULT_REGION": "ap-northeast-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "HONNIN_STACK": "honnin-test",
        **more,
    }


def _honninctl(script: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """A line of shell in which `$H` is the program."""
    return subprocess.run(
        ["bash", "-c", script],
        env=_environment(H=f"{sys.executable} -m honninctl", **environment),
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("terminal", TERMINALS)
def test_every_command_ends_as_it_should_whatever_the_terminal_can_show(terminal: str, tmp_path: Path) -> None:
    secret, result = tmp_path / "secret", tmp_path / "codes.json"
    secret.write_text("app-secret\n")
    done = subprocess.run(
        [sys.executable, "-m", "tests.fakes.cli_everything", secret, result],
        cwd=ROOT,
        env=_environment(**TERMINALS[terminal]),
        capture_output=True,
        timeout=100,
        check=False,
    )
    encoding = ENCODINGS.get(terminal, terminal)
    shown, notes = done.stdout.decode(encoding), done.stderr.decode(encoding)
    assert done.returncode == 0, notes
    assert json.loads(result.read_text()) == {name: CODES.get(name, 0) for name in COMMANDS}
    for broken in ("Traceback", "UnicodeEncodeError", "Exception ignored", "unexpected"):
        assert broken not in shown + notes
    parts = dict(each.partition("\n")[::2] for each in shown.split("=== ")[1:])
    assert [name for name, text in parts.items() if not text.strip()] == ["wrong usage", "unknown user"]
    # For people what cannot be shown is replaced, and symbols of ours stay readable; for scripts nothing is lost.
    assert f"PENDING {'→' if terminal in ('cp932', 'euc_jp') else '->'} REJECTED" in parts["timeline"]
    assert json.loads(parts["timeline as JSON"])["entries"][0]["detail"] == {"reason": NAME}
    assert json.loads(parts["export"])["timeline"][0]["detail"] == {"reason": NAME}
    assert json.loads(parts["export"])["personalData"][0]["content"] == {"name": NAME}
    assert json.loads(parts["sign vexora as JSON"])["stringToSign"] == f"n={NAME}"


@pytest.mark.parametrize("terminal", TERMINALS)
def test_an_argument_is_what_was_typed_in_any_locale(terminal: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes("\ufeffsecret\r\n".encode())  # as Windows saves it
    line = tmp_path / "curl.txt"
    line.write_text("curl https://h/ -F usernameFurigana=テスト")
    typed = _honninctl(
        f"$H sign vexora --field usernameFurigana=テスト --secret-file {secret} --json", **TERMINALS[terminal]
    )
    read = _honninctl(f"$H sign vexora - --secret-file {secret} --json <{line}", **TERMINALS[terminal])
    assert (typed.returncode, read.returncode) == (0, 0), typed.stderr + read.stderr
    # md5("usernameFurigana=テストsecret")
    encoding = ENCODINGS.get(terminal, terminal)
    signs = {json.loads(each.stdout.decode(encoding))["result"]["sign"] for each in (typed, read)}
    assert signs == {"4d37c79368efe4e66f1d8936ca31d4a2"}


@pytest.mark.parametrize(
    "script",
    [
        r"$H status $'\xff\xfe'",
        r"printf '\xff\xfe' | LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 $H sign vexora - --secret-file /dev/null",
        r"printf '\xff' >$S; $H sign vexora --field a=b --secret-file $S",
        r"$H sign vexora 'curl http://[::1 -d a=b' --secret-file /dev/null",
        r"$H status u --stack $'a\xff'",
    ],
)
def test_what_is_no_text_is_wrong_usage(script: str, tmp_path: Path) -> None:
    ended = _honninctl(script, S=str(tmp_path / "secret"), LANG="C.UTF-8")
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert len(ended.stderr.strip().splitlines()) == 1
    assert b"unexpected" not in ended.stderr


def test_a_reader_who_has_gone_ends_it_quietly(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    long = " ".join(f"--field n{number}={'x' * 2000}" for number in range(40))
    for option in ("", "--json"):
        ended = _honninctl(
            f"$H sign vexora {long} --secret-file {secret} {option} | head -c 10 >/dev/null; exit ${{PIPESTATUS[0]}}"
        )
        assert (ended.returncode, ended.stderr) == (141, b"")


@pytest.mark.parametrize("redirection", [">&-", "<&- >&-"])
def test_without_stdout_nothing_is_done_and_it_says_so(redirection: str, tmp_path: Path) -> None:
    ended = _honninctl(f"$H sign vexora --field a=b --secret-file /dev/null {redirection}")
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert ended.stderr.startswith(b"honninctl: standard output is closed")


@pytest.mark.parametrize("redirection", ["<&-", "2>&-", "<&- 2>&-", "2>/dev/full"])
def test_without_stdin_or_stderr_it_works_all_the_same(redirection: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    ended = _honninctl(f"$H sign vexora --field a=b --secret-file {secret} --json {redirection}")
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert json.loads(ended.stdout)["provider"] == "vexora"


def test_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    ended = _honninctl(f"$H sign vexora --field a=b --secret-file {secret} --json >/dev/full")
    assert ended.returncode == 1
    assert ended.stderr.decode().startswith("honninctl: the operating system refuses")
    assert len(ended.stderr.splitlines()) == 1


def test_logs_of_libraries_go_nowhere() -> None:
    """botocore logs a failed renewal of credentials with its text, and Python writes that to stderr unasked."""
    script = (
        "import logging; from honninctl import streams; streams.prepare(); "
        "logging.getLogger('botocore.credentials').warning('token: SECRET')"
    )
    done: Any = subprocess.run(
        [sys.executable, "-c", script], env=_environment(), capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
