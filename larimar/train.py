"""Train a Larimar reader: `python -m larimar.train --text passages.txt --run runs/mine`.

Encoder and reader learn together by Eq. (1) (see `objective`) on generic text; no edit is ever seen. The same
command again goes on where a run was stopped (see `run`). `--export DIR` writes the finished checkpoint.
Several processes: `accelerate launch -m larimar.train …` (see docs/training.md).
"""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TypeVar

import torch

from larimar import corpus
from larimar.config import PRESETS, TRAIN_DECODER, LarimarConfig, preset
from larimar.errors import LarimarError
from larimar.objective import Objective
from larimar.run import Run, Schedule

_T = TypeVar("_T")


def sources(arguments: argparse.Namespace) -> corpus.Source:
    """The mixture that the given files allow."""
    texts = [sentence for path in arguments.text for sentence in _readable(path, corpus.sentences)]
    if not texts:
        raise SystemExit("no sentence of 4 to 40 words in the given --text files")
    pooled = _config(arguments).encoder == "pooled"
    parts = [(0.40, corpus.spans(texts, least=0) if pooled else corpus.spans(texts))]
    answers = [" ".join(text.split()[-3:]).strip(".!?") for text in texts[:5000]]
    parts += [(0.15, _readable(path, corpus.split_pairs)) for path in arguments.split_pairs]
    for path in arguments.questions:
        parts.append((0.20, _readable(path, corpus.question_pairs)))
        answers = [record["answers"][0] for record in _readable(path, corpus.question_records)]
    for path in arguments.templates:
        parts.append((0.25, _readable(path, lambda p: corpus.template_pairs(p, texts, answers))))
    return corpus.mixture(parts, texts)


def _readable(path: Path, read: Callable[[Path], _T]) -> _T:
    """What `read` makes of a file. Ends the program with the file's name where it cannot."""
    try:
        return read(path)
    except OSError as error:
        raise SystemExit(f"{path} cannot be read: {error.strerror or 'no such file'}") from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise SystemExit(f"{path} is not in the form that --help names (UTF-8 text, or the JSON)") from error


def main() -> None:
    """Parse the command line, train, export."""
    arguments = _parser().parse_args()
    try:
        draw = sources(arguments)
        run = Run(
            arguments.run, _config(arguments), _schedule(arguments), arguments.device,
            start=arguments.start, objective=_objective(arguments),
        )  # fmt: skip
        run.train(draw)
        if arguments.export:
            run.export(arguments.export, {"corpora": _corpora(arguments)})
    except LarimarError as error:
        raise SystemExit(str(error)) from error


def _own_process() -> None:
    """Settings of the whole process, so not for `main` as a function."""
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.default_int_handler)  # both save the state and leave
    torch.set_flush_denormal(True)  # a sharp softmax over the vocabulary is full of them, at 10 x the time


def _parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m larimar.train", description=__doc__.split("\n")[0])
    add, group = parser.add_argument, parser.add_argument_group
    add("--run", type=Path, required=True, help="run directory; an existing run goes on")
    add("--export", type=Path, help="write the finished checkpoint here")
    add("--start", type=Path, help="begin with the weights of this checkpoint directory")
    add("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    data = group("text").add_argument
    data("--text", type=Path, nargs="+", required=True, help="text files, one passage a line")
    data("--split-pairs", type=Path, nargs="*", default=[], help="WikiSplit files (sentence, tab, split)")
    data("--questions", type=Path, nargs="*", default=[], help="JSON with src, rephrase, answers")
    data("--templates", type=Path, nargs="*", default=[], help="JSON of question templates by property")
    model = group("model").add_argument
    model("--preset", choices=sorted(PRESETS), default="default")
    model("--decoder", help="a Hugging Face causal LM or a local path instead of the preset's")
    model("--text-encoder", help="a BERT-like encoder instead of the preset's (pooled)")
    model("--train-decoder", choices=TRAIN_DECODER, help="what of the reading decoder is trained")
    schedule = group("schedule").add_argument
    schedule("--steps", type=int, default=Schedule.steps)
    schedule("--minutes", type=float, default=Schedule.minutes, help="end the schedule after so long")
    schedule("--batch", type=int, default=Schedule.batch, help="examples a step, all processes together")
    schedule("--learning-rate", type=float, default=Schedule.learning_rate)
    schedule("--seed", type=int, default=Schedule.seed)
    schedule("--precision", choices=("auto", "bf16", "fp32"), default=Schedule.precision)
    schedule("--gradient-checkpointing", action="store_true", help="less memory, a third more time")
    weights = group("weights of Eq. (1)").add_argument
    weights("--autoencode-share", type=float, default=Objective.autoencode_share)
    weights("--beta-kl", type=float, default=Objective.beta_kl)
    weights("--free-bits", type=float, default=Objective.free_bits)
    weights("--pretraining", type=float, help="default: 1 with --train-decoder full, else 0")
    load = "N / K of the fullest memory that is read; 0: episodes are alone in theirs"
    weights("--largest-load", type=float, default=Objective.largest_load, help=load)
    return parser


def _config(arguments: argparse.Namespace) -> LarimarConfig:
    """The preset with what the command line changes."""
    names = ("decoder", "text_encoder", "train_decoder")
    given = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    return preset(arguments.preset, **given)


def _schedule(arguments: argparse.Namespace) -> Schedule:
    """The schedule that the command line asks for."""
    given = vars(arguments)
    return Schedule(**{f.name: given[f.name] for f in fields(Schedule) if f.name in given})


def _objective(arguments: argparse.Namespace) -> Objective:
    """The weights of Eq. (1) that the command line asks for."""
    gamma = arguments.pretraining
    if gamma is None:
        gamma = 1.0 if _config(arguments).train_decoder == "full" else 0.0
    return Objective(
        autoencode_share=arguments.autoencode_share, beta_kl=arguments.beta_kl,
        free_bits=arguments.free_bits, pretraining=gamma, largest_load=arguments.largest_load,
    )  # fmt: skip


def _corpora(arguments: argparse.Namespace) -> list[str]:
    """The names of the files that were trained on."""
    files = [*arguments.text, *arguments.split_pairs, *arguments.questions, *arguments.templates]
    return sorted(path.name for path in files)


if __name__ == "__main__":
    _own_process()
    main()
