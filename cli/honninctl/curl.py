"""A curl command line, read as the HTTP request that curl would send. Nothing is sent."""

import json
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

from honninctl.failures import UsageError
from honninctl.language import _

# curl's options, by what they do to what a signature covers. Those of the first line take no value.
_FLAGS = (
    "-s --silent -S --show-error -v --verbose -i --include -k --insecure -L --location --compressed -f --fail "
    "--fail-with-body -# --progress-bar --http1.1 --http2 -4 -6 -N --no-buffer -g --globoff"
)
_WITHOUT_EFFECT = (
    "-o --output -m --max-time --connect-timeout --retry -x --proxy -w --write-out --resolve --cacert -b --cookie "
    "-c --cookie-jar -A --user-agent -e --referer -u --user"
)
_BODY = "-d --data --data-ascii --data-raw --data-binary --data-urlencode --json"
_FORM = "-F --form --form-string"
_REQUEST = "-X --request -H --header --url"
_SHORT_WITH_VALUE = "XHdFAoemxwbcu"

_NAME = re.compile(r"-[^\s-]|--[a-z0-9.-]{1,40}")
_FORM_QUOTED = re.compile(r'\s*"((?:[^"\\]|\\.)*)"', re.DOTALL)
_DOT_SEGMENT = re.compile(r"/(\.|%2e){1,2}(/|$)", re.IGNORECASE)
_ANSI_QUOTED = re.compile(r"\$'((?:[^'\\]|\\.)*)'", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}


@dataclass(frozen=True)
class Field:
    """One field of a form or of a JSON object, as text. `is_file`: the contents of a file, which no `sign` covers."""

    name: str
    value: str
    origin: str
    is_file: bool = False


@dataclass(frozen=True)
class Request:
    """What curl would send. `path` is as on the wire, without the query; header names are in lower case."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    form: tuple[Field, ...] = ()

    @property
    def path(self) -> str:
        """The URL's path only, as it would be sent."""
        return split(self.url).path or "/"

    @property
    def query(self) -> str:
        """The URL's query, which no signature of the two providers covers."""
        return split(self.url).query

    def fields(self) -> tuple[Field, ...]:
        """The top-level fields of the body: of a multipart form, a JSON object or a URL-encoded form.

        Raises `UsageError` when the body is none of them.
        """
        if self.form:
            return self.form
        if "x-www-form-urlencoded" in self.headers.get("content-type", "") and not self.body.lstrip().startswith(b"{"):
            try:
                pairs = parse_qsl(self.body.decode(), keep_blank_values=True)
            except UnicodeDecodeError:
                raise UsageError(_("the form of the curl command line is not text in UTF-8")) from None
            return tuple(Field(name, value, _("form field {name}").format(name=name)) for name, value in pairs)
        return _json_fields(self.body)


@dataclass
class _Draft:
    method: str = ""
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: list[bytes] = field(default_factory=list)
    form: list[Field] = field(default_factory=list)
    is_json: bool = False
    path_as_is: bool = False


def parse(text: str, read_file: Callable[[str], bytes] = lambda name: Path(name).read_bytes()) -> Request:
    """Read a command line as a shell and then curl would.

    Raises
    ------
    UsageError
        It is no curl command, or has an option whose effect on the request is not known here.
    """
    words = _words(text)
    if not words or Path(words[0]).name != "curl":
        raise UsageError(_("this is not a curl command line: it must begin with curl"))
    draft = _Draft()
    for option, value in _options(words[1:]):
        _take(draft, option, value, read_file)
    if not draft.url:
        raise UsageError(_("the curl command line has no URL"))
    if not draft.path_as_is and _DOT_SEGMENT.search(split(draft.url).path):
        # Which of them it resolves (/%2e%2e/ as well?) depends on curl's version.
        raise UsageError(_("curl resolves /./ and /../ before it sends: write the path as it is sent, or --path-as-is"))
    return _finished(draft)


def split(url: str) -> SplitResult:
    """A URL in its parts. Raises `UsageError` when it is none."""
    try:
        return urlsplit(url)
    except ValueError:
        raise UsageError(_("that URL cannot be read")) from None


def _words(text: str) -> list[str]:
    # Browsers copy as `curl … $'…'`, which shlex does not know.
    plain = _ANSI_QUOTED.sub(lambda found: shlex.quote(_unescaped(found[1])), text.strip())
    # A continued line of a shell; shlex would keep the newline.
    plain = re.sub(r"\\\r?\n", " ", plain)
    try:
        return shlex.split(plain)
    except ValueError as error:
        raise UsageError(_("the curl command line cannot be read: {error}").format(error=error)) from None


def _unescaped(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        escape = found[1]
        if escape[0] in "ux" and len(escape) > 1:
            return chr(int(escape[1:], 16))
        return _ESCAPED.get(escape, escape)

    # A letter beyond U+FFFF comes as two escapes, a surrogate pair.
    return _ESCAPE.sub(one, text).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each option with its value (empty for a flag); an address comes as the option `--url`."""
    left = iter(words)
    for word in left:
        if not word.startswith("-") or word == "-":
            yield "--url", word
        elif word.startswith("--"):
            name, equals, value = word.partition("=")
            yield name, value if equals else (next(left, "") if _takes_value(name) else "")
        else:
            yield from _short_options(word, left)


def _short_options(word: str, left: Iterator[str]) -> Iterator[tuple[str, str]]:
    for place, letter in enumerate(word[1:], start=1):
        if letter in _SHORT_WITH_VALUE:
            yield f"-{letter}", word[place + 1 :] or next(left, "")
            return
        yield f"-{letter}", ""


def _takes_value(name: str) -> bool:
    return any(_is(name, options) for options in (_WITHOUT_EFFECT, _BODY, _FORM, _REQUEST))


def _is(name: str, options: str) -> bool:
    return name in options.split()


def _take(draft: _Draft, option: str, value: str, read_file: Callable[[str], bytes]) -> None:
    if option in ("-X", "--request"):
        draft.method = value.upper()
    elif option in ("-H", "--header"):
        name, _colon, text = value.partition(":")
        draft.headers[name.strip().lower()] = text.strip()
    elif option == "--url":
        if draft.url:
            # Not repeated: an Authorization header whose quotes are missing comes here in pieces.
            raise UsageError(_("the curl command line has two URLs, or a header or body without quotes"))
        draft.url = value if "://" in value else f"http://{value}"
    elif _is(option, _BODY):
        draft.is_json = draft.is_json or option == "--json"
        draft.body.append(_data(option, value, read_file))
    elif _is(option, _FORM):
        draft.form.append(_form_field(option, value, read_file))
    elif option == "--path-as-is":
        draft.path_as_is = True
    elif option in ("-I", "--head"):
        draft.method = draft.method or "HEAD"
    elif not _is(option, _FLAGS) and not _is(option, _WITHOUT_EFFECT):
        name = option if _NAME.fullmatch(option) else _("an option")
        raise UsageError(
            _("curl's option {name} is not understood here: leave it out, or give the values themselves").format(
                name=name
            )
        )


def _data(option: str, value: str, read_file: Callable[[str], bytes]) -> bytes:
    if option == "--data-urlencode":
        name, equals, text = value.partition("=")
        return f"{name}={quote(text, safe='')}".encode() if equals and name else quote(text or value, safe="").encode()
    if option == "--data-raw" or not value.startswith("@"):
        return value.encode()
    content = _read(value[1:], read_file)
    # curl: --data drops line ends and NULs from a file; --data-binary and --json keep every byte.
    return content if option in ("--data-binary", "--json") else re.sub(rb"[\r\n\x00]", b"", content)


def _form_field(option: str, value: str, read_file: Callable[[str], bytes]) -> Field:
    """A field of -F as curl takes it apart (its man page, "-F")."""
    name, equals, text = value.partition("=")
    if not equals:
        raise UsageError(_("the form field {name!r} has no value: write -F name=value").format(name=name))
    origin = _("form field {name}").format(name=name)
    if option == "--form-string":
        return Field(name, text, origin)
    if text.startswith("@"):
        return Field(name, "", origin, is_file=True)
    if text.startswith("("):
        raise UsageError(
            _("the form field {name!r} has several parts, which Vexora's signing rule does not describe").format(
                name=name
            )
        )
    if text.startswith("<"):
        # Sent as a text, not as a file.
        content = _read(_form_word(text[1:]), read_file)
        try:
            return Field(
                name,
                content.decode(),
                _("form field {name}, from the file {file}").format(name=name, file=_form_word(text[1:])),
            )
        except UnicodeDecodeError:
            raise UsageError(_("the file of the form field {name!r} is not text in UTF-8").format(name=name)) from None
    return Field(name, _form_word(text), origin)


def _form_word(text: str) -> str:
    """What stands before the attributes (`;type=text/plain`) of a form field: in quotes, or up to a semicolon."""
    if quoted := _FORM_QUOTED.match(text):
        return re.sub(r'\\([\\"])', r"\1", quoted[1])
    return text.partition(";")[0].strip()


def _read(name: str, read_file: Callable[[str], bytes]) -> bytes:
    try:
        return read_file(name)
    except OSError as error:
        raise UsageError(
            _("the file {name} of the curl command line cannot be read: {strerror}").format(
                name=name, strerror=error.strerror
            )
        ) from None


def _finished(draft: _Draft) -> Request:
    if draft.form and draft.body:
        raise UsageError(_("the curl command line has both a form (-F) and a body (-d)"))
    separator = b"" if draft.is_json else b"&"
    body = separator.join(draft.body)
    if draft.is_json:
        draft.headers.setdefault("content-type", "application/json")
    elif draft.body:
        draft.headers.setdefault("content-type", "application/x-www-form-urlencoded")
    method = draft.method or ("POST" if draft.body or draft.form else "GET")
    return Request(method, draft.url, draft.headers, body, tuple(draft.form))


def _json_fields(body: bytes) -> tuple[Field, ...]:
    try:
        value = json.loads(body, parse_float=str, parse_int=str)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise UsageError(_("the body is neither a form nor a JSON object"))
    fields = []
    for name, each in value.items():
        if isinstance(each, dict | list | bool):
            raise UsageError(
                _(
                    "the field {name} is neither a text nor a number, which Vexora's signing rule does not describe"
                ).format(name=name)
            )
        fields.append(Field(name, "" if each is None else each, _("JSON field {name}").format(name=name)))
    return tuple(fields)
