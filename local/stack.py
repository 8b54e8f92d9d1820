"""The deployed local stack: for `make run`, `make up`, the end-to-end tests, and tests of yours.

with local.stack.running("e2e") as stack:
    answer = stack.merchant.request("POST", "/vexora/submissions", json={...})
    stack.client("sqs").get_queue_attributes(QueueUrl=stack.outputs["EventQueueUrl"], ...)
"""

import contextlib
import fcntl
import functools
import json as jsonlib
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import botocore.session
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from local import deployment, description, emulator, environment, ports, providers
from local.differences import Setting, require_known, settings
from local.errors import LocalError
from local.paths import DEFAULT_NAME, description_file, env_file, run_directory
from local.steps import QuietSteps, Steps

_PROVIDERS = {"PayPayBaseUrl", "VexoraBaseUrl"}
_MERCHANT_USER = "merchant-back-end"
_REQUEST_TIMEOUT_S = 35.0
# The emulator looks four times a second (emulator_at_once.py), but the machine may be busy.
_FIRED_S = 60.0
_FIRED_POLL_S = 0.05


@dataclass(frozen=True)
class AccessKey:
    """A long-lived key of an IAM user."""

    key_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Merchant:
    """The merchant's back end: an IAM user that may call the merchant API and nothing else."""

    url: str
    region: str
    access_key: AccessKey

    def request(
        self,
        method: str,
        path: str,
        json: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Call `path` (with a leading slash) of the merchant API, signed with SigV4 for `execute-api`."""
        body = None if json is None else jsonlib.dumps(json, ensure_ascii=False).encode()
        sent = dict(headers or {})
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        with requests.Session() as session:
            session.trust_env = False  # neither proxies nor .netrc of the developer
            prepared = session.prepare_request(requests.Request(method, f"{self.url}{path}", data=body, headers=sent))
            # What is signed is what requests made of the URL.
            signed = AWSRequest(method=method, url=prepared.url, data=body, headers=sent)
            SigV4Auth(self._credentials(), "execute-api", self.region).add_auth(signed)
            prepared.headers.update(dict(signed.headers.items()))
            return session.send(prepared, timeout=_REQUEST_TIMEOUT_S, allow_redirects=False)

    def _credentials(self) -> Credentials:
        return Credentials(self.access_key.key_id, self.access_key.secret)


@dataclass(frozen=True)
class Stack:
    """A deployed local stack. `outputs` are the CloudFormation outputs of the template.

    `sandbox_url` is empty without a sandbox. `sandbox_seed` makes the sandbox as unkind again (None: it is kind);
    `settings` are the template's parameters.
    """

    name: str
    region: str
    endpoint: str
    outputs: Mapping[str, str]
    deployer: AccessKey
    merchant: Merchant
    sandbox_url: str
    sandbox_seed: int | None
    settings: tuple[Setting, ...]

    def client(self, service: str, access_key: AccessKey | None = None) -> Any:
        """A boto3-like client of `service` at the emulator, as the deployer or with another key."""
        return _client(service, self.endpoint, access_key or self.deployer)

    def function_name(self, logical_id: str) -> str:
        """The real name of the function that the template calls `logical_id`."""
        return self.physical_id(logical_id)

    def invoke(self, logical_id: str, event: Mapping[str, object] | None = None) -> Any:
        """Invoke a function at once, without its schedule (for that see `fire`), and return its result.

        LocalError with the function's own error when it fails.
        """
        answer = self.client("lambda").invoke(
            FunctionName=self.function_name(logical_id), Payload=jsonlib.dumps(event or {}).encode()
        )
        result = jsonlib.loads(answer["Payload"].read() or b"null")
        if "FunctionError" in answer:
            raise LocalError(
                f"The function {logical_id} failed ({_error_of(result)}): read its log group in the emulator."
            )
        return result

    def fire(self, logical_id: str) -> None:
        """Have the Scheduler run a schedule of the template now; returns when it has.

        By a copy that is due at once: the same target, role, input and retries. Only the time is another one.
        LocalError when the Scheduler does not.
        """
        scheduler = self.client("scheduler")
        own = scheduler.get_schedule(Name=self.physical_id(logical_id))
        copy = f"at-once-{uuid.uuid4().hex}"
        scheduler.create_schedule(
            Name=copy,
            ScheduleExpression="at(2026-01-01T00:00:00)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target=own["Target"],
            State=own["State"],
            ActionAfterCompletion="DELETE",
        )
        deadline = time.monotonic() + _FIRED_S
        while scheduler.list_schedules(NamePrefix=copy)["Schedules"]:
            if time.monotonic() > deadline:
                raise LocalError(f"The Scheduler did not run {logical_id} within {_FIRED_S:.0f} s.")
            time.sleep(_FIRED_POLL_S)

    def sandbox(self, method: str, path: str, json: object = None) -> Any:
        """Call the sandbox's control API, `path` being below `/_sandbox`; LocalError when it refuses, or is off."""
        if not self.sandbox_url:
            raise LocalError(f"The stack {self.name!r} was started without the sandbox.")
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(
                method, f"{self.sandbox_url}/_sandbox{path}", json=json, timeout=_REQUEST_TIMEOUT_S
            )
        if not answer.ok:
            raise LocalError(f"The sandbox refused {method} {path} ({answer.status_code}): {answer.text[:200]}")
        return answer.json()

    def physical_id(self, logical_id: str) -> str:
        """The name that a resource really has which the template calls `logical_id`."""
        found = self.client("cloudformation").describe_stack_resource(
            StackName=deployment.STACK_NAME, LogicalResourceId=logical_id
        )
        name: str = found["StackResourceDetail"]["PhysicalResourceId"]
        return name


@contextlib.contextmanager
def running(
    name: str,
    *,
    port: int | None = None,
    sandbox_port: int = 0,
    steps: Steps | None = None,
    added: Sequence[Setting] = (),
    sandbox: bool = True,
    host: str = ports.LOOPBACK,
) -> Iterator[Stack]:
    """Start emulator and sandbox, build, deploy, fill the secret; yield the stack; stop everything.

    `name` separates stacks that run side by side (logs are in build/local/<name>/). `added` are more parameters of the
    template (`differences.chosen`), which win over our own; without `sandbox`, both providers' base URLs must be among
    them. Without ports, free ones are taken; `host` is the address to listen on. While it runs, the stack is described
    in build/local (`description.py`). LocalError, one plain sentence, when something does not work.
    """
    require_known(added)
    if not sandbox and (missing := _PROVIDERS - {each.name for each in added}):
        raise LocalError(f"Without the sandbox, the parameter {sorted(missing)[0]} must name another simulator.")
    shown = steps or QuietSteps()
    with contextlib.ExitStack() as started:
        started.enter_context(_only_one(name))
        with shown.step("Starting the emulator (ministack)"):
            endpoint = started.enter_context(emulator.running(name, port or ports.free_port(), host))
        sandbox_url, seed = "", None
        if sandbox:
            with shown.step("Starting the provider sandbox"):
                seed = providers.seed()
                sandbox_url = started.enter_context(providers.running(name, sandbox_port, seed=seed, host=host))
        given = _settings(endpoint, sandbox_url, added)
        deployment.build_and_deploy(name, endpoint, given, shown)
        with shown.step("Filling the provider secret, registering the webhooks"):
            stack = _described(name, endpoint, sandbox_url, given, seed)
            register_webhooks(stack)
        started.enter_context(_written(stack))
        yield stack


def found(name: str) -> Stack:
    """The stack called `name` that another process runs and that is ready. LocalError when there is none.

    The reasons of its `settings` are not known here.
    """
    if holder(name) is None:
        raise LocalError(f"No local stack called {name!r} is running: start it with {_started_with(name)}.")
    try:
        described = jsonlib.loads(description_file(name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LocalError(f"The local stack {name!r} is not ready yet.") from None
    region, endpoint, operator = described["region"], described["endpoint"], _key(described["operatorKey"])
    merchant = Merchant(described["merchantApiUrl"], region, _key(described["merchantKey"]))
    given = tuple(Setting(name, value, "") for name, value in described["parameters"].items())
    seed, sandbox_url = described["sandboxSeed"], described["sandboxUrl"] or ""
    return Stack(name, region, endpoint, described["outputs"], operator, merchant, sandbox_url, seed, given)


def _key(described: Mapping[str, str]) -> AccessKey:
    return AccessKey(described["accessKeyId"], described["secretAccessKey"])


def holder(name: str) -> int | None:
    """The id of the process that runs the stack `name`, or is starting or stopping it; None when there is none."""
    with (run_directory(name) / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            return int(lock.read() or 0)
    return None


def register_webhooks(stack: Stack) -> None:
    """Tell the sandbox, if there is one, where PayPay's webhooks go."""
    if stack.sandbox_url:
        stack.sandbox("PUT", "/paypay/webhooks", json=_webhook_urls(stack.outputs))


def _settings(endpoint: str, sandbox_url: str, added: Sequence[Setting] = ()) -> list[Setting]:
    """The template parameters of this run."""
    at_the_sandbox = [
        Setting("VexoraBaseUrl", f"{sandbox_url}/japan", "place: the sandbox"),
        Setting("PayPayBaseUrl", sandbox_url, "place: the sandbox"),
        Setting("PayPayTokenAudience", providers.PAYPAY_CLIENT_ID, "the sandbox's name for us; yours from PayPay"),
        Setting("ReturnUrlAllowlist", sandbox_url, "place: the sandbox also plays the merchant's shop"),
        Setting("MerchantWebhookUrl", f"{sandbox_url}/shop/webhooks", "place: and the merchant's back end"),
    ]
    emulated = Setting("LocalEndpoint", endpoint, "place: the emulator")
    return settings([emulated, *(at_the_sandbox if sandbox_url else []), *added])


def _webhook_urls(outputs: Mapping[str, str]) -> dict[str, str]:
    """What a merchant would register with PayPay."""
    names = {"kyc": "Kyc", "risk": "Risk", "account_status": "AccountStatus", "recon": "Recon"}
    return {kind: _output(outputs, f"PayPay{name}WebhookUrl") for kind, name in names.items()}


def _described(name: str, endpoint: str, sandbox_url: str, given: Sequence[Setting], seed: int | None) -> Stack:
    deployer = AccessKey(environment.DEPLOYER_KEY_ID, environment.DEPLOYER_SECRET)
    found = _client("cloudformation", endpoint, deployer).describe_stacks(StackName=deployment.STACK_NAME)
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found["Stacks"][0].get("Outputs", [])}
    _client("secretsmanager", endpoint, deployer).put_secret_value(
        SecretId=_output(outputs, "ProvidersSecretArn"), SecretString=jsonlib.dumps(providers.CREDENTIALS)
    )
    url = _output(outputs, "MerchantApiUrl").rstrip("/")
    merchant = Merchant(url, environment.REGION, _merchant_key(endpoint, deployer, url))
    return Stack(name, environment.REGION, endpoint, outputs, deployer, merchant, sandbox_url, seed, tuple(given))


def _merchant_key(endpoint: str, deployer: AccessKey, merchant_api_url: str) -> AccessKey:
    api_id = merchant_api_url.partition("/restapis/")[2].partition("/")[0]
    if not api_id:
        raise LocalError(
            "Output MerchantApiUrl of the template is not the emulator's: is parameter LocalEndpoint used?"
        )
    account = _client("sts", endpoint, deployer).get_caller_identity()["Account"]
    statement = {
        "Effect": "Allow",
        "Action": "execute-api:Invoke",
        "Resource": f"arn:aws:execute-api:{environment.REGION}:{account}:{api_id}/*",
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    iam = _client("iam", endpoint, deployer)
    iam.create_user(UserName=_MERCHANT_USER)
    iam.put_user_policy(
        UserName=_MERCHANT_USER, PolicyName="call-the-merchant-api", PolicyDocument=jsonlib.dumps(policy)
    )
    key = iam.create_access_key(UserName=_MERCHANT_USER)["AccessKey"]
    return AccessKey(key["AccessKeyId"], key["SecretAccessKey"])


def _webhook_secret(stack: Stack) -> str | None:
    """What the webhooks to the merchant are signed with, as a receiver takes it; None where none are sent."""
    if not any(each.name == "MerchantWebhookUrl" and each.value for each in stack.settings):
        return None
    secret = stack.client("secretsmanager").get_secret_value(SecretId=stack.physical_id("MerchantWebhookSecret"))
    return f"whsec_{jsonlib.loads(secret['SecretString'])['current']}"


def _output(outputs: Mapping[str, str], key: str) -> str:
    if key not in outputs:
        raise LocalError(f"template.yaml has no output {key}, which the local stack needs: add it.")
    return outputs[key]


@functools.cache  # a client takes a good part of a second to make
def _client(service: str, endpoint: str, access_key: AccessKey) -> Any:
    # Neither a profile, a config file nor a proxy of the developer's may have a say here.
    session = botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
            "ca_bundle": (None, None, None, None),
        }
    )
    return session.create_client(
        service,
        region_name=environment.REGION,
        endpoint_url=endpoint,
        aws_access_key_id=access_key.key_id,
        aws_secret_access_key=access_key.secret,
        config=Config(proxies={}, retries={"total_max_attempts": 2}, read_timeout=_REQUEST_TIMEOUT_S),
    )


def _error_of(result: object) -> str:
    if isinstance(result, dict):
        return f"{result.get('errorType')}: {result.get('errorMessage')}"
    return str(result)


@contextlib.contextmanager
def _only_one(name: str) -> Iterator[None]:
    """Two stacks of one name would write the same files. The lock holds the id of this process."""
    with (run_directory(name) / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalError(
                f"A local stack called {name!r} is running already in this work tree: stop it first "
                f"(honninctl local down --name {name})."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        description_file(name).unlink(missing_ok=True)  # of a run that was killed
        yield


@contextlib.contextmanager
def _written(stack: Stack) -> Iterator[None]:
    """The stack's description for other processes, as long as it is true."""
    described = description.of(stack, deployment.STACK_NAME, _webhook_secret(stack))
    places = {
        env_file(stack.name): description.exports(described),
        description_file(stack.name): jsonlib.dumps(described, indent=2) + "\n",  # last: whoever sees it finds both
    }
    try:
        for place, text in places.items():
            draft = place.with_name(f"{place.name}.part")
            draft.write_text(text, encoding="utf-8")
            draft.replace(place)
        yield
    finally:
        for place in places:
            place.unlink(missing_ok=True)


def _started_with(name: str) -> str:
    return "`make up`" if name == DEFAULT_NAME else f"`make up NAME={name}`"
