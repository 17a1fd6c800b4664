"""Long context (paper, section 5.5): more facts than one memory was trained to hold, read recursively.

The text is cut in chunks of the training window (`objective`: an episode of 16 facts); each chunk is written
to a memory M_i of its own. A question is read from every M_i at the key of the chunk's nearest fact; these
readouts are written, chunk by chunk, to successor memories, which are read in the same way, until one memory
is left: its readout Z_r goes to the decoder. The memories stay as small as in training whatever the length.

Which fact of a memory is nearest is decided by the sentence embeddings of the facts' cues, as in the scope
detector, so the last readout is the one of the nearest fact overall, after as many exact writes and reads as
there are levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from larimar.decoding import Query, Sampling
from larimar.encoder import CODE_BITS
from larimar.errors import FactTooLong, InvalidInput
from larimar.memory import VALUE_BITS, Memory, hashed_keys, quantise_values
from larimar.serving import Weights
from larimar.text import spaced, statement
from larimar.vectors import Floats

EPISODE = 16
"""Facts in one memory, as in training."""
_LOAD = 0.25
"""N / K of these memories: 64 rows for 16 facts."""
_QUESTIONS_AT_ONCE = 16


@dataclass(frozen=True)
class Passage:
    """One fact of a long text: the cue that finds it, and the statement that is written."""

    cue: str
    """what a question is compared with: the fact's prompt, or the sentence itself"""
    text: str
    """at most S tokens"""

    @classmethod
    def of_fact(cls, prompt: str, answer: str) -> Passage:
        """A passage of a prompt and its answer."""
        return cls(prompt, statement(prompt, answer))


class LongContext:
    """Chunk memories over a long list of passages, and the recursive read."""

    def __init__(self, weights: Weights, passages: Sequence[Passage], *, episode: int = EPISODE) -> None:
        """Write all passages. Raises FactTooLong, InvalidInput."""
        if episode < 2 or not passages:
            raise InvalidInput("a long context needs passages, and at least two in an episode")
        self.weights, self.episode = weights, episode
        self.rows = round(episode / _LOAD)
        self.cues = weights.detector.embedder.embed([passage.cue for passage in passages])
        self.keys = hashed_keys([str(i) for i in range(len(passages))], self.rows)
        self.chunks = [self._chunk(passages, start) for start in range(0, len(passages), episode)]

    def read(self, questions: Sequence[str]) -> tuple[Tensor, list[int]]:
        """Readouts Z_r (Q, S, d) float32 of the last successor memories, and whose keys they were read at."""
        asked = self.weights.detector.embedder.embed(questions)
        config = self.weights.config
        readouts = torch.zeros(len(questions), config.slots, config.slot_dim)
        found = [0] * len(questions)
        for start in range(0, len(questions), _QUESTIONS_AT_ONCE):
            rows = range(start, min(start + _QUESTIONS_AT_ONCE, len(questions)))
            near, values = self._first_level(asked[rows.start : rows.stop])
            for place, row in enumerate(rows):
                found[row], z = self._successors(asked[row], near[:, place], values[:, place])
                readouts[row] = z.view(config.slots, config.slot_dim)
        return readouts, found

    def queries(self, questions: Sequence[str]) -> list[Query]:
        """The reader's inputs: each question under its own Z_r."""
        slots, _ = self.read(questions)
        reader, reading = self.weights.reader, self.weights.reading
        slots = slots.to(reader.log_sigma_w.device)
        with torch.inference_mode():
            conditions = reader.conditions(slots, reader.occupied(slots))
        return [reading.query(spaced(q), c) for q, c in zip(questions, conditions, strict=True)]

    def answer(self, questions: Sequence[str], sampling: Sampling) -> list[list[str]]:
        """The reader's completions of each question."""
        return self.weights.reading.generate(self.queries(questions), sampling)

    def _chunk(self, passages: Sequence[Passage], start: int) -> tuple[Memory, range]:
        """The memory M_i of one chunk and the numbers of its passages."""
        numbers = range(start, min(start + self.episode, len(passages)))
        config = self.weights.config
        values = torch.zeros(len(numbers), config.slots, config.slot_dim, dtype=torch.int64)
        for row, number in zip(values, numbers, strict=True):
            codes = self.weights.encode(passages[number].text)
            if len(codes) > config.slots:
                raise FactTooLong(f"the passage has {len(codes)} tokens; one latent holds {config.slots}")
            row[: len(codes)] = codes.to(torch.int64) << (VALUE_BITS - CODE_BITS)
        memory = self._memory()
        memory.write(self.keys[numbers.start : numbers.stop], values.flatten(1))
        return memory, numbers

    def _first_level(self, asked: Floats) -> tuple[NDArray[np.int64], Tensor]:
        """For each chunk and question (T, Q) the nearest passage's number, and its readout (T, Q, C)."""
        near, values = [], []
        for memory, numbers in self.chunks:
            best = (asked @ self.cues[numbers.start : numbers.stop].T).argmax(axis=1) + numbers.start
            near.append(best)
            values.append(memory.read(self.keys[torch.from_numpy(best)]))
        return np.stack(near), torch.stack(values)

    def _successors(self, asked: Floats, near: NDArray[np.int64], values: Tensor) -> tuple[int, Tensor]:
        """Write readouts (n, C) of passages `near` (n,) to memories, read these, until one is left."""
        if len(near) == 1:
            return int(near[0]), values[0].float()
        chosen, read = [], []
        for start in range(0, len(near), self.episode):
            part = near[start : start + self.episode]
            memory = self._memory()
            memory.write(
                self.keys[torch.from_numpy(part)], quantise_values(values[start : start + len(part)])
            )
            best = part[int((self.cues[part] @ asked).argmax())]
            chosen.append(best)
            read.append(memory.read(self.keys[best : best + 1])[0])
        return self._successors(asked, np.array(chosen), torch.stack(read))

    def _memory(self) -> Memory:
        """An empty memory for one episode."""
        config = self.weights.config
        return Memory(self.rows, config.latent_dim, ridge=config.ridge)
