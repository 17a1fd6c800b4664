"""What this model keeps, as bytes, and the bytes that a fact would leave in it: for a scan of the state.

Token ids (as 16, 32 and 64 bit integers), the codes that an entry keeps of them, and the sentence embedding
of the prompt that the scope index keeps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

import numpy as np

from larimar.errors import FactTooLong
from larimar.model import Larimar
from larimar.text import spaced, statement

_FEWEST = 4
"""Tokens. Shorter runs stand in other facts too."""


def traces(model: Larimar, prompt: str, answer: str, names: Sequence[str] = ()) -> dict[str, list[bytes]]:
    """Byte patterns of a fact by kind; a kind is absent where its pattern would be too short to tell."""
    text = statement(prompt, answer)
    ids = np.array(model.weights.tokens(spaced(text)))
    stored = model.weights.detector.store("", [prompt], tuple(names))
    found = {"embedding": [stored.plain.tobytes(), stored.plain.astype(np.float16).tobytes()]}
    if len(ids) >= _FEWEST:
        found["token ids"] = [ids.astype(kind).tobytes() for kind in (np.uint16, np.int32, np.int64)]
    with suppress(FactTooLong):  # then it was never written either
        codes = model.weights.encode(text).numpy()
        if len(ids) >= _FEWEST:
            found["codes"] = [codes.tobytes(), codes.astype(np.int64).tobytes()]
    return found


def state_blobs(model: Larimar, fact_ids: Sequence[str] = ()) -> Iterator[tuple[str, bytes]]:
    """(place, bytes) of the model's state: every ledger entry, every phrasing's vectors, the memory, what the memory
    returns at the keys of `fact_ids`, as text, and what the output check knows of tombstones.
    """
    bank = model.bank
    for entry in bank.entries.values():
        yield "a ledger entry", entry.to_bytes()
        yield "a ledger entry", entry.value.numpy().tobytes()
        yield "the scope index", "\n".join((*entry.scope.names, *entry.scope.texts)).encode()
        yield "the scope index", entry.scope.plain.tobytes() + entry.scope.masked.tobytes()
    yield "the search index", "\n".join(bank.index.initials).encode()
    yield from (("the search index", buffer.tobytes()) for buffer in bank.index.vectors.buffers())
    for leaf in bank.routing:
        yield "the memory", bank.shards.memory(leaf, bank.routing.facts(leaf)).cross.cpu().numpy().tobytes()
    yield "the output check", "\n".join(model._tombstones.texts()).encode()
    for fact_id in fact_ids:
        yield "the memory, read at the fact's key", readout_text(model, fact_id).encode()


def readout_text(model: Larimar, fact_id: str) -> str:
    """The text that the memory returns at a fact's key, whether or not the fact is still there."""
    ids = model.weights.reader.spell(model._readout([fact_id])[0])
    return str(model.weights.base.tokenizer.decode(ids)).strip() if ids else ""
