"""Train the judge of the scope detector: `python -m larimar.train_judge --run runs/judge ...`.

Examples are drawn from `pairs` as training goes; a chunk of examples depends on the seed and its number
alone, so a run that was stopped goes on where its last checkpoint lies. Relations named in `--late` join
after `--late-after` of the schedule; `early.safetensors` has never seen them.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional as F

from larimar.corpus import HELD_OUT, names_in, sentences
from larimar.curves import cut_log
from larimar.errors import LarimarError
from larimar.judge import RANK, Judge, read
from larimar.pairs import Judged, Material, PairSource, close_relations, inverses
from larimar.precision import mixed
from larimar.relations import add_records, add_wordings, distractors, from_templates, held_out
from larimar.scope import Embedder
from larimar.weights import DEFAULT_SENTENCE_ENCODER, load_sentence_encoder

_CHUNK = 32
"""Batches that are drawn at once and sorted by length."""
_SMOOTHING = 0.02


def material(arguments: argparse.Namespace, embedder: Embedder) -> tuple[Material, frozenset[str]]:
    """Everything that pairs are made of, and the relations kept for validation."""
    full, core = arguments.counterfact
    relations = from_templates(arguments.templates)
    add_records(relations, full, core, arguments.first_case)
    add_wordings(relations)
    held = held_out(relations)
    listed = list(relations.values())
    return Material(
        listed, close_relations(listed, embedder.embed), inverses(listed), names_in(sentences(arguments.text)),
        distractors(full, arguments.first_case), rephrasings(arguments.questions),
    ), held  # fmt: skip


def rephrasings(path: Path, held_out: int = HELD_OUT) -> list[tuple[str, str, str]]:
    """Subject, question and rephrasing of training records that name the subject twice; not the last ones."""
    rows = json.loads(path.read_text(encoding="utf-8"))[:-held_out]
    rows = [(r["subject"], r["src"], r["rephrase"]) for r in rows]
    return [row for row in rows if row[0] in row[1] and row[0] in row[2]]


def validation(stuff: Material, only: frozenset[str], count: int = 600) -> list[Judged]:
    """Examples whose stored prompt belongs to the relations `only`."""
    kept = [r for r in stuff.relations if r.id.lstrip("-") in only]
    places = {r.id: i for i, r in enumerate(stuff.relations)}
    rng = random.Random(7)
    source = PairSource(stuff, rng)
    source.restrict([stuff.relations[places[r.id]] for r in kept])
    return [source.draw() for _ in range(count)]


def areas(judge: Judge, examples: list[Judged]) -> dict[str, float]:
    """Area under the ROC curve of the rephrasings against every kind of negative, in per cent."""
    judge.eval()
    with mixed(str(_device(judge))):
        scores = judge.logits([(e.stored, e.query) for e in examples])
    groups: dict[str, list[float]] = defaultdict(list)
    for example, score in zip(examples, scores, strict=True):
        groups["+" if example.label else example.kind].append(float(score))
    good = groups.pop("+")
    return {
        kind: round(100 * float(roc_auc_score([1] * len(good) + [0] * len(bad), good + bad)), 2)
        for kind, bad in sorted(groups.items())
    }


def chunk(source: PairSource, batch: int) -> list[list[Judged]]:
    """Batches of one chunk, each of like length, in random order."""
    drawn = sorted((source.draw() for _ in range(batch * _CHUNK)), key=lambda e: len(e.stored) + len(e.query))
    groups = [drawn[i : i + batch] for i in range(0, len(drawn), batch)]
    random.Random(len(drawn[0].query)).shuffle(groups)
    return groups


def rate(step: int, done: float, peak: float) -> float:
    """Learning rate: 60 steps of warm-up, then a cosine to a fiftieth; `done`: share of the schedule."""
    if step < 60:
        return peak * (step + 1) / 60
    return peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))


class Training:
    """One run in a directory."""

    def __init__(self, judge: Judge, arguments: argparse.Namespace) -> None:
        """Go on from the saved state if there is one; a broken one or one of another rank is refused."""
        self.judge, self.given, self.directory = judge, arguments, arguments.run
        self.directory.mkdir(parents=True, exist_ok=True)
        self.optimiser = torch.optim.AdamW(
            judge.trained().values(), lr=arguments.learning_rate, weight_decay=0.01
        )
        self.step, self.seconds = 0, 0.0
        self.early = True
        """no late relation was trained on yet"""
        if (self.directory / "state.pt").exists():
            self._resume()
        cut_log(self.directory, self.step)

    def train(self, stuff: Material, held: frozenset[str]) -> None:
        """Train until `--steps`; writes `state.pt`, `early.safetensors`, `judge.safetensors` and `log.jsonl`."""
        late = frozenset(self.given.late)
        checks = {"held out": validation(stuff, held), "late": validation(stuff, late) if late else []}
        begun, before = time.monotonic(), self.seconds

        def drawn(at: int) -> tuple[list[list[Judged]], bool]:
            early = self.early and self.progress(at) < self.given.late_after
            rng = random.Random(self.given.seed * 1_000_003 + at)
            return chunk(PairSource(stuff, rng, held | late if early else held), self.given.batch), early

        ahead = ThreadPoolExecutor(1)
        coming = ahead.submit(drawn, self.step)
        while self.progress(self.step) < 1:
            (batches, self.early), coming = coming.result(), ahead.submit(drawn, self.step + _CHUNK)
            losses = []
            for batch in batches:
                losses.append(self._one_step(batch))
                self.seconds = before + time.monotonic() - begun
            self._log(float(np.mean(losses)), checks)
            if self.step % (4 * _CHUNK) == 0 or self.progress(self.step) >= 1:
                self.save()

    def progress(self, step: int) -> float:
        """Share of the schedule that is done at a step: by steps, or by the clock where that is nearer."""
        timed = self.seconds / (60 * self.given.minutes) if self.given.minutes else 0.0
        return min(1.0, max(step / self.given.steps, timed))

    def save(self) -> None:
        """Everything that the next process needs, atomically, and the judge; `early` too while it is one."""
        state = {
            "judge": self.judge.trained(), "optimiser": self.optimiser.state_dict(),
            "step": self.step, "seconds": self.seconds, "early": self.early,
        }  # fmt: skip
        torch.save(state, self.directory / "state.new")
        os.replace(self.directory / "state.new", self.directory / "state.pt")
        about = {
            "steps": self.step, "batch": self.given.batch, "late": sorted(self.given.late), "seed": self.given.seed,
        }  # fmt: skip
        for name in ("judge", "early") if self.early else ("judge",):
            self.judge.save(self.directory / f"{name}.safetensors", about)

    def _one_step(self, batch: list[Judged]) -> float:
        """One update; returns the loss. Numbers that are not finite end the run."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate(self.step, self.progress(self.step), self.given.learning_rate)
        loss = _loss(self.judge, batch)
        self.optimiser.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.judge.trained().values(), 1.0)
        if not (loss.isfinite() and norm.isfinite()):
            raise SystemExit(
                f"step {self.step + 1}: loss or gradient is not a finite number; the state that was saved last is "
                "kept. Lower --learning-rate"
            )
        self.optimiser.step()
        self.step += 1
        return float(loss.detach())

    def _log(self, loss: float, checks: dict[str, list[Judged]]) -> None:
        """One JSON line a chunk; areas under the curve in every eighth and in the last."""
        row: dict[str, Any] = {"step": self.step, "loss": round(loss, 4), "seconds": round(self.seconds)}
        if self.step % (8 * _CHUNK) == 0 or self.progress(self.step) >= 1:
            row |= {name: areas(self.judge, examples) for name, examples in checks.items() if examples}
        print(json.dumps(row), flush=True)
        with (self.directory / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")

    def _resume(self) -> None:
        """Take over the saved state. Raises CheckpointMismatch, CheckpointCorrupt, SystemExit."""
        path = self.directory / "state.pt"
        try:
            saved = torch.load(path, weights_only=False, map_location=_device(self.judge))
            tensors, optimiser = saved["judge"], saved["optimiser"]
            self.step, self.seconds, self.early = saved["step"], saved["seconds"], saved["early"]
        except Exception as error:  # torch.load raises what unpickling raises: anything
            raise SystemExit(f"{path} is truncated or no training state; remove it to begin anew") from error
        self.judge.fill(tensors, str(path))
        self.optimiser.load_state_dict(optimiser)


def _loss(judge: Judge, batch: list[Judged]) -> Tensor:
    """Mean cross entropy of a batch, with smoothed labels."""
    device = _device(judge.train())
    tokens = {name: t.to(device) for name, t in judge.tokens([(e.stored, e.query) for e in batch]).items()}
    labels = torch.tensor([_SMOOTHING + (1 - 2 * _SMOOTHING) * e.label for e in batch], device=device)
    with mixed(str(device)):
        logits = judge(tokens)
    return F.binary_cross_entropy_with_logits(logits, labels)


def _device(judge: Judge) -> torch.device:
    """Where the judge is."""
    return next(judge.parameters()).device


def main() -> None:
    """Build the material and train."""
    arguments = _parser().parse_args()
    torch.manual_seed(arguments.seed)
    try:
        encoder = load_sentence_encoder(DEFAULT_SENTENCE_ENCODER)
        judge = Judge(encoder, trainable=True, rank=arguments.rank, dropout=arguments.dropout)
        if arguments.start:
            judge.fill(read(arguments.start), arguments.start.name)
        training = Training(judge.to(arguments.device), arguments)
        training.train(*material(arguments, Embedder(encoder)))
    except LarimarError as error:
        raise SystemExit(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m larimar.train_judge", description=__doc__.split("\n")[0])
    parser.add_argument("--counterfact", type=Path, nargs=2, required=True, help="full.json and core.json")
    parser.add_argument("--first-case", type=int, default=2000, help="benchmarks score the cases below")
    parser.add_argument("--questions", type=Path, required=True, help="ZsRE train records")
    parser.add_argument("--templates", type=Path, required=True, help="question templates by property")
    parser.add_argument("--text", type=Path, required=True, help="text to take names from")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2560, help="a multiple of 128")
    parser.add_argument("--minutes", type=float, default=0.0, help="end the schedule after so long")
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--learning-rate", type=float, default=8e-4)
    parser.add_argument(
        "--late", nargs="*", default=["P103", "P140", "P413", "P176", "P36", "P449", "P20", "P1303"]
    )
    parser.add_argument("--late-after", type=float, default=0.55)
    parser.add_argument("--start", type=Path, help="a trained judge to begin with, of the same rank")
    parser.add_argument("--rank", type=int, default=RANK, help="of the LoRA")
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser


if __name__ == "__main__":
    torch.set_flush_denormal(True)  # for the whole process
    main()
