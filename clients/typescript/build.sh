#!/usr/bin/env bash
# Compiles the client with its tests into build/clients/typescript, with the packages of .node. With `pack` it writes
# the npm tarball to build/clients instead.
#   clients/typescript/build.sh [pack]
set -euo pipefail
cd "$(dirname "$0")"
built=../../build/clients
mkdir -p "$built"
ln -sfn ../../.node/node_modules node_modules
if [ "${1:-}" = pack ]; then
    rm -rf dist "$built"/honnin-client-*.tgz
    node_modules/.bin/tsc -p .
    npm pack --silent --ignore-scripts --pack-destination "$built" >/dev/null
    exit 0
fi
ln -sfn ../../.node/node_modules "$built/node_modules"
rm -rf "$built/typescript"
node_modules/.bin/tsc -p tsconfig.test.json
echo '{"type": "module"}' >"$built/typescript/package.json"
