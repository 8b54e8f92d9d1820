"""The documents: links lead somewhere, commands exist, parameters are the template's, both languages say the same."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from honninctl.app import program
from tests import documents
from tests.documents import DOCUMENTS, OTHER_WORDS, README, ROOT, TUTORIAL, Block, commands, prose, shell_blocks, text
from tests.tables import template
from tests.template.transformed import access_log, transformed

# `honninctl recon` takes a day in the place of a command.
DAY_WORD = re.compile(r"DAY|yesterday|X|\$DAY|\d{4}-\d{2}-\d{2}")

PAIRS = [
    pytest.param(english, english.with_suffix(".ja.md"), id=english.stem)
    for english in DOCUMENTS
    if english.with_suffix(".ja.md").exists()
]

# Targets that a block without a mark may name: whoever runs the tests has run them. Others need a stack.
GATE = {"setup", "run", "up", "down", "test", "test-unit", "pr"}
# A session names the stack that it talks to.
SETS_NAMES = re.compile(r"export( (HONNIN|AWS)_[A-Z_]+=\S+)+|\. build/local/env")


def _headings(page: Path) -> list[tuple[int, str]]:
    return [(len(each[1]), each[2]) for each in re.finditer(r"^(#{1,6}) (.+)$", prose(page), re.MULTILINE)]


# --- citations ---

# What comments and docstrings cite: a page, and the number of its section.
_CITED = re.compile(
    r"\b(?P<path>[\w/.-]*\b(?:architecture|decisions|providers)\.md)(?:#(?P<entry>\d+)| §(?P<section>[\d.]+\d|\d))?"
)


def _citing() -> Iterator[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    yield from (ROOT / name for name in listed.split("\0") if name.endswith((".py", ".yaml", ".toml", ".sh")))


def _leads_nowhere(path: str, entry: str | None, section: str | None) -> bool:
    page = ROOT / path
    if not path.startswith("docs/") or not page.is_file():
        return True
    numbers = {title.partition(" ")[0].rstrip(".") for _, title in _headings(page)}
    return bool(entry or section) and (entry or section) not in numbers


def test_every_citation_leads_to_a_page_and_a_section_of_this_repository() -> None:
    here = Path(__file__)
    wrong = [
        f"{file.relative_to(ROOT)}: {found.group()}"
        for file in _citing()
        if file != here
        for found in _CITED.finditer(file.read_text(encoding="utf-8"))
        if _leads_nowhere(found["path"], found["entry"], found["section"])
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("citation", "nowhere"),
    [
        ("docs/providers.md §1.4", False),
        ("docs/decisions.md#4", False),
        ("docs/architecture.md", False),
        ("providers.md §1.4", True),
        ("docs/providers.md §9.9", True),
        ("docs/decisions.md#999", True),
        ("docs/nowhere/architecture.md §4", True),
    ],
)
def test_a_citation_that_leads_nowhere_is_seen(citation: str, nowhere: bool) -> None:
    found = _CITED.fullmatch(citation)
    assert found is not None
    assert _leads_nowhere(found["path"], found["entry"], found["section"]) is nowhere


# --- links ---


def _slug(heading: str) -> str:
    """The anchor that a heading gets on the usual forges."""
    shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", shown).replace(" ", "-")


@cache
def _anchors(page: Path) -> set[str]:
    return {_slug(heading) for _, heading in _headings(page)} | set(re.findall(r'<a (?:id|name)="([^"]+)"', text(page)))


def _links(page: Path) -> Iterator[str]:
    without_code = re.sub(r"`[^`\n]*`", "", prose(page))
    yield from re.findall(r"\]\(([^)\s]+)\)", without_code)
    yield from re.findall(r"^\[[^\]]+\]: (\S+)$", without_code, re.MULTILINE)


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_are_there(page: Path) -> None:
    broken = []
    for link in _links(page):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert broken == []


# --- commands ---


def _unknown(command: str) -> str | None:
    """Why a command of ours does not exist; None where it does."""
    words = shlex.split(command, comments=True)
    if words[0] == "make":
        # `make -n` would also run; the names are enough. NAME=value is a variable.
        wanted = {word for word in words[1:] if "=" not in word and not word.startswith("-")}
        return f"no make target {wanted - documents.targets()}" if wanted - documents.targets() else None
    return _unknown_honninctl(words[1:])


def _unknown_honninctl(words: list[str]) -> str | None:
    command: Any = typer.main.get_command(program())
    rest = list(words)
    if rest == ["--version"]:
        return None
    if rest[-1:] in (["--help"], ["-h"]):
        rest.pop()
        if not rest:
            return None
    while isinstance(command, TyperGroup):
        rest, fault = _after_options(command, rest)
        if fault or not rest:
            return fault or "no command is named"
        name = "DAY" if DAY_WORD.fullmatch(rest[0]) else rest[0]
        if name not in command.commands:
            return f"no command {name}"
        command, rest = command.commands[name], rest[1:]
    while rest:
        rest, fault = _after_options(command, rest)
        if fault:
            return fault
        rest = rest[1:]
    return None


def _after_options(command: Any, words: list[str]) -> tuple[list[str], str | None]:
    """The words after the options that come first, and what is wrong with one of those. `command` is typer's."""
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        name, equals, _ = rest[0].partition("=")
        options = [each for each in command.params if name in (*each.opts, *each.secondary_opts)]
        if not options and name not in ("--help", "-h"):
            return rest, f"no option {name}"
        takes_value = bool(options) and not options[0].is_flag and not equals
        rest = rest[2 if takes_value else 1 :]
    return rest, None


@pytest.mark.parametrize(
    "command",
    [
        "make nothing-of-the-kind",
        "honninctl",
        "honninctl burn USER",
        "honninctl erase USER --unlinked",
        "honninctl --stacks x status USER",
        "honninctl recon tomorrow",
        ".venv/bin/honninctl deadletters throw",
    ],
)
def test_a_command_that_does_not_exist_is_seen(command: str) -> None:
    assert _unknown(command)


def _ours(command: str) -> bool:
    return bool(re.match(r"(make|(\.venv/bin/)?honninctl)( |$)", command))


def _pieces(command: str) -> list[str]:
    return [each.strip() for each in re.split(r"&&|\|\|", command)] if _ours(command) else [command]


SHELL_BLOCKS = [pytest.param(block, id=str(block)) for block in shell_blocks()]
# tests/e2e/test_documented_commands.py runs them; those of the other language are the same, byte for byte.
SESSION = {block.text for block in documents.session()}


@pytest.mark.parametrize("block", SHELL_BLOCKS)
def test_each_command_is_run_or_its_block_is_marked(block: Block) -> None:
    """Run by tests/e2e/test_documented_commands.py, or by whoever runs the tests. Ours exist, with these options."""
    is_run = block.text in SESSION and block.page.stem.partition(".")[0] in (README.stem, TUTORIAL.stem)
    wrong = []
    for command in commands(block.text):
        for piece in _pieces(command.script):
            if _ours(piece):
                if reason := _unknown(re.sub(r"\s[<>|].*$", "", piece)):
                    wrong.append(f"{piece}: {reason}")
                elif piece.startswith("make ") and not block.needs_aws and not set(piece.split()[1:]) <= GATE:
                    wrong.append(f"{piece}: it works on a stack, and the block is not marked")
            elif not block.needs_aws and not is_run and not SETS_NAMES.fullmatch(piece):
                wrong.append(f"{piece}: run by no test, and the block is not marked")
    assert wrong == []


def test_no_block_with_the_aws_cli_is_without_its_mark() -> None:
    calls = re.compile(r"(^|[(|;&]|\bdo)\s*(aws|sam|\.venv/bin/sam) ", re.MULTILINE)
    blocks = [each for each in shell_blocks() if calls.search(each.text)]
    assert len(blocks) > 20
    assert [str(each) for each in blocks if not each.needs_aws] == []


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_running_text_exist(page: Path) -> None:
    wrong = []
    for code in re.findall(r"`((?:make|honninctl) [^`\n]+)`", prose(page)):
        # What stands for something (USER, <name>, …) is an argument; "name · name" lists are cut at the first.
        command = re.sub(r"<[^>]*>|…", "X", re.sub(r"[\[\]]", "", code)).split("|")[0]
        if reason := _unknown(command):
            wrong.append(f"{code}: {reason}")
    assert wrong == []


def test_each_form_of_honninctl_has_all_that_its_command_needs() -> None:
    """tests/e2e/test_documented_commands.py runs each; this says sooner what lacks an argument."""
    lacking = []
    for form, pages in documents.honninctl_forms().items():
        command: Any = typer.main.get_command(program())
        words = shlex.split(form)[1:]
        while isinstance(command, TyperGroup) and words and words[0] in command.commands:
            # `recon DAY` is a command whose name is its argument.
            command, words = command.commands[words[0]], words if words[0] == "DAY" else words[1:]
        if documents.NAMED.match(form) or isinstance(command, TyperGroup):
            continue
        needed = {each.opts[0] for each in command.params if each.required and each.param_type_name == "option"}
        arguments = [each for each in command.params if each.required and each.param_type_name == "argument"]
        missing = needed - set(words) | {each.name for each in arguments if not words}
        if missing and "--help" not in words:
            lacking.append((form, pages, missing))
    assert not lacking


def test_each_make_target_is_run_or_said_not_to_be() -> None:
    """Run by tests/e2e/test_documented_commands.py, or in the table of CONTRIBUTING.md with the reason."""
    on_a_stack = {documents.target_of(each) for each in documents.make_forms()}
    assert on_a_stack | set(documents.WRITES) | set(documents.NOT_RUN) == documents.targets()
    assert not set(documents.WRITES) & set(documents.NOT_RUN)
    rows = _tables(text(ROOT / "CONTRIBUTING.md"))[-1][1:]
    said = {target for row in rows for target in re.findall(r"`make ([a-z0-9-]+)`", row[0]) if row[1]}
    assert said == set(documents.NOT_RUN)


@pytest.mark.parametrize(
    ("command", "flag"),
    [
        ("run ONCE", "--once"),
        ("restore STACK=x FROM=y SINCE=z DRY_RUN", "--dry-run"),
        ("rotate-callback-key STACK=x DROP", "--drop-previous"),
    ],
)
def test_a_switch_of_make_is_off_at_0(command: str, flag: str) -> None:
    def shown(value: str) -> str:
        words = shlex.split(f"make -n {command}={value}")
        done = subprocess.run(words, cwd=ROOT, env={"PATH": os.defpath}, text=True, capture_output=True, check=True)
        return done.stdout

    assert [flag in shown(value) for value in ("1", "0", "")] == [True, False, False]


def _function(name: str, page: Path) -> str:
    """A shell function that a page defines."""
    found = [each.script for block in shell_blocks(page) for each in commands(block.text)]
    [definition] = {each for each in found if each.startswith(f"{name}() ")}
    return definition


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ('{"files": 2}', 0),
        ("null", 0),
        ('{"errorMessage": "no", "errorType": "KeyError"}', 1),
        ('{"errorMessage": "Task timed out after 900.00 seconds"}', 1),
    ],
)
def test_a_run_by_hand_fails_when_the_function_does(tmp_path: Path, answer: str, code: int) -> None:
    """`run` of the runbook: invoked once, without the time-out of the AWS CLI; what it answered is shown."""
    stand_in = 'out() { echo "the-$1"; }; aws() { echo "$AWS_MAX_ATTEMPTS $*" >called; echo "$ANSWER" >"${@: -1}"; }'
    script = f"{stand_in}\n{_function('run', ROOT / 'docs' / 'runbook.md')}\nrun Poll"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={"PATH": os.defpath, "ANSWER": answer},
        text=True,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (code, answer + "\n")
    called = (tmp_path / "called").read_text()
    assert called == "1 lambda invoke --cli-read-timeout 0 --function-name the-Poll run.json\n"


def test_await_gives_up(tmp_path: Path) -> None:
    """`await` of the README's session, where what is waited for never comes."""
    stand_in = "sleep() { :; }; api() { echo x >>asked; echo PENDING; }; MERCHANT_API=http://127.0.0.1:1"
    script = f"{stand_in}\n{_function('await', README)}\nawait users/u PENDING && echo came; await users/u APPROVED"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, "came\n")
    assert "no APPROVED in users/u" in done.stderr
    assert (tmp_path / "asked").read_text().count("x") == 91


def test_a_call_to_this_machine_goes_around_any_proxy() -> None:
    calls = [each.script for block in documents.session() for each in commands(block.text)]
    calls = [each for each in calls if re.search(r"\bcurl ", each)]
    assert len(calls) == sum(len(re.findall(r"\bcurl -", block.text)) for block in documents.session()) > 0
    assert [each for each in calls if not re.search(r"curl -\w+ --noproxy '\*' ", each)] == []


# In zsh these are the shell's own, joined to PATH, FPATH and so on: setting one breaks every command after it.
ZSH = re.compile(r"^\s*(path|cdpath|fpath|manpath|mailpath|status|options)=", re.MULTILINE)


def test_no_block_sets_a_name_that_zsh_keeps_for_itself() -> None:
    assert [str(each) for each in shell_blocks() if ZSH.search(each.text)] == []


def test_no_block_calls_a_function_with_the_aws_clis_time_out() -> None:
    """It gives up after a minute and calls again: two runs at once."""
    calls = [line for page in DOCUMENTS for line in text(page).splitlines() if "aws lambda invoke --" in line]
    assert calls
    assert [each for each in calls if "--cli-read-timeout 0" not in each] == []


def test_no_block_waits_with_the_waiter_of_a_table() -> None:
    """It gives up after 500 seconds, and a restore often takes longer."""
    assert [str(each) for each in shell_blocks() if "dynamodb wait" in each.text] == []


def test_shell_blocks_are_shell() -> None:
    for block in shell_blocks():
        script = re.sub(r"<[^>\n]*>", "X", block.text)
        done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
        assert done.returncode == 0, f"{block}: {done.stderr}"


# --- names of what is deployed ---


def _asked_for(function: str, said: str) -> set[str]:
    """What `id X` or `out X` asks for in a text; of a loop over names, each name."""
    found: set[str] = set()
    for name in re.findall(rf"\$\({function} \"?(\$?\w+)\"?\)|`{function} (\w+)`", said):
        word = name[0] or name[1]
        if not word.startswith("$"):
            found.add(word)
            continue
        loops = re.findall(rf"for {word[1:]} in ([^;]+);", said)
        found |= {each for loop in loops for each in loop.split()}
    # A parameter of the function itself is no name.
    return {each for each in found if not each.isdigit()}


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_the_commands_ask_cloudformation_for_is_there(page: Path) -> None:
    assert _asked_for("id", text(page)) - set(transformed()["Resources"]) == set()
    run = set(re.findall(r"^ *run (\w+)|`run (\w+)`", text(page), re.MULTILINE))
    asked = _asked_for("out", text(page)) | {each for pair in run for each in pair if each}
    assert asked - set(template()["Outputs"]) == set()


def test_names_are_found_in_commands_loops_and_running_text() -> None:
    said = 'x "$(id A)" "$(arn "$(id "B")")" `out C`; for name in D E; do y "$(out $name)"; done; logs "$(id "$1")"'
    assert (_asked_for("id", said), _asked_for("out", said)) == ({"A", "B"}, {"C", "D", "E"})


RUNBOOKS = [pytest.param(ROOT / "docs" / name, id=name) for name in ("runbook.md", "runbook.ja.md")]


def _queries(page: Path) -> list[str]:
    """Queries for Logs Insights: blocks of text, and code in running text, that begin with `filter`."""
    in_blocks = [each.text for each in documents.blocks(page) if each.language == "text"]
    in_text = [each for each in re.findall(r"`([^`\n]+)`", prose(page)) if each.startswith("filter ")]
    return [*in_blocks, *in_text]


@cache
def _code() -> str:
    """All that is deployed."""
    places = [*(ROOT / "layers" / "honnin" / "honnin").rglob("*.py"), *(ROOT / "functions").rglob("*.py")]
    return "\n".join(each.read_text(encoding="utf-8") for each in places)


@pytest.mark.parametrize("page", RUNBOOKS)
def test_queries_ask_for_messages_and_metrics_that_the_code_writes(page: Path) -> None:
    queries = "\n".join(_queries(page))
    messages = set(re.findall(r'message = "([^"]+)"', queries))
    for several in re.findall(r"message in \[([^\]]+)\]", queries):
        messages |= set(re.findall(r'"([^"]+)"', several))
    counted = set(re.findall(r'counted = "([A-Z]\w+)"', queries))
    assert (len(messages) > 8, len(counted) > 1) == (True, True)
    assert [each for each in sorted(messages | counted) if f'"{each}"' not in _code()] == []


@pytest.mark.parametrize("page", RUNBOOKS)
def test_saved_queries_that_are_named_are_there(page: Path) -> None:
    named = set(re.findall(r'(?:saved query|保存済みクエリ) "([a-z-]+)"', text(page)))
    queries = [each for each in transformed()["Resources"].values() if each["Type"] == "AWS::Logs::QueryDefinition"]
    there = {each["Properties"]["Name"]["Fn::Sub"].removeprefix("${AWS::StackName}/") for each in queries}
    assert named == there - {"applied"}


@pytest.mark.parametrize("page", RUNBOOKS)
def test_access_log_queries_ask_for_fields_of_the_access_logs(page: Path) -> None:
    asked = {
        word
        for query in _queries(page)
        if "status" in query and "record." not in query
        for word in re.findall(r"\b(status|route|ip|integrationStatus|requestId|userAgent)\b", query)
        if "message" not in query
    }
    written: set[str] = set()
    for each in transformed()["Resources"].values():
        if each["Type"] == "AWS::ApiGateway::Stage":
            written |= set(access_log(each))
    assert asked >= {"status", "route", "ip"}
    assert asked <= written


@pytest.mark.parametrize("page", RUNBOOKS)
def test_log_groups_alarms_and_queues_that_are_named_are_there(page: Path) -> None:
    named = set(re.findall(r"`(\w+(?:LogGroup|Alarm|Queue|Function))`", text(page)))
    assert len(named) > 30
    assert named - set(transformed()["Resources"]) == set()


@pytest.mark.parametrize("page", [each for each in DOCUMENTS if each.name not in ("decisions.md", "CHANGELOG.md")])
def test_an_alarm_that_any_page_names_is_there(page: Path) -> None:
    """But for those that tell what was before."""
    assert set(re.findall(r"`(\w+Alarm)`", text(page))) - set(transformed()["Resources"]) == set()


LABELS = {"runbook.md": ("means", "look at", "do", "meanwhile", "over when")}
LABELS["runbook.ja.md"] = ("意味", "確認", "対応", "影響", "解消の目安")


@pytest.mark.parametrize("page", RUNBOOKS)
def test_each_alarm_says_what_it_means_what_to_look_at_and_what_to_do(page: Path) -> None:
    alarms = [each for each, it in transformed()["Resources"].items() if it["Type"] == "AWS::CloudWatch::Alarm"]
    sections = dict(re.findall(r"^## (\w+Alarm)[:：](.*?)(?=^## |\Z)", prose(page), re.DOTALL | re.MULTILINE))
    missing, left_over = sorted(set(alarms) - set(sections)), sorted(set(sections) - set(alarms))
    assert not missing, f"{page.name} has no section of {missing} (CONTRIBUTING.md, How an alarm is added)"
    assert not left_over, f"{page.name} has sections of alarms that the template has not: {left_over}"
    wrong = {}
    for alarm, section in sections.items():
        bold = ", ".join(re.findall(r"^- \*\*([^*]+?)[.。]\*\*", section, re.MULTILINE)).lower()
        said = re.split(r"[,、] ?", bold)
        if missing := [each for each in LABELS[page.name] if each not in said]:
            wrong[alarm] = missing
    assert wrong == {}


def test_widgets_that_are_named_are_on_the_dashboard() -> None:
    dashboard = (ROOT / "operations" / "dashboard.json").read_text(encoding="utf-8")
    lines = [line for line in prose(ROOT / "docs" / "runbook.md").splitlines() if re.search(r"[Ww]idgets? \"", line)]
    named = {each for line in lines for each in re.findall(r"\"([A-Z][^\"]+)\"", re.split(r"[Ww]idgets? ", line)[1])}
    assert len(named) > 3
    assert [each for each in sorted(named) if f'"title": "{each}"' not in dashboard] == []


def _tests_named(page: Path) -> Iterator[tuple[str, str]]:
    """Each test that a page names, with its file; `::test_x` is one of the file that was named before."""
    path = ""
    for named, test in re.findall(r"`(tests/[\w/]+\.py)?(?:::(test_\w+))?`", prose(page)):
        path = named or path
        if named or test:
            yield path, test


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_tests_that_are_named_are_there(page: Path) -> None:
    wrong = []
    for path, test in _tests_named(page):
        file = ROOT / path
        if not file.is_file() or (test and f"def {test}(" not in file.read_text(encoding="utf-8")):
            wrong.append(f"{path}::{test}")
    assert wrong == []


def test_the_threat_model_names_its_tests() -> None:
    assert len([test for _, test in _tests_named(ROOT / "docs" / "security.md") if test]) > 40


def _tables(text: str) -> list[list[list[str]]]:
    """The tables of a text: rows of cells, without the line under the head."""
    tables = []
    for each in re.findall(r"(?:^ *\|.*\n)+", text + "\n", re.MULTILINE):
        rows = [re.split(r"(?<!\\)\|", row.strip().strip("|")) for row in each.strip().splitlines()]
        tables.append([[cell.strip() for cell in row] for row in rows if not set("".join(row)) <= set("-: ")])
    return tables


# --- two languages ---


@pytest.mark.parametrize(("english", "japanese"), PAIRS)
def test_both_languages_have_the_same_headings_in_the_same_order(english: Path, japanese: Path) -> None:
    assert [level for level, _ in _headings(english)] == [level for level, _ in _headings(japanese)]
    # What is code or a route in a heading is the same in both.
    literal = [re.findall(r"`[^`]+`|(?:GET|POST|DELETE) \S+", heading) for _, heading in _headings(english)]
    assert literal == [re.findall(r"`[^`]+`|(?:GET|POST|DELETE) \S+", heading) for _, heading in _headings(japanese)]


@pytest.mark.parametrize(("english", "japanese"), PAIRS)
def test_both_languages_have_the_same_code(english: Path, japanese: Path) -> None:
    """Byte for byte; a diagram has its words translated, and as many lines."""

    def code(page: Path) -> list[tuple[str, str | int, bool]]:
        return [
            (each.language, each.text.count("\n") if each.language == "mermaid" else each.text, each.marked)
            for each in documents.blocks(page)
        ]

    assert code(english) == code(japanese)


@pytest.mark.parametrize(("english", "japanese"), PAIRS)
def test_both_languages_have_the_same_tables(english: Path, japanese: Path) -> None:
    """As many tables, rows and columns, and in each row the same names in code."""

    def shape(page: Path) -> list[list[tuple[int, list[str]]]]:
        return [
            [(len(row), sorted(set(re.findall(r"`([^`]+)`", " ".join(row))))) for row in table]
            for table in _tables(prose(page))
        ]

    for number, (one, other) in enumerate(zip(shape(english), shape(japanese), strict=True)):
        assert one == other, f"table {number}"


@pytest.mark.parametrize(("english", "japanese"), PAIRS)
def test_both_languages_link_to_the_same_pages(english: Path, japanese: Path) -> None:
    def pages(page: Path) -> list[str]:
        targets = [re.sub(r"\.ja(?=\.(md|png)$)|\.en(?=\.png$)", "", link.partition("#")[0]) for link in _links(page)]
        return sorted(target for target in targets if target != english.name)

    assert pages(english) == pages(japanese)


_JAPANESE = re.compile(r"[\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff]")
# A request to PayPay has PayPay's words, the history its own; tests say whatever they test with.
_OTHERS_WORDS = ("resend.py", "CHANGELOG.md", "decisions.md", "openapi.json")


@cache
def _tracked() -> tuple[Path, ...]:
    """What is in the repository, without the tests and without pictures."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = [each for each in listed.split("\0") if each and not each.startswith("tests/")]
    return tuple(ROOT / each for each in names if not each.endswith((".png", ".ico", ".woff2")))


def _japanese() -> Iterator[tuple[str, str]]:
    """Where, and what somebody reads there in Japanese: documents, console, catalogues, parameters, mails, sandbox."""
    for file in _tracked():
        if file.name in _OTHERS_WORDS or not file.is_file():
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if _JAPANESE.search(line):
                yield f"{file.relative_to(ROOT)}:{number}", line


def test_every_japanese_text_has_one_word_for_one_thing() -> None:
    lines = list(_japanese())
    places = {where.partition(":")[0] for where, _ in lines}
    assert len(lines) > 2000
    assert places >= {
        "README.ja.md",
        "docs/overview.ja.md",
        "docs/onboarding.md",
        "operations/configuration.ja.toml",
        "cli/honninctl/console/texts/ja.toml",
        "sandbox/page/texts/ja.toml",
        "layers/honnin/honnin/repairs_stop.py",
        "layers/honnin/honnin/recon/report_words.py",
    }
    wrong = [
        f"{where}: {found[0]}, not {right}"
        for where, line in lines
        for form, right in OTHER_WORDS.items()
        if (found := re.search(form, line))
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "line",
    [
        *(
            "リコンの結果",
            "ユーザ ID",
            "ブラウザで開く",
            "キーの交換",
            "キーを更新する",
            "読み直します",
            "PayPay の回答",
        ),
        *(
            "手元の機械",
            "別の機械で実行",
            "突合の穴",
            "無差別の探索",
            "プロバイダーがあきらめた",
            "ひとことで",
            "急ぎ方",
        ),
        *("通知は失われていました", "イベントは失われません", "連携未確認", "アカウントが無効", "1 回だけ効果を持つ"),
        *(
            "`make run` が見せるもの",
            "本人確認として扱わないでください",
            "リスクがあるとしています",
            "トークンを持って戻りました",
        ),
        *(
            "ファイルに載ります",
            "PayPay に尋ねる",
            "何もする必要はありません",
            "知らない種類",
            "貴社の利用者",
            "設定を直します",
        ),
    ],
)
def test_another_word_is_seen(line: str) -> None:
    assert [form for form in OTHER_WORDS if re.search(form, line)]


# Words of our own in English, for which the field has others (docs/architecture.md names things by the field's words);
# beside each form what to write. Names of fields, options, states and resources stay.
OWN_WORDS = {
    r"\b(over)?hears?\b|\b(over)?heard\b": "received",
    r"\b(a|an|the|each|every|this|that|of|our|their) notices?\b|\bnotices of\b|\bannouncements?\b": "notification",
    r"\bletters? to (PayPay|them|the provider)\b|\bresend letters?\b": "resend request",
    r"\bcannot be believed\b|\bunbelievable\b|\bbelieved?\b": "invalid",
    r"\bpark(s|ed|ing)?\b": "moved to the dead-letter queue",
    r"\bdealt\b|\bdeal(s|ing)? (out|with)\b": "partition, handle",
    r"\bpile[sd]?\b": "queue, backlog",
    r"\bholes?\b": "missing day, gap",
    r"\bwhat becomes? of\b": "decide, result, how it is handled",
    r"\bnobody we know\b": "unknown here",
    r"(?<!-)\btold (of|about|to|as|ahead|once|twice|apart|us|you|by|that|what)\b": "notified, published, reported",
    r"\b(is|are|was|were|be|been|being|has|have|nobody|somebody) told\b": "notified, published, reported",
    r"\btells? (nobody|you|them|it|of|its|that|whether|which|how)\b": "notifies, says, shows",
}
# A license is quoted; a decision and the history say what was; a plan of old words names them.
_NOT_HELD = ("LICENSE", "CHANGELOG.md", "decisions.md", "openapi.json", "package-lock.json")


def _own_words(line: str) -> list[tuple[str, str]]:
    return [(found[0], right) for form, right in OWN_WORDS.items() if (found := re.search(form, line, re.IGNORECASE))]


def test_english_texts_and_comments_use_the_words_of_the_field() -> None:
    wrong = [
        f"{file.relative_to(ROOT)}:{number}: {word}, not {right}"
        for file in (*_tracked(), *(ROOT / "tests").rglob("*.py"))
        if file.name not in _NOT_HELD and file.is_file() and file != Path(__file__)
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        for word, right in _own_words(line)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("users of whom nothing was heard", True),
        ("the notice of a file", True),
        ("an announcement that cannot be believed", True),
        ("the event is parked", True),
        ("events are dealt out", True),
        ("a hole in the calendar", True),
        ("an operator is told of it", True),
        ("what becomes of the user", True),
        ("the connection closes without notice", False),
        ("`OldestNoticeAlarm`, see #oldest-notice", False),
        ("honninctl doctor --registered-ip 203.0.113.10", False),
        ("the attribute `told`", False),
        ("dead letters of the queue", False),
    ],
)
def test_a_word_of_our_own_is_seen(line: str, seen: bool) -> None:
    assert bool(_own_words(line)) is seen
