"""`local/setup.sh` on an environment that is installed already: its packages have bytecode wherever Python looks."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SETUP = Path(__file__).resolve().parents[2] / "local" / "setup.sh"
_PYC = f"module.{sys.implementation.cache_tag}.pyc"


@pytest.fixture
def set_up(tmp_path: Path) -> Callable[[], None]:
    """Run it where `environment` holds a package, and what the lock file says."""
    package = tmp_path / "environment" / "lib" / "package"
    package.mkdir(parents=True)
    (package / "module.py").write_text("answer = 42\n")
    (package / "of_another_python.py").write_text("print 42\n")
    (tmp_path / "environment" / "bin").mkdir()
    (tmp_path / "environment" / "bin" / "python").symlink_to(sys.executable)
    for lock in ("lock.txt", "environment/.installed"):
        (tmp_path / lock).write_text("package==1\n")

    def run() -> None:
        env = {"PATH": os.environ["PATH"], "PYTHONPYCACHEPREFIX": str(tmp_path / "apart")}
        command = [str(SETUP), "environment", "lock.txt"]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    return run


def test_packages_are_compiled_for_whoever_starts_python(tmp_path: Path, set_up: Callable[[], None]) -> None:
    set_up()
    package = tmp_path / "environment" / "lib" / "package"
    beside, apart = package / "__pycache__" / _PYC, tmp_path / "apart" / package.relative_to("/") / _PYC
    assert beside.samefile(apart)

    made = beside.stat().st_mtime_ns
    set_up()
    assert beside.stat().st_mtime_ns == made


def test_after_make_clean_they_are_back(tmp_path: Path, set_up: Callable[[], None]) -> None:
    set_up()
    apart = tmp_path / "apart" / (tmp_path / "environment" / "lib" / "package").relative_to("/") / _PYC
    apart.unlink()
    (tmp_path / "apart" / "environment.compiled").unlink()
    set_up()
    assert apart.exists()
