"""A nearest-neighbour index whose vectors can really be removed.

Rows lie in blocks that are never moved. A removed row is overwritten by the last one, and the place of the last
one by zeros, so nothing of it stays. Nothing is learned from the vectors either: centroids or a graph would
keep a trace of what is gone, and the answers would depend on history. Beyond a few thousand rows a search
first compares signs along fixed random directions (one pass of XOR and popcount over 64 bytes a row) and
then takes exact cosines of the best.

Answers do not depend on where rows lie. Whatever is cut off is cut between unequal values, so equal ones stay
together, and the numbers that are summed are short enough that float64 holds every sum without rounding: rows
are multiples of 2^-24, queries are made so and directions multiples of 2^-20. That holds for vectors of length
one, and for all whose products stay below 32.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import faiss
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_bytes
from safetensors.numpy import save as save_bytes

from larimar.errors import InvalidInput

Floats = NDArray[np.float32]

BLOCK = 65_536
"""Rows of one block."""
EXACT_ROWS = 2_048
"""Up to here every row's exact cosine is taken."""
SKETCH_BITS = 512
SHORTLIST = 1_024
"""Rows, for each query, of which exact cosines are taken; more where rows tie or few owners have many."""
TIED = 1_024
"""Rows to list beyond the shortlist, so that those that tie with its last are among them."""
PORTION = 2_048
"""Rows added, or of which cosines are taken, at a time."""


class _Block:
    """Rows side by side: vectors (BLOCK, D) float16, their signs (BLOCK, bits / 8), and owners (BLOCK,)."""

    def __init__(self, dim: int) -> None:
        """All zero; the system gives memory as rows are used."""
        self.vectors = np.zeros((BLOCK, dim), dtype=np.float16)
        self.sketches = np.zeros((BLOCK, SKETCH_BITS // 8), dtype=np.uint8)
        self.owners = np.zeros(BLOCK, dtype=np.int64)


class VectorIndex:
    """Vectors by owner number; an owner may have several."""

    def __init__(self) -> None:
        """Empty; the dimension is that of the first vectors added."""
        self.dim = 0
        self.count = 0
        self._blocks: list[_Block] = []
        self._places: dict[int, list[int]] = {}

    def __len__(self) -> int:
        """Vectors in the index."""
        return self.count

    def add(self, owners: NDArray[np.int64], vectors: Floats) -> None:
        """Add vectors (N, D), each with its owner's number (N,). Raises InvalidInput; then nothing changed."""
        if vectors.ndim != 2 or len(vectors) != len(owners) or not len(vectors):
            raise InvalidInput("expected vectors (N, D) with N of at least 1, and as many owners")
        if self.count and vectors.shape[1] != self.dim:
            raise InvalidInput(f"expected vectors of {self.dim} numbers, not {vectors.shape[1]}")
        if not np.isfinite(vectors).all():
            raise InvalidInput("scope vectors hold NaN or infinity")
        self.dim = vectors.shape[1]
        done = 0
        while done < len(vectors):
            block, place = divmod(self.count, BLOCK)
            if block == len(self._blocks):
                self._blocks.append(_Block(self.dim))
            n = min(len(vectors) - done, BLOCK - place, PORTION)
            into, some = self._blocks[block], slice(done, done + n)
            into.vectors[place : place + n] = vectors[some]
            into.sketches[place : place + n] = sketch(into.vectors[place : place + n])
            into.owners[place : place + n] = owners[some]
            for i, owner in enumerate(owners[some].tolist()):
                self._places.setdefault(owner, []).append(self.count + i)
            self.count += n
            done += n

    def remove(self, owner: int) -> None:
        """Take an owner's vectors out and overwrite every place that held them or was vacated."""
        for place in sorted(self._places.pop(owner), reverse=True):
            self._vacate(place)

    def search(self, queries: Floats, most: int) -> list[tuple[int, float]]:
        """The owners nearest to any query (Q, D) by their best vector, each once with its cosine, nearest first.

        `most` of them, and all that are as near as the last. Beyond `EXACT_ROWS` they are the nearest of a shortlist
        that has `most` owners; at worst, where very many rows are alike, it is all rows: brute force.
        """
        return self.search_each([queries], most)[0]

    def search_each(self, groups: Sequence[Floats], most: int) -> list[list[tuple[int, float]]]:
        """`search` for several groups of queries; up to `EXACT_ROWS` the rows are read once for all of them."""
        if not self.count:
            return [[] for _ in groups]
        if any(queries.ndim != 2 or queries.shape[1] != self.dim for queries in groups):
            raise InvalidInput(f"expected queries (Q, {self.dim})")
        if self.count > EXACT_ROWS:
            return [self._of_shortlist(queries, most) for queries in groups]
        vectors, owners = self._gather(np.arange(self.count))
        exact = vectors.astype(np.float64)
        return [_best(_cosines(exact, queries), owners, most) for queries in groups]

    def search_among(self, owners: Iterable[int], queries: Floats, most: int) -> list[tuple[int, float]]:
        """`search` among the vectors of some owners, by exact cosines."""
        places = sorted(place for owner in owners for place in self._places[owner])
        return self._nearest(queries, np.array(places), most)

    def rows(self, portion: int) -> Iterator[Floats]:
        """All vectors (<= portion, D) float32, a portion at a time: for comparison with brute force."""
        for start in range(0, self.count, portion):
            yield self._gather(np.arange(start, min(start + portion, self.count)))[0].astype(np.float32)

    def buffers(self) -> list[NDArray[np.uint8]]:
        """Every buffer that holds vectors or their signs, whole, as bytes."""
        parts = [part for block in self._blocks for part in (block.vectors, block.sketches)]
        return [part.view(np.uint8) for part in parts]

    def to_bytes(self) -> bytes:
        """Vectors and owners as safetensors; only rows in use, so nothing that was removed."""
        vectors = [b.vectors for b in self._blocks] or [np.zeros((0, self.dim), dtype=np.float16)]
        owners = [b.owners for b in self._blocks] or [np.zeros(0, dtype=np.int64)]
        used = slice(self.count)
        return save_bytes({"vectors": np.concatenate(vectors)[used], "owners": np.concatenate(owners)[used]})

    @classmethod
    def from_bytes(cls, data: bytes) -> VectorIndex:
        """The index that `to_bytes` wrote. Raises InvalidInput when the bytes are not one."""
        try:
            rows = load_bytes(data)
            vectors, owners = rows["vectors"], rows["owners"]
        except (SafetensorError, KeyError) as error:
            raise InvalidInput("these bytes are not a vector index") from error
        if vectors.dtype != np.float16 or owners.dtype != np.int64 or vectors.ndim != 2:
            raise InvalidInput("a vector index needs float16 vectors (N, D) and int64 owners (N,)")
        made = cls()
        if len(vectors) or len(owners):
            made.add(owners, vectors.astype(np.float32))
        return made

    def _of_shortlist(self, queries: Floats, most: int) -> list[tuple[int, float]]:
        """What `search` returns beyond `EXACT_ROWS`."""
        signs, wanted = sketch(queries), min(most, len(self._places))
        places = self._shortlist(signs)
        found = [] if places is None else self._nearest(queries, places, most)
        if len(found) < wanted:
            found = self._nearest(queries, self._long_shortlist(signs, wanted), most)
        return found

    def _nearest(self, queries: Floats, places: NDArray[np.int64], most: int) -> list[tuple[int, float]]:
        """What `search` returns, of the rows at sorted places."""
        cosines, owners = np.empty(len(places)), np.empty(len(places), dtype=np.int64)
        for start in range(0, len(places), PORTION):
            some = slice(start, start + PORTION)
            vectors, owners[some] = self._gather(places[some])
            cosines[some] = _cosines(vectors.astype(np.float64), queries)
        return _best(cosines, owners, most)

    def _shortlist(self, signs: NDArray[np.uint8]) -> NDArray[np.int64] | None:
        """Places of the rows that are, by signs, as near to a query as its `SHORTLIST`-th nearest; None: more tie."""
        blocks = list(self._sketches())
        lists = [_listed(signs, number, rows, SHORTLIST + TIED // len(blocks)) for number, rows in blocks]
        near = np.concatenate([near for near, _ in lists], axis=1)
        cuts = np.partition(near, SHORTLIST - 1, axis=1)[:, SHORTLIST - 1 : SHORTLIST]
        for i, (number, rows) in enumerate(blocks):
            if _may_lack(lists[i][0], rows, cuts):
                lists[i] = _listed(signs, number, rows, SHORTLIST + TIED)
                if _may_lack(lists[i][0], rows, cuts):
                    return None
        kept = np.sort(np.concatenate([at[near <= cuts] for near, at in lists]))
        return kept[np.diff(kept, prepend=-1) > 0]

    def _long_shortlist(self, signs: NDArray[np.uint8], wanted: int) -> NDArray[np.int64]:
        """The same, of the distances of all rows, and doubled until it has the wanted number of owners."""
        distances = np.empty((len(signs), self.count), dtype=np.int16)
        for number, rows in self._sketches():
            for query, own in zip(distances, signs, strict=True):
                unequal = np.bitwise_count(rows.view(np.uint64) ^ own.view(np.uint64))
                query[number * BLOCK :][: len(rows)] = unequal.sum(axis=1, dtype=np.int16)
        ascending = np.sort(distances, axis=1, kind="stable")
        owners = np.concatenate([block.owners for block in self._blocks])[: self.count]
        size = min(SHORTLIST, self.count)
        while True:
            places = np.flatnonzero((distances <= ascending[:, size - 1 : size]).any(axis=0))
            if size == self.count or len(np.unique(owners[places])) >= wanted:
                return places
            size = min(2 * size, self.count)

    def _sketches(self) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Each block's number and the signs of its rows in use."""
        for number, block in enumerate(self._blocks):
            if used := min(BLOCK, self.count - number * BLOCK):
                yield number, block.sketches[:used]

    def _gather(self, places: NDArray[np.int64]) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
        """Vectors (N, D) float16 and owners (N,) at sorted places."""
        block_of = places // BLOCK
        vectors, owners = [], []
        for number in np.unique(block_of).tolist():
            at = places[block_of == number] - number * BLOCK
            vectors.append(self._blocks[number].vectors[at])
            owners.append(self._blocks[number].owners[at])
        return np.concatenate(vectors), np.concatenate(owners)

    def _vacate(self, place: int) -> None:
        """Move the last row into a place, and overwrite where it was with zeros."""
        self.count -= 1
        (to, row), (source, last) = divmod(place, BLOCK), divmod(self.count, BLOCK)
        target, origin = self._blocks[to], self._blocks[source]
        if place != self.count:
            moved = int(origin.owners[last])
            target.vectors[row], target.sketches[row] = origin.vectors[last], origin.sketches[last]
            target.owners[row] = moved
            of_moved = self._places[moved]
            of_moved[of_moved.index(self.count)] = place
        origin.vectors[last], origin.sketches[last], origin.owners[last] = 0, 0, 0
        if not last:
            del self._blocks[source]


def _cosines(rows: NDArray[np.float64], queries: Floats) -> NDArray[np.float64]:
    """The best cosine (N,) of each row (N, D) with any of the queries (Q, D), which are taken to 24 bits."""
    asked = np.rint(queries.astype(np.float64) * 2**24) / 2**24
    best: NDArray[np.float64] = np.max([rows @ query for query in asked], axis=0)
    return best


def _best(cosines: NDArray[np.float64], owners: NDArray[np.int64], most: int) -> list[tuple[int, float]]:
    """The owners of the highest cosines, each once, `most` of them and all that are as near as the last."""
    order = np.argsort(-cosines, kind="stable")
    best: dict[int, float] = {}
    last = -np.inf
    for owner, cosine in zip(owners[order].tolist(), cosines[order].tolist(), strict=True):
        if len(best) >= most and cosine < last:
            break
        if owner not in best:
            best[owner] = last = cosine
    return list(best.items())


def _listed(
    signs: NDArray[np.uint8], number: int, rows: NDArray[np.uint8], most: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Distances and places (Q, most or fewer) of a block's rows that are nearest to queries, in ascending order."""
    near, at = faiss.knn_hamming(signs, rows, min(most, len(rows)), variant="mc")
    return near, at.astype(np.int64) + number * BLOCK


def _may_lack(near: NDArray[np.int32], rows: NDArray[np.uint8], cuts: NDArray[np.int32]) -> bool:
    """Whether a block has rows beyond its list that may be as near as the cuts (Q, 1)."""
    return near.shape[1] < len(rows) and bool((near[:, -1:] <= cuts).any())


def sketch(vectors: Floats | NDArray[np.float16]) -> NDArray[np.uint8]:
    """Signs (N, bits / 8) of vectors (N, D) along fixed random directions."""
    positive = vectors.astype(np.float64) @ _directions(vectors.shape[1]) > 0
    return np.packbits(positive, axis=1)


@lru_cache
def _directions(dim: int) -> NDArray[np.float64]:
    """The directions (D, bits), the same in every process."""
    drawn = np.random.Generator(np.random.Philox(0)).standard_normal((dim, SKETCH_BITS))
    return np.rint(drawn * 2**20) / 2**20
