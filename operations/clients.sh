#!/usr/bin/env bash
# Writes the generated parts of clients/ anew from docs/openapi.json, and packs both clients into build/clients. The Python generator is in .venv-clients
# (requirements/clients.txt), the TypeScript one in .node (requirements/node).
#   operations/clients.sh
set -euo pipefail
api=build/clients/merchant-api.json
python=clients/python/honnin_client/generated typescript=clients/typescript/src/generated

rm -rf "$python" "$typescript"
.venv/bin/python -m operations.clients document
# The generator looks for ruff on the PATH.
_TYPER_STANDARD_TRACEBACK=1 PATH="$PWD/.venv-clients/bin:$PATH" openapi-python-client generate --path "$api" --output-path "$python" --overwrite \
    --meta none --config clients/python/generator.json --custom-template-path clients/python/templates \
    --fail-on-warning >build/clients/python.log 2>&1 || { cat build/clients/python.log >&2; exit 1; }
.node/node_modules/.bin/openapi-typescript "$api" --alphabetize --root-types --root-types-no-schema-prefix \
    -o "$typescript/schema.ts" >build/clients/typescript.log 2>&1 || { cat build/clients/typescript.log >&2; exit 1; }
.venv/bin/python -m operations.clients made

rm -f build/clients/*.whl build/clients/*.tgz
.venv/bin/python -m pip wheel --disable-pip-version-check --quiet --no-index --no-deps --no-build-isolation \
    --wheel-dir build/clients clients/python
rm -rf clients/python/build clients/python/honnin_client.egg-info
clients/typescript/build.sh pack
