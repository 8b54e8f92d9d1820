"""`honninctl sign`: against the vectors, from values and from curl lines; the secret comes from no argument and is
shown nowhere."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from honninctl import curl, sign
from honninctl.failures import UsageError
from tests.fakes.cli import FakeDeployment, Service, run

VECTORS = Path(__file__).resolve().parents[1] / "fixtures" / "vectors"
VEXORA: list[dict[str, Any]] = json.loads((VECTORS / "vexora_sign.json").read_text())["cases"]
PAYPAY: dict[str, Any] = json.loads((VECTORS / "paypay_hmac.json").read_text())[0]


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    return tmp_path / "secret"


def _form(case: dict[str, Any]) -> str:
    fields = " ".join(f"-F '{name}={value}'" for name, value in case["fields"].items())
    return f"curl -sS -X POST https://sandbox-api.vexora.com/japan/v1/x -H 'merchantNo: 1' {fields}"


def _paypay_curl(**changes: str) -> str:
    case = {**PAYPAY, **changes}
    return (
        f"curl -X {case['method']} 'https://api.paypay.ne.jp{case['path']}?a=b'"
        f" -H 'Content-Type: {case['content_type']}'"
        f" -H 'Authorization: {case['authorization']}' -d '{case['body']}'"
    )


@pytest.mark.parametrize("case", VEXORA, ids=lambda each: each["id"])
def test_vexora_vectors_from_fields_and_from_a_curl_line(case: dict[str, Any], secret_file: Path) -> None:
    secret_file.write_text(case["app_secret"])
    fields = [f"--field={name}={value}" for name, value in case["fields"].items()]
    for arguments, given in ((fields, None), ([_form(case)], None), (["-"], _form(case))):
        ended = run("sign", "vexora", *arguments, "--secret-file", str(secret_file), "--json", given=given)
        assert ended.exit_code == 0, ended.stderr
        shown = json.loads(ended.stdout)
        assert shown["result"] == {"sign": case["sign"]}
        assert shown["stringToSign"] == case["string_without_secret"]
        assert bytes.fromhex(shown["hex"]).decode() == case["string_without_secret"]
        assert "".join(part["text"] for part in shown["parts"]) == case["string_without_secret"]


def test_vexora_json_body_is_signed_by_the_text_of_its_values(secret_file: Path) -> None:
    secret_file.write_text(VEXORA[1]["app_secret"])
    body = json.dumps({**VEXORA[1]["fields"], "timestamp": int(VEXORA[1]["fields"]["timestamp"])})
    line = f"curl https://x/v1/vexora/kycStatusQuery -H 'content-type: application/json' --data-raw '{body}'"
    shown = json.loads(run("sign", "vexora", line, "--secret-file", str(secret_file), "--json").stdout)
    assert shown["result"]["sign"] == VEXORA[1]["sign"]


def test_a_right_and_a_wrong_sign_in_the_request(secret_file: Path) -> None:
    case = VEXORA[0]
    secret_file.write_text(case["app_secret"])
    right = run("sign", "vexora", _form(case) + f" -F sign={case['sign']}", "--secret-file", str(secret_file))
    assert (right.exit_code, "is right" in right.stdout) == (0, True)
    wrong = run("sign", "vexora", _form(case) + f" -F sign={'0' * 32}", "--secret-file", str(secret_file))
    assert (wrong.exit_code, "WRONG" in wrong.stdout) == (1, True)
    shouted = run("sign", "vexora", _form(case) + f" -F sign={case['sign'].upper()}", "--secret-file", str(secret_file))
    assert (shouted.exit_code, "upper case" in shouted.stdout) == (1, True)


def test_what_is_not_signed_is_said_with_its_reason() -> None:
    fields = curl.parse("curl https://x -F userId=a -F empty= -F 'photo=@face.jpg' -F sign=b -F merchantNo=1").fields()
    explained = sign.vexora(fields, "s")
    assert dict(explained.left_out) == {
        "empty": "empty; better not sent at all",
        "photo": "contents of a file",
        "sign": "the signature itself",
    }
    assert explained.string_to_sign == "merchantNo=1userId=a"
    assert any("merchantNo" in each for each in explained.remarks)
    assert any("timestamp" in each for each in explained.remarks)


def test_paypay_published_vector_from_values_and_from_a_curl_line(secret_file: Path) -> None:
    secret_file.write_text(PAYPAY["api_secret"])
    values = ["--url", PAYPAY["path"], "--method", "post", "--content-type", PAYPAY["content_type"]]
    values += ["--body", PAYPAY["body"], "--nonce", PAYPAY["nonce"], "--epoch", PAYPAY["epoch"]]
    values += ["--api-key", PAYPAY["api_key"]]
    for arguments in (values, [_paypay_curl()]):
        ended = run("sign", "paypay", *arguments, "--secret-file", str(secret_file), "--json")
        assert ended.exit_code == 0, ended.stderr
        assert json.loads(ended.stdout)["result"]["authorization"] == PAYPAY["authorization"]
    assert json.loads(ended.stdout)["matches"] is True


@pytest.mark.parametrize(
    ("change", "remark"),
    [
        ({"body": "{}"}, "the hash differs"),
        ({"content_type": "application/json"}, "the hash differs"),
        ({"path": "/v2/code"}, "the mac differs"),
        ({"method": "PUT"}, "the mac differs"),
        ({"authorization": "hmac OPA-Auth:a:b"}, "not of the form"),
    ],
)
def test_a_wrong_header_is_1_and_names_the_part(change: dict[str, str], remark: str, secret_file: Path) -> None:
    secret_file.write_text(json.dumps({"paypay_api_key": "k", "paypay_api_secret": PAYPAY["api_secret"]}))
    ended = run("sign", "paypay", _paypay_curl(**change), "--secret-file", str(secret_file), "--json")
    assert ended.exit_code == 1
    assert any(remark in each for each in json.loads(ended.stdout)["remarks"])


def test_the_epoch_is_compared_with_the_clock() -> None:
    request = sign.OpaRequest("GET", "/v2/x", "nonce", "1700000000", "key")
    assert sign.paypay(request, "s", now=1_700_000_100).remarks == ()
    assert "121 s away" in sign.paypay(request, "s", now=1_700_000_121).remarks[0]
    millis = sign.OpaRequest("GET", "/v2/x", "nonce", "1700000000000", "key")
    assert "milliseconds" in sign.paypay(millis, "s", now=1_700_000_000).remarks[0]


def test_without_a_body_the_word_empty_is_signed_and_the_query_is_not(secret_file: Path) -> None:
    secret_file.write_text(json.dumps({"paypay_api_key": "k", "paypay_api_secret": "s"}))
    ended = run("sign", "paypay", "--url", "https://h/v2/u%20s?x=1", "--secret-file", str(secret_file), "--json")
    lines = json.loads(ended.stdout)["stringToSign"].split("\n")
    assert (lines[0], lines[1], lines[4], lines[5]) == ("/v2/u%20s", "GET", "empty", "empty")


@pytest.mark.parametrize("as_json", [True, False])
def test_the_secret_is_never_shown_wherever_it_comes_from(
    as_json: bool, secret_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "not-to-be-seen-anywhere"
    secret_file.write_text(secret)
    deployment = FakeDeployment({"ProvidersSecretArn": "arn"})
    stored = {
        "SecretString": json.dumps({"vexora_app_secret": secret, "paypay_api_key": "k", "paypay_api_secret": secret})
    }
    deployment.services["secretsmanager"] = Service(get_secret_value=stored)
    monkeypatch.setattr("honninctl.command.Deployment", lambda _where: deployment)
    monkeypatch.setattr("getpass.getpass", lambda *_, **__: secret)
    for source in (["--secret-file", str(secret_file)], ["--prompt"], []):
        for command in (
            ["vexora", "--field", "userId=a"],
            ["paypay", "--url", "/v2/x", "--api-key", "k", "--body", "{}", "--content-type", "a/b"],
        ):
            ended = run("sign", *command, *source, *(["--json"] if as_json else []))
            assert ended.exit_code == 0, ended.stderr
            assert secret not in ended.output


def test_the_secret_is_no_option() -> None:
    for command in ("vexora", "paypay"):
        assert run("sign", command, "--secret", "x").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["vexora"], "either a curl command line"),
        (["vexora", "curl https://x -F a=b", "--field", "a=b"], "either a curl command line"),
        (["vexora", "--field", "novalue"], "NAME=VALUE"),
        (["vexora", "wget https://x"], "must begin with curl"),
        (["vexora", "curl https://x -d 'a=b' -F c=d"], "both a form"),
        (["vexora", "curl https://x --digest"], "--digest"),
        (["vexora", "curl https://x -d '[1]' -H 'Content-Type: application/json'"], "neither a form nor a JSON object"),
        (["vexora", "curl 'https://x"], "cannot be read"),
        (["paypay"], "either a curl command line"),
        (["paypay", "--url", "v2/x", "--api-key", "k"], "begins with a slash"),
        (["paypay", "--url", "/v2/x", "--api-key", "k", "--body", "{}"], "give --content-type"),
        (["paypay", "curl https://x -F a=b"], "JSON bodies"),
        (["paypay", "--url", "/x"], "--api-key"),
    ],
)
def test_wrong_usage_is_2_and_one_sentence(arguments: list[str], sentence: str, secret_file: Path) -> None:
    secret_file.write_text("s")
    ended = run("sign", *arguments, "--secret-file", str(secret_file))
    assert ended.exit_code == 2
    assert sentence in ended.stderr
    assert ended.stdout == ""


def test_without_a_source_of_the_secret_it_says_where_to_take_it_from() -> None:
    ended = run("sign", "vexora", "--field", "userId=a", env={"HONNIN_STACK": ""})
    assert ended.exit_code == 2
    assert "--secret-file" in ended.stderr


def test_a_placeholder_is_no_secret(secret_file: Path) -> None:
    secret_file.write_text(json.dumps({"vexora_app_secret": "REPLACE_ME"}))
    ended = run("sign", "vexora", "--field", "userId=a", "--secret-file", str(secret_file))
    assert ended.exit_code == 1
    assert "no value for vexora_app_secret" in ended.stderr


# The curl line


def test_a_browsers_ansi_quotes_and_continued_lines() -> None:
    request = curl.parse(
        "curl 'https://h/p' \\\n  -H 'Content-Type: application/json' \\\n  --data-raw $'{\"a\":\"\\u30c6\\'\\n\"}'"
    )
    assert request.body.decode() == '{"a":"テ\'\n"}'
    assert (request.method, request.path) == ("POST", "/p")


def test_data_of_a_file_loses_line_ends_and_binary_data_does_not() -> None:
    def read(name: str) -> bytes:
        assert name == "body.json"
        return b'{"a":\n1}\n'

    assert curl.parse("curl https://h -d @body.json", read).body == b'{"a":1}'
    assert curl.parse("curl https://h --data-binary @body.json", read).body == b'{"a":\n1}\n'
    assert curl.parse("curl https://h --json @body.json", read).headers["content-type"] == "application/json"


def test_several_data_are_joined_and_make_a_form() -> None:
    request = curl.parse("curl -sSd a=1 --data-urlencode 'b=テ' https://h")
    assert request.body == b"a=1&b=%E3%83%86"
    assert [(each.name, each.value) for each in request.fields()] == [("a", "1"), ("b", "テ")]


def test_short_options_may_stand_together_with_their_value() -> None:
    request = curl.parse("curl -sXPUT -HX-A:1 --request=PATCH -u me:pw https://h/p")
    assert (request.method, request.headers) == ("PATCH", {"x-a": "1"})


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("a", "a"),
        ("a;type=text/plain", "a"),
        ("a; charset=b", "a"),
        ('"a;type=x"', "a;type=x"),
        ('"a;b";type=text/plain', "a;b"),
        (r'"a\"b\\c"', 'a"b\\c'),
        ('"a', '"a'),
        ("<note.txt", "text of a\nfile"),
        ("<note.txt;type=text/plain", "text of a\nfile"),
        ('<"odd;name.txt"', "odd"),
    ],
)
def test_a_form_field_is_taken_apart_as_curl_does(given: str, value: str) -> None:
    files = {"note.txt": b"text of a\nfile", "odd;name.txt": b"odd"}
    [found] = curl.parse(f"curl https://h -F {shlex.quote(f'v={given}')}", files.__getitem__).fields()
    assert (found.name, found.value, found.is_file) == ("v", value, False)


def test_a_text_that_is_read_from_a_file_is_signed(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("n")
    fields = curl.parse(f"curl https://x -F timestamp=1 -F 'note=<{tmp_path}/note.txt'").fields()
    explained = sign.vexora(fields, "s")
    assert explained.string_to_sign == "note=ntimestamp=1"
    assert explained.left_out == {}
    with pytest.raises(UsageError, match="cannot be read"):
        curl.parse(f"curl https://x -F 'note=<{tmp_path}/gone'")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8")
    with pytest.raises(UsageError, match="not text in UTF-8"):
        curl.parse(f"curl https://x -F 'note=<{tmp_path}/photo.jpg'")


def test_form_string_takes_everything_as_it_is() -> None:
    [found] = curl.parse("curl https://h --form-string 'v=\"a\";type=x'").fields()
    assert found.value == '"a";type=x'


def test_a_form_in_a_form_is_refused() -> None:
    with pytest.raises(UsageError, match="several parts"):
        curl.parse("curl https://h -F 'v=(;type=multipart/alternative'")


@pytest.mark.parametrize("path", ["/a/../b", "/a/./b", "/a/..", "/a/%2e%2E/b", "/."])
def test_a_path_that_curl_would_change_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="write the path as it is sent"):
        curl.parse(f"curl https://h{path}?x=1")
    assert curl.parse(f"curl --path-as-is https://h{path}").path == path


@pytest.mark.parametrize("path", ["/a/b..c/.well-known/d.", "/a/.../b"])
def test_other_dots_stay(path: str) -> None:
    assert curl.parse(f"curl 'https://h{path}?x=/../'").path == path


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        curl.parse(f"curl https://h -d @{tmp_path / 'gone'}")


def test_the_escaped_text_is_ascii_and_unambiguous() -> None:
    assert sign.escaped("a\\n\n\tテ") == "a\\\\n\\n\\t\\xe3\\x83\\x86"
    assert sign.hex_rows(b"\x00A" * 9)[1] == ("0010", "00 41", "·A")
