"""Where things are in the work tree."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The work tree's top: where template.yaml is."""

TOOLS = ROOT / ".venv"
"""The environment of the tools (sam, this package); made by `make setup`."""

EMULATOR = ROOT / ".venv-emulator"
"""The environment in which ministack runs the functions: what it holds is what a function can import."""

SAM_DIRECTORY = ROOT / ".aws-sam"


DEFAULT_NAME = "run"
"""The stack of `make run` and `make up`, where no other name is given."""


def env_file(name: str) -> Path:
    """Where the `export` lines for the stack called `name` are while it runs."""
    return ROOT / "build" / "local" / "env" if name == DEFAULT_NAME else run_directory(name) / "env"


def description_file(name: str) -> Path:
    """Where the stack called `name` is described in JSON while it runs."""
    return run_directory(name) / "stack.json"


def run_directory(name: str) -> Path:
    """The directory (made if need be) for the logs and files of the local stack called `name`."""
    directory = ROOT / "build" / "local" / name
    directory.mkdir(parents=True, exist_ok=True)
    return directory
