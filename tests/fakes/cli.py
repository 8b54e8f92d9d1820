"""A deployment for the tests of honninctl, with scripted answers of CloudFormation and of the merchant API."""

import os
from collections import deque
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import boto3
import typer.rich_utils  # takes its own texts from gettext now, in English for every test that comes
import typer.testing
from botocore.exceptions import ClientError
from typer.testing import CliRunner, Result

from honnin.store import Access
from honninctl import app, language
from honninctl.deployment import Deployment, Where
from tests.tables import create_table

API = "https://api.example.jp/v1"

# The program is the same for every test; to build its commands takes longer than most of them.
_program = cache(lambda _language: app.program())
typer.testing._get_command = cache(typer.testing._get_command)  # type: ignore[attr-defined]  # not a name of its API


def client_error(code: str, operation: str = "DescribeStacks", message: str = "no") -> ClientError:
    """An AWS service's error."""
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


class Service:
    """A client whose operations are what the test puts into `answers`: a value, an error, or a function of the call."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        if operation not in self.answers:
            raise AttributeError(operation)

        def call(**request: Any) -> Any:
            self.calls.append((operation, request))
            answer = self.answers[operation]
            if isinstance(answer, Exception):
                raise answer
            return answer(**request) if callable(answer) else answer

        return call


class FakeDeployment(Deployment):
    """`services` stand in for clients by name; the others are boto3's. `api` answers calls of the merchant API, first
    come first served; what was asked is in `asked`, and the access record in `accesses`. No user has an id of `nobody`.
    """

    def __init__(self, outputs: Mapping[str, str], parameters: Mapping[str, str] | None = None) -> None:
        super().__init__(Where(stack="honnin-test", region="ap-northeast-1"))
        self.given = {
            "StackStatus": "UPDATE_COMPLETE",
            "Outputs": [{"OutputKey": k, "OutputValue": v} for k, v in {"MerchantApiUrl": API, **outputs}.items()],
            "Parameters": [{"ParameterKey": k, "ParameterValue": v} for k, v in (parameters or {}).items()],
        }
        self.services: dict[str, Any] = {"cloudformation": Service(describe_stacks={"Stacks": [self.given]})}
        self.api: deque[dict[str, Any] | Exception] = deque()
        self.asked: list[tuple[str, str, Mapping[str, str]]] = []
        self.sent: list[Mapping[str, Any]] = []
        self.accesses: list[Access] = []
        self.nobody: set[str] = set()

    def client(self, service: str) -> Any:
        """The scripted one, or boto3's."""
        return self.services.get(service) or boto3.client(service)  # type: ignore[call-overload]

    @property
    def caller(self) -> str:
        """An officer."""
        return "arn:aws:sts::111122223333:assumed-role/officer/ito"

    def keep_access(self, access: Access) -> None:
        """It is in `accesses`."""
        self.accesses.append(access)

    def knows(self, user_id: str) -> bool:
        """Everybody but `nobody`."""
        return user_id not in self.nobody

    def merchant(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The next of the scripted answers."""
        self.asked.append((method, path, dict(query or {})))
        self.sent.append(dict(body or {}))
        answer = self.api.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer


def state_table() -> str:
    """Make the state table; returns its name."""
    return create_table(boto3.client("dynamodb"), "StateTable")


def run(*arguments: str, given: str | None = None, env: Mapping[str, str] | None = None) -> Result:
    """Run honninctl in this process. Nothing on the terminal's side: stdin is `given`, no colours."""
    env = {"HONNIN_STACK": "honnin-test", **(env or {})}
    # Not LANG of the machine on which the tests run.
    around = {name: value for name, value in os.environ.items() if name != "LANG"}
    with language.speaking(language.choose(arguments, {**around, **env})):
        return CliRunner().invoke(_program(language.spoken()), list(arguments), input=given, env=env)
