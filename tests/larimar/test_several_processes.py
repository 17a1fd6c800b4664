"""Training on several processes: shipped configurations are ones that accelerate reads, and two processes train."""

import json
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest
import torch
from accelerate.commands.config.config_args import load_config_from_file
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from larimar import Larimar
from larimar.config import preset
from larimar.encoders import build_reader
from larimar.objective import Objective
from larimar.run import Step
from larimar.weights import load_decoder
from tests.larimar.families import save_family
from tests.larimar.test_families import draw
from tests.larimar.test_train import TEXT

CONFIGS = Path(str(resources.files("larimar"))) / "configs"


@pytest.mark.parametrize("name", ["gpus", "zero2", "fsdp"])
def test_a_shipped_configuration_is_one_that_accelerate_reads(name: str) -> None:
    read = load_config_from_file(str(CONFIGS / f"{name}.yaml"))
    assert {"gpus": "MULTI_GPU", "zero2": "DEEPSPEED", "fsdp": "FSDP"}[name] in str(read.distributed_type)


def test_two_processes_train_one_model(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    decoder = save_family("llama", tmp_path / "decoder")
    command = [
        sys.executable, "-m", "accelerate.commands.launch", "--config_file", CONFIGS / "gpus.yaml",
        "--num_processes", 2, "--main_process_port", 0, "-m", "larimar.train", "--device", "cpu", "--preset", "tiny",
        "--decoder", decoder, "--text", tmp_path / "text.txt", "--run", tmp_path / "run", "--steps", 2,
        "--export", tmp_path / "checkpoint",
    ]  # fmt: skip
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["processes"] == 2
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 2
    Larimar.load(tmp_path / "checkpoint", device="cpu")


CLOCKS = """
import itertools, os
from types import SimpleNamespace
from larimar import run, train
second = 1.0 if os.environ["RANK"] == "0" else 1000.0
ticks = itertools.count()
run.time = SimpleNamespace(monotonic=lambda: second * next(ticks))
train.main()
"""


def test_processes_whose_clocks_differ_end_a_timed_run_after_the_same_step(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    (tmp_path / "clocks.py").write_text(CLOCKS)
    decoder = save_family("llama", tmp_path / "decoder")
    command = [
        sys.executable, "-m", "accelerate.commands.launch", "--config_file", CONFIGS / "gpus.yaml",
        "--num_processes", 2, "--main_process_port", 0, tmp_path / "clocks.py", "--device", "cpu", "--preset",
        "tiny", "--decoder", decoder, "--text", tmp_path / "text.txt", "--run", tmp_path / "run", "--minutes", 0.1,
    ]  # fmt: skip
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert 1 < len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) < 7


@pytest.mark.parametrize("changes", [{}, {"train_decoder": "full"}])
def test_fsdp_can_shard_what_is_trained(changes: dict[str, str], tmp_path: Path) -> None:
    """One process, so nothing is split, but FSDP refuses here what it would refuse on many."""
    base, tokenizer = load_decoder(str(save_family("llama", tmp_path / "decoder")))
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        config = preset("tiny", decoder=str(tmp_path / "decoder"), **changes)
        step = Step(build_reader(base, tokenizer, config, trainable=True), Objective(rows=32))
        mesh = init_device_mesh("cpu", (1,))
        for layer in step.reader.language_model.base_model.layers:
            fully_shard(layer, mesh=mesh)
        fully_shard(step, mesh=mesh)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            total = step([draw(None)] * 16, torch.Generator().manual_seed(0))
        total.backward()
        assert step.reader.log_sigma_w.grad is not None
    finally:
        distributed.destroy_process_group()
