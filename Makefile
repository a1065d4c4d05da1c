# Everything that a fresh machine needs: `make demo` to see it work, `make test` to prove that it does.
# Choose an interpreter with PYTHON=..., an environment with VENV=... .

VENV ?= .venv
PYTHON ?= $(shell tools/find-python)
BIN := $(VENV)/bin

.PHONY: help demo test soak lint bench wheel clean

help:
	@echo "make demo    see a whole experiment on the embedded sandbox (about a minute)"
	@echo "make test    run every test"
	@echo "make soak    kill KILLS=1000 runs at random instants; nothing may stay on"
	@echo "make lint    check style, types and layers"
	@echo "make bench   measure the speed beside Chaos Toolkit's own"
	@echo "make soak    kill a run at KILLS=1000 random instants and look what is left on"
	@echo "make wheel   build dist/chaosdrill-*.whl"

$(VENV)/.run: requirements/run.txt requirements/build.txt pyproject.toml
	tools/make-venv "$(PYTHON)" "$(VENV)" requirements/run.txt
	touch $@

$(VENV)/.dev: requirements/dev.txt requirements/run.txt requirements/build.txt pyproject.toml
	tools/make-venv "$(PYTHON)" "$(VENV)" requirements/dev.txt
	touch $@ $(VENV)/.run

demo: $(VENV)/.run
	$(BIN)/chaosdrill demo

test: $(VENV)/.dev
	tools/need-packages chromium:chromium prometheus-alertmanager:prometheus-alertmanager ssh-keygen:openssh-client
	$(BIN)/python -m pytest -n 2 --dist loadfile $(PYTEST_ARGS)

soak: $(VENV)/.dev
	KILLS=$(or $(KILLS),1000) $(BIN)/python -m pytest tests/crash/test_random_instants.py -s -o timeout=0

lint: $(VENV)/.dev
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(VENV)/.dev
	tools/need-packages pandoc:pandoc
	$(BIN)/python -m benchmarks

wheel: $(VENV)/.dev
	$(BIN)/python -m build --wheel --no-isolation

clean:
	rm -rf .venv .venv-* dist build benchmarks/.peer benchmarks/results .pytest_cache .mypy_cache .ruff_cache
