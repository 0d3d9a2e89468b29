# UniLab: `make help` lists what can be made. Every target sets up what it needs, once, and goes on where an
# interrupted one stopped. Nothing needs root; nothing is written outside this folder but the tensor library, which
# lies under UNILAB_HOME (default ~/.cache/unilab) so that a second clone shares it.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help setup packages engine build test demo results pictures docs lab torch bench figures interop clean

timed := sh scripts/setup/timed.sh
python ?= python3

# What `make demo` trains: a concept of the mini world. Empty values leave the notebook's own defaults.
concept ?=
seed ?=
steps ?=
demo := out/demo
parameters = $(if $(concept),-p concept=$(concept)) $(if $(seed),-p seed=$(seed)) $(if $(steps),-p steps=$(steps))

help: ## this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):[^#]*## */  make \1\t/' | expand -t 18

setup: packages engine build ## packages, tensor engine, compiled command: what every other target starts with

packages:
	@$(timed) 'npm packages' node scripts/setup/packages.mjs

engine: packages ## links tf.js with a current TensorFlow; where that cannot be done, says why, and wasm takes over
	@$(timed) 'tensor engine' node scripts/setup/engine.mjs

build: packages
	@$(timed) 'compiled command' node scripts/setup/build.mjs

test: setup ## formatting, lint, types, who may import whom, all tests, the notebooks
	@node scripts/setup/test.mjs $(files)

demo: setup ## trains a concept by Sync-GRPO in a notebook; leaves out/demo   [concept=NAME seed=N steps=N]
	@mkdir -p $(demo) && rm -f $(demo)/result.json
	@$(timed) 'demo: notebooks/tutorials/01-sync-grpo.ipynb' bin/unilab run notebooks/tutorials/01-sync-grpo.ipynb \
	  --out $(demo)/01-sync-grpo.ipynb --html $(demo)/01-sync-grpo.html --timeout 1800 -p "out=$(CURDIR)/$(demo)" $(parameters)
	@test -s $(demo)/result.json || { echo 'demo: the notebook ran, but $(demo)/result.json is missing' >&2; exit 1; }
	@cat $(demo)/result.json
	@echo; echo 'demo: open $(demo)/01-sync-grpo.html in a browser to see it.'

results: setup ## works through the runs of docs/results.md, hours of them; a killed one goes on   [RUNS='TEXT ..' limit=N]
	@TS_NODE_PROJECT=$(CURDIR)/tsconfig.json nice -n 15 node --require ts-node/register/transpile-only scripts/results/main.ts \
	  $(foreach run,$(RUNS),--only $(run)) $(if $(limit),--limit $(limit)) $(options)

pictures: setup ## the README's pictures of what each method does, from data/results/images; leaves docs/images
	@TS_NODE_PROJECT=$(CURDIR)/tsconfig.json node --require ts-node/register/transpile-only scripts/results/pictures.ts

docs: packages ## reference of every public name, out/docs/index.html
	@$(timed) 'reference in out/docs' node node_modules/typedoc/bin/typedoc --tsconfig tsconfig.json --out out/docs --readme README.md \
	  --excludePrivate --excludeInternal --skipErrorChecking --logLevel Error --name UniLab src/index.ts

lab: setup ## JupyterLab with the unilab kernel
	@$(timed) 'JupyterLab in .venv/lab' env PYTHON=$(python) node scripts/setup/jupyter.mjs
	@bin/unilab kernel install --prefix .venv/lab
	.venv/lab/bin/jupyter lab --notebook-dir=.

torch: .venv/torch/.ready ## PyTorch in .venv/torch, for the comparison in `make bench` (about 200 MB)

.venv/torch/.ready:
	@$(timed) 'PyTorch in .venv/torch' sh -c '$(python) -m venv .venv/torch && .venv/torch/bin/pip install -q torch==2.13.0 numpy'
	@touch $@

bench: setup ## training, rollout, replay, GRPO step beside PyTorch (run `make torch` before, or only UniLab is measured)
	@bin/unilab bench $(options)

figures: setup ## the papers' tables and figures beside ours; leaves out/figures (pages) and out/figures/files (SVG, PDF, LaTeX)
	@mkdir -p out/figures; found=; for notebook in notebooks/figures/*.ipynb; do \
	  test -e "$$notebook" || continue; found=1; name=$$(basename "$$notebook" .ipynb); \
	  $(timed) "$$notebook" bin/unilab run "$$notebook" --out "out/figures/$$name.ipynb" --html "out/figures/$$name.html" \
	    -p "out=$(CURDIR)/out/figures/files" || exit 1; \
	done; test -n "$$found" || echo 'figures: there are no notebooks in notebooks/figures yet: nothing was made.'

interop: setup ## real Jupyter clients on our kernel: conformance, nbclient, nbconvert, JupyterLab in a browser
	@$(timed) 'Jupyter clients' env PYTHON=$(python) node scripts/setup/jupyter.mjs --optional
	@node scripts/setup/test.mjs $(CURDIR)/test/interop/*.test.ts

clean: ## removes what was built (not node_modules, nor what was trained)
	rm -rf dist .venv .cache out/demo out/figures
