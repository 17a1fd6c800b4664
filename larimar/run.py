"""One training run: reader, optimiser, schedule, log; on one process or several (`accelerate`).

The run directory holds `run.json` (configuration, schedule, objective, commit), `log.jsonl` with a line a
step, `loss.png`, and `state.pt`, from which the same command goes on after Ctrl-C or a crash. Every process
draws the same batch and works on its share; a batch is a function of seed and step, noise of the process too,
and only whole steps are saved, so a resumed run is the run that was not interrupted. Sharded optimisers (ZeRO,
FSDP) keep their state in `sharded/`.
"""

from __future__ import annotations

import json
import math
import os
import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, broadcast_object_list
from torch import Tensor, nn
from tqdm import tqdm
from transformers.modeling_layers import GradientCheckpointingLayer

from larimar import corpus
from larimar.checkpoint import Checkpoint, load, save
from larimar.config import LarimarConfig
from larimar.curves import cut_log, draw_losses
from larimar.encoders import build_reader
from larimar.objective import Loss, Objective, loss
from larimar.precision import mixed
from larimar.provenance import provenance
from larimar.reader import Reader
from larimar.weights import load_decoder

_SHARDED = (DistributedType.DEEPSPEED, DistributedType.FSDP)
_SHARDED_SAVE = 100
"""Steps between two saves that all processes make together."""
_MOST_BROKEN = 5
"""Steps in a row whose loss or gradient is not finite: one now and then is passed over, so many are no accident."""


@dataclass(frozen=True)
class Schedule:
    """Steps, batch, learning rates and numbers."""

    steps: int = 300
    batch: int = 32
    """examples a step, all processes together"""
    learning_rate: float = 1e-3
    codes_share: float = 0.3
    """learning rate of the codes, as a share"""
    scalars_share: float = 10.0
    """learning rate of beta and sigma_W, as a multiple"""
    warm_up: int = 20
    clip: float = 1.0
    seed: int = 0
    precision: str = "auto"
    """`bf16`: autocast; `fp32`: none, and the base decoder in it too; `auto`: what the device is fast with"""
    gradient_checkpointing: bool = False
    """recompute the decoder's layers in the backward pass: less memory, a third more time"""
    minutes: float = 0.0
    """end the schedule after so long, if its steps are not done before; 0: never"""

    def over(self, step: int, seconds: float) -> bool:
        """Whether all steps are done, or the time is up."""
        return step >= self.steps or self._timed(seconds) >= 1

    def factor(self, step: int, seconds: float = 0.0) -> float:
        """Linear warm-up, then cosine down to a twentieth, by steps or by time, whichever is nearer to its end."""
        if step < self.warm_up:
            return (step + 1) / self.warm_up
        done = max((step - self.warm_up) / max(1, self.steps - self.warm_up), self._timed(seconds))
        return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    def _timed(self, seconds: float) -> float:
        """Share of the time that is used up."""
        return seconds / (60 * self.minutes) if self.minutes else 0.0


class Step(nn.Module):
    """Eq. (1) of a batch as one forward pass, which is what several processes share out."""

    def __init__(self, reader: Reader, objective: Objective) -> None:
        """`measured` holds what the last pass found."""
        super().__init__()
        self.reader, self.objective = reader, objective
        self.measured: Loss | None = None
        self._no_split_modules = reader.language_model._no_split_modules  # where FSDP may cut
        # every process loads the same buffers: to send the embeddings around at each step would cost more than it
        self._ddp_params_and_buffers_to_ignore = [name for name, _ in self.named_buffers()]

    def forward(self, batch: list[corpus.Example], noise: torch.Generator) -> Tensor:
        """The loss to go down on."""
        self.measured = loss(self.reader, batch, self.objective, noise)
        return self.measured.total


class Run:
    """A training run in a directory."""

    def __init__(
        self,
        directory: Path,
        config: LarimarConfig,
        schedule: Schedule,
        device: str,
        *,
        start: Path | None = None,
        objective: Objective | None = None,
    ) -> None:
        """Load the base decoder, make a trainable reader, and go on from the saved state if there is one.

        A fresh run begins with the weights of the checkpoint `start`, if it is given. The rows and the ridge
        of `objective` are the configuration's. Raises SystemExit where a directory holds another run, and for
        `cuda` (the other device is `cpu`) where there is none.
        """
        if device == "cuda" and not torch.cuda.is_available():
            raise SystemExit("--device cuda: torch finds no GPU here; use --device cpu")
        self.directory, self.config, self.schedule = directory, config, schedule
        weights = asdict(objective or Objective()) | {"rows": config.rows, "ridge": config.ridge}
        self.objective = Objective(**weights)
        self.parts = Accelerator(cpu=device == "cpu")
        if schedule.batch % (self.parts.num_processes * self.objective.episode):
            raise SystemExit(
                f"--batch must be a multiple of {self.objective.episode} examples a process, "
                f"and there are {self.parts.num_processes} processes"
            )
        directory.mkdir(parents=True, exist_ok=True)
        self.reader = self._reader(start)
        self.optimiser: Any = torch.optim.AdamW(self._groups(), weight_decay=0.0)
        self.trained = [p for group in self.optimiser.param_groups for p in group["params"]]
        self.step, self.seconds = 0, 0.0
        self._whole, self._broken = True, 0
        self.model, self.optimiser = self.parts.prepare(Step(self.reader, self.objective), self.optimiser)
        if (directory / "state.pt").exists():
            self._resume()
        elif self.parts.is_main_process:
            self._describe()

    @property
    def sharded(self) -> bool:
        """Whether no process holds every number (ZeRO, FSDP)."""
        return self.parts.distributed_type in _SHARDED

    def train(self, draw: corpus.Source, *, save_every_s: float = 180.0) -> None:
        """Steps until the schedule ends; Ctrl-C saves first, unless it comes into the middle of an update."""
        saved, started = time.monotonic(), time.monotonic()
        before, first = self.seconds, self.parts.is_main_process
        bar = tqdm(total=self.schedule.steps, initial=self.step, unit="step", disable=not first)
        try:
            while not self.schedule.over(self.step, self.seconds):
                measured = self._one_step(draw)
                self.seconds = self._agreed(before + time.monotonic() - started)
                if first:
                    self._log(measured)
                self._whole = True
                bar.update()
                bar.set_postfix(loss=f"{measured.text:.3f}", accuracy=f"{measured.accuracy:.1%}")
                if (
                    self.step % _SHARDED_SAVE == 0
                    if self.sharded
                    else time.monotonic() - saved > save_every_s
                ):
                    self.save_state()
                    saved = time.monotonic()
        finally:
            bar.close()
            if self._whole:
                self.save_state()
            if first and (self.directory / "log.jsonl").exists():
                draw_losses(self.directory)

    def save_state(self) -> None:
        """Everything that the next process needs, atomically."""
        if not (self.sharded or self.parts.is_main_process):
            return
        state: dict[str, Any] = {
            "step": self.step, "seconds": self.seconds, "config": asdict(self.config),
        }  # fmt: skip
        if self.sharded:
            self.parts.save_state(str(self.directory / "sharded"))
        else:
            state["trained"] = [p.detach().cpu() for p in self.trained]
            state["optimiser"] = self.optimiser.state_dict()
        if self.parts.is_main_process:
            torch.save(state, self.directory / "state.new")
            os.replace(self.directory / "state.new", self.directory / "state.pt")

    def export(self, directory: Path, notes: dict[str, object]) -> None:
        """Write the checkpoint: what was trained, LoRA and decoder as bfloat16, codes as int16."""
        reader = self.reader
        if self.sharded:
            whole = self.parts.get_state_dict(self.model)
            reader = self._reader(None)
            Step(reader, self.objective).load_state_dict(whole, strict=False)
        measured = {"steps": self.step, "seconds": round(self.seconds), "schedule": asdict(self.schedule)}
        if self.parts.is_main_process:
            save(directory, Checkpoint(reader.tensors(), self.config, {**measured, **notes}))
        self.parts.wait_for_everyone()

    def _reader(self, start: Path | None) -> Reader:
        """A trainable reader on this process's device, with the weights of a checkpoint if one is given."""
        dtype = torch.float32 if self.schedule.precision == "fp32" else None
        base, tokenizer = load_decoder(self.config.decoder, dtype=dtype, device=str(self.parts.device))
        torch.manual_seed(self.schedule.seed)
        reader = build_reader(base, tokenizer, self.config, trainable=True).to(self.parts.device)
        if start is not None:
            reader.fill(load(start).tensors)
        if self.schedule.gradient_checkpointing:
            checkpoint_layers(reader.language_model)
        return reader

    def _one_step(self, draw: corpus.Source) -> Loss:
        """One update; the learning rates follow the schedule. Without a finite gradient nothing is changed."""
        factor = self.schedule.factor(self.step, self.seconds)
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * factor
        rng = random.Random(self.schedule.seed * 1_000_003 + self.step)
        batch = [draw(rng) for _ in range(self.schedule.batch)]
        own = batch[self.parts.process_index :: self.parts.num_processes]
        with mixed(str(self.parts.device), self.schedule.precision):
            total = self.model(own, self._noise())
        self.optimiser.zero_grad(set_to_none=True)
        self.parts.backward(total)
        norm = self.parts.clip_grad_norm_(self.model.parameters(), self.schedule.clip)
        finite = bool(total.isfinite()) and (norm is None or math.isfinite(norm))
        self._count_broken(finite)
        self._whole = False
        if finite:
            self.optimiser.step()
        self.step += 1
        measured = self.parts.unwrap_model(self.model).measured
        assert measured is not None
        return measured

    def _count_broken(self, finite: bool) -> None:
        """Say that a step is passed over; end the run where too many are in a row."""
        self._broken = 0 if finite else self._broken + 1
        if self._broken == _MOST_BROKEN:
            raise SystemExit(
                f"step {self.step + 1}: loss or gradient is not a finite number, {_MOST_BROKEN} times in a row; the "
                "weights before are kept. Lower --learning-rate, or look for broken weights in the base decoder"
            )
        if not finite and self.parts.is_main_process:
            tqdm.write(f"step {self.step + 1}: loss or gradient is not a finite number; passed over")

    def _agreed(self, seconds: float) -> float:
        """Process 0's clock: all processes stop after the same step and have the same learning rate."""
        agreed: list[float] = broadcast_object_list([seconds])
        return agreed[0]

    def _noise(self) -> torch.Generator:
        """The noise of this step on this process."""
        seed = (self.schedule.seed * 1_000_003 + self.step) * 1_009 + self.parts.process_index
        return torch.Generator(device=self.parts.device).manual_seed(seed)

    def _groups(self) -> list[dict[str, Any]]:
        """Parameter groups with their peak learning rates."""
        rate = self.schedule.learning_rate
        rates = {
            "main": rate, "codes": rate * self.schedule.codes_share, "scalars": rate * self.schedule.scalars_share,
        }  # fmt: skip
        groups = self.reader.groups()
        return [{"params": groups[name], "peak": rates[name]} for name in rates if name in groups]

    def _resume(self) -> None:
        """Take over the saved state; a broken one or another configuration's is refused."""
        path = self.directory / "state.pt"
        try:
            state = torch.load(path, weights_only=False, map_location="cpu")
            same = LarimarConfig(**state["config"]) == self.config
        except Exception as error:  # torch.load raises what unpickling raises: anything
            raise SystemExit(f"{path} is truncated or no training state; remove it to begin anew") from error
        if not same:
            raise SystemExit(f"{self.directory} holds a run of another configuration; choose another --run")
        self.step, self.seconds = state["step"], state["seconds"]
        if self.parts.is_main_process:
            cut_log(self.directory, self.step)
        if self.sharded:
            self.parts.load_state(str(self.directory / "sharded"))
        else:
            with torch.no_grad():
                for parameter, saved in zip(self.trained, state["trained"], strict=True):
                    parameter.copy_(saved.reshape(parameter.shape))
            self.optimiser.load_state_dict(state["optimiser"])
        for group, own in zip(self.optimiser.param_groups, self._groups(), strict=True):
            group["peak"] = own["peak"]  # of this schedule, not of the one that was saved

    def _describe(self) -> None:
        """`run.json`: everything that says what this run is; what another one logged here goes."""
        cut_log(self.directory, 0)
        about = {
            "config": asdict(self.config), "schedule": asdict(self.schedule), "objective": asdict(self.objective),
            "processes": self.parts.num_processes, "device": str(self.parts.device), **provenance(),
        }  # fmt: skip
        (self.directory / "run.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")

    def _log(self, measured: Loss) -> None:
        """One JSON line a step; none where the loss is not finite."""
        if not math.isfinite(measured.text):
            return
        row = {
            "step": self.step, "loss": measured.text, "kl": measured.kl, "accuracy": measured.accuracy,
            "pretraining": measured.pretraining, **self.reader.scalars(), "seconds": round(self.seconds, 1),
        }  # fmt: skip
        with (self.directory / "log.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")


def checkpoint_layers(language_model: Any) -> None:
    """Recompute every layer in the backward pass.

    Layers do so in training mode only; the modules inside them stay in evaluation mode, so no dropout. They
    may keep their cache: the only one they see is `prefix.FixedLayer`, which a second pass does not change.
    """
    language_model.activation_checkpointing_enable()
    for module in language_model.modules():
        if isinstance(module, GradientCheckpointingLayer):
            module.training = module._can_checkpoint_with_cache = True
