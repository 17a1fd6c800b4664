"""Another family of decoders, with real weights: `make bench-second-family`.

Gemma-3-270M (optional packages, see docs/training.md) reads the memory. Without `--checkpoint` its reader was never
trained: codes are its own embeddings' principal components, the soft tokens stand between «Fact:» and a new line,
and the LoRA is zero. This shows that nothing in encoder, memory, reader and decoding is tied to the default decoder;
how well a trained Gemma reads, it does not show. A reader trained by `larimar.train` is measured with `--checkpoint`.

    recall          written answers that the memory returns token for token
    edit, paraphrase, neighbourhood    P(new) > P(true), in the neighbourhood the reverse; scope on; mean
                    log-probability a token; beside the same decoder alone
    out of scope    next-token logits equal to the base decoder's, bit for bit
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from tqdm import tqdm

from benchmarks.recording import Row, make_command, parser, write_result
from larimar import Fact, Larimar
from larimar.checkpoint import Checkpoint, save
from larimar.config import preset
from larimar.encoders import build_reader
from larimar.weights import GEMMA, load_decoder

KINDS = ("edit", "paraphrase", "neighbourhood")


class Scorer(Protocol):
    """Anything that gives mean log-probabilities of targets after prompts."""

    def score(self, prompts: Sequence[str], targets: Sequence[str]) -> list[float]:
        """Nats a token."""


def untrained(decoder: str, directory: Path) -> Path:
    """A checkpoint of a reader as it is before its first step."""
    config = preset("default", decoder=decoder)
    torch.manual_seed(0)
    base, tokenizer = load_decoder(decoder)
    reader = build_reader(base, tokenizer, config, trainable=True)
    save(directory, Checkpoint(reader.tensors(), config, {"steps": 0}))
    return directory


@dataclass(frozen=True)
class Record:
    """One CounterFact case: a fact with the counterfactual answer, and prompts by kind."""

    fact: Fact
    true: str
    prompts: dict[str, list[str]]


def load(path: Path, count: int) -> list[Record]:
    """The first `count` full records; two neighbourhood prompts each."""
    made = []
    for record in json.loads(path.read_text(encoding="utf-8"))[:count]:
        told = record["requested_rewrite"]
        prompt = told["prompt"].format(told["subject"])
        prompts = {
            "edit": [prompt], "paraphrase": record["paraphrase_prompts"],
            "neighbourhood": record["neighborhood_prompts"][:2],
        }  # fmt: skip
        fact = Fact(str(record["case_id"]), prompt, told["target_new"]["str"], told["subject"])
        made.append(Record(fact, told["target_true"]["str"], prompts))
    return made


def recall(model: Larimar, records: list[Record]) -> float:
    """Share of answers, all written together, that the memory returns token for token."""
    ids = [record.fact.id for record in records]
    model.write([record.fact for record in records])
    right = [model.readout_answer(r.fact.id).strip(" .") == r.fact.answer.strip() for r in records]
    model.forget(ids)
    return sum(right) / len(right)


def untouched(model: Larimar, records: list[Record]) -> tuple[int, int]:
    """How many prompts out of scope have the base decoder's logits, and how many there are."""
    model.write([records[0].fact])
    prompts = [p for r in records[1:] for p in (r.fact.prompt, r.prompts["neighbourhood"][0])]
    outside = [p for p, route in zip(prompts, model.in_scope(prompts), strict=True) if route is None]
    agreed = model.agrees_with_base(outside)
    model.forget([records[0].fact.id])
    return sum(agreed), len(agreed)


def successes(scorer: Scorer, record: Record, kind: str) -> list[bool]:
    """P(new) > P(true) for each prompt; the reverse in the neighbourhood."""
    prompts = record.prompts[kind]
    answers = [record.fact.answer] * len(prompts) + [record.true] * len(prompts)
    scores = scorer.score(prompts * 2, answers)
    pairs = zip(scores[: len(prompts)], scores[len(prompts) :], strict=True)
    return [(true > new) if kind == "neighbourhood" else (new > true) for new, true in pairs]


def edits(model: Larimar, records: list[Record]) -> dict[str, dict[str, float]]:
    """Success in per cent by kind, with the one fact in memory and without."""
    counts: dict[str, dict[str, list[bool]]] = {k: {"larimar": [], "base": []} for k in KINDS}
    for record in tqdm(records, unit="record"):
        model.write([record.fact])
        for kind in KINDS:
            counts[kind]["larimar"] += successes(model, record, kind)
            counts[kind]["base"] += successes(model.base, record, kind)
        model.forget([record.fact.id])
    return {
        kind: {who: round(100 * sum(right) / len(right), 2) for who, right in both.items()}
        for kind, both in counts.items()
    }


def load_model(decoder: str, checkpoint: Path | None) -> Larimar:
    """The model of a checkpoint; without one, an untrained reader of the decoder."""
    if checkpoint is not None:
        return Larimar.load(checkpoint, device="cpu")
    with tempfile.TemporaryDirectory() as directory:
        return Larimar.load(untrained(decoder, Path(directory)), device="cpu")


def figures(model: Larimar, records: list[Record]) -> dict[str, Any]:
    """Every figure of one model."""
    empty = model.digest()
    same, asked = untouched(model, records[:11])
    measured = {
        "recall": recall(model, records), "identical_out_of_scope": same, "asked_out_of_scope": asked,
        "success": edits(model, records),
    }  # fmt: skip
    if model.digest() != empty:
        raise AssertionError("after forgetting every record the bank is not the empty bank")
    return measured


def rows(measured: dict[str, Any]) -> list[Row]:
    """What the page of results shows."""
    identical = f"{measured['identical_out_of_scope']} of {measured['asked_out_of_scope']}"
    return [
        Row("answers that the memory returns token for token, %", None, "100", 100 * measured["recall"]),
        *(
            Row(f"{kind}, S in %", None, None, both["larimar"], both["base"])
            for kind, both in measured["success"].items()
        ),
        Row("out of scope equal to base, bit for bit", None, "all", identical),
    ]


def main() -> None:
    """Run the benchmark and write its result."""
    arguments = parser("benchmarks.second_family", __doc__)
    arguments.add_argument("--data", type=Path, default=Path("benchmarks/data/counterfact.json"))
    arguments.add_argument("--records", type=int, default=40)
    arguments.add_argument("--decoder", default=GEMMA, help="of the untrained reader: any causal LM")
    given = arguments.parse_args()
    records = load(given.data, given.records)
    started = time.time()
    model = load_model(given.decoder, given.checkpoint)
    measured, name = figures(model, records), model.weights.config.decoder
    reader = "trained" if given.checkpoint else "untrained"
    result: dict[str, object] = {
        "benchmark": f"A second family: {name}, {reader} reader, CounterFact single edits",
        "records": len(records),
        "data_sha256": hashlib.sha256(given.data.read_bytes()).hexdigest(),
        **measured,
        "seconds": round(time.time() - started),
    }
    print(json.dumps(result, indent=2))
    kept = "second_family_trained" if given.checkpoint else "second_family"
    command = make_command("bench-second-family", arguments, given)
    write_result(kept, result, rows=rows(measured), command=command, directory=given.results)


if __name__ == "__main__":
    main()
