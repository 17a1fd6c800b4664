"""What the audit needs to know of a model: prompts in, sampled completions out.

Adapters live with whoever owns the model (the guarded Larimar, a bare causal LM, an HTTP endpoint).
"""

from collections.abc import Sequence
from typing import Protocol

from audit.results import Record


class Target(Protocol):
    """A model under attack. `name` is printed in the report.

    A target may have an attribute `batch`, the number of prompts that it likes to be asked in one call, and a true
    `own_top_k` when it draws by a top-k of its own whatever it is asked for.
    """

    @property
    def name(self) -> str:
        """A short name for people, such as «Larimar, bank default, revision 12»."""
        ...

    def sample(
        self,
        prompts: Sequence[str],
        *,
        samples: int,
        max_tokens: int,
        temperature: float,
        top_k: int,
        seed: int,
    ) -> list[list[str]]:
        """Return `samples` completions (without the prompt) for each prompt, in the order of the prompts.

        The same arguments must give the same completions.
        """
        ...


class Sampling(Record):
    """How completions are drawn. Printed in the report."""

    max_tokens: int = 10
    temperature: float = 1.0
    top_k: int = 50
