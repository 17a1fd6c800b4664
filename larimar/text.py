"""How a fact becomes text: one statement, one leading space, one tombstone word.

Every text that the model sees starts with a space, so that a name has the same tokens at the start of a
statement as in the middle of a question.
"""

from __future__ import annotations

from dataclasses import dataclass

from larimar.errors import InvalidInput
from larimar.given import require_texts
from larimar.names import visible

TOMBSTONE = "unknown"
"""The answer that a censored fact gets (paper, section 5.4)."""


@dataclass(frozen=True)
class Fact:
    """A prompt and its answer, as text, and whom it is about.

    `telling`: other words that tell the answer («Danish» for «Denmark»); a censor does not let them be said either.
    """

    id: str
    prompt: str
    answer: str
    subject: str = ""
    aliases: tuple[str, ...] = ()
    telling: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse facts without an id, a prompt or an answer, and what is no text."""
        for name in ("id", "prompt", "answer", "subject"):
            require_texts(name, [getattr(self, name)])
        require_texts("aliases", self.aliases)
        require_texts("telling", self.telling)
        if not self.id or not self.prompt.strip() or not self.answer.strip():
            raise InvalidInput("a fact needs an id, a prompt and an answer, none of them empty")

    @property
    def names(self) -> tuple[str, ...]:
        """The subject and its aliases, without those that nobody can see."""
        return visible((self.subject, *self.aliases))


def statement(prompt: str, answer: str) -> str:
    """«prompt answer.»: what is written to memory."""
    text = f"{prompt.strip()} {answer.strip()}"
    return text if text[-1] in ".!?" else text + "."


def spaced(text: str) -> str:
    """The text as the model sees it: one leading space, no space at the end."""
    return " " + text.strip()


def open_ended(prompt: str) -> str:
    """A prompt that ends like a finished sentence («Tell me where X was born.»), ending with «:» instead.

    Without it the reader, which learned to go on with what was begun, has nothing left to say.
    """
    stripped = prompt.rstrip()
    return stripped.rstrip(".! ") + ":" if stripped.endswith((".", "!")) else stripped
