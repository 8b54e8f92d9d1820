"""The documents: links lead somewhere, commands exist, parameters are the template's, both languages say the same."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from honninctl.app import program
from tests.tables import TEMPLATE, template

ROOT = TEMPLATE.parent
NEEDS_AWS = "<!-- needs an AWS account -->"
# A page may say it once for all its blocks; what it runs of ours must exist all the same.
PAGE_NEEDS_AWS = re.compile(r"[Ee]very command (here|on this page) needs an AWS account")
SHELL = {"bash", "sh"}
# `honninctl recon` takes a day in the place of a command.
DAY_WORD = re.compile(r"DAY|yesterday|X|\$DAY|\d{4}-\d{2}-\d{2}")

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "cli" / "README.md"])
PAIRS = [
    pytest.param(english, english.with_suffix(".ja.md"), id=english.stem)
    for english in DOCUMENTS
    if english.with_suffix(".ja.md").exists()
]

# What else a document may run here, and the test that runs it. A command is a line with its continuations.
# The tests send the same requests with their own client, as the emulator's port is theirs.
_JOB, _RECON = "tests/e2e/test_main_job.py", "tests/e2e/test_recon.py"
_CLI, _OPENAPI = "tests/e2e/test_cli.py", "tests/e2e/test_openapi.py"
RUN_BY: dict[str, str] = {
    r"(MERCHANT_API|MERCHANT_KEY|CONSENT)=\S+": f"{_JOB}::test_every_user_of_the_demo_ends_as_expected",
    r"api\(\) \{ curl .*--aws-sigv4 .*\}": f"{_JOB}::test_every_user_of_the_demo_ends_as_expected",
    r"box\(\) \{ curl .*_sandbox.*\}": f"{_JOB}::test_every_user_of_the_demo_ends_as_expected",
    r"sleep \d+": f"{_JOB}::test_every_user_of_the_demo_ends_as_expected",
    r'api "\$MERCHANT_API/vexora/submissions" .*Idempotency-Key.*': (
        f"{_JOB}::test_idempotency_key_repeats_the_answer_and_refuses_another_body"
    ),
    r'api "\$MERCHANT_API/users/[a-z0-9-]+(/timeline\?limit=2)?"': f"{_JOB}::test_the_read_side_has_the_stable_shapes",
    r'curl -sSL -o /dev/null -d decision=allow "\$CONSENT"': f"{_JOB}::test_every_user_of_the_demo_ends_as_expected",
    r'api "\$MERCHANT_API/paypay/users/you/kyc-passport"': f"{_JOB}::test_every_user_of_the_demo_ends_as_expected",
    r"box /paypay/users/\w+/risk -d .*": f"{_JOB}::test_every_user_of_the_demo_ends_as_expected",
    r"box /dials/paypay/\w+ -X PUT -d .*webhook_drop.*": f"{_CLI}::test_recon_of_a_day_with_a_lost_webhook",
    r"box /(clock|paypay/recon-night) -d .*": (
        f"{_RECON}::test_the_scheduled_night_finds_and_repairs_every_lost_webhook"
    ),
    r'api "\$MERCHANT_API/recon/reports/.*"': (
        f"{_RECON}::test_the_scheduled_night_finds_and_repairs_every_lost_webhook"
    ),
    r'api -X DELETE "\$MERCHANT_API/users/you/personal-data"': (
        f"{_OPENAPI}::test_calls_about_something_that_is_there_succeed_as_documented"
    ),
    r"curl -sS -X PUT \S+/_sandbox/dials/vexora/\S+ -d .*": f"{_JOB}::test_the_read_side_has_the_stable_shapes",
    r"export( (HONNIN|AWS)_[A-Z_]+=\S+)+": f"{_CLI}::test_status_and_timeline",
}


@dataclass(frozen=True)
class Block:
    """A fenced block: the page, the line of its fence (from 1), its language, its text, whether it is marked."""

    page: Path
    line: int
    language: str
    text: str
    marked: bool

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@cache
def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@cache
def _blocks(page: Path) -> list[Block]:
    found = []
    fence = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
    for each in fence.finditer(_text(page)):
        before = _text(page)[: each.start()]
        marked = before.rstrip().endswith(NEEDS_AWS)
        found.append(Block(page, before.count("\n") + 1, each["language"], each["text"], marked))
    return found


def _prose(page: Path) -> str:
    """The page without its fenced blocks, so that no comment of a script passes for a heading."""
    return re.sub(r"^ *```.*?^ *```$", "", _text(page), flags=re.MULTILINE | re.DOTALL)


def _headings(page: Path) -> list[tuple[int, str]]:
    return [(len(each[1]), each[2]) for each in re.finditer(r"^(#{1,6}) (.+)$", _prose(page), re.MULTILINE)]


# --- links ---


def _slug(heading: str) -> str:
    """The anchor that a heading gets on the usual forges."""
    shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", shown).replace(" ", "-")


@cache
def _anchors(page: Path) -> set[str]:
    return {_slug(heading) for _, heading in _headings(page)} | set(
        re.findall(r'<a (?:id|name)="([^"]+)"', _text(page))
    )


def _links(page: Path) -> Iterator[str]:
    without_code = re.sub(r"`[^`\n]*`", "", _prose(page))
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


def _commands(text: str) -> Iterator[str]:
    """The command lines of a script: continuations joined, comments and the bodies of functions left in one piece."""
    pending = ""
    for line in text.splitlines():
        stripped = line.strip()
        if not pending and (not stripped or stripped.startswith("#")):
            continue
        pending = f"{pending} {stripped}".strip()
        if stripped.endswith("\\"):
            pending = pending.removesuffix("\\").rstrip()
        elif not re.search(r"\{[^}]*$", pending) or "}" in stripped:
            yield re.sub(r"\s{2,}# .*$", "", pending)
            pending = ""
    if pending:
        yield pending


@cache
def _targets() -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def _unknown(command: str) -> str | None:
    """Why a command of ours does not exist; None where it does."""
    words = shlex.split(command, comments=True)
    if words[0] == "make":
        # `make -n` would also run; the names are enough. NAME=value is a variable.
        wanted = {word for word in words[1:] if "=" not in word and not word.startswith("-")}
        return f"no make target {wanted - _targets()}" if wanted - _targets() else None
    return _unknown_honninctl(words[1:])


def _unknown_honninctl(words: list[str]) -> str | None:
    command: Any = typer.main.get_command(program())
    rest = list(words)
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


SHELL_BLOCKS = [
    pytest.param(block, id=str(block)) for page in DOCUMENTS for block in _blocks(page) if block.language in SHELL
]


@pytest.mark.parametrize("block", SHELL_BLOCKS)
def test_each_command_exists_is_run_by_a_test_or_is_marked(block: Block) -> None:
    marked = block.marked or bool(PAGE_NEEDS_AWS.search(_text(block.page)))
    wrong = []
    for command in _commands(block.text):
        for piece in _pieces(command):
            if _ours(piece):
                if reason := _unknown(re.sub(r"\s[<>|].*$", "", piece)):
                    wrong.append(f"{piece}: {reason}")
            elif not marked and not any(re.fullmatch(pattern, piece) for pattern in RUN_BY):
                wrong.append(f"{piece}: run by no test, and the block is not marked")
    assert wrong == []


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_running_text_exist(page: Path) -> None:
    wrong = []
    for code in re.findall(r"`((?:make|honninctl) [^`\n]+)`", _prose(page)):
        # What stands for something (USER, <name>, …) is an argument; "name · name" lists are cut at the first.
        command = re.sub(r"<[^>]*>|…", "X", re.sub(r"[\[\]]", "", code)).split("|")[0]
        if reason := _unknown(command):
            wrong.append(f"{code}: {reason}")
    assert wrong == []


def test_the_tests_that_run_commands_are_there_and_each_pattern_is_of_use() -> None:
    for named in RUN_BY.values():
        path, _, name = named.partition("::")
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), named
    said = [command for page in DOCUMENTS for each in _blocks(page) for command in _commands(each.text)]
    assert [pattern for pattern in RUN_BY if not any(re.fullmatch(pattern, each) for each in said)] == []


def test_shell_blocks_are_shell() -> None:
    for page in DOCUMENTS:
        for block in _blocks(page):
            if block.language in SHELL:
                script = re.sub(r"<[^>\n]*>", "X", block.text)
                done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
                assert done.returncode == 0, f"{block}: {done.stderr}"


# --- the READMEs and the template ---


def _section(page: Path, number: int) -> str:
    """The text under the n-th heading of the second level, its subsections included."""
    return re.split(r"^## ", _prose(page), flags=re.MULTILINE)[number]


def _tables(text: str) -> list[list[list[str]]]:
    """The tables of a text: rows of cells, without the line under the head."""
    tables = []
    for each in re.findall(r"(?:^ *\|.*\n)+", text + "\n", re.MULTILINE):
        rows = [re.split(r"(?<!\\)\|", row.strip().strip("|")) for row in each.strip().splitlines()]
        tables.append([[cell.strip() for cell in row] for row in rows if not set("".join(row)) <= set("-: ")])
    return tables


def _second_level(page: Path) -> list[str]:
    return [heading for level, heading in _headings(page) if level == 2]


CONFIGURATION = _second_level(ROOT / "README.md").index("Configuration") + 1
READMES = [pytest.param(ROOT / name, id=name) for name in ("README.md", "README.ja.md")]


def _default(name: str) -> str:
    value = " ".join(str(template()["Parameters"][name]["Default"]).split())
    return f"`{value}`" if value else '`""`'


@pytest.mark.parametrize("page", READMES)
def test_the_parameters_are_the_templates_in_its_groups_with_its_defaults(page: Path) -> None:
    groups = template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    expected = [[(f"`{name}`", _default(name)) for name in group["Parameters"]] for group in groups]
    tables = _tables(_section(page, CONFIGURATION))
    assert [[(row[0], row[1]) for row in table[1:]] for table in tables] == expected
    assert all(len(row) == 3 and row[2] for table in tables for row in table)
    assert {name for group in groups for name in group["Parameters"]} == set(template()["Parameters"])


def test_the_english_groups_have_the_templates_names() -> None:
    groups = template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    headings = re.findall(r"^### (.+)$", _section(ROOT / "README.md", CONFIGURATION), re.MULTILINE)
    assert headings == [group["Label"]["default"] for group in groups]


@pytest.mark.parametrize("page", READMES)
def test_the_outputs_are_the_templates(page: Path) -> None:
    [table] = _tables(_section(page, CONFIGURATION + 1))
    assert [row[0] for row in table[1:]] == [f"`{name}`" for name in template()["Outputs"]]


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
            for each in _blocks(page)
        ]

    assert code(english) == code(japanese)


@pytest.mark.parametrize(("english", "japanese"), PAIRS)
def test_both_languages_have_the_same_tables(english: Path, japanese: Path) -> None:
    """As many tables, rows and columns, and in each row the same names in code."""

    def shape(page: Path) -> list[list[tuple[int, list[str]]]]:
        return [
            [(len(row), sorted(set(re.findall(r"`([^`]+)`", " ".join(row))))) for row in table]
            for table in _tables(_prose(page))
        ]

    for number, (one, other) in enumerate(zip(shape(english), shape(japanese), strict=True)):
        assert one == other, f"table {number}"


@pytest.mark.parametrize(("english", "japanese"), PAIRS)
def test_both_languages_link_to_the_same_pages(english: Path, japanese: Path) -> None:
    def pages(page: Path) -> list[str]:
        targets = [link.partition("#")[0].replace(".ja.md", ".md") for link in _links(page)]
        return sorted(target for target in targets if target != english.name)

    assert pages(english) == pages(japanese)
