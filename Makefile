# What a change is checked with; `make check` before every commit, `make test-slow` before a change of decoding lands.
.PHONY: check lint types test test-slow format

check: lint types test

lint:
	ruff check .
	ruff format --check .

types:
	mypy

test:
	pytest -n 2

test-slow:
	pytest -n 2 -m slow

format:
	ruff check --fix .
	ruff format .
