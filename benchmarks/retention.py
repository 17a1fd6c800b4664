"""Test retention: does a bank of facts change what the model knows of generic text? `python -m benchmarks.retention`

WikiText-2 test text, 1,000 random chunks of 64 tokens: the first 16 are the prompt, the others are scored. The
guarded model holds a bank of CounterFact edits. Out of scope its log-probabilities must be the base decoder's,
bit for bit. All sentences of the chunks also go to the scope detector alone: false accepts.

The paper reports the perplexity of generated text under GPT2-large (14.6), which cannot be compared.
"""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.datasets import DATA, counterfact
from benchmarks.editing import chunks
from benchmarks.recording import (
    Journal,
    Row,
    checkpoint_digest,
    file_digest,
    make_command,
    parser,
    write_result,
)
from larimar import Fact, Larimar
from larimar.evidence import sentences_of

_CHUNK, _PROMPT = 64, 16
_TOGETHER = 64


def plain(line: str) -> str:
    """WikiText's tokenised form as people write it."""
    text = re.sub(r" @([-,.])@ ", r"\1", line.strip())
    text = re.sub(r" ([,.;:!?)]|'s\b|n't\b)", r"\1", text)
    return re.sub(r'" (.*?) "', r'"\1"', text.replace("( ", "("))


def windows(model: Larimar, lines: Sequence[str], count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Random chunks of text as (prompt, target), each from a line of its own."""
    tokenizer = model.weights.base.tokenizer
    long = [ids for line in lines if len(ids := model.weights.tokens(plain(line))) >= _CHUNK]
    rng = random.Random(seed)
    made = []
    for ids in rng.sample(long, min(count, len(long))):
        at = rng.randint(0, len(ids) - _CHUNK)
        chunk = ids[at : at + _CHUNK]
        made.append((tokenizer.decode(chunk[:_PROMPT]), tokenizer.decode(chunk[_PROMPT:])))
    return made


def with_facts(model: Larimar, count: int) -> Larimar:
    """The model with the first `count` CounterFact edits of different prompts in its bank."""
    records = {record.prompt: record for record in counterfact(DATA / "counterfact.json")}
    facts = [Fact(str(r.case_id), r.prompt, r.new, r.subject) for r in list(records.values())[:count]]
    own = model.with_bank()
    for some in chunks(facts, 64):
        own.write(some)
    return own


def score(model: Larimar, texts: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Log-probabilities (nats) of targets: the base decoder's, the guarded model's, and how many differ."""
    empty = model.with_bank()
    base, own = forced(empty, texts), forced(model, texts)
    routes = model.in_scope([prompt for prompt, _ in texts])
    outside = [i for i, fact_id in enumerate(routes) if fact_id is None]
    alone = base  # in other batches numbers round otherwise: compare batches without the prompts in scope
    if len(outside) < len(texts):
        again = forced(empty, [texts[i] for i in outside])
        alone = [again[outside.index(i)] if i in outside else one for i, one in enumerate(base)]
    return {
        "base": sum(sum(one) for one in base),
        "guarded": sum(sum(one) for one in own),
        "tokens": sum(len(one) for one in base),
        "inside": len(texts) - len(outside),
        "different": sum(own[i] != alone[i] for i in outside),
    }


def forced(model: Larimar, texts: Sequence[tuple[str, str]]) -> list[tuple[float, ...]]:
    """Log-probabilities of every token of each target."""
    routes = model.routes([prompt for prompt, _ in texts])
    found: list[tuple[float, ...]] = [()] * len(texts)
    for decoder, at in model.weights.by_decoder(routes):
        judged = decoder.force([routes[i].query for i in at], [texts[i][1] for i in at])
        for i, one in zip(at, judged, strict=True):
            found[i] = one.log_probabilities
    return found


def false_accepts(model: Larimar, texts: Sequence[tuple[str, str]]) -> dict[str, int]:
    """How many sentences of generic text the detector finds in scope."""
    sentences = [s for prompt, target in texts for s in sentences_of(prompt + target) if len(s.split()) > 3]
    found = sum(
        fact_id is not None
        for some in tqdm(list(chunks(sentences, 256)), desc="scope")
        for fact_id in model.in_scope(some)
    )
    return {"sentences": len(sentences), "in_scope": found}


def perplexity(rows: Sequence[dict[str, Any]], which: str) -> float:
    """exp of the mean negative log-probability a token."""
    return math.exp(-sum(row[which] for row in rows) / sum(row["tokens"] for row in rows))


def main() -> None:
    """Run the benchmark and write its result."""
    options = parser("benchmarks.retention", __doc__)
    options.add_argument("--text", type=Path, required=True, help="WikiText-2's test file")
    options.add_argument("--chunks", type=int, default=1000)
    options.add_argument("--facts", type=int, default=300, help="in the bank")
    arguments = options.parse_args()
    started = time.time()
    settings = {
        "benchmark": "Test retention: generic text with a bank of facts",
        "chunks": arguments.chunks,
        "facts": arguments.facts,
        "data_sha256": file_digest(arguments.text),
        "checkpoint_sha256": checkpoint_digest(arguments.checkpoint),
    }
    model = with_facts(Larimar.load(arguments.checkpoint), arguments.facts)
    texts = windows(model, arguments.text.read_text(encoding="utf-8").splitlines(), arguments.chunks)
    journal = Journal(arguments.results / "retention.jsonl", settings)
    for some in tqdm(list(chunks(texts, _TOGETHER))[len(journal.rows) :], desc="perplexity"):
        journal.append([score(model, some)])
    accepted = false_accepts(model, texts)
    base, own = (perplexity(journal.rows, which) for which in ("base", "guarded"))
    different, inside = (sum(row[key] for row in journal.rows) for key in ("different", "inside"))
    rows = [
        Row(
            "perplexity of WikiText-2 (the paper's is another measure)",
            14.6,
            "= base",
            round(own, 4),
            round(base, 4),
        ),
        Row("chunks out of scope that are not the base decoder's, bit for bit", None, "0", different),
        Row("chunks in scope", None, None, f"{inside} of {len(texts)}"),
        Row("sentences in scope", None, None, f"{accepted['in_scope']} of {accepted['sentences']}"),
    ]
    result = {
        **settings, "perplexity": own, "base_perplexity": base, "different": different, "chunks_in_scope": inside,
        **accepted, "seconds_of_last_run": round(time.time() - started),
    }  # fmt: skip
    command = make_command("bench-retention", options, arguments)
    path = write_result("retention", result, rows=rows, command=command, directory=arguments.results)
    journal.close()
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
