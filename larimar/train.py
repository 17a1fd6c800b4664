"""Train a Larimar reader: `python -m larimar.train --text passages.txt --run runs/mine`.

Codes, readout, delimiters and the LoRA reader learn together by Eq. (1) (see `objective`) on generic text;
no edit is ever seen. The run directory holds the configuration, a JSON log with a line a step, a loss
picture, and a state from which `--resume` (or simply the same command again) goes on after Ctrl-C or a
crash. `--export DIR` writes the finished checkpoint.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from larimar import corpus
from larimar.checkpoint import Checkpoint, load, save
from larimar.config import PRESETS, LarimarConfig, preset
from larimar.encoder import freeze_codes
from larimar.objective import Loss, Objective, loss
from larimar.reader import Reader
from larimar.weights import load_decoder


@dataclass(frozen=True)
class Schedule:
    """Steps, batch and learning rates."""

    steps: int = 300
    batch: int = 32
    learning_rate: float = 1e-3
    codes_share: float = 0.3
    """learning rate of the codes, as a share"""
    scalars_share: float = 10.0
    """learning rate of beta and sigma_W, as a multiple"""
    warm_up: int = 20
    clip: float = 1.0
    seed: int = 0

    def factor(self, step: int) -> float:
        """Linear warm-up, then cosine down to a twentieth."""
        if step < self.warm_up:
            return (step + 1) / self.warm_up
        done = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


class Run:
    """One training run: reader, optimiser, random states, log."""

    def __init__(
        self,
        directory: Path,
        config: LarimarConfig,
        schedule: Schedule,
        device: str,
        *,
        start: Path | None = None,
    ) -> None:
        """Load the base decoder, make a trainable reader, and go on from the saved state if there is one.

        A fresh run begins with the weights of the checkpoint `start`, if it is given.
        """
        self.directory, self.config, self.schedule = directory, config, schedule
        self.objective = Objective(rows=config.rows, ridge=config.ridge)
        directory.mkdir(parents=True, exist_ok=True)
        base, tokenizer = load_decoder(config.decoder, device=device)
        torch.manual_seed(schedule.seed)
        self.reader = Reader(base, tokenizer, config, trainable=True).to(device)
        if start is not None:
            self.reader.fill(load(start).tensors)
        self.optimiser = torch.optim.AdamW(self._groups(), weight_decay=0.0)
        self.rng = random.Random(schedule.seed)
        self.noise = torch.Generator(device=device).manual_seed(schedule.seed)
        self.step, self.seconds = 0, 0.0
        self.trained = [p for group in self.optimiser.param_groups for p in group["params"]]
        if (directory / "state.pt").exists():
            self._resume(torch.load(directory / "state.pt", weights_only=False))

    def train(self, draw: corpus.Source, *, save_every_s: float = 180.0) -> None:
        """Steps until the schedule ends; Ctrl-C saves first."""
        saved, started = time.monotonic(), time.monotonic()
        before = self.seconds
        bar = tqdm(total=self.schedule.steps, initial=self.step, unit="step")
        try:
            while self.step < self.schedule.steps:
                measured = self._one_step(draw)
                self.seconds = before + time.monotonic() - started
                self._log(measured)
                bar.update()
                bar.set_postfix(loss=f"{measured.text:.3f}", accuracy=f"{measured.accuracy:.1%}")
                if time.monotonic() - saved > save_every_s:
                    self.save_state()
                    saved = time.monotonic()
        finally:
            bar.close()
            self.save_state()
            draw_losses(self.directory)

    def save_state(self) -> None:
        """Everything that the next process needs, atomically."""
        state = {
            "step": self.step, "seconds": self.seconds, "config": asdict(self.config),
            "trained": [p.detach().cpu() for p in self.trained],
            "optimiser": self.optimiser.state_dict(),
            "rng": self.rng.getstate(), "noise": self.noise.get_state(),
        }  # fmt: skip
        torch.save(state, self.directory / "state.new")
        os.replace(self.directory / "state.new", self.directory / "state.pt")

    def export(self, directory: Path, notes: dict[str, object]) -> None:
        """Write the checkpoint: int16 codes, bfloat16 LoRA, delimiters, beta, sigma_W."""
        reader = self.reader
        tensors = {name: p.detach().bfloat16() for name, p in reader.lora_parameters().items()}
        tensors["codes"] = freeze_codes(reader.encoder.current_codes())
        tensors["log_beta"] = reader.encoder.log_beta.detach()
        tensors["log_sigma_w"] = reader.log_sigma_w.detach()
        tensors["opening"], tensors["closing"] = reader.opening.detach(), reader.closing.detach()
        measured = {"steps": self.step, "seconds": round(self.seconds), "schedule": asdict(self.schedule)}
        save(directory, Checkpoint(tensors, self.config, {**measured, **notes}))

    def _one_step(self, draw: corpus.Source) -> Loss:
        """One update; the learning rates follow the schedule."""
        factor = self.schedule.factor(self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * factor
        batch = [draw(self.rng) for _ in range(self.schedule.batch)]
        with torch.autocast(self.noise.device.type, dtype=torch.bfloat16):
            measured = loss(self.reader, batch, self.objective, self.noise)
        self.optimiser.zero_grad(set_to_none=True)
        measured.total.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, self.schedule.clip)
        self.optimiser.step()
        self.step += 1
        return measured

    def _groups(self) -> list[dict[str, Any]]:
        """Parameter groups with their peak learning rates."""
        reader, rate = self.reader, self.schedule.learning_rate
        return [
            {"params": [*reader.lora_parameters().values(), reader.opening, reader.closing], "peak": rate},
            {"params": [reader.encoder.raw_codes], "peak": rate * self.schedule.codes_share},
            {
                "params": [reader.encoder.log_beta, reader.log_sigma_w],
                "peak": rate * self.schedule.scalars_share,
            },
        ]

    def _resume(self, state: dict[str, Any]) -> None:
        """Take over a saved state; another configuration's state is refused."""
        if state["config"] != asdict(self.config):
            raise SystemExit(f"{self.directory} holds a run of another configuration; choose another --run")
        self.step, self.seconds = state["step"], state["seconds"]
        log = self.directory / "log.jsonl"
        kept = [line for line in log.read_text().splitlines() if json.loads(line)["step"] <= self.step]
        log.write_text("".join(line + "\n" for line in kept))
        with torch.no_grad():
            for parameter, saved in zip(self.trained, state["trained"], strict=True):
                parameter.copy_(saved)
        self.optimiser.load_state_dict(state["optimiser"])
        self.rng.setstate(state["rng"])
        self.noise.set_state(state["noise"])

    def _log(self, measured: Loss) -> None:
        """One JSON line a step."""
        row = {
            "step": self.step, "loss": measured.text, "kl": measured.kl, "accuracy": measured.accuracy,
            "sigma_w": self.reader.log_sigma_w.exp().item(), "beta": self.reader.encoder.log_beta.exp().item(),
            "seconds": round(self.seconds, 1),
        }  # fmt: skip
        with (self.directory / "log.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")


def draw_losses(directory: Path) -> None:
    """`loss.png` from `log.jsonl`: loss and accuracy by step, smoothed over ten."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    lines = (directory / "log.jsonl").read_text().splitlines()
    rows = list({row["step"]: row for row in map(json.loads, lines)}.values())
    figure, axis = plt.subplots(figsize=(7, 3.5), layout="constrained")
    steps, losses = [row["step"] for row in rows], [row["loss"] for row in rows]
    axis.plot(steps, losses, color="#c4d2de", linewidth=0.8)
    axis.plot(steps, _smoothed(losses), color="#2f5d8a", linewidth=1.6)
    axis.set(xlabel="step", ylabel="loss, nats a token (blue)", yscale="log")
    right = axis.twinx()
    right.plot(steps, _smoothed([100 * row["accuracy"] for row in rows]), color="#b5543c", linewidth=1.6)
    right.set(ylabel="target tokens right, % (red)", ylim=(0, 100))
    figure.savefig(directory / "loss.png", dpi=120)
    plt.close(figure)


def _smoothed(numbers: list[float], window: int = 10) -> list[float]:
    """The mean of each number and up to `window` - 1 before it."""
    parts = [numbers[max(0, i + 1 - window) : i + 1] for i in range(len(numbers))]
    return [sum(part) / len(part) for part in parts]


def sources(arguments: argparse.Namespace) -> corpus.Source:
    """The mixture that the given files allow."""
    texts = [sentence for path in arguments.text for sentence in corpus.sentences(path)]
    if not texts:
        raise SystemExit("no sentence of 4 to 40 words in the given --text files")
    parts = [(0.40, corpus.spans(texts))]
    answers = [" ".join(text.split()[-3:]).strip(".!?") for text in texts[:5000]]
    parts += [(0.15, corpus.split_pairs(path)) for path in arguments.split_pairs]
    for path in arguments.questions:
        parts.append((0.20, corpus.question_pairs(path)))
        answers = [record["answers"][0] for record in json.loads(path.read_text()) if record["answers"]]
    parts += [(0.25, corpus.template_pairs(path, texts, answers)) for path in arguments.templates]
    return corpus.mixture(parts, texts)


def main() -> None:
    """Parse the command line, train, export."""
    parser = argparse.ArgumentParser(prog="python -m larimar.train", description=__doc__.split("\n")[0])
    parser.add_argument("--text", type=Path, nargs="+", required=True, help="text files, one passage a line")
    parser.add_argument(
        "--split-pairs", type=Path, nargs="*", default=[], help="WikiSplit files (sentence, tab, split)"
    )
    parser.add_argument(
        "--questions", type=Path, nargs="*", default=[], help="JSON with src, rephrase, answers"
    )
    parser.add_argument(
        "--templates", type=Path, nargs="*", default=[], help="JSON of question templates by property"
    )
    parser.add_argument("--run", type=Path, required=True, help="run directory; an existing run is resumed")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="default")
    parser.add_argument("--steps", type=int, default=Schedule.steps)
    parser.add_argument("--learning-rate", type=float, default=Schedule.learning_rate)
    parser.add_argument("--seed", type=int, default=Schedule.seed)
    parser.add_argument("--start", type=Path, help="begin with the weights of this checkpoint directory")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--export", type=Path, help="write the finished checkpoint here")
    arguments = parser.parse_args()
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.default_int_handler)  # both save the state and leave
    torch.set_flush_denormal(True)  # a sharp softmax over the vocabulary is full of them, at 10 x the time
    draw = sources(arguments)
    run = Run(
        arguments.run, preset(arguments.preset), _schedule(arguments), arguments.device, start=arguments.start
    )
    run.train(draw)
    if arguments.export:
        run.export(arguments.export, {"corpora": _corpora(arguments)})


def _schedule(arguments: argparse.Namespace) -> Schedule:
    """The schedule that the command line asks for."""
    return Schedule(steps=arguments.steps, learning_rate=arguments.learning_rate, seed=arguments.seed)


def _corpora(arguments: argparse.Namespace) -> list[str]:
    """The names of the files that were trained on."""
    files = [*arguments.text, *arguments.split_pairs, *arguments.questions, *arguments.templates]
    return sorted(path.name for path in files)


if __name__ == "__main__":
    main()
