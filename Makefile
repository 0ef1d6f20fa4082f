# Everything a newcomer needs: `make demo`, `make test`. A virtual environment is set up on the way.
# More arguments go into ARGS: make demo ARGS="--loss 5", make test ARGS="-k jitter".

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DELETE_ON_ERROR:
.PHONY: help demo test check bench clean

help:
	@echo "make demo    a meeting that you join from your browser"
	@echo "make test    run the tests"
	@echo "make check   formatting, lint and types, as CI does"
	@echo "make bench   measure CPU, delay and quality, against plain aiortc and Janus; takes long"
	@echo "make clean   remove the virtual environment, caches and builds"

demo: $(VENV)/.test
	@$(BIN)/ipconf demo $(ARGS)

test: $(VENV)/.test
	$(BIN)/python -m pytest -n 2 --no-loadscope-reorder $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

# A stamp for each set of packages: the second time there is nothing to do.
$(VENV)/.%: pyproject.toml | $(BIN)/python
	@echo "Installing ipconf with its $* packages into $(VENV) ..."
	@$(PIP) --editable '.[$*]'
	@touch $@

$(BIN)/python:
	@for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	    if $$python -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        echo "Making $(VENV) with $$($$python --version) ..."; \
	        exec $$python -m venv $(VENV); \
	    fi; \
	done; \
	echo "ipconf needs Python 3.11 or newer with venv: install it, or name it, as in" \
	    "make demo PYTHON=/opt/python3.12/bin/python3" >&2; \
	exit 1
