"""One deployed stack, as an operator reaches it: outputs, parameters, clients. Nothing is asked before it is needed."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from honninctl.failures import (
    CommandError,
    NoAccessError,
    NotAllowedError,
    NotFoundError,
    UnreachableError,
    UsageError,
    error_code,
    explained,
    refused,
)
from honninctl.language import _, said

if TYPE_CHECKING:
    import botocore.session
    from botocore.awsrequest import AWSResponse
    from botocore.credentials import ReadOnlyCredentials

    from honnin.store import Access, Store

# Everything of Honnin is in Tokyo, where both providers are (samconfig.toml); --region says otherwise.
DEFAULT_REGION = "ap-northeast-1"

_CONNECT_TIMEOUT_S = 5
# API Gateway ends a request after 29 s.
_READ_TIMEOUT_S = 35

# CloudFormation's own rule for a stack's name, or its ARN; and botocore's for a region and for a host.
_STACK = re.compile(r"[a-zA-Z][a-zA-Z0-9-]{0,127}|arn:[a-zA-Z0-9-]+:cloudformation:[a-zA-Z0-9:/-]{1,250}")
_LABEL = r"(?!-)[a-zA-Z0-9-]{1,63}(?<!-)"
_REGION = re.compile(_LABEL)
_HOST = re.compile(rf"({_LABEL}\.)*{_LABEL}|[0-9a-f:.]+:[0-9a-f:.]*")
# Access keys, secret keys and session tokens have no other characters; a line break may have been copied along.
_CREDENTIAL = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class Where:
    """Which stack, as it was typed: `None` is for whatever was not."""

    stack: str | None = None
    endpoint: str | None = None
    region: str | None = None
    profile: str | None = None

    def or_else(self, other: "Where") -> "Where":
        """Its own values, and those of `other` for what it leaves open."""
        return Where(
            self.stack or other.stack,
            self.endpoint or other.endpoint,
            self.region or other.region,
            self.profile or other.profile,
        )


class Deployment:
    """A stack of Honnin, with the caller's own AWS credentials (profile, environment, role: botocore's chain).

    Each call of AWS is made up to `attempts` times.
    """

    def __init__(self, where: Where, *, attempts: int = 3) -> None:
        self._where = where
        self._attempts = attempts
        self._clients: dict[str, Any] = {}

    def patient(self) -> "Deployment":
        """The same stack, for reading a whole table, which is throttled now and then."""
        return Deployment(self._where, attempts=11)

    def look_again(self) -> None:
        """Forget what CloudFormation said of the stack: the next question asks it anew."""
        for name in ("description", "outputs", "parameters", "store"):
            self.__dict__.pop(name, None)

    @property
    def has_name(self) -> bool:
        """Whether a stack was named at all."""
        return bool(self._where.stack)

    @property
    def name(self) -> str:
        """The stack's name. Raises `UsageError` when none was given, or one that no stack can have."""
        if not self._where.stack:
            raise UsageError(_("name the stack: --stack honnin-prod, or HONNIN_STACK"))
        if not _STACK.fullmatch(self._where.stack):
            raise UsageError(
                _("{stack!r} is not the name of a stack (--stack, HONNIN_STACK)").format(stack=self._where.stack)
            )
        return self._where.stack

    @cached_property
    def region(self) -> str:
        """--region, else that of the environment or profile, else Tokyo. Raises `UsageError` for what is none."""
        region = self._where.region or self._session.get_config_variable("region") or DEFAULT_REGION
        if not _REGION.fullmatch(region):
            raise UsageError(
                _("{region!r} is not the name of an AWS region (--region, AWS_DEFAULT_REGION)").format(region=region)
            )
        return str(region)

    @cached_property
    def endpoint(self) -> str | None:
        """The AWS endpoint of the local stack, or None. Raises `UsageError` for what is no address of a server."""
        return _endpoint(self._where.endpoint) if self._where.endpoint else None

    def _credentials(self) -> "ReadOnlyCredentials":
        """The caller's own, of botocore's chain. Raises `NoAccessError` where there are none that can be sent."""
        try:
            found = self._session.get_credentials()
            credentials = found.get_frozen_credentials() if found else None
        except Exception as error:
            # A credential_process may fail in any way, and its output may hold the credentials.
            explanation = explained(error)
            if isinstance(explanation, NoAccessError | UnreachableError):
                raise explanation from None
            raise NoAccessError(
                _(
                    "your AWS credentials could not be loaded ({name}): look at your profile, and at its "
                    "credential_process, role or sign-in"
                ).format(name=type(error).__name__)
            ) from None
        if credentials is None:
            raise NoAccessError(_("no AWS credentials found; sign in, or choose others with --profile"))
        for what, value in (
            (_("access key"), credentials.access_key),
            (_("secret key"), credentials.secret_key),
            (_("session token"), credentials.token),
        ):
            # An HTTP client would refuse it in words that repeat it.
            if value and not _CREDENTIAL.fullmatch(value):
                raise NoAccessError(
                    _(
                        "the {what} of your AWS credentials contains a line break, a blank or another "
                        "character that is never part of it: copy it again"
                    ).format(what=what)
                )
        return credentials

    @cached_property
    def _session(self) -> "botocore.session.Session":
        import botocore.session

        return botocore.session.Session(profile=self._where.profile)

    def client(self, service: str) -> Any:
        """The client of an AWS service."""
        if service not in self._clients:
            self._clients[service] = self._new_client(service)
        return self._clients[service]

    def _new_client(self, service: str) -> Any:
        from botocore.config import Config

        config = Config(
            connect_timeout=_CONNECT_TIMEOUT_S,
            read_timeout=_READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": self._attempts},
            # A stack on this machine is never behind a proxy.
            proxies={} if self.endpoint else None,
        )
        self._credentials()
        try:
            return self._session.create_client(
                service, region_name=self.region, endpoint_url=self.endpoint, config=config
            )
        except ValueError:
            # Region and endpoint are looked at above: it is a variable that only botocore reads.
            raise UsageError(
                _("one of your AWS settings is not valid: look at the variables AWS_… and at ~/.aws/config")
            ) from None

    @cached_property
    def description(self) -> Mapping[str, Any]:
        """CloudFormation's description of the stack. Raises `NotFoundError` when there is none of that name."""
        from botocore.exceptions import ClientError

        try:
            answer = self.client("cloudformation").describe_stacks(StackName=self.name)
        except ClientError as error:
            if error_code(error) == "ValidationError":
                raise NotFoundError(
                    _("there is no stack {name!r} in {region} for these credentials").format(
                        name=self.name, region=self.region
                    )
                ) from None
            raise
        found: Mapping[str, Any] = answer["Stacks"][0]
        return found

    @cached_property
    def outputs(self) -> Mapping[str, str]:
        """The outputs of the template."""
        return {each["OutputKey"]: each["OutputValue"] for each in self.description.get("Outputs", [])}

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        """The parameters that the stack was deployed with."""
        given = self.description.get("Parameters", [])
        return {each["ParameterKey"]: each.get("ParameterValue", "") for each in given}

    @property
    def is_local(self) -> bool:
        """Whether this is the stack of `make run`."""
        return self.parameters.get("Stage") == "local"

    def output(self, key: str) -> str:
        """One output. Raises `NotFoundError` for a stack that is not Honnin's, or of a version without it."""
        if key not in self.outputs:
            raise NotFoundError(
                _("{name} has no output {key}: it is not a stack of Honnin, or it has an older version").format(
                    name=self.name, key=key
                )
            )
        return self.outputs[key]

    @property
    def aws_options(self) -> list[str]:
        """What the AWS CLI needs to reach the same stack."""
        options = {"region": self.region, "profile": self._where.profile, "endpoint-url": self.endpoint}
        return [f"--{name} {value}" for name, value in options.items() if value]

    def resource(self, logical_id: str) -> str:
        """The physical id of one of the template's resources."""
        answer = self.client("cloudformation").describe_stack_resource(
            StackName=self.name, LogicalResourceId=logical_id
        )
        return str(answer["StackResourceDetail"]["PhysicalResourceId"])

    @cached_property
    def store(self) -> "Store":
        """The state table."""
        from honnin.store import Store

        return Store(self.output("StateTableName"), self.client("dynamodb"))

    @cached_property
    def caller(self) -> str:
        """The ARN of the caller's identity in AWS."""
        return str(self.client("sts").get_caller_identity()["Arn"])

    def keep_access(self, access: "Access") -> None:
        """Write an access to the access record."""
        self.store.access.add(access, int(self.output("AccessRecordRetentionDays")))

    def knows(self, user_id: str) -> bool:
        """Whether anything is kept under an id: of a user, of one who was erased, or an entry of the access record.

        After a restore, the bucket may have objects of a user whom the table does not know, and `export` shows them.

        Not every caller may ask the merchant API, and not every caller the table: what may not be asked could not be
        shown to the caller, either. Raises `NotAllowedError` if nothing may be asked.
        """
        refusals: list[CommandError] = []
        path = f"/users/{quote(user_id, safe='')}"
        looks: list[Callable[[], object]] = [
            lambda: self.merchant("GET", path),
            lambda: self.merchant("GET", f"{path}/timeline", {"limit": "1"}),
            lambda: self.store.users.statuses(user_id) or self.store.erasure.certificates(user_id),
            lambda: self.store.access.page(user_id, 1).accesses,
            lambda: self._has_objects(user_id),
        ]
        for look in looks:
            try:
                if look():
                    return True
            except Exception as error:
                refusal = explained(error)
                if isinstance(refusal, NotAllowedError):
                    refusals.append(refusal)
                elif not isinstance(refusal, NotFoundError):
                    raise
        if len(refusals) == len(looks):
            raise refusals[0]
        return False

    def _has_objects(self, user_id: str) -> bool:
        from honnin.vault import PROVIDERS

        s3, bucket = self.client("s3"), self.output("PersonalDataBucketName")
        answers = (s3.list_object_versions(Bucket=bucket, Prefix=f"{each}/{user_id}/", MaxKeys=1) for each in PROVIDERS)
        return any(each.get("Versions") or each.get("DeleteMarkers") for each in answers)

    def provider_secret(self) -> Mapping[str, str]:
        """The providers' credentials. Raises `CommandError` when the secret is no JSON object."""
        answer = self.client("secretsmanager").get_secret_value(SecretId=self.output("ProvidersSecretArn"))
        try:
            values = json.loads(answer["SecretString"])
        except (KeyError, ValueError):
            values = None
        if not isinstance(values, dict):
            raise CommandError(_("the provider secret is not a JSON object; set it again (docs/deploying.md)"))
        return {str(name): str(value) for name, value in values.items()}

    def merchant(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Call the merchant API, signed for `execute-api` with the caller's credentials; returns its JSON.

        `path` is percent-encoded and begins with a slash; `body` is sent as JSON. A problem of the API becomes the
        error of the same meaning: 403 `NotAllowedError`, 404 `NotFoundError`, 400 and 422 `UsageError`, others
        `CommandError`.
        """
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        url = self.output("MerchantApiUrl").rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
        request = AWSRequest(method=method, url=url, headers={"Accept": "application/json"})
        if body is not None:
            request.headers["Content-Type"] = "application/json"
            request.data = json.dumps(body).encode()
        SigV4Auth(self._credentials(), "execute-api", self.region).add_auth(request)
        return _meaning(send(request, use_proxies=not self.endpoint))


def send(request: Any, *, use_proxies: bool, timeout_s: int = _READ_TIMEOUT_S) -> "AWSResponse":
    """Send one `AWSRequest` as it is: no redirect is followed."""
    from botocore.httpsession import URLLib3Session
    from botocore.utils import get_environ_proxies

    proxies = get_environ_proxies(request.url) if use_proxies else {}
    http = URLLib3Session(timeout=timeout_s, proxies=proxies)
    try:
        return http.send(request.prepare())
    finally:
        http.close()


def _endpoint(url: str) -> str:
    """The URL of a server, and nothing more. The sentence does not repeat it: it may hold a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    is_server = (
        url.isascii()
        and parts.scheme in ("http", "https")
        and _HOST.fullmatch(parts.hostname or "")
        and port != 0
        and url.rstrip("/").lower() == f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}".lower()
    )
    if not is_server:
        raise UsageError(
            _(
                "the AWS endpoint (--endpoint, HONNIN_ENDPOINT, AWS_ENDPOINT_URL) is not the address "
                "of a server: write scheme, host and port only, such as http://127.0.0.1:4566"
            )
        )
    return url


def _meaning(answer: "AWSResponse") -> dict[str, Any]:
    try:
        body = json.loads(answer.content)
    except ValueError:
        body = None
    if 200 <= answer.status_code < 300 and isinstance(body, dict):
        return body
    problem = body if isinstance(body, dict) else {}
    message = _("the merchant API answered {status}").format(status=answer.status_code)
    # API Gateway names the kind of its own refusals here. The text of one repeats the request, its token included.
    kind = str(answer.headers.get("x-amzn-ErrorType", "")).partition(":")[0]
    no_route = problem.get("code") in ("not-signed-or-no-route", "no-such-route")
    if kind == "MissingAuthenticationTokenException" or no_route:
        # So API Gateway names a path that it does not know.
        raise CommandError(
            _("the merchant API does not know this call: is the stack up to date, and the id well-formed?")
        )
    if answer.status_code in (401, 403):
        explanation = refused(message, kind.removesuffix("Exception")) or refused(message, kind)
        raise explanation or NotAllowedError(_("{message}: your credentials do not allow it").format(message=message))
    why = _why(problem)
    kinds: dict[int, type[CommandError]] = {400: UsageError, 404: NotFoundError, 422: UsageError}
    raise kinds.get(answer.status_code, CommandError)(
        _("{what}: {why}").format(what=message, why=why) if why else message
    )


def _why(problem: Mapping[str, Any]) -> str:
    """What a problem of Honnin's own says: it names a field and a rule, never a value."""
    for each in problem.get("errors") or ():
        return _("{what}: {why}").format(what=each["field"], why=said(each["rule"]))
    return said(problem.get("detail") or problem.get("title") or "")
