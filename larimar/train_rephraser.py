"""Train the rephraser: `python -m larimar.train_rephraser --templates … --text … --run runs/rephraser …`.

Pairs of texts that ask the same (see `paraphrases`) teach a LoRA on the base decoder to say the second, given
the first; the loss is on the second and the end token alone. A batch depends on the seed and its number, so a run
that was stopped (Ctrl-C saves) goes on where it stopped. The run directory holds `state.pt`, `log.jsonl`, `loss.png`
and `best/`, the checkpoint of the lowest validation loss; `--export` copies that one. Validation pairs come from
relations and records that are never trained on.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shutil
import signal
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from larimar import paraphrases
from larimar.checkpoint import Checkpoint, save
from larimar.config import PRESETS, LarimarConfig, preset
from larimar.corpus import names_in, sentences
from larimar.curves import cut_log, draw_losses
from larimar.errors import InvalidInput, LarimarError
from larimar.paraphrases import Pair, Source
from larimar.precision import mixed
from larimar.reader import with_lora
from larimar.relations import add_records, add_wordings, from_templates, held_out
from larimar.rephraser import fill, instruction, lora_parameters
from larimar.weights import load_decoder

_LONGEST = 112
"""Tokens of a pair; what is longer is cut off at the end."""
_IGNORED = -100


class Batch(NamedTuple):
    """Right-padded pairs."""

    tokens: Tensor
    """(N, T) int64"""
    mask: Tensor
    """(N, T) int64, 1 where there is input"""
    labels: Tensor
    """(N, T) int64: the token that follows where the second text is to be said, else -100"""

    def to(self, device: str) -> Batch:
        """The batch on a device."""
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in self))


def material(arguments: argparse.Namespace) -> tuple[Source, dict[str, Source]]:
    """What is trained on, and the validation sets by name."""
    names = names_in([sentence for path in arguments.text for sentence in sentences(path)])
    if not names:
        raise InvalidInput(f"{', '.join(map(str, arguments.text))}: no sentence names anybody")
    relations = from_templates(arguments.templates)
    if arguments.counterfact:
        full, core = arguments.counterfact
        add_records(relations, full, core, arguments.first_case)
    add_wordings(relations)
    unseen = held_out(relations) | frozenset(arguments.unseen)
    held = [r for key, r in sorted(relations.items()) if key.lstrip("-") in unseen]
    kept = [r for key, r in sorted(relations.items()) if key.lstrip("-") not in unseen]
    names += [subject for relation in kept for subject in relation.subjects]
    recorded = [relation for relation in kept if relation.subjects]
    parts = [(0.65, paraphrases.from_relations(kept, names))]
    checks = {"relations": paraphrases.from_relations(held, names)}
    if recorded:
        parts.append((0.15, paraphrases.from_relations(recorded, names)))
    if arguments.questions:
        parts.append((0.12, paraphrases.from_questions(arguments.questions)))
        checks["questions"] = paraphrases.from_questions(arguments.questions, held_out=True)
    if arguments.split_pairs:
        parts.append((0.08, paraphrases.from_splits(arguments.split_pairs)))
        checks["sentences"] = paraphrases.from_splits(arguments.split_pairs, held_out=True)
    return paraphrases.mixed_sources(parts), checks


class Training:
    """One run in a directory."""

    def __init__(self, config: LarimarConfig, arguments: argparse.Namespace) -> None:
        """Load the base decoder with a fresh LoRA; go on from the saved state if there is one."""
        self.config, self.directory, self.given = config, arguments.run, arguments
        self.device: str = arguments.device
        self.directory.mkdir(parents=True, exist_ok=True)
        base, self.tokenizer = load_decoder(config.decoder, device=self.device)
        torch.manual_seed(arguments.seed)
        self.model = with_lora(base, config, trainable=True).to(self.device)
        self.trained = lora_parameters(self.model)
        self.optimiser = torch.optim.AdamW(self.trained.values(), weight_decay=0.01)
        self.step, self.seconds, self.best = 0, 0.0, math.inf
        self._whole = True
        self._resume()
        cut_log(self.directory, self.step)

    def train(self, draw: Source, checks: dict[str, Source], *, save_every_s: float = 120.0) -> None:
        """Steps until the schedule ends. Ctrl-C saves first, unless it comes into the middle of an update."""
        sets = {
            name: self._collated(_drawn(source, 7, self.given.validation_pairs))
            for name, source in checks.items()
        }
        begun, before, saved = time.monotonic(), self.seconds, time.monotonic()
        bar = tqdm(total=self.given.steps, initial=self.step, unit="step")
        try:
            with ThreadPoolExecutor(1) as ahead:
                coming = ahead.submit(self._batch, draw, self.step)
                while self.progress() < 1.0:
                    batch, coming = coming.result(), ahead.submit(self._batch, draw, self.step + 1)
                    loss, accuracy = self._one_step(batch)
                    self.seconds = before + time.monotonic() - begun
                    self.step += 1
                    bar.update()
                    last = self.progress() >= 1.0
                    if self.step % self.given.log_every == 0 or last:
                        row = {"step": self.step, "loss": float(loss), "accuracy": float(accuracy)}
                        validate = self.step % self.given.validate_every == 0 or last
                        self._log(row | (self._validation(sets) if validate else {}))
                        bar.set_postfix(loss=f"{float(loss):.3f}")
                    self._whole = True
                    if time.monotonic() - saved > save_every_s:
                        self.save_state()
                        saved = time.monotonic()
        finally:
            bar.close()
            if self._whole:
                self.save_state()
            if (self.directory / "log.jsonl").exists():
                draw_losses(self.directory)

    def progress(self) -> float:
        """Share of the run that is done: by steps, or by the time limit where that is nearer."""
        timed = self.seconds / (60 * self.given.minutes) if self.given.minutes else 0.0
        return max(self.step / self.given.steps, timed)

    def save_state(self) -> None:
        """Everything that the next process needs, atomically."""
        state = {
            "step": self.step, "seconds": self.seconds, "best": self.best, "decoder": self.config.decoder,
            "trained": {name: p.detach().cpu() for name, p in self.trained.items()},
            "optimiser": self.optimiser.state_dict(),
        }  # fmt: skip
        torch.save(state, self.directory / "state.new")
        os.replace(self.directory / "state.new", self.directory / "state.pt")

    def export(self, directory: Path) -> None:
        """Copy the checkpoint of the lowest validation loss."""
        shutil.copytree(self.directory / "best", directory, dirs_exist_ok=True)
        shutil.copy(self.directory / "loss.png", directory)

    def _one_step(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """One update; returns loss and accuracy, still on the device."""
        rate = self.given.learning_rate * _factor(self.step, self.progress())
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        loss, accuracy = self._loss(batch.to(self.device))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.trained.values(), 1.0)
        if not norm.isfinite():
            raise SystemExit(
                f"step {self.step + 1}: the gradient is not a finite number; the weights before it are kept. "
                "Lower --learning-rate"
            )
        self._whole = False
        self.optimiser.step()
        return loss.detach(), accuracy

    def _loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Mean loss (nats a token) and accuracy over what is to be said; logits are made for those places alone."""
        wanted = batch.labels != _IGNORED
        with mixed(self.device):
            hidden = self.model.get_base_model().base_model(
                batch.tokens, attention_mask=batch.mask, use_cache=False
            )
            logits = self.model.get_output_embeddings()(hidden.last_hidden_state[wanted])
        labels = batch.labels[wanted]
        loss = F.cross_entropy(logits.float(), labels)
        return loss, (logits.detach().argmax(dim=-1) == labels).float().mean()

    @torch.no_grad()
    def _validation(self, sets: dict[str, Batch]) -> dict[str, float]:
        """Loss on each validation set; the best weights so far are kept."""
        found = {name: self._check(batch) for name, batch in sets.items()}
        mean = sum(found.values()) / len(found)
        if mean < self.best:
            self.best = mean
            notes = {
                "steps": self.step, "seconds": round(self.seconds), "batch": self.given.batch,
                "learning_rate": self.given.learning_rate, "seed": self.given.seed,
                "validation_loss": {name: round(loss, 4) for name, loss in found.items()},
                "unseen_relations": sorted(self.given.unseen), "corpora": _corpora(self.given),
            }  # fmt: skip
            tensors = {name: p.detach().bfloat16() for name, p in self.trained.items()}
            save(self.directory / "best", Checkpoint(tensors, self.config, notes))
        return {f"validation {name}": loss for name, loss in found.items()}

    def _check(self, batch: Batch) -> float:
        """Mean loss of a validation set, in pieces of 64 pairs of like weight."""
        pieces = zip(*(tensor.split(64) for tensor in batch), strict=True)
        losses = [float(self._loss(Batch(*piece).to(self.device))[0]) for piece in pieces]
        return sum(losses) / len(losses)

    def _batch(self, draw: Source, step: int) -> Batch:
        """The batch of a step."""
        return self._collated(_drawn(draw, self.given.seed * 1_000_003 + step, self.given.batch))

    def _collated(self, pairs: Sequence[Pair]) -> Batch:
        """Pairs as tokens, padded to a multiple of 16."""
        start, end = list(self.tokenizer("").input_ids), self.tokenizer.eos_token_id
        texts = [text for pair in pairs for text in (instruction(pair.given, pair.form), f" {pair.said}")]
        ids = self.tokenizer(texts, add_special_tokens=False).input_ids
        given, said = ids[::2], ids[1::2]
        rows = [([*start, *a], [*b, end]) for a, b in zip(given, said, strict=True)]
        longest = min(_LONGEST, max(len(a) + len(b) for a, b in rows) - 1)
        width = -(-longest // 16) * 16
        tokens = torch.full((len(rows), width), end)
        labels = torch.full((len(rows), width), _IGNORED)
        mask = torch.zeros(len(rows), width, dtype=torch.int64)
        for n, (a, b) in enumerate(rows):
            whole, goals = [*a, *b], [*[_IGNORED] * (len(a) - 1), *b]
            read = min(width, len(whole) - 1)
            tokens[n, :read], mask[n, :read] = torch.tensor(whole[:read]), 1
            labels[n, :read] = torch.tensor(goals[:read])
        return Batch(tokens, mask, labels)

    def _log(self, row: dict[str, float]) -> None:
        """One JSON line."""
        line = {**row, "seconds": round(self.seconds, 1)}
        with (self.directory / "log.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({k: round(v, 4) for k, v in line.items()}) + "\n")

    def _resume(self) -> None:
        """Take over the saved state; a broken one or another decoder's is refused."""
        path = self.directory / "state.pt"
        if not path.exists():
            return
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=False)
        except Exception as error:  # torch.load raises what unpickling raises: anything
            raise SystemExit(f"{path} is truncated or no training state; remove it to begin anew") from error
        if state["decoder"] != self.config.decoder:
            raise SystemExit(f"{self.directory} holds a run of another decoder; choose another --run")
        fill(self.model, state["trained"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds, self.best = state["step"], state["seconds"], state["best"]


def _drawn(source: Source, seed: int, count: int) -> list[Pair]:
    """Pairs that depend on the seed alone."""
    rng = random.Random(seed)
    return [source(rng) for _ in range(count)]


def _factor(step: int, progress: float) -> float:
    """Learning rate as a share of its peak: 50 steps of warm-up, then a cosine to a fiftieth."""
    warm = min(1.0, (step + 1) / 50)
    return warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


def _corpora(arguments: argparse.Namespace) -> list[str]:
    """The names of the files that were trained on."""
    files = [*arguments.text, arguments.templates, arguments.questions, arguments.split_pairs]
    return sorted(path.name for path in (*files, *(arguments.counterfact or ())) if path)


def _parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m larimar.train_rephraser", description=__doc__.split("\n")[0]
    )
    add, data = parser.add_argument, parser.add_argument_group("text").add_argument
    add("--run", type=Path, required=True, help="run directory; an existing run goes on")
    add("--export", type=Path, help="write the finished rephraser here")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    data("--text", type=Path, nargs="+", required=True, help="text files to take names from")
    data("--templates", type=Path, required=True, help="JSON of question templates by property")
    data("--questions", type=Path, help="JSON with subject, src, rephrase, answers")
    data("--split-pairs", type=Path, help="WikiSplit file (sentence, tab, split)")
    data("--counterfact", type=Path, nargs=2, help="full.json and core.json")
    data("--first-case", type=int, default=2000, help="benchmarks score the cases below")
    data("--unseen", nargs="*", default=["P103", "P140", "P413", "P176", "P36", "P449", "P20", "P1303"],
         help="relations that are never trained on, besides those that validate")  # fmt: skip
    add("--preset", choices=sorted(PRESETS), default="default", help="whose decoder and LoRA rank are taken")
    add("--decoder", help="a Hugging Face causal LM or a local path instead of the preset's")
    add("--steps", type=int, default=3000)
    add("--minutes", type=float, default=0.0, help="end the schedule after so long, if not done before")
    add("--batch", type=int, default=128)
    add("--learning-rate", type=float, default=6e-4)
    add("--log-every", type=int, default=20)
    add("--validate-every", type=int, default=200)
    add("--validation-pairs", type=int, default=256, help="of each validation set")
    add("--seed", type=int, default=0)
    return parser


def main() -> None:
    """Build the material, train, export."""
    arguments = _parser().parse_args()
    try:
        draw, checks = _readable(arguments)
        config = preset(arguments.preset, **({"decoder": arguments.decoder} if arguments.decoder else {}))
        training = Training(config, arguments)
        training.train(draw, checks)
        if arguments.export:
            training.export(arguments.export)
    except LarimarError as error:
        raise SystemExit(str(error)) from error


def _readable(arguments: argparse.Namespace) -> tuple[Source, dict[str, Source]]:
    """`material`. Ends the program with the name of a file that cannot be read."""
    try:
        return material(arguments)
    except OSError as error:
        raise SystemExit(f"{error.filename} cannot be read: {error.strerror}") from error


def _own_process() -> None:
    """Settings of the whole process, so not for `main` as a function."""
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.default_int_handler)  # both save the state and leave
    torch.set_flush_denormal(True)


if __name__ == "__main__":
    _own_process()
    main()
