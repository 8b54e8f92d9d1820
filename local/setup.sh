#!/usr/bin/env bash
# Makes a virtual environment hold exactly what a lock file says, and a package of ours if one is named; does nothing
# when it does already.
#   local/setup.sh <environment> <lock file> [<directory of our package>]
set -euo pipefail
trap 'exit 130' INT TERM HUP # else an interrupted check would look like an environment that must be made anew
environment=$1 lock=$2 package=${3:-}
installed=$environment/.installed # a copy of the lock file: written last, so an interrupted run is repeated
log=build/setup.log

# Our own package needs no network and no lock: what it uses is in the lock file already. It is installed as a link to
# its sources, so only another work tree or a change of its pyproject.toml asks for it again.
install_package() {
    [ -n "$package" ] || return 0
    local linked=$environment/.installed-package
    if cmp -s <(pwd && cat "$package/pyproject.toml") "$linked"; then
        return 0
    fi
    mkdir -p build
    if ! "$environment/bin/python" -m pip install --disable-pip-version-check --no-input --quiet --no-index \
        --no-deps --no-build-isolation --editable "$package" >"$log" 2>&1; then
        echo "pip could not install ./$package: read $log, correct the cause and run make again." >&2
        exit 1
    fi
    (pwd && cat "$package/pyproject.toml") >"$linked"
}

# Bytecode of the packages, made once: beside them, for what make does not start (honninctl, the emulator), and where
# make has it. Else each start of honninctl, which writes none itself, and each worker of the tests compiles them anew.
compile_packages() {
    local apart=${PYTHONPYCACHEPREFIX:-$PWD/build/pycache}
    local compiled=$apart/$environment.compiled
    if cmp -s "$lock" "$compiled"; then
        return 0
    fi
    mkdir -p build "$apart"
    # Some packages hold files for other versions of Python: those cannot be compiled.
    env -u PYTHONPYCACHEPREFIX "$environment/bin/python" -m compileall -q -j 0 "$environment/lib" >"$log" 2>&1 || true
    "$environment/bin/python" - "$environment/lib" "$apart" <<'END'
import os
import sys
from pathlib import Path

packages, apart = Path(sys.argv[1]).absolute(), Path(sys.argv[2])
for beside in packages.rglob("__pycache__/*.pyc"):
    there = apart / beside.parent.parent.relative_to("/") / beside.name
    there.parent.mkdir(parents=True, exist_ok=True)
    there.unlink(missing_ok=True)
    os.link(beside, there)
END
    cp "$lock" "$compiled"
}

if cmp -s "$lock" "$installed" && "$environment/bin/python" -c '' 2>/dev/null; then
    install_package
    compile_packages
    exit 0
fi
# To be on the PATH is not enough: a pyenv shim may be there without the version behind it.
if ! python3.13 -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; then
    echo "Honnin needs Python 3.13, and there is no python3.13 on the PATH that runs: install it and run make again." >&2
    exit 1
fi

mkdir -p build
begun=$SECONDS
printf 'Installing %s from %s (once; a minute or two) ' "$environment" "$lock"
rm -rf "$environment"
if ! python3.13 -m venv "$environment" >"$log" 2>&1; then
    printf '\npython3.13 -m venv failed: read %s (Debian and Ubuntu need the package python3.13-venv).\n' "$log" >&2
    exit 1
fi
# A dot per package, then a word, for unpacking takes a while; in the foreground, so that Ctrl-C reaches pip.
if ! "$environment/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off \
    --no-compile --require-hashes -r "$lock" 2>&1 | tee -a "$log" | awk '/^Collecting/ { printf "."; fflush() }
        /^Installing collected/ { printf " unpacking"; fflush() }'; then
    printf '\npip could not install %s: read %s, correct the cause (the network?) and run make again.\n' "$lock" "$log" >&2
    exit 1
fi
cp "$lock" "$installed"
compile_packages
printf ' done in %d s\n' $((SECONDS - begun))
install_package
