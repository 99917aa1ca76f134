# `make app` and `make test` set up what they need first: a virtual environment in .venv with the
# pinned requirements, installed again only when a requirements file changes.

PYTHON ?= python3
PORT ?= 8501
WORKERS ?= 2
ADDRESS ?= 127.0.0.1
VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip install --disable-pip-version-check --quiet --progress-bar off

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help app test test-slow lint benchmarks screenshots

help:
	@echo "make app          install and start the app on http://$(ADDRESS):$(PORT)"
	@echo "                  (PORT=... for another port, ADDRESS=0.0.0.0 to let other machines in)"
	@echo "make test         install and run the tests (WORKERS=... at once)"
	@echo "make test-slow    the tests that take minutes each, which make test leaves out"
	@echo "make lint         ruff and mypy"
	@echo "make benchmarks   print speeds against named peers"
	@echo "make screenshots  make docs/screenshots with headless Chromium"

# Streamlit opens a browser where there is a display.
app: $(VENV)/.installed
	$(RUN) -m streamlit run app.py --server.address $(ADDRESS) --server.port $(PORT) \
		--server.showEmailPrompt false

# Tests of one file share an app and a browser, so they stay in one process.
test: $(VENV)/.installed-dev
	$(RUN) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder \
		--max-worker-restart 2

test-slow: $(VENV)/.installed-dev
	$(RUN) -m pytest -m slow -o faulthandler_timeout=3600

lint: $(VENV)/.installed-dev
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

benchmarks: $(VENV)/.installed-bench
	$(RUN) -m benchmarks.forward
	$(RUN) -m benchmarks.eot_pgd
	$(RUN) -m benchmarks.playground
	$(RUN) -m benchmarks.sweep
	$(RUN) -m benchmarks.store

screenshots: $(VENV)/.installed-dev
	$(RUN) -m tests.browser.screenshots

$(RUN):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed; name it with PYTHON=..." >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) cannot make a virtual environment (Debian: apt install python3-venv)" >&2; \
		exit 2; }

$(VENV)/.installed: requirements.txt | $(RUN)
	@echo "Installing requirements.txt (once; minutes)"
	@$(PIP) -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt requirements-cluster.txt requirements.txt | $(RUN)
	@echo "Installing requirements-dev.txt (once; minutes)"
	@$(PIP) -r requirements-dev.txt
	@touch $(VENV)/.installed $@

$(VENV)/.installed-bench: requirements-bench.txt $(VENV)/.installed-dev
	@echo "Installing requirements-bench.txt (once)"
	@$(PIP) -r requirements-bench.txt
	@touch $@
