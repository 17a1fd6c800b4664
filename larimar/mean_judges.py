"""The mean of judges that began alike: `python -m larimar.mean_judges a.safetensors b.safetensors --out FILE`.

Runs from the same initial weights (the same `--seed` and `--rank`) lie in one basin, and the mean of their weights
errs less on texts unlike those of the training than either (Wortsman et al. 2022, Model soups).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from larimar.errors import CheckpointMismatch, LarimarError
from larimar.judge import read


def mean(judges: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each tensor, in bfloat16. Raises CheckpointMismatch where shapes or names differ."""
    first = judges[0]
    for other in judges[1:]:
        if set(other) != set(first) or any(other[name].shape != first[name].shape for name in first):
            raise CheckpointMismatch("judges of different ranks have no mean")
    return {name: torch.stack([j[name].float() for j in judges]).mean(dim=0).bfloat16() for name in first}


def main() -> None:
    """Read the files and write their mean."""
    parser = argparse.ArgumentParser(prog="python -m larimar.mean_judges", description=__doc__.split("\n")[0])
    parser.add_argument("judges", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    try:
        made = mean([read(path) for path in asked.judges])
    except LarimarError as error:
        raise SystemExit(str(error)) from error
    about = {"mean_of": [path.name for path in asked.judges]}
    save_file(made, str(asked.out), metadata={"about": json.dumps(about)})


if __name__ == "__main__":
    main()
