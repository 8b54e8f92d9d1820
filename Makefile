# Every target does its own set-up. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
# Bytecode beside the sources would change what `sam build --cached` compares, and end up in the artifact.
export PYTHONPYCACHEPREFIX := $(CURDIR)/build/pycache
export SAM_CLI_TELEMETRY := 0
SAM := AWS_DEFAULT_REGION=ap-northeast-1 PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/sam
PYTEST := $(BIN)/python -m pytest -q
SOURCES := $(wildcard layers functions cli clients/python local sandbox operations tests bench chaos)
UV_COMPILE := uv pip compile --quiet --python-version 3.13 --generate-hashes --no-emit-index-url --no-header \
	--universal --no-annotate

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## make .venv (tools, honninctl) and .venv-emulator (what functions see), when the locks changed
	@local/setup.sh .venv requirements/dev.txt cli
	@local/setup.sh .venv-emulator requirements/emulator.txt

.PHONY: run
run: setup ## deploy the stack locally and show the main job (ONCE=1: then stop; else Ctrl-C or make down; as make up)
	@exec $(BIN)/python -m local run $(LOCAL_START) $(if $(filter-out 0,$(ONCE)),--once)

# As they were typed behind make, which puts them into the environment; what stands there anyway is somebody else's.
typed = $(if $(filter command,$(origin $(1))),"$$$(1)",$(2))
LOCAL_NAME = --name $(call typed,NAME,run)
LOCAL_START = $(LOCAL_NAME) --parameters $(call typed,PARAMETERS,"") --sandbox $(call typed,SANDBOX,on)

.PHONY: up
up: setup ## the local stack in the background, ready for calls (NAME=…, PARAMETERS="Name=value …", SANDBOX=off, HONNIN_PORT=…)
	@exec $(BIN)/python -m local up $(LOCAL_START)

.PHONY: down
down: ## end the local stack of make up or make run (NAME=…)
	@exec $(BIN)/python -m local down $(LOCAL_NAME)

.PHONY: build
build: setup ## sam build for the cloud (CONFIG=prod: that section of samconfig.toml), and bytecode for the layer
	@$(SAM) build --cached --parallel $(if $(CONFIG),--config-env $(CONFIG))
	@$(BIN)/python -m local.bytecode

# In one process per core, which imports what it tests once, and with one end at which a core may idle.
POOL := $(PYTEST) -n 2 --dist worksteal -m "not lint"

.PHONY: test
test: setup ## all tests
	@$(POOL) tests/unit tests/template tests/integration
	@$(MAKE) test-e2e

.PHONY: test-unit
test-unit: setup ## tests without a network: units and the template
	@$(POOL) tests/unit tests/template

.PHONY: test-integration
test-integration: setup ## tests on moto
	@$(POOL) tests/integration

.PHONY: test-e2e
test-e2e: setup ## tests on the deployed local stack, some of them in a browser
	@local/browser.sh
	@local/node.sh
	@$(PYTEST) -n 3 tests/e2e

.PHONY: openapi
openapi: setup ## write docs/openapi.json anew, from the code
	@$(BIN)/python -m operations.openapi

.PHONY: clients
clients: setup ## write the generated parts of clients/ anew, from docs/openapi.json, and build build/clients/*.whl and *.tgz
	@local/setup.sh .venv-clients requirements/clients.txt
	@local/node.sh
	@operations/clients.sh

.PHONY: console-pictures
console-pictures: setup ## write docs/images/console-*.png and sandbox-*.png anew, of a stack that is made up (needs Chromium)
	@$(BIN)/python -m tests.e2e.console_look

.PHONY: configuration
configuration: setup ## write docs/configuration.md and .ja.md anew: every parameter and output of template.yaml
	@$(BIN)/python -m operations.configuration

.PHONY: event-schemas
event-schemas: setup ## write docs/events/*.json anew, the JSON Schemas of what goes to the bus, from the code
	@$(BIN)/python -m operations.event_schemas

.PHONY: redrive
redrive: setup ## put a stack's dead letters back on its events queue (STACK=honnin-prod, your AWS credentials)
	@$(BIN)/honninctl deadletters redrive --queue events --yes --stack "$(or $(STACK),$(error say which stack: make redrive STACK=honnin-prod))"

.PHONY: restore
restore: setup ## bring deleted items back from a restored table (STACK=…, FROM=<table>, SINCE=<moment>; DRY_RUN=1; ERASED=<user>)
	@$(BIN)/honninctl restore --stack "$(or $(STACK),$(error say which stack: make restore STACK=honnin-prod))" \
		--from "$(or $(FROM),$(error say from which restored table: FROM=honnin-prod-restored))" \
		--since "$(or $(SINCE),$(error say the moment it was restored to: SINCE=2026-11-20T03:00:00Z))" \
		$(if $(filter-out 0,$(DRY_RUN)),--dry-run) $(foreach user,$(ERASED),--erased "$(user)")

.PHONY: delete-stack
delete-stack: setup ## delete a stack, and say what is kept and how to remove that (STACK=honnin-dev, your AWS credentials)
	@$(BIN)/honninctl delete-stack --stack "$(or $(STACK),$(error say which stack: make delete-stack STACK=honnin-dev))"

.PHONY: rotate-callback-key
rotate-callback-key: setup ## a new key for callback URLs, the old one still accepted (STACK=…; DROP=1: then drop the old one)
	@$(BIN)/honninctl rotate-callback-key --stack "$(or $(STACK),$(error say which stack: make rotate-callback-key STACK=honnin-prod))" $(if $(filter-out 0,$(DROP)),--drop-previous)

.PHONY: costs
costs: setup ## write docs/costs.md anew
	@$(BIN)/python -m operations.costs

.PHONY: chaos
chaos: setup ## 10,000 generated event streams per world (PayPay, Vexora, recon), with faults (SCHEDULES=…)
	@$(BIN)/python -m chaos --schedules $(or $(SCHEDULES),10000)

.PHONY: bench
bench: setup ## speed and memory, as ratios; writes build/bench.json
	@local/setup.sh .venv-runtime requirements/runtime.txt
	@$(BIN)/python -m bench ack
	@$(BIN)/python -m bench process
	@$(BIN)/python -m bench recon
	@$(BIN)/python -m bench.register_check 100000

.PHONY: lint
lint: setup ## ruff, mypy, cfn-lint (also under parameters that change the template), sam validate
	@mkdir -p build
	@$(BIN)/ruff check --quiet $(SOURCES)
	@$(BIN)/ruff format --quiet --check $(SOURCES) || { echo "ruff format would change files: run $(BIN)/ruff format $(SOURCES)" >&2; exit 1; }
	@$(BIN)/mypy --no-error-summary $(SOURCES)
	@$(BIN)/cfn-lint template.yaml
	@$(PYTEST) -n 2 -m lint tests/template/test_matrix.py >build/lint-matrix.log || { cat build/lint-matrix.log >&2; exit 1; }
	@$(SAM) validate --lint >build/sam-validate.log 2>&1 || { cat build/sam-validate.log >&2; exit 1; }

.PHONY: pr
pr: lint test ## what the continuous integration runs

.PHONY: lock
lock: ## compile requirements/*.in and the layer's anew (needs the network)
	@mkdir -p build && python3.13 -m venv build/uv && build/uv/bin/python -m pip install --quiet --disable-pip-version-check uv
	@PATH="$(CURDIR)/build/uv/bin:$$PATH"; set -x; \
	$(UV_COMPILE) --upgrade requirements/dev.in -o requirements/dev.txt; \
	$(UV_COMPILE) --upgrade requirements/clients.in -o requirements/clients.txt; \
	$(UV_COMPILE) --upgrade requirements/emulator.in -o requirements/emulator.txt; \
	$(UV_COMPILE) --upgrade -c requirements/emulator.txt requirements/runtime.in -o requirements/runtime.txt; \
	$(UV_COMPILE) --upgrade -c requirements/dev.txt layers/honnin/requirements.in -o layers/honnin/requirements.txt

.PHONY: clean
clean: ## remove what was built (the virtual environments stay)
	@rm -rf .aws-sam build .mypy_cache .pytest_cache .ruff_cache .hypothesis
