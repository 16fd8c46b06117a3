# `make run` and `make test` are all that a newcomer needs; `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CORE := $(VENV)/.core
MODULE := bmc_ext/sampling/_core.abi3.so
CONFORMANCE := $(VENV)/.conformance
CLIENTS := $(VENV)/clients
SOURCES := $(shell find csrc -name '*.c' -o -name '*.h') csrc/build_core.py setup.py

.DEFAULT_GOAL := help
.PHONY: help run test bench soak conform clients mockups lint unit package check-tools clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/  make \1\t\2/p' Makefile | expand -t 18

run: $(CORE)  ## start the mock BMC on https://127.0.0.1:8443 (user root, password dcpi-lab)
	@exec $(BIN)/dcpi-bmc emulate $(ARGS)

test: $(CONFORMANCE) lint unit package  ## all that CI checks
	@echo "all checks passed"

lint: $(CORE)  ## style, types, imports, C format (tables.h is generated)
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo > $(VENV)/imports.log || { cat $(VENV)/imports.log; exit 1; }
	@find csrc -name '*.[ch]' ! -name tables.h | xargs $(BIN)/clang-format --dry-run -Werror

unit: $(CORE)  ## the tests
	@# Hundreds of processes import it, each anew where PYTHONDONTWRITEBYTECODE is set.
	@$(BIN)/python -m compileall -q bmc_ext drivers emulator schemas
	@$(BIN)/python tests/run_all.py $(ARGS)

package: $(CORE)  ## sdist, abi3 wheel from it, and the wheel in an empty environment
	@$(BIN)/python tests/check_package.py

bench: $(CORE)  ## the figures, side by side with peers
	@$(BIN)/python -m tests.benchmarks $(ARGS)

conform: $(CONFORMANCE)  ## DMTF's validators and interoperability profiles, whole (minutes)
	@# Two runs: pytest takes a folder inside another one for the same argument.
	@$(BIN)/python -m pytest -q tests/conformance/dmtf $(ARGS)
	@$(BIN)/python -m pytest -q tests/conformance/dmtf/whole $(ARGS)

clients: $(CORE) $(CLIENTS)/.installed  ## clients that people use, against the emulator
	@DCPI_CLIENTS=$(CLIENTS)/bin $(BIN)/python -m pytest -q tests/clients $(ARGS)

mockups: $(CORE)  ## capture mockups/ anew from the emulator, and say what has changed
	@PYTHONPATH=.:tests $(BIN)/python -m conformance.mockups

soak: $(CORE)  ## the long versions of the tests
	@DCPI_FUZZ_SECONDS=600 $(BIN)/python -m pytest -q tests/soak tests/csrc \
		tests/drivers/waveforms/test_fuzz_readers.py $(ARGS)

check-tools:
	@sh tests/check_tools.sh "$(PYTHON)"

$(VENV)/bin/python: | check-tools
	@echo "making $(VENV) …" && $(PYTHON) -m venv $(VENV)

$(STAMP): pyproject.toml setup.py | $(VENV)/bin/python
	@echo "installing dcpi-bmc and what its tests need (once; about a minute) …"
	@$(BIN)/pip install --quiet --disable-pip-version-check 'setuptools>=77' -e '.[emulator,test]'
	@touch $@

$(CONFORMANCE): $(CORE)
	@echo "installing DMTF's validators …"
	@# Not `-e .[conformance]`, which would build the core once more.
	@$(BIN)/python -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
		print(*project["optional-dependencies"]["conformance"], sep="\n")' > $@.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check -r $@.txt
	@touch $@

# An environment of their own: they ask for old versions of what we use, and for Ansible.
$(CLIENTS)/.installed: tests/clients/requirements.txt
	@echo "installing the clients (about two minutes) …" && $(PYTHON) -m venv $(CLIENTS)
	@$(CLIENTS)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

$(CORE): $(SOURCES) $(STAMP)
	@# The installation has built it already, if it is the first.
	@[ -z "$$(find $(SOURCES) -newer $(MODULE) 2>&1)" ] || \
		$(BIN)/python setup.py --quiet build_ext --inplace
	@touch $@

clean:  ## remove what the build made
	rm -rf $(VENV) build dist *.egg-info bmc_ext/sampling/_core.*
