"""The scope index: every stored phrasing of a bank as an embedding, with physical removal.

The scope detector (`scope`) asks it which facts are nearest to a prompt and judges them one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Stored:
    """What the index keeps of one fact: its names, and each phrasing masked and as embeddings."""

    fact_id: str
    names: tuple[str, ...]
    texts: tuple[str, ...]
    """phrasings with the names masked"""
    plain: Floats
    """(phrasings, D)"""
    masked: Floats
    """(phrasings, D)"""

    @property
    def named(self) -> NDArray[np.bool_]:
        """Which phrasings (phrasings,) name the subject: masking changed them."""
        return (self.plain != self.masked).any(axis=1)


class ScopeIndex:
    """All stored phrasings of a bank; a change overwrites the joined matrix before it is freed."""

    def __init__(self) -> None:
        """An empty index."""
        self._stored: dict[str, Stored] = {}
        self._matrix: Floats | None = None
        self._owners: list[str] = []

    def add(self, stored: Stored) -> None:
        """Add a fact, or put new phrasings in place of its old ones."""
        self._stored[stored.fact_id] = stored
        self._drop_matrix()

    def remove(self, fact_id: str) -> None:
        """Take a fact out; the joined matrix that held its vectors is overwritten."""
        del self._stored[fact_id]
        self._drop_matrix()

    def __len__(self) -> int:
        """Facts in the index."""
        return len(self._stored)

    def candidates(self, embeddings: Floats, most: int = 8) -> list[Stored]:
        """The facts whose phrasings are nearest to any sentence of the query (Q, D)."""
        if not self._stored:
            return []
        nearest = (embeddings @ self._phrasings().T).max(axis=0)
        order = np.argsort(-nearest, kind="stable")[: 4 * most]
        found = dict.fromkeys(self._owners[i] for i in order)
        return [self._stored[fact_id] for fact_id in list(found)[:most]]

    def _phrasings(self) -> Floats:
        """Every phrasing's plain embedding (P, D), with `_owners` beside it."""
        if self._matrix is None:
            self._owners = [s.fact_id for s in self._stored.values() for _ in s.plain]
            self._matrix = np.concatenate([s.plain for s in self._stored.values()])
        return self._matrix

    def _drop_matrix(self) -> None:
        """Forget the joined matrix, overwriting it first."""
        if self._matrix is not None:
            self._matrix.fill(0.0)
        self._matrix, self._owners = None, []
