.PHONY: run test test-page screenshots install reinstall evals lint

PYTHON ?= python3
BIN := .venv/bin
# pip's own find-links may hold a small CPU build of torch; uv takes it only when told.
FIND_LINKS = $(shell $(PYTHON) -m pip config get global.find-links 2>/dev/null | tr -s " \n" ",")

run: install
	$(BIN)/python app.py

test: install
	$(BIN)/python -m pytest

test-page: install
	$(BIN)/python -m pytest -m "page or slow"

screenshots: install
	PYTHONPATH=. $(BIN)/python tests/screenshots.py

evals: install
	$(BIN)/python -m evals --gate

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

install: .venv/installed

reinstall:
	rm -rf .venv
	$(MAKE) install

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv || { echo "On Debian, first: apt-get install python3-venv"; exit 1; }
	if $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; then \
	  UV_FIND_LINKS="$(FIND_LINKS)" $(BIN)/uv pip install --python $(BIN)/python -c constraints.txt -e ".[test]"; \
	else \
	  $(BIN)/python -m pip install -c constraints.txt -e ".[test]"; \
	fi
	touch $@
