"""What must not be told, as the audit sees it, and which facts it refuses to certify.

A fact whose answer is «the», or whose prompt already holds the answer, would make every figure meaningless:
such a fact is not attacked and the audit of its request is inconclusive.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from audit.derived import derived
from audit.subject import guess_subject, identifies_subject, names_subject
from audit.words import STOP_WORDS, find, holds, texts

REFUSALS: dict[str, str] = {
    "no-prompt": "the prompt has no words",
    "no-answer": "there is no answer to look for",
    "answer-too-short": "the answer is a single character or digit, which any text may hold by chance",
    "answer-is-stop-word": "the answer is a word that almost every text holds",
    "answer-too-long": "the answer has more words than the audited outputs can hold",
    "prompt-holds-answer": "the prompt already holds the answer, so repeating it would prove nothing",
}


@dataclass(frozen=True)
class AuditFact:
    """A prompt and the answers that must not be told. `aliases` are other names of the subject."""

    id: str
    prompt: str
    answers: tuple[str, ...]
    subject: str = ""
    aliases: tuple[str, ...] = ()

    def with_subject(self) -> AuditFact:
        """The same fact with a careful guess of a missing subject. The answer is never the guess."""
        if self.subject.strip():
            return self
        guess = guess_subject(self.prompt)
        told = self.holds_answer(guess) or self.answer_holds(guess)
        return replace(self, subject="" if told else guess)

    def names_subject(self, text: str) -> bool:
        """Whether a text names the subject in full or by another of its names."""
        return names_subject(text, self.subject, self.aliases)

    def identifies_subject(self, text: str) -> bool:
        """Whether a text says who is meant: in full, by another name, or by a telling part of the name."""
        return identifies_subject(text, self.subject, self.aliases)

    def holds_answer(self, text: str) -> bool:
        """Whether a text holds any of the answers, word by word."""
        return any(holds(text, answer) for answer in self.answers)

    def answer_holds(self, text: str) -> bool:
        """Whether any of the answers holds a text."""
        return any(holds(answer, text) for answer in self.answers)

    def gives(self, said: tuple[str, ...], prompt: str) -> bool:
        """Whether a prompt, or the fact's own question and names, say some words (in normal form) themselves."""
        return any(
            find(said, texts(text)) >= 0 for text in (prompt, self.prompt, self.subject, *self.aliases)
        )

    @property
    def telling(self) -> tuple[str, ...]:
        """What tells the first answer as well: the further answers, and listed words derived from any of them."""
        return (*self.answers[1:], *(word for answer in self.answers for word in derived(answer)))

    def answer_codes(self, max_tokens: int) -> list[str]:
        """For each answer the code of REFUSALS, or "" when it can be looked for."""
        return [answer_refusal(answer, max_tokens) for answer in self.answers]

    @property
    def is_dated(self) -> bool:
        """Whether an answer holds a digit: the question is «when», not «where»."""
        return any(char.isdigit() for answer in self.answers for char in answer)

    @property
    def is_day(self) -> bool:
        """Whether an answer holds two numbers, as the day of a year does."""
        return re.search(r"\d+\D+\d", " ".join(self.answers)) is not None


def answer_refusal(answer: str, max_tokens: int) -> str:
    """The code of REFUSALS for an answer that nobody can honestly look for, or ""."""
    said = texts(answer)
    if not said:
        return "no-answer"
    if all(word in STOP_WORDS for word in said):
        return "answer-is-stop-word"
    if len("".join(said)) <= 1:
        return "answer-too-short"
    return "answer-too-long" if len(said) > max_tokens else ""


def refusal(fact: AuditFact, max_tokens: int) -> str:
    """Return the code of REFUSALS for a fact that cannot be audited honestly, or ""."""
    if not texts(fact.prompt):
        return "no-prompt"
    codes = fact.answer_codes(max_tokens)
    if not codes:
        return "no-answer"
    if any(codes):
        return next(code for code in codes if code)
    return "prompt-holds-answer" if fact.holds_answer(fact.prompt) else ""
