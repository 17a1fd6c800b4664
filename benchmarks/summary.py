"""All results in one table: `python -m benchmarks.summary` writes `docs/benchmarks.md` from `results/*.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.recording import RESULTS, Figure

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"

_HEAD = """# Benchmarks

Made by `make bench-summary` from `benchmarks/results/*.json`; do not edit it. Each file there holds all figures of
a run, the versions, the processor, the commit and the digests of data and checkpoint. *Paper*: Das et al. 2024,
Larimar-6B on GPT-J unless the line says otherwise. *Base*: the decoder without its memory, in the same run. *Reach*:
the target that was set before measuring. Nothing is tuned on what scores it. Files that commands name and that are not
in this repository: [training.md](training.md#files-from-elsewhere).
"""


def page(results: Path = RESULTS) -> str:
    """The page's Markdown, results in order of their file names."""
    files = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(results.glob("*.json"))]
    return "\n".join([_HEAD, *(_section(file) for file in files)])


def _section(result: dict[str, Any]) -> str:
    """One result: its title, how to repeat it, what it does and does not show, and its rows."""
    lines = [
        f"## {result['benchmark']}",
        "",
        f"`{result['command']}` on {result['machine']}, commit {result['commit']}.",
        "",
        *([result["note"], ""] if "note" in result else []),
        "| what | paper | base | reach | measured |",
        "|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        cells = (_cell(row[key]) for key in ("paper", "base", "reach", "measured"))
        lines.append(f"| {row['name']} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _cell(figure: Figure) -> str:
    """A figure as text; a dash where there is none."""
    return "–" if figure is None else str(figure)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
