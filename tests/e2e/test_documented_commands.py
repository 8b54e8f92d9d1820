"""The documents' own commands, run: the README's session as it stands, and each form of honninctl and of `make`.

Not run here: the targets of `documents.NOT_RUN` (what starts the stack or the tests, above all: the gate is that run),
and commands of the AWS CLI, whose blocks are marked (tests/template/test_docs.py looks at the names in them).
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests

from honnin.status import PayPayStatus
from local import environment, ports
from local.demo import status
from local.demo_paypay import account_link, press_allow
from local.deployment import STACK_NAME
from local.paths import env_file
from local.stack import Stack
from tests import documents
from tests.documents import ROOT, Command
from tests.e2e import program, quiet, schedules
from tests.e2e.program import Ended
from tests.tables import template

pytestmark = pytest.mark.e2e

# Its commands, a download, the comparison and the repair.
_SESSION_S = 280
# Between the outputs of two commands, with the exit code of the one before.
_END = "\x1e"

# Exit code 1 of these is an answer: something was found (cli/README.md). 3: nothing is known of that day.
_MAY_FIND = re.compile(
    r"honninctl (recon |trigger recon-night|deadletters list|rereads |reread --|webhooks |doctor .*--registered-ip)"
)
# Also of a stack that sends no merchant webhooks.
_MAY_KNOW_NOTHING = re.compile(r"honninctl (recon (compare )?(yesterday|DAY|2026-)|webhooks )")
# What is asked for last: it takes away what the others show, for a while or for good.
_TAKES_AWAY = re.compile(r"honninctl (erase|reindex|deadletters redrive|webhooks (redrive|rotate))")
# What repairs and rereads wait for in between; the last one is what the tests began with (conftest.py).
_STOPS = re.compile(r"honninctl repairs (stop|resume)")

# A test run in the background ignores SIGINT, and so would what it starts.
_HEARS_CTRL_C = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
)


# --- preparation ---


@pytest.fixture
def mika(stack: Stack) -> Iterator[None]:
    """The user whom `make run` has linked; afterwards PayPay knows of no flag, and her account is active."""
    _verify(stack, "mika")
    yield
    stack.sandbox("POST", "/paypay/users/mika/risk", json={"flag": None})
    stack.sandbox("POST", "/paypay/users/mika/account", json={"status": "active"})


@pytest.fixture
def shopper(stack: Stack) -> None:
    """The user of the example session, who has submitted to Vexora."""
    if status(stack, "user-100") is None:
        body = {"userId": "user-100", "usernameFurigana": "テスト ハナコ"}
        assert stack.merchant.request("POST", "/vexora/submissions", json=body).status_code == 201


def _verify(stack: Stack, user_id: str) -> str:
    if status(stack, user_id, "paypay") != "VERIFIED":
        press_allow(account_link(stack, user_id))
        assert stack.merchant.request("GET", f"/paypay/users/{user_id}/kyc-passport").json()["status"] == "VERIFIED"
    return user_id


def _new_user(stack: Stack) -> str:
    return _verify(stack, f"docs.{uuid.uuid4().hex[:10]}")


def _environment(**more: str) -> dict[str, str]:
    """Nothing of the developer's own settings; a browser that opens nothing."""
    return {
        "PATH": os.defpath,
        "HOME": "/nonexistent",
        "LANG": "C.UTF-8",
        "BROWSER": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
        **more,
    }


def _credentials(stack: Stack) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": environment.DEPLOYER_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": environment.DEPLOYER_SECRET,
        "AWS_DEFAULT_REGION": stack.region,
    }


# --- the README's session ---


@pytest.mark.timeout(_SESSION_S + 300)  # the first test of its part waits for the stack, too
def test_the_session_of_the_readme_runs_as_it_stands(stack: Stack, mika: None, tmp_path: Path) -> None:
    """In one shell, in order, and prints what the README says. Only what the README leaves open is filled in."""
    said = [command for block in documents.session() for command in documents.commands(block.text)]
    assert len(said) > 20, "the README has its session"
    script = tmp_path / "session.sh"
    pieces = [f"{_filled(each.script, stack)}\nprintf '{_END}%d\\n' $?\n" for each in said]
    script.write_text("set -u -o pipefail\n" + "".join(pieces), encoding="utf-8")

    with schedules.firing(stack, "ReconDownloadFunctionEvery5Minutes"):
        done = _shell(script, stack)

    outputs = re.split(f"{_END}(\\d+)\n", done.stdout)
    assert len(outputs) == 2 * len(said) + 1, f"stopped at: {said[len(outputs) // 2].script}\n{done.stderr}"
    wrong = [
        f"{command.script}\nended with {code}:\n{output}"
        for command, output, code in zip(said, outputs[::2], outputs[1::2], strict=False)
        if int(code) not in _codes(command.script) or not _agrees(command, output)
    ]
    assert not wrong, "\n".join([*wrong, done.stderr])
    assert "Traceback" not in done.stderr


def _shell(script: Path, stack: Stack) -> Ended:
    process = subprocess.Popen(
        ["bash", str(script)],
        cwd=ROOT,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        return Ended(0, *process.communicate(timeout=_SESSION_S))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return Ended(1, *process.communicate())


def _filled(script: str, stack: Stack) -> str:
    """The command with the `env` file of this stack and, where the README leaves a value open, that value."""
    here = script.replace("build/local/env", str(env_file(stack.name).relative_to(ROOT)))
    if not (open_value := re.fullmatch(r"([A-Z_]+)=(\S*…\S*)", here)):
        assert "…" not in here, f"the test cannot fill in: {script}"
        return here
    name, form = open_value.groups()
    assert (name, form) == ("CONSENT", "…")
    return f"CONSENT={shlex.quote(account_link(stack, 'you'))}"


def _agrees(command: Command, output: str) -> bool:
    """Whether what came is what the comments at a command say; `…` stands for anything."""
    form = re.escape("".join(command.expected)).replace("…", ".*")
    said = output.strip().replace("\n", "")  # as the comments' lines are put together
    as_written = not command.expected or re.fullmatch(form, said) is not None
    # Behind a command of the session: the status that it shows.
    status_shown = not re.fullmatch(r"[A-Z_]+", command.remark) or f'"{command.remark}"' in output
    return as_written and status_shown


def _codes(command: str) -> tuple[int, ...]:
    return (0, *([1] if _MAY_FIND.search(command) else []), *([3] if _MAY_KNOW_NOTHING.search(command) else []))


# --- honninctl ---


@pytest.mark.timeout(900)  # on a busy machine each takes many seconds
def test_each_form_of_honninctl_in_the_documents_runs(stack: Stack, mika: None, shopper: None, tmp_path: Path) -> None:
    """With a documented exit code, and never with a traceback or as wrong usage."""
    # `local` starts, empties and ends a whole stack: test_local_commands.py does, with one of its own.
    forms = sorted(each for each in documents.honninctl_forms() if not each.startswith("honninctl local "))
    assert len(forms) > 20
    ids = tmp_path / "ids.txt"
    ids.write_text("user-100\n", encoding="utf-8")
    values = _values(stack) | {"ids.txt": str(ids), "STATUS": "UNCONFIRMED", "NAME": _reread(stack)}

    words = ["honninctl", "register", "--from", values["DAY"], "--to", values["DAY"], "--keep", "--json"]
    kept = str(json.loads(_honninctl(stack, words, "").stdout)["name"])

    def run(form: str) -> tuple[str, Ended]:
        named = documents.NAMED.findall(form)
        # A register is never written over, and several forms write one.
        here = values | {"october.csv": str(tmp_path / f"{uuid.uuid4().hex}.csv")}
        here |= {"NAME": kept} if "registers get" in form else {}
        words = shlex.split("honninctl {} --help".format(*named) if named else _with_values(form, here))
        # All users are not read again: other tests count the entries of their timelines.
        is_asked = {"redrive", "repairs", "--status", "--file"} & set(words)
        answer = "y" if is_asked else next((each for each in words[2:] if not each.startswith("-")), "")
        return form, _console(stack, words) if words[1] == "console" else _honninctl(stack, words, answer)

    alone = {pattern: list(filter(pattern.search, forms)) for pattern in (_STOPS, _TAKES_AWAY)}
    with ThreadPoolExecutor(3) as some:
        ended = dict(some.map(run, (each for each in forms if not any(each in some for some in alone.values()))))
    # A reread that meets stopped repairs waits for a quarter of an hour.
    quiet.wait(stack)
    # `stop` first, and the longest `resume`, without a limit, last.
    ended |= dict(map(run, sorted(alone[_STOPS], key=lambda each: ("stop" not in each, len(each)))))
    # An authorization can be ended with the first erasure only.
    ended |= dict(map(run, sorted(alone[_TAKES_AWAY], key=lambda each: "--unlink" not in each)))
    wrong = [f"{form}\n{each}" for form, each in ended.items() if each.code not in _codes(form) or _broke(each)]
    assert not wrong, "\n".join(wrong)


def _broke(ended: Ended) -> bool:
    return "Traceback" in ended.stdout + ended.stderr


def _values(stack: Stack) -> dict[str, str]:
    """What the documents' placeholders stand for here."""
    return {
        "USER": _new_user(stack),
        "<test user>": _new_user(stack),
        "DAY": datetime.now(ZoneInfo("Asia/Tokyo")).date().isoformat(),
        "ID": _dead_letter(stack),
        "TEXT": "a-test",
        "TICKET": "desk-4711",
        "NAME=VALUE": "userId=user-100",
        "URL": f"{stack.sandbox_url}/v2/user/authorizations",
        "<each address>": "203.0.113.10",
        '"$STACK"': STACK_NAME,
        "honnin-dev": STACK_NAME,
        "8700": str(ports.free_port()),
    }


def _with_values(form: str, values: dict[str, str]) -> str:
    filled = form
    for name, value in values.items():
        filled = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w=])", value, filled)
    left = {*re.findall(r"[<>…$]|\b[A-Z_]{3,}\b", filled)} - {*PayPayStatus}  # a status stands for itself
    assert not left, f"the test cannot fill in: {form}"
    return filled


def _reread(stack: Stack) -> str:
    """One of nobody: `show`, `pause` and `resume` find it running or done."""
    words = ["honninctl", "reread", "--status", "LINK_DECLINED", "--yes", "--json"]
    return str(json.loads(_honninctl(stack, words, "").stdout)["name"])


def _dead_letter(stack: Stack) -> str:
    event_id = f"docs-{uuid.uuid4().hex[:8]}"
    body = f'{{"v": 1, "event_id": "{event_id}", "provider": "paypay", "kind": "kyc", "cause": "webhook", '
    body += f'"subject": "nobody-{event_id}", "received_at": "2026-11-21T12:00:00.000Z", "detail": {{}}}}'
    attributes: Any = {"errorType": {"DataType": "String", "StringValue": "KeyError"}}
    stack.client("sqs").send_message(
        QueueUrl=stack.outputs["DeadLetterQueueUrl"], MessageBody=body, MessageAttributes=attributes
    )
    return event_id


def _honninctl(stack: Stack, words: list[str], answer: str) -> Ended:
    """Run the program; where it asks, a person at a terminal types the answer."""
    person, terminal = os.openpty()
    try:
        os.write(person, f"{answer}\n".encode())
        return program.forked(words[1:], _at_the_stack(stack), stdin=terminal)
    finally:
        os.close(person)
        os.close(terminal)


def _at_the_stack(stack: Stack) -> dict[str, str]:
    return _environment(HONNIN_STACK=STACK_NAME, HONNIN_ENDPOINT=stack.endpoint, COLUMNS="200", **_credentials(stack))


def _console(stack: Stack, words: list[str]) -> Ended:
    """Start it, load the page whose address it prints, press Ctrl-C."""
    with subprocess.Popen(
        [sys.executable, "-c", _HEARS_CTRL_C, ".venv/bin/honninctl", *words[1:]],
        cwd=ROOT,
        env=_at_the_stack(stack) | {"PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as console:
        assert console.stdout is not None
        try:
            shown = ""
            while not (address := re.search(r"http://127\.0\.0\.1:\d+/\S*", shown)):
                line = console.stdout.readline()
                if not line:
                    return Ended(console.wait(10) or 1, shown, f"no address: {shown}")
                shown += line
            with requests.Session() as session:
                session.trust_env = False
                page = session.get(address[0], timeout=60)
            console.send_signal(signal.SIGINT)
            rest = console.communicate(timeout=20)[0]
        finally:
            console.kill()
    return Ended(console.returncode, shown + rest, "" if page.ok else f"Traceback: HTTP {page.status_code}")


# --- make ---


@pytest.mark.timeout(300)
def test_each_target_that_works_on_a_stack_runs_against_the_local_one(stack: Stack) -> None:
    """With `AWS_ENDPOINT_URL`, and nothing to ask: what deletes the stack then deletes nothing."""
    user_id = _new_user(stack)
    authorization = _restored_table_with_a_lost_link(stack, user_id)
    forms = [each for each in documents.make_forms() if documents.target_of(each) not in documents.NOT_RUN]
    assert {documents.target_of(each) for each in forms} == {"redrive", "restore", "delete-stack"}
    wrong = []
    for form in forms:
        ended = _make(stack, form)
        refused = "delete-stack" in form
        if ended.code != (2 if refused else 0) or (refused and "you cannot be asked" not in ended.stderr):
            wrong.append(f"{form}\n{ended}")
    stack.client("dynamodb").delete_table(TableName=f"{STACK_NAME}-restored")
    assert not wrong, "\n".join(wrong)
    assert _linked_user(stack, authorization) == user_id


@pytest.mark.parametrize("target", sorted(documents.WRITES))
def test_each_target_that_writes_a_file_of_the_tree_changes_nothing(stack: Stack, target: str) -> None:
    """Those files are up to date (tests/template holds them so), and the target writes them as they are."""
    places = [ROOT / each for each in documents.WRITES[target]]
    before = [each.read_bytes() for each in places]
    changed: list[str] = []
    try:
        ended = _make(stack, f"make {target}")
    finally:
        for place, content in zip(places, before, strict=True):
            if place.read_bytes() != content:
                changed.append(place.name)
                place.write_bytes(content)
    assert ended.code == 0, ended
    assert changed == []


def _restored_table_with_a_lost_link(stack: Stack, user_id: str) -> str:
    """What a restore leaves: a copy of the state table beside it. The user's link is lost from the live one."""
    db, live, restored = stack.client("dynamodb"), stack.outputs["StateTableName"], f"{STACK_NAME}-restored"
    schema = template()["Resources"]["StateTable"]["Properties"]
    names = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    db.create_table(TableName=restored, **{name: schema[name] for name in names})
    for page in db.get_paginator("scan").paginate(TableName=live):
        for item in page["Items"]:
            db.put_item(TableName=restored, Item=item)
    [authorization] = stack.sandbox("GET", f"/paypay/users/{user_id}")["authorizations"]
    db.delete_item(TableName=live, Key=_link_key(authorization["id"]))
    assert _linked_user(stack, authorization["id"]) is None
    return str(authorization["id"])


def _linked_user(stack: Stack, authorization: str) -> str | None:
    answer = stack.client("dynamodb").get_item(
        TableName=stack.outputs["StateTableName"], Key=_link_key(authorization), ConsistentRead=True
    )
    return answer["Item"]["user_id"]["S"] if "Item" in answer else None


def _link_key(authorization: str) -> dict[str, Any]:
    return {"pk": {"S": f"PAYPAY#{authorization}"}, "sk": {"S": "LINK"}}


def _make(stack: Stack, form: str) -> Ended:
    script = re.sub(r"STACK=honnin-\w+", f"STACK={STACK_NAME}", form)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env=_environment(STACK=STACK_NAME, AWS_ENDPOINT_URL=stack.endpoint, **_credentials(stack)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)
