# Two commands do everything: `make up` brings the platform up on this machine, `make test` proves it.
# Python 3.11+ and make are enough; the rest is fetched, checked against requirements.lock and cached by version.

SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
STACK ?= local
CACHE := $(or $(FALAJ_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/falaj)
UV_VERSION := $(shell sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements.lock)
UV := $(or $(shell command -v uv),$(CACHE)/uv/$(UV_VERSION)/bin/uv)
BIN := .venv/bin
# As whom the SLA scheduler acts that a lab runs in the place of the component's pods: with the component's rights.
SCHEDULER := system:serviceaccount:falaj-system:sla-scheduler
LAB := $(BIN)/falaj-lab
MEMBERS := components policies lab scheduler

export UV_PYTHON_DOWNLOADS := never
# Every Pulumi program, plugin and lab service is a Python process of its own; without bytecode each compiles its SDKs anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## Show what can be made
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 18

.PHONY: up
up: setup ## Bring the platform up on this machine (STACK=local; AWS=bridged: HashiCorp's provider), policies first
	@$(LAB) up $(AWS:%=--aws %) --run sla-scheduler="falaj-scheduler run --listen 127.0.0.1:0 --as $(SCHEDULER)"
	@$(LAB) exec -- $(BIN)/python stacks/deploy.py $(STACK)

.PHONY: test
# Whatever is written in Go lives shortly in tests: it collects less often, in programs and in the services of labs.
test: export GOGC := 400
test: setup-training ## Run every test, three files at a time: much of their time is waiting
	@$(LAB) install --aws bridged --serving
	@$(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

.PHONY: check
check: setup-training ## Lint, check the formatting and the types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/basedpyright

.PHONY: down
down: setup ## Stop the lab; its state stays
	@$(LAB) down

.PHONY: reset
reset: setup ## Stop the lab and forget its state
	@$(LAB) reset --yes

.PHONY: destroy
destroy: setup ## Destroy what `make up` made, and keep the lab running
	@$(LAB) exec -- $(BIN)/python stacks/deploy.py $(STACK) --destroy

.PHONY: shred
shred: setup ## Show what becomes unreadable without a key: KEY=purpose or TENANT=name (SHRED_ARGS="--yes NAME" does it)
	@$(LAB) exec -- $(BIN)/python stacks/shred.py $(STACK) $(KEY:%=--key %) $(TENANT:%=--tenant %) $(SHRED_ARGS)

.PHONY: picture
picture: setup ## Print the planned network of an environment (STACK=prod) as a Mermaid flowchart
	@$(BIN)/python stacks/picture.py $(STACK)

.PHONY: mirror-list
mirror-list: setup ## List the charts and images of the GPU operators to mirror into a registry (REGISTRY=host)
	@$(BIN)/python -m falaj.components.mirror_list --registry $(or $(REGISTRY),$(error say which registry: REGISTRY=host))

.PHONY: bench
bench: setup ## Measure: figures for docs/benchmarks.md
	@$(BIN)/python tests/bench/bench.py $(BENCH_ARGS)

.PHONY: example
example: setup ## Bring one component up, as its example shows (NAME=data-store; LAB_OPTIONS="--only moto")
	@$(LAB) up $(LAB_OPTIONS)
	@$(LAB) exec -- $(BIN)/python docs/examples/run.py $(NAME)

.PHONY: demo
demo: setup-training ## Show a good version promoted, a slow and a wrong one rolled back, and draw it (DEMO_ARGS="--quick")
	@$(LAB) install --serving
	@$(BIN)/python docs/examples/serving-demo/demo.py $(DEMO_ARGS)

.PHONY: fidelity
fidelity: setup ## Compare the emulated AWS provider with HashiCorp's, in two labs
	@$(LAB) install --aws bridged
	@$(BIN)/python tests/fidelity/fidelity.py $(FIDELITY_ARGS)

.PHONY: lock
lock: $(UV) ## Resolve every dependency again into the locks: the project's, the training runtime's, falaj-serve's, checkov's
	@$(UV) pip compile --quiet --upgrade --universal --generate-hashes --no-annotate --no-header --group pyproject.toml:dev \
	    $(foreach member,$(MEMBERS),--no-emit-package falaj-$(member)) pyproject.toml --output-file requirements.lock
	@$(UV) pip compile --quiet --upgrade --universal --generate-hashes --no-annotate --no-header --group pyproject.toml:training \
	    --no-emit-package falaj-training --constraint requirements.lock --output-file requirements-training.lock
	@cd training && $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	    --constraint ../requirements.lock --constraint ../requirements-training.lock serving.in --output-file serving.lock
	@cd policies/src/falaj/policies/checkov && $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	    --no-annotate --no-header checkov.in --output-file checkov.lock

.PHONY: setup
setup: .venv/.ready

.venv/.ready: requirements.lock $(MEMBERS:%=%/pyproject.toml) | $(UV)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "falaj needs Python 3.11 or newer; this is %d.%d: make PYTHON=/path/to/python3.11 ..." % sys.version_info[:2])'
	@echo "Installing the Python packages of requirements.lock into .venv"
	@test -x $(BIN)/python || $(UV) venv --quiet --allow-existing --python $(PYTHON) .venv
	@VIRTUAL_ENV=.venv $(UV) pip sync --require-hashes requirements.lock
	@VIRTUAL_ENV=.venv $(UV) pip install --quiet --no-deps --no-build-isolation $(MEMBERS:%=--editable ./%)
	@touch $@

.PHONY: setup-training
setup-training: .venv/.training

.venv/.training: .venv/.ready requirements-training.lock training/pyproject.toml
	@echo "Installing PyTorch and what else the training runtime needs (5.2 GB) into .venv"
	@VIRTUAL_ENV=.venv $(UV) pip install --quiet --require-hashes --requirement requirements-training.lock
	@VIRTUAL_ENV=.venv $(UV) pip install --quiet --no-deps --no-build-isolation --editable ./training
	@touch $@

$(CACHE)/uv/$(UV_VERSION)/bin/uv:
	@echo "Installing uv $(UV_VERSION) into $(CACHE)"
	@mkdir -p $(CACHE)/uv && $(PYTHON) -m venv --clear $(CACHE)/uv/$(UV_VERSION) || \
	    { echo "$(PYTHON) cannot make an environment: install its venv module (Debian: apt install python3-venv)" >&2; exit 1; }
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > $(CACHE)/uv/$(UV_VERSION)/uv.txt
	@$(CACHE)/uv/$(UV_VERSION)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(CACHE)/uv/$(UV_VERSION)/uv.txt
