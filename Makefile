PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: help demo test isas check format lint types slow bench docs
.DEFAULT_GOAL := help

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

demo: $(INSTALLED) ## speak a small corpus, compress a tiny recogniser on it, write demo-output/ anew
	rm -rf demo-output demo-output.unfinished
	$(BIN)/sottovoce demo --out demo-output

# A process a core, four at most, with a thread each.
test: $(INSTALLED) ## run the fast tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n logical --maxprocesses 4 --dist worksteal $(COVERAGE)

# A limit above what the processor has changes nothing.
isas: $(INSTALLED) ## run what depends on the processor's kernels as older processors would
	for isa in AVX2 AVX512_CORE AVX512_CORE_VNNI; do \
		echo "ONEDNN_MAX_CPU_ISA=$$isa"; \
		ONEDNN_MAX_CPU_ISA=$$isa OMP_NUM_THREADS=1 \
			$(BIN)/pytest -n logical --maxprocesses 4 --dist worksteal -m "kernels and not slow" || exit 1; \
	done

# Counting lines slows the tests, so only `check` does it.
check: COVERAGE = --cov=sottovoce --cov-report=term:skip-covered
check: format lint types test ## all that must pass before a commit: format, lint, types, fast tests

format: $(INSTALLED) ## say which files are not formatted
	$(BIN)/ruff format --check

lint: $(INSTALLED) ## run ruff's checks
	$(BIN)/ruff check

types: $(INSTALLED) ## run mypy
	$(BIN)/mypy

slow: $(INSTALLED) ## run the tests that take minutes
	$(BIN)/pytest -m slow --timeout 3600

# DATA: see benchmarks/README.md. What takes longer than HOURS is left out, and said.
DATA ?= ../shared
HOURS ?= 1

bench: $(INSTALLED) ## measure what is missing in benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks --data $(DATA) --hours $(HOURS)

docs: $(INSTALLED) ## build the documentation site in build/site
	$(BIN)/pip install -q -c constraints.txt -e '.[docs]'
	$(BIN)/mkdocs build --strict

# torch goes first and alone: asked for by another package, pip may take a build with gigabytes of
# CUDA where a CPU build of the pinned version is at hand.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -c constraints.txt torch
	$(BIN)/pip install -c constraints.txt -e '.[dev]'
	touch $@
