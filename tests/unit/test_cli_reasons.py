"""What the stack says, on Japanese screens: no sentence of the layer stays English, wherever honninctl puts it."""

import ast
import inspect
import io
import json
import re
import string
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse, HTTPHeaders

from honnin.contract_ends import ended_reason
from honnin.recon.file_types import FILE_TYPES
from honnin.recon.outcomes import _NOT_READ, ENDS
from honnin.remote_file import answered
from honnin.reread.starting import RereadConflictError, UnknownRereadError
from honnin.status import VerifiedReason
from honnin.store import ReconFile
from honnin.wording import Wording
from honninctl import (
    command,
    confirmations,
    dead_letter_commands,
    deployment,
    doctor,
    language,
    overview_commands,
    past,
    people_commands,
    recon_commands,
    reread,
    reread_command,
    rereads,
    rereads_commands,
    webhook_commands,
    webhooks,
)
from honninctl.access import Source
from honninctl.checks import Check, Verdict
from honninctl.command import Cli
from honninctl.console import wording as console
from honninctl.console.page import Asked
from honninctl.console.pages import Pages
from honninctl.failures import CommandError
from honninctl.recorded import Action
from honninctl.screen import Screen
from tests.documents import OTHER_WORDS
from tests.fakes.cli import FakeDeployment, run, state_table
from tests.fakes.memory import memory_aws, s3
from tests.fakes.stack_sentences import form, forms, wordings

# Two words of English in a row. What is left out before: commands, names of fields, options and products.
ENGLISH = re.compile(r"\b[A-Za-z]{2,} [a-z]{2,}\b")
NAMES = re.compile(r"aws secretsmanager .*?providers\.json|honninctl [a-z-]+( [a-z]+)?|--\S+|`[^`]*`")
# Values of sentences that are sentences themselves.
VALUES = {
    "'(a JSON object)'",
    "webhookApiUrl (a stage variable of the merchant API)",
    "set the parameter {parameter} and deploy",
    "template.yaml sets it",
}
# Sentences that are put together in the code in more than one step.
TOGETHER = {
    "is not a field of this request; is {name} meant?",
    "the contract ended on {day}",
    "the contract ended on {day}: {reason}",
}


@pytest.fixture(autouse=True)
def japanese() -> Iterator[None]:
    with language.speaking("ja"):
        yield


def english_in(shown: str) -> list[str]:
    """What looks like an English sentence."""
    return ENGLISH.findall(NAMES.sub(" ", shown))


def _sentences() -> dict[str, str]:
    """The stack's sentences of the catalogue, and their Japanese."""
    begin = language.of_stack("")
    return {
        key.removeprefix(begin): translated for key, translated in language.texts("ja").items() if key.startswith(begin)
    }


def _samples() -> list[str]:
    """Each sentence with a value in its places."""
    return [each.format_map(_Values()) for each in _sentences()]


class _Values(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "X1"


def _values(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


# The catalogue


def test_each_sentence_of_the_layer_is_in_the_catalogue_and_no_other() -> None:
    known = {form(each) for each in _sentences()}
    assert sorted(forms() - known) == []
    assert sorted(known - forms()) == sorted({form(each) for each in VALUES | TOGETHER})


def test_the_japanese_has_no_other_values_and_no_english() -> None:
    for english, translated in _sentences().items():
        assert _values(translated) <= _values(english), english
        assert english_in(translated) == [], english
    for each in wordings():
        assert english_in(each.japanese) == [], each
        assert [form for form in OTHER_WORDS if re.search(form, each.japanese)] == [], each


def test_a_sentence_with_values_is_not_taken_for_another_one() -> None:
    for english, sample in zip(_sentences(), _samples(), strict=True):
        assert language.said(sample) == _sentences()[english].format_map(_Values())


@pytest.mark.parametrize(
    ("english", "expected"),
    [
        ("must have 3 characters or fewer", "3 文字以内で指定してください"),
        ("must be a status of paypay: A, B", "paypay のステータスを指定してください（A, B）"),
        (
            "the environment variable A must be a whole number of days; a parameter of template.yaml sets it",
            "環境変数 A に誤りがあります（日数を整数で指定してください）。template.yaml のパラメーターで設定されます",
        ),
        (
            "the environment variable A is not set; set the parameter B and deploy",
            "環境変数 A が設定されていません。パラメーター B を設定してデプロイしてください",
        ),
        ("the reread r-1 is RUNNING", "再照会 r-1 の状態は RUNNING です"),
        (Wording("the URL is not https", "URL が https ではない"), "URL が https ではない"),
        ("what a newer stack says", "「what a newer stack says」"),
    ],
)
def test_it_is_said_in_japanese_and_in_english_to_scripts(english: str, expected: str) -> None:
    said = language.said(english)
    assert said == expected
    assert language.for_scripts(said) == english
    with language.speaking("en"):
        assert language.said(english) == english


def test_each_field_of_a_table_has_its_japanese() -> None:
    named = {*map(str, Action), *map(str, Source), *ENDS}
    for module in (overview_commands, recon_commands, rereads_commands, dead_letter_commands):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            named |= {str(name.value) for each in _fields(node) for name in each.elts if isinstance(name, ast.Constant)}
    assert len(named) > 40
    assert sorted(each for each in named if language.field(each) == each) == []


def _fields(node: ast.AST) -> list[ast.Tuple]:
    """The names of fields: `_show(…, ("at", …))`, `names = ("name", …)`, `for key in ("users", …)`."""
    found: list[ast.expr] = []
    match node:
        case ast.Call(func=ast.Name(id="_show" | "_show_some"), args=found):
            pass
        case ast.Assign(targets=[ast.Name(id="names")], value=value) | ast.For(iter=value):
            found = [value]
    return [each for each in found if isinstance(each, ast.Tuple)]


# Every place where honninctl says it


def _problem(status: int, **members: Any) -> str:
    raw = SimpleNamespace(stream=lambda: [json.dumps(members).encode()])
    with pytest.raises(CommandError) as raised:
        deployment._meaning(AWSResponse("https://api", status, HTTPHeaders(), raw))
    return str(raised.value)


@pytest.mark.parametrize("status", [400, 404, 409, 422, 500, 502, 503, 504])
def test_a_problem_of_the_api(status: int) -> None:
    for each in _samples():
        assert english_in(_problem(status, code="c", title=each)) == []
        assert english_in(_problem(status, code="c", title="t", detail=each)) == []
        assert english_in(_problem(status, detail=f"body.a: {each}", errors=[{"field": "body.a", "rule": each}])) == []
    with language.speaking("en"):
        rule = {"field": "endedOn", "rule": "must not be in the future"}
        said = _problem(422, detail="endedOn: must not be in the future", errors=[rule])
        assert said == "the merchant API answered 422: endedOn: must not be in the future"


def _shown(capsys: pytest.CaptureFixture[str], show: Callable[..., object], *given: Any, **more: Any) -> str:
    show(Cli(FakeDeployment({}), Screen(as_json=False)), *given, **more)
    return capsys.readouterr().out


def _file(reason: str | None = None, doubt: str | None = None, warning: str = "") -> dict[str, Any]:
    [file_type, *_] = FILE_TYPES
    missed = [{"userAuthorizationId": "a", "userId": "u-1", "why": each} for each in sorted(_NOT_READ)]
    facts = {"fileType": file_type, "day": "2026-11-20", "state": "ANNOUNCED", "reason": reason, "doubt": doubt}
    return {**facts, "warnings": [warning], "changed": [], "notRead": missed}


def test_the_reasons_and_warnings_of_recon_files(capsys: pytest.CaptureFixture[str]) -> None:
    for each in wordings():
        for file in (_file(each), _file(doubt=each), _file(warning=each)):
            shown = _shown(capsys, recon_commands._show_file, file, dry_run=False)
            assert each.japanese in shown
            assert english_in(shown) == []
        week = {"fileType": "t", "everAnnounced": True, "lastWebhookAt": None, "resendRequest": None}
        week |= {"week": [{"day": "2026-11-20", "state": "expired", "reason": each}]}
        shown = _shown(capsys, recon_commands._show_type, week)
        assert each.japanese in shown
        assert english_in(shown) == []


def test_why_the_merchants_endpoint_failed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for each in (*wordings(), *_samples()):
        answer = {"delivered": False, "status": None, "reason": str(each), "seconds": 0.1}
        if isinstance(each, Wording):
            answer["japanese"] = each.japanese
        said = io.BytesIO(json.dumps(answer).encode())
        stack = SimpleNamespace(client=lambda _, said=said: SimpleNamespace(invoke=lambda **_: {"Payload": said}))
        monkeypatch.setattr(webhooks, "webhook_resource", lambda *_: "f")
        found = webhooks.test(stack)  # type: ignore[arg-type]
        assert english_in(language.said(found["reason"])) == []
        assert found == {"delivered": False, "status": None, "reason": each, "seconds": 0.1}
        for since, failures in (("2026-11-20T03:00:00.000Z", 10), (None, 2)):
            circuit = {"open": bool(since), "since": since, "reason": each, "failures": failures, "mapping": "Enabled"}
            state = {"circuit": circuit, "waiting": 1, "inFlight": 0, "oldestSeconds": 3}
            shown = _shown(capsys, webhook_commands._show_state, state)
            assert english_in(shown) == []


def test_why_a_user_counts_as_verified_and_why_the_data_was_erased() -> None:
    for reason in VerifiedReason:
        for why in (ended_reason("2026-10-31", None), ended_reason("2026-10-31", "解約")):
            known = {"status": "VERIFIED", "since": None, "until": None, "confirmedAt": None, "flag": "NONE"}
            known |= dict.fromkeys(("eventId", "product", "requestId", "object", "sha256"))
            found = {
                "userId": "u-1",
                "at": "2026-10-31T14:59:59.999Z",
                "providers": {"paypay": known},
                "verified": reason.is_verified,
                "verifiedReason": str(reason),
                "verifiedNeeds": "ANY",
                "foundLater": [],
                "firstEntryAt": None,
                "erasedAt": "2026-11-01T00:00:00.000Z",
                "erasure": {"reason": why},
            }
            shown = "\n".join(past.in_lines(found, "2026-10-31"))
            assert "契約の終了日：2026-10-31" in shown
            assert str(reason) in shown
            assert english_in(shown) == []
            assert "契約の終了日" in console.Wording("ja").said(why)


def test_why_a_user_was_not_read() -> None:
    for what in ("reading_refused", "no_read_fits_scopes", "other_authorization"):
        entry = SimpleNamespace(what=what, detail={}, to_status="LINKED", from_status="LINKED")
        question = reread.Question("e", "paypay", "kyc", "LINKED", entry)  # type: ignore[arg-type]
        assert english_in(reread_command._outcome(question, waited=True)) == []
        assert reread.why_not(what) != what


def test_why_a_reread_cannot_go_on() -> None:
    def refused(error: Exception) -> None:
        raise error

    for kind in (RereadConflictError, UnknownRereadError):
        for each in (sample for sample in _samples() if "reread" in sample):
            with pytest.raises(CommandError) as raised:
                rereads._as_command_error(partial(refused, kind(each)))
            assert english_in(str(raised.value)) == []


def test_a_detail_of_the_timeline_that_is_a_sentence_is_in_quotes() -> None:
    shown = people_commands._details({"selfieError": "FileGoneError", "selfieReason": "the response was HTTP 410"})
    assert shown == 'selfieError=FileGoneError  selfieReason="the response was HTTP 410"'


@pytest.mark.parametrize(
    ("page", "found"), [("ja", "DynamoDB で状態を確認してください"), ("en", "look at it in DynamoDB")]
)
@pytest.mark.parametrize("terminal", ["ja", "en"])
def test_a_page_of_the_console_is_in_one_language_whatever_the_terminals_is(
    monkeypatch: pytest.MonkeyPatch, terminal: str, page: str, found: str
) -> None:
    def examine(*_: object) -> Iterator[Check]:
        yield Check("table", Verdict.WARN, language._("look at it in DynamoDB"))

    monkeypatch.setattr(doctor, "examine", examine)
    monkeypatch.setattr(confirmations, "unconfirmed", lambda _: [])
    with language.speaking(terminal):
        shown = Pages(FakeDeployment({})).page(Asked("/t", (page, "settings"), {}, "")).body.decode()
        assert language.spoken() == terminal
    assert found in shown
    assert 'lang="en"' not in re.sub("<html.*?>|<nav.*?</nav>|<header.*?</header>", "", shown, flags=re.DOTALL)


def test_a_reason_is_japanese_after_its_way_through_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Written by the download, read by the command; an item from before has its English, in quotes."""
    with memory_aws():
        s3("recon")
        stack = FakeDeployment({"StateTableName": state_table(), "ReconBucketName": "recon"})
        for day, reason in (("2026-11-20", answered(403)), ("2026-11-19", "the server was slow")):
            at = f"{day}T18:20:00.000Z"
            file = ReconFile("kyc_passport_sync_recon", day, "a.csv", "ANNOUNCED", received_at=at)
            stack.store.recon.expired(file, reason)
        monkeypatch.setattr(command, "Deployment", lambda _where: stack)
        shown = run("recon", "2026-11-20", env={"HONNIN_LANG": "ja"}).stdout
        scripts = json.loads(run("recon", "2026-11-20", "--json", env={"HONNIN_LANG": "ja"}).stdout)
        before = run("recon", "2026-11-19", env={"HONNIN_LANG": "ja"}).stdout
    assert "EXPIRED：レスポンスが HTTP 403 だった" in shown
    assert scripts["files"][0]["reason"] == "the response was HTTP 403"
    assert "EXPIRED：「the server was slow」" in before
