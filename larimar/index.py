"""The scope index: every stored phrasing of a bank as an embedding, with physical removal.

The scope detector (`scope`) asks it which facts are nearest to a prompt and judges them one by one. Where a
bank holds the entries anyway the index looks phrasings up there and keeps only the vectors it searches,
and by initials which facts have them.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from larimar.errors import InvalidInput, UnknownFact
from larimar.names import initials_of
from larimar.vectors import Floats, VectorIndex


@dataclass(frozen=True)
class Stored:
    """What the scope keeps of one fact: its names, and each phrasing masked and as embeddings.

    Embeddings are rounded to float16, the precision of the ledger, so that a rebuilt bank judges alike.
    """

    fact_id: str
    names: tuple[str, ...]
    texts: tuple[str, ...]
    """phrasings with the names masked"""
    plain: Floats
    """(phrasings, D)"""
    masked: Floats
    """(phrasings, D)"""

    def __post_init__(self) -> None:
        """Refuse vectors that fit neither each other nor the phrasings, and round the others."""
        plain, masked = np.asarray(self.plain), np.asarray(self.masked)
        if plain.ndim != 2 or plain.shape != masked.shape or not plain.size or len(plain) != len(self.texts):
            raise InvalidInput("a fact needs at least one phrasing, each with a plain and a masked embedding")
        with np.errstate(over="ignore"):  # what is too large becomes infinity, and is refused
            rounded = {"plain": plain.astype(np.float16), "masked": masked.astype(np.float16)}
        if not all(np.isfinite(vectors).all() for vectors in rounded.values()):
            raise InvalidInput("scope vectors hold NaN, infinity or more than 65504; give finite embeddings")
        for name, vectors in rounded.items():
            object.__setattr__(self, name, vectors.astype(np.float32))

    @cached_property
    def named(self) -> NDArray[np.bool_]:
        """Which phrasings (phrasings,) name the subject: masking changed them."""
        return (self.plain != self.masked).any(axis=1)


def widened(old: Stored, more: Stored) -> Stored:
    """A fact with more phrasings, each once: those of `more` that it has already are left out."""
    known = {(text, row.tobytes()) for text, row in zip(old.texts, old.plain, strict=True)}
    new = []
    for i, (text, row) in enumerate(zip(more.texts, more.plain, strict=True)):
        if (text, row.tobytes()) not in known:
            known.add((text, row.tobytes()))
            new.append(i)
    return replace(
        old,
        texts=(*old.texts, *(more.texts[i] for i in new)),
        plain=np.concatenate([old.plain, more.plain[new]]),
        masked=np.concatenate([old.masked, more.masked[new]]),
    )


class ScopeIndex:
    """All stored phrasings of a bank; `vectors` says how a removal leaves nothing behind."""

    def __init__(
        self, source: Mapping[str, Stored] | None = None, tombstones: Container[str] = frozenset()
    ) -> None:
        """An empty index. `source`: where phrasings are kept by fact id; None keeps them here.

        `tombstones`: the facts whose answer is hidden; the detector has a threshold of its own for them.
        """
        self.tombstones = tombstones
        self._own: dict[str, Stored] = {}
        self._source = self._own if source is None else source
        self._number: dict[str, int] = {}
        self._fact: dict[int, str] = {}
        self._next = 0
        self.initials: dict[str, set[int]] = {}
        """The numbers of the facts that have a name with these initials."""
        self.vectors = VectorIndex()

    def add(self, stored: Stored) -> None:
        """Add a fact, or put new phrasings in place of its old ones."""
        self.add_all([stored])

    def check(self, facts: Iterable[Stored]) -> None:
        """Raises InvalidInput when facts' vectors have not one dimension, that of the index."""
        dims = {stored.plain.shape[1] for stored in facts} | ({self.vectors.dim} if len(self) else set())
        if len(dims) > 1:
            raise InvalidInput(f"expected scope vectors of one dimension, got {sorted(dims)}")

    def add_all(self, facts: Iterable[Stored]) -> None:
        """Add facts in one go. Raises InvalidInput for vectors of another dimension; then nothing changed."""
        made = list(facts)
        self.check(made)
        if not made:
            return
        for stored in made:
            if stored.fact_id in self._number:
                self.remove(stored.fact_id)
        for stored in made:
            self._number[stored.fact_id] = self._next
            self._fact[self._next] = stored.fact_id
            for each in _initials(stored):
                self.initials.setdefault(each, set()).add(self._next)
            self._next += 1
            if self._source is self._own:
                self._own[stored.fact_id] = stored
        owners = [self._number[stored.fact_id] for stored in made for _ in stored.plain]
        self.vectors.add(np.array(owners), np.concatenate([stored.plain for stored in made]))

    def remove(self, fact_id: str) -> None:
        """Take a fact out; every place that held its vectors is overwritten. Raises UnknownFact."""
        if fact_id not in self._number:
            raise UnknownFact("a fact with this id is not in the scope index")
        own, number = _initials(self.stored(fact_id)), self._number.pop(fact_id)
        for each in own:
            self.initials[each].discard(number)
            if not self.initials[each]:
                del self.initials[each]
        del self._fact[number]
        self._own.pop(fact_id, None)
        self.vectors.remove(number)

    def __len__(self) -> int:
        """Facts in the index."""
        return len(self._number)

    def candidates(self, embeddings: Floats, most: int = 8) -> list[Stored]:
        """The facts whose phrasings are nearest to any sentence of the query (Q, D)."""
        return [self.stored(fact_id) for fact_id in self.nearest(embeddings, most)]

    def stored(self, fact_id: str) -> Stored:
        """What is kept of a fact. Raises KeyError."""
        return self._source[fact_id]

    def nearest(self, embeddings: Floats, most: int = 8) -> list[str]:
        """Ids of the facts with the phrasings nearest to any sentence (Q, D): nearest first, then by id."""
        return self.nearest_each([embeddings], most)[0]

    def nearest_each(self, queries: Sequence[Floats], most: int = 8) -> list[list[str]]:
        """`nearest` for several queries."""
        return [self._ordered(found, most) for found in self.vectors.search_each(queries, most)]

    def called(self, initials: Iterable[str], embeddings: Floats, most: int = 8) -> list[str]:
        """Ids of the facts with a name of these initials (folded): those nearest to any sentence (Q, D)."""
        numbers = set().union(*(self.initials.get(each, ()) for each in initials))
        return self._ordered(self.vectors.search_among(numbers, embeddings, most), most) if numbers else []

    def _ordered(self, found: Iterable[tuple[int, float]], most: int) -> list[str]:
        """Ids of numbered facts with their cosines: nearest first, then by id."""
        ordered = sorted((-cosine, self._fact[number]) for number, cosine in found)
        return [fact_id for _, fact_id in ordered[:most]]


def _initials(stored: Stored) -> frozenset[str]:
    """Those of all its names."""
    return frozenset().union(*map(initials_of, stored.names))
