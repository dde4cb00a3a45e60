# Portico: `make help` says what there is. Everything happens inside .venv; nothing is installed elsewhere.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
DEMO := .demo
ADAPTER := .adapter
DATA ?= data
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo test lint types tests clients attacks audit fixtures conformance schemathesis bundles soak bench adapter clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)-run ## .venv with the servers, the gateway, the engine and the default model
setup-dev: $(STAMP)-dev ## the same, with llama.cpp (compiles for about 4 minutes), linters and test tools

$(STAMP)-run: pyproject.toml constraints.txt packaging/hashed.txt packaging/setup.sh
	@PYTHON="$(PYTHON)" bash packaging/setup.sh run
	@touch $@

$(STAMP)-dev: pyproject.toml constraints.txt packaging/hashed.txt packaging/setup.sh packaging/inspector/package-lock.json packaging/clients.txt packaging/clients-constraints.txt packaging/clients.sh packaging/coding_agents.py packaging/coding_agents.json packaging/npm_packages.py
	@PYTHON="$(PYTHON)" bash packaging/setup.sh dev
	@touch $@ $(STAMP)-run

demo: $(STAMP)-run ## set up, write the sample workspace, ask it three questions
	@$(BIN)/python demo/run.py --workspace $(DEMO)

test: $(STAMP)-dev lint types tests ## set up, then lint, types and tests

lint: $(STAMP)-dev
	@echo "==> ruff"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(STAMP)-dev
	@echo "==> mypy --strict"
	@$(BIN)/mypy

tests: $(STAMP)-dev
	@echo "==> pytest"
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not gpu and not alone"
	@$(BIN)/python -m pytest -m "alone and not gpu"

clients: $(STAMP)-dev ## Claude Code beside what setup-dev puts into .venv/clients, for its tests (hundreds of MB)
	@$(BIN)/python packaging/coding_agents.py claude

attacks: $(STAMP)-dev ## what was tried from outside, and what held: a table
	@$(BIN)/python -m pytest -q -m "not gpu" tests/attacks

audit: $(STAMP)-run ## known vulnerabilities of the pinned versions, by pip-audit in an environment of its own
	@bash packaging/audit.sh

fixtures: $(STAMP)-dev ## record the Inspector's answers anew (inspector-fixtures/)
	@$(BIN)/python checks/inspector/record.py

conformance: $(STAMP)-dev ## the MCP conformance suite against every server and the gateway
	@$(BIN)/python checks/conformance/run.py

schemathesis: $(STAMP)-dev ## every operation of /openapi.json: no 500, no undocumented status
	@$(BIN)/python checks/schemathesis/run.py

bundles: $(STAMP)-dev ## dist/: an .mcpb bundle for each server, validated
	@$(BIN)/python packaging/build_bundles.py --validate

soak: $(STAMP)-dev ## 10,000 calls with cancels, a kill and a restart, for each server
	@$(BIN)/python benchmarks/soak.py

adapter: $(STAMP)-dev ## the default adapter, from DATA=folder of the data sets, on one GPU in under an hour; needs the extra tune
	@$(BIN)/python packaging/server_workspaces.py --out $(ADAPTER)/work/workspaces.json
	@$(BIN)/python packaging/default_adapter.py data --sources "$(DATA)" --work $(ADAPTER)/work --workers $$(nproc) \
		--workspaces $(ADAPTER)/work/workspaces.json
	@$(BIN)/python packaging/default_adapter.py train --work $(ADAPTER)/work --out $(ADAPTER)
	@$(BIN)/python packaging/refined_adapter.py answer --tools "$(DATA)/mcp-tools" \
		--workspaces $(ADAPTER)/work/workspaces.json --trained $(ADAPTER) --work $(ADAPTER)/work/answers
	@$(BIN)/python packaging/refined_adapter.py train --trained $(ADAPTER) --work $(ADAPTER)/work/answers \
		--out $(ADAPTER)/refined
	@$(BIN)/python packaging/adapter_cards.py --work $(ADAPTER)/work --trained $(ADAPTER) --refined $(ADAPTER)/refined --out $(ADAPTER)/refined/adapter
	@echo "it is in $(ADAPTER)/refined/adapter; the package's own lies in engine/portico_engine/adapters/default"

bench: $(STAMP)-dev ## the figures of README: routing and tool calls
	@$(BIN)/python benchmarks/routing.py
	@$(BIN)/python benchmarks/tool_calls.py

clean: ## remove .venv, the demo's workspace and caches
	@rm -rf $(VENV) $(DEMO) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
