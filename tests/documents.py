"""The documents as the tests read them: pages, fenced blocks, commands, and how a shell session of theirs is run."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
TUTORIAL = ROOT / "docs" / "tutorial.md"
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "cli" / "README.md", *ROOT.glob("clients/*/README.md")]
)

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
    **dict.fromkeys(("up", "down"), "tests/e2e/test_local_commands.py runs them, on a stack of their own"),
    "rotate-callback-key": "it waits for six minutes (tests/integration/test_cli_callback_key.py has its steps)",
    **dict.fromkeys(("chaos", "bench"), "it takes many minutes (tests/integration/test_chaos.py is a smaller run)"),
    "console-pictures": "it needs Chromium (tests/e2e/test_console_look.py opens the same pages)",
    "lock": "it needs the network, and changes the locks",
    "clients": "it installs generators from the network (tests/template/test_clients.py compares what it wrote)",
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


# One word for one thing in every Japanese text, and the kinds of words that a reader of Japanese marked as wrong or as
# translated; beside each form what to write.
OTHER_WORDS = {
    r"リコン(?!ファイル（突合ファイル）)": "突合",  # that once only in requests to PayPay, which says so itself
    r"比較": "照合",
    r"ユーザー?": "利用者",
    r"プロバイダ(?!ー)": "プロバイダー",
    r"お知らせ(?!ください)|案内": "通知",
    r"ブラウザ(?!ー)": "ブラウザー",
    r"交換(?!業)|(鍵|キー|認証情報)[のを]更新": "ローテーション",
    r"終わらせ|認可を(終了|終え)": "失効",
    r"掃除": "もう一度削除",
    r"知られていな": "記録はない",
    r"(メモ|リカバ)リ(?!ー)": "メモリー、リカバリー",
    r"パラメータ(?!ー)": "パラメーター",
    r"読み(直|返)|再読み取り|再照会(を行な|す(?!る|べ))": "再照会",
    r"退避": "デッドレターキューに移す",
    r"効果を持": "1 回だけ反映される",
    r"適用(済み|されるのは)": "反映",
    r"鍵": "キー",
    r"却下": "否認",
    r"試験": "テスト",
    r"索引": "インデックス",
    r"リストア": "復元",
    r"保管庫": "個人データ用バケット",
    # Honnin 保存 what it stores; a person 保管 a certificate outside it.
    r"保管(した(レスポンス|顔写真|一覧|台帳|ファイル)|されて)": "保存",
    r"無差別(?!スキャン)|探索": "無差別スキャン",
    r"あきらめ|諦め|時間切れ": "タイムアウトする",
    r"急ぎ方|ひとこと|一言": "緊急度、概要",
    r"機械": "開発用マシン、コンピューター",
    r"手元": "開発用マシン、出力したファイル",
    r"穴": "欠落",
    r"欠け": "欠落している、ない",
    r"(?<![記掲搭満積])載[らりるれせっ]": "記載",
    r"見せ(る|ます)": "確認できること、表示",
    r"尋ね": "問い合わせる",
    r"要りません|[、。]することはありません|何もする必要": "不要、対応は不要",
    r"知らない|知りません": "未知の、届いていない",
    r"たどり": "リダイレクトに従う",
    r"貴社": "自社",
    r"ボディ": "本文",
    r"ステートテーブル": "状態テーブル",
    r"日本の日付": "日本時間の日付",
    r"ランブック": "運用手順書",
    r"確認済み利用者の一覧": "台帳",
    r"入れ替え": "ローテーション",
    r"(^|[をがはもてで、。：「 ])直(し(ます|て|た)|す|せ)": "修正",
    r"連携未確認": "同意待ち",
    r"(アカウント|利用者|認可|連携)(は|が|を|の)?無効|無効な(アカウント|利用者|連携)": "停止・解約、連携解除",
    r"(?<!再送)依頼文": "再送依頼文",
    r"本人確認として": "本人確認済みとして",
    r"リスクがある": "リスクフラグが設定されている",
    r"プロバイダーの停止": "プロバイダーの障害",
    r"何も証明しない|何の証明に": "内容を確認できない、根拠として使えない",
    r"失われ": "届かない、なくなる",
    r"を持って戻": "署名付きトークンで確認",
    r"(?<!担当者の)回答(?!があ)": "レスポンス（人の返事は「回答がある」）",
    r"個人情報(?!保護法)": "個人データ",
}
