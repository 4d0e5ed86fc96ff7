# Every target sets up what it needs: a machine with Python 3.11+, make and pip is enough.
PYTHON ?= python3
BIN := .venv/bin
STUDY ?= demo-study
SITE ?= site-01

.PHONY: night test test-long recovery soak check check-file fix docs bench lock clean

# --- what people run -------------------------------------------------------------------------

night: .venv/.ready  ## one night on the example study; prints where marts and reports are
	@test -e $(STUDY)/study.yaml || $(BIN)/dyadlog init $(STUDY) --example quickstart
	@$(BIN)/dyadlog night -s $(STUDY)

check-file: .venv/.ready  ## the check of one site as one file: make check-file STUDY=my-study SITE=site-01
	$(BIN)/dyadlog check-file $(SITE) -s $(STUDY) -o build/dyadlog-check.py

test: .venv/.ready build/axe/.ready build/chromium/.ready check  ## lint, types, then all quick tests
	$(BIN)/pytest -q -n 2 --dist worksteal

test-long: .venv/.ready build/axe/.ready build/chromium/.ready  ## the slow sweeps too
	DYADLOG_LONG=1 $(BIN)/pytest -q -n 2 --dist worksteal -m "long or not long"

recovery: .venv/.ready  ## twenty simulated studies: is what went in found again?
	DYADLOG_LONG=1 $(BIN)/pytest -q -rP -n 2 -m long tests/simulation/test_recovery.py

soak: .venv/.ready  ## ten years of nights: seconds and memory, year by year
	@rm -rf build/soak
	$(BIN)/python -m tests.soak build/soak

check: .venv/.ready build/types/dyadlog  ## changes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p dyadlog.schemas -p dyadlog.assets -p dyadlog.orchestration

fix: .venv/.ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/.ready  ## the pages of the methods and checks, from models and registry; the questions with their results
	$(BIN)/python -m dyadlog.assets.warehouse.pages docs/methods
	$(BIN)/python -m dyadlog.assets.quality.registry docs/checks.md
	$(BIN)/python -m dyadlog.orchestration.questions docs/questions.md

bench: .venv/.ready
	$(BIN)/python benchmarks/run.py

lock: .venv/.ready  ## new versions within the bounds of pyproject.toml
	$(PYTHON) -m pip install -q --target build/uv uv
	build/uv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --all-extras --upgrade pyproject.toml -o requirements.lock

clean:
	rm -rf .venv build $(STUDY)

# --- set-up ----------------------------------------------------------------------------------

.venv/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# mypy does not follow import hooks, so the package `dyadlog` is shown to it as a folder of links.
build/types/dyadlog:
	@mkdir -p $@
	@ln -sfn ../../../schemas ../../../assets ../../../orchestration ../../../examples ../../../dbt_like_sql $@/

# What tells the browser tests how accessible a page is. Without npm these tests are skipped, saying so.
build/axe/.ready: tests/axe/package.json tests/axe/package-lock.json
	@mkdir -p build/axe
	@cp tests/axe/package.json tests/axe/package-lock.json build/axe/
	@if command -v npm >/dev/null; then \
	  (cd build/axe && npm ci --silent --ignore-scripts --no-audit --no-fund) && touch $@ || echo "axe-core could not be fetched: its tests are skipped"; \
	else echo "no npm here: the tests with axe-core are skipped"; fi

# The browser that the pages are looked at with. On Debian, as root, it is installed; else its tests are skipped, saying so.
build/chromium/.ready:
	@mkdir -p build/chromium
	@if command -v chromium >/dev/null || command -v google-chrome >/dev/null; then touch $@; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  (apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium) >/dev/null 2>&1 && touch $@ \
	  || echo "chromium could not be installed: the tests in a browser are skipped"; \
	else echo "no chromium here: the tests in a browser are skipped"; fi
