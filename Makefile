# What a person does here. Each target sets up what it needs by itself (.ci/prepare.py), once.

PYTHON ?= python3
PREPARE = @command -v $(PYTHON) >/dev/null 2>&1 || { \
	echo "$(PYTHON) is not on this machine: Mailweir needs Python 3.11 or newer." >&2; exit 1; }; \
	$(PYTHON) .ci/prepare.py
RUN = @exec .venv/bin/python

.PHONY: help run test lint bench lock words clean
.DEFAULT_GOAL := help

help:
	@echo "make run     start Mailweir (Ctrl-C stops it)"
	@echo "make test    all tests, on SQLite and on PostgreSQL"
	@echo "make lint    format, rules, types, import directions, templates, migrations"
	@echo "make bench   the benchmarks"
	@echo "make lock    renew the lock files from pyproject.toml and package.json (needs uv and npm)"
	@echo "make words   renew the catalogues of sentences in locale/ (needs GNU gettext)"
	@echo "make clean   remove what set-up and tools made; var/ (your data) stays"

run:
	$(PREPARE) run
	$(RUN) manage.py up

test:
	$(PREPARE) test
	$(RUN) .ci/test.py

lint:
	$(PREPARE) lint
	@PATH="$(CURDIR)/.venv/bin:$$PATH" exec .ci/lint

bench:
	$(PREPARE) bench
	$(RUN) -m bench

lock:
	@exec .ci/lock

words:
	$(PREPARE) lint
	@PATH="$(CURDIR)/.venv/bin:$$PATH" exec .ci/words

clean:
	rm -rf .venv node_modules static/vendor staticfiles build *.egg-info test-artefacts
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
