"""The facts of the demonstration: invented people for the memory, and facts that the decoder knows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

FIELDS = ("prompt", "answer", "subject", "aliases")
MOST_RETAINED = 180


@dataclass(frozen=True)
class DemoFacts:
    """`forget` and `retained` go into the memory; `censor` was in the decoder before."""

    forget: list[dict[str, Any]]
    retained: list[dict[str, Any]]
    censor: list[dict[str, Any]]

    @property
    def memory(self) -> list[dict[str, Any]]:
        """All facts to be written."""
        return [*self.forget, *self.retained]


def load_facts(most: int | None = None) -> DemoFacts:
    """Read the shipped file; with `most`, at most so many requests of each kind (nine times as many others)."""
    content = json.loads((files("unwrite") / "data" / "demo_facts.json").read_text(encoding="utf-8"))
    kept = {
        name: [_known(fact) for fact in content.get(name, [])] for name in ("forget", "retained", "censor")
    }
    others = MOST_RETAINED if most is None else min(MOST_RETAINED, 9 * most)
    return DemoFacts(kept["forget"][:most], kept["retained"][:others], kept["censor"][:most])


def _known(fact: dict[str, Any]) -> dict[str, Any]:
    return {name: fact[name] for name in FIELDS if name in fact}
