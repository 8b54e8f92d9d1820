"""`sign vexora` and `sign paypay`."""

import contextlib
import getpass
import json
import locale
import secrets
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from honninctl import curl, sign
from honninctl.command import Cli, command, group
from honninctl.curl import Field
from honninctl.failures import CommandError, ExitCode, UsageError
from honninctl.language import N_, _
from honninctl.sign import Explanation, OpaRequest

SecretFileOption = Annotated[
    Path | None,
    typer.Option(
        "--secret-file",
        metavar="FILE",
        help="File with the secret alone, or with the JSON of the provider secret.",
        exists=True,
        dir_okay=False,
    ),
]
PromptOption = Annotated[bool, typer.Option("--prompt", help="Ask for the secret, without echo.")]
CurlArgument = Annotated[
    str | None, typer.Argument(metavar="[CURL]", help="A whole curl command line, quoted; - reads it from stdin.")
]

# docs/providers.md §1.1: 8 characters recommended.
_NONCE_BYTES = 4


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    made = group(
        app,
        "sign",
        "Explain a provider's signature: the string to sign byte by byte, and the result.\n\n"
        "The secret comes from the stack's provider secret, --secret-file or --prompt; it is never shown. "
        "What you give is shown back as it is. Nothing is sent.",
    )
    command(
        made,
        "vexora",
        example="honninctl sign vexora --field userId=user-100 --field timestamp=1774925553256 --prompt",
    )(sign_vexora)
    command(
        made,
        "paypay",
        example="honninctl sign paypay - --secret-file secret.txt <curl.txt",
    )(sign_paypay)


def sign_vexora(
    cli: Cli,
    line: CurlArgument = None,
    fields: Annotated[
        list[str] | None, typer.Option("--field", metavar="NAME=VALUE", help="A field of the request; repeat it.")
    ] = None,
    secret_file: SecretFileOption = None,
    prompt: PromptOption = False,
) -> ExitCode:
    """Explain Vexora's `sign`: of a curl command line, or of fields.

    JSON: see cli/README.md. Exit code 1 when the request holds a `sign` that is not the right one.
    """
    if bool(line) == bool(fields):
        raise UsageError(_("give either a curl command line (- for stdin) or --field NAME=VALUE"))
    found = curl.parse(_line(line)).fields() if line else tuple(map(_field, fields or ()))
    explanation = sign.vexora(found, _secret(cli, "vexora_app_secret", secret_file, prompt=prompt))
    return _shown(cli, explanation)


def sign_paypay(
    cli: Cli,
    line: CurlArgument = None,
    method: Annotated[str, typer.Option("--method", help="HTTP method.")] = "GET",
    url: Annotated[str | None, typer.Option("--url", "--path", metavar="URL", help="The URL, or its path.")] = None,
    content_type: Annotated[str | None, typer.Option("--content-type", help="As in the header, byte for byte.")] = None,
    body: Annotated[str | None, typer.Option("--body", help="The body as it is sent.")] = None,
    body_file: Annotated[
        Path | None, typer.Option("--body-file", help="A file with the body.", exists=True, dir_okay=False)
    ] = None,
    nonce: Annotated[str | None, typer.Option("--nonce", help="Default: a new one.")] = None,
    epoch: Annotated[str | None, typer.Option("--epoch", help="Seconds since 1970. Default: now.")] = None,
    api_key: Annotated[str | None, typer.Option("--api-key", help="Default: that of the provider secret.")] = None,
    secret_file: SecretFileOption = None,
    prompt: PromptOption = False,
) -> ExitCode:
    """Explain PayPay's OPA HMAC: of a curl command line, or of values.

    Nonce, epoch and API key are taken from the command line's own Authorization header where there is one.
    JSON: see cli/README.md. Exit code 1 when the request holds a header that is not the right one.
    """
    if bool(line) == bool(url):
        raise UsageError(_("give either a curl command line (- for stdin) or --url, with --method, --body and so on"))
    if body is not None and body_file is not None:
        raise UsageError(_("give --body or --body-file, not both"))
    if line:
        request = _from_curl(curl.parse(_line(line)))
    else:
        sent = _bytes(body_file) if body_file else (body or "").encode()
        request = (method, _path(str(url)), content_type, sent, None)
    key = api_key or _api_key(cli, request[4], secret_file, prompt=prompt)
    secret = _secret(cli, "paypay_api_secret", secret_file, prompt=prompt)
    opa = _opa_request(request, key, nonce, epoch)
    if opa.body and not opa.content_type:
        raise UsageError(_("a body is signed together with its content type: give --content-type"))
    return _shown(cli, sign.paypay(opa, secret))


# Method, path, content type, body, and the Authorization header that the request carries.
type _Raw = tuple[str, str, str | None, bytes, str | None]


def _from_curl(request: curl.Request) -> _Raw:
    if request.form:
        raise UsageError(_("PayPay's API takes JSON bodies: a form (-F) has no fixed bytes to sign"))
    headers = request.headers
    return request.method, request.path, headers.get("content-type"), request.body, headers.get("authorization")


def _opa_request(raw: _Raw, api_key: str, nonce: str | None, epoch: str | None) -> OpaRequest:
    method, path, content_type, body, authorization = raw
    carried = sign.opa_header(authorization) if authorization else None
    chosen: dict[str, Any] = {}
    if nonce:
        chosen |= {"nonce": nonce, "nonce_origin": N_("as given")}
    elif carried:
        chosen |= {"nonce": carried.nonce, "nonce_origin": N_("from the Authorization header")}
    if epoch:
        chosen |= {"epoch": epoch, "epoch_origin": N_("as given")}
    elif carried:
        chosen |= {"epoch": carried.epoch, "epoch_origin": N_("from the Authorization header")}
    return OpaRequest(
        method=method,
        path=path,
        api_key=api_key,
        content_type=content_type,
        body=body,
        given=authorization,
        **{"nonce": secrets.token_hex(_NONCE_BYTES), "epoch": str(int(time.time())), **chosen},
    )


def _api_key(cli: Cli, authorization: str | None, secret_file: Path | None, *, prompt: bool) -> str:
    carried = sign.opa_header(authorization) if authorization else None
    if carried:
        return carried.api_key
    if prompt:
        raise UsageError(_("with --prompt give the API key, too: --api-key"))
    return _secret(cli, "paypay_api_key", secret_file, prompt=False, alone=False)


def _path(url: str) -> str:
    path = curl.split(url).path
    if not path.startswith("/"):
        raise UsageError(_("--url must be a URL, or a path that begins with a slash"))
    return path


def _line(text: str) -> str:
    return _text(sys.stdin.buffer.read(), "stdin") if text == "-" else text


def _text(data: bytes, where: str) -> str:
    """Bytes as text: UTF-8 (Windows puts a mark before it), else what this terminal writes."""
    for encoding in ("utf-8-sig", locale.getpreferredencoding(do_setlocale=False)):
        with contextlib.suppress(UnicodeDecodeError):
            return data.decode(encoding)
    raise UsageError(_("{where} is not text: neither UTF-8 nor this terminal's encoding").format(where=where))


def _field(text: str) -> Field:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(_("--field {text!r} is not of the form NAME=VALUE").format(text=text))
    return Field(name, value, f"--field {name}")


def _secret(cli: Cli, key: str, file: Path | None, *, prompt: bool, alone: bool = True) -> str:
    """One value of the provider secret: from a file, a person or the stack, never from the command line.

    `alone`: a file may hold this value and nothing else.
    """
    if file:
        return _of_file(file, key, alone=alone)
    if prompt:
        return getpass.getpass(f"{key}: ", stream=sys.stderr)
    if not cli.deployment.has_name:
        raise UsageError(_("where is the secret? Name a stack (--stack), a file (--secret-file), or add --prompt"))
    return _usable(cli.deployment.provider_secret(), key, _("the stack's provider secret"))


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(_("{file} cannot be read: {strerror}").format(file=file, strerror=error.strerror)) from None


def _of_file(file: Path, key: str, *, alone: bool) -> str:
    text = _text(_bytes(file), str(file)).strip()
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if isinstance(values, dict):
        return _usable(values, key, str(file))
    if not alone:
        raise UsageError(_("{file} holds the secret only: give the API key with --api-key").format(file=file))
    return text


def _usable(values: Any, key: str, where: str) -> str:
    from honnin.secret_store import PLACEHOLDER

    value = str(values.get(key, "")).strip()
    if not value or value == PLACEHOLDER:
        raise CommandError(_("{where} has no value for {key}").format(where=where, key=key))
    return value


def _shown(cli: Cli, explanation: Explanation) -> ExitCode:
    if cli.screen.as_json:
        cli.screen.json(explanation.as_json())
    else:
        _explain(cli, explanation)
    return ExitCode.FINDING if explanation.matches is False else ExitCode.OK


def _explain(cli: Cli, explanation: Explanation) -> None:
    screen = cli.screen
    rows = [(number, sign.escaped(part.text), part.origin) for number, part in enumerate(explanation.parts, start=1)]
    if explanation.secret_follows:
        rows.append((len(rows) + 1, sign.NOT_SHOWN, _("the secret, appended; not shown")))
    screen.table(("", _("bytes, escaped"), _("where from")), rows, title=_("The string to sign, part by part"))
    for name, reason in explanation.left_out.items():
        screen.line(_("not signed: {name} ({reason})").format(name=name, reason=reason), "dim")
    data = explanation.string_to_sign.encode("utf-8", "surrogatepass")
    screen.line("")
    template = (
        _("In one piece, {number} bytes before the secret:")
        if explanation.secret_follows
        else _("In one piece, {number} bytes:")
    )
    screen.line(template.format(number=len(data)))
    for offset, digits, text in sign.hex_rows(data):
        screen.line(f"  {offset}  {digits:<47}  {text}")
    screen.line("")
    for name, value in explanation.results.items():
        screen.line(f"{name:<14}{value}", "bold")
    for remark in explanation.remarks:
        screen.line(f"! {remark}", "yellow")
    if explanation.matches is not None:
        screen.line(
            _("The signature in the request is right.")
            if explanation.matches
            else _("The signature in the request is WRONG."),
            "green" if explanation.matches else "bold red",
        )
