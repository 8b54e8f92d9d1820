"""The documents as the tests read them: pages, fenced blocks, commands, and how a shell session of theirs is run."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
TUTORIAL = ROOT / "docs" / "tutorial.md"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "cli" / "README.md"])

SHELL = frozenset({"bash", "sh"})
_MARK = "<!-- needs an AWS account -->"
# A page may say it once for all its blocks; what it runs of ours must exist all the same.
_WHOLE_PAGE = re.compile(r"[Ee]very command (here|on this page) needs an AWS account")
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_HONNINCTL = re.compile(r"(?:\.venv/bin/)?honninctl [^#&\n]+")


@dataclass(frozen=True)
class Block:
    """A fenced block: the page, the line of its fence (from 1), its language, its text, and whether it is marked as one
    that needs an AWS account."""

    page: Path
    line: int
    language: str
    text: str
    marked: bool

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def needs_aws(self) -> bool:
        """Whether the block is marked, or the page says it of all its blocks."""
        return self.marked or bool(_WHOLE_PAGE.search(text(self.page)))


@cache
def text(page: Path) -> str:
    """A page."""
    return page.read_text(encoding="utf-8")


@cache
def blocks(page: Path) -> tuple[Block, ...]:
    """The fenced blocks of a page."""
    found = []
    for each in _FENCE.finditer(text(page)):
        before = text(page)[: each.start()]
        indent = each["indent"]
        content = "".join(line.removeprefix(indent) for line in each["text"].splitlines(keepends=True))
        marked = before.rstrip().endswith(_MARK)
        found.append(Block(page, before.count("\n") + 1, each["language"], content, marked))
    return tuple(found)


def shell_blocks(*pages: Path) -> list[Block]:
    """The shell blocks of pages (of all, without any)."""
    return [each for page in pages or DOCUMENTS for each in blocks(page) if each.language in SHELL]


def prose(page: Path) -> str:
    """The page without its fenced blocks, so that no comment of a script passes for a heading."""
    return re.sub(r"^ *```.*?^ *```$", "", text(page), flags=re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Command:
    """A command of a script, as it stands there, and the comment lines under it (without `#`): what it is said to
    print. `remark` is what stands behind it on its own line."""

    script: str
    expected: tuple[str, ...] = ()
    remark: str = ""


def commands(script: str) -> list[Command]:
    """The commands of a script: continuations, loops and the bodies of functions in one piece."""
    found: list[Command] = []
    pending: list[str] = []
    for line in script.splitlines():
        if not pending and re.match(r"\s*(#|$)", line):
            if found and line.startswith("# "):
                found[-1] = Command(found[-1].script, (*found[-1].expected, line[2:].strip()), found[-1].remark)
            continue
        pending.append(line)
        if _is_whole("\n".join(pending)):
            whole = "\n".join(pending)
            remark = re.search(r"\s{2,}# (.*)$", whole)
            found.append(Command(re.sub(r"\s{2,}# .*$", "", whole).strip(), remark=remark[1] if remark else ""))
            pending = []
    if pending:
        raise ValueError(f"a command does not end: {pending[0]}")
    return found


def _is_whole(script: str) -> bool:
    """Whether the lines so far are a command: no continuation, text, loop or body of a function is open."""
    words = re.sub(r"'[^']*'|\"[^\"\n]*\"", "", script)
    return (
        not script.endswith("\\")
        and words.count("'") % 2 == 0
        and len(re.findall(r"(?m)^\s*for ", words)) <= len(re.findall(r"\bdone\b", words))
        and not re.search(r"\{[^}]*$", re.sub(r"\$\{[^}]*\}", "", words))
    )


# Sentences name these commands by their name alone, although they need more to run.
NAMED = re.compile(r"^honninctl (restore|reread|register|status)(?: --status| --at)?$")


def honninctl_forms() -> dict[str, list[str]]:
    """Every `honninctl …` that a document has, in blocks (marked ones too) and in running text; and where.

    Without the program's path, redirections, and brackets of what is optional.
    """
    found: dict[str, list[str]] = {}
    for page in DOCUMENTS:
        inline = re.findall(r"`(honninctl [^`\n]+)`", prose(page))
        said = [command.script for block in shell_blocks(page) for command in commands(block.text)]
        in_blocks = [each for script in said for each in _HONNINCTL.findall(re.sub(r"'<[^>]*>'", "X", script))]
        for each in (*inline, *in_blocks):
            form = re.sub(r"^\.venv/bin/", "", re.sub(r"\s[>|].*$|[\[\]]", "", each)).strip()
            found.setdefault(form, []).append(str(page.relative_to(ROOT)))
    return found


def session() -> Iterator[Block]:
    """The blocks of the README, then of the tutorial, that are run as they stand: those that need no account.

    Not those of `make`: they start what the others are run on.
    """
    for block in shell_blocks(README, TUTORIAL):
        if not block.needs_aws and not all(each.script.startswith("make ") for each in commands(block.text)):
            yield block


# Targets that no test runs, and why. CONTRIBUTING.md says the same.
_GATE = "continuous integration runs it, or what it does, before and around the tests"
NOT_RUN = {
    **dict.fromkeys(("setup", "run", "build", "lint", "pr"), _GATE),
    **dict.fromkeys(("test", "test-unit", "test-integration", "test-e2e"), _GATE),
    "rotate-callback-key": "it waits for six minutes (tests/integration/test_cli_callback_key.py has its steps)",
    **dict.fromkeys(("chaos", "bench"), "it takes many minutes (tests/integration/test_chaos.py is a smaller run)"),
    "console-pictures": "it needs Chromium (tests/e2e/test_console_look.py opens the same pages)",
    "lock": "it needs the network, and changes the locks",
    "clean": "it would remove what the tests stand on",
}
# Targets that write these files of the tree anew (`help` writes none): run, and they must change nothing.
WRITES = {
    "help": (),
    "openapi": ("docs/openapi.json",),
    "event-schemas": tuple(f"docs/events/{each.name}" for each in (ROOT / "docs" / "events").glob("*.json")),
    "costs": ("docs/costs.md",),
    "configuration": ("docs/configuration.md", "docs/configuration.ja.md"),
}


@cache
def targets() -> frozenset[str]:
    """The targets of the Makefile."""
    return frozenset(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def target_of(form: str) -> str:
    """The target that a `make …` names."""
    return next(word for word in form.split()[1:] if "=" not in word and not word.startswith("-"))


def make_forms() -> list[str]:
    """Every `make … STACK=…` that a document has: the targets that work on a deployed stack."""
    found: dict[str, None] = {}
    for page in DOCUMENTS:
        found |= dict.fromkeys(re.findall(r"`(make [^`\n]*STACK=[^`\n]*)`", prose(page)))
        for block in shell_blocks(page):
            found |= {each.script: None for each in commands(block.text) if re.match(r"make .*STACK=", each.script)}
    return list(found)
