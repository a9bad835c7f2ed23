# make run · test · check · coverage · mutants · bench · simulate · planted · torture. Each makes .venv and installs its pins first.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.PHONY: run test check coverage mutants bench simulate planted torture
run: .venv/ready
	$(BIN)/python run.py $(ARGS)

test: .venv/ready-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

check: .venv/ready-dev
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit -q -c pyproject.toml -r base run.py

# Every line and branch of the pure modules, by the tests that are about them. docs/testing.md says which and why.
COVERED_BY := tests/feed tests/kalshi tests/risk tests/strategy
coverage: .venv/ready-dev
	$(BIN)/python -m coverage run -m pytest -q -m "not wide" --hypothesis-profile=steady $(COVERED_BY)
	$(BIN)/python -m coverage report --fail-under=100 --include="$$($(BIN)/python -m tests.pure_modules)"

# Minutes of one core. Not part of .ci/run.
mutants: .venv/ready-dev
	nice $(BIN)/python -m tests.mutants $(ARGS)

# About seven minutes; one JSON object for each figure. docs/performance.md says what they mean.
FIGURES := tick_to_order feed strategy_burn steady_state many_positions dead_feed flood exits_on_recorded_books
bench: .venv/ready
	for figure in $(FIGURES); do $(BIN)/python -m benchmarks.$$figure || exit 1; done

# The program through ten thousand bad days; docs/safety.md says what is promised and how it is tested.
SEEDS ?= 10000
simulate: .venv/ready-dev
	$(BIN)/python -m tests.simulation --seeds $(SEEDS) $(ARGS)

# Thirty-one bugs, one at a time: the judge of the above must catch each.
planted: .venv/ready-dev
	$(BIN)/python -m tests.simulation.planted $(ARGS)

# The real program killed at named points and on what breaks under it, twenty times each; docs/torture.md. Half an hour.
ROUNDS ?= 20
torture: .venv/ready-dev
	$(BIN)/python -m tests.torture --rounds $(ROUNDS) $(ARGS)

.venv/ready: requirements.txt
	$(PYTHON) -m venv .venv || { echo "python3 -m venv failed: install python3-venv (Debian, Ubuntu) and try again" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

.venv/ready-dev: .venv/ready requirements-dev.txt requirements-clients.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --ignore-requires-python \
		--upgrade --target .venv/clients -r requirements-clients.txt
	touch $@
