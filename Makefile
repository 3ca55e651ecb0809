# Everything a newcomer runs. Each target sets up what it needs first.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALLED := .venv/.installed

.PHONY: install demo test lint bench bench-learning bench-prospective bench-poisoned rehearse-3b bench-month models up clean
.DELETE_ON_ERROR:

install: $(INSTALLED)

# torch comes first and with its own requirements: its CPU build where pip can see it, otherwise the default index's
# build with the CUDA libraries it loads. All else is the exact list, so nothing is left to a resolver.
$(INSTALLED): constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "chordae needs Python 3.11 or newer: make PYTHON=...")'
	$(PYTHON) -m venv .venv
	$(PIP) install --quiet pip==26.3
	$(PIP) install --progress-bar off --constraint constraints.txt torch
	$(PIP) install --progress-bar off --no-deps --requirement constraints.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	touch $@

demo: $(INSTALLED)
	$(BIN)/chordae demo

# Those that start an engine come last and one after the other: each has the machine to itself.
test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n logical --maxprocesses 4 --dist loadfile -m "not engine"
	$(BIN)/python -m pytest -q -m engine

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks

# Seven ways of the reasoner's stage 2, three seeds each: hours on 2 cores; what is done is not done again.
bench-learning: $(INSTALLED)
	for set in train dev test arms-dev; do \
	  $(BIN)/chordae cohort records configs/datasets/cmr-r-$$set.yaml -o var/datasets/cmr-r-$$set || exit 1; done
	$(BIN)/python -m benchmarks.learning

# What unlabelled records of a late site are worth: hours on 2 cores; what is done is not done again.
bench-prospective: $(INSTALLED)
	for set in train dev test coastal coastal-test; do \
	  $(BIN)/chordae cohort records configs/datasets/cmr-r-$$set.yaml -o var/datasets/cmr-r-$$set || exit 1; done
	$(BIN)/python -m benchmarks.prospective

# A site that is wrong throughout: brakes and gate, with and without them. Hours on 2 cores; likewise.
bench-poisoned: $(INSTALLED)
	for set in train dev sentinels coastal; do \
	  $(BIN)/chordae cohort records configs/datasets/cmr-r-$$set.yaml -o var/datasets/cmr-r-$$set || exit 1; done
	$(BIN)/python -m benchmarks.poisoned

# A simulated month of three sites while the loop learns, as a report. Training is real: slow on 2 cores; killed, it goes on.
bench-month: $(INSTALLED)
	for set in train dev sentinels; do \
	  $(BIN)/chordae cohort records configs/datasets/cmr-r-$$set.yaml -o var/datasets/cmr-r-$$set || exit 1; done
	$(BIN)/python -m benchmarks.month

# A model of full size changes its weights in place; by hand, with about 16 GiB of memory and as much disk.
rehearse-3b: $(INSTALLED)
	$(BIN)/python -m benchmarks.rehearsal

# Everything in models/, from nothing: hours on 2 cores; see docs/train.md. Killed, it goes on where it was.
models: $(INSTALLED)
	for set in test calibration ecg-train cmr-train echo-train; do \
	  $(BIN)/chordae cohort dataset configs/datasets/$$set.yaml -o var/datasets/$$set || exit 1; done
	$(BIN)/chordae train views
	test -d var/models/language-nano || $(BIN)/chordae train sft --config configs/train/language-nano.yaml
	for expert in ecg echo cmr; do \
	  for stage in pretrain sft grpo; do \
	    config=configs/train/$$expert-nano-$$stage.yaml; name=$$(sed -n 's/^name: //p' $$config 2>/dev/null); \
	    test ! -f $$config -o -d var/models/$$name || $(BIN)/chordae train $$stage --config $$config || exit 1; done; \
	  mkdir -p models/$$expert-nano && cp -r var/models/$$expert-nano/* models/$$expert-nano/ || exit 1; \
	  for verb in calibrate "evaluate mcq" "evaluate vqa" "evaluate blind" "evaluate mirage"; do \
	    $(BIN)/chordae $$verb --model models/$$expert-nano --output models/$$expert-nano/evaluation || exit 1; \
	  done; $(BIN)/python scripts/model_card.py models/$$expert-nano || exit 1; done
	for set in train dev test; do \
	  $(BIN)/chordae cohort records configs/datasets/cmr-r-$$set.yaml -o var/datasets/cmr-r-$$set || exit 1; done
	test -d var/models/cmr-r-stage1 || $(BIN)/chordae train sft --config configs/train/cmr-r-stage1.yaml
	test -d var/models/cmr-r-first || $(BIN)/chordae train ma-grpo --config configs/train/cmr-r-ma-grpo-first.yaml
	test -d var/models/cmr-r-stage1-again || $(BIN)/chordae train sft --config configs/train/cmr-r-stage1-again.yaml
	test -d var/models/cmr-r-nano || $(BIN)/chordae train ma-grpo --config configs/train/cmr-r-ma-grpo.yaml
	mkdir -p models/cmr-r-nano && cp var/models/cmr-r-nano/* models/cmr-r-nano/
	$(BIN)/chordae calibrate --model models/cmr-r-nano
	$(BIN)/chordae evaluate cod --model models/cmr-r-nano --output models/cmr-r-nano/evaluation
	$(BIN)/python scripts/model_card.py models/cmr-r-nano

up: $(INSTALLED)
	$(BIN)/chordae up

clean:
	rm -rf .venv var build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
