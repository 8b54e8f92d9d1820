"""How a command ends: the exit codes, and one plain sentence for each way to fail.

botocore is not imported here: an error of its kind can only come once somebody else has loaded it.
"""

import os
import re
import sys
import traceback
from collections.abc import Collection, Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from honninctl.language import N_, _

_PACKAGE = Path(__file__).parent


class ExitCode(IntEnum):
    """What scripts can rely on (`honninctl --help`)."""

    OK = 0
    FINDING = 1
    USAGE = 2
    NOT_FOUND = 3
    NO_ACCESS = 4
    UNREACHABLE = 5
    INTERRUPTED = 130
    OUTPUT_CLOSED = 141


class CommandError(Exception):
    """A command cannot do what it was asked for. The message is one sentence for the reader."""

    exit_code: ClassVar[ExitCode] = ExitCode.FINDING


class UsageError(CommandError):
    """The command line is not valid."""

    exit_code = ExitCode.USAGE


class UserIdError(UsageError):
    """This cannot be the id of a user."""


class NotFoundError(CommandError):
    """Nothing is known under the name that was given."""

    exit_code = ExitCode.NOT_FOUND


class NoAccessError(CommandError):
    """AWS does not know the caller, or does not let the caller do this."""

    exit_code = ExitCode.NO_ACCESS


class NotAllowedError(NoAccessError):
    """AWS knows the caller, and does not let the caller do this: another policy would."""


class UnreachableError(CommandError):
    """AWS, the local stack or a provider does not answer."""

    exit_code = ExitCode.UNREACHABLE


# Codes of AWS services that say who the caller is, or what the caller may not do; and what a person does about it.
_SIGN_IN = N_("your AWS session has ended: sign in again")
_SIGNATURE = N_("the signature is wrong or too old: look at the secret key and at this machine's clock")
_NOT_ALLOWED = N_("your credentials do not allow it")
_REFUSALS: Mapping[str, str] = {
    "403": _NOT_ALLOWED,  # the answer to a HEAD has no body, hence no better code
    "AccessDenied": _NOT_ALLOWED,
    "AccessDeniedException": _NOT_ALLOWED,
    "AuthFailure": _NOT_ALLOWED,
    "AuthorizationError": _NOT_ALLOWED,
    "AuthorizationErrorException": _NOT_ALLOWED,
    "ExpiredToken": _SIGN_IN,
    "ExpiredTokenException": _SIGN_IN,
    "ForbiddenException": _NOT_ALLOWED,
    "IncompleteSignature": _SIGNATURE,
    "IncompleteSignatureException": _SIGNATURE,
    "InvalidAccessKeyId": "AWS does not know the access key",
    "InvalidClientTokenId": "AWS does not know the access key",
    "InvalidSignatureException": _SIGNATURE,
    "InvalidToken": _SIGN_IN,
    "KMS.AccessDeniedException": _NOT_ALLOWED,
    "MissingAuthenticationToken": "there is no signature",
    "NotAuthorized": _NOT_ALLOWED,
    "OptInRequired": "the account does not use this service",
    "RequestExpired": _SIGNATURE,
    "RequestInTheFuture": _SIGNATURE,
    "RequestTimeTooSkewed": _SIGNATURE,
    "SignatureDoesNotMatch": _SIGNATURE,
    "TokenRefreshRequired": _SIGN_IN,
    "UnauthorizedOperation": _NOT_ALLOWED,
    "UnrecognizedClientException": "AWS does not know the access key",
}
_CODE = re.compile(r"[A-Za-z0-9._-]{1,80}")

# Errors of botocore (and of what it is made of) by the names of their classes: the first line that fits counts.
_SENTENCES: Sequence[tuple[Collection[str], type[CommandError], str]] = (
    (
        {"ProfileNotFound"},
        NoAccessError,
        "the AWS profile that was chosen (--profile, AWS_PROFILE) is not in your AWS configuration",
    ),
    (
        {"ConfigParseError", "ConfigNotFound", "InvalidConfigError"},
        NoAccessError,
        "your AWS configuration cannot be read: look at ~/.aws/config and ~/.aws/credentials",
    ),
    (
        {"SSOError", "TokenRetrievalError", "NoAuthTokenError", "LoginError", "PendingAuthorizationExpiredError"},
        NoAccessError,
        "your sign-in to AWS has ended: sign in again (aws sso login)",
    ),
    (
        {
            "CredentialRetrievalError",
            "InvalidIMDSEndpointError",
            "MetadataRetrievalError",
            "NoCredentialsError",
            "PartialCredentialsError",
            "RefreshWithMFAUnsupportedError",
            "UnknownCredentialError",
        },
        NoAccessError,
        "no usable AWS credentials; sign in, or choose others with --profile",
    ),
    (
        {"InvalidRegionError", "NoRegionError", "UnknownRegionError", "UnknownEndpointError"},
        UsageError,
        "AWS has no such region: look at --region, AWS_DEFAULT_REGION and your profile",
    ),
    (
        {"ProxyConnectionError", "InvalidProxiesConfigError"},
        UnreachableError,
        "the proxy refuses calls to AWS: look at HTTPS_PROXY and NO_PROXY",
    ),
    (
        {"SSLError"},
        UnreachableError,
        "no trusted connection{where}: look at AWS_CA_BUNDLE (is the file there?), and at a proxy in between",
    ),
    (
        {"ResponseParserError"},
        UnreachableError,
        "what answers is not AWS: look at --endpoint, HONNIN_ENDPOINT and AWS_ENDPOINT_URL",
    ),
    (
        {
            "ConnectionError",
            "ConnectionClosedError",
            "ReadTimeoutError",
            "ResponseStreamingError",
            "IncompleteReadError",
        },
        UnreachableError,
        "AWS does not answer{where}: look at the network, the region and the endpoint",
    ),
    (
        # Not a subclass of it: the HTTP client would not even send the request.
        {"HTTPClientError"},
        NoAccessError,
        "the call cannot be sent as it is: look at the AWS credentials (a line break in them?) and at HTTPS_PROXY",
    ),
    ({"BotoCoreError"}, CommandError, "AWS could not be called"),
)


def explained(error: Exception) -> CommandError:
    """The error of the tree above that says the same in plain words.

    The text of a foreign error is never part of them. An HTTP client repeats the header that it cannot send, and AWS
    the request whose signature is wrong: an Authorization header, a session token. What is said comes from the
    error's type, an AWS error's code, and the host that was called.
    """
    if isinstance(error, CommandError):
        return error
    kinds = {each.__name__ for each in type(error).__mro__}
    if "ClientError" in kinds:
        return _of_service(error)
    if _is_of_parser(error):
        kinds.add("ResponseParserError")
    for names, kind, sentence in _SENTENCES:
        if not kinds.isdisjoint(names):
            found = _(sentence).format(where=_host(error))
            return kind(_("{sentence} ({kind})").format(sentence=found, kind=type(error).__name__))
    if isinstance(error, OSError) and error.errno:
        return CommandError(
            _("the operating system refuses at {place}: {reason}").format(
                place=_place(error), reason=os.strerror(error.errno)
            )
        )
    return CommandError(
        _("an unexpected {kind} at {place}; HONNIN_DEBUG=1 shows where from").format(
            kind=type(error).__name__, place=_place(error)
        )
    )


def error_code(error: Exception) -> str:
    """The code of an AWS service's error, or the empty text."""
    response = getattr(error, "response", None)
    details = response.get("Error", {}) if isinstance(response, dict) else {}
    code = str(details.get("Code", ""))
    return code if _CODE.fullmatch(code) else ""


def is_denied(error: Exception) -> bool:
    """Whether AWS does not know the caller, or does not let the caller do this."""
    return error_code(error) in _REFUSALS


def refused(what: str, code: str) -> NoAccessError | None:
    """The error for a code of AWS that refuses the caller, beginning with `what`; None for any other code."""
    why = _REFUSALS.get(code)
    if why is None:
        return None
    return (NotAllowedError if why == _NOT_ALLOWED else NoAccessError)(_("{what}: {why}").format(what=what, why=_(why)))


def show_traceback(error: Exception) -> None:
    """Where an error came from: frames only, for its message may hold anything."""
    sys.stderr.writelines(traceback.format_tb(error.__traceback__))


def _of_service(error: Exception) -> CommandError:
    operation, code = getattr(error, "operation_name", _("a call")), error_code(error) or _("no code")
    message = _("AWS refuses {operation} ({code})").format(operation=operation, code=code)
    return refused(message, code) or CommandError(
        _("AWS refused {operation} ({code})").format(operation=operation, code=code)
    )


def _is_of_parser(error: Exception) -> bool:
    """Whether botocore stumbled over an answer: over what another server says, it does so with any error."""
    modules = [frame.f_globals.get("__name__") for frame, _line in traceback.walk_tb(error.__traceback__)]
    return bool(modules) and modules[-1] == "botocore.parsers"


def _host(error: Exception) -> str:
    """The host that was called, of the URL that botocore's errors carry: its path and query may name a user."""
    facts = getattr(error, "kwargs", {})
    url = facts.get("endpoint_url") if isinstance(facts, dict) else None
    try:
        host = urlsplit(str(url or "")).hostname
    except ValueError:
        return ""
    return _(" at {host}").format(host=host) if host else ""


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [each for each in frames if Path(each.filename).is_relative_to(_PACKAGE)] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else _("an unknown place")
