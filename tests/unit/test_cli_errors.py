"""How honninctl says what went wrong with AWS: a plain sentence and an exit code, and never the text of the error.

Those texts repeat what was sent. http.client names the header that it cannot send; AWS answers a wrong signature with
the canonical request, session token included.
"""

import inspect
from pathlib import Path

import botocore.exceptions
import pytest
from botocore.parsers import ResponseParserError

from honninctl.deployment import Deployment, Where
from honninctl.failures import ExitCode, NoAccessError, NotAllowedError, explained
from tests.fakes import LoopbackServer, Reply
from tests.fakes.cli import client_error, run

SECRET = "IQoJb3JpZ2luX2VjEXAMPLETOKEN"
CANONICAL = f"The Canonical String for this request should have been 'GET\\n/v1\\nx-amz-security-token:{SECRET}'"


def _all_errors() -> list[Exception]:
    """An error of every class of botocore's, and of others that may come up, with a secret in all that it carries."""
    kinds = [
        each
        for each in vars(botocore.exceptions).values()
        if inspect.isclass(each) and issubclass(each, Exception) and not issubclass(each, Warning)
    ]
    found = []
    for kind in (*kinds, ResponseParserError, ValueError, OSError, KeyError, RuntimeError):
        error: Exception = kind.__new__(kind)  # type: ignore[call-overload]
        Exception.__init__(error, f"Invalid header value b'{SECRET}\\n'")
        error.__dict__ |= {
            "kwargs": {"error": SECRET, "endpoint_url": f"https://u:{SECRET}@h/{SECRET}?{SECRET}", "profile": SECRET},
            "response": {"Error": {"Code": f"{SECRET} is no code", "Message": CANONICAL}},
            "operation_name": "DescribeStacks",
        }
        found.append(error)
    return found


@pytest.mark.parametrize("error", _all_errors(), ids=lambda error: type(error).__name__)
def test_no_text_of_a_foreign_error_is_shown(error: Exception) -> None:
    explanation = explained(error)
    assert SECRET not in str(explanation)
    assert explanation.exit_code in set(ExitCode)
    assert len(str(explanation).splitlines()) == 1


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("SignatureDoesNotMatch", "clock"),
        ("InvalidSignatureException", "clock"),
        ("RequestTimeTooSkewed", "clock"),
        ("ExpiredToken", "sign in again"),
        ("InvalidClientTokenId", "access key"),
        ("AccessDeniedException", "do not allow"),
    ],
)
def test_what_aws_refuses_the_caller_for_is_said_by_its_code(code: str, said: str) -> None:
    explanation = explained(client_error(code, message=CANONICAL))
    assert type(explanation) is (NotAllowedError if "allow" in said else NoAccessError)
    assert code in str(explanation)
    assert said in str(explanation)
    assert SECRET not in str(explanation)


# Credentials

COMMANDS = (
    ["status", "u"],
    ["timeline", "u", "--json"],
    ["submissions", "--open"],
    ["export", "u"],
    ["contract-end", "u", "--on", "2026-03-31", "--reason", "r", "--yes"],
    ["contract-ends"],
    ["erase", "u", "--yes", "--reason", "r"],
    ["reread", "u"],
    ["recon", "2026-03-31"],
    ["recon", "calendar", "--json"],
    ["deadletters", "list"],
    ["deadletters", "redrive", "--yes"],
    ["sign", "vexora", "--field", "a=b"],
    ["restore", "--from", "restored", "--since", "2026-11-20T03:00:00Z"],
    ["rotate-callback-key"],
    ["delete-stack", "--yes"],
    ["doctor"],
    ["console", "--no-browser"],
)
BROKEN = {
    "a line break": {"AWS_SESSION_TOKEN": f"{SECRET}\n"},
    "CR LF within": {"AWS_SESSION_TOKEN": f"{SECRET}\r\nX-Other: 1"},
    "a tab": {"AWS_ACCESS_KEY_ID": f"{SECRET}\tA"},
    "letters beyond Latin-1": {"AWS_ACCESS_KEY_ID": f"{SECRET}キー"},
    "a wide space": {"AWS_SECRET_ACCESS_KEY": f"{SECRET}\u3000"},
}


@pytest.mark.parametrize("env", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_credential_that_cannot_be_sent_is_4_and_not_shown(arguments: list[str], env: dict[str, str]) -> None:
    ended = run(*arguments, env={**env, "HONNIN_ENDPOINT": "http://127.0.0.1:9", "HONNIN_DEBUG": "1"})
    assert (ended.exit_code, ended.stdout) == (ExitCode.NO_ACCESS, "")
    assert "of your AWS credentials" in ended.stderr.splitlines()[-1]
    assert SECRET not in ended.output


CONFIGURATIONS = {
    "no such profile": ("[default]\n", {"AWS_PROFILE": "nobody"}),
    "a broken file": (f"[default\n{SECRET}", {}),
    "not UTF-8": ("[default]\nx = \udcff\udcfe", {}),
    "a process that fails": (f"[default]\ncredential_process = sh -c 'echo {SECRET} >&2; exit 3'\n", {}),
    "a process that says nonsense": (f"[default]\ncredential_process = echo {SECRET}\n", {}),
    "a process that is not there": ("[default]\ncredential_process = /nonexistent/program\n", {}),
    "a process that gives a broken token": (
        "[default]\ncredential_process = echo "
        f"""'{{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "B", "SessionToken": "{SECRET}\\\\n"}}'\n""",
        {},
    ),
    "an SSO session that has ended": (
        "[default]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n"
        "[sso-session s]\nsso_region = ap-northeast-1\nsso_start_url = https://example.com\n",
        {},
    ),
    "nothing at all": ("", {}),
}


@pytest.mark.parametrize(("text", "env"), CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_without_usable_credentials_it_is_4(
    text: str, env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    config = tmp_path / "config"
    config.write_bytes(text.encode("utf-8", "surrogateescape"))
    places = {"AWS_CONFIG_FILE": str(config), "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent", "HOME": str(tmp_path)}
    ended = run("status", "u", env={**places, "AWS_EC2_METADATA_DISABLED": "true", **env})
    assert (ended.exit_code, ended.stdout) == (ExitCode.NO_ACCESS, "")
    assert SECRET not in ended.stderr
    assert "unexpected" not in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


# Endpoint, region, name


@pytest.mark.parametrize(
    "endpoint",
    [
        "localhost:4566",
        "127.0.0.1",
        "//h:1",
        f"http://user:{SECRET}@h:4566",
        "http://h:4566/path",
        "http://h?x=1",
        "http://h:0",
        "http://h:99999",
        "http://h:port",
        "http://",
        "ftp://h",
        "http://[::1",
        "http://::1:4566",
        "http://a b",
        "http://a\nb",
        "http://my_stack:4566",
        "http://ローカル:4566",
    ],
)
@pytest.mark.parametrize("name", ["HONNIN_ENDPOINT", "AWS_ENDPOINT_URL"])
def test_what_is_no_endpoint_is_wrong_usage(endpoint: str, name: str) -> None:
    ended = run("status", "u", env={"HONNIN_ENDPOINT": "", name: endpoint})
    assert (ended.exit_code, ended.stdout) == (ExitCode.USAGE, "")
    assert "http://127.0.0.1:4566" in ended.stderr
    assert SECRET not in ended.stderr


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:4566", "https://h.example", "http://[::1]:4566/", "HTTP://H:1"])
def test_what_is_an_endpoint_is_taken(endpoint: str) -> None:
    assert Deployment(Where("s", endpoint)).endpoint == endpoint
    assert Deployment(Where("s", endpoint)).client("sqs")


@pytest.mark.parametrize(
    "given",
    [
        ["--region", "bad region"],
        ["--region", "東京"],
        ["--stack", "honnin prod"],
        ["--stack", "本人"],
        ["--stack", "1abc"],
        ["--stack", "a\n"],
        ["--stack", "a" * 129],
    ],
)
def test_an_odd_region_or_stack_is_wrong_usage(given: list[str]) -> None:
    ended = run("status", "u", *given, env={"HONNIN_ENDPOINT": "http://127.0.0.1:9"})
    assert (ended.exit_code, ended.stdout) == (ExitCode.USAGE, "")
    assert len(ended.stderr.strip().splitlines()) == 1


def test_a_variable_that_only_botocore_reads_is_wrong_usage() -> None:
    ended = run("status", "u", env={"AWS_ENDPOINT_URL_CLOUDFORMATION": f"localhost:{SECRET}"})
    assert ended.exit_code == ExitCode.USAGE
    assert SECRET not in ended.stderr


# Whoever answers, and whoever does not


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, f"<html>{SECRET}</html>".encode()),
        Reply(200, b""),
        Reply(302, b"", {"Location": f"http://{SECRET}/"}),
        Reply(404, f"<html>{SECRET}</html>".encode()),
    ],
    ids=["a page", "nothing", "a redirect", "a page that is not there"],
)
def test_another_server_is_not_taken_for_aws(reply: Reply) -> None:
    with LoopbackServer(reply) as server:
        ended = run("status", "u", env={"HONNIN_ENDPOINT": server.url})
    assert ended.exit_code in (ExitCode.UNREACHABLE, ExitCode.FINDING)
    assert SECRET not in ended.output
    assert "unexpected" not in ended.stderr


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_aws_says_what_was_wrong_with_the_signature_and_it_is_not_repeated() -> None:
    error = f"<Error><Code>SignatureDoesNotMatch</Code><Message>{CANONICAL}</Message></Error>"
    reply = Reply(403, f"<ErrorResponse>{error}</ErrorResponse>".encode(), {"Content-Type": "text/xml"})
    with LoopbackServer(reply) as server:
        ended = run("status", "u", env={"HONNIN_ENDPOINT": server.url, "HONNIN_DEBUG": "1"})
    assert ended.exit_code == ExitCode.NO_ACCESS
    assert "SignatureDoesNotMatch" in ended.stderr
    assert SECRET not in ended.output


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_without_a_trusted_connection_it_is_5() -> None:
    with LoopbackServer(Reply(200, b"")) as server:
        endpoint = server.url.replace("http:", "https:")
        ended = run("status", "u", env={"HONNIN_ENDPOINT": endpoint, "AWS_CA_BUNDLE": "/nonexistent/ca.pem"})
    assert (ended.exit_code, ended.stdout) == (ExitCode.UNREACHABLE, "")
    assert "AWS_CA_BUNDLE" in ended.stderr


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_nobody_at_the_endpoint_is_5() -> None:
    ended = run("status", "u", env={"HONNIN_ENDPOINT": "http://127.0.0.1:9"})
    assert (ended.exit_code, ended.stdout) == (ExitCode.UNREACHABLE, "")
    assert "at 127.0.0.1" in ended.stderr


# The merchant API


class _ApiAt(Deployment):
    def __init__(self, url: str) -> None:
        super().__init__(Where(stack="s", endpoint=url, region="ap-northeast-1"))
        self.__dict__["outputs"] = {"MerchantApiUrl": f"{url}/v1/"}


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("InvalidSignatureException", "clock"),
        ("SignatureDoesNotMatchException", "clock"),
        ("ExpiredTokenException", "sign in again"),
        ("UnrecognizedClientException", "access key"),
        ("AccessDeniedException", "do not allow it"),
        ("", "do not allow it"),
    ],
)
def test_what_api_gateway_refuses_is_said_by_its_kind_and_not_repeated(kind: str, said: str) -> None:
    headers = {"x-amzn-ErrorType": kind} if kind else {}
    body = f'{{"message": "{CANONICAL}", "detail": "{CANONICAL}"}}'.replace("\\n", " ").encode()
    with LoopbackServer(Reply(403, body, headers)) as api, pytest.raises(NoAccessError, match=said) as raised:
        _ApiAt(api.url).merchant("GET", "/users/a")
    assert SECRET not in str(raised.value)


# curl command lines


def test_a_header_whose_quotes_are_missing_is_not_repeated() -> None:
    for line in (f"curl https://h/x -H Authorization: hmac OPA-Auth:{SECRET}", f"curl https://h/x --{SECRET}"):
        ended = run("sign", "paypay", line, env={"HONNIN_STACK": ""})
        assert (ended.exit_code, ended.stdout) == (ExitCode.USAGE, "")
        assert SECRET not in ended.stderr
