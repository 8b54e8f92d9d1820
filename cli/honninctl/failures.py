"""How a command ends: the exit codes, and one plain sentence for each way to fail.

botocore is not imported here: an error of its kind can only come once somebody else has loaded it.
"""

import sys
import traceback
from enum import IntEnum
from pathlib import Path
from typing import ClassVar

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


class CommandError(Exception):
    """A command cannot do what it was asked for. The message is one sentence for the reader."""

    exit_code: ClassVar[ExitCode] = ExitCode.FINDING


class UsageError(CommandError):
    """What was typed cannot be meant."""

    exit_code = ExitCode.USAGE


class NotFoundError(CommandError):
    """Nothing is known under the name that was given."""

    exit_code = ExitCode.NOT_FOUND


class NoAccessError(CommandError):
    """AWS does not know the caller, or does not let the caller do this."""

    exit_code = ExitCode.NO_ACCESS


class UnreachableError(CommandError):
    """AWS, the local stack or a provider does not answer."""

    exit_code = ExitCode.UNREACHABLE


# Codes of AWS services that say who the caller is, or what the caller may not do.
_DENIED_CODES = frozenset(
    {
        "403",  # HeadBucket's answer has no body, hence no better code
        "AccessDenied",
        "AccessDeniedException",
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "KMS.AccessDeniedException",
        "MissingAuthenticationToken",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
    }
)
# What botocore raises before it has found, or renewed, the caller's credentials.
_CREDENTIAL_ERRORS = (
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "ProfileNotFound",
    "InvalidConfigError",
    "SSOError",
    "TokenRetrievalError",
    "UnauthorizedSSOTokenError",
)


def explained(error: Exception) -> CommandError:
    """The error of the tree above that says the same in plain words."""
    if isinstance(error, CommandError):
        return error
    kinds = {each.__name__ for each in type(error).__mro__}
    if "ClientError" in kinds:
        return _of_service(error)
    if kinds & set(_CREDENTIAL_ERRORS):
        return NoAccessError(f"no usable AWS credentials ({error}); sign in, or choose others with --profile")
    if "HTTPClientError" in kinds or "ConnectionError" in kinds:
        return UnreachableError(f"AWS does not answer: {error}")
    if "BotoCoreError" in kinds:
        return CommandError(f"AWS cannot be asked: {error}")
    return CommandError(f"an unexpected {type(error).__name__} at {_place(error)}; HONNIN_DEBUG=1 shows where from")


def error_code(error: Exception) -> str:
    """The code of an AWS service's error, or the empty text."""
    response = getattr(error, "response", None)
    details = response.get("Error", {}) if isinstance(response, dict) else {}
    return str(details.get("Code", ""))


def is_denied(error: Exception) -> bool:
    """Whether AWS does not know the caller, or does not let the caller do this."""
    return error_code(error) in _DENIED_CODES


def show_traceback(error: Exception) -> None:
    """Where an error came from: frames only, for its message may hold anything."""
    sys.stderr.writelines(traceback.format_tb(error.__traceback__))


def _of_service(error: Exception) -> CommandError:
    operation = getattr(error, "operation_name", "a call")
    if is_denied(error):
        return NoAccessError(f"AWS refuses {operation} ({error_code(error)}): your credentials do not allow it")
    return CommandError(f"AWS refused {operation}: {error}")


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [each for each in frames if Path(each.filename).is_relative_to(_PACKAGE)] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "an unknown place"
