"""Each policy for people and for the back end, tried on the deployed stack: every command, every route.

An identity that has only that policy runs what docs/security.md ("Roles") lists. What the table allows works; what it
does not allow is refused in one sentence, and nothing of the stack has changed.
"""

import json
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from honninctl import app, roles
from local import demo, deployment
from local.demo_paypay import account_link, press_allow
from local.demo_recon import is_settled, play_night, report
from local.paths import TOOLS
from local.stack import AccessKey, Merchant, Stack
from tests.e2e import dead_letters, quiet, schedules
from tests.e2e.program import Ended, of_an_operator, ok
from tests.permissions import POLICIES, Row, rows
from tests.tables import template

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

_OF_PEOPLE = POLICIES[:-1]
_NIGHT_S = 180.0
_DEAD = ("DeadLetterQueueUrl", "ScheduleDeadLetterQueueUrl", "ReconDownloadDeadLetterQueueUrl")
# What changes by itself: the pace of calls, what was last asked of a provider, and the schedules' own notes. And the
# access record: who tried is in it, too.
_BY_ITSELF = ("ACCESS#", "PACE#", "PROVIDER#", "NOTIFICATION#", "RECEIVED#", "FAILURE#", "RECON#")


@dataclass(frozen=True)
class World:
    """What the commands are about. `reread` has ended; `restored` stands beside the state table; `register` is kept."""

    user_id: str
    event_id: str
    day: str
    reread: str
    restored: str
    register: str
    ids: Path


@dataclass
class Told:
    """What an earlier command of the same person has said: the reread that it began."""

    reread: str
    known: dict[str, Any] = field(default_factory=dict)


def _verified(stack: Stack) -> str:
    user_id = f"roles.{uuid.uuid4().hex[:12]}"
    stack.sandbox("PUT", f"/dials/paypay/{user_id}", json={"unkind": {"all": False}})
    press_allow(account_link(stack, user_id))
    assert stack.merchant.request("GET", f"/paypay/users/{user_id}/kyc-passport").json()["status"] == "VERIFIED"
    return user_id


@pytest.fixture(scope="module")
def world(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A verified user, a compared night, dead letters of every queue, a reread that has ended, a restored table."""
    # A reread that met stopped repairs waits for a quarter of an hour, and would change something in between.
    for each in ("RepairQueueUrl", "RereadQueueUrl"):
        stack.client("sqs").purge_queue(QueueUrl=stack.outputs[each])
    user_id = _verified(stack)
    day = play_night(stack)

    def compared() -> bool:
        stack.invoke("ReconDownloadFunction")
        return is_settled(report(stack, day))

    assert demo.wait_for(compared, _NIGHT_S)
    [link] = stack.sandbox("GET", f"/paypay/users/{user_id}")["authorizations"]
    event_id = dead_letters.add_event(stack, str(link["id"]))
    dead_letters.add_runs(stack)
    reread = ok(stack, "reread", "--status", "LINK_DECLINED", "--yes", "--watch")["name"]
    register = ok(stack, "register", "--from", day, "--to", day, "--keep")["name"]
    ids = tmp_path_factory.mktemp("roles") / "ids.txt"
    ids.write_text(f"{user_id}\n", encoding="utf-8")
    dynamodb, restored = stack.client("dynamodb"), f"{deployment.STACK_NAME}-restored"
    wanted = template()["Resources"]["StateTable"]["Properties"]
    schema = {key: wanted[key] for key in ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")}
    dynamodb.create_table(TableName=restored, BillingMode="PAY_PER_REQUEST", **schema)
    lost = {"pk": {"S": f"EVENT#lost-{uuid.uuid4()}"}, "sk": {"S": "EVENT"}, "user_id": {"S": user_id}}
    dynamodb.put_item(TableName=restored, Item=lost)
    # What a schedule does would be taken for what a command has done.
    with schedules.all_paused(stack):
        yield World(user_id, event_id, day, reread, restored, register, ids)
    dynamodb.delete_table(TableName=restored)


@pytest.fixture(scope="module")
def keys(stack: Stack) -> Iterator[Mapping[str, AccessKey]]:
    """For each policy an identity that has nothing else."""
    iam, made = stack.client("iam"), {}
    for policy in POLICIES:
        name = f"{policy}-{uuid.uuid4().hex[:8]}"
        iam.create_user(UserName=name)
        iam.attach_user_policy(UserName=name, PolicyArn=stack.outputs[f"{policy}Arn"])
        key = iam.create_access_key(UserName=name)["AccessKey"]
        made[policy] = (name, AccessKey(key["AccessKeyId"], key["SecretAccessKey"]))
    yield {policy: key for policy, (_, key) in made.items()}
    for policy, (name, key) in made.items():
        iam.detach_user_policy(UserName=name, PolicyArn=stack.outputs[f"{policy}Arn"])
        iam.delete_access_key(UserName=name, AccessKeyId=key.key_id)
        iam.delete_user(UserName=name)


# --- the commands ---

type Arguments = Callable[[World, Told], Sequence[str]]

# By the first name of a row of the table, in an order in which one person can run them all; each with the exit codes
# of a command that was allowed. `erase` is given a user of its own.
_COMMANDS: Mapping[str, tuple[Arguments, set[int]]] = {
    "status": (lambda w, _: ["status", w.user_id], {0}),
    "timeline": (lambda w, _: ["timeline", w.user_id], {0}),
    "access": (lambda w, _: ["access", w.user_id], {0}),
    "users": (lambda w, _: ["users", "--provider", "paypay", "--status", "VERIFIED"], {0}),
    "counts": (lambda w, _: ["counts"], {0}),
    "changes": (lambda w, _: ["changes", "today"], {0}),
    "expiring": (lambda w, _: ["expiring"], {0}),
    "status --at": (lambda w, _: ["status", w.user_id, "--at", w.day], {0}),
    "register": (lambda w, _: ["register", "--from", w.day, "--to", w.day], {0}),
    "register --versions": (lambda w, _: ["register", "--from", w.day, "--to", w.day, "--versions"], {0}),
    "register --erased": (lambda w, _: ["register", "--from", w.day, "--to", w.day, "--erased"], {0}),
    "register --keep": (lambda w, _: ["register", "--from", w.day, "--to", w.day, "--keep"], {0}),
    "registers list": (lambda w, _: ["registers", "list"], {0}),
    "registers get": (lambda w, _: ["registers", "get", w.register], {0}),
    "submissions": (lambda w, _: ["submissions"], {0}),
    "submissions --open": (lambda w, _: ["submissions", "--open"], {0}),
    "export": (lambda w, _: ["export", w.user_id], {0}),
    "export --whole-table": (lambda w, _: ["export", w.user_id, "--whole-table"], {0}),
    "export --reveal": (lambda w, _: ["export", w.user_id, "--reveal", "--reason", "a test"], {0}),
    "contract-end": (lambda w, _: ["contract-end", w.user_id, "--on", "today", "--reason", "a", "--yes"], {0}),
    "contract-ends": (lambda w, _: ["contract-ends", "--days", "3000"], {0}),
    "contract-end --cancel": (lambda w, _: ["contract-end", w.user_id, "--cancel"], {0}),
    "erase": (lambda w, _: ["erase", w.user_id, "--yes", "--reason", "a test"], {0}),
    "reread USER": (lambda w, _: ["reread", w.user_id], {0}),
    "reread --status": (lambda w, _: ["reread", "--status", "LINK_DECLINED", "--yes", "--watch"], {0}),
    "reread --all": (lambda w, _: ["reread", "--all", "--provider", "vexora", "--yes", "--watch"], {0, 1}),
    # From here to `repairs resume`: nothing is read, so that a reread can be stopped in the middle.
    "repairs stop": (lambda w, _: ["repairs", "stop", "--reason", "a test", "--yes"], {0}),
    "reread --file": (lambda w, _: ["reread", "--file", str(w.ids), "--yes"], {0}),
    "rereads pause": (lambda _, told: ["rereads", "pause", told.reread], {0}),
    "rereads resume": (lambda _, told: ["rereads", "resume", told.reread], {0}),
    "repairs status": (lambda w, _: ["repairs", "status"], {0, 1}),
    # The limit of losses stays off for the tests that come after this one (tests/e2e/conftest.py).
    "repairs resume": (lambda w, _: ["repairs", "resume", "--no-limit-for", "24", "--yes"], {0}),
    "rereads list": (lambda w, _: ["rereads", "list"], {0}),
    "rereads show": (lambda _, told: ["rereads", "show", told.reread, "--watch"], {0}),
    "recon DAY": (lambda w, _: ["recon", w.day], {0, 1}),
    "recon DAY --dry-run": (lambda w, _: ["recon", w.day, "--dry-run"], {0, 1}),
    "recon compare": (lambda w, _: ["recon", "compare", w.day], {0}),
    "recon calendar": (lambda w, _: ["recon", "calendar"], {0, 1}),
    "deadletters list": (lambda w, _: ["deadletters", "list"], {1}),
    "deadletters show": (lambda w, _: ["deadletters", "show", w.event_id], {0}),
    "deadletters redrive": (lambda w, _: ["deadletters", "redrive", "--yes", "--discard"], {0}),
    "webhooks list": (lambda w, _: ["webhooks", "list"], {0, 1}),
    "webhooks redrive": (lambda w, _: ["webhooks", "redrive", "--yes"], {0}),
    "webhooks test": (lambda w, _: ["webhooks", "test"], {0, 1}),
    "webhooks rotate": (lambda w, _: ["webhooks", "rotate", "--drop-previous"], {0}),
    "events replay": (lambda w, _: ["events", "replay", "--since", w.day, "--user", w.user_id, "--yes"], {0}),
    "reindex": (lambda w, _: ["reindex"], {0}),
    "restore": (lambda w, _: ["restore", "--from", w.restored, "--since", "2026-11-20T03:00:00Z"], {0}),
    "rotate-callback-key": (lambda w, _: ["rotate-callback-key", "--drop-previous"], {0}),
    "doctor": (lambda w, _: ["doctor"], {0}),
    "sign": (lambda w, _: ["sign", "vexora", "--field=userId=u", "--field=timestamp=1"], {0}),
    # Each loses its webhook, so that nothing of the stack changes. The user has not applied to Vexora (3).
    "trigger kyc": (lambda w, _: ["trigger", "kyc", w.user_id, "--lost"], {0}),
    "trigger risk": (lambda w, _: ["trigger", "risk", w.user_id, "--clear", "--lost"], {0}),
    "trigger account-status": (
        lambda w, _: ["trigger", "account-status", w.user_id, "--status", "active", "--lost"],
        {0},
    ),
    "trigger vexora-result": (lambda w, _: ["trigger", "vexora-result", w.user_id, "--lost"], {3}),
    "trigger recon-night": (lambda w, _: ["trigger", "recon-night", "--day", "2026-01-01", "--lost"], {0}),
    # Without --yes and without an answer, whatever is allowed.
    "delete-stack": (lambda w, _: ["delete-stack"], {1}),
}
# Tried by tests of their own.
_ELSEWHERE = {
    "console",
    "numbers and lists of users in the console, which leaves out what a role may not read",
    "the provider secret, which doctor looks at",
    "a scheduled run by hand, as deadletters says",
}


def _rows_of_commands() -> dict[str, Row]:
    """Each name of each row that is about honninctl."""
    return {name: row for row in rows() if not row.is_route for name in row.names}


def test_every_command_of_the_table_is_tried() -> None:
    assert _rows_of_commands().keys() == _COMMANDS.keys() | _ELSEWHERE


def _run(stack: Stack, key: AccessKey, *arguments: str) -> Ended:
    """In this process: over a hundred commands, and each new process takes seconds until it has begun."""
    env: dict[str, str | None] = {name: None for name in os.environ if name.startswith(("AWS_", "HONNIN_"))}
    env |= of_an_operator(stack)
    env |= {"AWS_ACCESS_KEY_ID": key.key_id, "AWS_SECRET_ACCESS_KEY": key.secret}
    done = CliRunner().invoke(app.program(), list(arguments), env=env)
    return Ended(done.exit_code, done.stdout, done.stderr)


@pytest.mark.parametrize("policy", _OF_PEOPLE)
def test_what_a_role_may_not_do_is_refused_and_leaves_no_trace(
    stack: Stack, world: World, keys: Mapping[str, AccessKey], policy: str
) -> None:
    forbidden = {name for name, row in _rows_of_commands().items() if policy not in row.allowed_by}
    before = _still(stack, world)
    for name, (arguments, _) in _COMMANDS.items():
        if name not in forbidden:
            continue
        ended = _run(stack, keys[policy], *arguments(world, Told(world.reread)))
        if name == "doctor":
            # It goes on with what may be looked at, and says of the rest which policy would do.
            assert ended.code == 1, ended.stderr
            assert f"→ {roles.advice('doctor')}" in ended.stdout
            continue
        assert (ended.code, ended.stdout) == (4, ""), (name, ended.stdout, ended.stderr)
        command = _command_of(arguments(world, Told(world.reread)))
        assert "your credentials do not allow it; " in ended.stderr, (name, ended.stderr)
        assert ended.stderr.splitlines()[-1].endswith(roles.advice(command)), (name, ended.stderr)
    assert _still(stack, world) == before


@pytest.mark.parametrize("policy", _OF_PEOPLE)
def test_what_a_role_may_do_works_with_its_policy_alone(
    stack: Stack, world: World, keys: Mapping[str, AccessKey], policy: str
) -> None:
    table = _rows_of_commands()
    told = Told(world.reread)
    tried = []
    try:
        for name, (arguments, codes) in _COMMANDS.items():
            if policy not in table[name].allowed_by:
                continue
            about = replace(world, user_id=_verified(stack)) if name == "erase" else world
            ended = _run(stack, keys[policy], *arguments(about, told), *(["--json"] if name == "reread --file" else []))
            assert ended.code in codes, (name, ended.code, ended.stdout, ended.stderr)
            assert "do not allow" not in ended.stdout + ended.stderr, (name, ended.stdout, ended.stderr)
            if name == "reread --file":
                told.reread = ended.json["name"]
            tried.append(name)
    finally:
        if "repairs stop" in tried:
            ok(stack, "repairs", "resume", "--no-limit-for", "24", "--yes")
    assert tried
    if policy == "OfficerPolicy":
        shown = _run(stack, keys[policy], "export", world.user_id, "--reveal", "--reason", "a test").json
        assert all(each["content"] for each in shown["personalData"] if not each["deleted"])
        assert shown["personalData"]
    if policy == "OperatorPolicy":
        [secret] = [
            each for each in _run(stack, keys[policy], "doctor", "--json").json["checks"] if each["topic"] == "secret"
        ]
        assert (secret["verdict"], "OperatorPolicy leaves it out" in secret["advice"]) == ("warn", True)


def _command_of(arguments: Sequence[str]) -> str:
    """The name by which `roles` knows what was typed."""
    if arguments[0] == "recon" and arguments[1][0].isdigit():
        return "recon DAY"
    two = " ".join(arguments[:2])
    return two if two in roles.ALLOWED_BY else arguments[0]


# --- what commands stand on, and what is not a command ---


@pytest.mark.parametrize("policy", POLICIES)
def test_no_policy_reaches_what_it_must_not(
    stack: Stack, world: World, keys: Mapping[str, AccessKey], policy: str
) -> None:
    """The calls themselves: the vault, the secrets, the queues, the functions, and items of users."""
    out, client = stack.outputs, _clients(stack, keys[policy])
    vault, table = out["PersonalDataBucketName"], out["StateTableName"]
    item = {"pk": {"S": f"USER#{world.user_id}"}, "sk": {"S": "PROBE"}}
    entry = item | {"pk": {"S": "ACCESS#probe"}}
    write = {"UpdateExpression": "SET a = :a", "ExpressionAttributeValues": {":a": {"S": "probe"}}}
    resume = {"pk": {"S": "READINGS"}, "sk": {"S": "PROBE"}}
    attempts: dict[str, tuple[Callable[[], Any], set[str]]] = {
        "list the vault": (lambda: client("s3").list_objects_v2(Bucket=vault), set()),
        "read the vault": (lambda: client("s3").get_object(Bucket=vault, Key="paypay/probe"), set()),
        "write the vault": (lambda: client("s3").put_object(Bucket=vault, Key="paypay/probe", Body=b""), set()),
        "delete from the vault": (lambda: client("s3").delete_object(Bucket=vault, Key="paypay/probe"), set()),
        "read the providers' secret": (
            lambda: client("secretsmanager").get_secret_value(SecretId=out["ProvidersSecretArn"]),
            set(),
        ),
        "write the providers' secret": (
            lambda: client("secretsmanager").put_secret_value(SecretId=out["ProvidersSecretArn"], SecretString="{}"),
            set(),
        ),
        "read a user's item": (
            lambda: client("dynamodb").get_item(TableName=table, Key=item),
            {"OfficerPolicy", "OperatorPolicy", "MaintenancePolicy"},
        ),
        "update a user's item": (
            lambda: client("dynamodb").update_item(TableName=table, Key=item, **write),
            {"MaintenancePolicy"},
        ),
        "put a user's item": (
            lambda: client("dynamodb").put_item(TableName=table, Item=item),
            {"MaintenancePolicy"},
        ),
        "add to the access record": (
            lambda: client("dynamodb").put_item(TableName=table, Item=entry),
            {"ReaderPolicy", "OfficerPolicy", "OperatorPolicy", "MaintenancePolicy"},
        ),
        "update the access record": (
            lambda: client("dynamodb").update_item(TableName=table, Key=entry, **write),
            set(),
        ),
        "delete from the access record": (lambda: client("dynamodb").delete_item(TableName=table, Key=entry), set()),
        "replace an entry of the access record in a batch": (
            lambda: client("dynamodb").batch_write_item(RequestItems={table: [{"PutRequest": {"Item": entry}}]}),
            set(),
        ),
        "read an entry of the access record": (
            lambda: client("dynamodb").get_item(TableName=table, Key=entry),
            {"OfficerPolicy", "MaintenancePolicy"},
        ),
        "read it in a batch with an item of a user": (
            lambda: client("dynamodb").batch_get_item(RequestItems={table: {"Keys": [item, entry]}}),
            {"OfficerPolicy", "MaintenancePolicy"},
        ),
        "query the access record": (
            lambda: client("dynamodb").query(
                TableName=table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": entry["pk"]},
            ),
            {"OfficerPolicy", "MaintenancePolicy"},
        ),
        "query a user's items": (
            lambda: client("dynamodb").query(
                TableName=table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": item["pk"]},
            ),
            {"OfficerPolicy", "OperatorPolicy", "MaintenancePolicy"},
        ),
        "update the mark of repairs": (
            lambda: client("dynamodb").update_item(TableName=table, Key=resume, **write),
            {"OperatorPolicy"},
        ),
        "delete a user's item": (lambda: client("dynamodb").delete_item(TableName=table, Key=item), set()),
        "delete a user's item in a batch": (
            lambda: client("dynamodb").batch_write_item(RequestItems={table: [{"DeleteRequest": {"Key": item}}]}),
            set(),
        ),
        "receive a live event": (lambda: client("sqs").receive_message(QueueUrl=out["EventQueueUrl"]), set()),
        "purge the dead letters": (lambda: client("sqs").purge_queue(QueueUrl=out["DeadLetterQueueUrl"]), set()),
        "describe the bus": (
            lambda: client("events").describe_event_bus(Name=out["EventBusName"]),
            {"OperatorPolicy"},
        ),
        "ask for the limits": (lambda: client("lambda").get_account_settings(), {"OperatorPolicy"}),
        "run the poll": (
            lambda: client("lambda").invoke(FunctionName=out["VexoraStatusPollFunctionName"]),
            {"OperatorPolicy"},
        ),
        "run the erasure": (
            lambda: client("lambda").invoke(FunctionName=stack.function_name("ErasureFunction")),
            set(),
        ),
        "enable the mapping of live events": (
            lambda: client("lambda").update_event_source_mapping(
                UUID=stack.physical_id("EventProcessorSource"), Enabled=True
            ),
            set(),
        ),
        "stop a comparison": (
            lambda: client("stepfunctions").stop_execution(
                executionArn=out["ReconComparisonArn"].replace(":stateMachine:", ":execution:") + ":none"
            ),
            set(),
        ),
        "attach a policy": (
            lambda: client("iam").attach_user_policy(UserName="x", PolicyArn=out["OfficerPolicyArn"]),
            set(),
        ),
    }
    allowed = {name for name, (attempt, _) in attempts.items() if not _is_denied(attempt)}
    stack.client("dynamodb").delete_item(TableName=table, Key=item)
    stack.client("dynamodb").delete_item(TableName=table, Key=resume)
    assert allowed == {name for name, (_, policies) in attempts.items() if policy in policies}


def _is_denied(attempt: Callable[[], Any]) -> bool:
    try:
        attempt()
    except ClientError as error:
        # Denied, or let through to something that is not there.
        return error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException", "AuthorizationError")
    return False


def _clients(stack: Stack, key: AccessKey) -> Callable[[str], Any]:
    make: Any = boto3.client  # its overloads want literal names
    return lambda service: make(
        service,
        endpoint_url=stack.endpoint,
        region_name=stack.region,
        aws_access_key_id=key.key_id,
        aws_secret_access_key=key.secret,
    )


@pytest.mark.parametrize("policy", POLICIES)
def test_each_route_answers_those_whom_the_table_allows(
    stack: Stack, world: World, keys: Mapping[str, AccessKey], policy: str
) -> None:
    caller = replace(stack.merchant, access_key=keys[policy])
    before = _still(stack, world)
    routes = [row for row in rows() if row.is_route]
    for row in routes:
        if policy not in row.allowed_by:
            answer = _call(caller, row, world.user_id, world.day)
            # Of a refusal by IAM the emulator does not use the API's gateway response, ACCESS_DENIED.
            assert (answer.status_code, answer.headers["x-amzn-ErrorType"]) == (403, "AccessDeniedException"), row.text
    assert _still(stack, world) == before
    for row in routes:
        if policy in row.allowed_by:
            answer = _call(caller, row, f"nobody.{uuid.uuid4().hex[:12]}", world.day)
            assert answer.status_code not in (401, 403, 500), (row.text, answer.text)


def _call(caller: Merchant, row: Row, user_id: str, day: str) -> requests.Response:
    method, _, path = row.names[0].partition(" ")
    filled = path.format(userId=user_id, codeId="a-code", date=day)
    query = {"/overview/users": "?provider=paypay&status=VERIFIED", "/overview/changes": f"?from={day}&to={day}"}
    query |= {"/overview/expiring": "?within=30d"}
    body: Any = {"userId": user_id} if method == "POST" else None
    return caller.request(method, filled + query.get(path, ""), json=body)


@pytest.mark.parametrize("policy", _OF_PEOPLE)
def test_the_console_shows_each_role_what_it_may_see(
    stack: Stack, world: World, keys: Mapping[str, AccessKey], policy: str
) -> None:
    before = _still(stack, world)
    with _console(stack, keys[policy]) as url, requests.Session() as session:
        session.trust_env = False
        found = {
            page: session.get(url + page, timeout=60).status_code
            for page in ("en/", f"en/user?id={world.user_id}", f"en/recon/{world.day}", "en/dead-letters")
        }
    user, day, letters = (found[page] for page in list(found)[1:])
    assert found["en/"] == 200
    assert user == (403 if policy == "MaintenancePolicy" else 200)
    assert (day, letters) == ((200, 200) if policy == "OperatorPolicy" else (403, 403)), found
    assert _still(stack, world) == before


@contextmanager
def _console(stack: Stack, key: AccessKey) -> Iterator[str]:
    """The address of a console of that person's."""
    env = of_an_operator(stack) | {"AWS_ACCESS_KEY_ID": key.key_id, "AWS_SECRET_ACCESS_KEY": key.secret}
    command = [str(TOOLS / "bin" / "honninctl"), "console", "--port", "0", "--no-browser"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        program.stdout.readline()
        try:
            yield program.stdout.readline().strip()
        finally:
            program.terminate()


def test_the_back_end_may_run_no_command(stack: Stack, world: World, keys: Mapping[str, AccessKey]) -> None:
    for arguments in (["status", world.user_id], ["deadletters", "list"], ["doctor"]):
        ended = _run(stack, keys["BackendPolicy"], *arguments)
        assert (ended.code, ended.stdout) == (4, ""), (arguments, ended.stderr)


# --- traces ---


def _still(stack: Stack, world: World) -> dict[str, Any]:
    """All that a command could have changed, once nothing is at work any more."""
    quiet.wait(stack)
    out, states = stack.outputs, stack.client("stepfunctions")
    pages = (
        stack.client("dynamodb").get_paginator("scan").paginate(TableName=out["StateTableName"], ConsistentRead=True)
    )
    items = {
        f"{item['pk']['S']} {item['sk']['S']}": json.dumps(item, sort_keys=True)
        for page in pages
        for item in page["Items"]
        if not item["pk"]["S"].startswith(_BY_ITSELF)
    }
    secrets = [stack.client("secretsmanager").get_secret_value(SecretId=stack.physical_id("CallbackKeySecret"))]
    return {
        "items": items,
        "dead letters": {each: quiet.waiting(stack, each) for each in _DEAD},
        "secret": [each["VersionId"] for each in secrets],
        "executions": [
            each["executionArn"]
            for machine in quiet.MACHINES
            for each in states.list_executions(stateMachineArn=out[machine])["executions"]
        ],
        "mappings": {
            each: stack.client("lambda").get_event_source_mapping(UUID=stack.physical_id(each))["State"]
            for each in ("EventProcessorSource", "RepairSource", "RereadSource")
        },
        "objects": {
            f"{bucket}/{each['Key']} {each['VersionId']}"
            for bucket in (out["PersonalDataBucketName"], out["ReconBucketName"])
            for page in stack.client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket)
            for each in page.get("Versions", []) + page.get("DeleteMarkers", [])
        },
    }
