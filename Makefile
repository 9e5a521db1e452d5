# The newcomer's door. Needs only Python >= 3.11, make and a C compiler; everything goes into ./.venv.
#
#   make try                          set up, then draw a picture
#   make try PROMPT="two cats on the beach"
#   make serve                        set up, then serve the web studio and the HTTP API on this machine
#   make test                         set up, then run every check and test
#   make bench                        set up, then measure
#   make train-pocket                 make the built-in model anew

# The first Python that runs and is new enough (a shim that is on the path may do neither).
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	"$$p" -c '$(NEW_ENOUGH)' >/dev/null 2>&1 && { echo "$$p"; break; }; done)
PROMPT ?= a penguin in the snow
export PROMPT
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# A torch that is already importable is reused; otherwise constraints.txt names the CPU build's version.
WORKERS ?= 2

.PHONY: try serve test setup check unit coverage soak lint types imports format bench clean train-pocket

try: $(VENV)/.installed
	@$(BIN)/limner draw -- "$$PROMPT"

# Flags of limner serve: make serve FLAGS="--port 8000 --open"
FLAGS ?=
serve: $(VENV)/.serve-installed
	@exec $(BIN)/limner serve $(FLAGS)

test: $(VENV)/.dev-installed
	@$(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory unit

check: lint types imports

lint: $(VENV)/.dev-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev-installed
	$(BIN)/mypy

imports: $(VENV)/.dev-installed
	$(BIN)/lint-imports

unit: $(VENV)/.dev-installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

# The same with the lines that no test runs; tracing costs minutes.
coverage: $(VENV)/.dev-installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --cov --cov-report=term:skip-covered

# Processes killed at random points, hundreds of times: minutes.
soak: $(VENV)/.dev-installed
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.soak.kills
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.soak.engine

format: $(VENV)/.dev-installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev-installed
	$(BIN)/python -m benchmarks.first_picture

# The whole path of the built-in models, as training/README.md explains it. Hours on a CPU, minutes on a large GPU;
# stopped, it goes on where it was. Needs the Noto Color Emoji font and CLDR, or an atlas.png already in RUN.
RUN ?= training/runs/pocket
TRAIN = $(BIN)/python -m training

train-pocket: $(VENV)/.dev-installed
	@mkdir -p $(RUN)
	test -e $(RUN)/atlas.png || $(TRAIN).sprites $(RUN)/atlas.png
	for stage in autoencoder unet classifier clip judge turbo vqgan dalle; do $(TRAIN).run --stage $$stage --out $(RUN) || exit 1; done
	$(TRAIN).pack $(RUN) $(RUN)/pack
	$(TRAIN).evaluate.measure $(RUN)/pack --run $(RUN) --out $(RUN)/figures
	$(TRAIN).pack $(RUN) $(RUN)/pack --measured $(RUN)/figures/figures.md
	$(TRAIN).pack_dalle $(RUN) $(RUN)/pack-dalle
	$(TRAIN).evaluate.measure_dalle $(RUN)/pack-dalle --run $(RUN) --out $(RUN)/figures-dalle
	$(TRAIN).pack_dalle $(RUN) $(RUN)/pack-dalle --measured $(RUN)/figures-dalle/figures.md

setup: $(VENV)/.installed

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "limner: no Python >= 3.11 was found; install one, or: make PYTHON=/path/to/python"; exit 1; }
	@"$(PYTHON)" -c '$(NEW_ENOUGH)' || { echo "limner: $(PYTHON) is older than 3.11; use: make PYTHON=/path/to/python3.11"; exit 1; }
	"$(PYTHON)" -c 'import importlib.util as u, subprocess, sys; subprocess.check_call([sys.executable, "-m", "venv", *(["--system-site-packages"] if u.find_spec("torch") else []), "$(VENV)"])'

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --quiet --constraint constraints.txt torch
	$(PIP) install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.serve-installed: $(VENV)/.installed
	$(PIP) install --quiet --constraint constraints.txt --editable ".[serve]"
	@touch $@

$(VENV)/.dev-installed: $(VENV)/.installed
	$(PIP) install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage
