"""Where things are in the work tree."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The work tree's top: where template.yaml is."""

TOOLS = ROOT / ".venv"
"""The environment of the tools (sam, this package); made by `make setup`."""

EMULATOR = ROOT / ".venv-emulator"
"""The environment in which ministack runs the functions: what it holds is what a function can import."""

SAM_DIRECTORY = ROOT / ".aws-sam"


def run_directory(name: str) -> Path:
    """The directory (made if need be) for the logs and files of the local stack called `name`."""
    directory = ROOT / "build" / "local" / name
    directory.mkdir(parents=True, exist_ok=True)
    return directory
