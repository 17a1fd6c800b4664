"""Sequential edits (paper, Table 3): `python -m benchmarks.sequential --edits 1000 10000`.

Facts are written one batch after another through the product's own path: encoded, embedded, routed to shards. When all
are written, a random sample of them is asked for with their own prompts: the scope detector chooses among all facts,
the memory is read, the reader answers greedily. Retention is the share of answers that are the fact's. The first
and the last tenth of the edits are also counted apart: a memory that forgets loses the first.

The first 11,000 or so edits are CounterFact rewrites; a prompt that comes twice is left out. Beyond, facts are
composed: a subject of one case, the template of another relation, an answer that this relation has elsewhere.
Sentence embeddings are kept in the user's cache directory, so that a second run does not make them again.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.plots import draw
from benchmarks.recall import CORE, answered, counterfact, share
from benchmarks.recording import Row, checkpoint_digest, make_command, parser, write_result
from larimar import Fact, Larimar
from larimar.names import mask_names
from larimar.scope import Embedder
from larimar.weights import cache_directory

PAPER = {1000: 0.97}
"""Larimar-1.3B on ZsRE (mean F1); GRACE 0.93, MEND 0.27."""
_BATCH = 256


@dataclass(frozen=True)
class Retention:
    """What was measured after a number of edits."""

    edits: int
    composed: int
    """how many of them are composed facts"""
    asked: int
    retention: float
    first_tenth: float
    last_tenth: float
    routed: float
    """share of the asked prompts that reached their own fact"""
    shards: int
    write_seconds: float
    """all edits; embeddings that were in the cache are not counted"""


def edits(count: int) -> list[Fact]:
    """CounterFact rewrites, then composed facts: `count` with prompts of their own."""
    facts = [rewrite.fact for rewrite in counterfact(count)]
    if len(facts) < count:
        facts += list(composed({fact.prompt.casefold() for fact in facts}, count - len(facts)))
    return facts


def composed(taken: set[str], count: int) -> Iterator[Fact]:
    """Facts of a subject, another case's template and an answer of that template; none of the prompts `taken`."""
    answers, subjects = defaultdict[str, list[str]](list), []
    for line in CORE.read_text(encoding="utf-8").splitlines():
        _, template, subject, new, _ = json.loads(line)
        answers[template].append(new)
        subjects.append(subject)
    draw, templates, made = random.Random(0), sorted(answers), 0
    while made < count:
        template, subject = draw.choice(templates), draw.choice(subjects)
        prompt = template.format(subject)
        if prompt.casefold() in taken:
            continue
        taken.add(prompt.casefold())
        yield Fact(f"composed-{made}", prompt, draw.choice(answers[template]), subject)
        made += 1


class KeptEmbedder(Embedder):
    """An embedder that makes embeddings of known texts once and keeps them on the disk."""

    def __init__(self, embedder: Embedder, texts: Sequence[str], directory: Path) -> None:
        """Embed `texts`, or take up the file that an earlier run left."""
        super().__init__(embedder.model)
        wanted = sorted(set(texts))
        name = hashlib.sha256("\0".join(wanted).encode()).hexdigest()[:16]
        path = directory / f"embeddings-{name}.npy"
        if not path.exists():
            directory.mkdir(parents=True, exist_ok=True)
            parts = [
                super(KeptEmbedder, self).embed(wanted[start : start + 4096])
                for start in tqdm(range(0, len(wanted), 4096), unit="x 4,096 texts", desc="embed")
            ]
            np.save(path, np.concatenate(parts).astype(np.float16))
        self._rows = dict(zip(wanted, np.load(path, mmap_mode="r"), strict=True))

    def embed(self, texts: Sequence[str]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        """Kept embeddings where all texts are known, else new ones."""
        if texts and all(text in self._rows for text in texts):
            return np.stack([self._rows[text] for text in texts]).astype(np.float32)
        return super().embed(texts)


def measure(model: Larimar, facts: list[Fact], asked: int) -> Retention:
    """Write all facts in order, then ask for a sample."""
    detector = model.weights.detector
    texts = [text for fact in facts for text in (fact.prompt, mask_names(fact.prompt, fact.names))]
    own, detector.embedder = detector.embedder, KeptEmbedder(detector.embedder, texts, cache_directory())
    started = time.perf_counter()
    for start in tqdm(range(0, len(facts), _BATCH), unit="batch", desc="write"):
        model.write(facts[start : start + _BATCH])
    seconds = time.perf_counter() - started
    at = sorted(random.Random(0).sample(range(len(facts)), min(asked, len(facts))))
    detector.embedder = own
    sample = [facts[i] for i in at]
    hits = answered(model, sample)
    reached = model.in_scope([fact.prompt for fact in sample])
    routed = [hit == fact.id for hit, fact in zip(reached, sample, strict=True)]
    tenth = len(facts) / 10
    return Retention(
        len(facts), sum(fact.id.startswith("composed") for fact in facts), len(at), share(hits),
        share([hit for i, hit in zip(at, hits, strict=True) if i < tenth] or [False]),
        share([hit for i, hit in zip(at, hits, strict=True) if i >= 9 * tenth] or [False]),
        share(routed), len(list(model.bank.routing)), round(seconds, 2),
    )  # fmt: skip


def main() -> None:
    """Run the benchmark and write its result and its plot."""
    arguments = parser("benchmarks.sequential", __doc__ or "")
    arguments.add_argument("--edits", type=int, nargs="+", default=[1_000, 10_000])
    arguments.add_argument("--asked", type=int, default=1_000, help="facts asked for at the end")
    chosen = arguments.parse_args()
    started = time.time()
    model = Larimar.load(chosen.checkpoint)
    results = []
    for count in chosen.edits:
        results.append(measure(model.with_bank(), edits(count), chosen.asked))
        tqdm.write(str(results[-1]))
    name = "sequential" if max(chosen.edits) <= 10_000 else f"sequential_{max(chosen.edits)}"
    write_result(
        name,
        {
            "benchmark": f"Sequential edits, up to {max(chosen.edits):,} (Table 3)",
            "checkpoint": checkpoint_digest(chosen.checkpoint), "results": [asdict(r) for r in results],
            "seconds": round(time.time() - started),
        },
        rows=[
            Row(f"edit retention after {r.edits:,} edits", PAPER.get(r.edits), "≥ 0.99", r.retention) for r in results
        ],
        command=make_command("bench-sequential", arguments, chosen),
        directory=chosen.results,
    )  # fmt: skip
    draw(
        chosen.results / f"{name}.png",
        {"all": [(r.edits, r.retention) for r in results], "first tenth": [(r.edits, r.first_tenth) for r in results],
         "paper, Larimar-1.3B": sorted(PAPER.items())},
        title="Sequential edits", x="edits", y="retention", log=True,
    )  # fmt: skip


if __name__ == "__main__":
    main()
