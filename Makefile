# Two commands do everything: `make demo` and `make test`. Both set up first, once.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo demo-flights test lint types unit setup ui clean
.DEFAULT_GOAL := demo

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@echo "Setting up .venv (once; a few minutes)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --upgrade pip
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[sdv,s3]' --group dev
	@touch $@

demo: $(READY)
	@$(BIN)/twinlake run adult
	@echo
	@echo "Try:"
	@echo "  $(BIN)/twinlake sql \"SELECT count(*) FROM adult.people\""
	@echo "  $(BIN)/twinlake sql \"SELECT education, avg(age) AS age, count(*) AS people FROM adult.people GROUP BY ALL ORDER BY people DESC\""
	@echo "  $(BIN)/twinlake sql \"SELECT income, avg(\\\"hours-per-week\\\") AS hours FROM adult.people GROUP BY income\""
	@echo "See the graph: make ui"

demo-flights: $(READY)
	@mkdir -p data/dagster && cp dagster.yaml data/dagster/
	@echo "Five tables of flights, extract to release, as a run of Dagster (about a minute; its log: data/dagster/flights.log)"
	@DAGSTER_HOME="$(CURDIR)/data/dagster" $(BIN)/dagster asset materialize --module-name pipelines.definitions \
		--select group:flights --partition "$$(date -u +%F)" >data/dagster/flights.log 2>&1 \
		|| { grep -v DEBUG data/dagster/flights.log | tail -n 40; exit 1; }
	@$(BIN)/twinlake report flights
	@echo "What to ask it: docs/how-to/flights.md"

test: lint types unit

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .

types: $(READY)
	@$(BIN)/mypy

unit: $(READY)
	@$(BIN)/python -m pytest --numprocesses=2 --dist=loadgroup

ui: $(READY)
	@mkdir -p data/dagster && cp dagster.yaml data/dagster/
	@DAGSTER_HOME="$(CURDIR)/data/dagster" $(BIN)/dagster dev --host 127.0.0.1  # it asks nobody for a password: docs/reference/threats.md

clean:
	rm -rf .venv data
