"""The picture of `memory_scale`: what a bank costs against how many facts it holds."""

from __future__ import annotations

from pathlib import Path

PANELS = {
    "a fact, in batches of 256 (ms)": {"write_ms": "write", "forget_ms": "forget"},
    "a read (ms)": {
        "cold_read_ms": "shard not held",
        "first_read_after_change_ms": "first after a change",
        "further_read_ms": "further",
    },
    "a scope lookup (ms)": {"lookup_p50_ms": "median", "lookup_p99_ms": "99th percentile"},
    "memory held (GB)": {"process_gb": "process", "resident_gb": "of it bank and index"},
}


def draw(sizes: dict[str, dict[str, float]], path: Path) -> None:
    """One panel a question, both axes logarithmic, as a PNG.

    A bank that took no memory (what the process had freed before was enough) has no point of its own.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    facts = [int(size) for size in sizes]
    figure, panels = pyplot.subplots(1, len(PANELS), figsize=(15, 3.6), layout="constrained")
    for panel, (title, lines) in zip(panels, PANELS.items(), strict=True):
        for key, label in lines.items():
            panel.loglog(facts, [figures[key] for figures in sizes.values()], marker="o", label=label)
        panel.set(title=title, xlabel="facts")
        panel.grid(alpha=0.3)
        panel.legend()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
