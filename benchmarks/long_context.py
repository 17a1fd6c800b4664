"""Recall from a long context (paper, section 5.5 and Table 6): `python -m benchmarks.long_context`.

64 to 4,096 fictitious facts are written to chunk memories and read recursively (`larimar.long_context`). A sample
of facts is asked for by their own prompts and by questions in other words; recall is the reader's greedy answer,
which must be the fact's answer. Beside it the same decoder, untouched, has the facts in its prompt, the last ones
as far as its context window goes, and completes the same prompts. Tokens are what the decoder holds keys and values
of while it answers one prompt.
"""

from __future__ import annotations

import random
import time
from dataclasses import asdict, dataclass
from typing import Any

import torch
from tqdm import tqdm

from benchmarks.fictitious import Fiction, fictions
from benchmarks.plots import draw
from benchmarks.recall import greedy, share
from benchmarks.recording import Row, checkpoint_digest, make_command, parser, write_result
from larimar import Larimar
from larimar.decoding import Query
from larimar.long_context import LongContext, Passage
from larimar.serving import Weights
from larimar.text import spaced, statement

PAPER = {64: 0.89, 96: 0.88, 128: 0.88, 256: 0.86}
"""Larimar-1.3B, Table 6; Mistral-7B with the facts in its context: 0.98, 0.96, 0.57, 0.42."""
MISTRAL = {64: 0.98, 96: 0.96, 128: 0.57, 256: 0.42}


@dataclass(frozen=True)
class Recall:
    """What was measured with one number of facts."""

    facts: int
    asked: int
    larimar: float
    """asked by their own prompts"""
    larimar_question: float
    """asked by questions in other words"""
    routed_question: float
    """share of these questions that reached their fact"""
    write_seconds: float
    """all facts, embeddings and tokens included"""
    answer_seconds: float
    """a prompt, reads and decoding included, in one batch"""
    tokens: float
    """decoder positions of prompt and readout, mean"""


@dataclass(frozen=True)
class InContext:
    """The base decoder with the facts in its prompt."""

    facts: int
    fitted: int
    """how many of them its window holds"""
    asked: int
    recall: float
    read_seconds: float
    """the facts, once"""
    answer_seconds: float
    """a prompt, with the facts' keys and values kept"""
    tokens: int


def with_memory(weights: Weights, facts: list[Fiction], asked: list[Fiction]) -> Recall:
    """Write all facts, ask for some of them both ways."""
    started = time.perf_counter()
    context = LongContext(weights, [Passage.of_fact(fact.prompt, fact.answer) for fact in facts])
    written = time.perf_counter()
    queries = context.queries([fact.prompt for fact in asked])
    answers = [fact.answer for fact in asked]
    said = greedy(weights, queries, answers)
    answered = time.perf_counter()
    questions = [fact.question for fact in asked]
    in_words = greedy(weights, context.queries(questions), answers)
    reached = [facts[number] == fact for number, fact in zip(context.read(questions)[1], asked, strict=True)]
    return Recall(
        len(facts), len(asked), share([s == a for s, a in zip(said, answers, strict=True)]),
        share([s == a for s, a in zip(in_words, answers, strict=True)]), share(reached),
        round(written - started, 3), round((answered - written) / len(asked), 4),
        round(sum(map(positions, queries)) / len(queries), 1),
    )  # fmt: skip


def positions(query: Query) -> int:
    """Decoder positions of a prompt and its readout."""
    prefix = query.condition.prefix if query.condition else None
    return len(query.tokens) + (0 if prefix is None else len(prefix))


@torch.inference_mode()
def in_context(weights: Weights, facts: list[Fiction], asked: list[Fiction], window: int) -> InContext:
    """The base decoder completes prompts after the last facts that fit its window; their cache is kept."""
    model = weights.base.model
    lines = [weights.tokens(statement(fact.prompt, fact.answer) + "\n") for fact in facts]
    room = max(window, 64) - 64
    start = len(lines)
    while start and room >= len(lines[start - 1]):
        start -= 1
        room -= len(lines[start])
    context = [token for line in lines[start:] for token in line]
    started = time.perf_counter()
    cache = model.base_model(
        input_ids=torch.tensor([context], device=model.device), use_cache=True
    ).past_key_values
    read = time.perf_counter()
    hits = []
    for fact in tqdm(asked, unit="prompt", desc=f"in context, {len(facts)}", leave=False):
        hits.append(complete(weights, cache, fact) == fact.answer)
        cache.crop(len(context) - cache.get_seq_length())  # negative: so many positions are dropped
    seconds = (time.perf_counter() - read) / len(asked)
    return InContext(
        len(facts), len(lines) - start, len(asked), share(hits), round(read - started, 3), round(seconds, 4),
        len(context) + round(sum(len(weights.tokens(fact.prompt)) for fact in asked) / len(asked)),
    )  # fmt: skip


def complete(weights: Weights, cache: Any, fact: Fiction) -> str:
    """The decoder's greedy continuation of a prompt behind a cache, as many tokens as the answer has."""
    model, said = weights.base.model, list[int]()
    step = torch.tensor([weights.tokens(fact.prompt)], device=model.device)
    for _ in weights.tokens(spaced(fact.answer)):
        hidden = model.base_model(input_ids=step, past_key_values=cache, use_cache=True).last_hidden_state
        said.append(int(model.get_output_embeddings()(hidden[0, -1]).argmax()))
        step = torch.tensor([[said[-1]]], device=model.device)
    return str(weights.base.tokenizer.decode(said)).strip()


def rows(memory: list[Recall], base: dict[int, InContext]) -> list[Row]:
    """Lines of the page; the column «base» is the decoder with the facts in its context."""
    made = []
    for m in memory:
        b = base.get(m.facts)
        reach = "≥ 0.95" if m.facts == 256 else None
        made += [
            Row(
                f"recall, {m.facts} facts, own prompt",
                PAPER.get(m.facts),
                reach,
                m.larimar,
                b.recall if b else None,
            ),
            Row(f"recall, {m.facts} facts, other words", None, None, m.larimar_question),
            Row(
                f"seconds a prompt, {m.facts} facts",
                None,
                None,
                m.answer_seconds,
                b.answer_seconds if b else None,
            ),
            Row(f"decoder positions, {m.facts} facts", None, None, m.tokens, b.tokens if b else None),
        ]
    return made


def main() -> None:
    """Run the benchmark and write its result and its plot."""
    arguments = parser("benchmarks.long_context", __doc__ or "")
    arguments.add_argument("--facts", type=int, nargs="+", default=[64, 96, 128, 256, 4096])
    arguments.add_argument("--asked", type=int, default=128, help="facts asked for, at most")
    arguments.add_argument(
        "--asked-in-context", type=int, default=24, help="of them also in context; 0: none"
    )
    arguments.add_argument("--window", type=int, help="context window of the decoder; default: its own")
    chosen = arguments.parse_args()
    started = time.time()
    weights = Larimar.load(chosen.checkpoint).weights
    window = chosen.window or weights.base.model.config.max_position_embeddings
    memory: list[Recall] = []
    base: dict[int, InContext] = {}
    for count in tqdm(chosen.facts, unit="size"):
        facts = fictions(count)
        asked = random.Random(count).sample(facts, min(chosen.asked, count))
        memory.append(with_memory(weights, facts, asked))
        tqdm.write(str(memory[-1]))
        if chosen.asked_in_context:
            base[count] = in_context(weights, facts, asked[: chosen.asked_in_context], window)
            tqdm.write(str(base[count]))
    write_result(
        "long_context",
        {
            "benchmark": "Recall from a long context, fictitious facts (Table 6)", "window": window,
            "checkpoint": checkpoint_digest(chosen.checkpoint), "memory": [asdict(m) for m in memory],
            "in_context": [asdict(b) for b in base.values()], "seconds": round(time.time() - started),
        },
        rows=rows(memory, base), directory=chosen.results,
        command=make_command("bench-long-context", arguments, chosen),
    )  # fmt: skip
    draw(
        chosen.results / "long_context.png",
        {
            "Larimar, own prompt": [(m.facts, m.larimar) for m in memory],
            "Larimar, other words": [(m.facts, m.larimar_question) for m in memory],
            "same decoder, facts in context": [(b.facts, b.recall) for b in base.values()],
            "paper, Larimar-1.3B": sorted(PAPER.items()), "paper, Mistral-7B in context": sorted(MISTRAL.items()),
        },
        title="Recall of fictitious facts", x="facts", y="recall", log=True,
    )  # fmt: skip


if __name__ == "__main__":
    main()
