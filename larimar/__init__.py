"""Larimar: a language model with an episodic memory whose least-squares algebra makes a removal exact.

    from larimar import Fact, Larimar
    model = Larimar.load()
    model.write([Fact("f1", "The capital of Ruritania is", "Strelsau", subject="Ruritania")])
    model.generate(["The capital of Ruritania is"])
    model.forget(["f1"])

After Das et al. 2024, «Larimar: Large Language Models with Episodic Memory Control».
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from larimar.bank import Bank
    from larimar.config import LarimarConfig
    from larimar.entry import Entry
    from larimar.model import Larimar
    from larimar.text import Fact

_HOMES = {
    "Larimar": "larimar.model", "Fact": "larimar.text", "Entry": "larimar.entry", "Bank": "larimar.bank",
    "LarimarConfig": "larimar.config",
}  # fmt: skip

__all__ = ["Bank", "Entry", "Fact", "Larimar", "LarimarConfig"]


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used, so that `import larimar` costs nothing."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'larimar' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
