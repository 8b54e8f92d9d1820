#!/usr/bin/env bash
# Installs what the Node receiver of docs/api.md and the test of the console's look need, as
# requirements/node/package-lock.json says; does nothing when it is there already. Never fails: without it these tests
# are skipped, and in CI they fail, both with the reason.
#   local/node.sh
set -uo pipefail
from=requirements/node environment=.node
installed=$environment/.installed # a copy of the lock file: written last, so an interrupted run is repeated
log=build/node.log

if ! command -v npm >/dev/null || ! node -e 'process.exit(+(process.versions.node.split(".")[0] < 20))' 2>/dev/null; then
    echo "No npm with Node 20 or later on the PATH: the tests of the Node receiver and with axe-core cannot run."
    exit 0
fi
if cmp -s "$from/package-lock.json" "$installed"; then
    exit 0
fi

mkdir -p build
begun=$SECONDS
printf 'Installing %s from %s/package-lock.json with npm (once) ... ' "$environment" "$from"
rm -rf "$environment"
if mkdir "$environment" && cp "$from"/{package.json,package-lock.json,.npmrc} "$environment" &&
    (cd "$environment" && npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier) >"$log" 2>&1 </dev/null; then
    cp "$from/package-lock.json" "$installed"
    printf 'done in %d s\n' $((SECONDS - begun))
else
    printf '\nnpm could not install it (read %s): the tests of the Node receiver and with axe-core cannot run.\n' "$log"
fi
exit 0
