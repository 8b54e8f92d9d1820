"""Loads a function's `app.py` under a module name of its own: all of them are called `app`."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

FUNCTIONS = Path(__file__).resolve().parent.parent / "functions"


def load(name: str) -> ModuleType:
    """Import functions/<name>/app.py anew, so that nothing cached in it outlives a test."""
    module_name = f"honnin_function_{name}"
    spec = importlib.util.spec_from_file_location(module_name, FUNCTIONS / name / "app.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"there is no functions/{name}/app.py")
    module = importlib.util.module_from_spec(spec)
    # Registered before it runs: pydantic looks a model's module up by name.
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    return module
