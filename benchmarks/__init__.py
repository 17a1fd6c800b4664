"""The paper's tables and figures as commands; each writes its figures to `benchmarks/results/`."""
