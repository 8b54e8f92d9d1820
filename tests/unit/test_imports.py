"""Nothing happens at import: no environment variable is read, no client built, no socket opened."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYER = ROOT / "layers" / "honnin"
PACKAGE = LAYER / "honnin"
FUNCTIONS = ROOT / "functions"

MODULES = sorted(
    ".".join(path.relative_to(LAYER).with_suffix("").parts).removesuffix(".__init__") for path in PACKAGE.rglob("*.py")
)
HANDLERS = sorted(path.parent.name for path in FUNCTIONS.glob("*/app.py"))

# Runs in a fresh interpreter. A reading of the environment is ours when our code stands on the stack above the
# nearest import: what Powertools or boto3 read while they are imported is theirs.
PROBE = """
import json, os, socket, sys

root, ours = sys.argv[1], tuple(sys.argv[2:4])
found = []

def culprit():
    frame = sys._getframe(2)
    while frame and not frame.f_code.co_filename.startswith("<frozen importlib"):
        if frame.f_code.co_filename.startswith(ours):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return None

def note(what):
    if place := culprit():
        found.append([what, place])

class Watched(type(os.environ)):
    def __getitem__(self, key):
        # Pydantic reads a switch of its own whenever a model is defined.
        if key != "PYDANTIC_DISABLE_PLUGINS":
            note("environment")
        return super().__getitem__(key)
    def __iter__(self):
        note("environment")
        return super().__iter__()

os.environ.__class__ = Watched
os.getenv = lambda key, default=None: os.environ.get(key, default)

import boto3, botocore.session
created = botocore.session.Session.create_client
def create_client(*args, **kwargs):
    note("client")
    return created(*args, **kwargs)
botocore.session.Session.create_client = create_client

class WatchedSocket(socket.socket):
    def __init__(self, *args, **kwargs):
        found.append(["socket", str(culprit())])
        super().__init__(*args, **kwargs)
socket.socket = WatchedSocket

{body}
print(json.dumps(found))
"""

IMPORT_ALL = """
import importlib
from tests.handlers import load
for module in sys.argv[4].split(","):
    importlib.import_module(module)
for handler in sys.argv[5].split(","):
    load(handler)
"""


def python(code: str, *arguments: str, isolated: bool = False) -> object:
    """What a fresh interpreter prints, as JSON."""
    options = ["-I", "-S"] if isolated else []
    done = subprocess.run(
        [sys.executable, *options, "-c", code, *arguments],
        cwd=ROOT,
        env={"PYTHONPATH": f"{LAYER}:{ROOT}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def probe(body: str, *arguments: str) -> object:
    return python(PROBE.replace("{body}", body), str(ROOT), str(PACKAGE), str(FUNCTIONS), *arguments)


def test_importing_the_layer_and_the_functions_does_nothing() -> None:
    assert "honnin.webhook" in MODULES
    assert "vexora_submission" in HANDLERS
    assert probe(IMPORT_ALL, ",".join(MODULES), ",".join(HANDLERS)) == []


GUILTY = {
    "os.environ['PATH']": "environment",
    "os.environ.get('AWS_REGION')": "environment",
    "os.getenv('AWS_REGION')": "environment",
    "'AWS_REGION' in os.environ": "environment",
    "dict(os.environ)": "environment",
    "boto3.client('sqs', region_name='ap-northeast-1')": "client",
    "boto3.Session().client('sqs', region_name='ap-northeast-1')": "client",
    "socket.socket().close()": "socket",
}


def test_the_probe_would_see_it(tmp_path: Path) -> None:
    # Each line at the top of a module that lies where the layer lies; one interpreter imports them all.
    modules = {tmp_path / f"guilty_{number}.py": body for number, body in enumerate(GUILTY)}
    for module, body in modules.items():
        module.write_text(f"import boto3, os, socket\n{body}\n", encoding="utf-8")
    imports = "\n".join(f"import {module.stem}" for module in modules)
    code = PROBE.replace("{body}", f"sys.path.insert(0, {str(tmp_path)!r})\n{imports}")
    found = python(code, str(ROOT), str(tmp_path), str(FUNCTIONS))
    assert isinstance(found, list)
    seen = {(body, what) for what, place in found for module, body in modules.items() if place == f"{module}:2"}
    assert seen >= set(GUILTY.items())


ACK_PATH = ("honnin.event", "honnin.sqs_send", "honnin.times", "honnin.webhook")


@pytest.mark.parametrize("module", ACK_PATH)
def test_the_ack_path_loads_the_standard_library_only(module: str) -> None:
    # Isolated and without site-packages: anything else could not even be found.
    code = f"import json, sys\nsys.path.insert(0, sys.argv[1])\nimport {module}\nprint(json.dumps(sorted(sys.modules)))"
    loaded = python(code, str(LAYER), isolated=True)
    assert isinstance(loaded, list)
    tops = {name.partition(".")[0] for name in loaded} - {"__main__"}
    assert tops - sys.stdlib_module_names == {"honnin"}
    assert {name for name in loaded if name.startswith("honnin")} <= {"honnin", *ACK_PATH}


@pytest.mark.parametrize("module", MODULES)
def test_no_module_carries_the_name_of_a_standard_library_module(module: str) -> None:
    assert module.rpartition(".")[2] not in sys.stdlib_module_names


@pytest.mark.parametrize("module", MODULES)
def test_no_module_has_a_name_that_says_nothing(module: str) -> None:
    assert module.rpartition(".")[2] not in {"utils", "shared", "common", "helpers", "misc"}


def test_a_function_folder_holds_one_file() -> None:
    for handler in HANDLERS:
        files = sorted(path.name for path in (FUNCTIONS / handler).iterdir() if path.name != "__pycache__")
        assert files == ["app.py"]


# What `honnin.store` may know: neither a provider, nor recon, nor anybody who uses it.
STORE_KNOWS = {
    "aws",
    "domain_events",
    "errors",
    "event",
    "observability",
    "status",
    "store",
    "times",
    "vault",
    "wording",
}


def test_the_store_knows_neither_providers_nor_recon() -> None:
    for path in sorted((PACKAGE / "store").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        known = set(re.findall(r"^ *from honnin\.(\w+)", text, re.MULTILINE))
        known |= set(re.findall(r"^ *from honnin import (\w+)", text, re.MULTILINE))
        assert known <= STORE_KNOWS, path.name
