# `make demo` and `make test` do all the set-up themselves: they need python3 (3.11 or newer), git and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The tests are compiled anew in each run where Python may not keep what it has compiled.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-fast check bench man architecture pictures clean

demo: $(VENV)/.installed
	$(BIN)/python examples/demo.py

test: $(VENV)/.tests-installed
	$(BIN)/pytest -n 4 --dist worksteal  # a third of the time tests wait: four keep two cores busy

# What is pure, and a story on real repositories of each file: for everyday work.
test-fast: $(VENV)/.tests-installed
	$(BIN)/pytest -n 4 --dist worksteal --fast

check: $(VENV)/.tests-installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.tests-installed
	$(BIN)/python benchmarks/git_phases.py
	$(BIN)/python benchmarks/merge.py
	$(BIN)/python benchmarks/plan.py
	$(BIN)/python benchmarks/content.py
	$(BIN)/python benchmarks/latency.py
	$(BIN)/python benchmarks/signals.py

man: $(VENV)/.tests-installed
	$(BIN)/python man/generate.py

architecture: $(VENV)/.tests-installed  # needs Graphviz
	$(BIN)/python docs/architecture.py

pictures: $(VENV)/.tests-installed  # needs Graphviz
	$(BIN)/python docs/pictures.py

clean:
	rm -rf $(VENV) build dist *.egg-info

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: setup.cfg pyproject.toml | $(BIN)/python $(VENV)/share/man/man1
	$(BIN)/python -m pip install --quiet --config-settings editable_mode=compat --editable '.[annex]'
	touch $@

$(VENV)/.tests-installed: setup.cfg pyproject.toml | $(BIN)/python $(VENV)/share/man/man1
	$(BIN)/python -m pip install --quiet --config-settings editable_mode=compat --editable '.[annex,test]'
	touch $@ $(VENV)/.installed

# An editable installation has no data files: let man find the pages beside the program.
$(VENV)/share/man/man1: | $(BIN)/python
	mkdir -p $(VENV)/share/man
	ln -s ../../../man $@
